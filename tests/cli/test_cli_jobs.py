"""Reading and controlling jobs from the command line, against the real stack."""

import json

from running_stack import RunningStack, Tenant
from terminal import Milepost

import milepost as sdk
from milepost._client import Client


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


def track(stack: RunningStack, tenant: Tenant, job: str, error: str | None = None) -> None:
    """A job that has ended."""
    client = Client(stack.api_url, tenant.worker_key)
    client.create_job({"job": job, "max_attempts": 1})
    client.checkpoints([{"job": job, "state": "completed" if error is None else "failed", "reason": error}])
    client.close()


def test_watch_follows_a_job_to_its_end_and_tells_the_outcome(
    milepost: Milepost, stack: RunningStack, tenant: Tenant, job: str
) -> None:
    done = milepost("watch", job, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout.splitlines()[-1])["state"] == "completed"
    track(stack, tenant, "bad", "no date")
    done = milepost("watch", "bad")
    assert (done.returncode, "failed" in done.stdout) == (1, True)
    done = milepost("watch", job, "bad", "--json")
    assert done.returncode == 1
    assert {json.loads(line)["job"] for line in done.stdout.splitlines()} == {job, "bad"}
    assert milepost("watch", job, "absent").returncode == 1


def test_watch_draws_bars_and_says_above_them_what_happened(
    milepost: Milepost, stack: RunningStack, tenant: Tenant
) -> None:
    running = [sdk.job(name, items_total=4, url=stack.api_url, key=tenant.worker_key) for name in ("a", "b")]
    for one in running:
        one.__enter__().advance(1)
        one.flush()
    with milepost.on_terminal("watch", "a", "b", columns=100) as terminal:
        terminal.sees("25.0 %")
        running[0].advance(failed=1)
        running[0].flush()
        terminal.sees("1 more failed")
        for one in running:
            one.__exit__(None, None, None)
        assert terminal.ends() == 0
    assert "a  completed after" in terminal.text
    assert "b  completed after" in terminal.text


def test_ctrl_c_ends_watching_as_interrupted_where_an_outcome_was_waited_for(
    milepost: Milepost, stack: RunningStack, tenant: Tenant
) -> None:
    with sdk.job("a", items_total=4, url=stack.api_url, key=tenant.worker_key) as job:
        job.advance()
        job.flush()
        for arguments, status in ((["watch", "a"], 130), (["watch"], 0)):
            with milepost.on_terminal(*arguments) as terminal:
                terminal.sees("25.0 %")
                terminal.type("\x03")
                assert terminal.ends() == status
            assert "Traceback" not in terminal.seen


def test_a_priority_is_set(milepost: Milepost, job: str) -> None:
    assert milepost("priority", job, "7").stdout == "import: priority 7\n"
    assert json.loads(milepost("priority", "--json", "--", job, "-3").stdout)["priority"] == -3
    assert milepost("priority", job, "much").returncode == 2


def test_explain_says_what_matters_once_and_no_raw_words(
    milepost: Milepost, stack: RunningStack, tenant: Tenant, job: str
) -> None:
    assert milepost("explain", job).stdout.count("\n") == 1
    client = Client(stack.api_url, tenant.worker_key)
    client.checkpoints([{"job": "lost", "items_total": 9, "items_completed": 0}])
    client.close()
    past, whose = "now() - interval '1 day'", "where tenant_id = %s and key = 'lost'"
    columns = "state_changed_at last_checkpoint_at last_progress_at attempt_started_at created_at started_at"
    moved = ", ".join(f"{column} = {past}" for column in columns.split())
    stack.sql(f"update milepost.jobs set {moved} {whose}", (tenant.tenant_id,))
    stack.sql(
        f"update milepost_private.pulses set active_at = {past} "
        f"where job_id = (select job_id from milepost.jobs {whose})",
        (tenant.tenant_id,),
    )
    stack.sql("select milepost.reset_stuck_jobs(now())")
    said = milepost("explain", "lost").stdout + milepost("show", "lost").stdout
    assert "for 24 h; more than 15 min is unusual for it" in said
    assert "(no_" not in said
    assert "never_started" not in said


def test_letters_that_the_locale_lacks_are_replaced(
    milepost: Milepost, stack: RunningStack, tenant: Tenant
) -> None:
    track(stack, tenant, "日本")
    done = milepost("ls", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr, "??" in done.stdout) == (0, "", True)
    assert milepost("watch", "日本", PYTHONIOENCODING="ascii").returncode == 0


def test_there_are_no_colours_where_none_are_wanted(milepost: Milepost, job: str) -> None:
    with milepost.on_terminal("show", job) as terminal:
        assert terminal.ends() == 0
        assert "\x1b[32m" in terminal.seen
    with milepost.on_terminal("show", job, NO_COLOR="1") as terminal:
        assert terminal.ends() == 0
        assert "completed" in terminal.seen
        assert "[32m" not in terminal.seen
    assert "\x1b" not in milepost("show", job).stdout
