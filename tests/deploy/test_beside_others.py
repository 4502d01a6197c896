"""Milepost in a database that has other things in it: it changes none of them, and goes without a trace."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from scratch_database import Database, install

from milepost.local.postgres import Postgres

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WHOLE = (ROOT / "sql/complete-schema.sql").read_text()
UNINSTALL = (ROOT / "sql/uninstall.sql").read_text()

THEIRS = """
create table public.jobs (id bigint primary key generated always as identity, title text not null);
alter table public.jobs enable row level security;
create policy "all see" on public.jobs for select to anon, authenticated using (true);
grant select on public.jobs to anon;
insert into public.jobs (title) select 'theirs ' || n from generate_series(1, 100) n;
create function public.sweep() returns text language sql as $$ select 'theirs' $$;
create schema billing;
create type billing.state as enum ('open', 'paid');
create table billing.invoices (id uuid primary key default gen_random_uuid(), state billing.state, job bigint references public.jobs);
create index on billing.invoices (state) where state = 'open';
create view billing.open as select * from billing.invoices where state = 'open';
create function billing.touch() returns trigger language plpgsql as $$ begin return new; end $$;
create trigger touched before update on billing.invoices for each row execute function billing.touch();
alter publication supabase_realtime add table public.jobs;
create policy "theirs" on realtime.messages for insert to authenticated with check (extension = 'presence');
alter default privileges in schema public grant select on tables to authenticated;
create schema cron;
create table cron.job (jobid bigint generated always as identity primary key, schedule text, command text, jobname text unique);
create table cron.job_run_details (jobid bigint, end_time timestamptz);
create function cron.schedule(job_name text, schedule text, command text) returns bigint language sql as $$
  insert into cron.job (jobname, schedule, command) values (job_name, schedule, command)
  on conflict (jobname) do update set schedule = excluded.schedule, command = excluded.command returning jobid; $$;
create function cron.unschedule(job_id bigint) returns boolean language sql as $$
  delete from cron.job where jobid = job_id returning true; $$;
insert into cron.job (schedule, command, jobname) values ('0 0 * * *', 'select 1', 'theirs');
"""
PRETEND_PG_CRON = """
set allow_system_table_mods = on;
insert into pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
values (999999, 'pg_cron', 10, 'cron'::regnamespace, false, '1.6.4');
"""

Catalog = set[tuple[str, str, str, str]]


def catalog(database: Database) -> Catalog:
    rows = database.rows((HERE / "whole_catalog.sql").read_text())
    return {(row["what"], row["place"], row["name"], row["definition"]) for row in rows}


def not_ours(found: Catalog) -> Catalog:
    """Without Milepost's schemas and its policy, and without what pg_trgm brings."""
    return {
        row
        for row in found
        if row[1] not in ("milepost", "milepost_private")
        and row[2] != "realtime.messages: members hear their milepost topics"
    }


def apply(database: Database, script: str) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(script.encode())


@pytest.fixture
def inhabited(cluster: Postgres, request: pytest.FixtureRequest) -> Iterator[Database]:
    """A Supabase project with an application of somebody else's in it, and pg_trgm, which that uses too."""
    url = cluster.create_database("inhabited_" + str(abs(hash(request.node.name))))
    install(url, THEIRS + PRETEND_PG_CRON + "create extension pg_trgm with schema extensions;")
    database = Database(url)
    yield database
    database.close()


def test_installing_changes_nothing_of_others(inhabited: Database) -> None:
    before = catalog(inhabited)
    apply(inhabited, WHOLE)
    assert not_ours(catalog(inhabited)) ^ before == set()
    assert inhabited.one("select count(*) from public.jobs") == 100
    assert inhabited.one("select public.sweep()") == "theirs"
    assert inhabited.rows("select jobname from cron.job where jobname !~ '^milepost-'") == [
        {"jobname": "theirs"}
    ]
    assert inhabited.one("select count(*) from cron.job") == 5


def test_uninstalling_leaves_the_database_as_it_was(inhabited: Database) -> None:
    before = catalog(inhabited)
    apply(inhabited, WHOLE)
    tenant = inhabited.tenant()
    inhabited.record(tenant, {"job": "a", "items_completed": 1})
    assert catalog(inhabited) != before
    for _ in range(2):  # again, with nothing left to remove
        apply(inhabited, UNINSTALL)
        assert catalog(inhabited) ^ before == set()
        assert inhabited.rows("select jobname from cron.job") == [{"jobname": "theirs"}]
    apply(inhabited, WHOLE)
    assert inhabited.rows("select * from milepost.jobs") == []


def test_of_an_empty_project_only_the_extension_stays(cluster: Postgres) -> None:
    url = cluster.create_database("empty_project")
    install(url, "")
    database = Database(url)
    before = catalog(database)
    apply(database, WHOLE)
    apply(database, UNINSTALL)
    left = {row[2] for row in catalog(database) - before if row[0] == "extension"}
    assert left == {"pg_trgm"}
    database.rows("drop extension pg_trgm")
    assert catalog(database) ^ before == set()
    database.close()


@pytest.mark.parametrize(
    ("theirs", "named"),
    [
        ("create view public.mine as select key from milepost.jobs", "public.mine|mine"),
        ("create table public.notes (job_id uuid references milepost.jobs)", "public.notes|notes"),
    ],
)
def test_what_stands_on_milepost_is_named_and_nothing_is_removed(
    inhabited: Database, theirs: str, named: str
) -> None:
    apply(inhabited, WHOLE)
    inhabited.rows(theirs)
    before = catalog(inhabited)
    with pytest.raises(psycopg.errors.RaiseException, match=f"Nothing was removed: ({named}) stand"):
        apply(inhabited, UNINSTALL)
    assert catalog(inhabited) ^ before == set()
