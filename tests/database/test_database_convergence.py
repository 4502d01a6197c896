"""Promise 1: any order, repetition and batching of the same checkpoints leaves the same picture."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from checkpoint_model import COUNTS, Picture, next_attempt, picture
from checkpoint_strategies import deliveries, runs
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from scratch_database import Database

EXAMPLES = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
FEWER_EXAMPLES = settings(EXAMPLES, max_examples=100)
ENDED = ("completed", "canceled")


@pytest.fixture(scope="module")
def database(new_database: Callable[[], Database]) -> Database:
    return new_database()


@pytest.fixture(scope="module")
def tenant(database: Database) -> str:
    return database.tenant()


def counts_of(row: dict[str, Any], prefix: str = "") -> dict[str, int]:
    names = {
        name: prefix + name.removeprefix("items_").removesuffix("_processed") if prefix else name
        for name in COUNTS
    }
    return {name: row[column] for name, column in names.items()}


def expected(whole: Picture) -> dict[str, Any]:
    return {
        "job": whole.counts() | {"items_total": whole.total()},
        "facts": whole.facts,
        "lanes": {
            name: {
                **part.counts,
                "items_total": part.items_total,
                "worker_items_total": part.worker_items_total,
                "state": part.state,
                "cursor": part.cursor,
                "at_cursor": part.at_cursor,
            }
            for name, part in whole.lanes.items()
        },
        "stages": {
            name: {
                **whole.stage_counts(name),
                "items_total": whole.stage_total(name),
                "weight": whole.stage_weight(name),
            }
            for name in whole.stage_names()
        },
        "items": {
            name: {field: word[field] for field in ("state", "percent", "error", "worker")}
            for name, word in whole.items.items()
        },
    }


def found(database: Database, tenant: str, facts: Iterable[str]) -> dict[str, Any]:
    job = database.job(tenant)
    told = job | {"rate_limited_until": job["rate_limited_until"] and job["rate_limited_until"].isoformat()}
    return {
        "job": counts_of(job) | {"items_total": job["items_total"]},
        "facts": {name: told[name] for name in facts},
        "lanes": {
            name: {
                **counts_of(lane),
                **{field: lane[field] for field in ("items_total", "worker_items_total", "state", "cursor")},
                "at_cursor": counts_of(lane, "cursor_"),
            }
            for name, lane in database.lanes(job["job_id"]).items()
        },
        "stages": {
            name: counts_of(stage) | {"items_total": stage["items_total"], "weight": stage["weight"]}
            for name, stage in database.stages(job["job_id"]).items()
        },
        "items": {
            name: {field: item[field] for field in ("state", "percent", "error", "worker")}
            for name, item in database.items(job["job_id"]).items()
        },
    }


def sums(database: Database, tenant: str) -> tuple[list[dict[str, Any]], ...]:
    job_id = database.job(tenant)["job_id"]
    # Not its version of the row, nor what is no sum.
    jobs = database.rows(
        f"select {', '.join(COUNTS)}, items_total, has_stages, stages_total, "
        "round(stages_percent::numeric, 3) as percent "
        "from milepost.jobs where job_id = %s",
        job_id,
    )
    stages = database.rows(
        f"select name, {', '.join(COUNTS)}, items_total, counts_reported from milepost.stages "
        "where job_id = %s order by name",
        job_id,
    )
    return jobs, stages


@EXAMPLES
@given(st.data())
def test_any_order_repetition_and_batching_of_the_same_checkpoints_leaves_the_same_picture(
    database: Database, tenant: str, data: st.DataObject
) -> None:
    checkpoints = data.draw(runs())
    assume(checkpoints)
    whole = picture(checkpoints)
    with database.undone():
        for seconds, request in enumerate(data.draw(deliveries(checkpoints))):
            answer = database.record(tenant, *request, seconds=seconds)
            assert answer["errors"] == []
            incremental = sums(database, tenant)
            database.rows("select milepost_private.sum_job(%s)", database.job(tenant)["job_id"])
            assert sums(database, tenant) == incremental
        assert found(database, tenant, whole.facts) == expected(whole)


@FEWER_EXAMPLES
@given(st.data())
def test_a_new_attempt_counts_on_from_the_cursors_whatever_the_order_before_and_after(
    database: Database, tenant: str, data: st.DataObject
) -> None:
    first, second = data.draw(runs()), [c | {"attempt": 2} for c in data.draw(runs())]
    assume(first and not any(c.get("state") in ENDED for c in first))
    begun = next_attempt(picture(first))
    with database.undone():
        for request in data.draw(deliveries(first)):
            database.record(tenant, *request, seconds=0)
        database.move(database.job(tenant)["job_id"], "retrying", "retry", seconds=1)
        assert found(database, tenant, []) == expected(begun) | {"facts": {}}

        # What the first attempt still says arrives in between, and changes nothing.
        for seconds, request in enumerate(data.draw(deliveries([*second, *first[:3]]))):
            answer = database.record(tenant, *request, seconds=2 + seconds)
            assert {e["code"] for e in answer["errors"]} <= {"stale_attempt"}
        incremental = sums(database, tenant)
        database.rows("select milepost_private.sum_job(%s)", database.job(tenant)["job_id"])
        assert sums(database, tenant) == incremental
        assert found(database, tenant, []) == expected(picture(second, begun)) | {"facts": {}}
