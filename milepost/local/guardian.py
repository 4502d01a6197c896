"""Sees to it that nothing outlives the local stack, however the stack ends.

The guardian is a small process of its own that leads the process group of all that the stack starts, and owns
the temporary directory. It sleeps on a pipe from its parent. When the parent closes the pipe, or dies and the
kernel closes it, the guardian interrupts the group, kills what does not end, and removes the directory. So a
clean stop and a `kill -9` take the same path, wherever there are process groups.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

PATIENCE_S = 8.0  # Postgres wants a moment to write a checkpoint before it goes
POLL_S = 0.01


class Guardian:
    """Starts processes that end with this one.

    `directory` is where the stack keeps its files: the folder given, which stays, or a new temporary one.
    """

    def __init__(self, keep: Path | None = None) -> None:
        # -I -S: it needs the standard library only, and starts in 15 ms without the rest.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, *([] if keep is None else [str(keep)])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,
        )
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        self._done = self._process.stdout
        self._children: list[subprocess.Popen[bytes]] = []
        self.directory = Path(os.fsdecode(self._done.readline().rstrip(b"\n")))

    def spawn(
        self, command: Sequence[str | Path], *, env: Mapping[str, str], log: Path, uid: int | None = None
    ) -> subprocess.Popen[bytes]:
        """Starts `command` with exactly `env`, as user and group `uid` if given, its output added to `log`.

        Raises OSError when it cannot be started, also when the guardian has been closed.
        """
        with log.open("ab") as output:
            child: subprocess.Popen[bytes] = subprocess.Popen(
                command,
                cwd="/" if uid is not None else None,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                process_group=self._process.pid,
                user=uid,
                group=uid,
                extra_groups=None if uid is None else [],
            )
        self._children = [one for one in self._children if one.poll() is None]
        self._children.append(child)
        return child

    def close(self) -> None:
        """Ends every process started here and removes a temporary directory; returns when that is done."""
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        self._process.stdin.close()
        # A process that has ended stays in its group until its parent has asked for its status.
        self._process.wait()
        for child in self._children:
            child.wait()
        self._done.read()
        self._done.close()

    def __enter__(self) -> "Guardian":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _group_is_gone(group: int, within_s: float) -> bool:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(POLL_S)
    return False


def _stop(group: int) -> None:
    for number, patience_s in ((signal.SIGINT, PATIENCE_S), (signal.SIGKILL, 2.0)):
        try:
            os.killpg(group, number)
        except ProcessLookupError:
            return
        if _group_is_gone(group, patience_s):
            return


def _guard(keep: str | None) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    directory = keep or tempfile.mkdtemp(prefix="milepost-")
    sys.stdout.buffer.write(os.fsencode(directory) + b"\n")
    sys.stdout.buffer.flush()
    sys.stdin.buffer.read()
    group = os.getpgrp()
    # The leader cannot leave its own group, and must not be in it when the group is killed.
    if os.fork():
        os._exit(0)
    os.setsid()
    _stop(group)
    if keep is None:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    _guard(sys.argv[1] if len(sys.argv) > 1 else None)
