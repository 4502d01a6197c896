"""Claiming jobs, and functions that work on them."""

import pytest
from contract import Job, Server

import milepost


def pending(server: Server, key: str) -> Job:
    job = Job(len(server.contract.pending), {"job": key})
    server.contract.pending.append(job)
    return job


def test_a_claimed_job_is_worked_on_and_completed(server: Server) -> None:
    pending(server, "one")
    job = milepost.claim(["csv_import"], "host-1")
    assert job is not None
    with job:
        job.advance(2)
    assert (server.job("one").state, server.job("one").total("items_completed")) == ("completed", 2)
    assert server.contract.requests[0] == ("/v1/jobs/claim", {"kinds": ["csv_import"], "worker": "host-1"})


def test_it_counts_on_from_the_lane_and_its_cursor(server: Server) -> None:
    waiting = pending(server, "one")
    waiting.hear({"job": "one", "worker": "host-1", "seq": 4, "items_completed": 7, "cursor": {"offset": 7}})
    job = milepost.claim(["csv_import"], "host-1")
    assert job is not None
    with job:
        assert (job.cursor, job.attempt) == ({"offset": 7}, 1)
        job.advance(1)
    assert server.job("one").total("items_completed") == 8


def test_there_may_be_no_job(server: Server) -> None:
    assert milepost.claim() is None


def test_it_says_when_it_cannot_ask(fresh_process: None) -> None:
    with pytest.raises(milepost.ConfigurationError, match="MILEPOST_URL"):
        milepost.claim()
    with pytest.raises(milepost.TransportError, match="gave no answer"):
        milepost.claim(url="http://127.0.0.1:9", key="mp_test")


def test_a_worker_does_one_job_at_a_time(server: Server) -> None:
    @milepost.worker("csv_import")
    def work(job: milepost.Job) -> None:
        """Imports."""
        job.advance(3)
        if job.key == "bad":
            raise ValueError("bad row")
        if job.key == "canceled":
            server.job("canceled").directive = "cancel"
            job.flush()
            job.advance()

    assert (work.kinds, work.__doc__) == (("csv_import",), "Imports.")
    assert work.run_once() is False
    for key in ("good", "canceled", "bad"):
        pending(server, key)
    assert work.run_once() is True
    assert work.run_once() is True
    with pytest.raises(ValueError, match="bad row"):
        work.run_once()
    assert [server.job(key).state for key in ("good", "canceled", "bad")] == [
        "completed",
        "canceled",
        "failed",
    ]
