"""What pg_cron is told to do where it exists.

It cannot be installed here: a stand-in keeps what is scheduled.
"""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from running_stack import RunningStack, Tenant

SCHEDULE = Path(__file__).parents[2] / "sql/schema/82_cron.sql"

PG_CRON = """
create schema cron;
create table cron.job (
  jobid bigint generated always as identity primary key, schedule text, command text, jobname text unique
);
create table cron.job_run_details (jobid bigint, end_time timestamptz);
create function cron.schedule(job_name text, schedule text, command text) returns bigint language sql as $$
  insert into cron.job (jobname, schedule, command) values (job_name, schedule, command)
  on conflict (jobname) do update set schedule = excluded.schedule, command = excluded.command
  returning jobid;
$$;
"""


@pytest.fixture
def database(stack: RunningStack, tenant: Tenant) -> Iterator[psycopg.Connection]:
    """A transaction that is undone."""
    with psycopg.connect(stack.database_url) as connection:
        yield connection
        connection.rollback()


def pretend_pg_cron(database: psycopg.Connection, version: str) -> None:
    database.execute(PG_CRON.encode())
    database.execute("set local allow_system_table_mods = on")
    database.execute(
        "insert into pg_catalog.pg_extension "
        "(oid, extname, extowner, extnamespace, extrelocatable, extversion) values ("
        "999999, 'pg_cron', 10, 'cron'::regnamespace, false, %s)",
        (version,),
    )


def schedule(database: psycopg.Connection) -> dict[str, tuple[str, str]]:
    database.execute(SCHEDULE.read_bytes())
    rows = database.execute("select jobname, schedule, command from cron.job").fetchall()
    return {name: (when, command) for name, when, command in rows}


def test_without_pg_cron_nothing_happens(database: psycopg.Connection) -> None:
    database.execute(SCHEDULE.read_bytes())
    assert database.execute("select to_regnamespace('cron')").fetchone() == (None,)


@pytest.mark.parametrize("version", ["1.3", "1.4-1"])
def test_a_pg_cron_without_seconds_is_left_alone(database: psycopg.Connection, version: str) -> None:
    pretend_pg_cron(database, version)
    assert schedule(database) == {}


@pytest.mark.parametrize("version", ["1.5", "1.6.4", "2.0"])
def test_it_schedules_once_however_often_it_runs(database: psycopg.Connection, version: str) -> None:
    pretend_pg_cron(database, version)
    once = schedule(database)
    assert {name: when for name, (when, _) in once.items()} == {
        "milepost-sweep": "30 seconds",
        "milepost-alerts": "* * * * *",
        "milepost-purge": "*/5 * * * *",
        "milepost-prune": "45 3 * * *",
    }
    assert schedule(database) == once


def test_what_is_scheduled_runs(database: psycopg.Connection) -> None:
    pretend_pg_cron(database, "1.6.4")
    for _, command in schedule(database).values():
        database.execute(command.encode())
    swept = database.execute(
        "select swept_at > now() - interval '1 minute' from milepost_private.sweeps"
    ).fetchone()
    assert swept == (True,)


def test_only_old_runs_of_mileposts_own_work_are_pruned(database: psycopg.Connection) -> None:
    pretend_pg_cron(database, "1.6.4")
    prune = schedule(database)["milepost-prune"][1]
    database.execute("select cron.schedule('theirs', '* * * * *', 'select 1')")
    database.execute(
        "insert into cron.job_run_details select j.jobid, now() - age from cron.job j, "
        "unnest(array[interval '1 hour', interval '2 days', null]) age "
        "where j.jobname in ('milepost-sweep', 'theirs')"
    )
    database.execute(prune.encode())
    left = database.execute(
        "select j.jobname, count(*) from cron.job_run_details d join cron.job j using (jobid) group by 1"
    ).fetchall()
    assert dict(left) == {"milepost-sweep": 2, "theirs": 3}
