"""Sees to it that nothing outlives the local stack, however the stack ends.

The guardian is a small process of its own that leads the process group of all that the stack starts, and
owns the temporary directory. It reads a pipe from its parent, on which each process started is named. When
the pipe ends, because the parent closed it or died, the guardian interrupts these, kills what is left of
the group, and removes the directory. So a clean stop and a `kill -9` take one path, wherever there are
process groups.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
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
            bufsize=0,
            process_group=0,
        )
        assert self._process.stdin is not None and self._process.stdout is not None  # noqa: S101 - pipes
        self._pids, self._done = self._process.stdin, self._process.stdout
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
        # Unbuffered and under a pipe's atomic size, so that several threads may start processes.
        self._pids.write(b"%d\n" % child.pid)
        self._children = [one for one in self._children if one.poll() is None]
        self._children.append(child)
        return child

    def close(self) -> None:
        """Ends every process started here and removes a temporary directory; returns when that is done."""
        self._pids.close()
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


def _stop(group: int, pids: list[int]) -> None:
    # Each is told once and tells its own children: gunicorn's workers may hang when a signal to the whole
    # group and their master's word come at the same moment.
    for pid in pids:
        with suppress(ProcessLookupError):
            if os.getpgid(pid) == group:  # else the number belongs to somebody else by now
                os.kill(pid, signal.SIGINT)
    if not _group_is_gone(group, PATIENCE_S):
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        _group_is_gone(group, PATIENCE_S)


def _guard(keep: str | None) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    directory = keep or tempfile.mkdtemp(prefix="milepost-")
    sys.stdout.buffer.write(os.fsencode(directory) + b"\n")
    sys.stdout.buffer.flush()
    pids = [int(line) for line in sys.stdin.buffer if line.endswith(b"\n")]
    group = os.getpgrp()
    # The leader cannot leave its own group, and must not be in it when the group is killed.
    if os.fork():
        os._exit(0)
    os.setsid()
    _stop(group, pids)
    if keep is None:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    _guard(sys.argv[1] if len(sys.argv) > 1 else None)
