"""The functions before the real PostgREST and Postgres: what only these can show."""

import base64
import hashlib
import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from running_stack import Person, RunningStack, Tenant


@pytest.fixture(scope="module")
def tenant(stack: RunningStack) -> Tenant:
    return stack.tenant()


@pytest.fixture(scope="module")
def api(stack: RunningStack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.api_url, timeout=30, trust_env=False) as client:
        yield client


def key(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def user(person: Person, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {person.jwt}", **more}


def name() -> str:
    return f"job-{uuid.uuid4()}"


def refused(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    body: dict[str, Any] = response.json()
    assert (response.status_code, body.get("code")) == (status, code), body
    assert {"code", "message", "details", "hint"} <= body.keys()
    return body


def test_health_reaches_the_database(api: httpx.Client) -> None:
    assert api.get("/health").json() == {"status": "ok"}


def test_one_request_from_nothing_to_a_tracked_job(api: httpx.Client, tenant: Tenant) -> None:
    job = name()
    said = {"job": job, "items_total": 100, "items_completed": 50, "items_failed": 2, "items_skipped": 1}
    response = api.post("/v1/checkpoints", json=said, headers=key(tenant.worker_key))
    assert response.status_code == 200, response.text
    assert response.json()["results"][0]["accepted"] == 1
    seen = api.get(f"/v1/jobs/{job}", headers=key(tenant.worker_key)).json()
    assert (seen["percent_complete"], seen["items_pending"]) == (51, 47)


def test_an_entry_that_is_refused_leaves_the_others_and_their_places(
    api: httpx.Client, tenant: Tenant
) -> None:
    first, unknown = name(), str(uuid.uuid4())
    body = [{"job": first, "items_total": "3"}, {"job": unknown}, {"job": first, "items_completed": 4}]
    response = api.post("/v1/checkpoints", json=body, headers=key(tenant.worker_key))
    assert response.status_code == 200, response.text
    assert [(e["index"], e["code"]) for e in response.json()["errors"]] == [
        (0, "wrong_type"),
        (1, "job_not_found"),
    ]
    assert api.get(f"/v1/jobs/{first}", headers=key(tenant.worker_key)).json()["items_completed"] == 4


def test_an_unknown_uuid_alone_is_422(api: httpx.Client, tenant: Tenant) -> None:
    response = api.post("/v1/checkpoints", json={"job": str(uuid.uuid4())}, headers=key(tenant.worker_key))
    assert refused(response, 422, "job_not_found")["errors"][0]["index"] == 0


@pytest.mark.parametrize(
    "free_form",
    [
        '{"n": 1e-20000}',
        '{"n": 1e300}',
        '{"n": -0.0}',
        '{"n": 123456789012345678901234567890}',
        '{"t": "\\ud83d\\ude00"}',
        '{"": 1}',
    ],
)
def test_any_json_that_is_taken_can_be_stored(api: httpx.Client, tenant: Tenant, free_form: str) -> None:
    body = f'{{"job": "{name()}", "metadata": {free_form}, "cursor": {free_form}}}'
    headers = {**key(tenant.worker_key), "Content-Type": "application/json"}
    response = api.post("/v1/checkpoints", content=body, headers=headers)
    assert response.status_code in (200, 422), response.text


@pytest.mark.parametrize(
    "at", ["0001-01-01T00:00:00+15:59", "9999-12-31T23:59:59.999999999Z", "2026-11-22t01:02:03z"]
)
def test_any_time_that_is_taken_can_be_stored(api: httpx.Client, tenant: Tenant, at: str) -> None:
    body = {"job": name(), "at": at, "rate_limited_until": at}
    response = api.post("/v1/checkpoints", json=body, headers=key(tenant.worker_key))
    assert response.status_code in (200, 422), response.text


def test_greatest_values_are_stored(api: httpx.Client, tenant: Tenant) -> None:
    job, most = name(), 2**63 - 1
    body = {"job": job, "seq": most, "items_total": most, "items_completed": most, "bytes_processed": most}
    response = api.post("/v1/checkpoints", json=body, headers=key(tenant.worker_key))
    assert response.status_code == 200, response.text
    assert api.get(f"/v1/jobs/{job}", headers=key(tenant.worker_key)).json()["items_total"] == most


def test_an_unknown_key_is_401(api: httpx.Client) -> None:
    refused(api.post("/v1/checkpoints", json={"job": "a"}, headers=key("mp_nobodys")), 401, "invalid_key")
    refused(api.get("/v1/jobs", headers=key("mp_nobodys")), 401, "invalid_key")


def test_a_revoked_key_is_401_at_the_next_request(api: httpx.Client, stack: RunningStack) -> None:
    secret = stack.tenant().worker_key
    assert api.post("/v1/checkpoints", json={"job": "a"}, headers=key(secret)).status_code == 200
    by_hash = "select milepost.revoke_key(key_id) from milepost_private.keys where key_hash = %s"
    stack.sql(by_hash, (hashlib.sha256(secret.encode()).hexdigest(),))
    refused(api.post("/v1/checkpoints", json={"job": "a"}, headers=key(secret)), 401, "invalid_key")
    refused(api.get("/v1/jobs/a", headers=key(secret)), 401, "invalid_key")


def test_too_many_requests_are_429_with_the_time_to_wait(api: httpx.Client, stack: RunningStack) -> None:
    busy = stack.tenant()
    stack.sql("update milepost.tenants set requests_per_s = 1 where tenant_id = %s", (busy.tenant_id,))
    answers: list[httpx.Response] = []
    while not answers or (answers[-1].status_code == 200 and len(answers) < 100):
        answers.append(api.post("/v1/checkpoints", json={"job": "busy"}, headers=key(busy.worker_key)))
    answer = answers[-1]
    refused(answer, 429, "too_many_requests")
    assert len(answers) > 10
    assert 1 <= int(answer.headers["Retry-After"]) <= 10


def test_a_job_is_created_once(api: httpx.Client, tenant: Tenant) -> None:
    new = {"job": name(), "kind": "csv", "items_total": 10, "stages": [{"name": "load"}], "priority": 3}
    first = api.post("/v1/jobs", json=new, headers=key(tenant.worker_key))
    assert first.status_code == 201, first.text
    assert api.get(first.headers["Location"], headers=key(tenant.worker_key)).json()["job"] == new["job"]
    again = api.post("/v1/jobs", json=new, headers=key(tenant.worker_key))
    assert (again.status_code, again.json()["job_id"]) == (200, first.json()["job_id"])


def test_a_waiting_job_is_claimed_once(api: httpx.Client, tenant: Tenant) -> None:
    kind = name()
    api.post("/v1/jobs", json={"job": name(), "kind": kind, "start": False}, headers=key(tenant.worker_key))
    claim = {"kinds": [kind], "worker": "host-1"}
    taken = api.post("/v1/jobs/claim", json=claim, headers=key(tenant.worker_key))
    assert (taken.status_code, taken.json()["state"]) == (200, "running")
    assert api.post("/v1/jobs/claim", json=claim, headers=key(tenant.worker_key)).status_code == 204


def test_pages_follow_each_other_to_the_last_job(api: httpx.Client, tenant: Tenant) -> None:
    kind = name()
    made = {name() for _ in range(5)}
    body = [{"job": job, "kind": kind} for job in sorted(made)]
    api.post("/v1/checkpoints", json=body, headers=key(tenant.worker_key))
    seen: list[str] = []
    query = {"kind": kind, "limit": "2", "after": ""}
    while query["after"] is not None:
        page = api.get("/v1/jobs", params=query, headers=key(tenant.worker_key))
        assert page.status_code == 200, page.text
        seen += [job["job"] for job in page.json()["jobs"]]
        query["after"] = page.json()["next"]
    assert len(seen) == 5
    assert set(seen) == made


def test_every_filter_of_a_list_is_understood(api: httpx.Client, tenant: Tenant) -> None:
    query = {
        "state": "running,paused",
        "kind": "a,b",
        "q": "50%_x",
        "owner": tenant.owner.user_id,
        "liveness": "late,lost",
        "since": "2026-01-01T00:00:00Z",
        "until": "2036-01-01T00:00:00Z",
    }
    for headers in (key(tenant.worker_key), user(tenant.teammate)):
        response = api.get("/v1/jobs", params=query, headers=headers)
        assert (response.status_code, response.json()) == (200, {"jobs": [], "next": None}), response.text


def test_a_page_that_nobody_gave_is_refused(api: httpx.Client, tenant: Tenant) -> None:
    refused(api.get("/v1/jobs?after=elsewhere", headers=key(tenant.worker_key)), 422, "invalid_cursor")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/items",
        "/items?state=failed&stage=s&q=x",
        "/checkpoints",
        "/events",
        "/events?type=job.started",
        "/explain",
    ],
)
def test_a_job_is_read_by_key_and_by_user_alike(api: httpx.Client, tenant: Tenant, path: str) -> None:
    job = name()
    api.post(
        "/v1/checkpoints",
        json={"job": job, "items": [{"key": "f", "state": "failed"}]},
        headers=key(tenant.worker_key),
    )
    by_key = api.get(f"/v1/jobs/{job}{path}", headers=key(tenant.worker_key))
    by_user = api.get(f"/v1/jobs/{job}{path}", headers=user(tenant.teammate))
    assert by_key.status_code == by_user.status_code == 200, (by_key.text, by_user.text)
    assert by_key.json().keys() == by_user.json().keys()
    refused(api.get(f"/v1/jobs/{job}{path}", headers=user(tenant.stranger)), 404, "job_not_found")


def test_a_foreign_job_is_as_absent_as_one_that_never_was(api: httpx.Client, tenant: Tenant) -> None:
    job = name()
    made = api.post("/v1/jobs", json={"job": job}, headers=key(tenant.worker_key)).json()
    foreign = api.get(f"/v1/jobs/{made['job_id']}", headers=user(tenant.stranger))
    absent = api.get(f"/v1/jobs/{uuid.uuid4()}", headers=user(tenant.stranger))
    assert refused(foreign, 404, "job_not_found")["hint"] == refused(absent, 404, "job_not_found")["hint"]
    assert made["job_id"] not in json.dumps(api.get("/v1/jobs", headers=user(tenant.stranger)).json())


def test_an_operator_controls_and_a_worker_does_not(api: httpx.Client, tenant: Tenant) -> None:
    job = name()
    api.post("/v1/checkpoints", json={"job": job}, headers=key(tenant.worker_key))
    refused(api.post(f"/v1/jobs/{job}/pause", headers=key(tenant.worker_key)), 403, "not_allowed")
    refused(api.post(f"/v1/jobs/{job}/pause", headers=user(tenant.teammate)), 403, "not_allowed")
    paused = api.post(f"/v1/jobs/{job}/pause", json={"reason": "lunch"}, headers=key(tenant.operator_key))
    assert (paused.status_code, paused.json()["state"]) == (200, "pausing"), paused.text
    told = api.post("/v1/checkpoints", json={"job": job, "state": "paused"}, headers=key(tenant.worker_key))
    assert told.status_code == 200, told.text
    assert told.json()["results"][0]["directive"] == "pause"
    for control, state in (("resume", "running"), ("cancel", "canceling")):
        answered = api.post(f"/v1/jobs/{job}/{control}", headers=user(tenant.owner))
        assert (answered.status_code, answered.json()["state"]) == (200, state), answered.text
    asked = {"priority": 7, "reason": "the report is due"}
    moved = api.post(f"/v1/jobs/{job}/priority", json=asked, headers=key(tenant.operator_key))
    assert (moved.status_code, moved.json()["priority"]) == (200, 7), moved.text


def test_a_control_that_the_state_does_not_permit_is_409(api: httpx.Client, tenant: Tenant) -> None:
    job = name()
    api.post("/v1/checkpoints", json={"job": job, "state": "completed"}, headers=key(tenant.worker_key))
    refused(api.post(f"/v1/jobs/{job}/pause", headers=key(tenant.operator_key)), 409, "invalid_transition")


def test_a_retry_begins_the_next_attempt_and_stops_the_old_worker(api: httpx.Client, tenant: Tenant) -> None:
    job = name()
    api.post("/v1/jobs", json={"job": job, "max_attempts": 1}, headers=key(tenant.worker_key))
    api.post("/v1/checkpoints", json={"job": job, "state": "failed"}, headers=key(tenant.worker_key))
    retried = api.post(f"/v1/jobs/{job}/retry", headers=key(tenant.operator_key))
    assert retried.status_code == 200, retried.text
    assert retried.json()["attempt"] == 2
    old = api.post("/v1/checkpoints", json={"job": job, "attempt": 1}, headers=key(tenant.worker_key))
    assert old.status_code == 200
    assert old.json()["results"][0]["directive"] == "stop"
    assert old.json()["errors"][0]["code"] == "stale_attempt"


def test_a_user_reports_and_creates_in_the_users_tenant(api: httpx.Client, tenant: Tenant) -> None:
    job = name()
    headers = user(tenant.owner, **{"X-Milepost-Tenant": tenant.tenant_id})
    assert api.post("/v1/jobs", json={"job": job}, headers=headers).status_code == 201
    assert api.post("/v1/checkpoints", json={"job": job}, headers=user(tenant.owner)).status_code == 200
    refused(api.post("/v1/checkpoints", json={"job": job}, headers=user(tenant.teammate)), 403, "not_allowed")
    elsewhere = user(tenant.stranger, **{"X-Milepost-Tenant": tenant.tenant_id})
    refused(api.post("/v1/checkpoints", json={"job": job}, headers=elsewhere), 403, "not_allowed")


def test_an_event_carries_the_correlation_id_of_its_request(api: httpx.Client, tenant: Tenant) -> None:
    job, given = name(), str(uuid.uuid4())
    headers = {**key(tenant.worker_key), "X-Correlation-Id": given}
    api.post("/v1/checkpoints", json={"job": job}, headers=headers)
    events = api.get(f"/v1/jobs/{job}/events", headers=key(tenant.worker_key)).json()["events"]
    assert {event["correlation_id"] for event in events} == {given}


def test_an_operation_is_the_job(api: httpx.Client, tenant: Tenant) -> None:
    job = name()
    api.post("/v1/checkpoints", json={"job": job, "state": "completed"}, headers=key(tenant.worker_key))
    operation = api.get(f"/v1/operations/{job}", headers=key(tenant.worker_key)).json()
    assert (operation["done"], operation["response"]["value"]["job"]) == (True, job)


@pytest.mark.parametrize("path", ["/health/jobs", "/health/loading-progress", "/health/metrics"])
def test_the_health_of_all_jobs_is_read(api: httpx.Client, tenant: Tenant, path: str) -> None:
    for headers in (key(tenant.worker_key), user(tenant.teammate)):
        response = api.get(path, headers=headers)
        assert response.status_code == 200, response.text


def test_the_health_of_one_job_is_read(api: httpx.Client, tenant: Tenant) -> None:
    job = name()
    api.post("/v1/checkpoints", json={"job": job}, headers=key(tenant.worker_key))
    assert api.get(f"/health/jobs/{job}", headers=key(tenant.worker_key)).status_code == 200
    refused(api.get(f"/health/jobs/{job}", headers=user(tenant.stranger)), 404, "job_not_found")


@pytest.mark.parametrize("work", ["sweep", "purge"])
def test_scheduled_work_may_be_repeated(api: httpx.Client, stack: RunningStack, work: str) -> None:
    for _ in range(2):
        response = api.post(f"/cron/{work}", headers=key(stack.cron_secret))
        assert response.status_code == 200, response.text


def test_a_ping_starts_and_ends_a_job(api: httpx.Client, tenant: Tenant) -> None:
    job = name()
    assert api.get(f"/ping/{tenant.ping_key}/{job}/start").status_code == 200
    assert api.get(f"/ping/{tenant.ping_key}/{job}").status_code == 200
    assert api.get(f"/v1/jobs/{job}", headers=key(tenant.worker_key)).json()["state"] == "completed"


def test_a_key_that_only_pings_does_nothing_else(api: httpx.Client, tenant: Tenant) -> None:
    refused(api.post("/v1/checkpoints", json={"job": "a"}, headers=key(tenant.ping_key)), 403, "not_allowed")
    refused(api.get("/ping/mp_nobodys/a"), 401, "invalid_key")


def cursor(sort_key: object) -> str:
    """Any JSON as a cursor has it."""
    return base64.urlsafe_b64encode(json.dumps(sort_key).encode()).decode().rstrip("=")


NO_SORT_KEYS: list[Any] = [1, None, "a", {}, {"0": 1}, [], [None], ["x"], [[]], [10**30, "x"], ["now", 7]]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/jobs",
        "/v1/jobs?sort=attention",
        "/v1/jobs/{job}/items",
        "/v1/jobs/{job}/checkpoints",
        "/v1/jobs/{job}/events",
        "/v1/history/jobs",
        "/v1/audit",
        "/v1/alerts",
    ],
)
def test_a_cursor_that_somebody_made_up_is_refused(api: httpx.Client, tenant: Tenant, path: str) -> None:
    job = name()
    api.post("/v1/checkpoints", json={"job": job}, headers=key(tenant.worker_key))
    for after in [*map(cursor, NO_SORT_KEYS), "elsewhere", "====", "é", "-_-"]:
        response = api.get(
            path.format(job=job), params={"limit": 1, "after": after}, headers=key(tenant.operator_key)
        )
        refused(response, 422, "invalid_cursor")
