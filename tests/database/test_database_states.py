"""The state machine: only what milepost_private.transitions lists happens, and each change is an event."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scratch_database import Database, Refused, at

TERMINAL = ("completed", "canceled", "failed")
AT_WORK = ("running", "completing", "pausing", "canceling")
VERBS = ("pause", "resume", "cancel", "retry")
# Asking for what is there already is no conflict.
MET = {("pause", "pausing"), ("pause", "paused"), ("cancel", "canceling"), ("cancel", "canceled")}


@pytest.fixture(scope="module")
def operator(database: Database) -> tuple[str, str]:
    """A tenant and its operator."""
    tenant, user = database.tenant(), str(uuid.uuid4())
    database.call("add_member", tenant_id=tenant, user_id=user, role="operator")
    return tenant, user


@pytest.fixture(scope="module")
def permitted(database: Database) -> set[tuple[str, str, str]]:
    rows = database.rows("select prior_state, new_state, verb from milepost_private.transitions")
    return {(r["prior_state"], r["new_state"], r["verb"]) for r in rows}


def control(database: Database, user: str, verb: str, reason: str | None = None) -> Any:
    with database.acting("authenticated", user):
        return database.call(f"{verb}_job", job_id="job", reason=reason)


def changes(database: Database, tenant: str) -> list[dict[str, Any]]:
    events = database.events(database.job(tenant)["job_id"])
    return [e["data"] for e in events if e["type"] == "job.state_changed"]


actions = st.one_of(
    st.tuples(
        st.just("report"),
        st.sampled_from("ab"),
        st.sampled_from(["running", "paused", "completing", "completed", "canceled", "failed", None]),
    ),
    st.tuples(st.sampled_from(VERBS), st.none(), st.none()),
    st.tuples(st.just("claim"), st.sampled_from("ab"), st.none()),
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(walk=st.lists(actions, max_size=12), max_attempts=st.integers(1, 3), start=st.booleans())
def test_only_listed_changes_happen_and_each_is_an_event(
    database: Database,
    operator: tuple[str, str],
    permitted: set[tuple[str, str, str]],
    walk: list[tuple[str, str | None, str | None]],
    max_attempts: int,
    start: bool,
) -> None:
    tenant, user = operator
    with database.undone():
        job = {"job": "job", "max_attempts": max_attempts, "start": start, "retry_backoff_ms": 1}
        with database.acting("service_role"):
            database.call("create_job", caller={"tenant_id": tenant}, job=job)
        for verb, worker, state in walk:
            before = database.job(tenant)
            told_before = len(changes(database, tenant))
            if verb == "report":
                assert (
                    database.record(tenant, {"job": "job", "worker": worker, "state": state})["errors"] == []
                )
            elif verb == "claim":
                with database.acting("service_role"):
                    database.call("claim_job", caller={"tenant_id": tenant}, worker=worker)
            else:
                allowed = {v for prior, _, v in permitted if prior == before["state"]} & set(VERBS)
                try:
                    with database.connection.transaction():
                        answer = control(database, user, verb)
                except Refused as refused:
                    assert (refused.status, refused.code) == (409, "invalid_transition")
                    assert verb not in allowed
                    assert refused.details == ", ".join(sorted(allowed))
                    assert database.job(tenant) == before
                else:
                    assert verb in allowed or (verb, before["state"]) in MET
                    assert answer["state"] == database.job(tenant)["state"]
            after, told = database.job(tenant), changes(database, tenant)[told_before:]
            path = [before["state"], *(change["new_state"] for change in told)]
            assert [change["prior_state"] for change in told] == path[:-1]
            assert path[-1] == after["state"]
            for change in told:
                verbs = {
                    v
                    for prior, new, v in permitted
                    if (prior, new) == (change["prior_state"], change["new_state"])
                }
                assert verb in verbs
                assert change["actor"]
                assert "reason" in change
            assert (after["state"] in TERMINAL) == (after["finished_at"] is not None)
            at_work = "select count(*) from milepost.jobs where tenant_id = %s and state = any (%s)"
            load = "select sum(jobs_at_work) from milepost_private.tenant_loads where tenant_id = %s"
            loaded = database.one(load, tenant) or 0
            assert loaded == database.one(at_work, tenant, list(AT_WORK))
            assert after["attempt"] <= after["max_attempts"]
            assert after["attempt"] - before["attempt"] == sum(
                c["new_state"] == "retrying" and verb != "resume" for c in told
            )


def test_every_job_state_can_be_left_by_somebody_or_is_terminal(permitted: set[tuple[str, str, str]]) -> None:
    states = {state for prior, new, _ in permitted for state in (prior, new)}
    assert {state for state in states if not any(prior == state for prior, _, _ in permitted)} == {
        "completed"
    }


def test_a_job_is_completed_when_every_lane_of_the_attempt_has_said_so(
    database: Database, tenant: str
) -> None:
    database.record(tenant, {"job": "job", "worker": "a"}, {"job": "job", "worker": "b"})
    database.record(tenant, {"job": "job", "worker": "a", "state": "completed"})
    assert database.job(tenant)["state"] == "running"
    database.record(tenant, {"job": "job", "worker": "b", "state": "completed"})
    assert database.job(tenant)["state"] == "completed"


def test_a_job_waits_for_as_many_lanes_as_were_declared(database: Database, tenant: str) -> None:
    database.call("create_job", caller={"tenant_id": tenant}, job={"job": "job", "workers_expected": 2})
    database.record(tenant, {"job": "job", "worker": "a", "state": "completed"})
    assert database.job(tenant)["state"] == "running"
    database.record(tenant, {"job": "job", "worker": "b", "state": "completed"})
    assert database.job(tenant)["state"] == "completed"


def test_lanes_of_an_older_attempt_are_not_waited_for(database: Database, tenant: str) -> None:
    database.record(tenant, {"job": "job", "worker": "a"}, {"job": "job", "worker": "b"})
    database.move(database.job(tenant)["job_id"], "retrying", "retry")
    database.record(tenant, {"job": "job", "worker": "a", "attempt": 2, "state": "completed"})
    assert database.job(tenant)["state"] == "completed"


@pytest.mark.parametrize(
    ("verb", "acknowledgement", "asked", "done", "directive"),
    [
        ("pause", "paused", "pausing", "paused", "pause"),
        ("cancel", "canceled", "canceling", "canceled", "cancel"),
    ],
)
def test_pause_and_cancel_are_asked_and_acknowledged_in_the_name_of_who_asked(
    database: Database,
    operator: tuple[str, str],
    verb: str,
    acknowledgement: str,
    asked: str,
    done: str,
    directive: str,
) -> None:
    tenant, user = operator
    with database.undone():
        database.record(tenant, {"job": "job"})
        assert control(database, user, verb, "a reason")["state"] == asked
        assert database.record(tenant, {"job": "job"})["results"][0]["directive"] == directive
        database.record(tenant, {"job": "job", "state": acknowledgement})
        job = database.job(tenant)
    assert (job["state"], job["state_reason"], job["state_actor"]) == (done, "a reason", f"user:{user}")


def test_asking_twice_is_harmless(database: Database, operator: tuple[str, str]) -> None:
    tenant, user = operator
    with database.undone():
        database.record(tenant, {"job": "job"})
        for _ in range(2):
            assert control(database, user, "pause")["state"] == "pausing"
        database.record(tenant, {"job": "job", "state": "paused"})
        version = database.job(tenant)["version"]
        assert control(database, user, "pause")["state"] == "paused"
        assert database.job(tenant)["version"] == version


def test_a_worker_that_was_paused_by_a_person_does_not_go_on_by_itself(
    database: Database, operator: tuple[str, str]
) -> None:
    tenant, user = operator
    with database.undone():
        database.record(tenant, {"job": "job"})
        control(database, user, "pause")
        database.record(tenant, {"job": "job", "state": "paused"})
        (result,) = database.record(tenant, {"job": "job", "state": "running"})["results"]
        assert (result["state"], result["directive"]) == ("paused", "pause")
        assert control(database, user, "resume")["state"] == "running"


def test_a_retry_fences_the_old_worker_at_once(database: Database, operator: tuple[str, str]) -> None:
    tenant, user = operator
    with database.undone():
        database.record(tenant, {"job": "job", "attempt": 1})
        answer = control(database, user, "retry", "by hand")
        assert (answer["state"], answer["attempt"]) == ("retrying", 2)
        (result,) = database.record(tenant, {"job": "job", "attempt": 1})["results"]
        assert result["directive"] == "stop"


def processing_ms(database: Database, tenant: str, seconds: float) -> int:
    ms: int = database.figures(tenant, seconds)["time_processing_ms"]
    return ms


@pytest.mark.parametrize("waiting", ["paused", "retrying"])
def test_the_clock_stands_still_while_a_job_is_paused_or_waits(
    database: Database, tenant: str, waiting: str
) -> None:
    move: Callable[..., None] = database.move
    database.record(tenant, {"job": "job", "state": "running"}, seconds=0)
    job_id = database.job(tenant)["job_id"]
    assert processing_ms(database, tenant, 10) == 10_000
    if waiting == "paused":
        move(job_id, "pausing", "pause", seconds=10)
        # It still works until it says that it has stopped.
        assert processing_ms(database, tenant, 12) == 12_000
        database.record(tenant, {"job": "job", "state": "paused"}, seconds=12)
    else:
        move(job_id, "retrying", "retry", seconds=12)
    assert processing_ms(database, tenant, 5_000) == 12_000
    move(job_id, "running", "resume" if waiting == "paused" else "claim", seconds=5_000)
    assert processing_ms(database, tenant, 5_003) == 15_000
    database.record(tenant, {"job": "job", "state": "completed"}, seconds=5_004)
    assert processing_ms(database, tenant, 99_999) == 16_000


def test_reports_in_a_pause_do_not_move_the_clock(database: Database, tenant: str) -> None:
    database.record(tenant, {"job": "job", "state": "running"}, seconds=0)
    database.record(tenant, {"job": "job", "state": "paused"}, seconds=10)
    for second in (20, 30, 40):
        database.record(tenant, {"job": "job", "message": "still here"}, seconds=second)
    assert processing_ms(database, tenant, 50) == 10_000


def test_a_clock_that_goes_back_takes_nothing_away(database: Database, tenant: str) -> None:
    database.record(tenant, {"job": "job", "state": "running"}, seconds=0)
    database.record(tenant, {"job": "job"}, seconds=10)
    database.record(tenant, {"job": "job"}, seconds=5)
    assert processing_ms(database, tenant, 10) == 10_000


def test_time_to_start_is_the_time_before_the_first_run(database: Database, tenant: str) -> None:
    caller = {"tenant_id": tenant, "received_at": at(0)}
    database.call("create_job", caller=caller, job={"job": "job", "start": False})
    assert database.figures(tenant, 60)["time_processing_ms"] is None
    database.call("claim_job", caller=caller | {"received_at": at(90)})
    figures = database.figures(tenant, 100)
    assert (figures["time_to_start_ms"], figures["time_processing_ms"]) == (90_000, 10_000)
