"""The background sender: posts what lanes have to say, one request at a time, until it is settled.

A request whose answer was lost is sent again as it was (its entries keep their `seq`), and only then what is
newer.
"""

import atexit
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Container, Iterable, Iterator
from importlib.util import find_spec
from itertools import islice
from typing import TYPE_CHECKING

from milepost._lane import ITEMS_AT_ONCE, Entry, Lane
from milepost._words import dumps, warn_once
from milepost.errors import ApiError, MilepostError, NotAllowed, TransportError, Unavailable

if TYPE_CHECKING:  # the real import costs 100 ms, which the loop's process pays in the sender's thread
    from milepost import models
    from milepost._backlog import Backlog
    from milepost._client import Client
    from milepost._spool import Batch
    from milepost.models import CheckpointsAnswer

CONTACT_S = 15.0
START_WAIT_S = 5.0
EXIT_WAIT_S = 5.0
KEEP_S = 1.0
_CLOSE_WAIT_S = 1.0
_LONGEST_INTERVAL_S = 60.0
_LONGEST_BACKOFF_S = 60.0
_MAX_BODY_BYTES = 900_000
_MAX_ENTRIES = 900

# Where these fail the request stays as it is, and is sent again.
_PASSING = (TransportError, Unavailable)
_TERMINAL = ("completed", "canceled", "failed")


class Sender:
    """Posts for all lanes of this process that have the same server and key."""

    def __init__(
        self,
        client: Callable[[], "Client"],
        backlog: Callable[[], "Backlog"] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._make_client, self._make_backlog = client, backlog
        self._clock, self._wall_clock, self._jitter = clock, wall_clock, jitter
        self._begin()

    def _begin(self) -> None:
        self._client: Client | None = None
        # The spool, where there is one.
        self._backlog = self._make_backlog() if self._make_backlog is not None else None
        self._keeping = threading.Lock()
        self._lanes: dict[Lane, float] = {}  # and when each was taken from last
        self._waiting: list[tuple[Lane, list[Entry]]] = []
        self._failures = 0
        self._failing_since: float | None = None
        self._not_before = 0.0
        self._thread: threading.Thread | None = None
        self._closing = False
        self._lock = threading.Lock()
        self._wake = threading.Event()

    # ------------------------------------------------------------------------------ the loop's side

    def add(self, lane: Lane) -> None:
        with self._lock:
            self._lanes[lane] = float("-inf")

    def start(self) -> None:
        """Starts the thread, where it does not run yet."""
        with self._lock:
            if self._thread is None:
                self._closing = False
                self._thread = threading.Thread(target=self._run, name="milepost-sender", daemon=True)
                self._thread.start()
                _deliver_at_exit(self)
        self.wake()

    def wake(self) -> None:
        self._wake.set()

    def failing_for_s(self) -> float:
        """For how long requests have been failing."""
        since = self._failing_since
        return 0.0 if since is None else self._clock() - since

    def deliver(self, lanes: Iterable[Lane], timeout_s: float, *, patient: bool = True) -> bool:
        """Waits until all that these lanes have said is settled; false where it is not in that time.

        One that is not `patient` waits only while the server answers.
        """
        deadline = time.monotonic() + timeout_s
        tickets = [(lane, lane.ask_for_delivery()) for lane in lanes]
        self.wake()
        for lane, ticket in tickets:
            with lane.changed:
                while not lane.delivered(ticket):
                    left_s = deadline - time.monotonic()
                    if left_s <= 0 or lane.detached or (self._failures and not patient):
                        return False
                    lane.changed.wait(left_s)
        return True

    def close(self) -> None:
        """Delivers what is left, within a bounded time; for the end of the process."""
        thread = self._thread
        if thread is None:
            return
        lanes = self.lanes()
        # One more try, also while it waits before the next one.
        self._not_before = 0.0
        delivered = self.deliver(lanes, EXIT_WAIT_S) or all(lane.detached for lane in lanes)
        self._closing = True
        self.wake()
        thread.join(_CLOSE_WAIT_S)
        self._thread = None
        if not delivered:
            self._tell_undelivered()

    def _tell_undelivered(self) -> None:
        is_kept = self._keep()
        lost = 0
        for lane in self.lanes():
            waiting = [entry for one, entries in self._waiting if one is lane for entry in entries]
            items = lane.unsent_items + sum(len(entry.get("items", ())) for entry in waiting)
            lane.lose(items)
            lost += items
        warn_once(
            "undelivered",
            "Milepost: what was said last could not be delivered before the process ended. "
            "It is in the spool, from where the next start sends it."
            if is_kept
            else "Milepost: the last counts could not be delivered before the process ended."
            + (f" {lost} reports on items are lost." if lost else ""),
        )

    def lanes(self) -> list[Lane]:
        return list(self._lanes)

    def continue_in_child(self) -> None:
        """After a fork: begins anew.

        There is no thread, connection or lane until the child's loop needs them.
        """
        lanes = self.lanes()
        if self._backlog is not None:
            self._backlog.leave()
        self._begin()
        for lane in lanes:
            lane.continue_in_child()

    # ---------------------------------------------------------------------------- the sender's side

    def _run(self) -> None:
        while not self._closing:
            try:
                delay_s = self.step()
            except Exception as error:  # noqa: BLE001 - a fault of ours must not end the reporting, nor the loop
                warn_once(
                    "fault", f"Milepost: a fault in the sender ({error!r}); what it was sending is lost."
                )
                self._drop_waiting()
                delay_s = self._back_off(None)
            self._wake.wait(delay_s)
            self._wake.clear()
        if self._client is not None:
            self._client.close()
            self._client = None

    def step(self) -> float | None:
        """Does what is due. Returns the seconds until something may be due again, or None."""
        now = self._clock()
        if now < self._not_before:
            self._keep()
            return self._until(self._not_before)
        backlog = self._backlog
        try:
            if backlog is not None:
                # First, since the lanes' cursors are in it.
                backlog.inherit()
                self._send_kept(backlog.inherited_counts(self._create))
            for lane in self.lanes():
                if lane.greeting is not None:
                    self._greet(lane)
            if backlog is not None:
                self._send_kept(backlog.own())
                for lane, arrived in backlog.finish():
                    lane.settled(arrived=arrived)
                    self._let_go(lane)
            while self._waiting or self._take(now):
                self._post()
            if backlog is not None and self._send_kept(backlog.inherited_items(), at_most=1):
                return 0.0
        except _PASSING as error:
            delay_s = self._back_off(error)
            self._keep()
            return delay_s
        except NotAllowed as error:
            self._give_up(error)
            return None
        return min((self._due_in_s(lane, now) for lane in self.lanes()), default=None)

    def _due_in_s(self, lane: Lane, now: float) -> float:
        if lane.urgent:
            return 0.0
        return max(0.0, self._lanes[lane] + lane.interval_s - now)

    def _is_due(self, lane: Lane, now: float) -> bool:
        if lane.greeting is not None:
            return False
        if lane.urgent:
            return True
        silent_s = now - self._lanes[lane]
        if silent_s < lane.interval_s:
            return False
        # A loop that is held asks for its directive; one that works speaks when there is something to say.
        return lane.directive != "continue" or silent_s >= CONTACT_S or lane.has_news()

    def _take(self, now: float) -> bool:
        """Takes from the lanes that are due as much as fits into one request."""
        clock_ms = int(self._wall_clock() * 1000)
        room_bytes, room_entries = _MAX_BODY_BYTES, _MAX_ENTRIES
        attempts: dict[str, int | None] = {}
        for lane in self.lanes():
            # An answer has one directive for each job: what stops an old attempt must not stop its successor.
            if attempts.get(lane.job, lane.attempt) != lane.attempt:
                continue
            if room_bytes > _MAX_BODY_BYTES / 2 and room_entries > 0 and self._is_due(lane, now):
                attempts[lane.job] = lane.attempt
                entries = lane.take(now, clock_ms, apart=self._backlog is not None)
                self._lanes[lane] = now
                self._waiting.append((lane, entries))
                room_bytes -= len(dumps(entries))
                room_entries -= len(entries)
        return bool(self._waiting)

    def _post(self) -> None:
        body = [entry for _, entries in self._waiting for entry in entries]
        try:
            answer = self._connected().checkpoints(body)
        except (*_PASSING, NotAllowed):
            raise
        except ApiError as error:
            self._say_refused(error)
            self._drop_waiting()
            return
        self._recover()
        taken, self._waiting = self._waiting, []
        index = 0
        for lane, entries in taken:
            self._settle(lane, range(index, index + len(entries)), answer)
            index += len(entries)

    def _say_refused(self, error: ApiError) -> None:
        """The request as a whole is refused, and would be again."""
        warn_once(
            f"refused {error.code}", f"Milepost: a report was refused. {error.message} {error.hint or ''}"
        )

    def _keep(self) -> bool:
        """Moves what cannot be sent from memory into the spool; false where not all of it is there then."""
        if self._backlog is None:
            return False
        now, clock_ms = self._clock(), int(self._wall_clock() * 1000)
        backlog = self._backlog
        with self._keeping:
            self._waiting = backlog.keep(self._waiting)
            for lane in self.lanes():
                # One that has not begun may be told by the greeting's answer where it begins.
                if backlog.is_written and lane.begun and lane.has_news():
                    # Items for which there is no room stay in the lane's memory, which is bounded.
                    behind = 0 if self._waiting else lane.unsent_items
                    entries = lane.take(now, clock_ms, apart=True, items=behind > 0)
                    while (behind := behind - ITEMS_AT_ONCE) > 0:
                        entries += lane.take(now, clock_ms, apart=True)
                    self._lanes[lane] = now
                    self._waiting = backlog.keep([*self._waiting, (lane, entries)])
            return backlog.is_written and not self._waiting

    def _send_kept(self, batches: "Iterator[Batch]", at_most: int | None = None) -> bool:
        """Sends what is in the spool; true if there may be more of it."""
        assert self._backlog is not None  # noqa: S101 - its batches
        for batch in islice(batches, at_most):
            answer = None
            try:
                answer = self._connected().checkpoints(batch.body())
            except (*_PASSING, NotAllowed):
                raise
            except ApiError as error:
                self._say_refused(error)
            else:
                self._recover()
            self._backlog.settle(batch, answer, self._hear)
            at_most = None if at_most is None else at_most - 1
        return at_most == 0

    def _settle(self, lane: Lane, indexes: Container[int], answer: "CheckpointsAnswer") -> None:
        lane.settled(arrived=self._hear(lane, indexes, answer))
        self._let_go(lane)

    def _hear(self, lane: Lane, indexes: Container[int], answer: "CheckpointsAnswer") -> bool:
        """Tells the lane what was answered to its entries; false if one of them was refused."""
        refusals = [error for error in answer.errors if error.index in indexes]
        stale = any(error.code == "stale_attempt" for error in refusals)
        for error in refusals:
            if error.code != "stale_attempt":
                warn_once(
                    f"refused {error.code}",
                    f"Milepost: a report on {lane.job!r} was refused. {error.message}",
                )
        for result in answer.results:
            if lane.job in (result.job, result.job_id):
                if result.next_checkpoint_ms is not None:
                    lane.interval_s = min(max(result.next_checkpoint_ms / 1000, 0.05), _LONGEST_INTERVAL_S)
                lane.told(result.directive, result.attempt, result.job_id)
        if stale:
            lane.told("stop")
        return not refusals

    def _let_go(self, lane: Lane) -> None:
        """Reports it no longer, where it was stopped or has said its last."""
        if lane.directive == "stop":
            self._abandon(lane)
        elif lane.ended and not lane.urgent:
            self._forget(lane)

    def _greet(self, lane: Lane) -> None:
        """Creates the job, or learns where it stands."""
        greeting = lane.greeting
        if greeting is None:
            return
        try:
            key, job = self._create(greeting)
        except (*_PASSING, NotAllowed):
            raise
        except MilepostError as error:
            warn_once(
                f"job {lane.job}",
                f"Milepost: {lane.job!r} is not tracked. {error.message} {error.hint or ''}",
            )
            self._abandon(lane)
            return
        self._recover()
        lane.job = key
        lane.greeted(job.model_dump(), int(self._wall_clock() * 1000))

    def _create(self, greeting: Entry) -> "tuple[str, models.Job]":
        """The job of this body's key, created where there is none; after one that has ended, the next run."""
        job = self._connected().create_job(greeting)
        if job.state in _TERMINAL:
            greeting = self._next_run(greeting, job)
            job = self._connected().create_job(greeting)
        return greeting["job"], job

    def _next_run(self, greeting: Entry, ended: "models.Job") -> Entry:
        """The body that creates the run after the last one of this key, the same for each of its workers."""
        base = greeting["job"]
        runs = self._connected().jobs(kind=ended.kind, limit=50).jobs
        later = f"{base[:160]} after "
        last = next((run for run in runs if run.job == base or run.job.startswith(later)), ended)
        if last.state not in _TERMINAL:
            return {**greeting, "job": last.job}
        ended_at = "" if last.finished_at is None else last.finished_at.isoformat(timespec="milliseconds")
        return {**greeting, "job": f"{base[:160]} after {ended_at}"}

    def _connected(self) -> "Client":
        if self._client is None:
            self._client = self._make_client()
        return self._client

    def _recover(self) -> None:
        self._failures, self._failing_since = 0, None

    def _back_off(self, error: MilepostError | None) -> float:
        now = self._clock()
        self._failures += 1
        self._failing_since = now if self._failing_since is None else self._failing_since
        longest = min(_LONGEST_BACKOFF_S, 0.5 * 2.0 ** min(self._failures - 1, 10))
        delay_s = longest * (0.5 + self._jitter())
        if isinstance(error, Unavailable) and error.retry_after_s is not None:
            delay_s = max(delay_s, error.retry_after_s)
        self._not_before = now + delay_s
        if error is not None:
            warn_once(
                "away", f"Milepost: {error.message} The work goes on; its counts are kept and sent later."
            )
        self._tell_waiting_loops()
        return self._until(self._not_before)

    def _until(self, moment: float) -> float:
        """Seconds until then; with a spool no longer than until there may be something to keep."""
        left_s = moment - self._clock()
        return left_s if self._backlog is None else min(left_s, KEEP_S)

    def _give_up(self, error: ApiError) -> None:
        warn_once(
            "key", f"Milepost: nothing is tracked. {error.message} {error.hint or 'Check MILEPOST_KEY.'}"
        )
        for lane in self.lanes():
            self._abandon(lane)

    def _abandon(self, lane: Lane) -> None:
        """Stops reporting for the lane.

        A loop that was held goes on untracked; one that was stopped stays so.
        """
        self._forget(lane)
        if self._backlog is not None:
            self._backlog.drop(lane)
        if lane.directive != "stop":
            lane.told("continue")
        lane.detach()

    def _drop_waiting(self) -> None:
        taken, self._waiting = self._waiting, []
        for lane, _ in taken:
            lane.settled(arrived=False)

    def _forget(self, lane: Lane) -> None:
        with self._lock:
            self._lanes.pop(lane, None)

    def _tell_waiting_loops(self) -> None:
        for lane in self.lanes():
            with lane.changed:
                lane.changed.notify_all()


# ------------------------------------------------------------------------------------- one process

_senders: dict[tuple[str, str, str | None], Sender] = {}


def sender_for(url: str, key: str, spool: str | None = None) -> Sender:
    """This process's sender to that server with that key, and that spool."""

    def connect() -> "Client":
        from milepost._client import Client

        return Client(url, key)

    def keep() -> "Backlog":
        from milepost._backlog import Backlog

        return Backlog(spool or "", url, key)

    place = (url, key, spool)
    if place not in _senders:
        if spool is not None and find_spec("fcntl") is None:
            warn_once("spool", "Milepost: a spool needs POSIX file locks, which are not here; there is none.")
            spool = None
        _senders[place] = Sender(connect, None if spool is None else keep)
    return _senders[place]


def _deliver_at_exit(sender: Sender) -> None:
    atexit.register(sender.close)
    # Processes of multiprocessing end without atexit.
    if "multiprocessing.util" in sys.modules:
        sys.modules["multiprocessing.util"].Finalize(sender, sender.close, exitpriority=100)


def _after_fork_in_child() -> None:
    for sender in _senders.values():
        sender.continue_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
