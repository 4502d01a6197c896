"""Many connections at once: no deadlock, no lost update."""

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from checkpoint_model import picture
from scratch_database import Checkpoint, Database

THREADS = 16
JOBS = 8
PATIENCE_S = 10.0


def said_by(worker: str, luck: random.Random) -> list[Checkpoint]:
    """What one worker says of every job: counts that rise, and others that go up and down."""
    return [
        {
            "job": f"job {job}", "kind": f"kind {job % 3}", "worker": worker, "seq": seq, "attempt": 1,
            "items_total": 10_000, "items_completed": 3 * seq, "items_failed": luck.randrange(5),
            "bytes_processed": 7 * seq,
            "stage": {"name": f"stage {seq % 3}", "items_completed": seq},
            "items": [{"key": f"{worker} {seq}", "stage": "stage 0", "state": "completed"}],
            **({"cursor": seq} if seq % 3 == 0 else {}),
            **({"state": "completed"} if seq == 9 else {}),
        }
        for job in range(JOBS)
        for seq in range(10)
    ]  # fmt: skip


def at_once(
    new_database: Callable[[], Database], url: str, work: Callable[[Database, int], None], threads: int
) -> None:
    """Runs work(database, n) in each thread on its own connection, all together; raises what they raise."""
    together = threading.Barrier(threads)

    def run(n: int) -> None:
        database = Database(url)
        try:
            together.wait(30)
            work(database, n)
        finally:
            database.close()

    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(run, n) for n in range(threads)]:
            done.result()


@pytest.fixture
def empty(new_database: Callable[[], Database]) -> Database:
    return new_database()


def counts(row: dict[str, Any]) -> dict[str, int]:
    names = ("items_completed", "items_failed", "items_skipped", "items_canceled", "bytes_processed")
    return {name: row[name] for name in names}


def test_many_workers_report_on_the_same_jobs_in_any_order_and_every_sum_is_exact(
    empty: Database, new_database: Callable[[], Database]
) -> None:
    tenant = empty.tenant()
    said = [said_by(f"w{n}", random.Random(n)) for n in range(THREADS)]  # noqa: S311 - makes up counts

    def report(database: Database, n: int) -> None:
        luck = random.Random(100 + n)  # noqa: S311 - chooses an order
        # Each is sent twice, so that repeated requests meet as well.
        sent = [*said[n], *luck.sample(said[n], 20)]
        luck.shuffle(sent)
        while sent:
            batch, sent = sent[:15], sent[15:]
            assert database.record(tenant, *batch)["errors"] == []

    at_once(new_database, empty.url, report, THREADS)
    for job in range(JOBS):
        row = empty.job(tenant, f"job {job}")
        whole = picture(c for lane in said for c in lane if c["job"] == f"job {job}")
        assert counts(row) == whole.counts()
        assert len(empty.lanes(row["job_id"])) == THREADS
        for name, stage in empty.stages(row["job_id"]).items():
            assert counts(stage) == whole.stage_counts(name)
        versions = [event["version"] for event in empty.events(row["job_id"])]
        assert versions == list(range(1, row["version"] + 1))
        empty.rows("select milepost_private.sum_job(%s)", row["job_id"])
        assert counts(empty.job(tenant, f"job {job}")) == counts(row)


def test_64_lanes_begin_one_job_together_and_complete_it_once(
    empty: Database, new_database: Callable[[], Database]
) -> None:
    tenant, lanes = empty.tenant(), 64
    empty.call("create_job", caller={"tenant_id": tenant}, job={"job": "job", "workers_expected": lanes})

    def report(database: Database, n: int) -> None:
        for seq in range(3):
            state = {"state": "completed"} if seq == 2 else {}
            database.record(
                tenant,
                {
                    "job": "job",
                    "worker": f"w{n}",
                    "worker_items_total": 20,
                    "seq": seq,
                    "items_completed": 10 * seq,
                    **state,
                },
            )

    at_once(new_database, empty.url, report, lanes)
    job = empty.job(tenant)
    assert (job["items_completed"], job["items_total"], job["state"]) == (20 * lanes, 20 * lanes, "completed")
    assert [e["type"] for e in empty.events(job["job_id"])].count("job.completed") == 1


def test_workers_claim_each_job_once(empty: Database, new_database: Callable[[], Database]) -> None:
    tenant = empty.tenant()
    for n in range(40):
        empty.call("create_job", caller={"tenant_id": tenant}, job={"job": str(n), "start": False})
    claimed: list[str] = []

    def claim(database: Database, n: int) -> None:
        while True:
            with database.acting("service_role"):
                job = database.call("claim_job", caller={"tenant_id": tenant}, worker=f"w{n}")
            if job is None:
                return
            claimed.append(job["job"])

    at_once(new_database, empty.url, claim, 8)
    assert sorted(claimed, key=int) == [str(n) for n in range(40)]


def test_reports_sweeps_claims_and_controls_meet_without_a_deadlock(
    empty: Database, new_database: Callable[[], Database]
) -> None:
    tenants = [empty.tenant() for _ in range(2)]
    jobs = [f"job {n}" for n in range(6)]

    def work(database: Database, n: int) -> None:
        luck = random.Random(n)  # noqa: S311 - chooses what to do
        tenant = tenants[n % 2]
        for turn in range(25):
            match n % 4:
                case 0 | 1:
                    batch = [
                        {
                            "job": job, "kind": luck.choice("abc"), "worker": f"w{n}",
                            "items_completed": turn,
                            "state": luck.choice([None, "running", "paused", "completed", "failed"]),
                        }
                        for job in luck.sample(jobs, 4)
                    ]  # fmt: skip
                    database.record(tenant, *batch)
                case 2:
                    with database.acting("service_role"):
                        database.one("select milepost.sweep(now() + %s * interval '1 hour')", turn)
                case 3:
                    rows = database.rows(
                        "select job_id, state from milepost.jobs where tenant_id = %s", tenant
                    )
                    for row in luck.sample(rows, min(2, len(rows))):
                        # Whatever its state is once it is locked: some permitted move.
                        with database.connection.transaction():
                            job = database.row(
                                "select * from milepost.jobs where job_id = %s for no key update",
                                row["job_id"],
                            )
                            moves = database.rows(
                                "select new_state, verb from milepost_private.transitions "
                                "where prior_state = %s and verb <> 'report'",
                                job["state"],
                            )
                            if moves:
                                move = luck.choice(moves)
                                database.move(job["job_id"], move["new_state"], move["verb"])

    at_once(new_database, empty.url, work, 12)
    for tenant in tenants:
        for row in empty.rows("select * from milepost.jobs where tenant_id = %s", tenant):
            versions = [event["version"] for event in empty.events(row["job_id"])]
            assert versions == list(range(1, row["version"] + 1))


def test_jobs_of_one_kind_that_end_in_two_requests_do_not_wait_for_each_other_in_a_circle(
    empty: Database, new_database: Callable[[], Database]
) -> None:
    tenant = empty.tenant()
    jobs = {}
    for key, kind in (("paused", "a"), ("first", "b"), ("second", "a")):
        empty.record(tenant, {"job": key, "kind": kind}, seconds=0)
        jobs[key] = empty.job(tenant, key)["job_id"]
    empty.record(tenant, {"job": "paused", "state": "paused"}, seconds=1)
    other, watcher = Database(empty.url), Database(empty.url)
    waiting = (
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' "
        "and datname = current_database()"
    )
    deadline = time.monotonic() + PATIENCE_S
    try:
        with ThreadPoolExecutor(1) as pool:
            # Each ends a job of kind a and another one, in the two orders that could meet.
            with empty.connection.transaction():
                empty.move(jobs["paused"], "completed", "report", seconds=2)
                ended = pool.submit(other.move, jobs["second"], "completed", "report", seconds=2)
                while not ended.done() and not watcher.one(waiting) and time.monotonic() < deadline:
                    pass
                empty.move(jobs["first"], "completed", "report", seconds=2)
            ended.result()
    finally:
        other.close()
        watcher.close()
    assert {empty.job(tenant, key)["state"] for key in jobs} == {"completed"}
