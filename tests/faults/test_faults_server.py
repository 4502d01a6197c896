"""Parts of the server that die or hang while workers report: every sum is exact afterwards, and it is said."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from dev_process import eventually
from killed import Site
from loops import Loop, Loops
from running_stack import RunningStack, Tenant

import milepost

GOES_ON = "The work goes on; its counts are kept and sent later."


def begun(loops: Loops, workers: int = 1) -> list[Loop]:
    """Workers of one job that have done and delivered four of their ten items."""
    started = []
    for number in range(workers):
        fields = {"worker": f"worker {number}", "workers_expected": workers}
        started.append(loops.begun(items=10 * workers, named=True, **fields))
    for worker in started:
        worker.do(4)
        worker.deliver()
    return started


def finish(loops: Loops, *workers: Loop) -> None:
    """Each does what is left of its ten items; then every count is exact, and each item is there once."""
    for worker in workers:
        worker.do(5)
        worker.deliver()
        worker.tell("end")
        assert [worker.hear(), worker.hear()] == ["cleans up", "left"]
    eventually(lambda: loops.job()["state"] == "completed", "the job is completed")
    job = loops.job()
    assert (job["items_completed"], job["items_pending"], job["attempt"]) == (10 * len(workers), 0, 1)
    assert {lane["worker"]: lane["items_completed"] for lane in job["workers"]} == {
        f"worker {number}": 10 for number in range(len(workers))
    }
    versions = [row["version"] for row in rows(loops, "milepost.events order by version")]
    assert versions == list(range(1, job["version"] + 1))
    states = [row["state"] for row in rows(loops, "milepost.items order by key")]
    # Each worker names its items alike: they are one lane's word or the other's.
    assert states == ["completed"] * 10


def rows(loops: Loops, source: str) -> list[dict[str, Any]]:
    table, *order = source.split(" ", 1)
    query = f"select * from {table} where job_id = %s {' '.join(order)}"
    return loops.stack.sql(query, (loops.job()["job_id"],))


@contextmanager
def in_the_middle(site: Site, loops: Loops, workers: list[Loop]) -> Iterator[int]:
    """Inside the block each worker has done its fifth item, and one's report is in an open transaction."""
    with site.holding(loops.job()["job_id"]) as waiting:
        for worker in workers:
            worker.do(1)
        yield waiting()


def test_a_database_killed_in_the_middle_of_a_batch_loses_nothing(site: Site, loops: Loops) -> None:
    workers = begun(loops, 2)
    with in_the_middle(site, loops, workers):
        site.kill("bin/postgres", "Postgres ended (SIGKILL)")
    eventually(site.is_well, "the stack answers")
    finish(loops, *workers)
    assert any(GOES_ON in worker.logged() for worker in workers)


def test_a_killed_postgrest_loses_nothing(site: Site, loops: Loops) -> None:
    workers = begun(loops, 2)
    with in_the_middle(site, loops, workers):
        site.kill("postgrest", "PostgREST ended (SIGKILL)")
    finish(loops, *workers)
    assert any(GOES_ON in worker.logged() for worker in workers)


def test_functions_killed_between_commit_and_answer_count_it_once(site: Site, loops: Loops) -> None:
    workers = begun(loops)
    functions = site.pids("functions_framework")
    try:
        with in_the_middle(site, loops, workers) as backend:
            # They have asked, and will never hear.
            for pid in functions:
                os.kill(pid, signal.SIGSTOP)
        # What was asked may have been a sign of life that came between: of that, too, nobody hears.
        at_work = "select from pg_stat_activity where pid = %s and state <> 'idle'"
        eventually(lambda: not loops.stack.sql(at_work, (backend,)), "what was asked is committed")
    finally:
        for pid in reversed(functions):
            os.kill(pid, signal.SIGKILL)
    assert "starting it again" in site.hear("The functions' process ended (SIGKILL)")
    finish(loops, *workers)
    assert GOES_ON in workers[0].logged()


def test_a_database_too_slow_to_answer_is_a_503_that_may_be_repeated(site: Site, loops: Loops) -> None:
    begun(loops)
    job = loops.job()
    entry = {"job": "job", "worker": "slow", "seq": 1, "items_completed": 3}
    headers = {"Authorization": f"Bearer {loops.tenant.worker_key}"}
    answers: list[httpx.Response] = []

    def post() -> None:
        answers.append(loops.api.post("/v1/checkpoints", headers=headers, json=entry))

    asking = threading.Thread(target=post)
    with site.holding(job["job_id"]) as waiting:
        asking.start()
        slow = waiting()
        os.kill(slow, signal.SIGSTOP)
    try:
        asking.join()
        (answer,) = answers
        assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
        assert int(answer.headers["Retry-After"]) > 0
    finally:
        os.kill(slow, signal.SIGCONT)

    def is_taken() -> bool:
        post()
        return answers[-1].status_code == 200

    eventually(is_taken, "the same request is taken")
    (result,) = answers[-1].json()["results"]
    assert result["accepted"] + result["duplicates"] == 1
    assert loops.job()["items_completed"] == 4 + 3


# The realtime package reads a closed connection's code in a way that websockets calls deprecated.
@pytest.mark.filterwarnings("ignore:ConnectionClosed.code is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:ConnectionClosed.reason is deprecated:DeprecationWarning")
def test_all_of_the_server_killed_at_once_is_gone_on_with(
    site: Site, loops: Loops, stack: RunningStack, tenant: Tenant
) -> None:
    """With it Realtime's stand-in and the gateway go, to which a client that watches is connected."""
    (worker,) = begun(loops)
    seen: list[Any] = []
    told: list[Any] = []
    watched = milepost.watch(
        "job",
        url=stack.api_url,
        token=tenant.owner.jwt,
        supabase_url=stack.supabase_url,
        publishable_key=stack.publishable_key,
        on_status=told.append,
    )

    def watch() -> None:
        seen.extend(watched)

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    eventually(lambda: any(status.via == "realtime" for status in told), "it is told by Realtime")
    site.kill_all()
    worker.do(1)
    eventually(lambda: any(status.state == "unreachable" for status in told), "the client says so")
    eventually(lambda: GOES_ON in worker.logged(), "the worker says so")
    site.start_again()
    finish(loops, worker)
    watching.join()
    assert seen[-1] == loops.job()
    assert seen[-1]["state"] == "completed"
