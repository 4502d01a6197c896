"""Columns say the same as the checkpoints that they were made of."""

import json
from typing import Any

from checkpoint_strategies import Checkpoint, runs
from hypothesis import HealthCheck, given, settings
from psycopg.types.json import Jsonb
from scratch_database import Database

from functions.columns import columns

EVERYTHING: Checkpoint = {
    "job": 'a "job", {of} ours',
    "worker": "w\\1",
    "attempt": 2,
    "seq": 2**63 - 1,
    "at": "2026-11-22T01:02:03.123Z",
    "state": "failed",
    "reason": "null",
    "message": "NULL, {1,2}",
    "items_total": 0,
    "worker_items_total": 3,
    "items_completed": 4,
    "items_failed": 5,
    "items_skipped": 6,
    "items_canceled": 7,
    "bytes_processed": 8,
    "batch": {"items": 1, "duration_ms": 2.5},
    "stage": [{"name": "load"}],
    "items": [{"key": "k", "state": "failed"}],
    "cursor": [{"offset": 10**30}, "ä", 0.1],
    "rate_limited_until": "2026-11-22T01:02:03Z",
    "processing_deadline_ms": 9,
    "metadata": {"owner": None},
    "kind": "csv",
    "name": "n",
    "unit": "u",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
}
NULLS: Checkpoint = {"job": "b"} | dict.fromkeys(set(EVERYTHING) - {"job", "worker"})


def said(database: Database, body: dict[str, Any]) -> list[dict[str, Any]]:
    rows = database.rows("select * from milepost_private.said(%s) order by n", Jsonb(body))
    # Lanes are told apart in both shapes, and numbered in each as it is read.
    first: dict[int, int] = {}
    return [row | {"lane": first.setdefault(row["lane"], row["n"])} for row in rows]


def agree(database: Database, checkpoints: list[Checkpoint]) -> None:
    one_by_one = said(database, {"checkpoints": checkpoints})
    assert len(one_by_one) == len(checkpoints)
    assert said(database, {"columns": json.loads(columns(checkpoints))}) == one_by_one


def test_every_field_is_the_same_in_columns_and_in_objects(database: Database) -> None:
    agree(database, [EVERYTHING, {"job": "b"}, NULLS, EVERYTHING | {"worker": "main"}, {"job": "b"}])


def test_a_field_that_nobody_names_has_no_column(database: Database) -> None:
    assert set(json.loads(columns([{"job": "a"}]))) == {"jobs", "workers", "lane", "nulls"}
    agree(database, [{"job": "a"}, {"job": "a"}])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(checkpoints=runs())
def test_any_run_is_the_same_in_columns_and_in_objects(
    database: Database, checkpoints: list[Checkpoint]
) -> None:
    agree(database, checkpoints)
