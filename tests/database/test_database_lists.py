"""The list's sorts and the figures above it."""

import uuid
from typing import Any

import pytest
from scratch_database import Database, Refused


@pytest.fixture
def member(database: Database, tenant: str) -> str:
    user_id = str(uuid.uuid4())
    database.call("add_member", tenant_id=tenant, user_id=user_id, role="viewer")
    return user_id


def asked(database: Database, user_id: str, function: str, **arguments: object) -> Any:
    named = ", ".join(f'"{name}" => %s' for name in arguments)
    with database.acting("authenticated", user_id):
        return database.one(f"select milepost.{function}({named})", *arguments.values())


def listed(database: Database, user_id: str, **arguments: object) -> list[str]:
    """The keys on all pages, read one by one."""
    keys: list[str] = []
    after = None
    while True:
        page = asked(database, user_id, "search_jobs", **arguments, **({"after": after} if after else {}))
        keys += [job["job"] for job in page["jobs"]]
        after = page["next"]
        if after is None:
            return keys


def running(
    database: Database, tenant: str, job: str, done: int, total: int | None, kind: str = "import"
) -> None:
    """A job that did so much within its first minute, up to now."""
    database.record(tenant, {"job": job, "kind": kind, "items_total": total, "items_completed": 0})
    database.rows(
        "update milepost_private.pulses p set active_at = now() - interval '60 seconds' from milepost.jobs j"
        " where j.job_id = p.job_id and j.tenant_id = %s and j.key = %s",
        tenant,
        job,
    )
    database.record(tenant, {"job": job, "items_completed": done})


def stuck(database: Database, tenant: str, job: str) -> None:
    """A job that has not been heard of for a day."""
    database.record(tenant, {"job": job, "kind": "import", "items_total": 10, "items_completed": 1})
    database.rows(
        "with silent as (update milepost.jobs set last_checkpoint_at = now() - interval '1 day', stall_after_ms = 1000"
        " where tenant_id = %s and key = %s returning job_id)"
        " update milepost_private.pulses p set active_at = now() - interval '1 day' from silent s where s.job_id = p.job_id",
        tenant,
        job,
    )


def test_what_ends_soonest_comes_first_and_what_has_no_finish_time_last(
    database: Database, tenant: str, member: str
) -> None:
    running(database, tenant, "long", 10, 1000)
    running(database, tenant, "endless", 10, None)
    running(database, tenant, "short", 90, 100)
    running(database, tenant, "middle", 50, 100)
    database.record(tenant, {"job": "done", "items_total": 1, "items_completed": 1, "state": "completed"})
    for limit in (50, 2, 1):
        assert listed(database, member, sort="finishing", limit=limit) == [
            "short",
            "middle",
            "long",
            "endless",
        ]


def test_what_needs_somebody_comes_first(database: Database, tenant: str, member: str) -> None:
    stuck(database, tenant, "stuck")
    running(database, tenant, "fine", 50, 100)
    running(database, tenant, "failing", 50, 100)
    database.record(tenant, {"job": "failing", "items_failed": 20})
    running(database, tenant, "paused", 50, 100)
    database.record(tenant, {"job": "paused", "state": "paused"})
    running(database, tenant, "fine too", 50, 100)
    for limit in (50, 2, 1):
        keys = listed(database, member, sort="attention", limit=limit)
        assert keys == ["stuck", "failing", "paused", "fine too", "fine"]


def test_a_sort_keeps_to_the_filter(database: Database, tenant: str, member: str) -> None:
    running(database, tenant, "a", 50, 100, kind="export")
    running(database, tenant, "b", 50, 100)
    assert listed(database, member, sort="attention", kind=["export"]) == ["a"]


def test_every_job_is_on_one_page_of_the_newest(database: Database, tenant: str, member: str) -> None:
    names = [f"job-{n}" for n in range(7)]
    for name in names:
        database.record(tenant, {"job": name})
    assert listed(database, member, limit=3) == names[::-1]


def test_an_unknown_sort_is_refused(database: Database, tenant: str, member: str) -> None:
    for sort in ("oldest", None):
        with pytest.raises(Refused) as refused:
            asked(database, member, "search_jobs", sort=sort)
        assert (refused.value.status, refused.value.code) == (422, "invalid_value")


def test_a_member_of_several_tenants_lists_and_counts_one_or_all(
    database: Database, tenant: str, member: str
) -> None:
    other, stranger = database.tenant("other"), database.tenant("stranger")
    database.call("add_member", tenant_id=other, user_id=member, role="viewer")
    for of, job in ((tenant, "mine"), (other, "other"), (stranger, "secret")):
        database.record(of, {"job": job})
    assert listed(database, member) == ["other", "mine"]
    assert listed(database, member, tenant=tenant) == ["mine"]
    assert listed(database, member, tenant=stranger) == []
    assert asked(database, member, "job_counts")["running"] == 2
    assert asked(database, member, "job_counts", tenant=other)["running"] == 1
    nothing = asked(database, member, "job_counts", tenant=stranger)
    assert nothing == asked(database, member, "job_counts", tenant=str(uuid.uuid4()))
    assert nothing["running"] == 0


def test_the_counts_say_what_runs_waits_is_stuck_and_failed(
    database: Database, tenant: str, member: str
) -> None:
    empty = {"running": 0, "waiting": 0, "paused": 0, "stuck": 0, "failed_24h": 0}
    assert asked(database, member, "job_counts") == empty | {"items_per_s": None, "kinds": []}
    running(database, tenant, "now", 50, 100)
    stuck(database, tenant, "stuck")
    caller = {"tenant_id": tenant}
    with database.acting("service_role"):
        database.call("create_job", caller=caller, job={"job": "later", "kind": "export", "start": False})
        for job in ("failed", "failed long ago"):
            database.call("create_job", caller=caller, job={"job": job, "kind": "export", "max_attempts": 1})
    for job in ("failed", "failed long ago"):
        database.record(tenant, {"job": job, "state": "failed"})
    for state in ("running", "paused"):
        database.record(tenant, {"job": "held", "kind": "export", "state": state})
    database.rows(
        "update milepost.jobs set finished_at = now() - interval '25 hours' where tenant_id = %s and key = %s",
        tenant,
        "failed long ago",
    )
    counts = asked(database, member, "job_counts")
    rate = counts.pop("items_per_s")
    assert 0.5 < rate < 1.5
    assert counts == {"running": 2, "waiting": 1, "paused": 1, "stuck": 1, "failed_24h": 1} | {
        "kinds": [
            {"kind": "export", "running": 0, "waiting": 1, "paused": 1, "stuck": 0, "failed_24h": 1},
            {"kind": "import", "running": 2, "waiting": 0, "paused": 0, "stuck": 1, "failed_24h": 0},
        ]
    }


def test_the_speed_of_all_is_the_sum_of_the_speeds_of_each(
    database: Database, tenant: str, member: str
) -> None:
    """items_per_s writes out what pace_rate and active_clock compute for one job."""
    for job, done, silent_s in (
        ("steady", 50, 0),
        ("quick", 90, 0),
        ("hangs", 30, 400),
        ("ahead of time", 20, -30),
    ):
        running(database, tenant, job, done, 100)
        database.rows(
            "update milepost_private.pulses p set active_at = now() - interval '1 second' * %s from milepost.jobs j"
            " where j.job_id = p.job_id and j.tenant_id = %s and j.key = %s",
            silent_s,
            tenant,
            job,
        )
    running(database, tenant, "nothing yet", 0, 100)
    for state in ("pausing", "paused", "completing", "completed"):
        running(database, tenant, state, 40, 100)
        if state == "pausing":
            with database.acting("service_role"):
                database.call("pause_job", job_id=str(database.job(tenant, state)["job_id"]))
        else:
            database.record(tenant, {"job": state, "state": state})
    with database.acting("authenticated", member):
        shown = database.row(
            "select (milepost.job_counts() ->> 'items_per_s')::float8 as counted,"
            " (milepost.get_system_metrics() ->> 'total_items_per_second')::float8 as measured,"
            " (select sum(p.rate_per_s) from milepost.job_progress p where p.state in ('running', 'completing')) as each,"
            " (select jsonb_object_agg(p.job, p.state) from milepost.job_progress p) as states"
        )
    assert {shown["states"][state] for state in ("pausing", "paused", "completing")} == {
        "pausing",
        "paused",
        "completing",
    }
    assert shown["each"] > 2
    assert shown["counted"] == pytest.approx(shown["each"], rel=1e-9)
    assert shown["measured"] == pytest.approx(shown["each"], rel=1e-9)
