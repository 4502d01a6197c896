"""`milepost dev` as its users run it, and what becomes of its processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from milepost.local import CHECKOUT
from milepost.local.stack import Access

PATIENCE_S = 120.0


def eventually(condition: Callable[[], object], what: str) -> None:
    """Waits until `condition` is true, with a deadline that only a failure meets."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"after {PATIENCE_S:.0f} s still not: {what}"
        time.sleep(0.02)


class Dev:
    """A running `milepost dev`."""

    def __init__(self, *options: str, checkout: Path = CHECKOUT, env: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "milepost.local.dev", "--json", *options],
            cwd=checkout,
            env={**os.environ, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None and self.process.stderr is not None
        self.stdout, self.stderr = self.process.stdout, self.process.stderr

    def ready(self) -> Access:
        line = self.stdout.readline()
        if not line:
            raise AssertionError(self.stderr.read())
        return Access(**json.loads(line))

    def family(self) -> dict[int, str]:
        """Every process that descends from it, with its command line."""
        return descendants(self.process.pid)

    def pids(self, words: str) -> list[int]:
        """Its processes with these words in their command lines, the oldest first."""
        return sorted(pid for pid, command in self.family().items() if words in command)

    def kill(self, words: str) -> None:
        """Kills the oldest process with these words in its command line."""
        os.kill(self.pids(words)[0], signal.SIGKILL)

    def end(self, signal_number: int) -> tuple[int, str]:
        """Sends the signal and returns the exit code and stderr."""
        self.process.send_signal(signal_number)
        _, said = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, said

    def said(self, words: str) -> str:
        """The next line on stderr with these words."""
        for line in self.stderr:
            if words in line:
                return line
        raise AssertionError(f"stderr ended without {words!r}")


@contextmanager
def dev(*options: str, checkout: Path = CHECKOUT, env: dict[str, str] | None = None) -> Iterator[Dev]:
    """Starts it, and ends it if the test has not."""
    running = Dev(*options, checkout=checkout, env=env)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.terminate()
        running.process.wait()
        running.stdout.close()
        running.stderr.close()


def open_to_others(folder: Path) -> Path:
    """Opens a test's folder and those above it to the user that Postgres runs as when we are root."""
    for one in (folder, *folder.parents):
        mode = one.stat().st_mode
        if one.stat().st_uid == os.getuid() and not mode & 0o001:
            one.chmod(mode | 0o011)
    return folder


def descendants(ancestor: int) -> dict[int, str]:
    parents: dict[int, int] = {}
    commands: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "stat").read_text()
            commands[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents[int(folder.name)] = int(status.rpartition(")")[2].split()[1])
    found = {ancestor}
    while True:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        if not more:
            return {pid: commands[pid] for pid in found if pid in commands and pid != ancestor}
        found |= more


def alive(pids: set[int] | dict[int, str]) -> set[int]:
    """Which of them exist and are no zombies."""
    living = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state != "Z":
            living.add(pid)
    return living
