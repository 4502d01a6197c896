"""Workers that die, are cut off, meet a full disk or a wrong clock: the next one goes on, and sums are exact.

A worker that is killed while the server hears it is in tests/recovery.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dev_process import eventually
from loops import Loop, Loops, Wire
from running_stack import RunningStack

LONG_S = 3000
"""Longer than any threshold of a job's first run."""


@pytest.fixture
def wire(stack: RunningStack) -> Iterator[Wire]:
    """The workers' way to the server."""
    wire = Wire(stack.api_url)
    yield wire
    wire.close()


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def spooled(spool: Path, words: str, folders: int = 1) -> Callable[[], bool]:
    """Whether what is written down in so many folders has these words."""

    def look() -> bool:
        written = [
            "".join(file.read_text() for file in folder.iterdir() if not file.name.endswith(".new"))
            for folder in spool.glob("*")
        ]
        return len([text for text in written if words in text]) == folders

    return look


def items_by_name(loops: Loops) -> list[str]:
    query = "select key from milepost.items where job_id = %s and state = 'completed'"
    return sorted(row["key"] for row in loops.stack.sql(query, (loops.job()["job_id"],)))


def named(items: int) -> list[str]:
    return sorted(f"item {number}" for number in range(1, items + 1))


def ended(worker: Loop) -> int:
    worker.tell("end")
    while worker.hear() != "ended":
        pass
    return worker.process.wait()


def assert_exact(loops: Loops, items: int, attempt: int = 1) -> dict[str, Any]:
    eventually(lambda: loops.job()["state"] == "completed", "the job is completed")
    job = loops.job()
    assert (job["items_completed"], job["items_pending"], job["attempt"]) == (items, 0, attempt)
    assert items_by_name(loops) == named(items)
    return job


def test_a_worker_killed_while_cut_off_leaves_its_cursor_to_the_next_start(
    loops: Loops, wire: Wire, spool: Path
) -> None:
    options: dict[str, Any] = {"url": wire.url, "spool": str(spool), "named": True, "items": 12}
    worker = loops.begun(**options)
    worker.do(4)
    worker.deliver()
    wire.cut()
    worker.do(4)
    eventually(spooled(spool, '"offset":8'), "its cursor is in the spool")
    worker.kill()
    wire.mend()
    heir = loops.start(**options)
    assert heir.hear() == "begins at 8 in attempt 1"
    heir.do(4)
    heir.deliver()
    assert ended(heir) == 0
    assert_exact(loops, 12)
    assert loops.done() == list(range(12))
    assert list(spool.iterdir()) == []


def test_a_run_that_begins_and_dies_while_cut_off_is_known_after_the_next_start(
    loops: Loops, wire: Wire, spool: Path
) -> None:
    options: dict[str, Any] = {"url": wire.url, "spool": str(spool), "named": True, "items": 6}
    wire.cut()
    worker = loops.begun(**options, patience_s=0.5)
    worker.do(3)
    eventually(spooled(spool, '"offset":3'), "its cursor is in the spool")
    worker.kill()
    wire.mend()
    heir = loops.start(**options)
    assert heir.hear() == "begins at 3 in attempt 1"
    heir.do(3)
    assert ended(heir) == 0
    assert_exact(loops, 6)


def test_the_spool_of_an_attempt_that_was_taken_away_changes_nothing_and_is_told(
    loops: Loops, wire: Wire, spool: Path
) -> None:
    worker = loops.begun(url=wire.url, spool=str(spool), named=True, items=8)
    worker.do(2)
    worker.deliver()
    wire.cut()
    worker.do(6)
    eventually(spooled(spool, '"offset":8'), "its cursor is in the spool")
    worker.kill()
    loops.pass_time(LONG_S)
    loops.sweep()
    wire.mend()
    heir = loops.start(None, named=True, items=8)
    assert heir.hear() == "begins at 2 in attempt 2"
    heir.do(1)
    heir.deliver()
    # Another job's process, which finds what the dead one left.
    other = loops.begun("another", url=wire.url, spool=str(spool))
    other.deliver()
    eventually(lambda: not any(spool.iterdir()), "the spool is empty")
    assert "on 'job' (worker main, attempt 1) from the spool: a newer attempt" in other.logged()
    assert (loops.job()["items_completed"], loops.job()["cursor"]) == (3, {"offset": 3})
    assert items_by_name(loops) == named(3)
    heir.do(5)
    assert ended(heir) == 0
    assert_exact(loops, 8, attempt=2)


def test_two_processes_with_one_spool_keep_their_own(loops: Loops, wire: Wire, spool: Path) -> None:
    workers = [
        loops.begun(url=wire.url, spool=str(spool), items=6, worker=f"worker {number}", workers_expected=2)
        for number in range(2)
    ]
    for worker in workers:
        worker.deliver()
    wire.cut()
    for worker in workers:
        worker.do(3)
    eventually(spooled(spool, '"offset":3', folders=2), "both have written")
    workers[0].kill()
    wire.mend()
    heir = loops.start(url=wire.url, spool=str(spool), items=6, worker="worker 0")
    assert heir.hear() == "begins at 3 in attempt 1"
    for one in (heir, workers[1]):
        assert ended(one) == 0
    eventually(lambda: loops.job()["state"] == "completed", "the job is completed")
    job = loops.job()
    assert [lane["items_completed"] for lane in job["workers"]] == [3, 3]
    assert (job["items_completed"], job["items_pending"]) == (6, 0)
    assert list(spool.iterdir()) == []


def test_a_full_disk_costs_nothing_while_the_process_lives(loops: Loops, wire: Wire, spool: Path) -> None:
    worker = loops.begun(url=wire.url, spool=str(spool), named=True, items=200)
    worker.deliver()
    worker.tell("files 2000")
    wire.cut()
    worker.do(200)
    eventually(lambda: "cannot be used (" in worker.logged(), "it says so")
    wire.mend()
    worker.deliver()
    assert ended(worker) == 0
    assert_exact(loops, 200)
    assert list(spool.iterdir()) == []


def test_what_a_full_disk_costs_at_the_end_is_counted_and_said(loops: Loops, wire: Wire, spool: Path) -> None:
    worker = loops.begun(url=wire.url, spool=str(spool), named=True, items=200)
    worker.deliver()
    worker.tell("files 2000")
    wire.cut()
    worker.do(200)
    eventually(lambda: "cannot be used (" in worker.logged(), "it says so")
    worker.tell("hurry")
    # An end in order, but nobody there to hear it; the exit status is the loop's own.
    assert ended(worker) == 0
    assert "could not be delivered before the process ended" in worker.logged()
    (said,) = [line for line in worker.logged().splitlines() if "reports on items are lost" in line]
    lost = int(said.split(" reports on items")[0].split()[-1])
    wire.mend()
    other = loops.begun("another", url=wire.url, spool=str(spool))
    other.deliver()
    eventually(lambda: not any(spool.iterdir()), "the spool is empty")
    assert (len(items_by_name(loops)), loops.job()["items_completed"]) == (200 - lost, 200)


def test_a_worker_without_memory_fails_its_attempt_and_the_next_goes_on(loops: Loops) -> None:
    worker = loops.begun(named=True, items=6)
    worker.do(4)
    worker.tell("devour")
    assert [worker.hear(), worker.hear(), worker.hear()] == ["cleans up", "MemoryError", "left"]
    assert loops.job()["state"] == "retrying"
    assert "MemoryError" in loops.events("job.state_changed")[-1]["data"]["reason"]
    heir = loops.start(None, named=True, items=6)
    assert heir.hear() == "begins at 4 in attempt 2"
    heir.do(2)
    assert ended(heir) == 0
    assert_exact(loops, 6, attempt=2)


@pytest.mark.parametrize("first_s", [86_400, -86_400], ids=["forwards", "backwards"])
def test_a_clock_that_jumps_poisons_neither_counts_nor_the_finish_time(
    loops: Loops, wire: Wire, spool: Path, first_s: int
) -> None:
    options: dict[str, Any] = {"url": wire.url, "spool": str(spool), "named": True, "items": 30}
    worker = loops.begun(**options)
    worker.do(5)
    worker.deliver()
    worker.tell(f"jump {first_s}")
    worker.do(5)
    worker.deliver()
    wire.cut()
    worker.tell(f"jump {-2 * first_s}")
    worker.do(5)
    eventually(spooled(spool, '"offset":15'), "its cursor is in the spool")
    worker.kill()
    wire.mend()
    heir = loops.start(**options, skew_s=3 * first_s)
    assert heir.hear() == "begins at 15 in attempt 1"
    heir.do(5)
    heir.deliver()
    job = loops.job()
    assert (job["state"], job["items_completed"], job["liveness"]) == ("running", 20, "on_time")
    # A day would show in any of them.
    assert job["time_processing_ms"] < 3_600_000
    assert job["eta_ms"] is None or job["eta_high_ms"] < 3_600_000
    assert job["rate_per_s"] is None or job["rate_per_s"] > 10 / 3_600
    heir.do(10)
    assert ended(heir) == 0
    assert assert_exact(loops, 30)["time_processing_ms"] < 3_600_000
