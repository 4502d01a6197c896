"""Who did what: written with the deed, read by operators and admins, changed by nobody, kept for longer than the rest."""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb
from scratch_database import NOON, Database, Refused, Row

People = dict[str, str]


@pytest.fixture(autouse=True)
def _undone(database: Database) -> Iterator[None]:
    with database.undone():
        yield


@pytest.fixture
def people(database: Database, tenant: str) -> People:
    """A member of each role, and an admin of another tenant."""
    members = {role: str(uuid.uuid4()) for role in ("viewer", "operator", "admin", "stranger")}
    for role, user_id in members.items():
        if role == "stranger":
            database.call("add_member", tenant_id=database.tenant("theirs"), user_id=user_id, role="admin")
        else:
            database.call("add_member", tenant_id=tenant, user_id=user_id, role=role)
    return members


def written(database: Database, tenant: str) -> list[Row]:
    return database.rows("select * from milepost.audit where tenant_id = %s order by audit_id", tenant)


def read(database: Database, user_id: str, **arguments: Any) -> list[dict[str, Any]]:
    with database.acting("authenticated", user_id):
        entries: list[dict[str, Any]] = database.call("list_audit", **arguments)["audit"]
    return entries


def test_what_people_do_to_a_job_is_written_with_their_name_and_reason(
    database: Database, tenant: str, people: People
) -> None:
    database.record(tenant, {"job": "job", "items_completed": 1})
    start = len(written(database, tenant))
    with database.acting("authenticated", people["operator"]):
        database.call("pause_job", job_id="job", reason="disk is full")
        database.call("resume_job", job_id="job")
        database.call("set_job_priority", job_id="job", priority=7, reason="hurry")
        database.call("retry_job", job_id="job")
        database.call("cancel_job", job_id="job", reason="enough")
    entries = written(database, tenant)[start:]
    job_id = database.job(tenant)["job_id"]
    assert {(e["actor"], e["job_id"], e["subject"]) for e in entries} == {
        (f"user:{people['operator']}", job_id, "job")
    }
    assert [(e["action"], e["reason"], e["details"]) for e in entries] == [
        ("pause", "disk is full", {"prior_state": "running", "new_state": "pausing", "attempt": 1}),
        ("resume", None, {"prior_state": "pausing", "new_state": "running", "attempt": 1}),
        ("set_priority", "hurry", {"prior_priority": 0, "priority": 7}),
        ("retry", None, {"prior_state": "running", "new_state": "retrying", "attempt": 1}),
        ("cancel", "enough", {"prior_state": "retrying", "new_state": "canceled", "attempt": 2}),
    ]


def test_what_is_refused_or_already_so_and_what_workers_say_is_not_written(
    database: Database, tenant: str, people: People
) -> None:
    before = written(database, tenant)
    database.record(tenant, {"job": "job", "items_completed": 1})
    database.record(tenant, {"job": "job", "state": "completed"})
    with (
        pytest.raises(Refused),
        database.connection.transaction(),
        database.acting("authenticated", people["viewer"]),
    ):
        database.call("retry_job", job_id="job")
    with (
        pytest.raises(Refused),
        database.connection.transaction(),
        database.acting("authenticated", people["operator"]),
    ):
        database.call("pause_job", job_id="job")
    assert written(database, tenant) == before


def test_a_reset_by_the_sweep_is_written_as_the_systems(database: Database, tenant: str) -> None:
    database.record(tenant, {"job": "job", "items_completed": 1}, seconds=0)
    with database.acting("service_role"):
        assert database.call("reset_stuck_jobs", at=NOON + timedelta(days=1))["reset"] == 1
    entry = written(database, tenant)[-1]
    assert (entry["actor"], entry["action"], entry["subject"]) == ("system", "reset", "job")
    assert "nothing was heard of it for" in entry["reason"]


def test_keys_members_and_retention_are_written_and_no_key_is(
    database: Database, tenant: str, people: People
) -> None:
    start = len(written(database, tenant))
    key = database.key(tenant, "worker")
    for _ in range(2):
        database.call("revoke_key", key_id=key.key_id)
    database.call("add_member", tenant_id=tenant, user_id=people["viewer"], role="operator")
    with database.acting("authenticated", people["admin"]):
        database.call("set_retention", tenant_id=tenant, keep_days=90)
    entries = written(database, tenant)[start:]
    assert [(e["action"], e["actor"], e["subject"]) for e in entries] == [
        ("create_key", "system", str(key.key_id)),
        ("revoke_key", "system", str(key.key_id)),
        ("add_member", "system", people["viewer"]),
        ("set_retention", f"user:{people['admin']}", None),
    ]
    assert entries[0]["details"] == {"scope": "worker", "prefix": key.text[:11]}
    assert entries[3]["details"] == {"prior_keep_days": 30, "keep_days": 90}
    assert key.text not in str(entries) and key.key_hash not in str(entries)


def test_members_who_go_and_share_links_are_written_and_no_token_is(
    database: Database, tenant: str, people: People
) -> None:
    database.record(tenant, {"job": "job", "items_completed": 1})
    start = len(written(database, tenant))
    with database.acting("authenticated", people["admin"]):
        share = database.call("share_job", job_id="job", expires_in_s=3600)
        database.call("revoke_share", share_id=share["share_id"])
        database.call("remove_member", tenant_id=tenant, user_id=people["viewer"])
    entries = written(database, tenant)[start:]
    assert {e["actor"] for e in entries} == {f"user:{people['admin']}"}
    assert [(e["action"], e["subject"]) for e in entries] == [
        ("share_job", "job"),
        ("revoke_share", "job"),
        ("remove_member", people["viewer"]),
    ]
    assert entries[0]["details"] == {"share_id": share["share_id"], "expires_at": share["expires_at"]}
    assert share["token"] not in str(entries)


def test_a_deed_that_is_rolled_back_leaves_no_entry(database: Database, tenant: str) -> None:
    before = written(database, tenant)
    with database.undone():
        database.key(tenant, "worker")
        assert len(written(database, tenant)) == len(before) + 1
    assert written(database, tenant) == before


def test_operators_and_admins_read_it_and_nobody_else(
    database: Database, tenant: str, people: People
) -> None:
    database.key(tenant, "ping")
    for role in ("operator", "admin"):
        assert read(database, people[role])[0]["action"] == "create_key"
    assert {entry["tenant_id"] for entry in read(database, people["stranger"])}.isdisjoint({tenant})
    for role in ("viewer", "stranger"):
        with database.acting("authenticated", people[role]):
            assert database.rows("select from milepost.audit where tenant_id = %s", tenant) == []
    with pytest.raises(Refused, match="operator") as refused:
        read(database, people["viewer"])
    assert (refused.value.status, refused.value.code) == (403, "not_allowed")


@pytest.mark.parametrize(("scope", "may"), [("operator", True), ("worker", False)])
def test_an_operator_key_reads_it_and_a_worker_key_does_not(
    database: Database, tenant: str, scope: str, may: bool
) -> None:
    key = database.key(tenant, scope)

    def ask() -> Any:
        with database.acting("service_role"):
            return database.call("call_with_key", key_hash=key.key_hash, rpc="list_audit", args={"limit": 1})

    if may:
        assert ask()["audit"][0]["subject"] == str(key.key_id)
    else:
        with pytest.raises(Refused, match="operator"):
            ask()


@pytest.mark.parametrize("role", ["authenticated", "service_role"])
@pytest.mark.parametrize(
    "change",
    [
        "delete from milepost.audit",
        "update milepost.audit set actor = 'nobody'",
        "truncate milepost.audit",
        "insert into milepost.audit (tenant_id, actor, action) select tenant_id, 'me', 'pause' from milepost.tenants",
    ],
)
def test_nobody_changes_it(database: Database, tenant: str, people: People, role: str, change: str) -> None:
    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege),
        database.connection.transaction(),
        database.acting(role, people["admin"]),
    ):
        database.rows(change)


def test_it_is_read_by_job_also_once_the_job_is_gone_by_action_and_in_pages(
    database: Database, tenant: str, people: People
) -> None:
    for job in ("a", "b"):
        database.record(tenant, {"job": job, "items_completed": 1})
        with database.acting("authenticated", people["admin"]):
            database.call("pause_job", job_id=job)
            database.call("cancel_job", job_id=job)

    def found(**arguments: Any) -> list[tuple[str, str]]:
        return [(e["action"], e["subject"]) for e in read(database, people["admin"], **arguments)]

    assert found(job_id="a") == [("cancel", "a"), ("pause", "a")]
    assert found(action=["pause"]) == [("pause", "b"), ("pause", "a")]
    job_id = str(database.job(tenant, "a")["job_id"])
    database.rows("delete from milepost.jobs where job_id = %s", job_id)
    assert found(job_id=job_id) == [("cancel", "a"), ("pause", "a")]

    everything, after = [], None
    while True:
        with database.acting("authenticated", people["admin"]):
            page = database.one('select milepost.list_audit("limit" => 3, after => %s)', after)
        everything += page["audit"]
        after = page["next"]
        if after is None:
            break
    assert [e["id"] for e in everything] == sorted({e["id"] for e in everything}, reverse=True)
    assert len(everything) == len(written(database, tenant))


def aged(database: Database, tenant: str, days: int) -> None:
    database.rows(
        "insert into milepost.audit (tenant_id, at, actor, action, details) values (%s, %s, 'system', 'pause', %s)",
        tenant,
        NOON - timedelta(days=days),
        Jsonb({"days": days}),
    )


@pytest.mark.parametrize(("keep_days", "kept"), [(30, [31, 364]), (400, [31, 364, 366])])
def test_it_is_kept_for_a_year_or_as_long_as_jobs_if_that_is_longer(
    database: Database, tenant: str, keep_days: int, kept: list[int]
) -> None:
    database.rows("update milepost.tenants set keep_days = %s where tenant_id = %s", keep_days, tenant)
    for days in (31, 364, 366, 401):
        aged(database, tenant, days)
    with database.acting("service_role"):
        done = database.call("purge_history", at=NOON)
    assert done["audit_deleted"] == 4 - len(kept)
    assert [e["details"]["days"] for e in written(database, tenant) if "days" in e["details"]] == kept
