"""Reading and controlling jobs."""

from typing import get_args

import click
from click.shell_completion import CompletionItem
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from milepost import models
from milepost._client import Client
from milepost.cli import output
from milepost.cli.completion import complete_job
from milepost.cli.output import as_json, print_json, with_client

# From these columns on there is room for the time left, for the counts, and for the rate and the range.
_LEFT_COLUMNS, _COUNT_COLUMNS, _ALL_COLUMNS = 50, 80, 120

_job = click.argument("job", shell_complete=complete_job)


def _complete_state(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(state) for state in get_args(models.JobState) if state.startswith(incomplete)]


@click.command()
@click.option("--state", help="Only jobs in this state.", shell_complete=_complete_state)
@click.option("--kind", help="Only jobs of this kind.")
@click.option("--search", "q", help="Only jobs whose key or name has this in it.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 200), help="At most so many.")
@as_json
@with_client
def ls(client: Client, state: str | None, kind: str | None, q: str | None, limit: int, json: bool) -> None:
    """List jobs, newest first.

    \b
      milepost ls --state running
      milepost ls --search import --limit 5
      milepost ls --json | jq -r '.jobs[] | select(.liveness == "stalled") | .job'
    """
    page = client.jobs(state=state, kind=kind, q=q, limit=limit)
    if json:
        return print_json(page)
    console = output.console()
    console.print(_list(page.jobs, console.width) if page.jobs else "There are no jobs.")
    if page.next:
        console.print(f"[dim]There are more than {limit}.[/]")


def _list(jobs: list[models.Job], columns: int) -> Table:
    """As many columns as there is room for; a key is never shortened, since it is there to be copied."""
    titles = ["job", "state", "done"]
    titles += ["", "left"] if columns >= _COUNT_COLUMNS else ["left"] if columns >= _LEFT_COLUMNS else []
    titles += ["rate"] if columns >= _ALL_COLUMNS else []
    rows = output.table(*titles, folded=0)
    for job in jobs:
        cells: list[str | Text] = [escape(job.job), output.state(job), output.percent(job.percent_complete)]
        if columns >= _COUNT_COLUMNS:
            cells.append(output.count(job))
        if columns >= _LEFT_COLUMNS:
            cells.append(output.eta(job, with_range=columns >= _ALL_COLUMNS))
        if columns >= _ALL_COLUMNS:
            cells.append(escape(output.rate(job.rate_per_s, job.unit)))
        rows.add_row(*cells)
    return rows


@click.command()
@_job
@as_json
@with_client
def show(client: Client, job: str, json: bool) -> None:
    """Show one job: its figures, stages and workers."""
    found = client.job(job)
    if json:
        return print_json(found)
    show_job(found)


def show_job(job: models.Job) -> None:
    console = output.console()
    facts: dict[str, str | Text] = {
        "job": escape(f"{job.name or job.job} ({job.job})"),
        "id": job.job_id,
        "state": output.state(job),
        "why": escape(job.error or job.state_reason or ""),
        "attempt": f"{job.attempt} of {job.max_attempts}" if job.max_attempts else str(job.attempt),
        "done": f"{output.percent(job.percent_complete)}, {output.count(job)} {escape(job.unit or 'items')}",
        "bytes": output.size(job.bytes_processed) if job.bytes_processed else "",
        "rate": output.rate(job.rate_per_s, job.unit),
        "left": output.eta(job),
        "active for": output.duration(job.time_processing_ms),
        "message": escape(job.message or ""),
        "started": output.moment(job.started_at),
        "last contact": output.moment(job.last_checkpoint_at),
        "finished": output.moment(job.finished_at) if job.finished_at else "",
    }
    rows = output.table("", "")
    rows.show_header = False
    for name, value in facts.items():
        if value:
            rows.add_row(f"[dim]{name}[/]", value)
    console.print(rows)
    if job.stages:
        rows = output.table("stage", "state", "done", "")
        for stage in job.stages:
            done = output.percent(stage.percent_complete)
            rows.add_row(escape(stage.name), stage.state or "", done, output.count(stage))
        console.print("", rows)
    if len(job.workers) > 1:
        rows = output.table("worker", "state", "done", "rate", "last contact")
        for lane in job.workers:
            rate, seen = output.rate(lane.rate_per_s, job.unit), output.moment(lane.last_checkpoint_at)
            rows.add_row(escape(lane.worker), lane.state or "", output.count(lane), rate, seen)
        console.print("", rows)


@click.command()
@_job
@as_json
@with_client
def explain(client: Client, job: str, json: bool) -> None:
    """Say why a job is stalled, slow, waiting or without a finish time.

    \b
      milepost explain nightly-import
      milepost explain nightly-import --json | jq -r '.reasons[].code'
    """
    explanation = client.explain(job)
    if json:
        return print_json(explanation)
    console = output.console()
    console.print(escape(explanation.summary))
    for reason in explanation.reasons:
        # Of a job that has ended nobody asks for a finish time, and a sentence is said once.
        if reason.code == "finished" or reason.message == explanation.summary:
            continue
        console.print(f"  • {escape(reason.message)}")


_reason = click.option("--reason", help="Why, for the people who look at the job.")


@click.command()
@_job
@click.argument("priority", type=click.IntRange(-32_768, 32_767))
@_reason
@as_json
@with_client
def priority(client: Client, job: str, priority: int, reason: str | None, json: bool) -> None:
    """Move a job forward or back in the queue: the greatest priority is claimed first.

    \b
      milepost priority nightly-import 10
      milepost priority --reason "can wait" -- thumbnails -5
    """
    changed = client.set_priority(job, priority, reason)
    if json:
        return print_json(changed)
    output.console().print(f"{escape(changed.job)}: priority {changed.priority}")


def _control(action: str, does: str) -> click.Command:
    @click.command(
        action, help=f"{does}\n\n\b\n  milepost {action} nightly-import --reason 'the disk is full'"
    )
    @_job
    @_reason
    @as_json
    @with_client
    def control(client: Client, job: str, reason: str | None, json: bool) -> None:
        changed = client.control(action, job, reason)
        if json:
            return print_json(changed)
        output.console().print(f"{escape(changed.job)}: ", output.state(changed), sep="")

    return control


pause = _control("pause", "Pause a job: its workers wait where they are.")
resume = _control("resume", "Let a paused job go on.")
cancel = _control("cancel", "Cancel a job: its workers end.")
retry = _control("retry", "Begin a new attempt at a job; a worker of the old one is told to stop.")
