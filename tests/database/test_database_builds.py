"""sql/schema is the one source: migrations make the same database, and making it again changes nothing."""

import re
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from scratch_database import Database, install

from milepost.local import CHECKOUT
from milepost.local.postgres import Postgres
from milepost.local.schema import build

DUMP = Path(__file__).with_name("catalog_dump.sql").read_text()
MIGRATIONS = sorted((CHECKOUT / "supabase/migrations").glob("*.sql"))
COMPLETE = CHECKOUT / "sql/complete-schema.sql"


Catalog = set[tuple[str, str, str]]


def catalog(database: Database) -> Catalog:
    # A copy of a database has not its settings: names are to be written whole, whatever the search_path.
    with database.connection.transaction():
        database.rows("set local search_path = ''")
        return {(row["what"], row["name"], row["definition"]) for row in database.rows(DUMP)}


@pytest.fixture(scope="module")
def fresh(new_database: Callable[[], Database]) -> Catalog:
    """The catalog of a database made from sql/schema."""
    return catalog(new_database())


def made_from(cluster: Postgres, name: str, *scripts: str) -> Database:
    url = cluster.create_database(name)
    install(url, scripts[0])
    with psycopg.connect(url, autocommit=True) as connection:
        for script in scripts[1:]:
            connection.execute(script.encode())
    return Database(url)


def test_the_migrations_make_the_database_that_sql_schema_describes(
    cluster: Postgres, fresh: Catalog
) -> None:
    database = made_from(cluster, "migrated", *(file.read_text() for file in MIGRATIONS))
    try:
        assert catalog(database) ^ fresh == set()
    finally:
        database.close()


def test_the_complete_schema_may_be_applied_again_and_changes_nothing(
    cluster: Postgres, fresh: Catalog
) -> None:
    database = made_from(cluster, "applied_again", COMPLETE.read_text())
    try:
        tenant = database.tenant()
        database.record(
            tenant, {"job": "job", "items_completed": 3, "stage": {"name": "load", "items_total": 4}}
        )
        before = catalog(database), database.everything()
        for _ in range(2):
            database.connection.execute(COMPLETE.read_text().encode())
        assert catalog(database) ^ before[0] == set()
        assert database.everything() == before[1]
        assert before[0] ^ fresh == set()
    finally:
        database.close()


def test_migrations_are_named_by_their_moment_and_what_they_do() -> None:
    assert MIGRATIONS
    assert [file.name for file in MIGRATIONS if not re.fullmatch(r"\d{14}_[a-z_]+\.sql", file.name)] == []


def test_dropping_the_two_schemas_leaves_nothing(cluster: Postgres) -> None:
    database = made_from(cluster, "dropped", build())
    try:
        assert database.rows("select from pg_policy where polrelid = 'realtime.messages'::regclass") != []
        database.rows("set client_min_messages = warning")
        database.rows("drop schema milepost, milepost_private cascade")
        assert database.rows("select from pg_policy where polrelid = 'realtime.messages'::regclass") == []
        assert database.rows("select from pg_publication_rel") == []
        for catalog_table, owner in (
            ("pg_proc", "pronamespace"),
            ("pg_class", "relnamespace"),
            ("pg_type", "typnamespace"),
        ):
            assert (
                database.rows(
                    f"select from {catalog_table} where {owner}::regnamespace::text like 'milepost%%'"
                )
                == []
            )
        # And it may be installed again.
        database.connection.execute(build().encode())
    finally:
        database.close()


@pytest.mark.parametrize(
    "change",
    [
        "comment on column milepost.jobs.key is 'changed'",
        "grant update on milepost.jobs to authenticated",
        "revoke execute on function milepost.schema_version() from service_role",
        "alter view milepost.job_status set (security_invoker = false)",
        "create index extra on milepost.jobs (owner_id)",
        "alter table milepost.jobs add column extra int",
        "alter table milepost.jobs alter column priority set default 1",
        "alter table milepost.jobs disable row level security",
        "alter table milepost.jobs set (fillfactor = 90)",
        "alter publication supabase_realtime drop table milepost.events",
        "drop trigger _900_broadcast on milepost.events",
        'drop policy "members hear their milepost topics" on realtime.messages',
        'alter policy "members read their tenant\'s jobs" on milepost.jobs to public',
        "alter function milepost.schema_version() volatile",
        "alter function milepost.schema_version() security definer",
        "alter table milepost.jobs drop constraint attempt_is_positive",
        "delete from milepost_private.transitions where verb = 'pause'",
    ],
)
def test_a_difference_of_each_kind_is_seen(database: Database, fresh: Catalog, change: str) -> None:
    assert catalog(database) == fresh
    with database.undone():
        database.rows(change)
        assert catalog(database) != fresh
