"""What the estimator costs an ingest: record_checkpoints as it is, beside one whose estimator answers null.

Two databases of the same cluster take the same batches in turn, each through one connection, without HTTP. A
batch is of n checkpoints of at most 20 of 200 jobs. Beside the time by the clock, which other work on the machine
sways, stands the processor time of the connection's own process (Linux: /proc/<pid>/schedstat).

    python -m benchmarks.eta.ingest
"""

import random
import statistics
import time
from pathlib import Path
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from milepost.local.postgres import Postgres
from milepost.local.schema import build
from milepost.local.stack import HERE

JOBS = 200
JOBS_A_BATCH = 20
ROUNDS = {1: 600, 100: 60, 1000: 20}

# Of one expression and without a setting, so that the planner puts null in their place.
NO_ESTIMATOR = """
create or replace function milepost_private.pace_step(
  pace milepost_private.pace, active_s float8, done float8, remaining float8)
returns milepost_private.pace language sql immutable reset search_path
as 'select null::milepost_private.pace';
create or replace function milepost_private.pace_rate(pace milepost_private.pace, active_s float8)
returns float8 language sql immutable reset search_path as 'select null::float8';
create or replace function milepost_private.pace_estimate(
  pace milepost_private.pace, active_s float8, remaining float8, history milepost_private.kind_pace,
  fraction float8)
returns milepost_private.estimate language sql immutable reset search_path
as 'select null::milepost_private.estimate';
create or replace function milepost_private.pace_estimate_lanes(
  estimate milepost_private.estimate, last_lane milepost_private.last_lane, active_s float8)
returns milepost_private.estimate language sql immutable reset search_path as 'select estimate';
"""


class Ingest:
    """A database that takes batches, and how long each took."""

    def __init__(self, url: str) -> None:
        self.database: psycopg.Connection[Any] = psycopg.connect(url, autocommit=True)
        for statements in (
            (HERE / "supabase.sql").read_text(),
            (HERE / "realtime/schema.sql").read_text(),
            build(),
        ):
            self.database.execute(statements.encode())
        row = self.database.execute("select milepost.create_tenant('bench') ->> 'tenant_id'").fetchone()
        assert row is not None
        self.caller = {"tenant_id": row[0]}
        self.schedstat = Path(f"/proc/{self.database.info.backend_pid}/schedstat")
        self.took: dict[int, list[float]] = {size: [] for size in ROUNDS}
        self.busy: dict[int, list[float]] = {size: [] for size in ROUNDS}

    def processor_s(self) -> float:
        return int(self.schedstat.read_text().split()[0]) / 1e9

    def take(self, checkpoints: list[dict[str, object]], size: int | None = None) -> None:
        body = Jsonb({"caller": self.caller, "checkpoints": checkpoints})
        busy, began = self.processor_s(), time.perf_counter()
        row = self.database.execute("select milepost.record_checkpoints(%s)", [body]).fetchone()
        spent = time.perf_counter() - began
        assert row is not None and not row[0]["errors"]
        if size is not None:
            self.took[size].append(spent)
            self.busy[size].append(self.processor_s() - busy)


def checkpoint(job: int, seq: int) -> dict[str, object]:
    return {
        "job": f"job {job}",
        "kind": "bench",
        "seq": seq,
        "items_total": 1_000_000,
        "items_completed": 10 * seq,
        "cursor": {"offset": seq},
    }


def main() -> None:
    rng = random.Random(7)
    seqs = [0] * JOBS
    with Postgres() as postgres:
        real = Ingest(postgres.create_database("real"))
        null = Ingest(postgres.create_database("null"))
        null.database.execute(NO_ESTIMATOR)
        for ingest in (real, null):
            ingest.take([checkpoint(job, 0) for job in range(JOBS)])
        for size, rounds in ROUNDS.items():
            for number in range(rounds + 5):
                jobs = rng.sample(range(JOBS), min(JOBS_A_BATCH, size))
                batch = []
                for place in range(size):
                    job = jobs[place % len(jobs)]
                    seqs[job] += 1
                    batch.append(checkpoint(job, seqs[job]))
                # In turn, and each first every other time: what else the machine does hits both alike.
                for ingest in (real, null) if number % 2 else (null, real):
                    ingest.take(batch, size if number >= 5 else None)
        for ingest, expected in ((real, JOBS), (null, 0)):
            row = ingest.database.execute(
                "select count(*) from milepost_private.pulses p where not p.pace is null"
            ).fetchone()
            assert row == (expected,), row
        print(f"{'batch':>6}{'':>12}{'with, ms':>12}{'without, ms':>14}{'ratio':>8}")
        for size in ROUNDS:
            for name, ours, bare in (
                ("clock", real.took[size], null.took[size]),
                ("processor", real.busy[size], null.busy[size]),
            ):
                with_ms, without_ms = 1000 * statistics.median(ours), 1000 * statistics.median(bare)
                print(f"{size:>6}{name:>12}{with_ms:>12.2f}{without_ms:>14.2f}{with_ms / without_ms:>8.3f}")
        for ingest in (real, null):
            ingest.database.close()


if __name__ == "__main__":
    main()
