"""/cron/alerts, from a job that failed to a signed message, through the real PostgREST."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from receivers import Receiver, receiver
from running_stack import RunningStack, Tenant

from functions import alerts, callers, database
from functions.outbound import Undeliverable


@pytest.fixture
def service(stack: RunningStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The functions' code in this process, with the stack's database."""
    monkeypatch.setenv("SUPABASE_URL", stack.supabase_url)
    monkeypatch.setenv("SUPABASE_SECRET_KEY", stack.secret_key)
    monkeypatch.setenv("MILEPOST_ALLOW_PRIVATE_WEBHOOKS", "1")
    yield
    database.connections().close()
    for cached in (database.connections, callers.jwks):
        cached.cache_clear()


@pytest.fixture
def server() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture
def api(stack: RunningStack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.api_url, timeout=30, trust_env=False) as client:
        yield client


def key(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def fail(api: httpx.Client, tenant: Tenant) -> str:
    job = f"job-{uuid.uuid4()}"
    body = {"job": job, "max_attempts": 1}
    api.post("/v1/jobs", json=body, headers=key(tenant.worker_key)).raise_for_status()
    said = {"job": job, "state": "failed", "reason": "disk full"}
    api.post("/v1/checkpoints", json=said, headers=key(tenant.worker_key)).raise_for_status()
    return job


def add(api: httpx.Client, secret: str, address: str, **fields: str) -> httpx.Response:
    body = {"type": "webhook", "name": "hook", "address": address} | fields
    return api.post("/v1/alerts/channels", json=body, headers=key(secret))


def until_delivered(server: Receiver) -> list[dict[str, Any]]:
    """Rounds until a message came: the stack's own round may hold it at the moment, or the evaluation."""
    for _ in range(100):
        alerts.send_all()
        if server.received:
            break
    return [json.loads(got.body) for got in server.received]


@pytest.mark.usefixtures("service")
def test_a_failure_becomes_one_signed_message(api: httpx.Client, tenant: Tenant, server: Receiver) -> None:
    added = add(api, tenant.operator_key, server.url)
    assert added.status_code == 201, added.text
    job = fail(api, tenant)
    (message,) = until_delivered(server)
    assert [(a["rule"], a["job"]) for a in message["data"]["alerts"]] == [("job_failed", job)]
    alerts.send_all()
    assert len(server.received) == 1
    listed = api.get("/v1/alerts", params={"status": "open"}, headers=key(tenant.worker_key)).json()
    assert [a["message"] for a in listed["alerts"]] == [f"{job} failed in attempt 1 of 1: disk full"]
    (channel,) = api.get("/v1/alerts/channels", headers=key(tenant.operator_key)).json()
    assert channel["last_delivered_at"]
    assert channel["last_error"] is None


@pytest.mark.usefixtures("service")
def test_one_channel_that_fails_keeps_no_other_back(
    api: httpx.Client, tenant: Tenant, server: Receiver
) -> None:
    with receiver() as broken:
        broken.status = 500
        add(api, tenant.operator_key, broken.url)
        add(api, tenant.operator_key, server.url)
        fail(api, tenant)
        assert len(until_delivered(server)) == 1
    said = api.get("/v1/alerts/channels", headers=key(tenant.owner.jwt)).json()
    assert [channel["last_error"] for channel in said] == ["it answered 500", None]
    assert said[0]["next_attempt_at"]


@pytest.mark.usefixtures("service")
def test_a_round_ends_in_time_however_much_is_due(api: httpx.Client, tenant: Tenant) -> None:
    for n in range(20):
        add(api, tenant.operator_key, f"https://{n}.example")
    fail(api, tenant)
    tried = []

    def deliver(delivery: dict[str, Any]) -> None:
        tried.append(delivery["delivery_id"])
        raise Undeliverable("no")

    moments = iter([0.0, *[alerts.BUDGET_S + 1.0] * 1000])
    counts = alerts.send_all(deliver=deliver, clock=lambda: next(moments))
    assert counts["failed"] == len(tried) <= 20
    assert counts["delivered"] == 0


@pytest.mark.usefixtures("service")
def test_an_error_of_our_own_is_told_and_stops_nothing(
    api: httpx.Client, tenant: Tenant, capsys: pytest.CaptureFixture[str]
) -> None:
    add(api, tenant.operator_key, "https://hook.example")
    fail(api, tenant)

    def deliver(delivery: dict[str, Any]) -> None:
        raise KeyError("secret of the channel")

    counts = alerts.send_all(deliver=deliver)
    for _ in range(100):
        if counts["failed"]:
            break
        counts = alerts.send_all(deliver=deliver)
    assert "KeyError" in capsys.readouterr().err
    (channel,) = api.get("/v1/alerts/channels", headers=key(tenant.operator_key)).json()
    assert channel["last_error"] == "something went wrong on our side"


def test_the_deployed_functions_refuse_a_private_webhook(
    stack: RunningStack, api: httpx.Client, tenant: Tenant, server: Receiver
) -> None:
    add(api, tenant.operator_key, server.url)
    fail(api, tenant)
    for _ in range(100):
        answered = api.post("/cron/alerts", headers=key(stack.cron_secret))
        assert answered.status_code == 200, answered.text
        assert answered.json().keys() == {"opened", "resolved", "queued", "delivered", "failed"}
        (channel,) = api.get("/v1/alerts/channels", headers=key(tenant.operator_key)).json()
        if channel["last_error"]:
            break
    assert channel["last_error"] == "its host is in a private network, which is refused"
    assert server.received == []


def test_rules_are_set_by_operators_keys_and_admins_only(api: httpx.Client, tenant: Tenant) -> None:
    off = {"is_on": False}
    for secret in (tenant.operator_key, tenant.owner.jwt):
        changed = api.post("/v1/alerts/rules/job_late", json=off, headers=key(secret))
        assert (changed.status_code, changed.json()["is_on"]) == (200, False), changed.text
    for secret in (tenant.worker_key, tenant.teammate.jwt):
        refused = api.post("/v1/alerts/rules/job_late", json=off, headers=key(secret))
        assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
        listed = api.get("/v1/alerts/rules", headers=key(secret)).json()
        assert {rule["rule"]: rule["is_on"] for rule in listed["rules"]}["job_late"] is False


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"threshold": -1}, "out_of_range"),
        ({"window_s": 1}, "out_of_range"),
        ({"is_on": "no"}, "wrong_type"),
        ({"severity": "critical"}, "unknown_field"),
    ],
)
def test_a_rule_is_checked(api: httpx.Client, tenant: Tenant, body: dict[str, Any], code: str) -> None:
    refused = api.post("/v1/alerts/rules/queue_depth", json=body, headers=key(tenant.operator_key))
    assert (refused.status_code, refused.json()["code"]) == (422, code)


def test_an_admin_of_several_tenants_names_the_one(
    stack: RunningStack, api: httpx.Client, tenant: Tenant
) -> None:
    other = stack.tenant()
    stack.sql("select milepost.add_member(%s, %s, 'admin')", (other.tenant_id, tenant.owner.user_id))
    body = {"until": "2099-01-01T00:00:00Z", "rule": "job_late", "reason": "known"}
    refused = api.post("/v1/alerts/mute", json=body, headers=key(tenant.owner.jwt))
    assert refused.json()["code"] == "tenant_required"
    headers = key(tenant.owner.jwt) | {"X-Milepost-Tenant": other.tenant_id}
    muted = api.post("/v1/alerts/mute", json=body, headers=headers)
    assert (muted.status_code, muted.json()["tenant_id"]) == (200, other.tenant_id), muted.text
    (mute,) = api.get("/v1/alerts/rules", headers=headers).json()["mutes"]
    assert (mute["rule"], mute["reason"]) == ("job_late", "known")


def test_a_channel_is_removed_by_who_manages_it(api: httpx.Client, tenant: Tenant) -> None:
    added = add(api, tenant.operator_key, "me@example.org", type="email").json()
    path = f"/v1/alerts/channels/{added['channel_id']}/remove"
    assert api.post(path, headers=key(tenant.stranger.jwt)).json()["code"] == "channel_not_found"
    assert api.post(path, headers=key(tenant.operator_key)).status_code == 200
    assert api.post(path, headers=key(tenant.operator_key)).json()["code"] == "channel_not_found"
    nowhere = api.post("/v1/alerts/channels/x/remove", headers=key(tenant.operator_key))
    assert nowhere.json()["code"] == "channel_not_found"
