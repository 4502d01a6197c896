"""Blocks of pages as processes that say where they are and go on when they are told to."""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import Any, Self

from documents import ROOT, Block
from talking import Api

PATIENCE_S = 100.0


class Program:
    """One process. Leaving the block kills it."""

    def __init__(self, block: Block, folder: Path, environment: Mapping[str, str], *arguments: str) -> None:
        if block.language == "python":
            file = folder / f"{block.name}.py"
            file.write_text(block.code)
            command = [sys.executable, "-u", str(file), *arguments]
        elif block.language == "js":
            # Modules are found from the checkout.
            command = ["node", "--input-type=module", "--eval", block.code, "--", *arguments]
        else:
            command = ["bash", "-euo", "pipefail", "-c", block.code, *arguments]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            bufsize=1, env=os.environ | environment | {"PYTHONDONTWRITEBYTECODE": "1"}, cwd=ROOT,
            start_new_session=True,
        )  # fmt: skip
        self.said: list[str] = []
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def hear(self, *expected: str) -> None:
        """Waits until it has said a line with each of these in it, in this order, whatever it says between."""
        for part in expected:
            until = monotonic() + PATIENCE_S
            while True:
                try:
                    said = self._lines.get(timeout=max(0.0, until - monotonic()))
                except queue.Empty:
                    said = None
                assert said is not None, f"it never said {part!r}:\n" + "\n".join(self.said)
                self.said.append(said)
                if part in said:
                    break

    def go_on(self) -> None:
        """Has it go on from where it reads a line."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")

    def end(self) -> int:
        """Waits until it has ended, and returns its exit status."""
        while (said := self._lines.get(timeout=PATIENCE_S)) is not None:
            self.said.append(said)
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        """kill -9, with whatever it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._reader.join()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def seen(api: Api, job: str) -> dict[str, Any]:
    """The job, or nothing while it is not there, or the machine is too busy to say."""
    answer = api.http.get(f"/v1/jobs/{job}")
    found: dict[str, Any] = answer.json() if answer.is_success else {}
    return found


def eventually(condition: Callable[[], object], what: str) -> None:
    """Waits until it is so, with a deadline that only a failure meets."""
    until = monotonic() + PATIENCE_S
    pause = threading.Event()
    while not condition():
        assert monotonic() < until, f"after {PATIENCE_S:.0f} s still not: {what}"
        pause.wait(0.05)
