"""History leaves when its time is over: partitions by the day, jobs in steps; and a missing partition loses nothing."""

import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest
from scratch_database import NOON, Database, Refused

BELONGING = (
    "milepost.jobs", "milepost.lanes", "milepost.stages", "milepost.items", "milepost_private.pulses",
    "milepost_private.stage_lanes", "milepost_private.item_tallies", "milepost_private.predictions",
)  # fmt: skip
DAY = 86_400


def run(database: Database, tenant: str, job: str, ended_days_ago: float) -> None:
    """A job with stages, items and lanes that ended so many days before noon."""
    ended = -ended_days_ago * DAY
    database.record(
        tenant,
        {"job": job, "items_total": 10, "items_completed": 5, "stage": {"name": "load", "items_total": 2},
         "items": [{"key": "a", "state": "completed"}]},
        seconds=ended - 60,
    )  # fmt: skip
    database.record(tenant, {"job": job, "items_completed": 10, "state": "completed"}, seconds=ended)


def purge(database: Database, days: float = 0) -> dict[str, Any]:
    with database.acting("service_role"):
        done: dict[str, Any] = database.call("purge_history", at=NOON + timedelta(days=days))
    return done


def keys(database: Database, tenant: str) -> list[str]:
    return [
        r["key"]
        for r in database.rows("select key from milepost.jobs where tenant_id = %s order by key", tenant)
    ]


def partitions(database: Database, table: str = "checkpoints") -> set[str]:
    rows = database.rows(
        "select relname from pg_class join pg_inherits on inhrelid = oid where inhparent = %s::regclass",
        f"milepost.{table}",
    )
    return {row["relname"] for row in rows}


@pytest.fixture(autouse=True)
def _undone(database: Database) -> Iterator[None]:
    with database.undone():
        yield


def test_a_job_leaves_thirty_days_after_its_end_with_all_that_belongs_to_it(
    database: Database, tenant: str
) -> None:
    run(database, tenant, "old", 31)
    old = database.everything(BELONGING)
    assert all(old.values())
    run(database, tenant, "young", 29)
    database.record(tenant, {"job": "active", "items_completed": 1}, seconds=-40 * DAY)
    done = purge(database)
    assert (done["jobs_deleted"], done["items_deleted"], done["more"]) == (1, 1, False)
    assert keys(database, tenant) == ["active", "young"]
    left = database.everything(BELONGING)
    assert [name for name, rows in old.items() if set(rows) & set(left[name])] == []
    assert purge(database)["jobs_deleted"] == 0


def test_each_tenant_keeps_its_jobs_as_long_as_it_says(database: Database, tenant: str) -> None:
    other = database.tenant("other")
    database.rows("update milepost.tenants set keep_days = 7 where tenant_id = %s", other)
    for owner in (tenant, other):
        run(database, owner, "ten days", 10)
        run(database, owner, "six days", 6)
    purge(database)
    assert keys(database, tenant) == ["six days", "ten days"]
    assert keys(database, other) == ["six days"]


def test_a_step_is_bounded_and_says_that_there_is_more(database: Database, tenant: str) -> None:
    database.rows(
        "insert into milepost.jobs (tenant_id, key, name, state, finished_at, created_at) "
        "select %s, n::text, n::text, 'canceled', t, t from generate_series(1, 1001) n, cast(%s as timestamptz) t",
        tenant,
        NOON - timedelta(days=31),
    )
    first, second = purge(database), purge(database)
    assert (first["jobs_deleted"], first["more"]) == (1000, True)
    assert (second["jobs_deleted"], second["more"]) == (1, False)


def test_a_job_with_very_many_items_leaves_in_several_steps(database: Database, tenant: str) -> None:
    run(database, tenant, "big", 31)
    database.rows(
        "insert into milepost.items (tenant_id, job_id, key, state, worker, attempt, seq, received_at) "
        "select tenant_id, job_id, 'item ' || n, 'completed', 'main', 1, 1, now() from milepost.jobs, generate_series(1, 20000) n"
    )
    first = purge(database)
    assert (first["jobs_deleted"], first["items_deleted"], first["more"]) == (0, 20_000, True)
    second = purge(database)
    assert (second["jobs_deleted"], second["items_deleted"], second["more"]) == (1, 1, False)


def test_a_day_is_dropped_once_no_tenant_keeps_it(database: Database, tenant: str) -> None:
    today = NOON.date()
    database.one(
        "select milepost_private.make_partitions(%s, %s)",
        today - timedelta(days=40),
        today - timedelta(days=28),
    )
    database.rows("update milepost.tenants set keep_days = 35 where tenant_id = %s", tenant)
    database.tenant("another, which keeps 30 days")

    def oldest(table: str) -> str:
        return min(name for name in partitions(database, table) if name[-1].isdigit())

    assert purge(database)["partitions_dropped"] == 2 * 5
    assert oldest("checkpoints") == f"checkpoints_{today - timedelta(days=35):%Y%m%d}"
    assert oldest("events") == f"events_{today - timedelta(days=35):%Y%m%d}"
    assert purge(database)["partitions_dropped"] == 0


def of_days(database: Database, table: str, moment: str) -> dict[str, set[date]]:
    """Which days lie in which partition."""
    rows = database.rows(
        f"select tableoid::regclass::text as place, array_agg(distinct ({moment} at time zone 'utc')::date) as days "
        f"from milepost.{table} group by 1"
    )
    return {row["place"].partition(".")[2]: set(row["days"]) for row in rows}


def test_a_checkpoint_whose_day_has_no_partition_is_kept_and_moves_once_it_has(
    database: Database, tenant: str
) -> None:
    days = [NOON.date() + timedelta(days=days) for days in (100, 101)]
    for day in (100, 101):
        database.record(tenant, {"job": f"job {day}", "items_completed": 1}, seconds=day * DAY)
    assert of_days(database, "checkpoints", "received_at")["checkpoints_default"] == set(days)
    assert of_days(database, "events", "ts")["events_default"] == set(days)
    before = database.everything(["milepost.checkpoints", "milepost.events"])
    messages = database.one("select count(*) from realtime.messages")

    # The day is asked for; the one after it is found in the default partition.
    assert database.one("select milepost_private.make_partitions(%s, %s)", days[0], days[0]) == 4
    assert of_days(database, "checkpoints", "received_at") == {
        f"checkpoints_{day:%Y%m%d}": {day} for day in days
    }
    assert of_days(database, "events", "ts") == {f"events_{day:%Y%m%d}": {day} for day in days}
    assert database.everything(["milepost.checkpoints", "milepost.events"]) == before
    assert database.one("select count(*) from realtime.messages") == messages, "an event was sent twice"
    # And the partition is one like the others: what comes now goes there, under row level security, and is broadcast.
    database.record(
        tenant, {"job": "job 100", "items_completed": 2, "state": "completed"}, seconds=100 * DAY + 9
    )
    assert "checkpoints_default" not in of_days(database, "checkpoints", "received_at")
    assert database.one("select count(*) from realtime.messages") > messages
    member = str(uuid.uuid4())
    database.call("add_member", tenant_id=tenant, user_id=member)
    with database.acting("authenticated", member):
        assert database.one("select count(*) from milepost.checkpoints") == 3
    with database.acting("authenticated", str(uuid.uuid4())):
        assert database.one("select count(*) from milepost.checkpoints") == 0


def test_the_sweep_makes_a_week_of_partitions_ahead(database: Database) -> None:
    later = datetime(2031, 5, 1, tzinfo=UTC)
    with database.acting("service_role"):
        assert database.call("sweep", at=later)["partitions"] == 2 * 8
    assert "checkpoints_20310508" in partitions(database)


def test_whoever_reads_the_default_partition_is_not_disturbed_and_the_next_sweep_makes_the_day(
    database: Database,
) -> None:
    day = date(2032, 1, 1)
    with psycopg.connect(database.url) as reader:
        reader.execute("select count(*) from milepost_private.checkpoints_default")
        assert database.one("select milepost_private.make_partitions(%s, %s)", day, day) == 0
    assert database.one("select milepost_private.make_partitions(%s, %s)", day, day) == 2


def test_an_admin_says_how_long_jobs_stay(database: Database, tenant: str) -> None:
    people = {role: str(uuid.uuid4()) for role in ("viewer", "operator", "admin")}
    for role, user_id in people.items():
        database.call("add_member", tenant_id=tenant, user_id=user_id, role=role)
    with database.acting("authenticated", people["admin"]):
        answer = database.call("set_retention", tenant_id=tenant, keep_days=90)
    assert answer == {"tenant_id": tenant, "keep_days": 90}
    assert database.one("select keep_days from milepost.tenants where tenant_id = %s", tenant) == 90


@pytest.mark.parametrize("role", ["viewer", "operator", "stranger"])
def test_nobody_else_does(database: Database, tenant: str, role: str) -> None:
    user_id = str(uuid.uuid4())
    theirs = tenant if role != "stranger" else database.tenant("theirs")
    database.call(
        "add_member", tenant_id=theirs, user_id=user_id, role="admin" if role == "stranger" else role
    )
    with pytest.raises(Refused, match="admin") as refused, database.acting("authenticated", user_id):
        database.call("set_retention", tenant_id=tenant, keep_days=1)
    assert (refused.value.status, refused.value.code) == (403, "not_allowed")


@pytest.mark.parametrize("keep_days", [0, -1, 3651, None])
def test_a_time_that_cannot_be_is_refused(database: Database, tenant: str, keep_days: int | None) -> None:
    user_id = str(uuid.uuid4())
    database.call("add_member", tenant_id=tenant, user_id=user_id, role="admin")
    with pytest.raises(Refused, match="keep_days") as refused, database.acting("authenticated", user_id):
        database.one("select milepost.set_retention(%s, %s::int)", tenant, keep_days)
    assert refused.value.status == 422
