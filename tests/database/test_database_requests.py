"""Promise 4: what was answered 2xx is kept, what was refused is named, and no request is half done."""

import uuid
from typing import Any

import psycopg
import pytest
from scratch_database import Database, Refused, at

CONTACT = {"last_checkpoint_at"}


def report(job: str, completed: int, **fields: Any) -> dict[str, Any]:
    return {"job": job, "items_completed": completed, **fields}


def test_refused_entries_are_named_by_their_place_and_the_others_are_kept(
    database: Database, tenant: str
) -> None:
    unknown = str(uuid.uuid4())
    database.record(tenant, report("b", 1))
    answer = database.record(
        tenant, report("a", 1), report(unknown, 2), report("b", 3, attempt=2), report("a", 4), report("c", 5)
    )
    assert [(e["index"], e["code"]) for e in answer["errors"]] == [
        (1, "job_not_found"),
        (2, "unknown_attempt"),
    ]
    assert [(r["job"], r["accepted"]) for r in answer["results"]] == [("a", 2), ("c", 1)]
    assert [database.job(tenant, job)["items_completed"] for job in "abc"] == [4, 1, 5]
    for error in answer["errors"]:
        assert error["message"] and error["hint"]


def test_places_are_those_in_the_clients_request_where_others_were_refused_before(
    database: Database, tenant: str
) -> None:
    body = {
        "caller": {"tenant_id": tenant},
        "checkpoints": [report("a", 1), report(str(uuid.uuid4()), 1)],
        "indexes": [3, 17],
    }
    with database.acting("service_role"):
        answer = database.one("select milepost.record_checkpoints(%s)", psycopg.types.json.Jsonb(body))
    assert [e["index"] for e in answer["errors"]] == [17]


def test_an_id_that_no_job_of_the_tenant_has_creates_none(database: Database, tenant: str) -> None:
    other = database.tenant()
    database.record(other, report("theirs", 1))
    absent, foreign = str(uuid.uuid4()), str(database.job(other, "theirs")["job_id"])
    answers = [database.record(tenant, report(job, 9)) for job in (absent, foreign)]
    for answer, job in zip(answers, (absent, foreign), strict=True):
        assert answer["results"] == []
        assert [(e["index"], e["code"]) for e in answer["errors"]] == [(0, "job_not_found")]
        answer["errors"][0]["message"] = answer["errors"][0]["message"].replace(job, "")
    assert answers[0] == answers[1]
    assert database.rows("select from milepost.jobs where tenant_id = %s", tenant) == []
    assert database.job(other, "theirs")["items_completed"] == 1


def test_a_request_that_is_sent_again_is_counted_as_repeated_and_changes_nothing(
    database: Database, tenant: str
) -> None:
    request = [
        report("job", 3, seq=1, stage={"name": "load", "items_completed": 1, "items_total": 3}, cursor=3),
        report("job", 5, seq=2, items=[{"key": "a", "state": "completed"}], message="two", items_total=9),
        report("job", 2, seq=1, worker="b", state="running"),
    ]
    first = database.record(tenant, *request, seconds=0)
    tables = [
        f"milepost{name}"
        for name in (".items", ".stages", ".checkpoints", "_private.stage_lanes", "_private.item_tallies")
    ]
    before, lanes, job = (
        database.everything(tables),
        database.lanes(database.job(tenant)["job_id"]),
        database.job(tenant),
    )
    again = database.record(tenant, *request, seconds=1)
    assert [(r["accepted"], r["duplicates"]) for r in (first["results"][0], again["results"][0])] == [
        (3, 0),
        (0, 3),
    ]
    assert database.everything(tables) == before
    for name, lane in database.lanes(job["job_id"]).items():
        assert {k: v for k, v in lane.items() if k not in CONTACT} == {
            k: v for k, v in lanes[name].items() if k not in CONTACT
        }
    changed = {name for name, value in database.job(tenant).items() if value != job[name]}
    assert changed <= CONTACT | {"version"}


def test_a_request_that_is_repeated_after_the_end_changes_nothing(database: Database, tenant: str) -> None:
    request = report("job", 3, seq=1, stage={"name": "load", "items_completed": 3}, state="completed")
    database.record(tenant, request, seconds=0)
    before = database.everything(["milepost.stages"]), database.job(tenant)["state"]
    answer = database.record(tenant, request, seconds=1)
    assert (answer["results"][0]["duplicates"], answer["results"][0]["state"]) == (1, "completed")
    assert (database.everything(["milepost.stages"]), database.job(tenant)["state"]) == before


def test_an_entry_is_repeated_within_one_request_too(database: Database, tenant: str) -> None:
    (result,) = database.record(tenant, report("job", 1, seq=4), report("job", 1, seq=4))["results"]
    assert (result["accepted"], result["duplicates"]) == (1, 1)
    assert database.one("select count(*) from milepost.checkpoints where job_id = %s", result["job_id"]) == 1


def test_entries_without_seq_are_ordered_by_arrival(database: Database, tenant: str) -> None:
    database.record(
        tenant, report("job", 1, items_failed=1), report("job", 2, items_failed=0, message="second")
    )
    database.record(
        tenant, report("job", 3, items_failed=4), report("job", 3, seq=99), report("job", 3, items_failed=2)
    )
    job = database.job(tenant)
    assert (job["items_completed"], job["items_failed"], job["message"]) == (3, 2, "second")
    assert database.lanes(job["job_id"])["main"]["seq"] == 101


def test_an_unexpected_error_undoes_the_whole_request(database: Database, tenant: str) -> None:
    database.record(tenant, report("a", 1))
    before = database.everything()
    with pytest.raises(psycopg.errors.CheckViolation):
        database.record(tenant, report("a", 2), report("new", 1), report("c", 3, state="no such state"))
    assert database.everything() == before


@pytest.mark.parametrize("apart_s", [0, 0.1])
def test_checkpoints_that_follow_closely_are_kept_while_the_total_is_unknown(
    database: Database, tenant: str, apart_s: float
) -> None:
    database.record(tenant, report("job", 1), seconds=0)
    database.record(tenant, report("job", 2), seconds=apart_s)
    assert database.job(tenant)["items_completed"] == 2


def test_a_key_records_for_its_own_tenant_only(database: Database, tenant: str) -> None:
    other = database.tenant()
    database.record(other, report("shared-name", 1))
    key = database.key(tenant, "worker")
    database.record(other, report("shared-name", 7), key=key)
    assert database.job(other, "shared-name")["items_completed"] == 1
    assert database.job(tenant, "shared-name")["items_completed"] == 7


@pytest.mark.parametrize("spoil", ["revoke", "expire", "invent"])
def test_a_key_that_is_no_longer_good_is_refused_on_the_next_request(
    database: Database, tenant: str, spoil: str
) -> None:
    key = database.key(tenant, "worker")
    database.record(tenant, report("job", 1), key=key)
    if spoil == "revoke":
        database.call("revoke_key", key_id=key.key_id)
    elif spoil == "expire":
        database.rows("update milepost_private.keys set expires_at = now() where key_id = %s", key.key_id)
    else:
        key = type(key)(key.key_id, "mp_nobody_ever_made_this")
    with pytest.raises(Refused, match="unknown, revoked or expired") as refused:
        database.record(tenant, report("job", 2), key=key)
    assert (refused.value.status, refused.value.code) == (401, "invalid_key")
    assert database.job(tenant)["items_completed"] == 1


def test_a_key_for_pings_only_pings(database: Database, tenant: str) -> None:
    key = database.key(tenant, "ping")
    with pytest.raises(Refused) as refused:
        database.record(tenant, report("job", 2), key=key)
    assert (refused.value.status, refused.value.code) == (403, "not_allowed")
    with database.acting("service_role"):
        pinged = database.call("ping_job", caller={"key_hash": key.key_hash}, job="backup", signal="done")
    assert (pinged["job"], pinged["state"]) == ("backup", "completed")


def test_nobody_in_particular_is_refused(database: Database) -> None:
    with pytest.raises(Refused) as refused, database.acting("service_role"):
        database.one('select milepost.record_checkpoints(\'{"caller": {}, "checkpoints": []}\')')
    assert (refused.value.status, refused.value.code) == (401, "key_required")


def test_the_use_of_a_key_is_noted_at_most_once_a_minute(database: Database, tenant: str) -> None:
    key = database.key(tenant, "worker")
    asked = "select last_used_at from milepost_private.keys where key_id = %s"
    assert database.one(asked, key.key_id) is None
    database.record(tenant, report("job", 1), key=key)
    noted = database.one(asked, key.key_id)
    assert noted is not None
    database.record(tenant, report("job", 2), key=key)
    assert database.one(asked, key.key_id) == noted


def test_a_clock_that_is_a_day_off_changes_nothing(database: Database, tenant: str) -> None:
    for second, days in enumerate((1, -1, 1)):
        database.record(tenant, report("job", second, at=at(second + days * 86_400)), seconds=second)
    job = database.job(tenant)
    assert (job["last_checkpoint_at"] - job["created_at"]).total_seconds() == 2
    spacing = database.rows(
        "select at, received_at from milepost.checkpoints where job_id = %s", job["job_id"]
    )
    assert all(row["at"] == row["received_at"] for row in spacing)


def test_the_workers_clock_spaces_the_entries_of_one_request(database: Database, tenant: str) -> None:
    entries = [report("job", n, seq=n, at=f"1999-01-01T00:00:{n:02}Z") for n in range(3)]
    database.record(tenant, *entries, seconds=60)
    ages = database.rows(
        "select extract(epoch from received_at - at)::int as age from milepost.checkpoints "
        "where job_id = %s order by seq",
        database.job(tenant)["job_id"],
    )
    assert [row["age"] for row in ages] == [2, 1, 0]


def test_jobs_that_one_request_begins_or_ends_are_as_if_each_had_a_request_of_its_own(
    database: Database,
) -> None:
    tenants = [database.tenant() for _ in range(2)]
    for tenant in tenants:
        for job in ("waiting", "waiting, ends", "waiting, canceled"):
            database.call("create_job", caller={"tenant_id": tenant}, job={"job": job, "start": False})
        for job in ("fails again", "broken", "paused"):
            database.record(tenant, report(job, 1), seconds=0)
        database.record(tenant, report("broken", 1, state="failed", reason="disk full"), seconds=1)
        database.record(tenant, report("paused", 1, state="paused"), seconds=1)
    said = [
        report("waiting", 1),
        report("waiting, ends", 2, state="completed"),
        report("waiting, canceled", 0, state="canceled", reason="not needed"),
        report("new", 1, items_total=9),
        report("new, of two", 1, worker="a"),
        report("new, of two", 2, worker="b"),
        report("new, fails", 1, state="failed", message="no space"),
        report("fails again", 2, state="failed", reason="disk full"),
        report("broken", 3, attempt=2),
        report("paused", 4, state="running"),
    ]
    together, apart = tenants
    database.record(together, *said, seconds=60)
    for entry in said:
        database.record(apart, entry, seconds=60)

    def picture(tenant: str) -> dict[str, Any]:
        jobs = database.rows("select * from milepost.jobs where tenant_id = %s order by key", tenant)
        load = database.one(
            "select jobs_at_work from milepost_private.tenant_loads where tenant_id = %s", tenant
        )
        return {"load": load} | {
            job["key"]: (
                job["state"], job["state_reason"], job["state_actor"], job["attempt"], job["started_at"], job["attempt_started_at"],
                job["items_completed"], job["items_total"],
                database.row("select running, active_s, active_at, (rhythm).falls, (rhythm).risen_s from milepost_private.pulses "
                             "where job_id = %s", job["job_id"]),
                [(e["version"], e["type"], e["data"].get("prior_state"), e["data"].get("new_state"), e["data"].get("actor"))
                 for e in database.events(job["job_id"]) if e["type"] != "job.progress"],
            )
            for job in jobs
        }  # fmt: skip

    assert picture(together) == picture(apart)
