"""The schema is applied to a database at work: nobody is stopped for long, nothing is lost, and it is whole or nothing."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from scratch_database import Database, install

from milepost.errors import ConfigurationError
from milepost.local import CHECKOUT
from milepost.local.gentle import gently
from milepost.local.postgres import Postgres
from milepost.local.schema import build, source
from milepost.local.upgrade import TRIES, upgrade

DUMP = (CHECKOUT / "tests/database/catalog_dump.sql").read_text()
PATIENCE_S = 30.0

# Modes in which neither a reader nor a writer waits.
GENTLE = {"AccessShareLock", "RowShareLock", "RowExclusiveLock", "ShareUpdateExclusiveLock"}
LOCKS = """
select distinct c.oid::regclass::text as "table", l.mode
from pg_locks l join pg_class c on c.oid = l.relation
where l.pid = pg_backend_pid() and c.relnamespace::regnamespace::text in ('milepost', 'milepost_private', 'realtime')
"""

# What an older release may have had otherwise.
OLDER = (
    'alter policy "members read their tenant\'s jobs" on milepost.jobs using (false)',
    'drop policy "members read their tenant\'s lanes" on milepost.lanes',
    'alter policy "members hear their milepost topics" on realtime.messages using (false)',
    "alter table milepost.items disable row level security",
    "drop trigger _900_broadcast on milepost.events",
    "create or replace trigger job_is_measured after update on milepost.jobs for each row execute function milepost_private.measure_job()",
    "drop view milepost.eta_accuracy",
    "alter view milepost.stage_progress set (security_invoker = false)",
    "do $$ begin execute 'create or replace view milepost.job_status with (security_invoker = true) as ' "
    "|| rtrim(pg_get_viewdef('milepost.job_status'::regclass), ';') || ' limit 1'; end $$",
    "drop index milepost.jobs_by_kind",
    "drop index milepost.events_by_tenant",
    "update pg_index set indisvalid = false where indexrelid = 'milepost.jobs_finished'::regclass",
    "comment on table milepost.jobs is 'something else'",
    "grant update on milepost.jobs to authenticated",
)

# What the next one may bring.
NEWER = """
alter table milepost.jobs add column if not exists extra text default 'extra';
create index if not exists jobs_by_extra on milepost.jobs (tenant_id, extra);
drop policy if exists "members read their tenant's jobs" on milepost.jobs;
create policy "members read their tenant's jobs" on milepost.jobs for select to authenticated
  using (extra = 'extra' and tenant_id = any (array(select milepost_private.my_tenants())));
"""


def catalog(database: Database) -> set[tuple[str, str, str]]:
    with database.connection.transaction():
        database.rows("set local search_path = ''")
        # What a partition's index is called is nobody's concern.
        return {
            (row["what"], row["name"], row["definition"])
            for row in database.rows(DUMP)
            if "events_default_" not in row["name"]
        }


def aged(database: Database, *changes: str) -> None:
    for change in changes:
        database.rows(change)


@pytest.fixture
def other(database: Database) -> Iterator[Database]:
    """Somebody else's connection."""
    with closing(Database(database.url)) as connection:
        yield connection


@contextmanager
def working(url: str, tenant: str, workers: int = 3) -> Iterator[list[int]]:
    """Workers that report without a pause, each on its lane of one job; yields how often each was answered."""
    answered, stop, failures = [0] * workers, threading.Event(), list[Exception]()

    def report(n: int) -> None:
        with closing(Database(url)) as database:
            while not stop.is_set() and not failures:
                said = {
                    "job": "job",
                    "worker": f"w{n}",
                    "seq": answered[n],
                    "items_completed": answered[n] + 1,
                }
                try:
                    assert database.record(tenant, said)["errors"] == []
                except Exception as error:  # noqa: BLE001 - raised below, in the test's own thread
                    failures.append(error)
                    return
                answered[n] += 1

    threads = [threading.Thread(target=report, args=(n,)) for n in range(workers)]
    for thread in threads:
        thread.start()
    try:
        yield answered
    finally:
        stop.set()
        for thread in threads:
            thread.join(PATIENCE_S)
        if failures:
            raise failures[0]


def waits_for_nobody(_seconds: float) -> None:
    """In the place of a pause between two tries."""


def test_the_schema_applied_again_takes_no_lock_that_stops_a_reader_or_writer(database: Database) -> None:
    with database.undone():
        database.connection.execute(build().encode())
        held = [(row["table"], row["mode"]) for row in database.rows(LOCKS)]
    assert held
    assert [lock for lock in held if lock[1] not in GENTLE] == []


def test_a_column_that_is_added_is_looked_for_without_a_lock(database: Database) -> None:
    added = gently("alter table milepost.jobs add column if not exists extra jsonb default '{}';")
    database.connection.execute(added.encode())
    assert database.one("select count(*) from information_schema.columns where column_name = 'extra'") == 1
    with database.undone():
        database.connection.execute(added.encode())
        assert {row["mode"] for row in database.rows(LOCKS)} <= GENTLE


def test_whatever_an_older_release_had_otherwise_is_put_right(database: Database) -> None:
    tenant, wanted, said = database.tenant(), catalog(database), list[str]()
    database.record(tenant, {"job": "job", "items_completed": 3})
    aged(database, *OLDER)
    assert catalog(database) != wanted
    upgrade(database.url, said.append, wait=waits_for_nobody)
    assert catalog(database) ^ wanted == set()
    assert database.one(
        "select bool_and(indisvalid) from pg_index where indrelid::regclass::text like 'milepost%%'"
    )
    assert [line for line in said if "beside its writers" in line] == [
        f"Building the index {index} of milepost.{table} beside its writers."
        for index, table in (
            ("jobs_finished", "jobs"),
            ("jobs_by_kind", "jobs"),
            ("events_by_tenant", "events"),
        )
    ]
    assert database.job(tenant)["items_completed"] == 3


def test_workers_report_through_upgrades_and_nothing_is_lost(database: Database) -> None:
    tenant, wanted = database.tenant(), catalog(database)
    newer = source() + NEWER
    with working(database.url, tenant) as answered:
        for release in (newer, source(), newer):
            before = list(answered)
            upgrade(database.url, lambda _: None, source=release)
            # They go on: each is answered again.
            deadline = time.monotonic() + PATIENCE_S
            while any(now == then for now, then in zip(answered, before, strict=True)):
                assert time.monotonic() < deadline
    assert {name for _, name, _ in catalog(database) ^ wanted} == {
        "milepost.jobs.extra",
        "milepost.jobs_by_extra",
        "milepost.jobs: members read their tenant's jobs",
    }
    assert database.job(tenant)["items_completed"] == sum(answered)
    assert {
        name: lane["items_completed"] for name, lane in database.lanes(database.job(tenant)["job_id"]).items()
    } == {f"w{n}": count for n, count in enumerate(answered)}
    assert database.one("select count(*) from milepost.checkpoints where seq >= 0") == sum(answered)


def test_where_a_long_transaction_is_in_the_way_it_gives_up_says_whose_and_changes_nothing(
    database: Database, other: Database
) -> None:
    tenant, wanted, said, pauses = database.tenant(), catalog(database), list[str](), list[float]()
    aged(database, OLDER[0])
    older = catalog(database)
    with other.connection.transaction():
        reader = other.one("select pg_backend_pid() from (select count(*) from milepost.jobs) c")
        with working(database.url, tenant) as answered, pytest.raises(ConfigurationError) as refusal:
            upgrade(database.url, said.append, wait=pauses.append)
        assert (
            f"PID {reader} of postgres" in refusal.value.message and "milepost.jobs" in refusal.value.message
        )
        assert "pg_terminate_backend" in (refusal.value.hint or "")
        assert len(said) == len(pauses) == TRIES - 1 and f"PID {reader}" in said[0]
        assert pauses == sorted(pauses) and sum(pauses) < 60
        assert catalog(database) ^ older == set()
    assert database.job(tenant)["items_completed"] == sum(answered) > 0
    upgrade(database.url, said.append)
    assert catalog(database) ^ wanted == set()


def test_a_long_transaction_is_not_in_the_way_of_what_changes_nothing(
    database: Database, other: Database
) -> None:
    with other.connection.transaction():
        other.rows("select count(*) from milepost.job_progress")
        said: list[str] = []
        upgrade(database.url, said.append)
        assert said == ["The database is what sql/schema says."]


def test_who_pastes_the_schema_waits_half_a_second_for_a_lock_at_most_and_keeps_no_setting(
    database: Database, other: Database
) -> None:
    aged(database, OLDER[0])
    before = database.one("show lock_timeout")
    with other.connection.transaction():
        other.rows("select count(*) from milepost.jobs")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            database.connection.execute(build().encode())
    assert database.one("show lock_timeout") == before
    database.connection.execute(build().encode())
    assert database.one("show lock_timeout") == before


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("postgresql://postgres@127.0.0.1:1/postgres", "not reached"),
        ("{as service_role}", "refused"),
    ],
)
def test_a_database_that_cannot_be_upgraded_is_said_so(database: Database, url: str, problem: str) -> None:
    role: dict[str, Any] = {"{as service_role}": f"{database.url}?options=-crole%3Dauthenticated"}
    with pytest.raises(ConfigurationError, match=problem):
        upgrade(role.get(url, url), lambda _: None)


def test_the_guide_is_right_about_an_empty_project(cluster: Postgres, database: Database) -> None:
    guide = (CHECKOUT / "docs/upgrading.md").read_text()
    assert (TRIES, "tried again, six times" in " ".join(guide.split())) == (6, True)
    (script,) = re.findall(r"```sh\n(.*?)```", guide, re.DOTALL)
    url = cluster.create_database("project_without_milepost")
    install(url, "")
    script = re.sub(r"postgresql://\S+", url, script)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-ec", script], env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "The database is what sql/schema says.\n"), done.stderr
    with closing(Database(url)) as upgraded:
        assert catalog(upgraded) ^ catalog(database) == set()
