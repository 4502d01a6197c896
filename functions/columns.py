"""Checkpoints as columns: what the database reads several times faster than objects, where there are many.

`milepost_private.said` (sql/schema/45_said.sql) reads both shapes.
"""

from collections.abc import Sequence
from typing import Any

from pydantic_core import to_json

_WHOLE_NUMBERS = {
    "attempt",
    "seq",
    "items_total",
    "worker_items_total",
    "items_completed",
    "items_failed",
    "items_skipped",
    "items_canceled",
    "bytes_processed",
    "processing_deadline_ms",
}
# Of these, null says something else than leaving it out.
_MAY_BE_NULL = {
    "message",
    "items_total",
    "worker_items_total",
    "cursor",
    "rate_limited_until",
    "processing_deadline_ms",
}


def columns(entries: list[dict[str, Any]]) -> bytes:
    """Valid checkpoints as JSON: a column for each field that one of them has, and the lane of each."""
    lanes: dict[tuple[str, str], int] = {}
    numbers = [
        lanes.setdefault((entry["job"], entry.get("worker", "main")), len(lanes) + 1) for entry in entries
    ]
    made: dict[str, Any] = {
        "jobs": [job for job, _ in lanes],
        "workers": [worker for _, worker in lanes],
        "lane": _array(numbers),
    }
    nulls: dict[str, str] = {}
    for name in set().union(*entries) - {"job", "worker"}:
        column = [entry.get(name) for entry in entries]
        made[name] = _array(column) if name in _WHOLE_NUMBERS else column
        if name in _MAY_BE_NULL and None in column:
            said = [place for place, entry in enumerate(entries, 1) if entry.get(name, 0) is None]
            nulls |= {name: _array(said)} if said else {}
    return to_json({**made, "nulls": nulls})


def _array(numbers: Sequence[int | None]) -> str:
    """As Postgres writes an array, whose NULL may be in lower case."""
    return "{" + to_json(numbers)[1:-1].decode() + "}"
