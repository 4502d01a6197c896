"""The spool: what a process could not send is sent by the next one, once and exactly.

A process is a sender without a thread here, and dies by letting go of its lock; the real deaths are in
tests/faults.
"""

import json
import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from contract import Contract, Server
from dev_process import eventually
from hypothesis import given, settings
from hypothesis import strategies as st
from test_sender import Client

import milepost
from milepost import _job, _sender, _spool, models
from milepost._backlog import Backlog
from milepost._lane import Lane
from milepost._sender import Sender
from milepost.errors import InvalidRequest, TransportError

URL, KEY = "http://milepost.invalid", "mp_worker_secret"


class OneServer(Client):
    """Calls a contract that outlives its callers, and that may be away."""

    def __init__(self, contract: Contract) -> None:
        super().__init__()
        self.contract = contract

    def _call(self, path: str, body: Any) -> Any:
        if self.contract.away:
            raise TransportError("Away.")
        return super()._call(path, body)

    def jobs(self, **filters: Any) -> models.JobList:
        found = [job.as_json() for job in reversed(self.contract.jobs.values())]
        return models.JobList.model_validate({"jobs": found, "next": None})


class Process:
    """One life: a sender that has a spool, and a lane."""

    def __init__(self, contract: Contract, spool: Path, worker: str = "main", job: str = "import") -> None:
        self.contract, self.now = contract, 1000.0
        self.client = OneServer(contract)
        connect: Callable[[], Any] = lambda: self.client  # noqa: E731
        self.sender = Sender(
            connect, lambda: Backlog(str(spool), URL, KEY), clock=lambda: self.now, wall_clock=lambda: 5.0
        )
        self.lane = Lane(job, worker, greeting={"job": job})
        self.sender.add(self.lane)
        self.step()
        self.lane.begun = True

    def step(self, after_s: float = 1.0) -> float | None:
        self.now += after_s
        return self.sender.step()

    def settle(self) -> None:
        """Lets it send whatever it has."""
        for _ in range(4):
            self.step(100)

    def do(self, items: int, first: int = 0) -> None:
        """Settles items, names each, and leaves a cursor."""
        for number in range(first, first + items):
            report = json.dumps({"key": str(number), "state": "completed"})
            self.lane.put_item(None, str(number), "completed", report)
            self.lane.add(None, (1, 0, 0, 0, 0), cursor=str(number + 1))

    def die(self) -> None:
        assert self.sender._backlog is not None
        self.sender._backlog.leave()


@pytest.fixture
def contract(fresh_process: None) -> Contract:
    contract = Contract()
    contract.next_checkpoint_ms = 1000
    return contract


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """A folder that is not there yet."""
    return tmp_path / "spool"


def folders(spool: Path) -> list[Path]:
    return sorted(spool.iterdir()) if spool.exists() else []


def completed(contract: Contract, job: str = "import") -> int:
    return contract.jobs[job].total("items_completed")


def test_what_a_dead_process_could_not_send_is_sent_before_its_successor_asks_where_to_go_on(
    contract: Contract, spool: Path
) -> None:
    first = Process(contract, spool)
    first.do(3)
    first.step()
    contract.away = True
    first.do(4, first=3)
    first.step()
    first.do(2, first=7)
    first.step()
    first.die()
    assert completed(contract) == 3

    contract.away = False
    second = Process(contract, spool)
    assert (second.lane.cursor, completed(contract)) == (9, 9)
    second.settle()
    assert set(contract.jobs["import"].items) == {(None, str(number)) for number in range(9)}
    second.do(1, first=9)
    second.settle()
    assert completed(contract) == 10
    assert len(contract.jobs["import"].items) == 10
    assert folders(spool) == []


def test_nothing_is_written_while_the_server_answers(contract: Contract, spool: Path) -> None:
    process = Process(contract, spool)
    process.do(5)
    process.settle()
    assert folders(spool) == []


def test_the_same_process_sends_it_when_the_server_is_back(contract: Contract, spool: Path) -> None:
    process = Process(contract, spool)
    contract.away = True
    process.do(2)
    process.step()
    ticket = process.lane.ask_for_delivery()
    process.do(1, first=2)
    process.step()
    assert folders(spool)
    assert not process.lane.delivered(ticket)
    contract.away = False
    process.settle()
    assert process.lane.delivered(ticket)
    assert (completed(contract), len(contract.jobs["import"].items)) == (3, 3)
    assert folders(spool) == []
    process.lane.end("completed")
    process.settle()
    assert contract.jobs["import"].state == "completed"
    assert process.sender.lanes() == []


def test_a_long_outage_is_one_state_and_not_a_history_of_it(contract: Contract, spool: Path) -> None:
    process = Process(contract, spool)
    contract.away = True
    for _ in range(200):
        process.lane.add(None, (1, 0, 0, 0, 0))
        process.step()
    (folder,) = folders(spool)
    assert (folder / "lanes.json").stat().st_size < 2_000
    process.die()
    contract.away = False
    Process(contract, spool)
    assert completed(contract) == 200
    assert len(contract.jobs["import"].entries) < 5


def test_a_torn_last_record_costs_that_record_and_is_told(
    contract: Contract, spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = Process(contract, spool)
    contract.away = True
    first.do(1)
    first.step()
    first.do(1, first=1)
    first.step()
    first.die()
    (folder,) = folders(spool)
    lines = (folder / "items.jsonl").read_bytes()
    (folder / "items.jsonl").write_bytes(lines[:-9])
    contract.away = False
    Process(contract, spool).settle()
    assert completed(contract) == 2
    assert set(contract.jobs["import"].items) == {(None, "0")}
    assert "dropped 1 lines of the spool's" in caplog.text
    assert folders(spool) == []


@pytest.mark.parametrize("lanes", [b"", b"[{", b'{"a": 1}', b'[{"number": 0}]'])
def test_a_spool_that_cannot_be_read_is_told_and_holds_nobody_up(
    contract: Contract, spool: Path, caplog: pytest.LogCaptureFixture, lanes: bytes
) -> None:
    first = Process(contract, spool)
    contract.away = True
    first.do(1)
    first.step()
    first.die()
    (folder,) = folders(spool)
    (folder / "lanes.json").write_bytes(lanes)
    contract.away = False
    second = Process(contract, spool)
    second.do(5)
    second.settle()
    assert completed(contract) == 5
    assert "dropped 2 lines" in caplog.text
    assert folders(spool) == []


def test_what_an_older_attempt_left_changes_nothing_and_is_told(
    contract: Contract, spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = Process(contract, spool)
    first.step()
    contract.away = True
    first.do(5)
    first.step()
    first.die()
    contract.away = False
    contract.jobs["import"].begin_attempt()
    second = Process(contract, spool)
    second.do(1)
    second.settle()
    assert second.lane.directive == "continue"
    assert (completed(contract), set(contract.jobs["import"].items)) == (1, {(None, "0")})
    assert all(entry["attempt"] == 2 for entry in contract.jobs["import"].entries[1:])
    assert (
        "dropped 6 reports on 'import' (worker main, attempt 1) from the spool: "
        "a newer attempt has taken over" in caplog.text
    )
    assert folders(spool) == []


def test_a_running_loop_whose_spool_is_of_an_older_attempt_is_stopped(
    contract: Contract, spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    process = Process(contract, spool)
    process.step()
    contract.away = True
    process.do(3)
    process.step()
    contract.away = False
    contract.jobs["import"].begin_attempt()
    process.settle()
    assert (process.lane.directive, process.sender.lanes()) == ("stop", [])
    assert completed(contract) == 0
    assert "a newer attempt has taken over" in caplog.text
    assert folders(spool) == []


def test_a_run_that_the_server_never_heard_of_is_made_known_by_the_next_start(
    contract: Contract, spool: Path
) -> None:
    contract.away = True
    first = Process(contract, spool)
    first.do(4)
    first.lane.end("completed")
    first.step()
    first.die()
    contract.away = False
    other = Process(contract, spool, job="another")
    other.settle()
    assert (completed(contract), contract.jobs["import"].state) == (4, "completed")
    assert len(contract.jobs["import"].items) == 4


def test_a_run_that_nobody_heard_of_is_dropped_where_others_have_worked_since(
    contract: Contract, spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    contract.away = True
    first = Process(contract, spool)
    first.do(4)
    first.lane.add(None, (0, 9, 0, 0, 0))
    first.step()
    first.die()
    contract.away = False
    contract.create({"job": "import"})
    contract.checkpoints([{"job": "import", "worker": "main", "seq": 1, "items_completed": 1}])
    Process(contract, spool).settle()
    assert completed(contract) == 1
    assert contract.jobs["import"].total("items_failed") == 0
    assert "others have worked on this job since" in caplog.text
    assert folders(spool) == []


def test_a_job_that_the_server_learns_of_late_keeps_what_was_said_before(
    contract: Contract, spool: Path
) -> None:
    """Its lane was used by an earlier process, so that what was said first has to come after that."""
    contract.create({"job": "import"})
    contract.checkpoints([{"job": "import", "worker": "main", "seq": 7, "items_completed": 1, "cursor": 1}])
    contract.away = True
    process = Process(contract, spool)
    process.do(3)
    process.step()
    contract.away = False
    process.settle()
    assert (completed(contract), len(contract.jobs["import"].items)) == (3, 3)
    assert min(entry["seq"] for entry in contract.jobs["import"].entries[1:]) == 8
    assert folders(spool) == []


def test_two_processes_leave_each_others_alone(contract: Contract, spool: Path) -> None:
    first, second = Process(contract, spool, "a"), Process(contract, spool, "b")
    contract.away = True
    for process in (first, second):
        process.do(2)
        process.step()
    assert len(folders(spool)) == 2
    contract.away = False
    third = Process(contract, spool, "c")
    third.settle()
    assert completed(contract) == 0
    first.die()
    Process(contract, spool, "d").settle()
    assert completed(contract) == 2
    second.settle()
    assert completed(contract) == 4
    assert folders(spool) == []


def test_what_one_key_could_not_say_is_not_said_with_another(
    contract: Contract, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Process(contract, spool)
    contract.away = True
    first.do(2)
    first.step()
    first.die()
    contract.away = False
    monkeypatch.setattr("test_spool.KEY", "mp_of_another_tenant")
    Process(contract, spool, job="theirs").settle()
    assert completed(contract) == 0
    (folder,) = folders(spool)
    assert "secret" not in folder.name + "".join(file.read_text() for file in folder.iterdir())


def test_a_full_spool_keeps_counts_and_leaves_items_in_memory(
    contract: Contract, spool: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_spool, "MAX_BYTES", 20_000)
    monkeypatch.setattr(_spool, "_RESERVED_BYTES", 10_000)
    process = Process(contract, spool)
    contract.away = True
    for number in range(100):
        process.do(10, first=10 * number)
        process.step()
    assert sum(file.stat().st_size for file in spool.glob("*/*")) <= 20_000
    assert caplog.text.count("the spool is full") == 1
    contract.away = False
    process.settle()
    assert (completed(contract), len(contract.jobs["import"].items)) == (1000, 1000)
    assert process.lane.dropped == 0
    assert folders(spool) == []


def test_what_did_not_fit_into_the_spool_of_a_dead_process_is_counted_by_the_next(
    contract: Contract, spool: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_spool, "MAX_BYTES", 20_000)
    monkeypatch.setattr(_spool, "_RESERVED_BYTES", 10_000)
    process = Process(contract, spool)
    contract.away = True
    for number in range(100):
        process.do(10, first=10 * number)
        process.step()
    process.die()
    contract.away = False
    Process(contract, spool).settle()
    found = len(contract.jobs["import"].items)
    assert 0 < found < 1000
    assert completed(contract) == 1000
    assert f"{1000 - found} reports on items of 'import' did not fit into the spool" in caplog.text


def test_a_process_that_dies_while_it_writes_leaves_no_cursor_without_the_items_before_it(
    contract: Contract, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Process(contract, spool)
    contract.away = True
    first.do(1)
    first.step()
    whole = _spool.Folder.write_lanes

    def die(folder: _spool.Folder) -> None:
        raise OSError("it died here")

    monkeypatch.setattr(_spool.Folder, "write_lanes", die)
    first.do(2, first=1)
    first.step()
    first.die()
    monkeypatch.setattr(_spool.Folder, "write_lanes", whole)
    contract.away = False
    second = Process(contract, spool)
    second.settle()
    assert second.lane.cursor == 1
    assert len(contract.jobs["import"].items) == 3


def test_a_spool_that_cannot_be_made_is_said_once_and_changes_nothing_else(
    contract: Contract, spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool.write_text("a file")
    process = Process(contract, spool)
    contract.away = True
    for number in range(3):
        process.do(1, first=number)
        process.step()
    contract.away = False
    process.settle()
    assert (completed(contract), len(contract.jobs["import"].items)) == (3, 3)
    assert caplog.text.count("cannot be used") == 1


def test_a_batch_that_is_refused_as_a_whole_is_not_sent_again(
    contract: Contract, spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    process = Process(contract, spool)
    contract.away = True
    process.do(2)
    process.step()
    contract.away = False
    process.client.next = InvalidRequest("Too large.", code="too_large", status=413)
    process.settle()
    assert "Too large." in caplog.text
    assert process.lane.dropped == 1
    assert completed(contract) == 2
    assert folders(spool) == []


def test_what_cannot_be_delivered_at_the_end_is_said_to_be_in_the_spool(
    server: Server, spool: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MILEPOST_SPOOL", str(spool))
    server.contract.away = True
    with milepost.job("import") as job:
        job.advance(3)
        job.item("a", "completed")
    for sender in _sender._senders.values():
        sender.close()
        assert sender._backlog is not None
        sender._backlog.leave()
    assert "It is in the spool, from where the next start sends it." in caplog.text
    _sender._senders.clear()
    server.contract.away = False
    with milepost.job("another") as other:
        assert other.flush()
    server.wait_for(lambda: "import" in server.contract.jobs and server.job("import").items)
    assert (completed(server.contract), server.job("import").state) == (3, "completed")


def test_a_spool_is_an_argument_or_a_variable_and_goes_along_to_other_processes(
    server: Server, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named, unnamed = milepost.job("a", spool=spool), milepost.job("b")
    assert (named._address[2], unnamed._address[2]) == (str(spool), None)
    assert pickle.loads(pickle.dumps(named))._address[2] == str(spool)  # noqa: S301 - its own pickle
    monkeypatch.setenv("MILEPOST_SPOOL", str(spool / "other"))
    assert _job.job("c")._address[2] == str(spool / "other")


def test_the_snippet_of_the_guide_has_a_spool(server: Server, spool: Path) -> None:
    guide = (Path(__file__).parents[2] / "docs/faults.md").read_text()
    (snippet,) = re.findall(r"^```python\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    server.contract.away = True
    exec(snippet.replace("/var/lib/import", str(spool)), {"milepost": milepost})  # noqa: S102 - our own guide
    eventually(lambda: list(spool.glob("*/lanes.json")), "it is written down")


def test_a_forked_child_leaves_its_parents_spool_to_the_parent(server: Server, spool: Path) -> None:
    server.contract.next_checkpoint_ms = 10
    with milepost.job("import", spool=spool) as job:
        job.flush()
        server.contract.away = True
        job.advance(5)
        assert not job.flush(0.2)
        child = os.fork()
        if child == 0:
            job.advance(2)
            while len(list(spool.glob("*/lanes.json"))) < 2:
                job.flush(0.1)
            os._exit(0)
        os.waitpid(child, 0)
        server.contract.away = False
        assert job.flush(20)
        assert completed(server.contract) == 5
    # What the child left is its successor's.
    _sender._senders.clear()
    with milepost.job("another", spool=spool) as other:
        other.flush()
    server.wait_for(lambda: completed(server.contract) == 7)


def test_a_forked_child_does_not_hold_on_to_its_parents_spool(contract: Contract, spool: Path) -> None:
    process = Process(contract, spool)
    contract.away = True
    process.do(1)
    process.step()
    (its_turn, parents_turn), (go_on, wait) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        process.sender.continue_in_child()
        os.write(parents_turn, b".")
        os.close(wait)
        os.read(go_on, 1)
        os._exit(0)
    os.read(its_turn, 1)
    process.die()
    assert len(list(_spool.Folder.inherited(spool, _spool.owner(URL, KEY)))) == 1
    for end in (wait, go_on, its_turn, parents_turn):
        os.close(end)
    os.waitpid(child, 0)


counts = st.tuples(*[st.integers(0, 5)] * 5)
steps = st.lists(
    st.tuples(st.just("add"), st.sampled_from([None, "scan"]), counts, st.booleans())
    | st.tuples(st.just("item"), st.sampled_from("abc"), st.sampled_from(["processing", "failed"]))
    | st.tuples(st.just("send"), st.sampled_from(["arrives", "fails", "loses its answer"])),
    max_size=30,
)


@settings(max_examples=200, deadline=None)
@given(said=steps)
def test_whatever_was_said_until_a_failed_send_is_there_after_the_next_start(
    said: list[Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    contract, spool = Contract(), tmp_path_factory.mktemp("spool")
    contract.next_checkpoint_ms = 1000
    process = Process(contract, spool)
    done: dict[str | None, list[int]] = {}
    items: dict[str, str] = {}
    cursor: tuple[int, list[int]] | None = None
    for number, (what, *facts) in enumerate(said):
        if what == "add":
            stage, added, with_cursor = facts
            if stage is not None:
                process.lane.say(stage)
            done[stage] = [a + b for a, b in zip(done.get(stage, [0] * 5), added, strict=True)]
            cursor = (number, done.get(None, [0] * 5)) if with_cursor else cursor
            process.lane.add(stage, added, cursor=str(number) if with_cursor else None)
        elif what == "item":
            key, state = facts
            items[key] = state
            process.lane.put_item(None, key, state, json.dumps({"key": key, "state": state}))
        else:
            process.client.next = None if facts[0] == "arrives" else TransportError()
            process.client.late = facts[0] == "loses its answer"
            process.step(100)
    contract.away = True
    process.client.next = None
    process.lane.ask_for_delivery()
    process.step(100)
    process.die()
    contract.away = False
    Process(contract, spool, "another").settle()
    fields = ("items_completed", "items_failed", "items_skipped", "items_canceled", "bytes_processed")
    lane = contract.jobs["import"].lanes["main"]
    assert [lane.values[field] for field in fields] == done.get(None, [0] * 5)
    if "scan" in done:
        assert [lane.stages["scan"].values[field] for field in fields] == done["scan"]
    assert {key: item["state"] for (_, key), item in contract.jobs["import"].items.items()} == items
    if cursor is not None:
        assert (lane.cursor, [lane.at_cursor[field] for field in fields]) == cursor
    assert folders(spool) == []
