"""`milepost history`: finished jobs, and how they went."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import click
from rich.markup import escape

from milepost import models
from milepost._client import Client
from milepost.cli import output
from milepost.cli.output import as_json, print_json, with_client

Command = TypeVar("Command", bound=Callable[..., Any])

_AGES = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def moment(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """The RFC 3339 time that a date, a time (local without a zone) or an age such as 7d, 12h or 30m means."""
    if value is None:
        return None
    if age := re.fullmatch(r"(\d{1,5})([mhd])", value):
        at = datetime.now(UTC) - int(age[1]) * _AGES[age[2]]
    else:
        try:
            at = datetime.fromisoformat(value).astimezone()
        except (ValueError, OverflowError):
            raise click.BadParameter(
                "expected a date (2026-11-01), a time (2026-11-01T12:00) or an age (7d, 12h, 30m); "
                f"found {value!r}.",
                context,
                parameter,
            ) from None
    return at.isoformat(timespec="milliseconds")


def chosen(command: Command) -> Command:
    """Gives a command the options that choose finished jobs: since, until, kind, state, q."""
    for option in (
        click.option(
            "-q", "--search", "q", help="Only jobs with this text in their key, name, kind or error."
        ),
        click.option(
            "--state",
            multiple=True,
            type=click.Choice(["completed", "failed", "canceled"]),
            help="Only jobs that ended so; may be repeated.",
        ),
        click.option("--kind", multiple=True, help="Only jobs of this kind; may be repeated."),
        click.option("--until", callback=moment, help="Only jobs that ended before then."),
        click.option(
            "--since", callback=moment, help="Only jobs that ended then or later: a date, time or age."
        ),
    ):
        command = option(command)
    return command


@click.command()
@chosen
@click.option(
    "--by",
    type=click.Choice(["hour", "day", "kind"]),
    help="Figures of each instead of the jobs themselves, and the errors they share.",
)
@click.option(
    "--limit", default=50, show_default=True, type=click.IntRange(1, 200), help="At most so many jobs."
)
@as_json
@with_client
def history(client: Client, by: str | None, limit: int, json: bool, **filters: Any) -> None:  # noqa: ANN401
    """List finished jobs, the last one to end first, or say how they went.

    Figures are those of the last 30 days unless --since says otherwise.
    """
    if by is not None:
        stats = client.history(by=by, **filters)
        return print_json(stats) if json else _show_stats(stats)
    page = client.finished_jobs(limit=limit, **filters)
    if json:
        return print_json(page)
    rows = output.table("job", "kind", "state", "ended", "took", "done", "error")
    for job in page.jobs:
        ended, took = output.moment(job.finished_at), output.duration(job.time_processing_ms)
        error = escape((job.error or "").strip().split("\n")[0][:100])
        rows.add_row(
            escape(job.job), escape(job.kind or ""), output.state(job), ended, took, output.count(job), error
        )
    output.console().print(rows if page.jobs else "No job ended so.")
    if page.next:
        output.console().print(f"[dim]There are more than {limit}; milepost export writes them all.[/]")


def _show_stats(stats: models.HistoryStats) -> None:
    console = output.console()
    if not stats.total.runs:
        console.print("No job ended so.")
        return
    first = "kind" if stats.by == "kind" else f"{stats.by} ({stats.zone})"
    headings = [first, "jobs", "failed", "canceled", "median", "p95", "items/s", "items"]
    rows = output.table(*headings, *(["finish time off by"] if stats.by == "kind" else []))
    for group in stats.groups:
        rows.add_row(_name(group, stats.by), *_figures(group), *_accuracy(group, stats.by))
    if len(stats.groups) > 1:
        rows.add_row("[bold]all[/]", *_figures(stats.total))
    console.print(rows)
    if stats.errors:
        rows = output.table("times", "error", "last in")
        for error in stats.errors:
            rows.add_row(f"{error.count:,}", escape(error.pattern or "-"), escape(error.last_job))
        console.print("", rows)


def _name(group: models.HistoryGroup, by: str) -> str:
    if by == "kind":
        return escape(group.kind or "")
    return f"{group.at:%Y-%m-%d %H:%M}" if by == "hour" else f"{group.at:%Y-%m-%d}"


def _figures(figures: models.HistoryFigures) -> list[str]:
    return [
        f"{figures.runs:,}",
        output.percent(None if figures.failure_rate is None else 100 * figures.failure_rate),
        f"{figures.canceled:,}",
        output.duration(figures.duration_p50_ms),
        output.duration(figures.duration_p95_ms),
        "-" if figures.items_per_s_p50 is None else f"{figures.items_per_s_p50:,.1f}",
        f"{figures.items_completed:,}",
    ]


def _accuracy(group: models.HistoryGroup, by: str) -> list[str]:
    if by != "kind":
        return []
    return ["-" if group.eta_accuracy is None else f"{100 * group.eta_accuracy.median_error:.0f} %"]
