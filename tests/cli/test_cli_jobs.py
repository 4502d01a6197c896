"""Reading and controlling jobs from the command line, against the real stack."""

import json

from running_stack import RunningStack, Tenant
from terminal import Milepost

import milepost as sdk


def test_ls_lists_what_there_is(milepost: Milepost, job: str) -> None:
    done = milepost("ls")
    assert done.returncode == 0, done.stderr
    assert "import" in done.stdout
    assert "75.0 %" in done.stdout
    assert "3/4, 1 failed" in done.stdout
    assert [found["job"] for found in json.loads(milepost("ls", "--json").stdout)["jobs"]] == [job]
    assert json.loads(milepost("ls", "--json", "--state", "failed").stdout)["jobs"] == []


def test_ls_says_that_there_is_nothing(milepost: Milepost) -> None:
    assert milepost("ls").stdout == "There are no jobs.\n"


def test_show_shows_one(milepost: Milepost, job: str) -> None:
    done = milepost("show", job)
    assert done.returncode == 0, done.stderr
    assert "three of [four]" in done.stdout
    assert "2.0 MB" in done.stdout
    shown = json.loads(milepost("show", job, "--json").stdout)
    assert (shown["state"], shown["items_failed"], shown["percent_complete"]) == ("completed", 1, 75)


def test_explain_says_why(milepost: Milepost, job: str) -> None:
    done = milepost("explain", job)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(milepost("explain", job, "--json").stdout)["summary"] in done.stdout


def test_a_job_is_paused_resumed_retried_and_canceled(
    milepost: Milepost, stack: RunningStack, tenant: Tenant
) -> None:
    with sdk.job("import", url=stack.api_url, key=tenant.worker_key) as job:
        job.advance()
        job.flush()
        paused = json.loads(milepost("pause", "import", "--reason", "lunch", "--json").stdout)
        assert paused["state"] == "pausing"
        assert milepost("resume", "import").stdout == "import: running\n"
        assert json.loads(milepost("retry", "import", "--json").stdout)["attempt"] == 2
    assert milepost("cancel", "import").stdout == "import: canceled\n"


def test_a_refusal_is_a_message_and_a_hint_without_a_traceback(milepost: Milepost, job: str) -> None:
    done = milepost("pause", job)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: Expected a job that permits pause")
    assert "Traceback" not in done.stderr


def test_an_unknown_job_is_said(milepost: Milepost) -> None:
    done = milepost("show", "nobody")
    assert done.returncode == 1
    assert "nobody" in done.stderr


def test_a_wrong_key_is_said_and_not_shown(milepost: Milepost) -> None:
    done = milepost("ls", MILEPOST_KEY="mp_wrong")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert "mp_wrong" not in done.stderr


def test_a_server_that_is_not_there_is_exit_code_3(milepost: Milepost) -> None:
    done = milepost("ls", MILEPOST_URL="http://127.0.0.1:9")
    assert done.returncode == 3
    assert "http://127.0.0.1:9 gave no answer" in done.stderr


def test_missing_settings_are_exit_code_2(milepost: Milepost) -> None:
    done = milepost("ls", MILEPOST_URL="", MILEPOST_KEY="")
    assert done.returncode == 2
    assert "Expected MILEPOST_URL and MILEPOST_KEY in the environment" in done.stderr


def test_wrong_usage_is_exit_code_2(milepost: Milepost) -> None:
    assert milepost("ls", "--limit", "0").returncode == 2
    assert milepost("nonsense").returncode == 2


def test_watch_follows_a_job_to_its_end_and_tells_the_outcome(
    milepost: Milepost, stack: RunningStack, tenant: Tenant, job: str
) -> None:
    done = milepost("watch", job, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout.splitlines()[-1])["state"] == "completed"
    lane = sdk.job("bad", max_attempts=1, url=stack.api_url, key=tenant.worker_key)
    try:
        with lane:
            raise ValueError("no date")
    except ValueError:
        pass
    done = milepost("watch", "bad")
    assert done.returncode == 1
    assert "failed" in done.stdout
