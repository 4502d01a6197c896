"""`milepost run`: any command, as it would run without Milepost, and a job that tells of it."""

import os
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_stack import RunningStack, Tenant
from terminal import PATIENCE_S, PROGRAM, Milepost, eventually

from milepost import models
from milepost._client import Client

IMPATIENT = [
    sys.executable,
    "-c",
    "from milepost.cli import main, run; run.LOOK_S = run.GRACE_S = 0.3; main(prog_name='milepost')",
]
TRAPS = "trap 'echo told; exit 7' {0}; echo ready; while :; do sleep 0.05; done"


@pytest.fixture
def client(stack: RunningStack, tenant: Tenant) -> Iterator[Client]:
    client = Client(stack.api_url, tenant.operator_key)
    yield client
    client.close()


def reaches(client: Client, job: str, state: str) -> models.Job:
    def found() -> models.Job | None:
        return next((one for one in client.jobs(q=job).jobs if one.state == state), None)

    return eventually(found, f"{job} is {state}")


def state_of(process_id: int) -> str:
    """The letter of /proc: S sleeps, T is stopped; gone without one."""
    status = Path("/proc", str(process_id), "stat")
    return status.read_text().rsplit(") ", 1)[1][0] if status.exists() else "gone"


def ready(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"


def test_what_a_command_reads_and_prints_passes_byte_for_byte(milepost: Milepost, client: Client) -> None:
    data = bytes(range(256)) * 2_000
    with milepost.begun("run", "--job", "copy", "--", "sh", "-c", "tee /dev/stderr") as process:
        out, err = process.communicate(data, timeout=PATIENCE_S)
    assert (process.returncode, out == data, err == data) == (0, True, True)
    assert client.job("copy").state == "completed"


def test_progress_and_message_are_read_from_the_output(milepost: Milepost, client: Client) -> None:
    script = r"echo loading; printf '\r 37%%|###  | 370/1000 [00:10<00:17, 36.9rows/s]' >&2; read line; echo at $line"
    with milepost.begun("run", "--job", "load", "--", "sh", "-c", script) as process:
        job = eventually(
            lambda: next((j for j in client.jobs(q="load").jobs if j.items_completed), None), "it counts"
        )
        assert (job.items_completed, job.items_total, job.unit, job.message) == (370, 1000, "rows", "loading")
        process.communicate(b"the end\n", timeout=PATIENCE_S)
    job = client.job("load")
    assert (job.state, job.items_completed, job.message) == ("completed", 370, "at the end")


@pytest.mark.parametrize(
    ("script", "status", "error"),
    [
        ("echo fine; echo no date in row 7 >&2; exit 3", 3, "sh ended with exit status 3:\nno date in row 7"),
        ("echo only this; exit 1", 1, "sh ended with exit status 1:\nonly this"),
        ("kill -9 $$", 137, "sh was ended by SIGKILL."),
    ],
)
def test_a_command_that_fails_fails_its_job_with_its_last_words(
    milepost: Milepost, client: Client, script: str, status: int, error: str
) -> None:
    assert milepost("run", "--job", "bad", "--", "sh", "-c", script).returncode == status
    job = client.job("bad")
    assert (job.state, job.error, job.attempt) == ("failed", error, 1)


def test_a_command_that_cannot_be_run_is_told_to_both(
    milepost: Milepost, client: Client, tmp_path: Path
) -> None:
    done = milepost("run", "--job", "absent", "--", "no-such-command")
    assert (done.returncode, done.stdout) == (127, "")
    assert done.stderr == "milepost: no-such-command cannot be run: No such file or directory.\n"
    assert (client.job("absent").state, client.job("absent").error) == ("failed", done.stderr[10:-1])
    (tmp_path / "text").write_text("no program")
    assert milepost("run", "--", str(tmp_path / "text")).returncode == 126


def test_each_run_is_a_job_of_its_own_and_its_arguments_stay_here(milepost: Milepost, client: Client) -> None:
    for _ in range(2):
        assert milepost("run", "--", "sh", "-c", "true", "--password=hunter2").returncode == 0
    milepost("run", "--", sys.executable, os.devnull)
    jobs = client.jobs().jobs
    assert len({job.job for job in jobs}) == 3
    assert [job.kind for job in jobs] == [f"{Path(sys.executable).name}-null", "sh", "sh"]
    assert not any("hunter2" in client.job(job.job_id).model_dump_json() for job in jobs)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_reaches_the_command_which_decides(
    milepost: Milepost, client: Client, number: signal.Signals
) -> None:
    script = TRAPS.format(number.name[3:])
    # No shell traps what it was told to ignore when it began; so it is under nohup.
    inherited = signal.signal(number, signal.SIG_DFL)
    with milepost.begun("run", "--job", "loop", "--", "bash", "-c", script) as process:
        signal.signal(number, inherited)
        ready(process)
        process.send_signal(number)
        out, _ = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (7, b"told\n")
    assert client.job("loop").state == "failed"


def test_a_cancel_ends_the_command(milepost: Milepost, client: Client) -> None:
    with milepost.begun(
        "run", "--job", "loop", "--", "bash", "-c", TRAPS.format("TERM"), program=IMPATIENT
    ) as process:
        ready(process)
        reaches(client, "loop", "running")
        client.control("cancel", "loop")
        out, _ = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (7, b"told\n")
    assert client.job("loop").state == "canceled"


def test_a_command_that_does_not_hear_a_cancel_is_killed(milepost: Milepost, client: Client) -> None:
    script = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
    with milepost.begun("run", "--job", "deaf", "--", "bash", "-c", script, program=IMPATIENT) as process:
        ready(process)
        reaches(client, "deaf", "running")
        client.control("cancel", "deaf")
        process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 137
    assert client.job("deaf").state == "canceled"


def test_a_paused_job_holds_its_command(milepost: Milepost, client: Client) -> None:
    script = "echo ready; echo $$; read line; echo $line"
    with milepost.begun("run", "--job", "held", "--", "sh", "-c", script, program=IMPATIENT) as process:
        ready(process)
        assert process.stdout is not None
        command = int(process.stdout.readline())
        reaches(client, "held", "running")
        client.control("pause", "held")
        reaches(client, "held", "paused")
        assert state_of(command) == "T"
        client.control("resume", "held")
        eventually(lambda: state_of(command) == "S", "it goes on")
        out, _ = process.communicate(b"done\n", timeout=PATIENCE_S)
    assert (process.returncode, out) == (0, b"done\n")
    assert client.job("held").state == "completed"


def test_a_held_command_can_be_ended(milepost: Milepost, client: Client) -> None:
    with milepost.begun(
        "run", "--job", "held", "--", "bash", "-c", TRAPS.format("INT"), program=IMPATIENT
    ) as process:
        ready(process)
        reaches(client, "held", "running")
        client.control("pause", "held")
        reaches(client, "held", "paused")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (7, b"told\n")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"MILEPOST_URL": "http://127.0.0.1:9"}, "The work goes on"),
        ({"MILEPOST_URL": "", "MILEPOST_KEY": ""}, "nothing is tracked"),
        ({"MILEPOST_KEY": "mp_wrong"}, "nothing is tracked"),
    ],
)
def test_without_a_server_the_command_runs_all_the_same(
    milepost: Milepost, settings: dict[str, str], said: str
) -> None:
    done = milepost("run", "--", "sh", "-c", "echo out; sleep 1; exit 5", **settings)
    assert (done.returncode, done.stdout) == (5, "out\n")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_leaves_ends_the_command_as_without_us(milepost: Milepost) -> None:
    with milepost.begun("run", "--", "yes") as process:
        assert process.stdout is not None
        assert process.stdout.read(4) == b"y\ny\n"
        process.stdout.close()
        assert process.wait(PATIENCE_S) == 128 + signal.SIGPIPE


def test_what_a_command_leaves_behind_does_not_hold_it_up(milepost: Milepost, tmp_path: Path) -> None:
    with milepost.begun(
        "run", "--", "sh", "-c", f"sleep 300 & echo $! > {tmp_path}/left; echo gone"
    ) as process:
        out, _ = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (0, b"gone\n")
    os.kill(int((tmp_path / "left").read_text()), signal.SIGKILL)


def test_on_a_terminal_the_command_has_one_too(milepost: Milepost, client: Client) -> None:
    script = (
        "test -t 0 -a -t 1 -a -t 2 && stty size; until stty size | grep '40 120'; do sleep 0.05; done; "
        "read line; echo got $line; read line"
    )
    with milepost.on_terminal(
        "run", "--job", "tty", "--", "bash", "-c", script, columns=91, rows=33
    ) as terminal:
        before = termios.tcgetattr(terminal.inner)
        terminal.sees("33 91")
        terminal.resize(120, 40)
        terminal.sees("40 120")
        terminal.type("hello\n")
        terminal.sees("got hello")
        terminal.type("\x03")
        assert terminal.ends() == 128 + signal.SIGINT
        assert termios.tcgetattr(terminal.inner) == before
    assert client.job("tty").state == "failed"


@pytest.mark.parametrize("resume", ["fg", "bg; read line; fg"])
def test_ctrl_z_suspends_the_command_until_the_shell_lets_it_go_on(milepost: Milepost, resume: str) -> None:
    script = "echo pid $$ ready; read line; echo got $line"
    shell = ["bash", "-mc", f'"$0" "$@"; echo stopped $?; read line; {resume}; echo ended $?', *PROGRAM]
    with milepost.on_terminal("run", "--", "bash", "-c", script, program=shell) as terminal:
        before = termios.tcgetattr(terminal.inner)
        command = int(terminal.sees("ready").partition("pid ")[2].split()[0])
        assert termios.tcgetattr(terminal.inner) != before
        terminal.type("\x1a")
        terminal.sees(f"stopped {128 + signal.SIGTSTP}")
        eventually(lambda: state_of(command) == "T", "it is stopped")
        assert termios.tcgetattr(terminal.inner) == before
        terminal.type("\n")
        eventually(lambda: state_of(command) == "S", "it goes on")
        if "bg" in resume:
            terminal.type("\n")
        eventually(lambda: termios.tcgetattr(terminal.inner) != before, "the terminal is the command's")
        terminal.type("hello\n")
        terminal.sees("got hello")
        terminal.sees("ended 0")


def test_ctrl_z_does_nothing_where_no_shell_would_let_it_go_on(milepost: Milepost) -> None:
    with milepost.on_terminal("run", "--", "bash", "-c", "echo ready; read line; echo got $line") as terminal:
        terminal.sees("ready")
        terminal.type("before\x1aafter\n")
        terminal.sees("got beforeafter")
        assert terminal.ends() == 0


def test_ctrl_z_is_for_who_reads_it_or_is_at_the_front_of_its_own_shell(milepost: Milepost) -> None:
    raw = "stty raw -echo; echo ready; head -c 1 | od -An -tx1; stty sane"
    with milepost.on_terminal("run", "--", "bash", "-c", raw) as terminal:
        terminal.sees("ready")
        terminal.type("\x1a")
        terminal.sees("1a")
        assert terminal.ends() == 0
    inner = "bash -c 'echo ready; read line'; echo stopped $?; kill -9 %1"
    with milepost.on_terminal("run", "--", "bash", "-mc", inner) as terminal:
        terminal.sees("ready")
        terminal.type("\x1a")
        terminal.sees(f"stopped {128 + signal.SIGTSTP}")
        assert terminal.ends() == 0


def test_on_a_terminal_stderr_may_go_elsewhere(milepost: Milepost, client: Client, tmp_path: Path) -> None:
    script = "test -t 1 && ! test -t 2 && echo seen; echo why >&2; exit 2"
    command = f'exec "$0" "$@" 2> {tmp_path}/err'
    wrapped = ["sh", "-c", command, *IMPATIENT]
    with milepost.on_terminal("run", "--job", "tty", "--", "sh", "-c", script, program=wrapped) as terminal:
        assert terminal.ends() == 2
        assert terminal.seen == "seen\r\n"
    assert (tmp_path / "err").read_text() == "why\n"
    assert client.job("tty").error == "sh ended with exit status 2:\nwhy"
