"""The gap-free client in a world that misbehaves, on a clock of its own."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest
import virtual_time
from hypothesis import given, settings
from hypothesis import strategies as st
from world import CALM, Mischief, Stream, World, summary

from milepost import _follow
from milepost._follow import AllJobs, Follow, Json, OneJob, Polling, Sink, Status, Transport
from milepost.errors import JobNotFound, TransportError

SEEDS = st.integers(0, 2**32)
SHARES = st.sampled_from([0.0, 0.3])
MISCHIEF = st.builds(Mischief, SHARES, SHARES, SHARES, SHARES, st.sampled_from([0.0, 0.2]))
EXAMPLES = settings(max_examples=80, deadline=None)
QUIET_S = 60.0  # two regular reads with failures in between
THIRTY = Mischief()


class Run:
    """A world, and somebody who follows it."""

    def __init__(
        self, seed: int, mischief: Mischief = CALM, *, job: str | None = "job-003", jobs: int = 8
    ) -> None:
        self.world = World(seed, mischief)
        self.random = random.Random(seed + 1)  # noqa: S311
        self.shown: dict[str, Json] = {}
        self.pictures: list[Json] = []
        self.said: list[Status] = []
        self.jobs, self.job = jobs, job
        self.transports: list[Transport] = [Stream(self.world), Polling()]

    def _show(self, job: Json) -> None:
        self.shown[job["job_id"]] = dict(job)
        self.pictures.append(dict(job))

    def __call__(self, story: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Runs the story while the world is followed."""

        async def tell() -> None:
            for _ in range(self.jobs):
                self.world.add_job()
            subject = (
                AllJobs(self.world, self._show)
                if self.job is None
                else OneJob(self.world, self.job, self._show)
            )
            follow = Follow(subject, self.transports, self.random.random, self.said.append)
            self.following = asyncio.create_task(follow.run())
            await story()
            self.following.cancel()
            await asyncio.gather(self.following, return_exceptions=True)
            assert self.world.listeners == 0
            assert asyncio.all_tasks() == {asyncio.current_task()}

        virtual_time.run(tell())

    async def live(self, steps: int) -> None:
        """Steps, cuts and pauses at random."""
        for _ in range(steps):
            self.world.step()
            if self.random.random() < 0.02:
                self.world.cut()
            await asyncio.sleep(self.random.random() * 0.3)


@EXAMPLES
@given(SEEDS, MISCHIEF)
def test_a_job_equals_the_database_after_drops_doubles_delays_reordering_and_cuts(
    seed: int, mischief: Mischief
) -> None:
    run = Run(seed, mischief)

    async def story() -> None:
        await run.live(100)
        await asyncio.sleep(QUIET_S)

    run(story)
    assert run.shown["job-003"] == run.world.jobs["job-003"]


@EXAMPLES
@given(SEEDS, MISCHIEF)
def test_so_do_all_jobs_with_those_that_end_and_those_that_are_new(seed: int, mischief: Mischief) -> None:
    run = Run(seed, mischief, job=None)

    async def story() -> None:
        await asyncio.sleep(2)
        for _ in range(4):
            await run.live(20)
            run.world.add_job()
            active = [job["job_id"] for job in run.world.jobs.values() if job["state"] != "completed"]
            run.world.change_state(run.random.choice(active), "completed")
        await asyncio.sleep(QUIET_S)

    run(story)
    for id, job in run.world.jobs.items():
        # One that came and went between two looks may never have been seen.
        if id in run.shown or job["state"] != "completed":
            assert run.shown[id] == summary(job)


@EXAMPLES
@given(SEEDS)
def test_no_picture_goes_back_and_none_is_older_than_its_version(seed: int) -> None:
    run = Run(seed, THIRTY, job=None)
    run(lambda: run.live(100))
    items = {(id, version): completed for id, version, completed in run.world.history}
    last: dict[str, int] = {}
    for job in run.pictures:
        id, version = job["job_id"], job["version"]
        assert version >= last.get(id, 0)
        assert job["items_completed"] >= items[id, version]
        last[id] = version


@pytest.mark.parametrize("job", ["job-003", None])
@pytest.mark.parametrize("seed", range(10))
def test_the_next_message_that_arrives_mends_what_was_lost_before_it(
    seed: int, job: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_follow, "REFRESH_S", 1e9)
    run = Run(seed, job=job)

    async def story() -> None:
        await asyncio.sleep(5)
        run.world.only_drop(0.5)
        for _ in range(60):
            run.world.step()
            await asyncio.sleep(0.1)
        run.world.calm()
        for id in run.world.jobs:
            run.world.progress(id)
        await asyncio.sleep(5)

    run(story)
    if job is None:
        assert run.shown == {id: summary(each) for id, each in run.world.jobs.items()}
    else:
        assert run.shown[job] == run.world.jobs[job]


def test_the_next_event_changes_the_picture_without_a_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_follow, "REFRESH_S", 1e9)
    run = Run(1, job=None)

    async def story() -> None:
        await asyncio.sleep(5)
        before = run.world.reads
        for _ in range(20):
            run.world.progress("job-003")
            await asyncio.sleep(0.02)
            assert run.shown["job-003"] == summary(run.world.jobs["job-003"])
        assert run.world.reads == before

    run(story)


def test_many_holes_at_once_are_one_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_follow, "REFRESH_S", 1e9)
    run = Run(1, job=None, jobs=_follow.MAX_SINGLE_READS + 5)

    async def story() -> None:
        await asyncio.sleep(5)
        before = run.world.reads
        run.world.only_drop(1)
        for id in run.world.jobs:
            run.world.progress(id)
        run.world.calm()
        for id in run.world.jobs:
            run.world.progress(id)
        await asyncio.sleep(2)
        assert run.world.reads == before + 1

    run(story)


def test_the_snapshot_is_read_once_messages_flow_so_that_nothing_falls_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_follow, "REFRESH_S", 1e9)
    run = Run(1)
    run.transports[0] = Stream(run.world, join_s=3)

    async def story() -> None:
        await asyncio.sleep(2)
        assert run.shown["job-003"]["version"] == 1, "there is a first look before that"
        run.world.progress("job-003")
        await asyncio.sleep(2)
        assert run.shown["job-003"] == run.world.jobs["job-003"]

    run(story)


def test_without_the_stream_it_polls_and_climbs_back() -> None:
    run = Run(5)

    async def story() -> None:
        await asyncio.sleep(2)
        assert run.said[-1] == Status("live", "stream")

        run.world.is_reachable = False
        run.world.cut("server restarts")
        await asyncio.sleep(0.1)
        assert run.said[-1] == Status("polling", "polling", "server restarts")
        run.world.progress("job-003")
        await asyncio.sleep(2.5)
        assert run.shown["job-003"] == run.world.jobs["job-003"]

        run.world.is_reachable = True
        await asyncio.sleep(31)
        assert run.said[-1] == Status("live", "stream")
        before = run.world.reads
        await asyncio.sleep(10)
        assert run.world.reads - before <= 1, "it stopped polling"

    run(story)


def test_a_transport_between_the_two_is_used_while_the_first_is_away() -> None:
    run = Run(1)
    best = World(2, CALM)
    best.is_reachable = False
    run.transports = [Stream(best, "realtime"), Stream(run.world, "events"), Polling()]

    async def story() -> None:
        await asyncio.sleep(2)
        assert run.said[-1] == Status("live", "events", "not reachable")
        run.world.is_reachable = False
        run.world.cut()
        await asyncio.sleep(0.01)
        assert run.said[-1].via == "polling"
        best.is_reachable = run.world.is_reachable = True
        await asyncio.sleep(31)
        assert run.said[-1] == Status("live", "realtime")
        assert (best.listeners, run.world.listeners) == (1, 0)

    run(story)


def test_a_transport_that_takes_too_long_is_helped_out_by_the_next_one() -> None:
    run = Run(1)
    run.transports[0] = Stream(run.world, join_s=6)

    async def story() -> None:
        await asyncio.sleep(5)
        assert run.said[-1] == Status("polling", "polling")
        await asyncio.sleep(2)
        assert run.said[-1] == Status("live", "stream")

    run(story)


def test_tries_to_reconnect_come_at_growing_scattered_intervals() -> None:
    run = Run(1)
    tries: list[float] = []

    class Away:
        name = "away"

        async def run(self, sink: Sink) -> None:
            tries.append(asyncio.get_running_loop().time())
            raise TransportError("away")

    run.transports[0] = Away()
    run(lambda: asyncio.sleep(300))
    gaps = [later - earlier for earlier, later in pairwise(tries)]
    for n, gap in enumerate(gaps):
        full = min(30.0, 0.5 * 2**n)
        assert full / 2 <= gap <= full + 0.01
    assert 10 < len(gaps) < 25
    assert len({round(gap) for gap in gaps[7:]}) > 2


def test_reads_that_fail_are_told_and_tried_again_and_leave_the_last_picture() -> None:
    run = Run(1)

    async def story() -> None:
        await asyncio.sleep(3)
        run.world.is_reachable = False
        run.world.mischief = Mischief(0, 0, 0, 0, failing_reads=1)
        run.world.cut()
        await asyncio.sleep(5)
        assert run.said[-1] == Status("unreachable", None, "no answer")
        assert run.shown["job-003"] == run.world.jobs["job-003"]
        run.world.calm()
        await asyncio.sleep(31)
        assert run.said[-1].state == "polling"

    run(story)


def test_a_job_that_is_not_there_ends_it() -> None:
    run = Run(1, job="absent")

    async def story() -> None:
        with pytest.raises(JobNotFound):
            await run.following

    run(story)


@pytest.mark.parametrize("seed", range(20))
def test_it_ends_with_the_job_and_its_last_picture_is_the_database_s(seed: int) -> None:
    run = Run(seed, THIRTY)

    async def story() -> None:
        await run.live(10)
        run.world.change_stage("job-003")
        run.world.progress("job-003", held_back=True)
        run.world.change_state("job-003", "completed")
        await asyncio.wait_for(run.following, QUIET_S)

    run(story)
    assert run.shown["job-003"] == run.world.jobs["job-003"]


def test_a_job_that_begins_again_is_followed_again() -> None:
    run = Run(1, job=None)

    async def story() -> None:
        await asyncio.sleep(2)
        run.world.change_state("job-003", "failed")
        await asyncio.sleep(20)
        run.world.only_drop(1)
        run.world.change_state("job-003", "running")
        run.world.calm()
        for _ in range(40):
            run.world.progress("job-003")
            await asyncio.sleep(1)

    run(story)
    assert run.shown["job-003"] == summary(run.world.jobs["job-003"])


def test_a_job_that_is_gone_does_not_end_the_others() -> None:
    run = Run(1, job=None)

    async def story() -> None:
        await asyncio.sleep(2)
        del run.world.jobs["job-003"]
        await asyncio.sleep(QUIET_S)
        run.world.progress("job-004")
        await asyncio.sleep(1)

    run(story)
    assert run.shown["job-004"] == summary(run.world.jobs["job-004"])
    assert run.shown["job-003"]["version"] == 1


def test_a_job_that_begins_again_while_its_end_is_read_is_followed_on() -> None:
    run = Run(1)

    async def story() -> None:
        await asyncio.sleep(5)
        run.world.random.random = lambda: 0.99  # type: ignore[method-assign]
        run.world.change_state("job-003", "failed")
        # The read that this causes has looked, and its answer is on the way.
        await asyncio.sleep(0.45)
        run.world.change_state("job-003", "running")
        await asyncio.sleep(QUIET_S)
        assert not run.following.done()

    run(story)
    assert run.shown["job-003"] == run.world.jobs["job-003"]


def test_an_error_of_its_own_is_raised_and_does_not_get_lost_in_a_transport() -> None:
    run = Run(1)

    async def story() -> None:
        await asyncio.sleep(1)
        (sink,) = run.world._open
        sink.message({"version": 7})
        with pytest.raises(KeyError):
            await run.following

    run(story)


def test_what_a_closed_connection_still_says_is_not_heard() -> None:
    run = Run(1)

    async def story() -> None:
        await asyncio.sleep(1)
        (sink,) = run.world._open
        run.world.cut()
        await asyncio.sleep(0.01)
        before = len(run.pictures), len(run.said)
        sink.message(
            {
                "type": "job.progress",
                "ts": "",
                "job_id": "job-003",
                "version": 99,
                "data": {"state": "failed"},
            }
        )
        sink.up()
        assert (len(run.pictures), len(run.said)) == before

    run(story)
