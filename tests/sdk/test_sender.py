"""The sender, step by step: the clock, the jitter and the server are arguments, so nothing here waits."""

from collections.abc import Callable
from typing import Any

import pytest
from contract import Contract

from milepost import models
from milepost._lane import Lane
from milepost._sender import CONTACT_S, Sender
from milepost.errors import ApiError, InvalidRequest, NotAllowed, TransportError, Unavailable


class Client:
    """Calls the contract directly.

    `next` is raised instead of the next answer, after it was committed if `late`.
    """

    def __init__(self) -> None:
        self.contract = Contract()
        self.contract.next_checkpoint_ms = 1000
        self.sent: list[list[dict[str, Any]]] = []
        self.next: Exception | None = None
        self.late = False

    def _call(self, path: str, body: Any) -> Any:
        problem, self.next = self.next, None
        if problem is not None and not self.late:
            raise problem
        _, answer = self.contract.answer(path, body)
        if problem is not None:
            raise problem
        return answer

    def create_job(self, fields: Any) -> models.Job:
        return models.Job.model_validate(self._call("/v1/jobs", fields))

    def checkpoints(self, entries: Any) -> models.CheckpointsAnswer:
        self.sent.append(entries)
        return models.CheckpointsAnswer.model_validate(self._call("/v1/checkpoints", entries))

    def close(self) -> None:
        pass


class Bench:
    """A sender with one lane, a clock that is turned by hand, and no thread."""

    def __init__(self, greeting: bool = True) -> None:
        self.now = 1000.0
        self.client = Client()
        connect: Callable[[], Any] = lambda: self.client  # noqa: E731
        self.sender = Sender(connect, clock=lambda: self.now, wall_clock=lambda: 5.0, jitter=lambda: 0.5)
        self.lane = Lane("import", "main", greeting={"job": "import"} if greeting else None)
        self.lane.begun = True
        self.sender.add(self.lane)

    def step(self, after_s: float = 0.0) -> float | None:
        self.now += after_s
        return self.sender.step()

    def job(self) -> Any:
        return self.client.contract.jobs["import"]


@pytest.fixture
def bench(fresh_process: None) -> Bench:
    return Bench()


def test_what_was_said_between_two_sends_is_one_checkpoint(bench: Bench) -> None:
    bench.step()
    for _ in range(50):
        bench.lane.add(None, (1, 0, 0, 0, 2))
    bench.step(1)
    assert len(bench.client.sent) == 2
    assert bench.client.sent[1] == [
        {
            "job": "import",
            "worker": "main",
            "seq": 1,
            "attempt": 1,
            "items_completed": 50,
            "items_failed": 0,
            "items_skipped": 0,
            "items_canceled": 0,
            "bytes_processed": 100,
        }
    ]


def test_only_news_is_sent(bench: Bench) -> None:
    bench.step()
    bench.lane.add(None, (1, 0, 0, 0, 0), message="one")
    bench.step(1)
    bench.lane.add(None, (1, 0, 0, 0, 0))
    bench.step(1)
    said = {"job": "import", "worker": "main", "attempt": 1, "seq": 2, "items_completed": 2}
    assert bench.client.sent[2] == [said]


def test_the_interval_is_the_servers(bench: Bench) -> None:
    bench.client.contract.next_checkpoint_ms = 3000
    bench.step()
    bench.lane.add(None, (1, 0, 0, 0, 0))
    assert bench.step(2.9) == pytest.approx(0.1)
    assert len(bench.client.sent) == 1
    bench.step(0.2)
    assert len(bench.client.sent) == 2


def test_a_new_state_does_not_wait_for_the_interval(bench: Bench) -> None:
    bench.step()
    bench.lane.say(state="paused")
    bench.step()
    assert bench.client.sent[1][0]["state"] == "paused"


def test_a_silent_loop_is_in_contact_without_saying_anything(bench: Bench) -> None:
    bench.step()
    bench.step(CONTACT_S - 1)
    assert len(bench.client.sent) == 1
    bench.step(1)
    assert bench.client.sent[1] == [{"job": "import", "worker": "main", "seq": 1, "attempt": 1}]


def test_a_held_loop_asks_at_every_interval(bench: Bench) -> None:
    bench.step()
    bench.lane.told("pause")
    bench.step(1)
    assert len(bench.client.sent) == 2


def test_a_lost_answer_is_asked_for_again_as_it_was_and_counts_once(bench: Bench) -> None:
    bench.step()
    bench.lane.add(None, (3, 0, 0, 0, 0))
    bench.client.next, bench.client.late = TransportError(), True
    bench.step(1)
    bench.lane.add(None, (4, 0, 0, 0, 0))
    bench.step(60)
    first, again, newer = bench.client.sent[1:]
    assert first == again
    assert (newer[0]["seq"], newer[0]["items_completed"]) == (2, 7)
    assert bench.job().total("items_completed") == 7


@pytest.mark.parametrize("error", [TransportError(), Unavailable(status=503)])
def test_waits_between_tries_grow_up_to_a_minute(bench: Bench, error: Exception) -> None:
    waits: list[float] = []
    for _ in range(10):
        bench.client.next = error
        waits.append(bench.step(waits[-1] if waits else 0.0) or 0.0)
    assert waits == [0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert bench.sender.failing_for_s() > 0
    bench.step(60)
    assert bench.sender.failing_for_s() == 0
    bench.client.next = error
    assert bench.step(CONTACT_S) == 0.5


def test_retry_after_is_heeded(bench: Bench) -> None:
    error = Unavailable(status=429)
    error.retry_after_s = 120.0
    bench.client.next = error
    assert bench.step() == 120.0
    assert bench.step(119) == 1.0
    assert bench.client.sent == []
    bench.step(1)
    assert len(bench.client.sent) == 1


def test_an_outage_is_said_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        bench.client.next = TransportError("Connection refused.")
        bench.step(100)
    assert len(caplog.records) == 1
    assert "The work goes on; its counts are kept and sent later." in caplog.text


def test_a_refused_key_ends_the_reporting(bench: Bench) -> None:
    bench.step()
    bench.lane.add(None, (1, 0, 0, 0, 0))
    bench.client.next = NotAllowed("This key is revoked.", status=401)
    assert bench.step(1) is None
    assert bench.lane.detached
    assert bench.sender.lanes() == []


def test_a_refused_request_is_dropped_and_its_counts_are_said_again(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.step()
    bench.lane.add(None, (1, 0, 0, 0, 0))
    bench.client.next = InvalidRequest("Too large.", code="too_large", status=413)
    bench.step(1)
    assert bench.lane.dropped == 1
    assert "Too large." in caplog.text
    bench.step(1)
    assert bench.job().total("items_completed") == 1


def test_a_fault_of_ours_loses_a_request_and_not_the_counts(bench: Bench) -> None:
    bench.step()
    bench.lane.add(None, (1, 0, 0, 0, 0))
    bench.client.next = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        bench.step(1)
    bench.sender._drop_waiting()
    bench.step(1)
    assert bench.job().total("items_completed") == 1


def test_a_refused_entry_is_counted_and_said_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.step()
    for _ in range(2):
        bench.lane.say(items_total=-1)
        bench.step(1)
    assert bench.lane.dropped == 1
    assert caplog.text.count("items_total: expected at least 0") == 1
    bench.lane.add(None, (1, 0, 0, 0, 0))
    bench.step(1)
    assert bench.job().total("items_completed") == 1


def test_an_older_attempt_is_stopped_and_forgotten(bench: Bench) -> None:
    bench.step()
    bench.job().begin_attempt()
    bench.lane.add(None, (1, 0, 0, 0, 0))
    bench.step(1)
    assert (bench.lane.directive, bench.lane.attention) == ("stop", True)
    assert bench.sender.lanes() == []


@pytest.mark.parametrize("newer_first", [True, False])
def test_two_attempts_in_one_process_are_told_apart(bench: Bench, newer_first: bool) -> None:
    bench.step()
    bench.job().begin_attempt()
    newer = Lane("import", "main", greeting={"job": "import"})
    bench.sender.add(newer)
    if newer_first:
        bench.sender._lanes = dict(reversed(bench.sender._lanes.items()))
    bench.lane.add(None, (5, 0, 0, 0, 0))
    bench.step(1)
    assert (bench.lane.directive, newer.directive) == ("stop", "continue")
    assert bench.job().total("items_completed") == 0


def test_after_a_fork_only_what_the_child_does_counts(bench: Bench) -> None:
    bench.lane.n = 5
    bench.lane.add(None, (3, 0, 0, 0, 0))
    bench.lane.continue_in_child()
    bench.lane.n = 7
    bench.lane.add(None, (1, 0, 0, 0, 0))
    (entry,) = bench.lane.take(0.0, 0)
    assert (entry["items_completed"], entry["state"]) == (3, "completed")
    assert entry["worker"].startswith("main/")


def test_a_server_that_does_not_know_how_to_create_jobs_is_not_bothered_again(bench: Bench) -> None:
    bench.client.next = ApiError("Not found.", status=404)
    bench.step()
    bench.step(100)
    assert bench.client.sent == []
    assert bench.lane.detached


def test_the_seq_of_a_lane_goes_on_where_an_earlier_process_ended(bench: Bench) -> None:
    bench.step()
    bench.step(CONTACT_S)
    again = Lane("import", "main", greeting={"job": "import"})
    bench.sender.add(again)
    bench.sender._forget(bench.lane)
    bench.step()
    assert [entry["seq"] for (entry,) in bench.client.sent] == [0, 1, 2]


def test_many_lanes_go_in_requests_that_the_server_takes(bench: Bench) -> None:
    for number in range(2_000):
        bench.sender.add(Lane("import", f"w{number}"))
    bench.step()
    assert sum(len(body) for body in bench.client.sent) == 2_001
    assert max(len(body) for body in bench.client.sent) <= 1_000


def test_many_items_go_in_several_requests_within_one_step(bench: Bench) -> None:
    for number in range(2_500):
        bench.lane.put_item(None, str(number), "completed", f'{{"key":"{number}","state":"completed"}}')
    bench.step()
    assert len(bench.job().items) == 2_500
    assert [len(body[-1]["items"]) for body in bench.client.sent] == [1000, 1000, 500]


def test_a_lane_that_has_ended_is_delivered_and_forgotten(bench: Bench) -> None:
    bench.lane.add(None, (2, 0, 0, 0, 0))
    bench.lane.end("completed")
    assert bench.step() is None
    assert bench.sender.lanes() == []
    assert bench.job().state == "completed"


def test_a_batch_is_suggested_from_the_rhythm_without_the_pauses(bench: Bench) -> None:
    bench.step()
    assert bench.lane.suggested_batch is None
    for _ in range(5):
        bench.lane.add(None, (300, 0, 0, 0, 0))
        bench.step(1)
    assert bench.lane.suggested_batch == 300
    bench.lane.told("pause")
    bench.step(3600)
    assert bench.lane.suggested_batch == 300
