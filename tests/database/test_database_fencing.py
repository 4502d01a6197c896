"""Promise 3: what an older attempt says changes nothing, and a new attempt begins where the cursors stood."""

from typing import Any

import pytest
from scratch_database import Database, at

COUNTS = ("items_completed", "items_failed", "items_skipped", "items_canceled", "bytes_processed")


def report(completed: int, **fields: Any) -> dict[str, Any]:
    return {"job": "job", "items_completed": completed, **fields}


def counts(row: dict[str, Any]) -> tuple[int, ...]:
    return tuple(row[name] for name in COUNTS)


def retried(database: Database, tenant: str) -> dict[str, Any]:
    """A job in its second attempt, which a worker has claimed."""
    database.record(tenant, report(5, seq=0, cursor={"offset": 5}, items_total=10), seconds=0)
    database.record(tenant, report(8, seq=1, items_failed=1), seconds=1)
    database.move(database.job(tenant)["job_id"], "retrying", "retry", seconds=2)
    claimed: dict[str, Any] = claim(database, tenant, 3)
    return claimed


def claim(database: Database, tenant: str, seconds: float) -> Any:
    with database.acting("service_role"):
        return database.call(
            "claim_job", caller={"tenant_id": tenant, "received_at": at(seconds)}, worker="main"
        )


def test_what_an_older_attempt_says_changes_no_row_and_is_answered_stop(
    database: Database, tenant: str
) -> None:
    retried(database, tenant)
    before = database.everything()
    late = {
        "attempt": 1, "seq": 9, "state": "failed", "message": "late", "cursor": 9, "items_total": 99,
        "stage": {"name": "load", "items_completed": 1},
        "items": [{"key": "a", "state": "failed"}], "metadata": {"a": 1},
    }  # fmt: skip
    answer = database.record(tenant, report(9, **late), report(9, attempt=1, worker="unheard"), seconds=9)
    assert database.everything() == before
    (result,) = answer["results"]
    assert (result["accepted"], result["duplicates"], result["directive"]) == (0, 0, "stop")
    assert (result["attempt"], result["state"], result["version"]) == (
        2,
        "running",
        database.job(tenant)["version"],
    )
    assert [(e["index"], e["code"]) for e in answer["errors"]] == [(0, "stale_attempt"), (1, "stale_attempt")]


def test_an_attempt_that_has_not_begun_is_refused_and_changes_nothing(
    database: Database, tenant: str
) -> None:
    database.record(tenant, report(5))
    before = database.everything()
    answer = database.record(tenant, report(6, attempt=2), {"job": "unheard", "attempt": 2})
    assert [(e["index"], e["code"]) for e in answer["errors"]] == [
        (0, "unknown_attempt"),
        (1, "unknown_attempt"),
    ]
    assert answer["results"] == []
    assert database.everything() == before


def test_a_current_worker_beside_a_stale_one_goes_on(database: Database, tenant: str) -> None:
    retried(database, tenant)
    answer = database.record(tenant, report(99, attempt=1, seq=7), report(6, attempt=2, seq=0))
    assert answer["results"][0]["directive"] == "continue"
    assert answer["results"][0]["accepted"] == 1
    assert database.job(tenant)["items_completed"] == 6


def test_a_new_attempt_puts_lanes_back_to_their_counts_at_their_last_cursor(
    database: Database, tenant: str
) -> None:
    claimed = retried(database, tenant)
    assert counts(database.job(tenant)) == (5, 0, 0, 0, 0)
    assert claimed["attempt"] == 2
    assert claimed["cursors"] == {"main": {"offset": 5}}
    (worker,) = claimed["workers"]
    assert counts(worker) == (5, 0, 0, 0, 0)


def test_a_lane_without_a_cursor_begins_anew(database: Database, tenant: str) -> None:
    database.record(tenant, report(5, worker="a", cursor=1), report(7, worker="b"))
    database.move(database.job(tenant)["job_id"], "retrying", "retry")
    lanes = database.lanes(database.job(tenant)["job_id"])
    assert (lanes["a"]["items_completed"], lanes["b"]["items_completed"]) == (5, 0)
    assert database.job(tenant)["items_completed"] == 5


def test_a_cursor_that_is_taken_back_commits_nothing(database: Database, tenant: str) -> None:
    database.record(tenant, report(5, seq=0, cursor=5, stage={"name": "load", "items_completed": 5}))
    database.record(tenant, report(6, seq=1, cursor=None))
    database.move(database.job(tenant)["job_id"], "retrying", "retry")
    job = database.job(tenant)
    assert job["items_completed"] == 0
    assert database.stages(job["job_id"])["load"]["items_completed"] == 0
    assert database.lanes(job["job_id"])["main"]["cursor"] is None


@pytest.mark.parametrize(
    "batches",
    [[[0, 1, 2]], [[2, 1, 0]], [[0], [2], [1]], [[2], [1], [0]], [[0, 2], [1]], [[1], [0, 2]]],
    ids=str,
)
def test_a_late_cursor_commits_what_was_counted_before_it_and_no_more(
    database: Database, tenant: str, batches: list[list[int]]
) -> None:
    def stage(done: int) -> dict[str, Any]:
        return {"name": "load", "items_completed": done, "items_failed": done // 4}

    said = [
        report(4, seq=0, stage=stage(4), bytes_processed=40),
        report(7, seq=1, cursor="here"),
        report(9, seq=2, stage=stage(9), bytes_processed=90),
    ]
    for batch in batches:
        database.record(tenant, *(said[n] for n in batch))
    database.move(database.job(tenant)["job_id"], "retrying", "retry")
    job = database.job(tenant)
    assert counts(job) == (7, 0, 0, 0, 40)
    assert counts(database.stages(job["job_id"])["load"]) == (4, 1, 0, 0, 0)


def test_a_late_cursor_of_a_new_attempt_commits_what_that_attempt_began_with(
    database: Database, tenant: str
) -> None:
    stage = {"name": "load", "items_completed": 5}
    database.record(tenant, report(5, seq=0, stage=stage, cursor="first"))
    job_id = database.job(tenant)["job_id"]
    database.move(job_id, "retrying", "retry", seconds=1)
    database.record(tenant, report(9, attempt=2, seq=1, stage=stage | {"items_completed": 9}))
    database.record(tenant, {"job": "job", "attempt": 2, "seq": 0, "cursor": "second"})
    database.move(job_id, "retrying", "retry", seconds=2)
    assert database.job(tenant)["items_completed"] == 5
    assert database.stages(job_id)["load"]["items_completed"] == 5


def test_a_new_attempt_puts_items_in_processing_back_and_keeps_what_is_settled(
    database: Database, tenant: str
) -> None:
    states = ("pending", "processing", "completed", "failed", "skipped", "canceled")
    items = [{"key": state, "state": state, "percent": 50} for state in states]
    database.record(tenant, {"job": "job", "items": items, "cursor": 1})
    database.move(database.job(tenant)["job_id"], "retrying", "retry")
    found = {key: item["state"] for (_, key), item in database.items(database.job(tenant)["job_id"]).items()}
    assert found == {state: "pending" if state == "processing" else state for state in states}
    assert database.items(database.job(tenant)["job_id"])["", "processing"]["percent"] is None


def test_a_failure_begins_the_next_attempt_while_attempts_are_left(database: Database, tenant: str) -> None:
    database.record(tenant, report(5, cursor=5), seconds=0)
    answer = database.record(tenant, report(6, state="failed", reason="disk full"), seconds=1)
    job = database.job(tenant)
    assert (job["state"], job["attempt"], job["state_reason"]) == ("retrying", 2, "disk full")
    assert (job["finished_at"], job["error"], job["items_completed"]) == (None, None, 5)
    # The attempt that said so is over.
    assert answer["results"][0]["directive"] == "stop"


def test_one_lanes_failure_stops_the_others(database: Database, tenant: str) -> None:
    database.record(tenant, report(5, worker="a", attempt=1), report(5, worker="b", attempt=1))
    database.record(tenant, report(6, worker="a", attempt=1, state="failed"))
    answer = database.record(tenant, report(7, worker="b", attempt=1))
    assert [e["code"] for e in answer["errors"]] == ["stale_attempt"]
    assert answer["results"][0]["directive"] == "stop"


def test_a_failure_is_final_once_the_attempts_are_used_up(database: Database, tenant: str) -> None:
    database.call("create_job", caller={"tenant_id": tenant}, job={"job": "job", "max_attempts": 2})
    database.record(tenant, report(1, attempt=1, state="failed", reason="first"))
    database.record(tenant, report(2, attempt=2))
    answer = database.record(tenant, report(3, attempt=2, state="failed", reason="second"))
    job = database.job(tenant)
    assert (job["state"], job["attempt"], job["error"]) == ("failed", 2, "second")
    assert job["finished_at"] is not None
    assert answer["results"][0]["directive"] == "stop"


def test_counts_that_arrive_after_the_end_still_count_and_change_no_state(
    database: Database, tenant: str
) -> None:
    stage = {"name": "load", "items_completed": 3}
    database.record(tenant, report(3, seq=1, items_total=9, stage=stage, state="completed"), seconds=0)
    before = database.job(tenant)
    answer = database.record(
        tenant,
        report(4, seq=0, worker="late", state="failed"),
        report(5, seq=2, stage=stage | {"items_completed": 4}),
        seconds=1,
    )
    job = database.job(tenant)
    assert answer["errors"] == []
    assert (job["state"], job["finished_at"], job["attempt"]) == ("completed", before["finished_at"], 1)
    assert job["items_completed"] == 9
    (load,) = database.stages(job["job_id"]).values()
    assert (load["state"], load["items_completed"]) == ("completed", 4)


@pytest.mark.parametrize(
    ("attempt", "expected_ms"),
    [(2, 10_000), (3, 20_000), (4, 40_000), (8, 640_000), (9, 900_000), (30, 900_000), (2**31 - 1, 900_000)],
)
def test_the_wait_before_an_attempt_doubles_up_to_15_minutes_with_a_fifth_of_jitter(
    database: Database, attempt: int, expected_ms: int
) -> None:
    waits = [r["ms"] for r in database.rows(
        "select milepost_private.backoff_ms(10000, %s) as ms from generate_series(1, 200)", attempt
    )]  # fmt: skip
    assert 0.8 * expected_ms <= min(waits) < max(waits) <= 1.2 * expected_ms
    assert max(waits) - min(waits) > 0.3 * expected_ms


def test_a_job_that_failed_waits_before_it_can_be_claimed_and_one_that_was_retried_does_not(
    database: Database, tenant: str
) -> None:
    database.call("create_job", caller={"tenant_id": tenant}, job={"job": "job", "retry_backoff_ms": 60_000})
    database.record(tenant, report(1, state="failed"), seconds=10)
    wait_s = database.one(
        "select extract(epoch from run_after - state_changed_at) from milepost.jobs where tenant_id = %s",
        tenant,
    )
    assert 48 <= wait_s <= 72

    assert claim(database, tenant, 10) is None
    assert claim(database, tenant, 11 + float(wait_s))["attempt"] == 2
    database.move(database.job(tenant)["job_id"], "retrying", "retry", seconds=200)
    assert claim(database, tenant, 200)["attempt"] == 3
