"""Checkpoints per second over HTTP, beside the floor: what Postgres takes from one prepared statement.

The floor inserts n checkpoints from arrays and updates their jobs in one statement through psycopg: no JSON,
no HTTP, no events, no validation. Ours is POST /v1/checkpoints through the local stack with everything on.
200 jobs, at most 20 distinct jobs a batch, one connection, Postgres with fsync, side by side in one run.

    python -m benchmarks.ingest
"""

import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psycopg

from milepost.local.running import running

JOBS = 200
JOBS_A_BATCH = 20
SIZES = (1, 10, 100, 1000)

FLOOR = """
with added as (
  insert into bench.checkpoints (job, seq, done) select * from unnest(%s::int[], %s::bigint[], %s::bigint[]))
update bench.jobs j set done = greatest(j.done, n.done), updated_at = now()
from (select job, max(done) as done from unnest(%s::int[], %s::bigint[]) as u (job, done) group by job) n
where j.id = n.job
"""


class Load:
    """Batches of n checkpoints whose counts rise."""

    def __init__(self) -> None:
        self.seq = [0] * JOBS

    def batch(self, size: int) -> list[tuple[int, int]]:
        jobs = random.sample(range(JOBS), min(JOBS_A_BATCH, size))
        rows = []
        for place in range(size):
            job = jobs[place % len(jobs)]
            self.seq[job] += 1
            rows.append((job, self.seq[job]))
        return rows


def body(rows: list[tuple[int, int]]) -> list[dict[str, object]]:
    return [
        {
            "job": f"bench-{job}",
            "worker": "w",
            "seq": seq,
            "items_total": 1_000_000,
            "items_completed": seq * 10,
            "bytes_processed": seq * 1000,
            "cursor": {"offset": seq},
        }
        for job, seq in rows
    ]


def seconds_each(send: Callable[[list[tuple[int, int]]], None], load: Load, size: int) -> float:
    """Median seconds of a batch, after warming up."""
    for _ in range(5):
        send(load.batch(size))
    took = []
    for _ in range(max(15, 300 // size)):
        rows = load.batch(size)
        began = time.perf_counter()
        send(rows)
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def main() -> None:
    random.seed(7)
    with (
        tempfile.TemporaryDirectory() as data,
        running(data=Path(data)) as stack,
        psycopg.connect(stack.database_url, autocommit=True) as database,
    ):
        database.execute("""
            create schema bench;
            create table bench.jobs (id int primary key, done bigint, updated_at timestamptz)
              with (fillfactor = 60);
            create table bench.checkpoints (job int, seq bigint, done bigint, at timestamptz default now(),
                                            primary key (job, seq));
            insert into bench.jobs select g, 0, now() from generate_series(0, 199) g;
        """)

        def floor(rows: list[tuple[int, int]]) -> None:
            jobs = [job for job, _ in rows]
            done = [seq * 10 for _, seq in rows]
            database.execute(FLOOR, (jobs, [seq for _, seq in rows], done, jobs, done), prepare=True)

        with httpx.Client(
            base_url=stack.api_url, headers={"Authorization": f"Bearer {stack.worker_key}"}
        ) as http:

            def ours(rows: list[tuple[int, int]]) -> None:
                answer = http.post("/v1/checkpoints", json=body(rows))
                assert answer.status_code == 200 and not answer.json()["errors"], answer.text

            loads = {"floor": Load(), "ours": Load()}
            ours([(job, 0) for job in range(JOBS)])  # the jobs exist before the clock runs
            print(f"{'batch':>6} {'floor/s':>10} {'ours/s':>10} {'times slower':>13}")
            for size in SIZES:
                base = seconds_each(floor, loads["floor"], size)
                here = seconds_each(ours, loads["ours"], size)
                print(f"{size:>6} {size / base:>10.0f} {size / here:>10.0f} {here / base:>13.1f}")


if __name__ == "__main__":
    main()
