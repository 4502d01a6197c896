"""A job as a loop sees it: counting, waiting while paused, and ending."""

import os
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self

from milepost import _words
from milepost._lane import Lane, child_worker
from milepost._sender import START_WAIT_S, Sender, sender_for
from milepost._settings import Settings, address
from milepost.errors import ConfigurationError, JobCanceled, JobSuperseded

_LEAVE_WAIT_S = 2.0
# url, key and spool as they were given
Address = tuple[str | None, str | None, str | None]

_ITEM_STATES = ("pending", "processing", "completed", "failed", "skipped", "canceled")
_BATCH_FIELDS = {"items", "duration_ms", "bytes"}


class _Unset:
    pass


_UNSET: Final = _Unset()


def settings(url: str | None, key: str | None) -> tuple[str, str]:
    """The server's address and the key: what is given, else MILEPOST_URL and MILEPOST_KEY.

    Raises ConfigurationError where one is missing or cannot be an address.
    """
    key = key or Settings.key
    try:
        url = address(url) if url else Settings.url
    except ValueError as error:
        raise ConfigurationError(f"url: {error}", "Correct it.") from None
    missing = [name for name, value in (("MILEPOST_URL", url), ("MILEPOST_KEY", key)) if not value]
    if url is None or key is None or missing:
        raise ConfigurationError(
            f"Expected {' and '.join(missing)} in the environment, found none.",
            "Set them to the server's address and a Milepost key; `milepost dev` prints both.",
        )
    return url, key


def spool_folder(spool: str | os.PathLike[str] | None) -> str | None:
    """The folder of the spool: what is given, else MILEPOST_SPOOL; None without either."""
    return os.fspath(spool) if spool is not None else Settings.spool


class _Counting:
    """What a job and its stages have in common: they count, and hear what the loop is to do."""

    def __init__(self, job: "Job", stage: str | None) -> None:
        self._job = job
        self._stage = stage

    def advance(
        self,
        n: int | None = None,
        *,
        failed: int | None = None,
        skipped: int | None = None,
        canceled: int | None = None,
        bytes: int = 0,
        cursor: Any = _UNSET,  # noqa: ANN401 - any JSON
        batch: Mapping[str, Any] | None = None,
        message: str | None = None,
    ) -> None:
        """Counts work that is done: `n` items completed, and how many went another way.

        `n` is 1, unless one of the others is given: `advance(failed=1)` counts one failed item.

        `cursor` is any JSON from which work can resume; it is kept with the counts as they are now. `batch`
        says what the last batch was: `{"items", "duration_ms", "bytes"}`.

        Does no I/O. Waits while the job is paused. Raises JobCanceled when somebody canceled it, and
        JobSuperseded when a newer attempt has taken it over; ValueError for a count below zero or a cursor
        that is no JSON.
        """
        if n is None:
            n = 1 if failed is skipped is canceled is None else 0
        counts = (n, failed or 0, skipped or 0, canceled or 0, bytes)
        if min(counts) < 0:
            raise ValueError("advance(): expected counts of 0 or more, found one below 0; counts only rise.")
        if batch is not None and (unknown := set(batch) - _BATCH_FIELDS):
            raise ValueError(f"advance(batch=...): expected items, duration_ms and bytes, found {unknown}.")
        self._job._count(self._stage, counts, cursor, batch, message)

    def set_total(self, n: int | None) -> None:
        """Says how many items there are in all; None while that is not known."""
        self._job._say(self._stage, items_total=None if n is None else int(n))


class Stage(_Counting):
    """A named part of a job with counts of its own. As a context manager it runs, and completes or fails."""

    @property
    def name(self) -> str:
        """As it was given, without control characters and shortened to 200 characters."""
        return self._stage or ""

    def complete(self) -> None:
        """Says that the stage is done; its counts stay as they are."""
        self._job._say(self._stage, state="completed")

    def fail(self) -> None:
        """Says that the stage failed; the job goes on."""
        self._job._say(self._stage, state="failed")

    def __enter__(self) -> Self:
        self._job._say(self._stage, state="running")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.complete()
        elif issubclass(kind, JobCanceled):
            self._job._say(self._stage, state="canceled")
        elif not issubclass(kind, JobSuperseded):
            self.fail()


class Job(_Counting):
    """One lane of a job, from entering the block to leaving it.

    Leaving it normally completes the job, JobCanceled acknowledges the cancel, any other exception fails it
    with its text. Methods may be called from any thread. A process forked inside the block counts in a lane
    of its own.
    """

    def __init__(self, lane: Lane, sender: Sender | None, address: Address) -> None:
        super().__init__(self, None)
        self._lane = lane
        self._sender = sender
        self._address = address
        self._said_canceled = False
        if sender is None:
            lane.detach()

    def __enter__(self) -> Self:
        return self._begin(waits=True)

    def _begin(self, *, waits: bool) -> Self:
        """Begins the lane. One that has no cursor to go on from need not wait for the server's answer."""
        if self._sender is not None:
            self._sender.add(self._lane)
            self._sender.start()
            if waits:
                self._wait_for_greeting(self._sender)
        with self._lane.changed:
            self._lane.begun = True
        self._say(None, state="running")
        return self

    def _wait_for_greeting(self, sender: Sender) -> None:
        """Waits a bounded time for attempt, cursor and counts; without them the loop begins at zero."""
        deadline = time.monotonic() + START_WAIT_S
        with self._lane.changed:
            while self._lane.greeting is not None:
                left_s = deadline - time.monotonic()
                # Once the server has been away for so long, the next jobs need not wait for it too.
                if left_s <= 0 or sender.failing_for_s() > START_WAIT_S:
                    return
                self._lane.changed.wait(left_s)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None and issubclass(kind, JobSuperseded):
            return
        if kind is None:
            self._end("canceled" if self._said_canceled else "completed")
        elif issubclass(kind, JobCanceled):
            self._end("canceled")
        elif kind is GeneratorExit:
            done = self._lane.n
            self._end(
                "failed", f"The loop was left after {done} items, by break or by an exception in its body."
            )
        else:
            self._end("failed", f"{kind.__name__}: {error}" if str(error) else kind.__name__)

    def _end(self, state: str, reason: str | None = None) -> None:
        self._lane.end(state, reason)
        if self._sender is not None:
            self._sender.deliver([self._lane], _LEAVE_WAIT_S, patient=False)

    # ------------------------------------------------------------------------------------ to know

    @property
    def key(self) -> str:
        """Your name for the job."""
        return self._lane.job

    @property
    def worker(self) -> str:
        """The lane's name."""
        return self._lane.worker

    @property
    def job_id(self) -> str | None:
        """The server's id of the job; None while it has not answered."""
        return self._lane.job_id

    @property
    def attempt(self) -> int | None:
        """Which try at the job this is; None while the server has not answered."""
        return self._lane.attempt

    @property
    def cursor(self) -> Any:  # noqa: ANN401 - any JSON
        """From where to resume: at first where an earlier run was, then what `advance()` was given last.

        None where there is neither.
        """
        return self._lane.cursor

    @property
    def dropped(self) -> int:
        """How many reports had to be dropped: refused ones, and items over the bounded memory."""
        return self._lane.dropped

    @property
    def suggested_batch(self) -> int | None:
        """Items that make a batch of about one checkpoint's interval (a second); None at first."""
        return self._lane.suggested_batch

    # ------------------------------------------------------------------------------------- to say

    def message(self, text: str | None) -> None:
        """A line for people about what is being done now."""
        self._say(None, message=None if text is None else _words.text(text))

    def rate_limited(self, until: datetime | None) -> None:
        """Says until when the loop has to wait for a rate limit; None when it need not any more."""
        self._say(None, rate_limited_until=None if until is None else _words.moment(until))

    def stage(self, name: str, items_total: int | None = None, weight: float | None = None) -> Stage:
        """The job's stage of that name, which is begun with its first count or by entering it as a block."""
        name = _words.name(name)
        facts = {"items_total": items_total, "weight": weight}
        self._say(name, **{field: value for field, value in facts.items() if value is not None})
        return Stage(self, name)

    def item(
        self,
        key: str,
        state: str,
        percent: float | None = None,
        stage: str | None = None,
        duration_ms: float | None = None,
        payload: Mapping[str, Any] | None = None,
        error: str | None = None,
    ) -> None:
        """Says the state of one item that is tracked by name.

        `state` is pending, processing, completed, failed, skipped or canceled; ValueError for any other.
        A payload that is no JSON object of at most 16 KiB is dropped, and counted in `dropped`.
        """
        if state not in _ITEM_STATES:
            raise ValueError(f"item(): expected a state of {', '.join(_ITEM_STATES)}; found {state!r}.")
        if self._lane.detached:
            return
        report: dict[str, Any] = {"key": _words.name(key, _words.MAX_KEY), "state": state}
        if stage is not None:
            report["stage"] = _words.name(stage)
        if percent is not None and percent == percent:
            report["percent"] = min(max(float(percent), 0.0), 100.0)
        if duration_ms is not None and 0 <= duration_ms < float("inf"):
            report["duration_ms"] = float(duration_ms)
        if error is not None:
            report["error"] = _words.text(error, _words.MAX_ERROR)
        if payload is not None:
            self._add_payload(report, payload)
        if self._lane.put_item(report.get("stage"), report["key"], state, _words.dumps(report)):
            self._wake()
        if self._lane.dropped:
            _words.warn_once(
                "dropped", f"Milepost: {self.key!r} reports faster than it can be sent; some are dropped."
            )

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Waits until all that was said so far is delivered; false where it is not in that time."""
        self._join()
        return self._sender is not None and self._sender.deliver([self._lane], timeout_s)

    # ------------------------------------------------------------------------------------- within

    def _add_payload(self, report: dict[str, Any], payload: Mapping[str, Any]) -> None:
        try:
            written = _words.dumps(dict(payload))
        except (TypeError, ValueError):
            written = ""
        if not written or len(written.encode("utf-8", "replace")) > _words.MAX_JSON_BYTES:
            self._lane.lose()
        else:
            report["payload"] = dict(payload)

    def _count(
        self,
        stage: str | None,
        counts: tuple[int, ...],
        cursor: Any,  # noqa: ANN401
        batch: Mapping[str, Any] | None,
        message: str | None,
    ) -> None:
        written = None if cursor is _UNSET else _words.dumps(cursor)
        if written is not None and len(written.encode()) > _words.MAX_JSON_BYTES:
            _words.warn_once(
                "cursor", f"Milepost: a cursor of {self.key!r} is larger than 16 KiB and was not kept."
            )
            self._lane.lose()
            written = None
        self._lane.add(stage, counts, cursor=written, batch=batch, message=message)
        if self._lane.attention:
            self._attend()

    def _say(self, stage: str | None, **facts: Any) -> None:  # noqa: ANN401
        self._lane.say(stage, **facts)
        if "state" in facts:
            self._wake()

    def _wake(self) -> None:
        self._join()
        if self._sender is not None:
            self._sender.wake()

    def _join(self) -> None:
        """In a forked child: has its lane reported from here on."""
        if self._lane.adrift and self._sender is not None and not self._lane.detached:
            self._lane.adrift = False
            self._sender.add(self._lane)
            self._sender.start()

    def _attend(self) -> None:
        """Does what the lane was told: waits while paused, raises where the loop is to end."""
        self._join()
        lane = self._lane
        while lane.attention:
            if lane.directive == "stop":
                raise JobSuperseded(hint="Let the newer attempt do the work.")
            if lane.directive == "cancel":
                self._said_canceled = True
                raise JobCanceled
            if lane.directive == "pause":
                self._say(None, state="paused")
                with lane.changed:
                    while lane.directive == "pause":
                        lane.changed.wait()
                self._say(None, state="running")
            with lane.changed:
                lane.attention = lane.directive != "continue"

    def __reduce__(self) -> tuple[Any, ...]:
        """Sent to another process, it becomes a lane of its own there, as after a fork."""
        return _elsewhere, (self.key, self.worker, self.attempt, self.job_id, *self._address)


_here: dict[tuple[Any, ...], Job] = {}


def _elsewhere(key: str, worker: str, attempt: int | None, job_id: str | None, *address: str | None) -> Job:
    url, api_key, spool = address
    place = (os.getpid(), key, worker, attempt, *address)
    if place not in _here:
        lane = Lane(key, child_worker(worker))
        lane.attempt, lane.job_id, lane.begun = attempt, job_id, True
        lane.let_job_end()
        lane.adrift = lane.attention = True
        _here[place] = Job(lane, _sender(url, api_key, spool), (url, api_key, spool))
    return _here[place]


def _sender(url: str | None, key: str | None, spool: str | None) -> Sender | None:
    try:
        return sender_for(*settings(url, key), spool_folder(spool))
    except ConfigurationError as error:
        _words.warn_once("settings", f"Milepost: nothing is tracked. {error.message} {error.hint}")
        return None


def job(
    job: str,
    /,
    *,
    items_total: int | None = None,
    worker_items_total: int | None = None,
    unit: str | None = None,
    kind: str | None = None,
    name: str | None = None,
    stages: Sequence[str | Mapping[str, Any]] | None = None,
    worker: str = "main",
    metadata: Mapping[str, Any] | None = None,
    priority: int | None = None,
    max_attempts: int | None = None,
    owner_id: str | None = None,
    workers_expected: int | None = None,
    stall_after_ms: int | None = None,
    processing_deadline_ms: int | None = None,
    retry_backoff_ms: int | None = None,
    url: str | None = None,
    key: str | None = None,
    spool: str | os.PathLike[str] | None = None,
) -> Job:
    """A job to be entered as a block: `with milepost.job("nightly-import", items_total=1000) as job: ...`.

    `job` is your own key for it; a job that exists is gone on with, from `job.cursor`; where it has ended, a
    new run begins, under the key `<job> after <when that ended>`. `kind` is the key unless given. `worker`
    names the lane where several processes share a job (`items_total` is the whole job's,
    `worker_items_total` this lane's). `stages` are names, or `{"name", "items_total", "weight"}`. `url` and
    `key` default to
    MILEPOST_URL and MILEPOST_KEY; without them, and where the server refuses the key, the loop runs untracked
    and one warning says so.

    `spool` is a folder (MILEPOST_SPOOL by default; none without either) in which what cannot be sent while
    the server is away outlives this process; the next start sends it. It holds 64 MiB at most.
    """
    facts: dict[str, Any] = {
        "items_total": items_total,
        "unit": None if unit is None else _words.name(unit),
        # Runs of the same key are runs of the same thing, unless said otherwise.
        "kind": _words.name(job if kind is None else kind),
        "name": None if name is None else _words.name(name),
        "processing_deadline_ms": processing_deadline_ms,
        "metadata": None if metadata is None else dict(metadata),
    }
    once = {
        "stages": None
        if stages is None
        else [{"name": s} if isinstance(s, str) else dict(s) for s in stages],
        "priority": priority,
        "max_attempts": max_attempts,
        "owner_id": owner_id,
        "workers_expected": workers_expected,
        "stall_after_ms": stall_after_ms,
        "retry_backoff_ms": retry_backoff_ms,
    }
    facts, once = (
        {field: value for field, value in some.items() if value is not None} for some in (facts, once)
    )
    called = _words.name(job)
    greeting = {"job": called, **facts, **once}
    if worker_items_total is not None:
        facts["worker_items_total"] = worker_items_total
    folder = spool_folder(spool)
    lane = Lane(called, _words.name(worker), greeting=greeting, **facts)
    return Job(lane, _sender(url, key, folder), (url, key, folder))
