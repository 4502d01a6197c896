"""`milepost run`: tracks any command."""

import logging
import os
import secrets
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

from milepost import _job, _words
from milepost.cli.passthrough import STDERR, STDOUT, Command
from milepost.cli.progress_text import ProgressText

TICK_S = 0.2
# How soon a pause or a cancel is heard where there is nothing to report.
LOOK_S = 2.0
# From asking a command to end until it is made to.
GRACE_S = 10.0
NOT_EXECUTABLE, NOT_FOUND = 126, 127
# Of one that prints faster than it can be read with little effort, the newest.
_MOST_HEARD_BYTES = 65_536
_MAX_ERROR = 1_900
# A command that shows no progress must not pass for a stalled one, and nobody starts it again.
_STALL_AFTER_MS = 24 * 3_600_000


class CommandFailed(Exception):
    """The command could not be started, or ended with another exit status than 0."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class _Output:
    """What the command has printed, read a few times a second rather than in its way."""

    def __init__(self) -> None:
        self._heard = {STDOUT: bytearray(), STDERR: bytearray()}
        self._texts = {STDOUT: ProgressText(), STDERR: ProgressText()}
        self._last = STDOUT

    def hear(self, stream: int, data: bytes) -> None:
        self._heard[stream] += data
        self._last = stream
        if (over := len(self._heard[stream]) - _MOST_HEARD_BYTES) > 0:
            # What is left begins with a line's end, so that half a line is not taken for one.
            del self._heard[stream][: max(over, self._heard[stream].find(b"\n", over))]

    def read(self) -> None:
        for stream, heard in self._heard.items():
            if heard:
                self._texts[stream].feed(bytes(heard))
                heard.clear()
            else:
                self._texts[stream].settle()

    def end(self) -> None:
        self.read()
        for text in self._texts.values():
            text.end()

    @property
    def surest(self) -> ProgressText:
        return max(self._texts.values(), key=lambda text: text.rank)

    @property
    def message(self) -> str | None:
        other = STDOUT if self._last == STDERR else STDERR
        return self._texts[self._last].message or self._texts[other].message

    def error(self) -> str:
        """The last lines of stderr, or of all where they came together."""
        lines = self._texts[STDERR].tail or self._texts[STDOUT].tail
        return "\n".join(lines)[-_MAX_ERROR:]


class _Tracked:
    """A command and the job that follows it. Nothing here waits for the network while the command runs."""

    def __init__(self, command: Command, job: _job.Job) -> None:
        self._command, self._job, self.output = command, job, _Output()
        self._said_n = 0
        self._said: dict[str, object] = {}
        self._ends_by: float | None = None
        self._is_paused = False
        self._looked_at = time.monotonic()

    def run(self) -> int:
        """Until the command ends; returns its exit status."""
        status = self._command.run(self.output.hear, self._tick, TICK_S)
        _leave_at_once_if_told(status)
        self.output.end()
        self._report()
        return status

    @property
    def was_canceled(self) -> bool:
        return self._ends_by is not None

    def _tick(self) -> None:
        self.output.read()
        self._report()
        self._look()
        self._obey()

    def _report(self) -> None:
        if progress := self.output.surest.progress:
            if (more := progress.completed - self._said_n) > 0:
                # Not advance(), which waits and raises for what _obey() does in its own way.
                self._job._lane.add(None, (more, 0, 0, 0, 0))
                self._said_n = progress.completed
            self._say(items_total=progress.total)
            if progress.unit:
                self._say(unit=progress.unit)
        if message := self.output.message:
            self._say(message=message)

    def _say(self, **facts: object) -> None:
        news = {name: value for name, value in facts.items() if self._said.get(name) != value}
        if news:
            self._said |= news
            self._job._say(None, **news)

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked_at >= max(LOOK_S, self._job._lane.interval_s):
            self._looked_at = now
            self._job._lane.ask_for_delivery()
            self._job._wake()

    def _obey(self) -> None:
        """Does what the job was told, without waiting; a newer attempt does not end the command."""
        directive = self._job._lane.directive
        if directive == "cancel" or self.was_canceled:
            self._end()
        elif (directive == "pause") != self._is_paused:
            self._is_paused = directive == "pause"
            if self._is_paused:
                self._command.hold()
            else:
                self._command.let_go()
            self._job._say(None, state="paused" if self._is_paused else "running")

    def _end(self) -> None:
        now = time.monotonic()
        if self._ends_by is None:
            self._ends_by = now + GRACE_S
            self._command.signal(signal.SIGTERM)
        elif now >= self._ends_by:
            self._command.signal(signal.SIGKILL)


def _outcome(status: int) -> str:
    if status > 128:
        try:
            return f"was ended by {signal.Signals(status - 128).name}"
        except ValueError:
            pass
    return f"ended with exit status {status}"


def _leave_at_once_if_told(status: int) -> None:
    """From here on only the last report is waited for; who presses Ctrl-C does not want to."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: os._exit(status))


def _named(command: Sequence[str]) -> str:
    """The program and, where it is no option, what it is to run. Other arguments may be secret."""
    words = [Path(word).name for word in command[:2]]
    return "-".join(words if len(words) > 1 and not command[1].startswith("-") else words[:1])


def _start(command: Sequence[str]) -> Command:
    """Raises CommandFailed with the exit status that a shell would give."""
    try:
        return Command(command)
    except OSError as error:
        status = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
        reason = f"{command[0]} cannot be run: {error.strerror}."
        click.echo(f"milepost: {reason}", err=True)
        raise CommandFailed(status, reason) from None


def _log_beside_the_command() -> None:
    handler = logging.StreamHandler()
    # A terminal in raw mode does not go to the line's beginning by itself.
    handler.terminator = "\r\n" if os.isatty(STDERR) else "\n"
    _words.log.addHandler(handler)


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--job", help="Your key for the job; without it each run is a job of its own.")
@click.option("--kind", help="Groups runs of the same thing; the command's name without it.")
@click.option("--name", help="What people read; the command's name without it.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(job: str | None, kind: str | None, name: str | None, command: tuple[str, ...]) -> None:
    """Run a command and track it as a job.

    \b
      milepost run -- ./backup.sh /srv
      milepost run --job nightly-backup -- rsync --info=progress2 -a /srv /backup
      0 3 * * * milepost run --job nightly-backup -- /usr/local/bin/backup

    The command runs as it does without Milepost: same input, output, terminal, signals and exit status
    (128 + n for signal n, 127 not found, 126 not executable). Progress is read from what it prints:
    percentages, 17/40, 1,234 of 5,678, tqdm's bars. The last line is the job's message; the last lines of
    stderr are the error of a job that fails.

    A cancel ends the command (SIGTERM, after 10 s SIGKILL); while the job is paused it is stopped. Without
    MILEPOST_URL and MILEPOST_KEY, or with the server away, it runs all the same.
    """
    label = _named(command)
    _log_beside_the_command()
    followed = _job.job(
        job or f"{label}-{secrets.token_hex(3)}",
        kind=kind or job or label,
        name=name or label,
        max_attempts=1,
        stall_after_ms=_STALL_AFTER_MS,
    )
    try:
        status = _track(followed, command, label)
    except CommandFailed as error:
        followed._end("failed", str(error))
        status = error.status
    sys.exit(status)


def _track(followed: _job.Job, command: Sequence[str], label: str) -> int:
    try:
        # First of all: nothing is waited for, and no other thread runs in this process yet.
        started = _start(command)
    finally:
        followed._begin(waits=False)
    tracked = _Tracked(started, followed)
    status = tracked.run()
    if tracked.was_canceled:
        followed._end("canceled")
    elif status:
        said = tracked.output.error()
        raise CommandFailed(status, f"{label} {_outcome(status)}" + (f":\n{said}" if said else "."))
    else:
        followed._end("completed")
    return status
