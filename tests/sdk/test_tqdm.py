"""milepost.tqdm: the bar as tqdm draws it, and a job beside it."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from io import StringIO
from typing import Any

import pytest
import tqdm as plain
from contract import Server

import milepost
from milepost import _sender
from milepost.tqdm import tqdm, trange

# Drawn at once, so that nothing depends on time.
AT_ONCE: Any = {"mininterval": 0, "miniters": 1}


@pytest.fixture(autouse=True)
def no_monitor() -> None:
    # tqdm's thread would outlive the test.
    plain.tqdm.monitor_interval = 0


def deliver(server: Server) -> None:
    """Has everything that was said so far arrive."""
    for sender in _sender._senders.values():
        assert sender.deliver(sender.lanes(), 20.0)


def test_a_loop_is_drawn_as_by_tqdm_and_tracked(server: Server) -> None:
    ours, theirs = StringIO(), StringIO()
    options: Any = {
        "desc": "load",
        "unit": "rows",
        "bar_format": "{desc}|{bar:10}|{n_fmt}/{total_fmt}",
        **AT_ONCE,
    }
    assert list(tqdm(["a", "b", "c"], file=ours, **options)) == ["a", "b", "c"]
    assert list(plain.tqdm(["a", "b", "c"], file=theirs, **options)) == ["a", "b", "c"]
    assert ours.getvalue() == theirs.getvalue()
    said = server.job("load")
    assert (said.state, said.total("items_completed")) == ("completed", 3)
    assert (said.fields["kind"], said.fields["max_attempts"]) == ("load", 1)
    values = said.lanes["main"].values
    assert (values["items_total"], values["unit"], values["message"]) == (3, "rows", "load")


def test_trange_counts_and_the_job_can_be_named(server: Server) -> None:
    assert list(trange(2, 8, 2, desc="x", job="evens", kind="numbers", file=StringIO())) == [2, 4, 6]
    assert server.job("evens").total("items_completed") == 3
    assert server.job("evens").fields["kind"] == "numbers"


def test_without_a_description_the_job_is_called_as_the_script(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/srv/nightly.py", "--all"])
    list(trange(1, file=StringIO()))
    assert server.job("nightly").state == "completed"


def test_updates_by_hand_descriptions_postfixes_and_totals_are_told(server: Server) -> None:
    with tqdm(total=10, job="load", file=StringIO(), **AT_ONCE) as bar:
        bar.update(4)
        bar.set_description("part 2")
        bar.set_postfix(loss=0.5)
        deliver(server)
        values = server.job("load").lanes["main"].values
        assert (values["items_completed"], values["items_total"], values["message"]) == (
            4,
            10,
            "part 2, loss=0.5",
        )
        bar.total = 12
        bar.refresh()
        bar.update(8)
    assert server.job("load").state == "completed"
    assert server.job("load").total("items_completed") == values["items_total"] == 12


def test_what_was_done_before_counts_as_skipped(server: Server) -> None:
    with tqdm(total=10, initial=6, job="load", file=StringIO(), **AT_ONCE) as bar:
        bar.update(4)
    said = server.job("load")
    assert [said.total(field) for field in ("items_completed", "items_skipped")] == [4, 6]


def test_a_bar_that_is_reset_counts_on_and_one_that_is_set_back_does_not_fall(server: Server) -> None:
    with tqdm(total=3, job="load", file=StringIO(), **AT_ONCE) as bar:
        bar.update(3)
        bar.reset(total=5)
        bar.update(4)
        bar.n = 1
        bar.refresh()
    said = server.job("load")
    assert (said.total("items_completed"), said.lanes["main"].values["items_total"]) == (7, 8)


def test_a_bar_within_another_is_a_stage_that_counts_on(server: Server) -> None:
    for epoch in trange(2, desc="train", file=StringIO(), **AT_ONCE):
        for _ in trange(5, desc=f"epoch {epoch}", leave=False, file=StringIO(), **AT_ONCE):
            pass
    said = server.job("train")
    assert (said.state, said.total("items_completed")) == ("completed", 2)
    stage = said.lanes["main"].stages["epoch"].values
    assert (stage["items_completed"], stage["items_total"], stage["state"]) == (10, 10, "completed")
    assert list(server.contract.jobs) == ["train"]


def test_bars_one_after_the_other_and_in_other_threads_are_jobs_of_their_own(server: Server) -> None:
    def work() -> None:
        list(trange(2, desc="other", file=StringIO()))

    for _ in trange(1, desc="first", file=StringIO()):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    list(trange(3, desc="second", file=StringIO()))
    assert {key: job.total("items_completed") for key, job in server.contract.jobs.items()} == {
        "first": 1, "other": 2, "second": 3,
    }  # fmt: skip


def broken() -> Iterator[int]:
    yield 1
    raise ValueError("row 7 has no date")


def by_iterable() -> None:
    list(tqdm(broken(), job="load", total=9, file=StringIO()))


def by_body() -> None:
    with tqdm(total=9, job="load", file=StringIO()) as bar:
        bar.update()
        raise ValueError("row 7 has no date")


def by_finally() -> None:
    bar = tqdm(total=9, job="load", file=StringIO())
    try:
        raise ValueError("row 7 has no date")
    finally:
        bar.close()


@pytest.mark.parametrize("way", [by_iterable, by_body, by_finally])
def test_an_exception_fails_the_job_and_propagates(server: Server, way: Any) -> None:
    with pytest.raises(ValueError, match="row 7"):
        way()
    assert (server.job("load").state, server.job("load").reason) == (
        "failed",
        "ValueError: row 7 has no date",
    )


def test_a_loop_that_is_left_early_fails_the_job(server: Server) -> None:
    for n in trange(10, job="load", file=StringIO()):
        if n == 4:
            break
    assert server.job("load").state == "failed"
    assert "The loop was left" in (server.job("load").reason or "")


def test_a_bar_that_is_dropped_before_its_end_fails_the_job_and_one_that_is_closed_does_not(
    server: Server,
) -> None:
    bar = tqdm(total=10, job="dropped", file=StringIO(), **AT_ONCE)
    bar.update(3)
    del bar
    assert (server.job("dropped").state, server.job("dropped").reason) == (
        "failed",
        "The bar was left at 3 of 10.",
    )
    bar = tqdm(total=10, job="closed", file=StringIO(), **AT_ONCE)
    bar.update(3)
    bar.close()
    bar.close()
    assert (server.job("closed").state, server.job("closed").total("items_completed")) == ("completed", 3)


def test_a_bar_within_an_except_block_is_not_failed_by_what_is_handled(server: Server) -> None:
    try:
        raise KeyError("handled")
    except KeyError:
        list(trange(2, job="load", file=StringIO()))
    assert server.job("load").state == "completed"


def test_a_cancel_ends_the_loop(server: Server) -> None:
    with pytest.raises(milepost.JobCanceled):
        for _ in trange(1_000, job="load", file=StringIO(), **AT_ONCE):
            deliver(server)
            server.job("load").directive = "cancel"
    assert server.job("load").state == "canceled"


def test_a_paused_job_waits(server: Server) -> None:
    with tqdm(total=2, job="load", file=StringIO(), **AT_ONCE) as bar:
        bar.update()
        deliver(server)
        server.job("load").directive = "pause"
        deliver(server)
        done = threading.Event()

        def update() -> None:
            bar.update()
            done.set()

        thread = threading.Thread(target=update)
        thread.start()
        server.wait_for(lambda: server.job("load").state == "paused")
        assert not done.is_set()
        server.job("load").directive = "continue"
        assert done.wait(20)
        thread.join()
    assert server.job("load").state == "completed"


def test_an_asynchronous_loop_is_tracked(server: Server) -> None:
    async def things() -> AsyncIterator[int]:
        yield 1
        yield 2

    async def loop(iterable: Any, job: str) -> None:
        async for _ in tqdm(iterable, job=job, file=StringIO()):
            pass

    asyncio.run(loop(things(), "async"))
    asyncio.run(loop(range(3), "sync"))
    assert (server.job("async").state, server.job("async").total("items_completed")) == ("completed", 2)
    assert (server.job("sync").state, server.job("sync").total("items_completed")) == ("completed", 3)


def test_a_disabled_bar_tracks_nothing_and_one_without_a_terminal_tracks_unseen(server: Server) -> None:
    shown = StringIO()
    assert list(trange(3, job="silent", disable=True, file=shown)) == [0, 1, 2]
    assert "silent" not in server.contract.jobs
    assert list(trange(3, job="unseen", disable=None, file=shown)) == [0, 1, 2]
    assert server.job("unseen").total("items_completed") == 3
    assert shown.getvalue() == ""


def test_an_unknown_argument_is_refused_as_by_tqdm(server: Server) -> None:
    with pytest.raises(plain.TqdmKeyError):
        tqdm([], nonsense=1, file=StringIO())
    assert server.contract.jobs == {}


@pytest.mark.parametrize(
    ("script", "state", "reason"),
    [
        (
            "for n in trange(9, job='load'):\n  if n == 2: raise ValueError('no date')",
            "failed",
            "The loop was left",
        ),
        (
            "bar = tqdm(total=9, job='load'); bar.update(2); raise ValueError('no date')",
            "failed",
            "ValueError: no date",
        ),
        ("bar = tqdm(total=2, job='load'); bar.update(2)", "completed", ""),
    ],
)
def test_what_is_open_when_the_process_ends_is_ended(
    server: Server, script: str, state: str, reason: str
) -> None:
    patience = "from milepost import _sender; _sender.EXIT_WAIT_S = 60.0"
    script = f"{patience}\nfrom milepost.tqdm import tqdm, trange\n{script}"
    subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60)
    said = server.job("load")
    assert (said.state, (said.reason or "")[: len(reason)]) == (state, reason)
    assert said.total("items_completed") == 2
