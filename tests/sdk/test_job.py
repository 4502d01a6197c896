"""with milepost.job(...): against a server over HTTP, through the background thread."""

import logging
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from contract import Job, Server

import milepost


def test_leaving_the_block_normally_completes_the_job(server: Server) -> None:
    with milepost.job("import", items_total=10, unit="rows", kind="csv", worker="w1") as job:
        job.advance(4, bytes=100)
        job.advance(failed=1)
        job.advance(skipped=2, canceled=3)
    said = server.job("import")
    assert said.state == "completed"
    assert [said.total(field) for field in ("items_completed", "items_failed", "items_skipped")] == [4, 1, 2]
    assert said.total("items_canceled") == 3
    assert said.total("bytes_processed") == 100
    assert said.lanes["w1"].values["items_total"] == 10
    assert said.fields == {"job": "import", "items_total": 10, "unit": "rows", "kind": "csv"}


def test_advance_counts_one_completed_item_unless_told_otherwise(server: Server) -> None:
    with milepost.job("import") as job:
        job.advance()
        job.advance(0, bytes=7)
        job.advance(1, failed=1)
        job.advance(failed=0)
    assert server.job("import").total("items_completed") == 2
    assert server.job("import").total("items_failed") == 1


def test_an_exception_fails_the_job_with_its_text_and_propagates(server: Server) -> None:
    with pytest.raises(ValueError, match="row 7"), milepost.job("import"):
        raise ValueError("row 7 has no date")
    assert (server.job("import").state, server.job("import").reason) == (
        "failed",
        "ValueError: row 7 has no date",
    )


def test_it_goes_on_from_the_counts_and_the_cursor_of_the_run_before(server: Server) -> None:
    with pytest.raises(KeyError), milepost.job("import") as job:
        job.advance(5, bytes=50, cursor={"offset": 5})
        job.advance(2)
        raise KeyError("lost")
    server.job("import").begin_attempt()
    with milepost.job("import") as job:
        assert (job.cursor, job.attempt) == ({"offset": 5}, 2)
        job.advance(1)
    assert server.job("import").total("items_completed") == 6
    assert server.job("import").total("bytes_processed") == 50


def test_one_of_several_workers_begins_at_its_own_cursor_and_not_at_anothers(server: Server) -> None:
    with milepost.job("import", worker="shard-0", workers_expected=2) as job:
        job.advance(5, cursor=5)
    with milepost.job("import", worker="shard-1", workers_expected=2) as job:
        assert job.cursor is None


def test_the_cursor_stands_beside_the_counts_it_belongs_to(server: Server) -> None:
    server.contract.next_checkpoint_ms = 60_000
    with milepost.job("import") as job:
        job.flush()
        job.advance(5, cursor=5)
        job.advance(2)
    assert server.job("import").lanes["main"].at_cursor["items_completed"] == 5
    assert server.job("import").total("items_completed") == 7


def test_stages_count_for_themselves(server: Server) -> None:
    with milepost.job("import", stages=["scan", {"name": "hash", "weight": 3}]) as job:
        with job.stage("scan") as scan:
            scan.advance(3, failed=1)
            scan.set_total(4)
        with pytest.raises(RuntimeError), job.stage("hash", items_total=9, weight=3) as stage:
            stage.advance(2, bytes=20)
            raise RuntimeError
    said = server.job("import")
    assert said.stage_total("scan", "items_completed") == 3
    assert said.stage_total("scan", "items_failed") == 1
    stages = said.lanes["main"].stages
    assert (stages["scan"].values["state"], stages["hash"].values["state"]) == ("completed", "failed")
    assert (stages["scan"].values["items_total"], stages["hash"].values["weight"]) == (4, 3)
    # The job has no counts of its own then: they are its stages'.
    assert not [entry for entry in said.entries if "items_completed" in entry]


def test_stages_count_on_after_a_crash_too(server: Server) -> None:
    with milepost.job("import") as job:
        job.stage("hash").advance(4, cursor=4)
    server.job("import").begin_attempt()
    with milepost.job("import") as job:
        job.stage("hash").advance(2)
    assert server.job("import").stage_total("hash", "items_completed") == 6


def test_items_arrive_with_their_last_word(server: Server) -> None:
    server.contract.next_checkpoint_ms = 60_000
    with milepost.job("import") as job:
        job.flush()
        job.item("a.wav", "processing", percent=10)
        job.item("a.wav", "completed", percent=100, duration_ms=3, payload={"gpu": 1})
        job.item("b.wav", "failed", error="no sound\0", stage="denoise")
        job.item("c\n.wav", "completed", payload={"bad": object()})
    items = server.job("import").items
    assert items[None, "a.wav"] == {
        "key": "a.wav",
        "state": "completed",
        "percent": 100,
        "duration_ms": 3,
        "payload": {"gpu": 1},
    }
    assert items["denoise", "b.wav"]["error"] == "no sound\ufffd"
    assert "payload" not in items[None, "c\ufffd.wav"]
    assert job.dropped == 1


def test_an_item_without_a_stage_does_not_fall_into_one_by_chance(server: Server) -> None:
    server.contract.next_checkpoint_ms = 60_000
    with milepost.job("import") as job:
        job.flush()
        job.stage("hash").advance(1)
        job.item("a", "completed")
    assert list(server.job("import").items) == [(None, "a")]


def test_a_paused_loop_waits_says_so_and_goes_on(server: Server) -> None:
    with milepost.job("import") as job:
        server.job("import").directive = "pause"
        job.flush()
        loop = threading.Thread(target=job.advance)
        loop.start()
        server.wait_for(lambda: server.job("import").state == "paused")
        assert loop.is_alive()
        server.job("import").directive = "continue"
        loop.join(20)
        assert not loop.is_alive()
        server.wait_for(lambda: server.job("import").state == "running")
    assert server.job("import").total("items_completed") == 1


def test_a_canceled_loop_hears_of_it_and_acknowledges(server: Server) -> None:
    with pytest.raises(milepost.JobCanceled), milepost.job("import") as job:
        server.job("import").directive = "cancel"
        job.flush()
        job.advance()
    assert server.job("import").state == "canceled"
    assert server.job("import").total("items_completed") == 1


def test_a_loop_that_swallows_the_cancel_is_still_canceled(server: Server) -> None:
    with milepost.job("import") as job:
        server.job("import").directive = "cancel"
        job.flush()
        with pytest.raises(milepost.JobStopped):
            job.advance()
    assert server.job("import").state == "canceled"


def test_a_superseded_loop_stops_and_says_nothing_more(server: Server) -> None:
    with pytest.raises(milepost.JobSuperseded), milepost.job("import") as job:
        server.job("import").attempt = 2
        job.advance()
        job.flush()
        job.advance()
    assert server.job("import").state == "running"
    assert server.job("import").total("items_completed") == 0


def test_a_paused_loop_goes_on_untracked_when_the_key_is_revoked(server: Server) -> None:
    with milepost.job("import") as job:
        server.job("import").directive = "pause"
        job.flush()
        loop = threading.Thread(target=job.advance)
        loop.start()
        server.wait_for(lambda: server.job("import").state == "paused")
        with server.contract.changed:
            server.contract.mishaps.append(
                (401, {}, {"code": "invalid_key", "message": "This key is revoked."})
            )
        loop.join(20)
        assert not loop.is_alive()


def test_without_settings_it_is_silent_but_for_one_warning(
    fresh_process: None, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        with milepost.job("import") as job:
            job.advance(3)
            job.item("a", "completed")
            assert (job.attempt, job.cursor, job.flush()) == (None, None, False)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "Expected MILEPOST_URL and MILEPOST_KEY in the environment" in caplog.text


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://example.org"])
def test_an_address_that_is_none_is_said(
    fresh_process: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, url: str
) -> None:
    monkeypatch.setenv("MILEPOST_URL", url)
    monkeypatch.setenv("MILEPOST_KEY", "mp_test")
    with milepost.job("import") as job:
        job.advance()
    assert f"expected an address that begins with http:// or https://, found '{url}'" in caplog.text


def test_a_refused_key_costs_one_warning_and_nothing_else(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    refusal: tuple[int, dict[str, str], dict[str, str]] = (
        401,
        {},
        {"code": "invalid_key", "message": "No such key.", "hint": "Make one."},
    )
    server.contract.mishaps.extend([refusal, refusal])
    for _ in range(2):
        with milepost.job("import") as job:
            job.advance()
    assert len(caplog.records) == 1
    assert "nothing is tracked. No such key. Make one." in caplog.text


def test_an_absent_server_holds_nobody_up_and_hears_all_of_it_later(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.contract.away = True
    with milepost.job("import", items_total=5, max_attempts=1) as job:
        job.advance(5)
        assert (job.cursor, job.attempt) == (None, None)
    server.contract.away = False
    assert job.flush(20)
    assert server.job("import").state == "completed"
    assert server.job("import").total("items_completed") == 5
    assert server.job("import").fields["max_attempts"] == 1
    assert len(caplog.records) == 1


def test_a_job_that_is_refused_is_not_tracked_and_says_why(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with milepost.job("import", max_attempts=-1) as job:
        job.advance()
    assert server.contract.jobs == {}
    assert "max_attempts: expected at least 1, found the number -1." in caplog.text


@pytest.mark.parametrize(
    "call",
    [
        lambda job: job.advance(-1),
        lambda job: job.advance(failed=-1),
        lambda job: job.advance(batch={"rows": 1}),
        lambda job: job.advance(cursor=float("nan")),
        lambda job: job.item("a", "done"),
    ],
)
def test_what_can_only_be_a_slip_of_the_author_raises(
    server: Server, call: Callable[[milepost.Job], None]
) -> None:
    with milepost.job("import") as job, pytest.raises(ValueError, match=r".+"):
        call(job)


def test_many_threads_count_exactly(server: Server) -> None:
    with milepost.job("import") as job, ThreadPoolExecutor(8) as pool:
        stage = job.stage("hash")

        def loop() -> None:
            for _ in range(500):
                job.advance(1, bytes=2)
                stage.advance(3)

        for _ in range(8):
            pool.submit(loop)
    said = server.job("import")
    assert said.total("items_completed") == 4_000
    assert said.total("bytes_processed") == 8_000
    assert said.stage_total("hash", "items_completed") == 12_000


def _completed_by_all(job: Job) -> int:
    return job.total("items_completed")


def _work(job: milepost.Job, n: int) -> int:
    for _ in range(n):
        job.advance()
    job.item(f"by {os.getpid()}", "completed")
    return n


_inherited: milepost.Job | None = None


def _work_on_what_was_inherited(n: int) -> int:
    assert _inherited is not None
    return _work(_inherited, n)


@pytest.mark.parametrize("handed_over", ["by fork", "by pickle"])
def test_processes_of_a_pool_count_in_lanes_of_their_own(server: Server, handed_over: str) -> None:
    global _inherited
    with milepost.job("import") as job:
        job.advance(5)
        _inherited = job
        pool = multiprocessing.get_context("fork").Pool(3)
        if handed_over == "by fork":
            done = pool.map(_work_on_what_was_inherited, [10] * 6, chunksize=1)
        else:
            done = pool.starmap(_work, [(job, 10)] * 6, chunksize=1)
        pool.close()
        pool.join()
        _inherited = None
    said = server.job("import")
    assert _completed_by_all(said) == 5 + sum(done) == 65
    assert said.state == "completed"
    assert all(name == "main" or name.startswith("main/") for name in said.lanes)
    assert len(said.items) == len(said.lanes) - 1


def test_a_job_survives_pickling_as_a_lane_of_its_own(server: Server) -> None:
    with milepost.job("import") as job:
        job.flush()
        other, again = (pickle.loads(pickle.dumps(job)) for _ in range(2))  # noqa: S301 - its own pickle
        assert other is again
        other.advance(2)
        assert other.flush()
        assert (other.key, other.attempt) == (job.key, job.attempt)
    assert server.job("import").state == "completed"
    assert server.job("import").total("items_completed") == 2


def test_a_killed_child_leaves_nothing_open(server: Server) -> None:
    with milepost.job("import") as job:
        child = os.fork()
        if child == 0:
            job.advance(3)
            job.flush()
            os._exit(9)
        os.waitpid(child, 0)
    assert server.job("import").state == "completed"
    assert server.job("import").total("items_completed") == 3


def test_what_was_said_last_is_delivered_when_the_process_ends(server: Server) -> None:
    program = """
import milepost
job = milepost.job("import")
job.__enter__()
job.advance(3, cursor=3)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    assert server.job("import").total("items_completed") == 3
    assert server.job("import").state == "running"


def test_a_rate_limit_and_a_message_arrive(server: Server) -> None:
    with milepost.job("import") as job:
        job.rate_limited(datetime(2026, 11, 22, 1, 2, 3, tzinfo=UTC))
        job.message("waiting")
        job.flush()
        values = server.job("import").lanes["main"].values
        assert values["message"] == "waiting"
        assert datetime.fromisoformat(values["rate_limited_until"]) == datetime(
            2026, 11, 22, 1, 2, 3, tzinfo=UTC
        )
        job.rate_limited(None)
        job.advance(message="going on", batch={"items": 10, "duration_ms": 4.5})
    assert server.job("import").lanes["main"].values["rate_limited_until"] is None
    assert server.job("import").lanes["main"].values["batch"] == {"items": 10, "duration_ms": 4.5}


def test_importing_it_loads_no_network_and_no_models() -> None:
    program = (
        "import milepost, sys; print(*{'httpx', 'pydantic', 'click', 'rich', 'asyncio'} & set(sys.modules))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root
    )
    assert done.stdout.strip() == ""
