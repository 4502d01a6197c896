"""The list of finished jobs: list_finished_jobs, as GET /v1/history/jobs gives it."""

from collections.abc import Callable
from typing import Any

import httpx
from past import Past
from running_stack import RunningStack, Tenant

Ask = Callable[..., dict[str, Any]]
NOVEMBER = {"since": "2026-11-01T00:00:00Z", "until": "2026-12-01T00:00:00Z"}


def names(page: dict[str, Any]) -> list[str]:
    return [job["job"] for job in page["jobs"]]


def test_the_last_one_to_end_comes_first_whenever_it_began(past: Past, ask: Ask) -> None:
    past.run("long", "2026-11-05T12:00:00+00:00", seconds=86_400)
    past.run("early", "2026-11-03T12:00:00+00:00")
    past.run("short", "2026-11-05T11:00:00+00:00", seconds=60)
    past.run("outside", "2026-12-01T00:00:00+00:00")
    page = ask("/v1/history/jobs", **NOVEMBER)
    assert names(page) == ["long", "short", "early"]
    assert page["next"] is None
    assert page["jobs"][0]["time_processing_ms"] == 86_400_000


def test_pages_of_jobs_that_ended_at_one_moment_miss_and_repeat_none(
    stack: RunningStack, tenant: Tenant, ask: Ask
) -> None:
    stack.sql(
        "insert into milepost.jobs (tenant_id, key, name, state, finished_at)"
        " select %s, 'job ' || n, 'n', 'completed', timestamptz '2026-11-05 12:00:00.123456+00' - (n / 5) * interval '1 microsecond'"
        " from generate_series(1, 23) n",
        (tenant.tenant_id,),
    )
    found: list[str] = []
    query = {"limit": "4"}
    while True:
        page = ask("/v1/history/jobs", **query)
        found += names(page)
        if page["next"] is None:
            break
        query["after"] = page["next"]
    assert sorted(found) == sorted(f"job {n}" for n in range(1, 24))


def test_a_job_that_ends_while_somebody_pages_moves_nothing(past: Past, ask: Ask) -> None:
    for place in range(1, 5):
        past.run(f"job {place}", f"2026-11-0{place}T12:00:00+00:00")
    page = ask("/v1/history/jobs", limit="2")
    past.run("new", "2026-11-20T12:00:00+00:00")
    assert names(page) + names(ask("/v1/history/jobs", limit="2", after=page["next"])) == [
        "job 4", "job 3", "job 2", "job 1",
    ]  # fmt: skip


def test_filters_narrow_it(past: Past, ask: Ask) -> None:
    past.run("import", "2026-11-02T12:00:00+00:00", kind="import")
    past.run("crawl", "2026-11-03T12:00:00+00:00", kind="crawl", state="failed", error="No network")
    assert names(ask("/v1/history/jobs", kind="import")) == ["import"]
    assert names(ask("/v1/history/jobs", state="failed,canceled")) == ["crawl"]
    assert names(ask("/v1/history/jobs", q="no net")) == ["crawl"]
    assert names(ask("/v1/history/jobs", since="2026-11-03T00:00:00Z")) == ["crawl"]


def test_whole_jobs_have_all_that_one_job_has(
    past: Past, api: httpx.Client, tenant: Tenant, ask: Ask
) -> None:
    past.run(
        "import",
        "2026-11-02T12:00:00+00:00",
        metadata={"owner": "etl"},
        stage={"name": "load"},
        cursor={"n": 1},
    )
    (whole,) = ask("/v1/history/jobs", whole="true")["jobs"]
    one = api.get("/v1/jobs/import", headers={"Authorization": f"Bearer {tenant.worker_key}"}).json()
    assert whole == one
    assert (whole["metadata"], whole["cursor"]) == ({"owner": "etl"}, {"n": 1})
    (summary,) = ask("/v1/history/jobs")["jobs"]
    assert summary.items() <= whole.items()
    assert "metadata" not in summary


def test_a_job_that_is_tried_again_is_no_history(
    api: httpx.Client, tenant: Tenant, past: Past, ask: Ask
) -> None:
    past.run("import", "2026-11-02T12:00:00+00:00", state="failed", error="no disk")
    assert names(ask("/v1/history/jobs")) == ["import"]
    answer = api.post(
        "/v1/jobs/import/retry", json={}, headers={"Authorization": f"Bearer {tenant.operator_key}"}
    )
    assert answer.status_code == 200, answer.text
    assert names(ask("/v1/history/jobs")) == []


def test_a_cursor_that_no_answer_gave_is_refused(api: httpx.Client, tenant: Tenant) -> None:
    answer = api.get(
        "/v1/history/jobs",
        params={"after": "nonsense"},
        headers={"Authorization": f"Bearer {tenant.worker_key}"},
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_cursor")
