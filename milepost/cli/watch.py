"""`milepost watch`: live bars."""

from collections.abc import Iterable
from enum import Enum
from typing import Any

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table

from milepost import models
from milepost._client import Client
from milepost.cli import output
from milepost.cli.feed import follow
from milepost.cli.output import as_json, print_json, with_client


@click.command()
@click.argument("job", required=False)
@as_json
@with_client
def watch(client: Client, job: str | None, json: bool) -> None:
    """Follow a job until it ends, or all active ones until Ctrl-C.

    Ends with exit code 1 when the job failed or was canceled.
    """
    # What cannot be reached at all, or is not there, is said at once.
    if job is None:
        client.jobs(limit=1)
    else:
        client.job(job)
    changes = follow(job, on_status=say_trouble)
    console = output.console()
    try:
        if console.is_terminal and not json:
            last = draw(console, changes)
        else:
            last = print_changes(changes, Shape.JSON if json else Shape.LINES)
    except KeyboardInterrupt:
        return
    if job is not None and last[0].state != "completed":
        raise click.exceptions.Exit(output.REFUSED)


def say_trouble(status: Any) -> None:  # noqa: ANN401 - milepost._follow's own, imported late
    if status.state == "unreachable":
        click.echo(f"{status.reason} Trying again.", err=True)


class Shape(Enum):
    """How changes are said where nothing can be drawn."""

    LINES = "a line each"
    JSON = "JSON, a line each"
    NOTHING = "not at all"


def draw(console: Console, changes: Iterable[list[models.Job]]) -> list[models.Job]:
    jobs: list[models.Job] = []
    with Live(console=console, auto_refresh=False) as live:
        for jobs in changes:
            live.update(picture(jobs), refresh=True)
    return jobs


def print_changes(changes: Iterable[list[models.Job]], shape: Shape) -> list[models.Job]:
    """Says each job that changed. Returns the jobs as they were last."""
    jobs: list[models.Job] = []
    said: dict[str, str] = {}
    for jobs in changes:
        for job in jobs:
            news = job.model_dump_json(
                include={"version", "state", "items_completed", "items_failed", "message"}
            )
            if said.get(job.job_id) == news:
                continue
            said[job.job_id] = news
            if shape is Shape.JSON:
                print_json(job)
            elif shape is Shape.LINES:
                done = f"{output.percent(job.percent_complete)}  {output.count(job)}"
                rate, left = output.rate(job.rate_per_s, job.unit), output.eta(job)
                click.echo(f"{job.job}  {output.state(job)}  {done}  {rate}  left: {left}")
    return jobs


def picture(jobs: list[models.Job]) -> RenderableType:
    """Bars of the jobs; of a single one, its stages too."""
    if not jobs:
        return "No job is active."
    rows = Table.grid(padding=(0, 2))
    for job in jobs:
        rate = output.rate(job.rate_per_s, job.unit)
        if job.bytes_per_s:
            rate += f", {output.size(job.bytes_per_s)}/s"
        bar, done = (
            _bar(job.percent_complete, job.state in ("running", "completing")),
            output.percent(job.percent_complete),
        )
        rows.add_row(
            escape(job.job), output.state(job), bar, done, output.count(job), rate, f"left: {output.eta(job)}"
        )
        for stage in job.stages if len(jobs) == 1 else ():
            bar = _bar(stage.percent_complete, stage.state == "running")
            done = output.percent(stage.percent_complete)
            rows.add_row(
                f"[dim]  {escape(stage.name)}[/]", stage.state or "", bar, done, output.count(stage), "", ""
            )
    message = jobs[0].message if len(jobs) == 1 else None
    return Group(rows, f"[dim]{escape(message)}[/]") if message else rows


def _bar(percent: float | None, moving: bool) -> ProgressBar:
    return ProgressBar(total=100, completed=percent or 0, width=30, pulse=percent is None and moving)
