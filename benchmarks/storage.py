"""Bytes for each checkpoint, job and event: on disk with their indexes, and in the write-ahead log.

200 jobs report counts, bytes and a cursor, in requests of 1 and of 100 checkpoints of 20 jobs each, and end. Disk is
what the tables grew by; WAL is counted between two of Postgres' own checkpoints, without full-page images, whose number
depends on how often Postgres makes one.

    python -m benchmarks.storage [checkpoints for each size]
"""

import json
import random
import sys
from typing import Any

import psycopg

from benchmarks.ingest import Load, checkpoints
from milepost.local.postgres import Postgres
from milepost.local.schema import build
from milepost.local.stack import HERE

SIZES = (1, 100)

TABLES = {
    "checkpoints": "milepost.checkpoints",
    "events": "milepost.events",
    "messages": "realtime.messages",
    "jobs": "milepost.jobs",
    "lanes": "milepost.lanes",
    "pulses": "milepost_private.pulses",
    "predictions": "milepost_private.predictions",
    "scores": "milepost_private.eta_scores",
}


def size(database: psycopg.Connection[Any], table: str) -> tuple[int, int, int]:
    """Rows, bytes of the rows' pages, and bytes with indexes, over all partitions."""
    database.execute(f"vacuum (analyze) {table}".encode())
    (row,) = database.execute(
        f"select (select count(*) from {table}), sum(pg_table_size(t))::bigint, sum(pg_total_relation_size(t))::bigint from "
        "(select coalesce((select array_agg(relid) from pg_partition_tree(%s) where isleaf), array[%s::regclass]) as all) a, "
        "unnest(a.all) t".encode(),
        (table, table),
    ).fetchall()
    rows, heap, whole = row
    return rows, heap, whole


def wal(database: psycopg.Connection[Any]) -> tuple[int, int]:
    """Bytes written to the log so far, and whole-page images in it."""
    database.execute("select pg_stat_force_next_flush()")
    ((written, images),) = database.execute("select wal_bytes::bigint, wal_fpi from pg_stat_wal").fetchall()
    return written, images


def updates(database: psycopg.Connection[Any]) -> dict[str, tuple[int, int]]:
    """Updates so far of the rows that each checkpoint changes, and how many of them were HOT."""
    database.execute("select pg_stat_force_next_flush()")
    rows = database.execute(
        "select relname, n_tup_upd, n_tup_hot_upd from pg_stat_user_tables "
        "where schemaname like 'milepost%' and relname in ('jobs', 'lanes', 'pulses')"
    ).fetchall()
    return {name: (updated, hot) for name, updated, hot in rows}


def main() -> None:
    random.seed(7)
    total = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with Postgres(durable=True) as postgres, postgres.connect() as database:
        for source in (HERE / "supabase.sql", HERE / "realtime/schema.sql"):
            database.execute(source.read_text().encode())
        database.execute(build().encode())
        ((tenant,),) = database.execute("select milepost.create_tenant('storage') ->> 'tenant_id'").fetchall()
        caller = {"tenant_id": tenant}

        def record(entries: list[dict[str, object]]) -> None:
            body = json.dumps({"caller": caller, "checkpoints": entries})
            database.execute("select milepost.record_checkpoints(%s::jsonb)", (body,), prepare=True)

        load = Load()
        before = {name: size(database, table) for name, table in TABLES.items()}
        record(checkpoints([(job, 0) for job in range(200)]))
        begun = updates(database)
        print(f"{'':<34}{'bytes of WAL for each checkpoint':>34}")
        for batch in SIZES:
            database.execute("checkpoint")
            for _ in range(2):  # the first touch of a page after it writes all of the page
                record(checkpoints([(job, load.next(job)) for job in range(200)]))
            began, images = wal(database)
            for _ in range(total // batch):
                record(checkpoints(load.batch(batch)))
            ended, later = wal(database)
            share = (ended - began) / (total // batch * batch)
            print(f"{f'in requests of {batch}':<34}{share:>34.0f}   ({later - images} whole pages)")
        updated = updates(database)
        for job in range(200):
            record([{"job": f"bench-{job}", "worker": "w", "seq": load.next(job), "state": "completed"}])
        print(f"\n{'':<14}{'rows':>10}{'bytes a row':>14}{'with indexes':>14}")
        for name, table in TABLES.items():
            rows, heap, whole = (
                after - earlier for after, earlier in zip(size(database, table), before[name], strict=True)
            )
            if rows:
                print(f"{name:<14}{rows:>10,}{heap / rows:>14.0f}{whole / rows:>14.0f}")
        print("\nwhile they ran, of the updates this share was HOT:")
        for name, (many, hot) in updated.items():
            print(
                f"{name:<14}{100 * (hot - begun[name][1]) / (many - begun[name][0]):.1f} % of {many - begun[name][0]:,}"
            )


if __name__ == "__main__":
    main()
