"""`milepost watch`: live bars."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import Enum

import click
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from milepost import models
from milepost._client import Client
from milepost.cli import output
from milepost.cli.completion import complete_job
from milepost.cli.feed import ACTIVE, follow
from milepost.cli.output import as_json, print_json, with_client

INTERRUPTED = 130
# From these columns on there is room for the bar, for the counts, and for the rate and the range.
_BAR_COLUMNS, _COUNT_COLUMNS, _ALL_COLUMNS = 60, 80, 140
_NARROWEST_NAME = 8

Change = models.Job | str


@click.command()
@click.argument("jobs", nargs=-1, metavar="[JOB]...", shell_complete=complete_job)
@as_json
@with_client
def watch(client: Client, jobs: tuple[str, ...], json: bool) -> None:
    """Follow jobs until they end, or all active ones until Ctrl-C.

    \b
      milepost watch                              all that is active
      milepost watch nightly-import thumbnails    these two
      milepost watch nightly-import && ./publish  once it has completed
      milepost watch --json | jq .job             each change of a job as a line of JSON

    Ends with exit code 0 when all of them completed, 1 when one failed or was canceled.
    """
    # What cannot be reached at all, or is not there, is said at once.
    for job in jobs:
        client.job(job)
    if not jobs:
        client.jobs(limit=1)
    console = output.console()
    changes = follow(jobs)
    try:
        if console.is_terminal and not json:
            last = draw(console, changes, keeps_ended=bool(jobs))
        else:
            last = print_changes(changes, Shape.JSON if json else Shape.LINES)
    except KeyboardInterrupt:
        raise click.exceptions.Exit(INTERRUPTED if jobs else 0) from None
    if any(job.state != "completed" for job in last):
        raise click.exceptions.Exit(output.REFUSED)


class Shape(Enum):
    """How changes are said where nothing can be drawn."""

    LINES = "a line each"
    JSON = "JSON, a line each"
    NOTHING = "not at all"


def draw(console: Console, changes: Iterable[Change], *, keeps_ended: bool = True) -> list[models.Job]:
    """Bars that move, and above them what happened. Returns the jobs as they were last."""
    jobs: dict[str, models.Job] = {}

    def bars() -> RenderableType:
        shown = [job for job in jobs.values() if keeps_ended or job.state in ACTIVE]
        return picture(shown, console.width, console.height)

    # Drawn at most so often, however many changes come.
    with Live(console=console, get_renderable=bars, refresh_per_second=8) as live:
        for change in changes:
            if isinstance(change, str):
                live.console.print(Text(change, style="yellow"))
                continue
            for line in news(jobs.get(change.job_id), change):
                live.console.print(Text(f"{datetime.now():%H:%M:%S}  {change.job}  ", style="dim") + line)
            jobs[change.job_id] = change
        live.refresh()
    return list(jobs.values())


def news(before: models.Job | None, job: models.Job) -> Iterator[Text]:
    """What happened between two pictures of a job, in words."""
    if before is None:
        return
    if (before.state, before.liveness, before.rate_limited) != (job.state, job.liveness, job.rate_limited):
        line = output.state(job)
        if job.state not in ACTIVE:
            line += f" after {output.duration(job.time_processing_ms)}, {output.count(job)}"
        why = job.error if job.state == "failed" else job.state_reason
        yield line + (f": {why}" if why else "")
    if job.items_failed > before.items_failed and job.state in ACTIVE:
        yield Text(f"{job.items_failed - before.items_failed:,} more failed", style="red")
    stages = {stage.name: stage.state for stage in before.stages}
    for stage in job.stages:
        if stage.state and stage.state != stages.get(stage.name, "pending"):
            yield Text(f"{stage.name} {stage.state}")


def print_changes(changes: Iterable[Change], shape: Shape) -> list[models.Job]:
    """Says each job that changed. Returns the jobs as they were last."""
    jobs: dict[str, models.Job] = {}
    said: dict[str, str] = {}
    for job in changes:
        if isinstance(job, str):
            click.echo(job, err=True)
            continue
        jobs[job.job_id] = job
        seen = job.model_dump_json(include={"version", "state", "items_completed", "items_failed", "message"})
        if said.get(job.job_id) == seen:
            continue
        said[job.job_id] = seen
        if shape is Shape.JSON:
            print_json(job)
        elif shape is Shape.LINES:
            done = f"{output.percent(job.percent_complete)}  {output.count(job)}"
            rate, left = output.rate(job.rate_per_s, job.unit), output.eta(job)
            click.echo(f"{job.job}  {output.state(job)}  {done}  {rate}  left: {left}")
    return list(jobs.values())


def picture(jobs: list[models.Job], columns: int, lines: int) -> RenderableType:
    """Bars of the jobs, as many and as wide as there is room; of a single one, its stages and message too."""
    if not jobs:
        return "Waiting for active jobs."
    shown = jobs[: max(1, lines - 2)]
    rows = [_cells(job, columns) for job in shown]
    if len(jobs) == 1:
        rows += [_stage_cells(stage, columns) for stage in jobs[0].stages]
    parts: list[RenderableType] = [_grid(rows, columns)]
    if len(jobs) > len(shown):
        parts.append(Text(f"and {len(jobs) - len(shown)} more", style="dim"))
    if len(jobs) == 1 and jobs[0].message:
        parts.append(Text(jobs[0].message, style="dim", no_wrap=True, overflow="ellipsis"))
    return Group(*parts)


def _grid(rows: list[list[RenderableType]], columns: int) -> Table:
    """Only the names are shortened where it becomes narrow."""
    gap = 1 if columns < _COUNT_COLUMNS else 2
    grid = Table.grid(padding=(0, gap))
    count = max(map(len, rows))
    widths = [max(_width(row[place]) for row in rows if place < len(row)) for place in range(count)]
    room = max(_NARROWEST_NAME, columns - sum(widths[1:]) - gap * (count - 1))
    grid.add_column(no_wrap=True, overflow="ellipsis", width=min(widths[0], room))
    for width in widths[1:]:
        grid.add_column(no_wrap=True, overflow="ellipsis", width=width)
    for row in rows:
        grid.add_row(*row)
    return grid


def _width(cell: RenderableType) -> int:
    return cell.width or 0 if isinstance(cell, ProgressBar) else cell_len(str(cell))


def _cells(job: models.Job, columns: int) -> list[RenderableType]:
    cells: list[RenderableType] = [Text(job.job), output.state(job)]
    if columns >= _BAR_COLUMNS:
        cells.append(_bar(job.percent_complete, job.state in ("running", "completing"), columns))
    cells.append(output.percent(job.percent_complete))
    if columns >= _COUNT_COLUMNS:
        cells.append(output.count(job))
    if columns >= _ALL_COLUMNS:
        rate = output.rate(job.rate_per_s, job.unit)
        cells.append(rate + (f", {output.size(job.bytes_per_s)}/s" if job.bytes_per_s else ""))
    if job.state in ACTIVE:
        cells.append(output.eta(job, with_range=columns >= _ALL_COLUMNS))
    return cells


def _stage_cells(stage: models.StageProgress, columns: int) -> list[RenderableType]:
    cells: list[RenderableType] = [Text(f"  {stage.name}", style="dim"), Text(stage.state or "", style="dim")]
    if columns >= _BAR_COLUMNS:
        cells.append(_bar(stage.percent_complete, stage.state == "running", columns))
    cells.append(output.percent(stage.percent_complete))
    if columns >= _COUNT_COLUMNS:
        cells.append(output.count(stage))
    return cells


def _bar(percent: float | None, moving: bool, columns: int) -> ProgressBar:
    width = min(30, columns // 6)
    return ProgressBar(total=100, completed=percent or 0, width=width, pulse=percent is None and moving)
