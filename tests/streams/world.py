"""A world for `milepost.watch`: jobs that move, and a network that loses, doubles, delays and reorders.

Its database keeps the promises of the real one: each event raises its job's version by one, and a row may be
newer than its version, never older.
"""

import asyncio
import copy
import random
from dataclasses import dataclass, replace
from typing import Any

from milepost._follow import TERMINAL, Json, Sink
from milepost.errors import JobNotFound, TransportError

STATES = ("running", "pausing", "paused", "retrying")
FIGURES = ("state", "percent_complete", "items_completed", "message", "liveness")


@dataclass(frozen=True)
class Mischief:
    """Probabilities of what happens to each message, and to each read."""

    drop: float = 0.3
    double: float = 0.3
    delay: float = 0.3
    reorder: float = 0.3
    failing_reads: float = 0.1


CALM = Mischief(0, 0, 0, 0, 0)


class World:
    """The database, its reads, and its messages."""

    def __init__(self, seed: int, mischief: Mischief) -> None:
        self.random = random.Random(seed)  # noqa: S311
        self.mischief = mischief
        self.jobs: dict[str, Json] = {}
        self.is_reachable = True
        self.reads = 0
        self.history: list[tuple[str, int, int]] = []
        """Of each event its job, version, and the items that were completed then."""
        self._open: dict[Sink, asyncio.Future[None]] = {}

    # ------------------------------------------------------------------------------ what happens

    def add_job(self) -> str:
        id = f"job-{len(self.jobs):03}"
        unknown = dict.fromkeys(("state_reason", "message", "finished_at", "current_stage"))
        counts = {"percent_complete": 0.0, "items_completed": 0, "version": 0}
        known = {"job_id": id, "job": id, "state": "pending", "liveness": "on_time", "stages": []}
        self.jobs[id] = unknown | counts | known
        self.change_state(id, "running")
        return id

    def progress(self, id: str, *, held_back: bool = False) -> None:
        """Counts rise; where the event is held back, the row is newer than its version."""
        job = self.jobs[id]
        job["items_completed"] += self.random.randint(1, 9)
        job["percent_complete"] = job["items_completed"] / 100
        job["message"] = f"at {job['items_completed']}"
        if not held_back:
            self._emit(job, "job.progress", {})

    def change_state(self, id: str, state: str) -> None:
        job = self.jobs[id]
        prior, job["state"] = job["state"], state
        job["state_reason"] = f"was {prior}"
        job["finished_at"] = "now" if state in TERMINAL else None
        said = {"prior_state": prior, "new_state": state, "reason": job["state_reason"], "actor": "system"}
        self._emit(job, "job.state_changed", said, ts="now")

    def change_stage(self, id: str) -> None:
        job = self.jobs[id]
        job["current_stage"] = f"stage {job['version']}"
        job["stages"] = [{"name": job["current_stage"]}]
        self._emit(job, "stage.changed", {"stage": job["current_stage"]}, figures=False)

    def step(self) -> None:
        """Something, to some job that has not ended."""
        id = self.random.choice([id for id, job in self.jobs.items() if job["state"] not in TERMINAL])
        what = self.random.random()
        if what < 0.5:
            self.progress(id)
        elif what < 0.65:
            self.progress(id, held_back=True)
        elif what < 0.8:
            self.change_stage(id)
        else:
            self.change_state(id, self.random.choice(STATES))

    def _emit(self, job: Json, type: str, data: Json, *, ts: str = "", figures: bool = True) -> None:
        job["version"] += 1
        self.history.append((job["job_id"], job["version"], job["items_completed"]))
        data = data | ({name: job[name] for name in FIGURES} if figures else {})
        event = {"type": type, "ts": ts, "job_id": job["job_id"], "version": job["version"], "data": data}
        chance, how = self.random.random, self.mischief
        for sink in self._open:
            for _ in range(0 if chance() < how.drop else 2 if chance() < how.double else 1):
                late_s = chance() * 0.5 if chance() < how.delay else 0.001
                late_s += 1.0 if chance() < how.reorder else 0.0
                asyncio.get_running_loop().call_later(late_s, sink.message, event)

    # ------------------------------------------------------------------------------ reads

    async def _look(self) -> None:
        self.reads += 1
        await asyncio.sleep(self.random.random() * 0.15)
        if self.random.random() < self.mischief.failing_reads:
            raise TransportError("no answer")

    async def _answer(self, answer: Any) -> Any:
        answer = copy.deepcopy(answer)
        await asyncio.sleep(self.random.random() * 0.15)
        return answer

    async def job(self, job: str) -> Json:
        await self._look()
        if job not in self.jobs:
            raise JobNotFound(code="job_not_found", status=404)
        found: Json = await self._answer(self.jobs[job])
        return found

    async def active_jobs(self) -> list[Json]:
        await self._look()
        active = [summary(job) for job in self.jobs.values() if job["state"] not in TERMINAL]
        found: list[Json] = await self._answer(active)
        return found

    # ------------------------------------------------------------------------------ messages

    @property
    def listeners(self) -> int:
        return len(self._open)

    def cut(self, reason: str = "cut") -> None:
        """Breaks every connection."""
        for ended in self._open.values():
            if not ended.done():
                ended.set_exception(TransportError(reason))

    def calm(self) -> None:
        self.mischief = CALM

    def only_drop(self, share: float) -> None:
        self.mischief = replace(CALM, drop=share)


class Stream:
    """A transport to this world: what is sent before it is up is lost."""

    def __init__(self, world: World, name: str = "stream", join_s: float = 0.1) -> None:
        self.name, self._world, self._join_s = name, world, join_s

    async def run(self, sink: Sink) -> None:
        await asyncio.sleep(self._join_s)
        if not self._world.is_reachable:
            raise TransportError("not reachable")
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._world._open[sink] = ended
        try:
            sink.up()
            await ended
        finally:
            del self._world._open[sink]


def summary(job: Json) -> Json:
    """A job as lists show it."""
    return {name: value for name, value in job.items() if name != "stages"}
