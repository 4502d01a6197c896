"""Figures of finished jobs: job_history_stats, as GET /v1/history gives it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from past import Past, moment
from running_stack import RunningStack, Tenant

Ask = Callable[..., dict[str, Any]]
NOVEMBER = {"since": "2026-11-01T00:00:00Z", "until": "2026-12-01T00:00:00Z"}


def test_it_counts_what_ended_in_the_range_and_nothing_else(past: Past, ask: Ask) -> None:
    past.run("before", "2026-10-31T23:59:59+00:00")
    past.run("first", "2026-11-01T00:00:00+00:00")
    past.run("failed", "2026-11-02T00:00:00+00:00", state="failed", error="no disk")
    past.run("canceled", "2026-11-02T01:00:00+00:00", state="canceled")
    past.run("last", "2026-11-30T23:59:59+00:00")
    past.run("after", "2026-12-01T00:00:00+00:00")
    past.record(moment("2026-11-03T00:00:00+00:00"), job="running", items_completed=1)
    total = ask(**NOVEMBER)["total"]
    counts = [total[name] for name in ("runs", "completed", "failed", "canceled")]
    assert counts == [4, 2, 1, 1]
    assert (total["success_rate"], total["failure_rate"]) == (0.5, 0.25)
    assert total["last_finished_at"] == "2026-11-30T23:59:59.000Z"


def test_durations_and_speeds_are_those_of_completed_runs_and_their_active_time(past: Past, ask: Ask) -> None:
    for place, seconds in enumerate((100, 200, 300)):
        past.run(f"job {place}", f"2026-11-0{place + 1}T12:00:00+00:00", seconds=seconds, items=600)
    past.run("failed", "2026-11-02T13:00:00+00:00", seconds=5000, state="failed", error="no disk")
    total = ask(**NOVEMBER)["total"]
    assert (total["duration_p50_ms"], total["duration_p95_ms"]) == (200_000, 290_000)
    assert total["items_per_s_p50"] == 3
    assert total["items_completed"] == 1880


def test_a_paused_job_did_not_take_longer(stack: RunningStack, tenant: Tenant, past: Past, ask: Ask) -> None:
    past.record(moment("2026-11-02T00:00:00+00:00"), job="job", items_total=10, items_completed=0)
    past.record(moment("2026-11-02T00:01:00+00:00"), job="job", items_completed=5, state="paused")
    past.record(moment("2026-11-02T08:00:00+00:00"), job="job", items_completed=5, state="running")
    past.record(moment("2026-11-02T08:01:00+00:00"), job="job", items_completed=10, state="completed")
    assert ask(**NOVEMBER)["total"]["duration_p50_ms"] == 120_000


def test_what_nobody_knows_is_null_and_not_0(past: Past, ask: Ask) -> None:
    nothing = ask(**NOVEMBER)
    assert nothing["total"]["runs"] == 0
    assert nothing["total"]["failure_rate"] is None
    assert nothing["total"]["duration_p50_ms"] is None
    assert (nothing["groups"], nothing["errors"]) == ([], [])
    past.record(moment("2026-11-02T00:00:00+00:00"), job="job", items_completed=5, state="completed")
    said = ask(**NOVEMBER)["total"]
    assert (said["runs"], said["duration_p50_ms"], said["items_per_s_p50"]) == (1, None, None)


def test_days_and_hours_are_those_of_the_zone(past: Past, ask: Ask) -> None:
    past.run("evening", "2026-11-02T22:30:00+00:00")
    past.run("night", "2026-11-02T23:30:00+00:00")
    past.run("morning", "2026-11-03T05:00:00+00:00")

    def starts(**query: str) -> list[tuple[str, int]]:
        return [(group["at"], group["runs"]) for group in ask(**NOVEMBER, **query)["groups"]]

    assert starts(by="day") == [("2026-11-02T00:00:00.000Z", 2), ("2026-11-03T00:00:00.000Z", 1)]
    assert starts(by="day", zone="Europe/Berlin") == [
        ("2026-11-01T23:00:00.000Z", 1),
        ("2026-11-02T23:00:00.000Z", 2),
    ]
    assert starts(by="hour") == [
        ("2026-11-02T22:00:00.000Z", 1),
        ("2026-11-02T23:00:00.000Z", 1),
        ("2026-11-03T05:00:00.000Z", 1),
    ]
    assert starts(by="none") == []


def test_kinds_come_with_how_right_their_finish_times_were(past: Past, ask: Ask) -> None:
    for place in range(3):
        past.run(f"import {place}", f"2026-11-0{place + 1}T12:00:00+00:00", kind="import")
    past.run("crawl", "2026-11-02T12:00:00+00:00", kind="crawl", state="failed", error="no network")
    imports, crawls = ask(**NOVEMBER, by="kind")["groups"]
    assert (imports["kind"], imports["runs"], imports["failure_rate"]) == ("import", 3, 0)
    assert imports["eta_accuracy"]["runs"] == 3
    assert imports["eta_accuracy"]["median_error"] < 0.2
    assert (crawls["kind"], crawls["failure_rate"], crawls["eta_accuracy"]) == ("crawl", 1, None)
    assert "eta_accuracy" not in ask(**NOVEMBER, by="day")["groups"][0]


def test_kind_outcome_and_text_narrow_it(past: Past, ask: Ask) -> None:
    past.run("import 1", "2026-11-02T12:00:00+00:00", kind="import", name="Nightly Import")
    past.run("import 2", "2026-11-03T12:00:00+00:00", kind="import", state="failed", error="Disk FULL")
    past.run("crawl 1", "2026-11-04T12:00:00+00:00", kind="crawl")

    def runs(**query: str) -> int:
        count: int = ask(**NOVEMBER, **query)["total"]["runs"]
        return count

    assert runs(kind="import") == 2
    assert runs(kind="import,crawl") == 3
    assert runs(state="failed") == 1
    assert runs(state="failed,completed", kind="crawl") == 1
    assert runs(q="nightly") == 1
    assert runs(q="disk full") == 1
    assert runs(q="%") == 0


def test_errors_that_differ_by_numbers_and_names_are_one_pattern(past: Past, ask: Ask) -> None:
    for place, error in enumerate(
        (
            "row 12 of 'a.csv': no date",
            "row 7 of 'b.csv': no date",
            "row 900 of 'c.csv': no date",
            "disk full",
        )
    ):
        past.run(
            f"job {place}", f"2026-11-0{place + 1}T12:00:00+00:00", state="failed", error=error,
            kind="crawl" if place == 1 else "import",
        )  # fmt: skip
    rows, disk = ask(**NOVEMBER)["errors"]
    assert (rows["pattern"], rows["count"]) == ("row <n> of <text>: no date", 3)
    assert (rows["example"], rows["last_job"]) == ("row 900 of 'c.csv': no date", "job 2")
    assert rows["kinds"] == ["crawl", "import"]
    assert rows["last_finished_at"] == "2026-11-03T12:00:00.000Z"
    assert (disk["pattern"], disk["count"]) == ("disk full", 1)


@pytest.mark.parametrize(
    ("error", "pattern"),
    [
        ("expected 14 columns, found 13", "expected <n> columns, found <n>"),
        ("job 6b1c2d3e-4f50-4162-8738-495a6b7c8d9e is gone", "job <uuid> is gone"),
        ("KeyError: 'customer_id'", "KeyError: <text>"),
        ('no column "price" in `orders`', "no column <text> in <text>"),
        ("can't read it and won't try", "can't read it and won't try"),
        ("cannot open /var/data/2026/part-7.csv: no such file", "cannot open <path>: no such file"),
        ("cannot open data/raw/part-7.csv", "cannot open <path>"),
        (r"cannot open C:\data\part.csv", "cannot open <path>"),
        ("GET https://a.example/x?page=3 answered 503", "GET <url> answered <n>"),
        ("s3://bucket/key is missing", "<url> is missing"),
        ("10.0.0.7:5432 refused at 2026-11-22T01:02:03.5Z", "<n> refused at <n>"),
        ("segment at 0x7ffe12 in gpu17", "segment at <n> in gpu<n>"),
        ("commit 9fceb02d0ae598e95dc970b74767f19372d61af8 is bad", "commit <n> is bad"),
        ("deadbeef and facade are words", "deadbeef and facade are words"),
        ("read and/or write failed", "read and/or write failed"),
        ("  first line\nsecond line", "first line"),
        ("Traceback (most recent call last):\n  File 'a.py', line 3\nValueError: no date\n", "ValueError: no date"),
        ("x" * 500, "x" * 200),
        ("", ""),
    ],
)  # fmt: skip
def test_a_pattern_keeps_what_an_error_is_about(stack: RunningStack, error: str, pattern: str) -> None:
    (row,) = stack.sql("select milepost_private.error_pattern(%s) as pattern", (error,))
    assert row["pattern"] == pattern


def test_an_unfriendly_error_is_no_trouble(stack: RunningStack) -> None:
    (row,) = stack.sql("select milepost_private.error_pattern(%s) as pattern", ("'a'\"b\"/c" * 1000,))
    assert len(row["pattern"]) <= 200


def test_without_a_range_it_is_the_last_30_days(past: Past, ask: Ask) -> None:
    past.run("new", (datetime.now(UTC) - timedelta(minutes=5)).isoformat())
    past.run("old", "2026-01-01T12:00:00+00:00")
    said = ask()
    assert said["total"]["runs"] == 1
    assert moment(said["until"]) - moment(said["since"]) == timedelta(days=30)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"by": "week"}, "invalid_value"),
        ({"zone": "Mars/Olympus"}, "invalid_value"),
        ({"since": "2026-11-02T00:00:00Z", "until": "2026-11-01T00:00:00Z"}, "invalid_value"),
        ({"since": "yesterday"}, "invalid_timestamp"),
        ({"state": "running"}, "invalid_value"),
        ({"knd": "import"}, "unknown_field"),
    ],
)
def test_what_cannot_be_is_refused(
    api: httpx.Client, tenant: Tenant, query: dict[str, str], code: str
) -> None:
    answer = api.get("/v1/history", params=query, headers={"Authorization": f"Bearer {tenant.operator_key}"})
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text


def test_nobody_without_a_key_and_no_stranger_sees_any_of_it(
    api: httpx.Client, tenant: Tenant, past: Past
) -> None:
    past.run("job", "2026-11-02T12:00:00+00:00", state="failed", error="secret")
    for path in ("/v1/history", "/v1/history/jobs"):
        assert api.get(path, params=NOVEMBER).status_code == 401
        stranger = {"Authorization": f"Bearer {tenant.stranger.jwt}"}
        assert "secret" not in api.get(path, params=NOVEMBER, headers=stranger).text
        foreign = stranger | {"X-Milepost-Tenant": tenant.tenant_id}
        answer = api.get(path, params=NOVEMBER, headers=foreign)
        assert (answer.status_code, "secret" in answer.text) == (200, False)
        mine = {"Authorization": f"Bearer {tenant.teammate.jwt}"}
        assert "secret" in api.get(path, params=NOVEMBER, headers=mine).text


def test_a_member_of_several_tenants_says_which(
    stack: RunningStack, api: httpx.Client, tenant: Tenant
) -> None:
    other = stack.tenant()
    stack.sql("select milepost.add_member(%s, %s, 'viewer')", (other.tenant_id, tenant.owner.user_id))
    Past(stack, tenant.tenant_id).run("mine", "2026-11-02T12:00:00+00:00")
    Past(stack, other.tenant_id).run("theirs", "2026-11-03T12:00:00+00:00")

    def jobs(**headers: str) -> list[str]:
        headers |= {"Authorization": f"Bearer {tenant.owner.jwt}"}
        total = api.get("/v1/history", params=NOVEMBER, headers=headers).json()["total"]["runs"]
        found = api.get("/v1/history/jobs", params=NOVEMBER, headers=headers).json()["jobs"]
        assert total == len(found)
        return [job["job"] for job in found]

    assert jobs() == ["theirs", "mine"]
    assert jobs(**{"X-Milepost-Tenant": other.tenant_id}) == ["theirs"]
    assert jobs(**{"X-Milepost-Tenant": tenant.tenant_id}) == ["mine"]


def test_supabase_js_may_call_it_as_a_user(stack: RunningStack, tenant: Tenant, past: Past) -> None:
    past.run("job", "2026-11-02T12:00:00+00:00")
    headers = {
        "apikey": stack.publishable_key,
        "Authorization": f"Bearer {tenant.teammate.jwt}",
        "Content-Profile": "milepost",
    }
    address = f"{stack.supabase_url}/rest/v1/rpc/job_history_stats"
    answer = httpx.post(address, json=NOVEMBER | {"by": "none"}, headers=headers, trust_env=False)
    assert answer.status_code == 200, answer.text
    assert answer.json()["total"]["runs"] == 1
