"""`milepost work`: a command for each job, as a real process with real signals."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dev_process import eventually
from loops import KIND, Loops

PROGRAM = """
from milepost import _work
from milepost.cli import main, work
work.LOOK_S, work.PATIENCE_S = 0.1, 0.2
main(prog_name="milepost")
"""

REPORT = (
    'curl -sS -o {out} "$MILEPOST_URL/v1/checkpoints" -H "Authorization: Bearer $MILEPOST_KEY" '
    "-H 'Content-Type: application/json' -d {body}"
)

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(loops: Loops) -> Iterator[Start]:
    """Starts `milepost work --kind recovery -- command...`."""
    started: list[subprocess.Popen[str]] = []

    def begin(*command: str, **settings: str) -> "subprocess.Popen[str]":
        told = {"MILEPOST_URL": loops.stack.api_url, "MILEPOST_KEY": loops.tenant.worker_key}
        arguments = [sys.executable, "-c", PROGRAM, "work", "--kind", KIND, "--", *command]
        started.append(
            subprocess.Popen(arguments, env=os.environ | told | settings, stderr=subprocess.PIPE, text=True)
        )
        return started[-1]

    yield begin
    for process in started:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=60)


def reaches(loops: Loops, state: str, job: str = "job") -> None:
    eventually(lambda: loops.job(job)["state"] == state, f"{job} is {state}")


def process_of(folder: Path) -> str:
    """The id that a command wrote to the file `id`."""
    file = folder / "id"
    eventually(lambda: file.exists() and file.read_text().endswith("\n"), "the command runs")
    return file.read_text().strip()


def state_of(process_id: str) -> str:
    """The letter of /proc: S sleeps, T is stopped; gone without one."""
    status = Path("/proc", process_id, "stat")
    return status.read_text().rsplit(") ", 1)[1][0] if status.exists() else "gone"


def test_a_command_that_ends_well_completes_its_job_and_the_next_is_taken(
    loops: Loops, start: Start, tmp_path: Path
) -> None:
    for job in ("a", "b"):
        loops.create(job)
    start(
        "sh",
        "-c",
        f'echo "$MILEPOST_JOB $MILEPOST_ATTEMPT [$MILEPOST_CURSOR] $MILEPOST_JOB_ID" >> {tmp_path}/env',
    )
    for job in ("a", "b"):
        reaches(loops, "completed", job)
    said = (tmp_path / "env").read_text().splitlines()
    assert said == [f"{job} 1 [] {loops.job(job)['job_id']}" for job in ("a", "b")]


def test_a_command_that_fails_has_its_job_tried_again_from_its_cursor(
    loops: Loops, start: Start, tmp_path: Path
) -> None:
    loops.create("job", max_attempts=2)
    body = """'{"job": "job", "items_completed": 7, "cursor": {"offset": 7}}'"""
    start(
        "sh", "-c",
        f'echo "$MILEPOST_ATTEMPT $MILEPOST_CURSOR" >> {tmp_path}/env; '
        + REPORT.format(out=tmp_path / "answer", body=body)
        + "; exit 3",
    )  # fmt: skip
    reaches(loops, "failed")
    assert json.loads((tmp_path / "answer").read_text())["results"][0]["attempt"] == 2
    assert loops.job()["error"] == "CommandFailed: sh ended with exit status 3."
    assert (tmp_path / "env").read_text().splitlines() == ["1 ", '2 {"offset":7}']
    assert loops.job()["items_completed"] == 7


def test_what_a_command_reports_in_lanes_of_its_own_ends_with_it(
    loops: Loops, start: Start, tmp_path: Path
) -> None:
    loops.create("job")
    body = """'{"job": "job", "items_total": 3, "items_completed": 3}'"""
    start("sh", "-c", REPORT.format(out=tmp_path / "answer", body=body))
    reaches(loops, "completed")
    job = loops.job()
    assert (job["percent_complete"], len(job["workers"])) == (100, 2)
    assert {lane["state"] for lane in job["workers"]} == {"completed"}


def test_a_pause_stops_the_command_and_a_cancel_ends_it(loops: Loops, start: Start, tmp_path: Path) -> None:
    loops.create("job")
    start(
        "sh",
        "-c",
        f"trap 'echo ended > {tmp_path}/end; exit 1' TERM; echo $$ > {tmp_path}/id; "
        "while :; do sleep 0.1; done",
    )
    process_id = process_of(tmp_path)
    assert loops.control("pause")["state"] == "pausing"
    reaches(loops, "paused")
    assert state_of(process_id) == "T"
    loops.control("resume")
    eventually(lambda: state_of(process_id) in "SR", "it goes on")
    assert loops.job()["state"] == "running"
    loops.control("cancel")
    reaches(loops, "canceled")
    assert (state_of(process_id), (tmp_path / "end").read_text()) == ("gone", "ended\n")


def test_a_command_that_was_taken_over_is_ended(loops: Loops, start: Start, tmp_path: Path) -> None:
    loops.create("job", retry_backoff_ms=900_000)
    worker = start("sh", "-c", f"echo $$ > {tmp_path}/id; exec sleep 600")
    process_id = process_of(tmp_path)
    worker.send_signal(signal.SIGSTOP)
    loops.pass_time(3000)
    loops.sweep()
    assert loops.job()["attempt"] == 2
    worker.send_signal(signal.SIGCONT)
    eventually(lambda: state_of(process_id) == "gone", "it is ended")
    assert (loops.job()["state"], loops.job()["attempt"]) == ("retrying", 2)


def test_a_worker_that_is_told_to_end_takes_its_command_with_it_and_hands_over(
    loops: Loops, start: Start, tmp_path: Path
) -> None:
    loops.create("job", retry_backoff_ms=900_000)
    worker = start("sh", "-c", f"echo $$ > {tmp_path}/id; exec sleep 600")
    process_id = process_of(tmp_path)
    worker.terminate()
    _, said = worker.communicate(timeout=60)
    assert (worker.returncode, "Traceback" in said) == (1, False)
    assert state_of(process_id) == "gone"
    job = loops.job()
    assert (job["state"], job["attempt"]) == ("retrying", 2)
    assert "told to end by signal 15" in job["state_reason"]


def test_a_command_that_cannot_be_run_takes_no_job(loops: Loops, start: Start) -> None:
    loops.create("job")
    worker = start("no-such-command")
    _, said = worker.communicate(timeout=60)
    assert worker.returncode == 2
    assert "found 'no-such-command'" in said
    assert loops.job()["state"] == "pending"


@pytest.mark.parametrize(("settings", "code"), [({"MILEPOST_URL": ""}, 2), ({"MILEPOST_KEY": "mp_wrong"}, 1)])
def test_a_worker_that_may_not_claim_says_so_and_ends(
    loops: Loops, start: Start, settings: dict[str, str], code: int
) -> None:
    worker = start("true", **settings)
    _, said = worker.communicate(timeout=60)
    assert (worker.returncode, said.startswith("Error: ")) == (code, True)
