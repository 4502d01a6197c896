"""A lane: what one worker has to say about its job, and what it was told.

The loop writes here and the sender reads, under one lock and without I/O. Counts are absolute, so between two
sends only the last state matters; whatever was taken for sending is sent until it is settled.
"""

import json
import os
import threading
from collections.abc import Mapping
from typing import Any

from milepost import _words
from milepost._items import Items

_COUNTS = ("items_completed", "items_failed", "items_skipped", "items_canceled", "bytes_processed")
_MAX_COUNT = 2**63 - 1
ITEMS_AT_ONCE = 1_000
_ITEM_BYTES_AT_ONCE = 400_000
_PACE_HALF_LIFE_S = 30.0

Counts = tuple[int, ...]
Entry = dict[str, Any]


class Report:
    """What a lane says of its job or of one stage: counts and other facts. Only news is sent."""

    def __init__(self, **facts: Any) -> None:  # noqa: ANN401
        self.facts: dict[str, Any] = facts
        self.counts = [0] * len(_COUNTS)
        self.counted = False
        self._said: dict[str, Any] = {}

    def add(self, *counts: int) -> None:
        for place, count in enumerate(counts):
            if count:
                self.counts[place] += count
        self.counted = True

    def count_on_from(self, said: Mapping[str, Any]) -> None:
        """Starts at the counts that the server kept with the last cursor."""
        self.counts = [int(said.get(field) or 0) for field in _COUNTS]
        self.counted = any(self.counts)

    def news(self, counts: Counts, *, facts: bool = True) -> Entry:
        """What was not said yet."""
        now = dict(self.facts) if facts else {}
        if self.counted:
            now.update(zip(_COUNTS, counts, strict=True))
        return {
            field: value
            for field, value in now.items()
            if field not in self._said or self._said[field] != value
        }

    def tell(self, counts: Counts, *, facts: bool, whole: bool) -> Entry:
        """What was not said yet, which counts as said then.

        With `whole` it has all counts, so that a cursor stands beside the counts that belong to it.
        """
        told = self.news(counts, facts=facts)
        if whole and self.counted:
            told.update(zip(_COUNTS, counts, strict=True))
        self._said.update(told)
        return told

    def unsay(self) -> None:
        """Its counts and state did not arrive; they are news again."""
        for field in (*_COUNTS, "state", "reason"):
            self._said.pop(field, None)


class Lane:
    """One worker's lane of one job. All methods are thread-safe."""

    def __init__(self, job: str, worker: str, *, greeting: Entry | None = None, **facts: Any) -> None:  # noqa: ANN401
        self.job, self.worker = job, worker
        self.attempt: int | None = None
        self.job_id: str | None = None
        # POST /v1/jobs' body, until it was answered.
        self.greeting = greeting
        self.cursor: Any = None
        self.begun = False
        self.ended = False
        # Nobody reports it (any more): the loop goes on untracked.
        self.detached = False
        # It came into this process by a fork, and no sender of this process has it yet.
        self.adrift = False
        # A lane that does not is `completed` from the start: it counts, and the job does not wait for it.
        self.holds_job_open = True
        self.interval_s = 1.0

        # Read by the loop in every iteration. `attention` says that the loop has to look at the rest.
        self.attention = False
        self.directive = "continue"
        # Written by `track` in every iteration, without the lock: completed items beside those in `report`.
        self.n = 0
        self.position_at_start: int | None = None
        self._begin(facts)

    def _begin(self, facts: dict[str, Any]) -> None:
        self.changed = threading.Condition(threading.Lock())
        self.report = Report(**facts)
        self.stages: dict[str, Report] = {}
        self.items = Items()
        self._lost = 0
        self._batch: dict[str, Any] | None = None
        self._marked: tuple[str, dict[str | None, Counts]] | None = None
        self._seq: int | None = None
        # What was taken before the greeting was answered counts its `seq` from this.
        self.first_seq = 0
        self._taken = self._settled = 0
        self._urgent = True
        self._pace: tuple[float, int] | None = None
        self._pace_items = self._pace_s = 0.0

    # ------------------------------------------------------------------------------ the loop's side

    def add(
        self,
        stage: str | None,
        counts: Counts,
        *,
        cursor: str | None = None,
        batch: Mapping[str, Any] | None = None,
        message: str | None = None,
    ) -> None:
        """Counts work; `cursor` (JSON) is kept with the counts as they are after it."""
        with self.changed:
            (self.report if stage is None else self.stages[stage]).add(*counts)
            if cursor is not None:
                self.cursor = json.loads(cursor)
                self._marked = (cursor, self._counts())
            if batch is not None:
                self._batch = dict(batch)
            if message is not None:
                self.report.facts["message"] = _words.text(message)

    def say(self, stage: str | None = None, **facts: Any) -> None:  # noqa: ANN401
        """Sets facts of the job or of a stage."""
        with self.changed:
            report = self.report if stage is None else self.stages.setdefault(stage, Report())
            report.facts.update(facts)
            # A new state is sent at once; all else can wait for the next checkpoint.
            self._urgent = self._urgent or "state" in facts

    def put_item(self, stage: str | None, key: str, state: str, report: str) -> bool:
        """Keeps an item for sending; true when there are enough for a request."""
        with self.changed:
            self.items.put(stage, key, state, report)
            self._urgent = self._urgent or len(self.items) >= ITEMS_AT_ONCE
            return self._urgent

    def lose(self, reports: int = 1) -> None:
        """Counts something that cannot be sent."""
        with self.changed:
            self._lost += reports

    def detach(self) -> None:
        """Nobody reports it any more, so nobody waits for an answer either."""
        with self.changed:
            self.detached, self.greeting = True, None
            self.items.clear()
            self.changed.notify_all()

    @property
    def dropped(self) -> int:
        return self._lost + self.items.dropped

    def begin_at(self, position: int | None) -> int:
        """For `track`: counts on from this position, and keeps positions as cursors. Returns it.

        Without one the count begins at zero, and there are no cursors.
        """
        with self.changed:
            self.position_at_start = position
            if position is None:
                self.report.count_on_from({})
        return position or 0

    def end(self, state: str | None, reason: str | None = None) -> None:
        """The last word; without a state only the counts are delivered."""
        with self.changed:
            if state is not None and (self.holds_job_open or state == "failed"):
                self.report.facts["state"] = state
            if reason is not None:
                self.report.facts["reason"] = _words.text(reason)
            self.ended = self._urgent = True

    def ask_for_delivery(self) -> int:
        """A ticket: once `delivered(ticket)`, everything said before this call has been settled."""
        with self.changed:
            self._urgent = True
            return self._taken + 1

    def delivered(self, ticket: int) -> bool:
        return self._settled >= ticket

    @property
    def suggested_batch(self) -> int | None:
        """Items that take about as long as one checkpoint's interval; None before there is a rhythm."""
        if not self._pace_s or not self._pace_items:
            return None
        return max(1, round(self._pace_items / self._pace_s * self.interval_s))

    # ---------------------------------------------------------------------------- the sender's side

    def greeted(self, job: Mapping[str, Any], clock_ms: int) -> None:
        """The server knows the job; `job` is its answer.

        Where the loop has not begun yet, it counts on from the lane's counts at its last cursor.
        """
        own: Mapping[str, Any] = next((lane for lane in job["workers"] if lane["worker"] == self.worker), {})
        with self.changed:
            is_one_of_many = ((self.greeting or {}).get("workers_expected") or 1) > 1
            self.attempt, self.job_id, self.greeting = job["attempt"], job["job_id"], None
            if not self.begun:
                self.cursor = own.get("cursor")
                # A job's one worker may be called otherwise than the one before it. Of many each has a part.
                if self.cursor is None and not is_one_of_many:
                    self.cursor = job["cursor"]
                self.report.count_on_from(own)
                for stage in own.get("stages") or ():
                    self.stages.setdefault(stage["name"], Report()).count_on_from(stage)
            # A process before this one may have used the lane in this attempt; then this one's `seq` goes on
            # from there, or, where that is not known, from the clock.
            first = 0
            if own and own["attempt"] in (None, self.attempt):
                first = clock_ms if own["seq"] is None else own["seq"] + 1
            self.first_seq = first
            self._seq = (self._seq or 0) + first
            self.changed.notify_all()

    @property
    def urgent(self) -> bool:
        """Whether it has something to say that cannot wait for the interval."""
        return self._urgent

    @property
    def unsent_items(self) -> int:
        return len(self.items)

    def has_news(self) -> bool:
        with self.changed:
            counts = self._counts()
            self.report.counted = self.report.counted or self.n > 0
            return (
                self._urgent
                or len(self.items) > 0
                or self._marked is not None
                or bool(self.report.news(counts[None]))
                or any(report.news(counts[stage]) for stage, report in self.stages.items())
            )

    def take(self, now: float, clock_ms: int, *, apart: bool = False, items: bool = True) -> list[Entry]:
        """Entries that say all that is new, or that the worker is still there. `now` is a monotonic clock.

        With `apart` items have an entry of their own, and the counts after them have the greatest `seq`;
        without `items` they stay here.
        """
        with self.changed:
            # `track` counts without the lock: its count is read once, so that counts and cursor agree.
            counts = self._counts()
            self.report.counted = self.report.counted or self.n > 0
            self._measure(now, counts)
            if self.position_at_start is not None:
                self.cursor = self.position_at_start + self.n
                self._marked = (str(self.cursor), counts)
            entries = []
            if apart and items and len(self.items):
                entries.append(
                    self._named(clock_ms) | {"items": self.items.take(ITEMS_AT_ONCE, _ITEM_BYTES_AT_ONCE)}
                )
            if self._marked is not None and self._marked[1] != counts:
                entries.append(self._entry(self._marked[1], clock_ms, cursor=self._marked[0]))
                self._marked = None
            last = self._entry(counts, clock_ms, cursor=self._marked[0] if self._marked else None, facts=True)
            if self._batch:
                last["batch"] = self._batch
            entries.append(last)
            if not apart and (taken := self.items.take(ITEMS_AT_ONCE, _ITEM_BYTES_AT_ONCE)):
                # An item without a stage goes to a checkpoint's only stage: it must meet none by chance.
                if "stage" in last:
                    last = self._entry(counts, clock_ms)
                    entries.append(last)
                last["items"] = taken
            self._marked = self._batch = None
            self._urgent = len(self.items) > 0
            if not self._urgent:
                self._taken += 1
            return entries

    def settled(self, *, arrived: bool = True) -> None:
        """What was taken needs no sending any more, because it arrived or was refused."""
        with self.changed:
            if not arrived:
                self._lost += 1
                for report in (self.report, *self.stages.values()):
                    report.unsay()
            self._settled = self._taken
            self.changed.notify_all()

    def told(self, directive: str, attempt: int | None = None, job_id: str | None = None) -> None:
        """What an answer told this worker."""
        with self.changed:
            if self.attempt is None and directive != "stop":
                self.attempt, self.job_id = attempt, job_id
            self.directive = directive
            self.attention = directive != "continue"
            self.changed.notify_all()

    def continue_in_child(self) -> None:
        """After a fork: the child reports its own work in a lane of its own, from zero.

        In place, since a running loop holds on to it. The lane it came from holds the job open, so a child
        that is killed (as Pool.terminate() does) leaves nothing open.
        """
        stages, total = self.stages, self.report.facts.get("items_total")
        # Locks and the rest are made anew: another thread may have been changing them during the fork.
        self._begin({} if total is None else {"items_total": total})
        self.stages = {stage: Report() for stage in stages}
        self.report.counts[0] = -self.n
        self.worker, self.greeting, self.position_at_start = child_worker(self.worker), None, None
        self.adrift = self.attention = True
        self.let_job_end()

    def let_job_end(self) -> None:
        """Makes this a lane that the job does not wait for."""
        self.holds_job_open = False
        self.report.facts["state"] = "completed"

    def _counts(self) -> dict[str | None, Counts]:
        counts: dict[str | None, Counts] = {
            name: tuple(min(int(count), _MAX_COUNT) for count in report.counts)
            for name, report in self.stages.items()
        }
        completed, *others = (int(count) for count in self.report.counts)
        counts[None] = tuple(min(count, _MAX_COUNT) for count in (completed + self.n, *others))
        return counts

    def _entry(
        self,
        counts: dict[str | None, Counts],
        clock_ms: int,
        *,
        cursor: str | None = None,
        facts: bool = False,
    ) -> Entry:
        entry = self._named(clock_ms)
        whole = cursor is not None
        entry |= self.report.tell(counts[None], facts=facts, whole=whole)
        stages = []
        for name, report in self.stages.items():
            if name in counts and (news := report.tell(counts[name], facts=facts, whole=whole)):
                stages.append({"name": name, **news})
        if stages:
            entry["stage"] = stages
        if cursor is not None:
            entry["cursor"] = json.loads(cursor)
        return entry

    def _named(self, clock_ms: int) -> Entry:
        """An entry that says nothing yet."""
        if self._seq is None:
            self._seq = clock_ms if self.greeting is None else 0
        entry: Entry = {"job": self.job, "worker": self.worker, "seq": self._seq}
        self._seq += 1
        if self.attempt is not None:
            entry["attempt"] = self.attempt
        return entry

    def _measure(self, now: float, counts: dict[str | None, Counts]) -> None:
        """The rhythm, decaying with a half-life, without the intervals in which the loop was held."""
        settled = sum(done[0] + done[1] + done[3] for done in counts.values())
        if self._pace is not None and self.directive == "continue":
            since_s, items = now - self._pace[0], settled - self._pace[1]
            decay = 0.5 ** (since_s / _PACE_HALF_LIFE_S)
            self._pace_items = self._pace_items * decay + items
            self._pace_s = self._pace_s * decay + since_s
        self._pace = (now, settled)


def child_worker(worker: str) -> str:
    """A lane name of a child's own. Random, since process ids come again and a lane's counts must not."""
    return _words.name(f"{worker}/{os.urandom(4).hex()}")
