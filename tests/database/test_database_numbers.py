"""Promises 2 and 11: never backwards, never beyond, and 100 % only where all is settled."""

from typing import Any

import pytest
from checkpoint_strategies import runs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scratch_database import Database, Row


@pytest.mark.parametrize(
    ("counts", "percent", "total", "pending"),
    [
        ({"items_total": 100, "items_completed": 50, "items_failed": 2, "items_skipped": 1}, 51.0, 100, 47),
        ({"items_total": 500, "items_completed": 495, "items_failed": 5}, 99.0, 500, 0),
        ({"items_total": 256, "items_completed": 252, "items_failed": 4}, 98.4375, 256, 0),
        ({"items_total": 252, "items_completed": 256}, 100.0, 256, 0),
        ({"items_total": 252, "items_completed": 252, "items_failed": 4}, 98.4375, 256, 0),
        ({"items_total": 10, "items_completed": 5, "items_canceled": 5}, 50.0, 10, 0),
        ({"items_total": 10, "items_completed": 4, "items_skipped": 6}, 100.0, 10, 0),
        ({"items_total": 10**9, "items_completed": 10**9 - 1}, 99.9999, 10**9, 1),
        ({"items_total": 0}, 100.0, 0, 0),
        ({"items_total": 0, "items_failed": 1}, 0.0, 1, 0),
        ({"items_completed": 7}, None, None, None),
        ({"items_total": None, "items_completed": 7}, None, None, None),
        ({"items_total": 2**63 - 1, "items_completed": 2**63 - 2}, 99.9999, 2**63 - 1, 1),
    ],
    ids=str,
)
def test_counts_come_to_the_percent_that_everybody_shares(
    database: Database, tenant: str, counts: dict[str, Any], percent: float, total: int, pending: int
) -> None:
    answer = database.record(tenant, {"job": "job", **counts})
    shown = database.shown(tenant)
    assert shown["percent_complete"] == percent
    assert answer["results"][0]["percent_complete"] == percent
    assert shown["items_total"] == total
    # Differences of numbers near 2^63 are not exact in a double.
    assert shown["items_pending"] == (pytest.approx(pending, abs=2048) if total == 2**63 - 1 else pending)


def test_a_finished_run_with_failures_stays_below_100_percent(database: Database, tenant: str) -> None:
    database.record(
        tenant,
        {"job": "job", "items_total": 500, "items_completed": 495, "items_failed": 5, "state": "completed"},
    )
    shown = database.shown(tenant)
    assert (shown["state"], shown["percent_complete"], shown["eta_ms"]) == ("completed", 99.0, None)
    assert shown["eta_reason"] == "finished"


def test_a_run_that_ends_without_ever_knowing_its_total_has_what_it_did_as_total(
    database: Database, tenant: str
) -> None:
    database.record(tenant, {"job": "job", "items_completed": 3, "items_failed": 1, "state": "completed"})
    shown = database.shown(tenant)
    assert (shown["percent_complete"], shown["items_total"], shown["items_pending"]) == (75.0, 4, 0)


def test_an_unknown_total_has_no_finish_time_and_says_why(database: Database, tenant: str) -> None:
    for second in range(30):
        database.record(tenant, {"job": "job", "items_completed": second}, seconds=second)
    figures = database.figures(tenant, 30)
    assert (figures["eta_ms"], figures["eta_reason"]) == (None, "no_total")
    assert figures["rate_per_s"] == pytest.approx(1, rel=0.2)


def test_no_speed_is_shown_before_any_time_has_passed(database: Database, tenant: str) -> None:
    database.record(
        tenant, {"job": "job", "items_total": 9, "items_completed": 3, "bytes_processed": 5}, seconds=0
    )
    figures = database.figures(tenant, 0)
    assert figures["average_duration_ms_per_item"] is None
    assert figures["rate_per_s"] is None
    assert figures["bytes_per_s"] is None


def test_the_total_is_the_greatest_that_the_lanes_said_last(database: Database, tenant: str) -> None:
    database.record(
        tenant,
        {"job": "job", "worker": "a", "items_total": 10},
        {"job": "job", "worker": "b", "items_total": 7},
    )
    assert database.job(tenant)["items_total"] == 10
    database.record(tenant, {"job": "job", "worker": "a", "items_total": 5})
    assert database.job(tenant)["items_total"] == 7
    database.record(
        tenant,
        {"job": "job", "worker": "a", "items_total": None},
        {"job": "job", "worker": "b", "items_total": None},
    )
    assert database.job(tenant)["items_total"] is None


def test_shares_add_up_until_somebody_knows_the_whole(database: Database, tenant: str) -> None:
    database.record(
        tenant,
        {"job": "job", "worker": "a", "worker_items_total": 10, "items_completed": 5},
        {"job": "job", "worker": "b", "worker_items_total": 30, "items_completed": 5},
    )
    assert database.shown(tenant)["percent_complete"] == 25.0
    database.record(tenant, {"job": "job", "worker": "b", "items_total": 100})
    assert database.shown(tenant)["percent_complete"] == 10.0


def test_a_total_given_at_creation_stands_until_a_lane_says_one(database: Database, tenant: str) -> None:
    database.call("create_job", caller={"tenant_id": tenant}, job={"job": "job", "items_total": 50})
    database.record(tenant, {"job": "job", "worker_items_total": 10, "items_completed": 5})
    assert database.shown(tenant)["percent_complete"] == 10.0
    database.record(tenant, {"job": "job", "items_total": 20})
    assert database.shown(tenant)["percent_complete"] == 25.0


def test_the_percent_of_weighted_stages_is_their_weighted_mean(database: Database, tenant: str) -> None:
    stages = [
        {"name": "load", "items_total": 10, "items_completed": 10, "weight": 1},
        {"name": "denoise", "items_total": 10, "items_completed": 5, "weight": 3},
    ]
    database.record(tenant, {"job": "job", "stage": stages})
    shown = database.shown(tenant)
    assert shown["percent_complete"] == 62.5
    assert (shown["items_total"], shown["items_completed"], shown["items_pending"]) == (20, 15, 5)


@pytest.mark.parametrize("order", [[0, 1], [1, 0]], ids=["in order", "late"])
def test_a_stages_weight_is_what_the_greatest_seq_said(
    database: Database, tenant: str, order: list[int]
) -> None:
    said = [
        {"job": "job", "seq": seq, "stage": {"name": "load", "weight": weight}}
        for seq, weight in ((0, 3), (1, 5))
    ]
    for n in order:
        database.record(tenant, said[n])
    assert database.stages(database.job(tenant)["job_id"])["load"]["weight"] == 5


@pytest.mark.parametrize("weight", [0, 1e-12])
def test_a_stage_that_hardly_counts_still_keeps_the_job_below_100_percent(
    database: Database, tenant: str, weight: float
) -> None:
    stages = [
        {"name": "load", "items_total": 10, "items_completed": 10, "weight": 1_000_000},
        {"name": "denoise", "items_total": 10, "items_completed": 9, "weight": weight},
    ]
    database.record(tenant, {"job": "job", "stage": stages})
    assert 99.99 <= database.shown(tenant)["percent_complete"] < 100
    database.record(tenant, {"job": "job", "stage": stages[1] | {"items_completed": 10}})
    assert database.shown(tenant)["percent_complete"] == 100


def test_a_stage_that_runs_without_a_total_leaves_the_percent_unknown(
    database: Database, tenant: str
) -> None:
    stages = [
        {"name": "load", "items_total": 10, "items_completed": 10},
        {"name": "check", "items_completed": 3},
    ]
    database.record(tenant, {"job": "job", "stage": stages})
    assert database.shown(tenant)["percent_complete"] is None


def test_stages_that_end_without_a_total_do_not_make_100_percent_of_a_job_that_has_one(
    database: Database, tenant: str
) -> None:
    database.record(tenant, {"job": "job", "items_total": 5, "stage": {"name": "load"}})
    assert database.shown(tenant)["percent_complete"] is None
    database.record(tenant, {"job": "job", "state": "completed"})
    shown = database.shown(tenant)
    assert (shown["items_pending"], shown["percent_complete"]) == (5, 99.9999)


def test_stages_that_completed_do_not_make_100_percent_of_a_job_with_failures_of_its_own(
    database: Database, tenant: str
) -> None:
    stage = {"name": "load", "state": "completed"}
    database.record(tenant, {"job": "job", "items_completed": 5, "items_failed": 1, "stage": stage})
    assert database.shown(tenant)["percent_complete"] == 99.9999


def test_a_jobs_bytes_are_its_stages_until_a_lane_reports_some_of_its_own(
    database: Database, tenant: str
) -> None:
    database.record(tenant, {"job": "job", "stage": {"name": "load", "bytes_processed": 100}})
    assert database.job(tenant)["bytes_processed"] == 100
    database.record(tenant, {"job": "job", "bytes_processed": 70})
    assert database.job(tenant)["bytes_processed"] == 70
    database.record(tenant, {"job": "job", "bytes_processed": 80})
    assert database.job(tenant)["bytes_processed"] == 80


def test_items_are_counted_where_nobody_reports_counts(database: Database, tenant: str) -> None:
    def file(key: str, state: str) -> dict[str, Any]:
        return {"job": "job", "items": [{"key": key, "state": state}]}

    database.record(tenant, {"job": "job", "items_total": 4}, file("a", "processing"), file("b", "failed"))
    assert database.shown(tenant)["percent_complete"] == 0.0
    database.record(tenant, file("a", "completed"), file("b", "completed"))
    shown = database.shown(tenant)
    assert (shown["items_completed"], shown["items_failed"], shown["percent_complete"]) == (2, 0, 50.0)


def test_counts_that_are_reported_stand_beside_items(database: Database, tenant: str) -> None:
    items = [{"key": str(n), "state": "completed"} for n in range(5)]
    database.record(tenant, {"job": "job", "items_total": 10, "items_completed": 1, "items": items})
    assert database.shown(tenant)["items_completed"] == 1


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(checkpoints=runs(), ended=st.booleans())
def test_whatever_is_said_the_percent_stays_between_0_and_100_and_lanes_never_count_back(
    database: Database, tenant: str, checkpoints: list[dict[str, Any]], ended: bool
) -> None:
    with database.undone():
        before: dict[str, dict[str, Any]] = {}
        for second, checkpoint in enumerate(checkpoints):
            if ended:
                checkpoint = checkpoint | {"state": "completed"}
            database.record(tenant, checkpoint, seconds=second)
            shown = database.shown(tenant)
            settled = sum(shown[f"items_{state}"] for state in ("completed", "failed", "skipped", "canceled"))
            if shown["percent_complete"] is not None:
                assert 0 <= shown["percent_complete"] <= 100
            if shown["items_pending"] is not None:
                assert shown["items_pending"] >= 0
                assert shown["items_total"] >= min(settled, 2**63 - 1)
            if shown["percent_complete"] == 100:
                assert shown["items_failed"] == shown["items_canceled"] == 0 or settled >= 10**14
                assert shown["items_pending"] in (0, None)
            lanes = database.lanes(shown["job_id"])
            for name, lane in before.items():
                assert lanes[name]["items_completed"] >= lane["items_completed"]
                assert lanes[name]["bytes_processed"] >= lane["bytes_processed"]
            before = lanes


def worker_of(database: Database, tenant: str) -> Row:
    job_id = database.job(tenant)["job_id"]
    worker: Row = database.one(
        "select milepost_private.lane_json(l) from milepost.lanes l where l.job_id = %s", job_id
    )
    return worker


@pytest.mark.parametrize("by_stage", [False, True], ids=["counts", "stages"])
def test_what_a_worker_had_done_at_first_contact_says_nothing_of_its_speed(
    database: Database, tenant: str, by_stage: bool
) -> None:
    def say(done: int, second: int, **more: object) -> None:
        counts = {"items_completed": done}
        said = {"stage": {"name": "load", **counts}} if by_stage else counts
        database.record(tenant, {"job": "job", **said, **more}, seconds=second)

    say(10_000, 0)
    assert worker_of(database, tenant)["rate_per_s"] is None
    say(10_020, 10, cursor={"offset": 10_020})
    assert worker_of(database, tenant)["rate_per_s"] == pytest.approx(2)
    # The next attempt's speed is its own; what was not committed was not done.
    say(90_000, 15)
    say(90_000, 20, state="failed")
    database.record(tenant, {"job": "job", "attempt": 2}, seconds=3_600)
    assert worker_of(database, tenant)["rate_per_s"] is None
    say(10_050, 3_610)
    assert worker_of(database, tenant)["rate_per_s"] == pytest.approx(3)
