"""GET /v1/events: server-sent events: a snapshot first, then every event in order, resumed by Last-Event-ID.

Whatever the number of listeners, a process reads new events once each interval, for all of them (`Hub`). An event's id on
the wire is `<event_id>-<unix second>`: the second tells whether what followed is still within a day's reach.
"""

import json
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from werkzeug.wrappers import Request, Response

from functions import addresses, callers, database, journal
from functions.refusals import Invalid, Refused

POLL_S = 0.25
HEARTBEAT_S = 15.0
# Vercel ends a function after 300 s at most; a stream that ends by itself is resumed without an error.
LIFETIME_S = 240.0
REACH_S = 23 * 3600
PAGE = 1000

_ID = re.compile(r"(\d{1,18})-(\d{1,12})")


@dataclass(eq=False)
class Listener:
    """One stream's place in the hub: which tenants it hears, and what has come in since it joined."""

    tenant_ids: frozenset[str]
    begins_after: int = 0
    queue: "queue.SimpleQueue[dict[str, Any]]" = field(default_factory=queue.SimpleQueue)


class Hub:
    """Reads new events for all listeners of a process at once, and only while there are any."""

    def __init__(self, read: Callable[[list[str], int | None], dict[str, Any]]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._listeners: set[Listener] = set()
        self._after: int | None = None

    def join(self, tenant_ids: frozenset[str]) -> Listener:
        """A listener that gets every event after `begins_after`. Raises what the database refuses."""
        listener = Listener(tenant_ids)
        with self._lock:
            if self._after is None:
                self._after = int(self._read([], None)["after"])
                threading.Thread(target=self._run, name="milepost-events", daemon=True).start()
            listener.begins_after = self._after
            self._listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """Forgets a listener; the last one to leave stops the reading."""
        with self._lock:
            self._listeners.discard(listener)

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._listeners:
                    self._after = None
                    return
                tenant_ids = sorted(set().union(*(one.tenant_ids for one in self._listeners)))
                after = self._after
            try:
                page = self._read(tenant_ids, after)
            except Refused as refused:
                journal.record("ERROR", "events could not be read; listeners wait", error=str(refused))
                time.sleep(1)
                continue
            with self._lock:
                if not set().union(*(one.tenant_ids for one in self._listeners)) <= set(tenant_ids):
                    # Somebody of another tenant joined meanwhile, and this page has nothing of theirs: read it again.
                    continue
                for event in page["events"]:
                    for listener in self._listeners:
                        if event["tenant_id"] in listener.tenant_ids and event["id"] > listener.begins_after:
                            listener.queue.put(event)
                self._after = int(page["after"])
            if len(page["events"]) < PAGE:
                time.sleep(POLL_S)


def read_events(tenant_ids: list[str], after: int | None) -> dict[str, Any]:
    """The next page of events, or without `after` where the stream begins now."""
    args = {"tenant_ids": tenant_ids, "after": after, "limit": PAGE}
    page: dict[str, Any] = json.loads(database.as_service("stream_events", args))
    return page


@cache
def hub() -> Hub:
    """The process's hub."""
    return Hub(read_events)


def stream(request: Request) -> Response:
    """GET /v1/events?job=: the caller's events, or one job's."""
    caller = callers.identify(request)
    tenants = json.loads(database.as_caller(caller, "list_tenants", {}))
    named = addresses.job(request.args["job"]) if "job" in request.args else None

    def snapshot() -> list[dict[str, Any]]:
        if named is None:
            page = json.loads(database.as_caller(caller, "search_jobs", {"limit": 200}))
            jobs: list[dict[str, Any]] = page["jobs"]
            return jobs
        return [json.loads(database.as_caller(caller, "get_job_progress", {"job_id": named}))]

    job_id = snapshot()[0]["job_id"] if named is not None else None
    resumed = _resumed_at(request.headers.get("Last-Event-ID"), time.time())
    listener = hub().join(frozenset(tenant["tenant_id"] for tenant in tenants))
    lines = lines_of(listener, snapshot, job_id, resumed)
    response = Response(_until_left(lines, listener), content_type="text/event-stream; charset=utf-8")
    response.headers["X-Accel-Buffering"] = "no"
    response.call_on_close(lambda: hub().leave(listener))
    return response


def _until_left(lines: Iterator[str], listener: Listener) -> Iterator[bytes]:
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
    snapshot: Callable[[], list[dict[str, Any]]],
    job_id: str | None,
    resumed: int | None,
    *,
    lifetime_s: float = LIFETIME_S,
    heartbeat_s: float = HEARTBEAT_S,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[str]:
    """The stream's text: `retry`, a snapshot or what was missed since `resumed`, then what comes in, until its end."""
    ends = clock() + lifetime_s
    yield "retry: 1000\n\n"
    known: dict[str, int] = {}
    if resumed is None:
        jobs = snapshot()
        # What the snapshot already shows is not sent again.
        known = {job["job_id"]: job["version"] for job in jobs}
        yield _event("snapshot", listener.begins_after, {"type": "snapshot", "jobs": jobs})
    else:
        yield from _missed(listener, job_id, resumed)
    while (left := ends - clock()) > 0:
        try:
            event = listener.queue.get(timeout=min(heartbeat_s, left))
        except queue.Empty:
            yield ": still here\n\n"
            continue
        if _concerns(event, job_id) and event["version"] > known.get(event["job_id"], 0):
            yield _message(event)


def _missed(listener: Listener, job_id: str | None, resumed: int) -> Iterator[str]:
    after = resumed
    while after < listener.begins_after:
        page = read_events(sorted(listener.tenant_ids), after)
        for event in page["events"]:
            # From here on the hub has it.
            if event["id"] <= listener.begins_after and _concerns(event, job_id):
                yield _message(event)
        after = int(page["after"])


def _concerns(event: dict[str, Any], job_id: str | None) -> bool:
    return job_id is None or event["job_id"] == job_id


def _message(event: dict[str, Any]) -> str:
    body = {name: event[name] for name in ("type", "ts", "correlation_id", "job_id", "version", "data")}
    return _event(event["type"], event["id"], body)


def _event(name: str, event_id: int, body: dict[str, Any]) -> str:
    # JSON has no raw line breaks, so one data line carries it.
    return (
        f"id: {event_id}-{int(time.time())}\nevent: {name}\ndata: {json.dumps(body, ensure_ascii=False)}\n\n"
    )


def _resumed_at(last_event_id: str | None, now_s: float) -> int | None:
    """Where to go on; None for a new stream, or where the last event is out of reach and a snapshot has to do."""
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
