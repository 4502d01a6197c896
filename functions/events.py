"""GET /v1/events, also as /progress/events: a snapshot, then every event in order, resumed by Last-Event-ID.

Whatever the number of listeners, a process reads new events once each interval, for all of them (`Hub`). An
id on the wire is `<event_id>-<unix second>`: the second tells whether what followed is still within a day's
reach.
"""

import json
import queue
import random
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from werkzeug.wrappers import Request, Response

from functions import addresses, callers, database, journal
from functions.callers import Caller, UserCaller
from functions.refusals import Busy, Invalid, Refused
from functions.settings import threads

Event = dict[str, Any]

POLL_S = 0.25
HEARTBEAT_S = 15.0
GLANCE_S = 1.0  # how soon it is noticed that a client has left: its thread is wanted by others
# Vercel ends a function after 300 s at most; a stream that ends by itself is resumed without an error.
LIFETIME_S = 240.0
RETRY_MS = 1000
REACH_S = 23 * 3600
PAGE = 1000
# A client that takes its events more slowly than they come is cut off here, and resumes where it was.
MAX_WAITING = 5000

_ID = re.compile(r"(\d{1,18})-(\d{1,12})")


@dataclass(eq=False)
class Listener:
    """One stream's place in the hub: whom it hears, and what has come in since it joined."""

    tenant_ids: frozenset[str]
    job_id: str | None = None
    begins_after: int = 0
    reached: int = 0
    """Whatever it hears up to this id has been put into its queue."""
    is_cut: bool = False
    """It hears no more; what is in its queue still counts."""
    queue: "queue.Queue[Event]" = field(default_factory=lambda: queue.Queue(MAX_WAITING))

    def hears(self, event: Event) -> bool:
        return event["tenant_id"] in self.tenant_ids and self.job_id in (None, event["job_id"])


class Hub:
    """Reads new events for all listeners of a process at once, and only while there are any.

    `read(tenant_ids, after)` gives `{"after", "events"}`; without `after` only where the stream is now.
    """

    def __init__(
        self,
        read: Callable[[list[str], int | None], dict[str, Any]],
        capacity: int,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._read, self._capacity, self._sleep = read, capacity, sleep
        self._lock = threading.Lock()
        self._listeners: set[Listener] = set()
        self._after: int | None = None

    def join(self, listener: Listener) -> None:
        """From now on it gets every event after its `begins_after`; what is not after it can be read already.

        Raises `Busy` where there are too many listeners, and what the database refuses.
        """
        now = int(self._read([], None)["after"])
        with self._lock:
            if len(self._listeners) >= self._capacity:
                raise Busy(self._capacity)
            if self._after is None:
                self._after = now
                threading.Thread(target=self._run, name="milepost-events", daemon=True).start()
            # Whichever is further on: the hub gives nothing twice, and what it gave to others is over.
            listener.begins_after = listener.reached = max(now, self._after)
            self._listeners.add(listener)

    def leave(self, listener: Listener) -> None:
        """Forgets a listener; with the last one the reading ends."""
        with self._lock:
            self._listeners.discard(listener)

    def _run(self) -> None:
        try:
            while self._step():
                pass
        except Exception as error:  # noqa: BLE001 - said in the journal; the listeners end, and come again
            journal.record("ERROR", "reading events ended", error=journal.traceback_of(error))
            with self._lock:
                self._after = None
                for listener in self._listeners:
                    listener.is_cut = True
                self._listeners.clear()

    def _step(self) -> bool:
        """Reads once and waits. Returns False when nobody listens any more."""
        with self._lock:
            if not self._listeners:
                self._after = None
                return False
            tenant_ids, after = self._tenant_ids(), self._after
        try:
            page = self._read(sorted(tenant_ids), after)
        except Refused as refused:
            journal.record("WARNING", "events could not be read; the listeners wait", error=str(refused))
            self._sleep(1)
            return True
        with self._lock:
            # If somebody of another tenant joined meanwhile, this page has nothing of theirs: read it again.
            if self._tenant_ids() <= tenant_ids:
                self._hand_out(page["events"], int(page["after"]))
        if len(page["events"]) < PAGE:
            self._sleep(POLL_S)
        return True

    def _tenant_ids(self) -> frozenset[str]:
        return frozenset().union(*(listener.tenant_ids for listener in self._listeners))

    def _hand_out(self, events: list[Event], after: int) -> None:
        for listener in tuple(self._listeners):
            try:
                for event in events:
                    if event["id"] > listener.begins_after and listener.hears(event):
                        listener.queue.put_nowait(event)
            except queue.Full:
                listener.is_cut = True
                self._listeners.discard(listener)
            else:
                listener.reached = max(after, listener.begins_after)
        self._after = after


def read_events(tenant_ids: list[str], after: int | None) -> dict[str, Any]:
    """The next page of events, or without `after` where the stream is now."""
    args = {"tenant_ids": tenant_ids, "after": after, "limit": PAGE}
    page: dict[str, Any] = json.loads(database.as_service("stream_events", args))
    return page


@cache
def hub() -> Hub:
    """The process's hub. Each stream holds a thread, and half of them stay free for all else."""
    return Hub(read_events, capacity=max(1, threads() // 2))


def stream(request: Request) -> Response:
    """GET /v1/events?job= and /progress/events: the caller's events, or one job's."""
    caller = callers.identify(request)
    resumed = _resumed_at(request.headers.get("Last-Event-ID"), time.time())
    listener = Listener(*heard_by(caller, request))
    hub().join(listener)
    try:
        # An id from the future is one of another database, or of this one before it was restored.
        if resumed is not None and resumed > listener.begins_after:
            resumed = None
        jobs = _snapshot(caller, listener) if resumed is None else None
        # Streams that began together do not end together.
        lifetime_s = LIFETIME_S * random.uniform(0.9, 1)  # noqa: S311
        lines = lines_of(
            listener, jobs, resumed or 0, read_events, lifetime_s=lifetime_s, has_left=_leaving(request)
        )
        response = Response(_closing(lines, listener), content_type="text/event-stream; charset=utf-8")
    except BaseException:
        hub().leave(listener)
        raise
    response.headers["X-Accel-Buffering"] = "no"
    # Also where the first byte was never asked for, so that the generator has no end to run.
    response.call_on_close(lambda: hub().leave(listener))
    return response


def heard_by(caller: Caller, request: Request) -> tuple[frozenset[str], str | None]:
    """Whose events are asked for: the caller's tenants, or the tenant and id of the one job in `?job=`."""
    asked = addresses.query(addresses.Stream, request)
    if "job" not in asked:
        return _tenants(caller), None
    named = addresses.job(asked["job"])
    job = json.loads(database.as_caller(caller, "get_job_progress", {"job_id": named}))
    return frozenset([job["tenant_id"]]), job["job_id"]


def _tenants(caller: Caller) -> frozenset[str]:
    tenants = json.loads(database.as_caller(caller, "list_tenants", {}))
    chosen = caller.tenant_id if isinstance(caller, UserCaller) else None
    return frozenset(tenant["tenant_id"] for tenant in tenants if chosen in (None, tenant["tenant_id"]))


def _snapshot(caller: Caller, listener: Listener) -> list[dict[str, Any]]:
    if listener.job_id is not None:
        return [json.loads(database.as_caller(caller, "get_job_progress", {"job_id": listener.job_id}))]
    page = json.loads(database.as_caller(caller, "search_jobs", {"limit": 200}))
    return [job for job in page["jobs"] if job["tenant_id"] in listener.tenant_ids]


def _leaving(request: Request) -> Callable[[], bool]:
    """Tells whether the client has hung up, where the server shows its socket; else only writing tells."""
    connection = request.environ.get("gunicorn.socket")

    def has_left() -> bool:
        if connection is None:
            return False
        try:
            return bool(connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b"")
        except BlockingIOError:
            return False
        except OSError:
            return True

    return has_left


def _closing(lines: Iterator[str], listener: Listener) -> Iterator[bytes]:
    try:
        for line in lines:
            yield line.encode()
    except Refused as refused:
        # The status has gone out long ago: say it in the stream, and let the client come again.
        yield f"event: error\ndata: {json.dumps(refused.body)}\n\n".encode()
    finally:
        hub().leave(listener)


def lines_of(
    listener: Listener,
    jobs: list[dict[str, Any]] | None,
    resumed: int,
    read: Callable[[list[str], int | None], dict[str, Any]],
    *,
    lifetime_s: float = LIFETIME_S,
    heartbeat_s: float = HEARTBEAT_S,
    has_left: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
    wall_clock: Callable[[], float] = time.time,
) -> Iterator[str]:
    """The stream's text: the snapshot `jobs`, or else what was missed after the id `resumed`; then what
    comes in.

    It ends after `lifetime_s`, or where the listener was cut or `has_left`.
    """

    def block(event_id: int, rest: str) -> str:
        return f"id: {event_id}-{int(wall_clock())}\n{rest}\n\n"

    def said(name: str, body: dict[str, Any]) -> str:
        # JSON has no raw line breaks, so one data line carries it.
        return f"event: {name}\ndata: {json.dumps(body, ensure_ascii=False)}"

    def message(event: Event) -> str:
        names = ("type", "ts", "correlation_id", "job_id", "version", "data")
        return block(event["id"], said(event["type"], {name: event[name] for name in names}))

    ends = clock() + lifetime_s
    yield f"retry: {RETRY_MS}\n\n"
    known: dict[str, int] = {}
    if jobs is not None:
        # What the snapshot shows already is not sent again.
        known = {job["job_id"]: job["version"] for job in jobs}
        yield block(listener.begins_after, said("snapshot", {"type": "snapshot", "jobs": jobs}))
        resumed = listener.begins_after
    while resumed < listener.begins_after and clock() < ends:
        page = read(sorted(listener.tenant_ids), resumed)
        for event in page["events"]:
            # From begins_after on the hub has it.
            if event["id"] <= listener.begins_after and listener.hears(event):
                yield message(event)
        resumed = min(int(page["after"]), listener.begins_after)
        yield block(resumed, ": all up to here")
    has_all = resumed == listener.begins_after
    beats_at = clock() + heartbeat_s
    while has_all and (now := clock()) < ends:
        reached = listener.reached
        try:
            event = listener.queue.get(timeout=max(0.0, min(GLANCE_S, beats_at - now, ends - now)))
        except queue.Empty:
            if listener.is_cut or has_left():
                break
            if clock() >= beats_at:
                # All up to `reached` had been put in before the queue was empty, so a client may resume.
                resumed = max(resumed, reached)
                yield block(resumed, ": nothing new")
                beats_at = clock() + heartbeat_s
            continue
        resumed = event["id"]
        if event["version"] > known.get(event["job_id"], 0):
            yield message(event)
            beats_at = clock() + heartbeat_s
    yield f"retry: {RETRY_MS}\n: come again\n\n"


def _resumed_at(last_event_id: str | None, now_s: float) -> int | None:
    """Where to go on; None for a new stream, or where the last event is out of reach."""
    if not last_event_id:
        return None
    match = _ID.fullmatch(last_event_id)
    if match is None:
        raise Invalid(
            "invalid_value",
            f"Last-Event-ID: expected an id of this stream, found {last_event_id[:100]}.",
            "Leave it out to begin with a snapshot.",
        )
    event_id, second = int(match[1]), int(match[2])
    return event_id if now_s - second < REACH_S else None
