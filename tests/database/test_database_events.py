"""Promise 5: each event raises its job's version by one, and is one message a topic that concerns it."""

import uuid
from collections import Counter
from typing import Any

import pytest
from checkpoint_strategies import deliveries, runs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scratch_database import Database, at

TERMINAL = {"completed", "failed", "canceled"}


def created(database: Database, tenant: str, **fields: Any) -> dict[str, Any]:
    with database.acting("service_role"):
        job: dict[str, Any] = database.call(
            "create_job", caller={"tenant_id": tenant}, job={"job": "job", **fields}
        )["job"]
    return job


def messages(database: Database, job_id: object) -> list[dict[str, Any]]:
    return database.rows(
        "select topic, event, payload, private, extension from realtime.messages "
        "where payload ->> 'job_id' = %s "
        "order by (payload ->> 'version')::int",
        str(job_id),
    )


def assert_gapless(database: Database, tenant: str) -> None:
    job = database.job(tenant)
    events = database.events(job["job_id"])
    assert [event["version"] for event in events] == list(range(1, job["version"] + 1))
    topics = [
        f"job:{job['job_id']}",
        f"tenant:{tenant}",
        *([f"user:{job['owner_id']}"] if job["owner_id"] else []),
    ]
    sent = messages(database, job["job_id"])
    assert Counter((m["topic"], m["payload"]["version"]) for m in sent) == Counter(
        (topic, event["version"]) for topic in topics for event in events
    )
    told = {event["version"]: event for event in events}
    for message in sent:
        event = told[message["payload"]["version"]]
        assert (message["event"], message["private"], message["extension"]) == (
            event["type"],
            True,
            "broadcast",
        )
        assert {k: message["payload"][k] for k in ("type", "correlation_id", "data")} == {
            "type": event["type"],
            "correlation_id": str(event["correlation_id"]),
            "data": event["data"],
        }


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(data=st.data(), owned=st.booleans())
def test_versions_have_no_gap_and_each_event_is_one_message_a_topic_whatever_happens(
    database: Database, tenant: str, data: st.DataObject, owned: bool
) -> None:
    moves = st.sampled_from([None, None, ("pausing", "pause"), ("running", "resume"), ("retrying", "retry")])
    with database.undone():
        owner = str(uuid.uuid4()) if owned else None
        job_id = created(database, tenant, owner_id=owner)["job_id"]
        for second, request in enumerate(data.draw(deliveries(data.draw(runs())))):
            database.record(tenant, *request, seconds=second / 5)
            move = data.draw(moves)
            permitted = database.rows(
                "select from milepost_private.transitions t join milepost.jobs j on j.state = t.prior_state "
                "where j.job_id = %s and t.new_state = %s and t.verb = %s",
                job_id, *(move or (None, None)),
            )  # fmt: skip
            if move and permitted:
                with database.acting("service_role"):
                    database.move(job_id, *move, seconds=second / 5)
        assert_gapless(database, tenant)


def progress(database: Database, tenant: str) -> list[int]:
    """items_completed of each job.progress event."""
    job_id = database.job(tenant)["job_id"]
    return [e["data"]["items_completed"] for e in database.events(job_id) if e["type"] == "job.progress"]


def test_progress_within_250_ms_and_a_point_is_held_back_and_goes_out_with_the_next(
    database: Database, tenant: str
) -> None:
    for second, done in ((0, 0), (0.1, 1), (0.2, 2), (0.25, 3), (0.3, 4), (0.49, 5), (0.5, 6)):
        database.record(
            tenant, {"job": "job", "items_total": 10_000, "items_completed": done}, seconds=second
        )
    assert progress(database, tenant) == [0, 3, 6]
    assert_gapless(database, tenant)


def test_a_point_of_percent_is_told_at_once(database: Database, tenant: str) -> None:
    for second, done in ((0, 0), (0.05, 99), (0.1, 100), (0.15, 199), (0.2, 200)):
        database.record(
            tenant, {"job": "job", "items_total": 10_000, "items_completed": done}, seconds=second
        )
    assert progress(database, tenant) == [0, 100, 200]


def test_a_total_that_becomes_known_is_told_at_once(database: Database, tenant: str) -> None:
    database.record(tenant, {"job": "job", "items_completed": 1}, seconds=0)
    database.record(tenant, {"job": "job", "items_completed": 2}, seconds=0.05)
    database.record(tenant, {"job": "job", "items_completed": 3, "items_total": 10_000}, seconds=0.1)
    assert progress(database, tenant) == [1, 3]


def test_a_tenant_may_choose_its_own_pace(database: Database, tenant: str) -> None:
    database.rows(
        "update milepost.tenants set progress_interval_ms = 2000, progress_step_percent = 10 "
        "where tenant_id = %s",
        tenant,
    )
    for second, done in ((0, 0), (1, 9), (1.9, 10), (2.5, 11), (3.9, 12)):
        database.record(tenant, {"job": "job", "items_total": 100, "items_completed": done}, seconds=second)
    assert progress(database, tenant) == [0, 10, 12]


def test_what_is_held_back_goes_out_with_the_sweep(database: Database, tenant: str) -> None:
    with database.undone():
        for second, done in ((0, 0), (0.1, 1)):
            database.record(
                tenant, {"job": "job", "items_total": 10_000, "items_completed": done}, seconds=second
            )
        assert progress(database, tenant) == [0]
        for _ in range(2):
            with database.acting("service_role"):
                database.one("select milepost.sweep(%s)", at(1))
        assert progress(database, tenant) == [0, 1]
        assert_gapless(database, tenant)


def test_only_progress_is_held_back(database: Database, tenant: str) -> None:
    words: list[dict[str, Any]] = [
        {"items_completed": 1},
        {"items_completed": 2, "stage": {"name": "load", "state": "running", "items_total": 9}},
        {"items_completed": 3, "items": [{"key": "a", "state": "processing"}]},
        {"items_completed": 4, "items": [{"key": "a", "state": "completed"}]},
        {"items_completed": 5, "state": "paused", "reason": "full disk"},
        {"items_completed": 6, "state": "running"},
        {"items_completed": 7, "stage": {"name": "load", "state": "completed"}},
    ]
    for word in words:
        database.record(tenant, {"job": "job", "items_total": 10_000} | word, seconds=0)
    types = [e["type"] for e in database.events(database.job(tenant)["job_id"])]
    assert types == [
        "job.started", "job.state_changed", "job.progress", "stage.changed", "item.changed", "item.changed",
        "job.state_changed", "job.state_changed", "stage.changed",
    ]  # fmt: skip
    assert_gapless(database, tenant)


@pytest.mark.parametrize("state", ["completed", "failed"])
def test_the_terminal_event_carries_the_final_figures(database: Database, tenant: str, state: str) -> None:
    created(database, tenant, max_attempts=1)
    total = {"job": "job", "items_total": 10_000}
    database.record(tenant, total | {"items_completed": 1}, seconds=0)
    database.record(tenant, total | {"items_completed": 42, "state": state, "reason": "enough"}, seconds=0.01)
    job = database.job(tenant)
    last = next(e for e in database.events(job["job_id"]) if e["type"] == f"job.{state}")
    assert (last["data"]["items_completed"], last["data"]["percent_complete"]) == (42, 0.42)
    assert (last["data"]["state"], last["data"]["error"]) == (state, "enough" if state == "failed" else None)


def test_a_change_of_state_says_from_where_to_where_why_and_who(database: Database, tenant: str) -> None:
    database.record(tenant, {"job": "job", "worker": "w1"})
    database.record(tenant, {"job": "job", "worker": "w1", "state": "paused", "reason": "lunch"})
    changes = [
        e["data"] for e in database.events(database.job(tenant)["job_id"]) if e["type"] == "job.state_changed"
    ]
    assert [(c["prior_state"], c["new_state"], c["reason"], c["actor"]) for c in changes] == [
        ("pending", "running", None, "worker:w1"),
        ("running", "paused", "lunch", "worker:w1"),
    ]


def test_events_of_one_request_carry_its_correlation_id(database: Database, tenant: str) -> None:
    sent = str(uuid.uuid4())
    with database.undone():
        database.rows("select set_config('request.headers', %s, true)", f'{{"x-correlation-id": "{sent}"}}')
        database.record(tenant, {"job": "job", "state": "completed"})
        events = database.events(database.job(tenant)["job_id"])
    assert {str(event["correlation_id"]) for event in events} == {sent}
    assert len(events) > 2


def test_the_answer_is_never_older_than_the_events(database: Database, tenant: str) -> None:
    answer = database.record(tenant, {"job": "job", "state": "completed"})
    job = database.job(tenant)
    assert answer["results"][0]["version"] == job["version"] == len(database.events(job["job_id"]))
