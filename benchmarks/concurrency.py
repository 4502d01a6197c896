"""Many workers at once over HTTP: throughput, waiting, deadlocks, and whether every sum is exact.

Against the whole local stack (gateway, functions, PostgREST, Postgres with fsync). Each scenario has a tenant of its own; figures
are compared within one run. `tests/load/` runs the same code with smaller numbers.

    python -m benchmarks.concurrency
"""

import random
import statistics
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg

from milepost.local.running import running

TIMEOUT_S = 60.0

Batch = list[dict[str, Any]]
SQL = Callable[..., list[dict[str, Any]]]
"""Runs a statement with parameters and returns its rows by name."""


@dataclass
class Outcome:
    """What a group of workers said, how it was answered, and after how many seconds."""

    took: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    retry_after: set[str] = field(default_factory=set)
    checkpoints: int = 0
    seconds: float = 0.0
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    """The greatest count that was answered 200, by job and lane."""

    def p(self, percent: int) -> float:
        """A percentile of how long the answered requests took, in ms."""
        return statistics.quantiles(self.took, n=100, method="inclusive")[percent - 1] * 1000


class Worker:
    """A process of its own to the server: a connection, and a lane in each job that it names."""

    def __init__(
        self, lane: str, jobs: Sequence[str], size: int, requests: int, *, always: str | None = None
    ) -> None:
        self.lane, self.jobs, self.size, self.requests, self.always = lane, jobs, size, requests, always
        self._luck = random.Random(lane)
        self._counts: Counter[str] = Counter()

    def batches(self) -> Iterator[Batch]:
        """Requests over jobs by chance, in any order; `always` is in each of them."""
        for _ in range(self.requests):
            jobs = self._luck.sample(self.jobs, min(self.size, len(self.jobs)))
            if self.always is not None:
                jobs[self._luck.randrange(len(jobs))] = self.always
            self._counts.update(jobs)
            yield [
                {
                    "job": job,
                    "worker": self.lane,
                    "attempt": 1,
                    "seq": self._counts[job],
                    "items_completed": self._counts[job],
                }
                for job in dict.fromkeys(jobs)
            ]


def load(url: str, key: str, workers: Sequence[Worker], until: threading.Event | None = None) -> Outcome:
    """Lets all workers report at once, each sending its next request when the last one is answered.

    With `until` they go on from the beginning of their jobs until it is set.
    """
    outcome, lock, together = Outcome(), threading.Lock(), threading.Barrier(len(workers))

    def work(worker: Worker) -> None:
        with httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=TIMEOUT_S
        ) as http:
            together.wait(TIMEOUT_S)
            while True:
                for batch in worker.batches():
                    began = time.perf_counter()
                    answer = http.post("/v1/checkpoints", json=batch)
                    while answer.status_code == 503:  # as the SDK does
                        with lock:
                            outcome.statuses[503] += 1
                        answer = http.post("/v1/checkpoints", json=batch)
                    took = time.perf_counter() - began
                    with lock:
                        outcome.statuses[answer.status_code] += 1
                        if answer.status_code != 200:
                            outcome.retry_after.add(answer.headers.get("Retry-After", ""))
                            continue
                        assert answer.json()["errors"] == [], answer.text
                        outcome.took.append(took)
                        outcome.checkpoints += len(batch)
                        for said in batch:
                            lane = said["job"], said["worker"]
                            outcome.counts[lane] = max(outcome.counts.get(lane, 0), said["items_completed"])
                    if until is not None and until.is_set():
                        return
                if until is None or until.is_set():
                    return

    began = time.perf_counter()
    with ThreadPoolExecutor(len(workers)) as pool:
        for done in [pool.submit(work, worker) for worker in workers]:
            done.result()
    outcome.seconds = time.perf_counter() - began
    return outcome


def wrong_sums(sql: SQL, tenant_id: str, outcome: Outcome) -> list[str]:
    """What the database has otherwise than was said: lanes, and the sums of each job over its lanes."""
    lanes = {
        (row["key"], row["worker"]): row["items_completed"]
        for row in sql(
            "select j.key, l.worker, l.items_completed from milepost.lanes l "
            "join milepost.jobs j on j.job_id = l.job_id where j.tenant_id = %s", (tenant_id,)
        )
    }  # fmt: skip
    sums: Counter[str] = Counter()
    for (job, _), count in outcome.counts.items():
        sums[job] += count
    jobs = {
        row["key"]: row["items_completed"]
        for row in sql("select key, items_completed from milepost.jobs where tenant_id = %s", (tenant_id,))
    }
    wrong = [
        f"{lane}: {lanes.get(lane)} of {n}" for lane, n in outcome.counts.items() if lanes.get(lane) != n
    ]
    return wrong + [f"{job}: {jobs.get(job)} of {n}" for job, n in sums.items() if jobs.get(job) != n]


def deadlocks(sql: SQL) -> int:
    """Deadlocks in the database since it was made."""
    (row,) = sql("select deadlocks from pg_stat_database where datname = current_database()")
    return int(row["deadlocks"])


def beside(
    url: str, key: str, workers: Sequence[Worker], other_key: str, others: Sequence[Worker]
) -> tuple[Outcome, Outcome]:
    """What `workers` meet while `others` go on until they are done; and what the others met."""
    done = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(load, url, other_key, others, done)
        try:
            outcome = load(url, key, workers)
        finally:
            done.set()
        return outcome, busy.result()


def group(
    prefix: str, lanes: int, jobs: Sequence[str], size: int, requests: int, always: str | None = None
) -> list[Worker]:
    return [Worker(f"{prefix}{n}", jobs, size, requests, always=always) for n in range(lanes)]


def keys(prefix: str, n: int) -> list[str]:
    return [f"{prefix}-{i}" for i in range(n)]


def say(name: str, outcome: Outcome) -> None:
    answered = len(outcome.took)
    print(
        f"{name:<44} {answered / outcome.seconds:>8.0f} {outcome.checkpoints / outcome.seconds:>10.0f} "
        f"{outcome.p(50):>8.0f} {outcome.p(99):>8.0f}  {dict(outcome.statuses)}"
    )


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as data,
        running(data=Path(data)) as stack,
        psycopg.connect(stack.database_url, autocommit=True, row_factory=psycopg.rows.dict_row) as database,
    ):

        def sql(query: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
            return database.execute(query.encode(), parameters).fetchall()

        def tenant(requests_per_s: int = 1_000_000) -> tuple[str, str]:
            (made,) = sql("select milepost.create_tenant(%s) ->> 'tenant_id' as id", (str(uuid.uuid4()),))
            (key,) = sql("select milepost.create_key(%s, 'worker') ->> 'key' as key", (made["id"],))
            database.execute(
                "update milepost.tenants set requests_per_s = %s where tenant_id = %s",
                (requests_per_s, made["id"]),
            )
            return made["id"], key["key"]

        def exact(name: str, workers: Sequence[Worker]) -> None:
            tenant_id, key = tenant()
            outcome = load(stack.api_url, key, workers)
            say(name, outcome)
            assert set(outcome.statuses) <= {200, 503} and wrong_sums(sql, tenant_id, outcome) == []

        print(f"{'':<44} {'req/s':>8} {'checkp./s':>10} {'p50 ms':>8} {'p99 ms':>8}")
        exact("16 workers, 200 jobs, one checkpoint each", group("w", 16, keys("job", 200), 1, 60))
        exact("16 workers, 200 jobs, batches of 20", group("w", 16, keys("job", 200), 20, 30))
        exact("64 lanes of one job", group("w", 64, ["job"], 1, 12))
        exact(
            "2,000 jobs, 16 workers, batches of 100, all with one job",
            group("w", 16, keys("job", 2000), 100, 30, always="hot"),
        )

        # The same number of workers beside the ones that are measured: each on a job of its own, then all on one.
        for round_ in range(3):
            for name, jobs in (("a job each", 8), ("one hot job", 1)):
                _, key = tenant()
                ours = group("calm", 4, keys("calm", 40), 1, 60)
                busy = [Worker(f"busy{n}", [f"hot-{n % jobs}"], 1, 1000) for n in range(8)]
                calm, _ = beside(stack.api_url, key, ours, key, busy)
                say(f"round {round_}: 4 workers beside 8 on {name}", calm)
        for round_ in range(3):
            ours = group("calm", 4, keys("calm", 40), 1, 60)
            say(f"round {round_}: alone", load(stack.api_url, tenant()[1], ours))
            for name, limit in (("within its limit", 1_000_000), ("that may make 5 requests a second", 5)):
                (_, key), (_, noisy) = tenant(), tenant(limit)
                ours = group("calm", 4, keys("calm", 40), 1, 60)
                noise = group("noise", 8, keys("noise", 40), 20, 1000)
                calm, other = beside(stack.api_url, key, ours, noisy, noise)
                say(f"round {round_}: beside a tenant {name}", calm)
                say("    that tenant", other)
        print("deadlocks:", deadlocks(sql))


if __name__ == "__main__":
    main()
