"""Runs `milepost ...` as a person would: with pipes, or on a terminal."""

import fcntl
import os
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

PROGRAM = [sys.executable, "-c", "from milepost.cli import main; main(prog_name='milepost')"]
PATIENCE_S = 60.0

T = TypeVar("T")


class Milepost:
    """The command line with these settings; a call may add to them."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self.settings = settings

    def __call__(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | self.settings | more
        return subprocess.run(
            [*PROGRAM, *arguments], env=environment, capture_output=True, text=True, timeout=PATIENCE_S
        )

    def shell(self, script: str, **more: str) -> subprocess.CompletedProcess[str]:
        """A script of bash that finds `milepost` as an installed program."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, **self.settings, **more, "PATH": path}
        return subprocess.run(
            ["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=PATIENCE_S
        )

    @contextmanager
    def begun(
        self, *arguments: str, program: list[str] = PROGRAM, **more: Any
    ) -> Iterator["subprocess.Popen[bytes]"]:
        """One that runs meanwhile, with pipes; it is ended with the block."""
        environment = os.environ | self.settings
        streams: dict[str, Any] = {
            "stdin": subprocess.PIPE,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        }
        with subprocess.Popen([*program, *arguments], env=environment, **streams | more) as process:
            try:
                yield process
            finally:
                process.kill()

    @contextmanager
    def on_terminal(
        self, *arguments: str, columns: int = 80, rows: int = 24, program: list[str] = PROGRAM, **more: str
    ) -> Iterator["Terminal"]:
        """One that runs on a terminal meanwhile."""
        outer, inner = os.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        with subprocess.Popen(
            [*program, *arguments], env={**os.environ, "TERM": "xterm", **self.settings, **more},
            stdin=inner, stdout=inner, stderr=inner, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        ) as process:  # fmt: skip
            terminal = Terminal(process, outer, inner)
            try:
                yield terminal
            finally:
                process.kill()
                os.close(outer)
                os.close(inner)


class Terminal:
    """What a person sees and types. Both ends stay open, so that its settings can be looked at."""

    def __init__(self, process: "subprocess.Popen[bytes]", outer: int, inner: int) -> None:
        self.process, self._outer, self.inner = process, outer, inner
        self.seen = ""

    @property
    def text(self) -> str:
        """What was seen, without colours and movements."""
        return re.sub(r"\x1b\[[0-?]*[A-Za-z]", "", self.seen)

    def type(self, keys: str) -> None:
        os.write(self._outer, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._outer, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def sees(self, text: str) -> str:
        """Waits until the text has come; returns all that came."""
        end = time.monotonic() + PATIENCE_S
        while text not in self.seen:
            assert time.monotonic() < end, f"still not {text!r} in {self.seen!r}"
            self._read(0.2)
        return self.seen

    def ends(self) -> int:
        """Waits for the end; returns the exit status."""
        end = time.monotonic() + PATIENCE_S
        while self.process.poll() is None:
            assert time.monotonic() < end, self.seen
            self._read(0.2)
        while self._read(0.1):
            pass
        return self.process.returncode

    def _read(self, timeout_s: float) -> bool:
        if not select.select([self._outer], [], [], timeout_s)[0]:
            return False
        self.seen += os.read(self._outer, 65_536).decode("utf-8", "replace")
        return True


def eventually(condition: Callable[[], T | None], what: str) -> T:
    """Waits until it is so, with a deadline that only a failure meets; returns what it then is."""
    end = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < end, f"after {PATIENCE_S:.0f} s still not: {what}"
        time.sleep(0.05)
    return found
