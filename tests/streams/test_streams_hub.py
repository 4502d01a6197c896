"""One reading for all listeners of a process, and what a stream says, with a database that is a list."""

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from talking import Said, blocks

from functions import events
from functions.events import Hub, Listener, lines_of
from functions.refusals import Busy, Refused, Unavailable

A, B = "tenant a", "tenant b"
PATIENCE_S = 10.0


class Log:
    """The events table: read as stream_events reads it."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.reads: list[tuple[list[str], int | None]] = []
        self.fault: Exception | None = None
        self.on_read: Callable[[], object] = lambda: None

    def add(self, tenant_id: str, job_id: str = "job") -> int:
        event = {
            "id": len(self.events) + 1, "tenant_id": tenant_id, "job_id": job_id, "type": "job.progress", "ts": "now",
            "version": 1 + sum(each["job_id"] == job_id for each in self.events), "correlation_id": "x", "data": {},
        }  # fmt: skip
        self.events.append(event)
        return len(self.events)

    def read(self, tenant_ids: list[str], after: int | None) -> dict[str, Any]:
        self.reads.append((tenant_ids, after))
        if self.fault is not None:
            raise self.fault
        if after is None:
            return {"after": len(self.events), "events": []}
        self.on_read()
        found = [each for each in self.events[after:] if each["tenant_id"] in tenant_ids][: events.PAGE]
        last = found[-1]["id"] if len(found) == events.PAGE else len(self.events)
        return {"after": last, "events": found}


class Turns:
    """A sleep that lasts until the test says so."""

    def __init__(self) -> None:
        self._asleep, self._go = threading.Semaphore(0), threading.Semaphore(0)
        self.seconds: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self._asleep.release()
        assert self._go.acquire(timeout=PATIENCE_S)

    def pass_one(self) -> None:
        """Lets the reader wake, read, and sleep again."""
        self._go.release()
        self.wait()

    def wait(self) -> None:
        """Returns when the reader sleeps."""
        assert self._asleep.acquire(timeout=PATIENCE_S)

    def end(self) -> None:
        self._go.release()


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def turns() -> Turns:
    return Turns()


@pytest.fixture
def hub(log: Log, turns: Turns) -> Iterator[Hub]:
    hub = Hub(log.read, capacity=100, sleep=turns.sleep)
    yield hub
    for listener in tuple(hub._listeners):
        hub.leave(listener)
    turns.end()


def join(hub: Hub, *tenant_ids: str, job_id: str | None = None) -> Listener:
    listener = Listener(frozenset(tenant_ids), job_id)
    hub.join(listener)
    return listener


def ids(listener: Listener) -> list[int]:
    """What waits in its queue."""
    found = []
    while not listener.queue.empty():
        found.append(listener.queue.get()["id"])
    return found


@pytest.mark.parametrize("listeners", [1, 50])
def test_the_database_is_read_as_often_for_many_idle_listeners_as_for_one(
    hub: Hub, log: Log, turns: Turns, listeners: int
) -> None:
    for _ in range(listeners):
        join(hub, A)
    turns.wait()
    before = len(log.reads)
    for _ in range(10):
        turns.pass_one()
    assert len(log.reads) - before == 10


def test_listeners_of_two_tenants_hear_their_own(hub: Hub, log: Log, turns: Turns) -> None:
    a, b, both, one_job = join(hub, A), join(hub, B), join(hub, A, B), join(hub, A, job_id="other")
    turns.wait()
    expected = {tenant: [log.add(tenant) for _ in range(3)] for tenant in (A, B)}
    other = log.add(A, "other")
    turns.pass_one()
    turns.pass_one()
    assert (ids(a), ids(b)) == ([*expected[A], other], expected[B])
    assert (ids(both), ids(one_job)) == ([*expected[A], *expected[B], other], [other])


def test_one_who_joins_during_a_read_of_other_tenants_loses_nothing(hub: Hub, log: Log, turns: Turns) -> None:
    a = join(hub, A)
    turns.wait()
    log.add(A)
    late: list[Listener] = []

    def join_and_write() -> None:
        log.on_read = lambda: None
        late.append(join(hub, B))
        log.add(B)

    log.on_read = join_and_write
    for _ in range(3):
        turns.pass_one()
    assert (ids(a), ids(late[0])) == ([1], [2])


def test_what_was_before_it_joined_is_not_sent(hub: Hub, log: Log, turns: Turns) -> None:
    a = join(hub, A)
    turns.wait()
    log.add(A)
    later = join(hub, A)
    assert later.begins_after == 1
    turns.pass_one()
    turns.pass_one()
    assert (ids(a), ids(later)) == ([1], [])


def test_the_reading_ends_with_the_last_listener_and_begins_with_the_next(
    hub: Hub, log: Log, turns: Turns
) -> None:
    a = join(hub, A)
    turns.wait()
    hub.leave(a)
    turns.end()
    for thread in threading.enumerate():
        if thread.name == "milepost-events":
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
    reads = len(log.reads)
    log.add(A)
    assert len(log.reads) == reads
    again = join(hub, A)
    turns.wait()
    log.add(A)
    turns.pass_one()
    assert ids(again) == [2]


def test_a_listener_too_many_is_refused(log: Log, turns: Turns) -> None:
    hub = Hub(log.read, capacity=1, sleep=turns.sleep)
    first = join(hub, A)
    with pytest.raises(Busy) as refused:
        join(hub, A)
    assert refused.value.headers["Retry-After"]
    hub.leave(first)
    join(hub, A)
    turns.end()


def test_one_who_takes_too_slowly_is_cut_and_the_others_are_not(hub: Hub, log: Log, turns: Turns) -> None:
    slow, quick = join(hub, A), join(hub, A)
    turns.wait()
    slow.queue.maxsize = 3
    for _ in range(5):
        log.add(A)
    turns.pass_one()
    assert (slow.is_cut, quick.is_cut) == (True, False)
    assert hub._listeners == {quick}
    # What it has still counts; then its stream ends, and resumes after what it had.
    said = list(told(lines_of(slow, [], 0, log.read, heartbeat_s=0.01)))
    assert [block.body["version"] for block in said if block.name == "job.progress"] == [1, 2, 3]
    assert said[-1].comment == "come again"
    assert ids(quick) == [1, 2, 3, 4, 5]


def test_while_the_database_is_away_listeners_wait_and_then_hear_all(
    hub: Hub, log: Log, turns: Turns
) -> None:
    a = join(hub, A)
    turns.wait()
    log.add(A)
    log.fault = Unavailable("gone")
    turns.pass_one()
    assert turns.seconds[-1] == 1
    assert not a.is_cut
    log.fault = None
    turns.pass_one()
    assert ids(a) == [1]


def test_a_fault_of_its_own_ends_the_listeners_and_not_the_next_ones(
    hub: Hub, log: Log, turns: Turns
) -> None:
    a = join(hub, A)
    turns.wait()
    log.fault = KeyError("after")
    turns.end()
    (ended,) = [
        block
        for block in told(lines_of(a, [], 0, log.read, heartbeat_s=0.01))
        if block.comment == "come again"
    ]
    assert ended.retry
    log.fault = None
    again = join(hub, A)
    turns.wait()
    log.add(A)
    turns.pass_one()
    assert ids(again) == [1]


# ------------------------------------------------------------------------------------------------ a stream


def told(text: Iterator[str]) -> Iterator[Said]:
    return blocks(line for block in text for line in block.removesuffix("\n").split("\n"))


class Clock:
    """A clock that goes on by a second at each look."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def listener(log: Log, *, begins_after: int = 0) -> Listener:
    return Listener(frozenset([A]), begins_after=begins_after, reached=begins_after)


def test_it_says_the_snapshot_first_and_nothing_that_the_snapshot_has(log: Log) -> None:
    for _ in range(5):
        log.add(A)
    place = listener(log, begins_after=2)
    for event in log.events[2:]:
        place.queue.put(event)
    jobs = [{"job_id": "job", "version": 4}]
    said = list(itertools.islice(told(lines_of(place, jobs, 0, log.read, wall_clock=lambda: 7)), 3))
    assert said[0].retry == "1000"
    assert (said[1].name, said[1].id, said[1].body) == ("snapshot", "2-7", {"type": "snapshot", "jobs": jobs})
    assert (said[2].name, said[2].id, said[2].body["version"]) == ("job.progress", "5-7", 5)
    assert said[2].body.keys() == {"type", "ts", "correlation_id", "job_id", "version", "data"}


def test_resumed_it_says_what_was_missed_by_pages_and_then_what_comes(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "PAGE", 3)
    for tenant in (A, B, A, A, A, A, B, A):
        log.add(tenant)
    place = listener(log, begins_after=7)
    place.queue.put(log.events[7])
    place.is_cut = True
    said = list(told(lines_of(place, None, 1, log.read, heartbeat_s=0.01)))
    assert [int((block.id or "").split("-")[0]) for block in said if block.body] == [3, 4, 5, 6, 8]


def test_while_nothing_comes_it_says_so_with_an_id_from_which_a_client_may_resume(log: Log) -> None:
    place = listener(log)
    place.reached = 41
    text = told(lines_of(place, None, 0, log.read, heartbeat_s=0.01))
    next(text)
    assert (next(text).comment, next(text).id) == ("nothing new", next(text).id)
    place.queue.put(log.events[log.add(A) - 1] | {"id": 60})
    assert next(text).body
    # The hub says a moment later how far it is; no id goes back.
    heartbeat = next(text)
    assert heartbeat.body is None
    assert (heartbeat.id or "").startswith("60-")


def test_it_ends_by_itself_and_says_when_to_come_again(log: Log) -> None:
    place = listener(log)
    said = list(told(lines_of(place, [], 0, log.read, lifetime_s=3, heartbeat_s=0.01, clock=Clock())))
    assert (said[-1].retry, said[-1].comment) == ("1000", "come again")


def test_it_ends_when_its_client_has_left(log: Log) -> None:
    looks = iter([False, False, True])
    place = listener(log)
    said = list(told(lines_of(place, [], 0, log.read, heartbeat_s=0.01, has_left=lambda: next(looks))))
    assert [block.comment for block in said].count("nothing new") <= 2
    assert next(looks, None) is None


def test_its_lifetime_holds_while_it_catches_up_too(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "PAGE", 1)
    for _ in range(100):
        log.add(A)
    place = listener(log, begins_after=100)
    said = list(told(lines_of(place, None, 0, log.read, lifetime_s=5, clock=Clock())))
    caught_up = [block.body["version"] for block in said if block.body]
    assert caught_up == list(range(1, len(caught_up) + 1))
    assert 0 < len(caught_up) < 10
    assert said[-1].comment == "come again"


def test_text_of_any_language_stays_on_its_line(log: Log) -> None:
    log.add(A)
    place = listener(log)
    place.queue.put(log.events[0] | {"data": {"message": "one\ntwo\rthree\u2028four\x85five"}})
    (said,) = [
        block
        for block in itertools.islice(told(lines_of(place, [], 0, log.read)), 3)
        if block.name == "job.progress"
    ]
    assert said.body["data"]["message"] == "one\ntwo\rthree\u2028four\x85five"


def test_a_refusal_in_the_middle_is_said_and_the_place_is_given_up(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[Listener] = []

    class Left:
        def leave(self, listener: Listener) -> None:
            left.append(listener)

    monkeypatch.setattr(events, "hub", lambda: Left())
    place = listener(log, begins_after=3)
    log.fault = Unavailable("gone")
    (text,) = [
        block for block in events._closing(lines_of(place, None, 1, log.read), place) if b"error" in block
    ]
    assert json.loads(text.decode().split("data: ")[1])["code"] == "database_unavailable"
    assert left == [place]
    assert issubclass(Unavailable, Refused)


@pytest.mark.parametrize(
    ("text", "now_s", "expected"),
    [(None, 0, None), ("", 0, None), ("17-1000", 1000.0, 17), ("17-1000", 1000.0 + events.REACH_S, None)],
)
def test_an_id_is_resumed_within_a_day_s_reach(text: str | None, now_s: float, expected: int | None) -> None:
    assert events._resumed_at(text, now_s) == expected


@pytest.mark.parametrize("text", ["x", "17", "17-", "-1-1000", "17-1000-", "9" * 19 + "-1"])
def test_an_id_of_another_kind_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="Last-Event-ID"):
        events._resumed_at(text, 0)
