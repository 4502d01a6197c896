"""`milepost work`: runs a command for each job that it claims."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import click

from milepost import _words
from milepost._client import Client
from milepost._job import Job, settings
from milepost._work import Worker
from milepost.errors import JobCanceled, MilepostError

LOOK_S = 2.0
# A command that reports for itself hears the same directive, and gets so long to follow it in its own way.
PATIENCE_S = 5.0
TERMINATION_S = 10.0
_ENDED = ("completed", "canceled", "failed")


class CommandFailed(Exception):
    """The command of a job ended with another exit status than 0."""


class Command:
    """A command, run once for a job: it fails, pauses and is canceled with it."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = list(command)

    def __call__(self, job: Job) -> None:
        """Raises CommandFailed where it ends with another exit status than 0, and JobStopped."""
        # A session of its own makes it a process group, so that signals reach what it started, too.
        with subprocess.Popen(
            self._command, env=_environment(job), stdin=subprocess.DEVNULL, start_new_session=True
        ) as process:
            try:
                while not _ends_within(process, LOOK_S):
                    _follow(job, process)
            except JobCanceled:
                _ends_within(process, PATIENCE_S)
                _end(process)
                _end_lanes(job, "canceled")
                raise
            finally:
                _end(process)
        if process.returncode:
            raise CommandFailed(f"{self._command[0]} {_outcome(process.returncode)}.")
        _end_lanes(job, "completed")


def _environment(job: Job) -> dict[str, str]:
    return os.environ | {
        "MILEPOST_JOB": job.key,
        "MILEPOST_JOB_ID": job.job_id or "",
        "MILEPOST_ATTEMPT": str(job.attempt or 1),
        "MILEPOST_CURSOR": "" if job.cursor is None else _words.dumps(job.cursor),
    }


def _end_lanes(job: Job, state: str) -> None:
    """Ends the lanes in which the command reported and did not say the end itself, since it has ended."""
    client = Client(*settings(None, None))
    try:
        lanes = client.job(job.job_id or job.key).workers
        left = [
            {"job": job.job_id, "worker": lane.worker, "attempt": job.attempt, "state": state}
            for lane in lanes
            if lane.attempt == job.attempt and lane.worker != job.worker and lane.state not in _ENDED
        ]
        if left:
            client.checkpoints(left)
    except MilepostError as error:
        _words.log.warning("Milepost: the end of %s could not be told. %s", job.key, error.message)
    finally:
        client.close()


def _follow(job: Job, process: subprocess.Popen[bytes]) -> None:
    """Asks what is to be done, and does it. Raises JobStopped."""
    job.flush(LOOK_S)
    if job._lane.directive == "pause" and not _ends_within(process, PATIENCE_S):
        with _stopped(process):
            job._attend()
    else:
        job._attend()


@contextmanager
def _stopped(process: subprocess.Popen[bytes]) -> Iterator[None]:
    _signal(process, signal.SIGSTOP)
    try:
        yield
    finally:
        _signal(process, signal.SIGCONT)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        _signal(process, signal.SIGTERM)
        if not _ends_within(process, TERMINATION_S):
            _signal(process, signal.SIGKILL)
            process.wait()


def _ends_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    # Not waited for yet, it keeps its id, so that the signal meets no stranger.
    if process.returncode is None:
        os.killpg(process.pid, number)


def _outcome(status: int) -> str:
    return f"was ended by signal {-status}" if status < 0 else f"ended with exit status {status}"


def _leave(number: int, _: FrameType | None) -> NoReturn:
    # Once is enough: another one must not interrupt what ends the command.
    signal.signal(number, signal.SIG_IGN)
    sys.exit(f"The worker was told to end by signal {number}.")


@click.command()
@click.option(
    "--kind", "kinds", multiple=True, required=True, help="Claim jobs of this kind; may be repeated."
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def work(kinds: tuple[str, ...], command: tuple[str, ...]) -> None:
    """Run a command for each job of a kind, one after the other.

    `milepost work --kind K -- command...` claims a job and runs the command with MILEPOST_JOB,
    MILEPOST_JOB_ID, MILEPOST_ATTEMPT and MILEPOST_CURSOR (JSON; empty where there is none). Exit status 0
    completes the job; any other fails it, or begins its next attempt. While the job is paused the command is
    stopped (SIGSTOP); a cancel ends it (SIGTERM). Ctrl-C or SIGTERM end both.

    The command may report progress for itself, in any lane. One that does not shows none: where it may take
    longer than 15 minutes, create its jobs with stall_after_ms.
    """
    settings(None, None)
    # Before a job is claimed for it, and lost.
    if shutil.which(command[0]) is None:
        raise click.UsageError(f"Expected a command that can be run, found {command[0]!r}.")
    signal.signal(signal.SIGTERM, _leave)
    # A lane of its own: the command may report in any other.
    Worker(Command(command), kinds).run(f"work@{socket.gethostname()}")
