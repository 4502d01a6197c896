"""`milepost export`: finished jobs as a file, before they are dropped."""

import csv
import json as json_format
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import click
from rich.console import Console

from milepost._client import Client
from milepost.cli.history import chosen
from milepost.cli.output import with_client

Row = dict[str, Any]

COLUMNS = {
    "jobs": """
        job_id job kind name unit tenant_id owner_id state state_reason liveness health attempt
        max_attempts priority version percent_complete items_total items_completed items_failed
        items_skipped items_canceled items_pending bytes_processed rate_per_s bytes_per_s
        average_duration_ms_per_item eta_ms eta_low_ms eta_high_ms estimated_completion_at
        eta_reason time_to_start_ms time_processing_ms rate_limited rate_limited_until
        processing_deadline_ms current_stage message error created_at started_at last_checkpoint_at
        last_progress_at finished_at run_after stages workers cursor cursors metadata
    """,
    "events": """
        job_id job id version type ts correlation_id data
    """,
    "checkpoints": """
        job_id job worker attempt seq at received_at state items_total items_completed items_failed
        items_skipped items_canceled bytes_processed batch stages message has_cursor job_done
        job_total traceparent
    """,
    "items": """
        job_id job key stage state percent duration_ms payload error worker attempt updated_at
    """,
}
# What a spreadsheet takes for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 - the wide ones too
_SAID_EVERY = 200


@click.command()
@chosen
@click.option("--format", "shape", default="jsonl", show_default=True, type=click.Choice(["jsonl", "csv"]))
@click.option(
    "--what", default="jobs", show_default=True, type=click.Choice(list(COLUMNS)), help="Of these jobs."
)
@click.option(
    "-o",
    "--output",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file instead of stdout.",
)
@with_client
def export(client: Client, shape: str, what: str, path: Path | None, **filters: Any) -> None:  # noqa: ANN401
    """Write all finished jobs with all their fields, or what is kept of them, a line each.

    JSON lines, or CSV (RFC 4180) in which a text that a spreadsheet would take for a formula has an
    apostrophe before it. A file appears only once it is whole; an export that broke off is simply run again.
    """
    rows = _rows(client, what, filters)
    if path is None:
        for _ in _write(sys.stdout, shape, what, rows):
            pass
        return
    with _whole(path) as file, Console(stderr=True).status("Exporting") as status:
        count = 0
        for count in _write(file, shape, what, rows):
            if count % _SAID_EVERY == 0:
                status.update(f"Exporting: {count:,}")
    click.echo(f"{count:,} {what} exported to {path}.", err=True)


def _rows(client: Client, what: str, filters: dict[str, Any]) -> Iterator[Row]:
    for job in client.all_finished_jobs(**filters):
        if what == "jobs":
            yield job
        else:
            of = {"job_id": job["job_id"], "job": job["job"]}
            yield from (of | row for row in client.all_of_job(job["job_id"], what))


def _write(file: TextIO, shape: str, what: str, rows: Iterator[Row]) -> Iterator[int]:
    """Writes the rows; says after each how many there are."""
    write = _lines(file) if shape == "jsonl" else _records(file, COLUMNS[what].split())
    for count, row in enumerate(rows, 1):
        write(row)
        yield count


def _lines(file: TextIO) -> Callable[[Row], object]:
    return lambda row: file.write(json_format.dumps(row, ensure_ascii=False) + "\n")


def _records(file: TextIO, columns: list[str]) -> Callable[[Row], object]:
    table = csv.writer(file)
    table.writerow(columns)
    return lambda row: table.writerow([_cell(row.get(column)) for column in columns])


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return json_format.dumps(value, ensure_ascii=False)
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


@contextmanager
def _whole(path: Path) -> Iterator[TextIO]:
    """A file that takes its name once all of it is written, and is gone if that fails."""
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            yield file
        part.replace(path)
    except OSError as error:
        raise click.FileError(str(path), error.strerror or str(error)) from None
    finally:
        part.unlink(missing_ok=True)
