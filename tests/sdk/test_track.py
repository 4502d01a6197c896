"""milepost.track(...): tqdm's shape."""

from collections.abc import Iterator

import pytest
from contract import Server

import milepost


def test_it_yields_everything_and_completes(server: Server) -> None:
    assert list(milepost.track(["a", "b", "c"], job="import", unit="rows")) == ["a", "b", "c"]
    said = server.job("import")
    assert (said.state, said.total("items_completed")) == ("completed", 3)
    assert said.fields == {"job": "import", "kind": "import", "items_total": 3, "unit": "rows"}


def test_an_unknown_total_becomes_known_at_the_end(server: Server) -> None:
    assert sum(milepost.track(iter(range(4)), job="import")) == 6
    assert "items_total" not in server.job("import").fields
    assert server.job("import").lanes["main"].values["items_total"] == 4


def test_a_given_total_stands(server: Server) -> None:
    list(milepost.track(iter("ab"), job="import", total=9))
    assert server.job("import").lanes["main"].values["items_total"] == 9


def test_it_works_on_nothing_at_all(server: Server) -> None:
    assert list(milepost.track([], job="import")) == []
    assert server.job("import").state == "completed"


def test_a_loop_that_is_left_early_fails_and_its_next_run_resumes(server: Server) -> None:
    seen = []
    for row in milepost.track(range(10), job="import", resume=True):
        if row == 4:
            break
        seen.append(row)
    said = server.job("import")
    assert said.state == "failed"
    assert said.reason == "The loop was left after 4 items, by break or by an exception in its body."
    assert said.lanes["main"].cursor == 4

    said.begin_attempt()
    seen.extend(milepost.track(range(10), job="import", resume=True))
    assert seen == list(range(10))
    assert said.total("items_completed") == 10
    assert said.total("items_skipped") == 0


def test_without_resume_it_begins_again_from_zero(server: Server) -> None:
    for row in milepost.track(range(10), job="import", resume=True):
        if row == 4:
            break
    server.job("import").state = "running"
    assert list(milepost.track(range(10), job="import")) == list(range(10))
    assert server.job("import").total("items_completed") == 10


def test_a_position_that_cannot_be_one_is_said_and_ignored(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with milepost.job("import") as job:
        job.advance(cursor={"offset": 3})
    server.job("import").state = "running"
    assert list(milepost.track("abc", job="import", resume=True)) == ["a", "b", "c"]
    assert "expected a position to resume from, found the cursor {'offset': 3}" in caplog.text


def test_an_exception_of_the_iterable_fails_the_job_with_its_text(server: Server) -> None:
    def rows() -> Iterator[int]:
        yield 1
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        list(milepost.track(rows(), job="import"))
    assert (server.job("import").state, server.job("import").reason) == ("failed", "OSError: disk gone")


def test_a_cancel_ends_the_loop(server: Server) -> None:
    seen = []
    with pytest.raises(milepost.JobCanceled):
        for row in milepost.track(iter(lambda: 0, 1), job="import"):
            seen.append(row)
            server.job("import").directive = "cancel"
    assert server.job("import").state == "canceled"
    assert server.job("import").total("items_completed") == len(seen)


def test_it_goes_on_without_a_server(fresh_process: None) -> None:
    assert list(milepost.track("abc", job="import")) == ["a", "b", "c"]
