"""Brings a database to what sql/schema says, while it is at work: `milepost upgrade`.

Indexes that a table lacks are built first, without locking it. All else is one transaction that waits half a
second for a lock at most: it is done whole, or nothing of it is.
"""

import re
import time
from collections.abc import Callable
from functools import partial

import psycopg

from milepost.errors import ConfigurationError
from milepost.local import schema
from milepost.local.gentle import AFTER, BEFORE, INDEX, gently

TRIES = 6
FIRST_PAUSE_S = 1.0  # doubled after each try: half a minute in all

_IN_THE_WAY = """
select a.pid, coalesce(a.usename, a.backend_type) as who, coalesce(a.application_name, '') as program,
       coalesce(a.state, 'at work') as state,
       extract(epoch from clock_timestamp() - a.xact_start)::int as age_s,
       string_agg(distinct l.relation::regclass::text, ', ') as holds
from pg_catalog.pg_locks l
join pg_catalog.pg_stat_activity a on a.pid = l.pid
join pg_catalog.pg_class c on c.oid = l.relation
where l.granted
  and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())
  and c.relnamespace in (to_regnamespace('milepost'), to_regnamespace('milepost_private'))
  and c.relkind in ('r', 'p', 'v')
  and a.pid <> pg_backend_pid() and a.xact_start < clock_timestamp() - interval '400 ms'
group by 1, 2, 3, 4, 5
order by 5 desc
limit 5
"""

_PARTITIONS_WITHOUT = """
select n.nspname, c.relname
from pg_catalog.pg_inherits h
join pg_catalog.pg_class c on c.oid = h.inhrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where h.inhparent = to_regclass(%s)
  and not exists (select from pg_catalog.pg_inherits i join pg_catalog.pg_index x on x.indexrelid = i.inhrelid
                  where i.inhparent = to_regclass(%s) and x.indrelid = c.oid)
"""


def upgrade(
    database_url: str,
    say: Callable[[str], None],
    *,
    source: str | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Applies `source`, else sql/schema. Tells `say` what it does and what it waits for.

    Raises ConfigurationError where the database cannot be reached or refuses a statement, and where
    somebody's transaction, which it names, is in the way for all of the tries. Then nothing is changed, but
    that indexes may have been added.
    """
    wanted = schema.source() if source is None else source
    statements = (BEFORE + gently(wanted) + AFTER).encode()
    try:
        with psycopg.connect(
            database_url, autocommit=True, application_name="milepost upgrade"
        ) as connection:
            for index in INDEX.finditer(wanted):
                _build_index(connection, index, say, wait)
            _patiently(connection, lambda: connection.execute(statements), say, wait)
            # Supabase's own trigger tells PostgREST as well; a Postgres elsewhere has none.
            connection.execute("notify pgrst, 'reload schema'")
    except psycopg.OperationalError as error:
        raise ConfigurationError(
            f"The database was not reached, or went away: {str(error).strip()}",
            "Give the address that Supabase shows under Connect (direct, session pooler), with its password.",
        ) from error
    except psycopg.Error as error:
        raise ConfigurationError(
            f"The database refused the schema: {str(error).strip()}",
            "Connect as the owner of the schema milepost: postgres, unless somebody else installed it.",
        ) from error
    say("The database is what sql/schema says.")


def _patiently(
    connection: psycopg.Connection,
    step: Callable[[], object],
    say: Callable[[str], None],
    wait: Callable[[float], None],
) -> None:
    for number in range(1, TRIES + 1):
        try:
            step()
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
            found = _in_the_way(connection)
            if number == TRIES:
                raise ConfigurationError(
                    f"Somebody's transaction was in the way, {TRIES} times: {found}. Nothing was changed.",
                    "Wait until it has ended, or select pg_terminate_backend(PID), and run this again.",
                ) from error
            pause_s = FIRST_PAUSE_S * 2 ** (number - 1)
            say(f"In the way: {found}. Nothing was changed; trying again in {pause_s:.0f} s.")
            wait(pause_s)
        else:
            return


def _in_the_way(connection: psycopg.Connection) -> str:
    """Whose transactions have held a lock on Milepost's tables for a while, in words."""
    rows = connection.execute(_IN_THE_WAY).fetchall()
    return "; ".join(
        f"PID {pid} of {who}{f' ({program})' if program else ''}, {state}, for {age_s} s, with {holds}"
        for pid, who, program, state, age_s, holds in rows
    ) or "many short transactions"  # fmt: skip


def _build_index(
    connection: psycopg.Connection,
    index: re.Match[str],
    say: Callable[[str], None],
    wait: Callable[[float], None],
) -> None:
    """Builds an index that an existing table lacks, beside the table's writers."""
    unique, schema_name, name, rest = index["unique"] or "", index["schema"], index["name"], index["rest"]
    table, whole = f"{schema_name}.{index['table']}", f"{schema_name}.{name}"
    found = connection.execute(
        "select c.relkind = 'p', coalesce(i.indisvalid, false) from pg_catalog.pg_class c "
        "left join pg_catalog.pg_index i on i.indexrelid = to_regclass(%s) where c.oid = to_regclass(%s)",
        (whole, table),
    ).fetchone()
    if found is None or found[1]:
        return

    def concurrently(schema_name: str, name: str, table: str) -> None:
        # Nobody waits for this wait. What an interrupted one left behind is no index, and costs each writer.
        connection.execute("set lock_timeout = '10s'")
        connection.execute(f"drop index concurrently if exists {schema_name}.{name}".encode())
        connection.execute(f"create {unique}index concurrently {name} on {table}{rest}".encode())

    def briefly(statement: str) -> None:
        connection.execute("set lock_timeout = '500ms'")
        connection.execute(statement.encode())

    def patiently(step: Callable[[], None]) -> None:
        _patiently(connection, step, say, wait)

    say(f"Building the index {name} of {table} beside its writers.")
    try:
        if not found[0]:
            patiently(lambda: concurrently(schema_name, name, table))
            return
        # Of a partitioned table: each partition's; once the last one is attached, the whole is valid.
        patiently(lambda: briefly(f"create {unique}index if not exists {name} on only {table}{rest}"))
        for place, partition in connection.execute(_PARTITIONS_WITHOUT, (table, whole)).fetchall():
            part = f"{partition}_{name}"
            patiently(partial(concurrently, place, part, f"{place}.{partition}"))
            patiently(partial(briefly, f"alter index {whole} attach partition {place}.{part}"))
    except (psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedObject, psycopg.errors.UndefinedFunction):
        say(f"{name} needs what this upgrade brings, and is made with it.")
