"""What is read of one job, a request of checkpoints, and the leaving of a day: beside few checkpoints and beside many.

Two databases with the same 10,000 finished jobs: in the large one 2,800 others of them have the checkpoints, spread over 28 daily
partitions. These are filled unlogged, which changes nothing for who reads. It stops where 20 GB of disk would not remain free.
With 100 million checkpoints it takes twenty minutes and 20 GB.

    python -m benchmarks.partitions [checkpoints]
"""

import os
import shutil
import sys
import time
from itertools import count
from pathlib import Path

import psycopg
from psycopg.types.json import Jsonb

from benchmarks.history import History, Question, asked, install, show
from milepost.local.postgres import Postgres

MANY = 100_000_000
FINISHED, ACTIVE = 10_000, 200
CARRIERS = range(2001, 4801)
STEP = 100
"""Carriers filled at a time."""
KEPT_FREE = 20 * 2**30

# Of the jobs with so many other checkpoints, and of those that both databases have with 200 each.
FILL = """
insert into milepost.checkpoints (tenant_id, job_id, attempt, worker, seq, at, received_at, items_completed, job_done)
select j.tenant_id, j.job_id, 1, 'main', g, m.moment, m.moment, g, g
from (
  select c.* from milepost.jobs c where c.key = any (%(keys)s) order by c.job_id
) j
cross join generate_series(1, %(each)s::int) g
cross join lateral (select j.created_at + g * (interval '23 hours' / %(each)s::int) as moment) m
"""

numbers = count(1)


def record(history: History) -> None:
    """A request of 100 checkpoints of 20 jobs."""
    number = next(numbers)
    body = {
        "caller": {"tenant_id": history.tenant},
        "checkpoints": [
            {
                "job": f"live-{1 + (number * 20 + n % 20) % ACTIVE}",
                "seq": 100 * number + n,
                "items_completed": 400 + number,
            }
            for n in range(100)
        ],
    }
    began = time.perf_counter()
    history.connection.execute("select milepost.record_checkpoints(%s)", (Jsonb(body),))
    history.took = (time.perf_counter() - began) * 1000


KEY = "'run-' || (1001 + random() * 279)::int"
QUESTIONS: dict[str, Question] = {
    "one job": f"select milepost.get_job_progress({KEY})",
    "its checkpoints": f"select milepost.list_checkpoints({KEY})",
    "its checkpoints, 200": f"""select milepost.list_checkpoints({KEY}, "limit" => 200)""",
    "its events": f"select milepost.list_events({KEY})",
    "why": f"select milepost.explain_job({KEY})",
    "its predictions": f"select milepost.job_predictions({KEY})",
    "list": "select milepost.search_jobs()",
    "history of 30 days": "select milepost.job_history_stats()",
    "view job_performance": "select jsonb_agg(p) from milepost.job_performance p",
    "a request of 100 checkpoints": record,
}


def fill(history: History, keys: list[str], each: int) -> None:
    history.connection.execute(FILL.encode(), {"keys": keys, "each": each})


def fill_many(history: History, checkpoints: int, data: Path) -> int:
    """Gives the carriers so many checkpoints in all, or as many as the disk allows; returns how many."""
    each = checkpoints // len(CARRIERS)
    by_day = [
        str(key)
        for (key,) in history.connection.execute(
            "select key from milepost.jobs where key = any (%s) order by created_at",
            ([f"run-{n}" for n in CARRIERS],),
        )
    ]
    filled = 0
    for first in range(0, len(by_day), STEP):
        if shutil.disk_usage(data).free < KEPT_FREE + 300 * each * STEP:
            print(f"stops here: {shutil.disk_usage(data).free / 2**30:.0f} GB of disk are free")
            break
        keys = by_day[first : first + STEP]
        fill(history, keys, each)
        filled += each * len(keys)
    return filled


def size(history: History) -> tuple[int, int]:
    ((rows, taken),) = history.connection.execute(
        "select sum(c.reltuples)::bigint, sum(pg_total_relation_size(c.oid))::bigint from pg_class c"
        " where c.oid in (select relid from pg_partition_tree('milepost.checkpoints') where isleaf) and c.reltuples > 0"
    ).fetchall()
    assert isinstance(rows, int) and isinstance(taken, int)
    return rows, taken


def drops(history: History) -> list[float]:
    """Milliseconds to drop the oldest day of checkpoints and events, for each of three days."""
    took = []
    history.connection.execute("checkpoint")
    for days in (28, 27, 26, 25):
        began = time.perf_counter()
        history.connection.execute("select milepost_private.drop_partitions(current_date - %s::int)", (days,))
        took.append((time.perf_counter() - began) * 1000)
    return took[1:]


def main() -> None:
    checkpoints = int(sys.argv[1]) if len(sys.argv) > 1 else MANY
    with Postgres() as postgres:
        urls = [postgres.create_database(name) for name in ("few", "many")]
        for url in urls:
            install(url)
        with (
            psycopg.connect(urls[0], autocommit=True) as first,
            psycopg.connect(urls[1], autocommit=True) as second,
        ):
            histories = [History(connection) for connection in (first, second)]
            many = histories[1]
            for history in histories:
                history.grow(1, FINISHED)
                history.grow(1, ACTIVE, active=True)
                fill(history, [f"run-{n}" for n in range(1001, 1281)], 200)
            for (partition,) in second.execute(
                "select relid::regclass::text from pg_partition_tree('milepost.checkpoints') where isleaf"
            ).fetchall():
                second.execute(f"alter table {partition} set unlogged".encode())
            began = time.perf_counter()
            filled = fill_many(many, checkpoints, postgres.directory)
            print(f"{filled:,} checkpoints in {time.perf_counter() - began:.0f} s")
            for history in histories:
                history.settle()
            sizes = [size(history) for history in histories]
            for rows, taken in sizes:
                print(
                    f"{rows:,} checkpoints, {taken / 2**20:,.0f} MB, {taken / rows:.0f} bytes each with the index"
                )
            print(f"load {os.getloadavg()[0]:.2f}")
            show([rows for rows, _ in sizes], asked(histories, QUESTIONS))
            key = f"'run-' || ({CARRIERS.start} + random() * {len(CARRIERS) - 1})::int"
            show(
                [sizes[1][0]],
                asked(
                    [many],
                    {
                        f"a page of a job with {filled // len(CARRIERS):,}": f"select milepost.list_checkpoints({key})"
                    },
                ),
            )
            for history, (rows, _) in zip(histories, sizes, strict=True):
                took = ", ".join(f"{ms:.1f}" for ms in drops(history))
                print(f"dropping a day, of {rows:,} checkpoints: {took} ms")
            print(f"load {os.getloadavg()[0]:.2f}")


if __name__ == "__main__":
    main()
