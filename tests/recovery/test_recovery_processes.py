"""Real processes that are killed, frozen, cut off or hang: the next one goes on, and no item is lost."""

import signal
import threading

import psycopg
import pytest
from dev_process import eventually
from loops import Loops, Wire
from running_stack import RunningStack

LONG_S = 3000
"""Longer than any threshold of a job's first run."""


def finish(loops: Loops, begins_at: int, *, in_stage: bool = False) -> None:
    """The next worker claims the job and does what is left; then every count is exact."""
    heir = loops.start(None, in_stage=in_stage)
    assert heir.hear() == f"begins at {begins_at} in attempt 2"
    heir.do(40 - begins_at)
    heir.tell("end")
    assert [heir.hear(), heir.hear()] == ["cleans up", "left"]
    eventually(lambda: loops.job()["state"] == "completed", "the job is completed")
    job = loops.job()
    assert (job["items_completed"], job["items_pending"], job["percent_complete"]) == (40, 0, 100)
    assert set(loops.done()) == set(range(40))
    assert len(loops.events("job.recovered")) == 1


@pytest.mark.parametrize("in_stage", [False, True], ids=["in the job", "in a stage"])
def test_a_killed_worker_is_found_and_the_next_goes_on_from_its_cursor(loops: Loops, in_stage: bool) -> None:
    worker = loops.begun(in_stage=in_stage)
    worker.do(20)
    worker.deliver()
    worker.do(5)
    worker.kill()
    loops.pass_time(LONG_S)
    loops.sweep()
    job = loops.job()
    assert (job["state"], job["attempt"], job["run_after"] is not None) == ("retrying", 2, True)
    assert job["items_completed"] == job["cursor"]["offset"]
    (stalled,) = loops.events("job.stalled")
    assert stalled["data"]["liveness"] == "lost"
    change = loops.events("job.state_changed")[-1]["data"]
    assert (change["prior_state"], change["new_state"], change["actor"]) == ("running", "retrying", "system")
    assert "nothing was heard of it for" in change["reason"]
    assert job["cursor"]["offset"] >= 20
    finish(loops, job["cursor"]["offset"], in_stage=in_stage)


def test_a_frozen_worker_that_wakes_up_harms_nobody(loops: Loops) -> None:
    zombie = loops.begun()
    zombie.do(10)
    zombie.deliver()
    # What it did last it will tell when it wakes up, and it is more than its heir will have done.
    zombie.do(15)
    zombie.signal(signal.SIGSTOP)
    loops.pass_time(LONG_S)
    loops.sweep()
    kept = loops.job()["cursor"]["offset"]
    heir = loops.start(None)
    assert heir.hear() == f"begins at {kept} in attempt 2"
    heir.do(5)
    heir.deliver()
    # All but progress, which the sweep may send on at any moment.
    told = ("job.started", "job.state_changed", "job.stalled", "job.recovered", "job.completed", "job.failed")
    before = loops.events(*told)
    zombie.signal(signal.SIGCONT)
    # It does items until it hears that it is not its job any more.
    heard: list[str] = []
    while "JobSuperseded" not in heard:
        if not zombie.process.poll():
            zombie.tell("item")
        heard.append(zombie.hear())
        assert heard[-1] != "ended", heard
    assert heard[-2] == "cleans up"
    after = loops.job()
    assert (after["items_completed"], after["cursor"]) == (kept + 5, {"offset": kept + 5})
    assert (after["state"], after["attempt"]) == ("running", 2)
    assert loops.events(*told) == before
    heir.do(40 - kept - 5)
    heir.tell("end")
    eventually(lambda: loops.job()["state"] == "completed", "the job is completed")
    assert loops.job()["items_completed"] == 40


def test_a_loop_that_hangs_is_found_though_its_heartbeat_goes_on(loops: Loops) -> None:
    worker = loops.begun()
    worker.do(10)
    worker.deliver()
    worker.tell("hang")
    assert worker.hear() == "hangs"
    before = loops.job()["last_checkpoint_at"]
    eventually(lambda: loops.job()["last_checkpoint_at"] > before, "its heartbeat is heard")
    loops.pass_time(LONG_S, heard=True)
    loops.sweep()
    assert (loops.job()["state"], loops.job()["attempt"]) == ("retrying", 2)
    (stalled,) = loops.events("job.stalled")
    assert (stalled["data"]["liveness"], stalled["data"]["reason"]) == ("stalled", "no_progress")
    finish(loops, 10)


def test_a_cancel_ends_a_loop_that_hangs_though_its_heartbeat_goes_on(loops: Loops) -> None:
    worker = loops.begun()
    worker.do(10)
    worker.deliver()
    worker.tell("hang")
    assert worker.hear() == "hangs"
    assert loops.control("cancel", reason="wrong file")["state"] == "canceling"
    loops.pass_time(LONG_S, heard=True)
    loops.sweep()
    change = loops.events("job.state_changed")[-1]["data"]
    assert (change["new_state"], change["reason"], change["actor"][:4]) == ("canceled", "wrong file", "key:")


def test_a_network_cut_of_half_a_minute_costs_nothing(loops: Loops, stack: RunningStack) -> None:
    wire = Wire(stack.api_url)
    try:
        worker = loops.begun(url=wire.url)
        worker.do(10)
        worker.deliver()
        wire.cut()
        worker.do(10)
        eventually(lambda: wire.tries_while_cut > 0, "it tries to report")
        loops.pass_time(30)
        loops.sweep()
        job = loops.job()
        assert (job["state"], job["attempt"], job["items_completed"]) == ("running", 1, 10)
        wire.mend()
        worker.deliver()
        assert loops.job()["items_completed"] == 20
        worker.do(20)
        worker.tell("end")
        eventually(lambda: loops.job()["state"] == "completed", "the job is completed")
        job = loops.job()
        assert (job["items_completed"], job["attempt"]) == (40, 1)
        assert loops.done() == list(range(40))
        assert loops.events("job.stalled") == []
    finally:
        loops.end_loops()
        wire.close()


def test_sweeps_at_the_same_time_reset_a_job_once(loops: Loops, stack: RunningStack) -> None:
    worker = loops.begun()
    worker.do(10)
    worker.deliver()
    worker.kill()
    loops.pass_time(LONG_S)
    together = threading.Barrier(6)

    def sweep() -> None:
        with psycopg.connect(stack.database_url) as connection:
            together.wait()
            connection.execute("select milepost.sweep()")

    threads = [threading.Thread(target=sweep) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (loops.job()["state"], loops.job()["attempt"]) == ("retrying", 2)
    assert len(loops.events("job.stalled")) == 1
    assert [e["data"]["new_state"] for e in loops.events("job.state_changed")] == ["running", "retrying"]


@pytest.mark.parametrize("skew_s", [-86_400, 86_400], ids=["a day behind", "a day ahead"])
def test_a_worker_whose_clock_is_a_day_off_hands_over_as_any_other(loops: Loops, skew_s: float) -> None:
    worker = loops.begun(skew_s=skew_s)
    worker.do(10)
    worker.deliver()
    assert loops.job()["liveness"] == "on_time"
    assert loops.job()["time_processing_ms"] < 3_600_000
    loops.sweep()
    assert loops.job()["attempt"] == 1
    worker.kill()
    loops.pass_time(LONG_S)
    loops.sweep()
    finish(loops, 10)


def test_attempts_are_used_up_in_the_end(loops: Loops) -> None:
    for attempt in (1, 2):
        worker = loops.start("job" if attempt == 1 else None, max_attempts=2)
        assert worker.hear() == f"begins at 0 in attempt {attempt}"
        worker.deliver()
        worker.kill()
        loops.pass_time(LONG_S)
        loops.sweep()
    job = loops.job()
    assert (job["state"], job["attempt"]) == ("failed", 2)
    assert "no progress at all for" in job["error"]
    assert loops.sweep()["failed"] == 0


def test_pause_resume_and_cancel_reach_the_loop(loops: Loops) -> None:
    worker = loops.begun()
    worker.do(5)
    worker.deliver()
    assert loops.control("pause", reason="lunch")["state"] == "pausing"

    def waits() -> bool:
        worker.tell("item")
        return bool(loops.job()["state"] == "paused")

    eventually(waits, "the loop says that it waits")
    while not worker.is_silent():
        worker.hear()
    paused = loops.job()
    loops.pass_time(3600)
    assert loops.job()["time_processing_ms"] == paused["time_processing_ms"]
    assert loops.job()["liveness"] == "on_time"
    loops.sweep()
    assert (loops.job()["state"], worker.is_silent()) == ("paused", True)

    assert loops.control("resume")["state"] == "running"
    assert worker.hear().startswith("did ")
    worker.deliver_all()
    assert loops.job()["items_completed"] == len(loops.done())
    assert loops.job()["time_processing_ms"] < paused["time_processing_ms"] + 60_000

    assert loops.control("cancel")["state"] == "canceling"
    heard = [""]
    while heard[-1] != "JobCanceled":
        worker.tell("item")
        heard.append(worker.hear())
        assert heard[-1] != "ended", heard
    assert heard[-2] == "cleans up"
    eventually(lambda: loops.job()["state"] == "canceled", "the loop says that it ended")


def test_a_cancel_whose_worker_is_gone_ends_after_a_grace_time(loops: Loops) -> None:
    worker = loops.begun()
    worker.do(5)
    worker.deliver()
    worker.kill()
    assert loops.control("cancel", reason="not needed")["state"] == "canceling"
    loops.pass_time(50)
    loops.sweep()
    assert loops.job()["state"] == "canceling"
    loops.pass_time(20)
    loops.sweep()
    assert (loops.job()["state"], loops.job()["state_reason"]) == ("canceled", "not needed")


def test_a_priority_moves_a_job_forward_in_the_queue(loops: Loops) -> None:
    loops.create("first")
    loops.create("second")
    assert loops.control("priority", "second", priority=5)["priority"] == 5
    worker = loops.begun(None)
    assert (loops.job("second")["state"], loops.job("first")["state"]) == ("running", "pending")
    worker.tell("end")
