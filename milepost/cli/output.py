"""How figures, tables and errors look on a terminal."""

import json as json_format
import re
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import click
from pydantic import BaseModel
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from milepost import models
from milepost._client import Client
from milepost._job import settings
from milepost.errors import ConfigurationError, MilepostError, TransportError, Unavailable

REFUSED, USAGE, NOT_REACHABLE = 1, 2, 3

P = ParamSpec("P")
R = TypeVar("R")

_COLOURS = {
    "running": "cyan",
    "completed": "green",
    "failed": "red",
    "canceled": "yellow",
    "stalled": "red",
    "lost": "red",
    "late": "yellow",
    "poor": "red",
    "fair": "yellow",
}
_DURATIONS = ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s"))
_NO_ETA = {
    "no_total": "total unknown",
    "no_progress": "no progress yet",
    "paused": "paused",
    "rate_limited": "rate limited",
    "not_started": "not started",
    "stalled": "stalled",
}
_SIZES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))

_WIDTH_OF_A_PIPE = 250

_NEWER_CONTROLS = re.compile(r"[\x7f-\x9f]")
_CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")

as_json = click.option("--json", "json", is_flag=True, help="Print JSON.")


class Failure(click.ClickException):
    """A Milepost error on its way to the terminal: its message and its hint."""

    exit_code = REFUSED

    def __init__(self, error: MilepostError) -> None:
        super().__init__(error.message)
        self._hint = error.hint

    def show(self, file: Any = None) -> None:  # noqa: ANN401 - click's own
        click.echo(f"Error: {plain(self.message)}", err=True)
        if self._hint:
            click.echo(plain(self._hint), err=True)


class Misconfigured(Failure):
    exit_code = USAGE


class NotReachable(Failure):
    exit_code = NOT_REACHABLE


def failure(error: MilepostError) -> Failure:
    """The error as the command line ends with it."""
    if isinstance(error, TransportError | Unavailable):
        return NotReachable(error)
    return (Misconfigured if isinstance(error, ConfigurationError) else Failure)(error)


def with_client(command: Callable[..., R]) -> Callable[..., R]:
    """Gives a command, as its first argument, a client of the server that MILEPOST_URL names."""

    @wraps(command)
    def call(*args: Any, **kwargs: Any) -> R:  # noqa: ANN401
        client = Client(*settings(None, None))
        try:
            return command(client, *args, **kwargs)
        finally:
            client.close()

    return call


def plain(text: str) -> str:
    """The text without what a terminal would obey: no job's message moves its cursor or names its window."""
    return _CONTROLS.sub("", text)


class _Plain(Console):
    """A console that obeys itself only: no control character of what it is to show reaches the terminal."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=plain(segment.text))


def console() -> Console:
    # Made when it is needed, so that it writes to where stdout is then; a pipe has no width to fit into.
    made = _Plain(highlight=False)
    return made if made.is_terminal else _Plain(highlight=False, width=_WIDTH_OF_A_PIPE)


def print_json(value: BaseModel | dict[str, Any] | list[Any]) -> None:
    """One line of JSON with what the server said."""
    if isinstance(value, BaseModel):
        # JSON escapes the older controls by itself; these can only be within its texts.
        click.echo(
            _NEWER_CONTROLS.sub(
                lambda found: f"\\u{ord(found[0]):04x}", value.model_dump_json(exclude_unset=True)
            )
        )
    else:
        click.echo(json_format.dumps(value))


def duration(ms: float | None) -> str:
    """A duration for people: 850 ms, 12 s, 3 min 20 s, 2 h 5 min."""
    if ms is None:
        return "-"
    if ms < 1_000:
        return f"{ms:.0f} ms"
    seconds = round(ms / 1_000)
    for size_s, unit, part_s, part_unit in _DURATIONS:
        if seconds >= size_s:
            whole, part = seconds // size_s, seconds % size_s // part_s
            return f"{whole} {unit} {part} {part_unit}" if part else f"{whole} {unit}"
    return f"{seconds} s"


def size(count: float | None) -> str:
    """Bytes for people."""
    if count is None:
        return "-"
    for limit, unit in _SIZES:
        if count >= limit:
            return f"{count / limit:.1f} {unit}"
    return f"{count:.0f} B"


def rate(per_s: float | None, unit: str | None) -> str:
    return "-" if per_s is None else f"{per_s:,.1f} {unit or 'items'}/s"


def percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} %"


def count(job: models.Job | models.StageProgress | models.WorkerProgress) -> str:
    """Completed of total, and what did not go well."""
    total = "?" if job.items_total is None else f"{job.items_total:,}"
    parts = [f"{job.items_completed:,}/{total}"]
    parts += [f"{job.items_failed:,} failed"] if job.items_failed else []
    parts += [f"{job.items_skipped:,} skipped"] if job.items_skipped else []
    return ", ".join(parts)


def eta(job: models.Job, *, with_range: bool = True) -> str:
    """The time left with its range, or why it is not known."""
    if job.eta_ms is None:
        return _NO_ETA.get(job.eta_reason or "", "-")
    if not with_range or job.eta_low_ms is None or job.eta_high_ms is None:
        return duration(job.eta_ms)
    return f"{duration(job.eta_ms)} ({duration(job.eta_low_ms)} to {duration(job.eta_high_ms)})"


def state(job: models.Job) -> Text:
    """The state, and the liveness where it is not as it should be."""
    words: list[str] = [job.state]
    if job.liveness not in (None, "on_time"):
        words.append(job.liveness or "")
    if job.rate_limited:
        words.append("rate limited")
    return Text(", ".join(words), style=next((_COLOURS[w] for w in reversed(words) if w in _COLOURS), ""))


def moment(value: datetime | None) -> str:
    return "-" if value is None else f"{value.astimezone():%Y-%m-%d %H:%M:%S}"


def table(*columns: str, folded: int | None = None) -> Table:
    """A table whose cells fold where they do not fit; with `folded`, those of that column only."""
    made = Table(box=None, pad_edge=False, header_style="dim")
    for number, column in enumerate(columns):
        made.add_column(column, overflow="fold", no_wrap=folded not in (None, number))
    return made
