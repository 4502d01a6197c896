"""`milepost backtest` and what it asks: past jobs, replayed."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
from running_stack import RunningStack, Tenant
from tracked import Row, Tracked, connect

PROGRAM = [sys.executable, "-c", "from milepost.cli import main; main(prog_name='milepost')"]


def backtest(tracked: Tracked, kind: str, limit: int = 50) -> Any:
    return tracked.row("select milepost.backtest(%s, %s) as found", kind, limit)["found"]


def rules(found: Any) -> dict[str, Row]:
    return {rule["rule"]: rule for rule in found["rules"]}


@pytest.fixture
def kind(tracked: Tracked) -> str:
    """A kind that nobody else has runs of: backtests are for the whole database."""
    return f"kind of {tracked.tenant_id}"


def test_steady_jobs_are_predicted_well_by_every_rule(tracked: Tracked, kind: str) -> None:
    since = 0.0
    for run in range(3):
        since = tracked.run(f"run {run}", since + 10, kind=kind)
    found = backtest(tracked, kind)
    assert (found["jobs"], found["left_out"], found["questions"]) == (3, 0, 30)
    # At the first second only history can tell, and the first run has none.
    assert {name: rule["answered"] for name, rule in rules(found).items()} == {
        "milepost": 29,
        "elapsed_average": 27,
        "tqdm": 27,
    }
    assert found["compared"] == 27
    for name, rule in rules(found).items():
        assert rule["median_error"] < 0.01 and rule["p90_error"] < 0.02, name
        assert abs(rule["bias"]) < 0.01
    assert rules(found)["milepost"]["coverage"] == 1
    assert rules(found)["tqdm"]["coverage"] is None


def test_the_newest_jobs_of_the_kind_are_judged(tracked: Tracked, kind: str) -> None:
    tracked.run("old", 0, kind=kind)
    tracked.run("new", 1000, kind=kind)
    tracked.run("other", 2000, kind=f"another {kind}")
    assert backtest(tracked, kind, 1)["jobs"] == 1
    assert backtest(tracked, kind)["jobs"] == 2


def test_each_rule_says_what_it_would_have_said(tracked: Tracked) -> None:
    # 10 items in 10 s, 10 in 20 s, then 20 pending.
    trace = [{"t": t, "done": d, "total": 40} for t, d in ((0, 0), (10, 10), (30, 20), (70, 40))]
    said = tracked.row(
        "select r.* from milepost_private.simple_rules(%s::jsonb, '{0, 10, 30}') r", json.dumps(trace)
    )
    assert said["elapsed_average_s"] == [None, 30, 30]
    # Seconds: 0.3 * 10, then 0.3 * 20 + 0.7 * 3 = 8.1; items: 3, then 0.3 * 10 + 0.7 * 3 = 5.1.
    assert said["tqdm_s"] == [None, pytest.approx(30), pytest.approx(20 * 8.1 / 5.1)]


def test_what_was_done_before_is_no_speed_and_a_retry_no_negative_work(tracked: Tracked) -> None:
    trace = [{"t": t, "done": d, "total": 100} for t, d in ((0, 50), (10, 60), (20, 40), (30, 50))]
    said = tracked.row(
        "select r.* from milepost_private.simple_rules(%s::jsonb, '{10, 30}') r", json.dumps(trace)
    )
    assert said["elapsed_average_s"] == [40, 75]
    assert said["tqdm_s"][0] == pytest.approx(40)


def test_pauses_and_waits_stand_still(tracked: Tracked, kind: str) -> None:
    tracked.record(0, {"kind": kind, "items_total": 100, "items_completed": 0, "max_attempts": 3} | {})
    for t in range(10, 51, 10):
        tracked.record(t, {"items_completed": t, "cursor": {"at": t}})
    tracked.move(50, "pausing", "pause")
    tracked.record(50, {"state": "paused"})
    tracked.move(5000, "running", "resume")
    tracked.record(5010, {"items_completed": 60, "cursor": {"at": 60}})
    tracked.record(5010, {"state": "failed"})
    tracked.record(9000, {"attempt": 2, "state": "running"})
    for t in range(10, 41, 10):
        end = {"state": "completed"} if t == 40 else {}
        tracked.record(9000 + t, {"attempt": 2, "items_completed": 60 + t} | end)
    trace = tracked.row("select milepost_private.stored_trace(%s) as trace", tracked.job()["job_id"])["trace"]
    assert {entry["done"]: entry["t"] for entry in trace} == {d: pytest.approx(d) for d in range(0, 101, 10)}
    found = backtest(tracked, kind)
    assert rules(found)["milepost"]["p90_error"] < 0.01
    assert rules(found)["elapsed_average"]["p90_error"] < 0.01


def test_skipped_items_are_no_work(tracked: Tracked) -> None:
    tracked.record(0, {"items_total": 100, "items_completed": 0})
    tracked.record(10, {"items_completed": 10, "items_skipped": 50})
    trace = tracked.row("select milepost_private.stored_trace(%s) as trace", tracked.job()["job_id"])["trace"]
    assert [(e["t"], e["done"], e["total"]) for e in trace] == [(0, 0, 100), (10, 10, 50)]


def test_it_says_what_was_said_of_the_live_job(tracked: Tracked, kind: str) -> None:
    done = 0
    for t in range(0, 200, 7):
        done = min(t * t // 300, 99)
        tracked.record(t, {"kind": kind, "items_total": 100, "items_completed": done})
    tracked.record(203, {"items_completed": 100, "state": "completed"})
    live = tracked.row(
        "select a.* from milepost.eta_accuracy a where a.tenant_id = %s and a.kind = %s",
        tracked.tenant_id,
        kind,
    )
    own = rules(backtest(tracked, kind))["milepost"]
    for name in ("median_error", "p90_error", "bias", "coverage"):
        assert float(own[name]) == pytest.approx(float(live[name]), rel=0.01), name


def test_jobs_without_a_total_or_with_stages_alone_are_left_out(tracked: Tracked, kind: str) -> None:
    for t in range(0, 50, 10):
        tracked.record(t, {"kind": kind, "items_completed": t}, job="blind")
        said = {"name": "load", "items_total": 50, "items_completed": t}
        tracked.record(t, {"kind": kind, "stage": said}, job="staged")
    tracked.record(50, {"items_completed": 50, "state": "completed"}, job="blind")
    tracked.record(50, {"state": "completed"}, job="staged")
    found = backtest(tracked, kind)
    assert (found["jobs"], found["left_out"], found["questions"]) == (0, 2, 0)
    assert [rule["answered"] for rule in found["rules"]] == [0, 0, 0]


def test_only_the_service_may_ask(stack: RunningStack, tenant: Tenant) -> None:
    answer = httpx.post(
        f"{stack.supabase_url}/rest/v1/rpc/backtest",
        json={},
        headers={
            "apikey": stack.publishable_key,
            "Authorization": f"Bearer {tenant.owner.jwt}",
            "Content-Profile": "milepost",
        },
    )
    assert answer.status_code == 403


def run(stack: RunningStack, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"SUPABASE_URL": stack.supabase_url, "SUPABASE_SECRET_KEY": stack.secret_key}
    return subprocess.run(
        [*PROGRAM, "backtest", *arguments], env=environment, capture_output=True, text=True, timeout=60
    )


@pytest.fixture(scope="module")
def module_connection(stack: RunningStack) -> Iterator[psycopg.Connection[Row]]:
    with connect(stack.database_url) as connection:
        yield connection


@pytest.fixture(scope="module")
def printed_kind(stack: RunningStack, module_connection: psycopg.Connection[Row]) -> str:
    tracked = Tracked(module_connection, stack.tenant().tenant_id)
    tracked.run("run", kind="printed")
    tracked.record(0, {"kind": "printed"}, job="blind")
    tracked.record(5, {"state": "completed"}, job="blind")
    return "printed"


def test_the_command_prints_a_line_a_rule(stack: RunningStack, printed_kind: str) -> None:
    told = run(stack, "--kind", printed_kind)
    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    assert lines[0].split() == ["rule", "answered", "median", "error", "p90", "error", "bias", "coverage"]
    assert [line.split()[0] for line in lines[1:4]] == ["milepost", "elapsed", "tqdm"]
    assert "9 of 10" in lines[2] and lines[1].rstrip().endswith("%")
    assert "1 jobs" in told.stdout and "1 left out" in told.stdout


def test_with_json_it_prints_what_the_database_said(
    stack: RunningStack, module_connection: psycopg.Connection[Row], printed_kind: str
) -> None:
    told = run(stack, "--kind", printed_kind, "--limit", "10", "--json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout) == backtest(Tracked(module_connection, ""), printed_kind, 10)


def test_without_such_jobs_it_says_so(stack: RunningStack) -> None:
    assert "no completed job" in run(stack, "--kind", "nobody has this").stdout


def test_a_limit_that_is_none_is_a_usage_error(stack: RunningStack) -> None:
    assert run(stack, "--limit", "0").returncode == 2
