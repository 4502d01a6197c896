"""Follows jobs live without ever ending up with a wrong picture. public/milepost.js does the same in the
same steps.

The rule: what the database says is the truth, a message is a hint. A transport joins, waits until messages
really flow, and only then the snapshot is read. Each event of a job raises its `version` by one: an older
message is ignored, the next one is applied, a jump means that something was missed and the job is read
again. What is lost with nothing after it is found by a slow regular read. Where no stream can be had the job
is polled, while the better transports keep trying.

Time is the event loop's: a loop with a clock of its own makes all of this run in no time.
"""

import asyncio
import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from milepost.errors import JobNotFound, MilepostError, TransportError, Unavailable

Json = dict[str, Any]

TERMINAL = frozenset({"completed", "canceled", "failed"})
FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 0.5, 30.0
STEADY_S = 10.0  # a transport that held for this long had recovered
REFRESH_S = 15.0  # between regular reads while messages flow
GATHER_S = 0.25  # how long missed messages are gathered before their jobs are read
PARTS_S = 1.0  # stages and workers travel in no message, so they follow a moment later
PATIENCE_S = 4.0  # how long a transport may take before the next one helps out
POLL_S = 2.0
# More missed jobs than this are read as a list.
MAX_SINGLE_READS = 20
READS_AT_A_TIME = 8

# After these the same read may succeed.
_PASSING = (TransportError, Unavailable)
# What only the picture of a single job has.
_PARTS = frozenset({"stages", "workers", "cursor", "cursors", "metadata"})


# ------------------------------------------------------------------------------------------------ pictures


class Heard(NamedTuple):
    """What a message meant.

    `is_new`: it had not been heard or read before. `changed`: the picture is different now. `is_whole`:
    nothing is missing from it, neither an event before this one nor a field that it does not carry.
    """

    is_new: bool
    changed: bool
    is_whole: bool


class Picture:
    """Jobs as snapshots and messages left them, in whatever order these came."""

    def __init__(self) -> None:
        self.jobs: dict[str, Json] = {}
        self._heard: dict[str, int] = {}  # the greatest version that a message named

    def read(self, job: Json) -> bool:
        """Takes a job that was read; returns whether the picture changed."""
        known = self.jobs.get(job["job_id"])
        if known is not None and job["version"] < known["version"]:
            return False
        self.jobs[job["job_id"]] = job
        return known != job

    def overtook(self, job: Json) -> bool:
        """Whether a message was heard that is newer than this job, which was read."""
        return bool(job["version"] < self._heard.get(job["job_id"], 0))

    def hear(self, event: Json) -> Heard:
        """Takes an event of a job."""
        id, version = event["job_id"], event["version"]
        job, heard = self.jobs.get(id), self._heard.get(id, 0)
        self._heard[id] = max(heard, version)
        if job is None:
            return Heard(is_new=version > heard, changed=False, is_whole=False)
        # One that was overtaken is not needed: the hole that it left is being read.
        if version <= max(job["version"], heard):
            return Heard(is_new=False, changed=False, is_whole=True)
        is_next = version == job["version"] + 1
        carries_figures = event["type"].startswith("job.") and "state" in event["data"]
        if carries_figures:
            self.jobs[id] = job | figures(event) | {"version": version}
        elif is_next:
            self.jobs[id] = job | {"version": version}
        says_all = event["type"] in ("job.progress", "item.changed")
        return Heard(is_new=True, changed=carries_figures, is_whole=is_next and says_all)

    def forget(self, id: str) -> None:
        self.jobs.pop(id, None)
        self._heard.pop(id, None)


def figures(event: Json) -> Json:
    """The fields of a job that an event changes."""
    fields = dict(event["data"])
    state, reason = fields.pop("new_state", None), fields.pop("reason", None)
    for name in ("prior_state", "actor"):
        fields.pop(name, None)
    if event["type"] == "job.started":
        fields["started_at"] = event["ts"]
    if event["type"] == "job.state_changed":
        fields["state"] = state
        fields["state_reason"] = reason
        fields["finished_at"] = event["ts"] if state in TERMINAL else None
    return fields


# ------------------------------------------------------------------------------------------------ subjects


class Reads(Protocol):
    """Where the truth is read."""

    async def job(self, job: str) -> Json:
        """One job, by key or uuid. Raises JobNotFound."""

    async def active_jobs(self) -> list[Json]:
        """All jobs that have not ended."""


class Subject(Protocol):
    """What is followed."""

    async def read(self, is_regular: bool) -> float | None:
        """Reads what is due, all of it when `is_regular`.

        Returns within how many seconds something is due again (inf: nothing is), or None at the end.
        """

    def hear(self, event: Json) -> float | None:
        """Takes an event; returns within how many seconds something has to be read for it."""


class OneJob:
    """A single job, until it ends. Each picture is as GET /v1/jobs/{job} shows it."""

    def __init__(self, reads: Reads, job: str, show: Callable[[Json], None]) -> None:
        self._reads, self._job, self._show = reads, job, show
        self._picture = Picture()

    async def topics(self) -> list[str]:
        """Where Realtime speaks of it; right after the first read, which finds its uuid."""
        return [f"job:{self._job}"]

    async def read(self, is_regular: bool) -> float | None:
        job = await self._reads.job(self._job)
        self._job = job["job_id"]
        if self._picture.read(job):
            self._show(job)
        has_ended = job["state"] in TERMINAL and not self._picture.overtook(job)
        return None if has_ended else math.inf

    def hear(self, event: Json) -> float | None:
        if event["job_id"] != self._job:
            return None
        heard = self._picture.hear(event)
        if heard.changed:
            self._show(self._picture.jobs[self._job])
        if not heard.is_new:
            return None
        return PARTS_S if heard.is_whole else GATHER_S


class AllJobs:
    """Every active job that the caller may see, and what becomes of it.

    Each picture is as GET /v1/jobs lists it.
    """

    def __init__(self, reads: Reads, show: Callable[[Json], None]) -> None:
        self._reads, self._show = reads, show
        self._picture = Picture()
        self._holes: set[str] = set()  # jobs of which a message was missed
        self._ended: set[str] = set()  # had ended when the last regular read began

    async def read(self, is_regular: bool) -> float | None:
        holes = set(self._holes)
        if is_regular or len(holes) > MAX_SINGLE_READS:
            active = await self._reads.active_jobs()
            self._put(active)
            await self._read_singly((holes | self._active()) - {job["job_id"] for job in active})
        else:
            await self._read_singly(holes)
        if is_regular:
            self._forget_the_ended()
        return GATHER_S if self._holes else math.inf

    async def _read_singly(self, ids: Iterable[str]) -> None:
        slots = asyncio.Semaphore(READS_AT_A_TIME)

        async def read(id: str) -> None:
            async with slots:
                try:
                    job = await self._reads.job(id)
                except JobNotFound:  # deleted, or out of sight by now
                    self._picture.forget(id)
                    self._holes.discard(id)
                else:
                    self._put([{name: value for name, value in job.items() if name not in _PARTS}])

        # All of them end here, also where one fails.
        for outcome in await asyncio.gather(*map(read, ids), return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    def _put(self, jobs: Iterable[Json]) -> None:
        for job in jobs:
            if self._picture.read(job):
                self._show(job)
            if not self._picture.overtook(job):
                self._holes.discard(job["job_id"])

    def _active(self) -> set[str]:
        return {id for id, job in self._picture.jobs.items() if job["state"] not in TERMINAL}

    def _forget_the_ended(self) -> None:
        # A whole round later no message of theirs is on its way any more.
        for id in self._ended:
            self._picture.forget(id)
        self._ended = self._picture.jobs.keys() - self._active()

    def hear(self, event: Json) -> float | None:
        id = event["job_id"]
        heard = self._picture.hear(event)
        if heard.changed:
            self._show(self._picture.jobs[id])
        if heard.is_whole:
            return None
        self._holes.add(id)
        return GATHER_S


# ------------------------------------------------------------------------------------------------ transports


class Sink(Protocol):
    """What a transport tells."""

    def up(self) -> None:
        """Messages flow from now on, and a snapshot taken from now on misses none."""

    def message(self, event: Json) -> None:
        """An event."""

    def stale(self) -> None:
        """Something may have changed: time to read."""


class Transport(Protocol):
    """A way for messages to come."""

    @property
    def name(self) -> str: ...

    async def run(self, sink: Sink) -> None:
        """Carries messages until it is cancelled. Raises what ended it."""


class Polling:
    """Asks again and again: what always works."""

    name = "polling"

    def __init__(self, every_s: float = POLL_S) -> None:
        self._every_s = every_s

    async def run(self, sink: Sink) -> None:
        sink.up()
        while True:
            await asyncio.sleep(self._every_s)
            sink.stale()


@dataclass(eq=False)
class _Rung:
    transport: Transport
    index: int
    task: asyncio.Task[None] | None = None
    is_up: bool = False
    up_at: float = 0.0
    tries: int = 0
    reason: str | None = None


@dataclass(frozen=True)
class Status:
    """How following goes.

    `state`: connecting, live, polling or unreachable (reads fail and nothing flows). `via`: the transport's
    name. `reason`: why it is not the best transport, or what makes reads fail.
    """

    state: str
    via: str | None = None
    reason: str | None = None


@dataclass(eq=False)
class Follow:
    """Keeps a subject's picture right: the best transport there is, and reads where they are due.

    `transports` come best first; the last one must always work. `random` gives numbers from 0 to 1.
    """

    subject: Subject
    transports: Sequence[Transport]
    random: Callable[[], float]
    on_status: Callable[[Status], None]
    _rungs: list[_Rung] = field(init=False)
    _tasks: set[asyncio.Task[None]] = field(init=False, default_factory=set)
    _due_at: float = field(init=False, default=math.inf)
    _regular_at: float = field(init=False, default=-math.inf)
    _failures: int = field(init=False, default=0)
    _failure: MilepostError | None = field(init=False, default=None)
    _broken: Exception | None = field(init=False, default=None)
    _told: Status | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._rungs = [_Rung(transport, index) for index, transport in enumerate(self.transports)]

    async def run(self) -> None:
        """Follows to the end of the subject, or until it is cancelled.

        Raises an ApiError that no further try would change, such as NotAllowed or JobNotFound.
        """
        self._loop = asyncio.get_running_loop()
        self._rescheduled = asyncio.Event()
        self._tell()
        try:
            # A first look at once; the read that counts comes when messages flow.
            while await self._read_when_due():
                if self._failures == 0:
                    self._open(0)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    # READS: one at a time; what becomes due during one is read after it.

    def _read_within(self, seconds: float) -> None:
        self._due_at = min(self._due_at, self._loop.time() + seconds)
        self._rescheduled.set()

    def _read_all_now(self) -> None:
        self._regular_at = self._loop.time()
        self._rescheduled.set()

    async def _read_when_due(self) -> bool:
        """Returns whether there is more to follow."""
        while (wait_s := min(self._due_at, self._regular_at) - self._loop.time()) > 0 and not self._broken:
            self._rescheduled.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s if wait_s < math.inf else None):
                    await self._rescheduled.wait()
        if self._broken:
            raise self._broken
        is_regular = self._regular_at <= self._loop.time()
        self._due_at = math.inf
        if is_regular:
            self._regular_at = math.inf
        try:
            within_s = await self.subject.read(is_regular)
        except _PASSING as error:
            self._failure = error
            self._due_at = self._loop.time() + self._backoff(self._failures)
            self._failures += 1
            if is_regular:
                self._regular_at = min(self._regular_at, self._due_at)
        else:
            self._failures = 0
            if within_s is None:
                return False
            self._due_at = min(self._due_at, self._loop.time() + within_s)
            if is_regular:
                next_s = REFRESH_S * (0.9 + 0.2 * self.random())
                self._regular_at = min(self._regular_at, self._loop.time() + next_s)
        self._tell()
        return True

    def _backoff(self, tries: int) -> float:
        full: float = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2 ** min(tries, 10))
        return full / 2 + full / 2 * self.random()

    # TRANSPORTS: the best one that works carries the messages, and those above it keep trying.

    def _open(self, index: int) -> None:
        if index < len(self._rungs) and self._rungs[index].task is None:
            rung = self._rungs[index]
            rung.task = asyncio.create_task(self._hold(rung))
            self._tasks.add(rung.task)
            rung.task.add_done_callback(self._tasks.discard)

    async def _hold(self, rung: _Rung) -> None:
        while True:
            patience = self._loop.call_later(PATIENCE_S, self._open, rung.index + 1)
            sink = _RungSink(self, rung, asyncio.current_task(), patience)
            try:
                await rung.transport.run(sink)
                rung.reason = "it ended"
            except Exception as error:  # noqa: BLE001 - it is told as the reason, and tried again
                rung.reason = str(error) or type(error).__name__
            finally:
                sink.is_over = True
                patience.cancel()
            if rung.is_up and self._loop.time() - rung.up_at >= STEADY_S:
                rung.tries = 0
            rung.is_up = False
            self._open(rung.index + 1)
            self._tell()
            await asyncio.sleep(self._backoff(rung.tries))
            rung.tries += 1

    def rung_is_up(self, rung: _Rung) -> None:
        rung.is_up, rung.up_at, rung.reason = True, self._loop.time(), None
        for lower in self._rungs[rung.index + 1 :]:
            if lower.task is not None:
                lower.task.cancel()
            lower.task, lower.is_up, lower.reason = None, False, None
        self._read_all_now()
        self._tell()

    def hear(self, event: Json) -> None:
        # An error here is one of this program, and must not get lost in a transport's own task.
        try:
            within_s = self.subject.hear(event)
        except Exception as error:  # noqa: BLE001 - raised again by run()
            self._broken = error
            self._rescheduled.set()
            return
        if within_s is not None:
            self._read_within(within_s)

    def stale(self) -> None:
        self._read_all_now()

    def _tell(self) -> None:
        rung = next((rung for rung in self._rungs if rung.is_up), None)
        is_stream = rung is not None and rung is not self._rungs[-1]
        reason = self._rungs[0].reason
        if self._failures > 0 and not is_stream:
            status = Status("unreachable", reason=str(self._failure))
        elif rung is None:
            status = Status("connecting", reason=reason)
        else:
            status = Status("live" if is_stream else "polling", rung.transport.name, reason)
        if status != self._told:
            self._told = status
            self.on_status(status)


@dataclass(eq=False)
class _RungSink:
    """Passes on what one run of a transport tells, and nothing after its end."""

    follow: Follow
    rung: _Rung
    task: asyncio.Task[None] | None
    patience: asyncio.TimerHandle
    is_over: bool = False

    def _counts(self) -> bool:
        return not self.is_over and self.rung.task is self.task

    def up(self) -> None:
        if self._counts():
            self.patience.cancel()
            self.follow.rung_is_up(self.rung)

    def message(self, event: Json) -> None:
        if self._counts():
            self.follow.hear(event)

    def stale(self) -> None:
        if self._counts():
            self.follow.stale()
