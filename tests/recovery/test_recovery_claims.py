"""The queue: who gets which job, and that nobody gets another's."""

import threading
from typing import Any

import psycopg
from clocked import Clocked
from psycopg.types.json import Jsonb
from running_stack import RunningStack, Tenant

CLAIMERS, JOBS = 50, 2000


def test_fifty_claimers_take_each_of_two_thousand_jobs_exactly_once(
    stack: RunningStack, tenant: Tenant
) -> None:
    stack.sql(
        "select milepost_private.add_job(%s, jsonb_build_object('job', 'job ' || n, 'kind', 'queue', "
        "'priority', n %% 3), clock_timestamp()) from generate_series(1, %s) n",
        (tenant.tenant_id, JOBS),
    )
    caller = Jsonb({"tenant_id": tenant.tenant_id})
    taken: list[list[dict[str, Any]]] = [[] for _ in range(CLAIMERS)]
    together = threading.Barrier(CLAIMERS)

    def claim_all(mine: list[dict[str, Any]], worker: str) -> None:
        with psycopg.connect(stack.database_url, autocommit=True) as connection:
            together.wait()
            while True:
                row = connection.execute(
                    "select milepost.claim_job(%s, array['queue'], %s)", (caller, worker)
                ).fetchone()
                if row is None or row[0] is None:
                    return
                mine.append(row[0])

    threads = [threading.Thread(target=claim_all, args=(mine, f"worker {n}")) for n, mine in enumerate(taken)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    claimed = [job["job_id"] for mine in taken for job in mine]
    assert len(claimed) == len(set(claimed)) == JOBS
    assert {(job["state"], job["attempt"]) for mine in taken for job in mine} == {("running", 1)}
    # Each claimer by itself never steps back to a greater priority.
    for mine in taken:
        priorities = [job["priority"] for job in mine]
        assert priorities == sorted(priorities, reverse=True)
    rows = stack.sql(
        "select l.worker, count(*) as n from milepost.lanes l join milepost.jobs j using (job_id) "
        "where j.tenant_id = %s group by 1",
        (tenant.tenant_id,),
    )
    assert {row["worker"]: row["n"] for row in rows} == {
        f"worker {n}": len(mine) for n, mine in enumerate(taken) if mine
    }


def test_the_greatest_priority_is_first_and_then_the_oldest(clocked: Clocked) -> None:
    for second, (job, priority) in enumerate([("a", 0), ("b", 5), ("c", 5), ("d", -1)]):
        clocked.create(job, second, start=False, priority=priority)
    claimed = [clocked.claim(10) for _ in range(5)]
    assert [job and job["job"] for job in claimed] == ["b", "c", "a", "d", None]


def test_only_jobs_of_the_asked_kinds_whose_time_has_come_are_claimed(clocked: Clocked) -> None:
    clocked.create("wrong", start=False, kind="other")
    clocked.create("later", start=False, kind="k", run_after="2026-01-22T13:00:00Z")
    clocked.create("paused", start=False, kind="k")
    clocked.move("paused", "paused", "pause", 1)
    assert clocked.claim(10, ["k"]) is None
    claimed = clocked.claim(3600, ["k"])
    assert claimed is not None and claimed["job"] == "later"


def test_a_claim_has_the_attempt_and_each_lanes_cursor_and_counts(clocked: Clocked) -> None:
    clocked.report("job", 0, 10, worker="a", cursor={"at": 10})
    clocked.report("job", 1, 20, worker="b", cursor={"at": 20})
    clocked.report("job", 2, 25, worker="b")
    clocked.move("job", "retrying", "retry", 3)
    claimed = clocked.claim(4, worker="b")
    assert claimed is not None
    assert (claimed["attempt"], claimed["cursor"]) == (2, {"at": 20})
    assert claimed["cursors"] == {"a": {"at": 10}, "b": {"at": 20}}
    assert {lane["worker"]: lane["items_completed"] for lane in claimed["workers"]} == {"a": 10, "b": 20}


def test_the_depth_of_the_queue_and_the_longest_wait_are_seen(stack: RunningStack, tenant: Tenant) -> None:
    import httpx

    with httpx.Client(base_url=stack.api_url, timeout=60) as api:
        headers = {"Authorization": f"Bearer {tenant.operator_key}"}
        empty = api.get("/health/metrics", headers=headers).json()
        assert (empty["queue_depth"], empty["oldest_wait_s"]) == (0, None)
        for job in ("a", "b"):
            api.post("/v1/jobs", headers=headers, json={"job": job, "start": False})
        stack.sql(
            "update milepost.jobs set created_at = created_at - interval '2 days', state_changed_at = "
            "state_changed_at - interval '1 hour' where key = 'a'"
        )
        # Somebody else asks: who asked a moment ago gets the same answer again.
        queue = api.get("/health/metrics", headers={"Authorization": f"Bearer {tenant.worker_key}"}).json()
        assert queue["queue_depth"] == 2
        assert 3600 <= queue["oldest_wait_s"] < 3700
