"""Share links: who makes them, what they show, and when they show nothing."""

import hashlib
import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from running_stack import RunningStack, Tenant
from sharing import Asking, refused

SHOWN = {
    "job", "name", "kind", "unit", "state", "liveness", "health", "attempt", "version", "percent_complete",
    "items_total", "items_completed", "items_failed", "items_skipped", "items_canceled", "items_pending",
    "bytes_processed", "rate_per_s", "eta_ms", "eta_low_ms", "eta_high_ms", "estimated_completion_at", "eta_reason",
    "time_processing_ms", "rate_limited", "current_stage", "stages", "created_at", "started_at",
    "last_checkpoint_at", "finished_at", "expires_at", "next_poll_ms",
}  # fmt: skip


def moment(iso: str) -> datetime:
    return datetime.fromisoformat(iso)


def test_whoever_has_the_link_follows_the_job_without_a_key(api: Asking, tenant: Tenant) -> None:
    api.checkpoint(
        tenant, job="import", name="Nightly import", unit="rows", items_total=10, items_completed=4
    )
    share = api.share(tenant, "import")
    assert re.fullmatch(r"sh_[A-Za-z0-9_-]{43}", share["token"])
    seen = api.get(f"/v1/shared/{share['token']}")
    assert seen.status_code == 200, seen.text
    assert seen.json()["name"] == "Nightly import"
    assert (seen.json()["percent_complete"], seen.json()["state"]) == (40, "running")
    api.checkpoint(tenant, job="import", items_completed=10, state="completed")
    seen = api.get(f"/v1/shared/{share['token']}")
    assert (seen.json()["percent_complete"], seen.json()["state"]) == (100, "completed")


def test_a_link_shows_nothing_that_names_people_tenants_machines_or_data(api: Asking, tenant: Tenant) -> None:
    job = {
        "job": "import", "owner_id": tenant.teammate.user_id, "metadata": {"database": "sesame"}, "max_attempts": 1,
        "stages": [{"name": "load"}],
    }  # fmt: skip
    assert api.post("/v1/jobs", tenant.worker_key, job).status_code == 201
    job_id = api.checkpoint(
        tenant, job="import", worker="sesame-host", items_total=9, items_completed=2, message="at sesame/rows.csv",
        cursor={"offset": "sesame"}, stage={"name": "load", "items_total": 3, "items_completed": 1},
        items=[{"key": "sesame.csv", "state": "failed", "error": "sesame", "payload": {"ip": "sesame"}}],
    )  # fmt: skip
    share = api.share(tenant, "import")
    api.checkpoint(
        tenant, job="import", worker="sesame-host", state="failed", reason="postgres://sesame refused"
    )
    everything = api.get(f"/v1/jobs/{job_id}", tenant.operator_key).text
    assert everything.count("sesame") >= 5
    seen = api.get(f"/v1/shared/{share['token']}")
    assert set(seen.json()) == SHOWN
    assert (seen.json()["state"], seen.json()["stages"][0]["name"]) == ("failed", "load")
    for secret in ("sesame", job_id, tenant.tenant_id, tenant.teammate.user_id):
        assert secret not in seen.text


def test_absent_expired_revoked_and_foreign_links_are_answered_alike(
    api: Asking, stack: RunningStack, tenant: Tenant
) -> None:
    for job in ("import", "other"):
        api.checkpoint(tenant, job=job)
    revoked, expired, kept = (api.share(tenant, "import") for _ in range(3))
    assert api.post(f"/v1/shares/{revoked['share_id']}/revoke", tenant.operator_key).status_code == 200
    stack.sql(
        "update milepost_private.shares set expires_at = now() where share_id = %s", (expired["share_id"],)
    )
    asked = [
        f"/v1/shared/{revoked['token']}",
        f"/v1/shared/{expired['token']}",
        f"/v1/shared/{kept['token']}?job=other",
        f"/v1/shared/{kept['token'][:-1]}",
        f"/v1/shared/{kept['share_id']}",
        f"/v1/shared/{tenant.operator_key}",
        "/v1/shared/sh_guessed",
        f"/v1/jobs/import/badge.svg?share={revoked['token']}",
        f"/v1/jobs/other/badge.svg?share={kept['token']}",
    ]
    answers = {refused(api.get(path), 404, "share_not_found")["message"] for path in asked}
    assert len(answers) == 1
    assert api.get(f"/v1/shared/{kept['token']}").status_code == 200


def test_a_link_may_be_asked_for_its_job_by_name(api: Asking, tenant: Tenant) -> None:
    job_id = api.checkpoint(tenant, job="import")
    token = api.share(tenant, job_id)["token"]
    for job in ("import", job_id):
        assert api.get(f"/v1/shared/{token}?job={job}").json()["job"] == "import"


def test_operators_admins_and_the_owner_share_and_nobody_else(
    api: Asking, stack: RunningStack, tenant: Tenant
) -> None:
    api.post("/v1/jobs", tenant.worker_key, {"job": "theirs", "owner_id": tenant.teammate.user_id})
    api.checkpoint(tenant, job="import")
    for who in (tenant.owner.jwt, tenant.operator_key):
        share = api.post("/v1/jobs/import/shares", who)
        assert share.status_code == 201, share.text
        assert len(api.get("/v1/jobs/import/shares", who).json()["shares"]) == 1
        assert api.post(f"/v1/shares/{share.json()['share_id']}/revoke", who).json()["revoked"] is True
    assert api.post("/v1/jobs/theirs/shares", tenant.teammate.jwt).status_code == 201
    share_id = api.share(tenant, "import")["share_id"]
    for who in (tenant.teammate.jwt, tenant.worker_key):
        refused(api.post("/v1/jobs/import/shares", who), 403, "not_allowed")
        refused(api.get("/v1/jobs/import/shares", who), 403, "not_allowed")
        refused(api.post(f"/v1/shares/{share_id}/revoke", who), 403, "not_allowed")
    stranger = tenant.stranger.jwt
    refused(api.post("/v1/jobs/import/shares", stranger), 404, "job_not_found")
    refused(api.get("/v1/jobs/import/shares", stranger), 404, "job_not_found")
    foreign = refused(api.post(f"/v1/shares/{share_id}/revoke", stranger), 404, "share_not_found")
    absent = refused(api.post(f"/v1/shares/{uuid.uuid4()}/revoke", stranger), 404, "share_not_found")
    nonsense = refused(api.post("/v1/shares/nonsense/revoke", stranger), 404, "share_not_found")
    assert foreign == absent == nonsense
    refused(api.post("/v1/jobs/import/shares"), 401, "key_required")
    assert len(api.get("/v1/jobs/import/shares", tenant.operator_key).json()["shares"]) == 1


def test_a_link_holds_a_week_or_as_long_as_was_said(api: Asking, tenant: Tenant) -> None:
    api.checkpoint(tenant, job="import")
    for body, life in (({}, timedelta(days=7)), ({"expires_in_s": 3600}, timedelta(hours=1))):
        made = api.share(tenant, "import", **body)
        assert moment(made["expires_at"]) - moment(made["created_at"]) == life
        assert abs(moment(made["created_at"]) - datetime.now(UTC)) < timedelta(minutes=5)
    refusals: list[tuple[object, str]] = [
        (59, "out_of_range"),
        (366 * 86_400 + 1, "out_of_range"),
        ("60", "wrong_type"),
    ]
    for wrong, code in refusals:
        asked = {"expires_in_s": wrong}
        refused(api.post("/v1/jobs/import/shares", tenant.operator_key, asked), 422, code)


def test_the_database_keeps_no_token(api: Asking, stack: RunningStack, tenant: Tenant) -> None:
    api.checkpoint(tenant, job="import")
    made = api.share(tenant, "import")
    (row,) = stack.sql(
        "select s::text, s.token_hash from milepost_private.shares s where share_id = %s", (made["share_id"],)
    )
    assert row["token_hash"] == hashlib.sha256(made["token"].encode()).hexdigest()
    assert made["token"][3:] not in row["s"]
    listed = api.get("/v1/jobs/import/shares", tenant.operator_key)
    assert made["token"] not in listed.text
    assert listed.json()["shares"][0]["created_by"].startswith("key:")


def test_links_are_limited_and_dead_ones_are_cleared_away(
    api: Asking, stack: RunningStack, tenant: Tenant
) -> None:
    job_id = api.checkpoint(tenant, job="import")
    first = api.share(tenant, "import")
    stack.sql(
        "insert into milepost_private.shares (job_id, token_hash, created_by, expires_at)"
        " select %s, encode(sha256(uuid_send(gen_random_uuid())), 'hex'), 'user:x', now() + interval '1 day'"
        " from generate_series(1, 99)",
        (job_id,),
    )
    refused(api.post("/v1/jobs/import/shares", tenant.operator_key), 409, "too_many_shares")
    stack.sql(
        "update milepost_private.shares set expires_at = now() where share_id = %s", (first["share_id"],)
    )
    assert api.post("/v1/jobs/import/shares", tenant.operator_key).status_code == 201
    (row,) = stack.sql("select count(*) from milepost_private.shares where job_id = %s", (job_id,))
    assert row["count"] == 100


def test_polling_costs_little_while_nothing_changes(api: Asking, tenant: Tenant) -> None:
    api.paused(tenant, "import", items_total=10, items_completed=4)
    path = f"/v1/shared/{api.share(tenant, 'import')['token']}"
    first = api.get(path)
    assert first.headers["Cache-Control"] == "public, max-age=2"
    again = api.get(path, **{"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    api.checkpoint(tenant, job="import", items_completed=5)
    changed = api.get(path, **{"If-None-Match": first.headers["ETag"]})
    assert (changed.status_code, changed.json()["items_completed"]) == (200, 5)


@pytest.mark.parametrize(
    ("state", "wait_ms"), [("running", range(2000, 10001)), ("paused", [10000]), ("completed", [60000])]
)
def test_the_answer_says_when_to_ask_again(
    api: Asking, tenant: Tenant, state: str, wait_ms: range | list[int]
) -> None:
    if state == "paused":
        api.paused(tenant, "import", items_total=10, items_completed=4)
    else:
        api.checkpoint(tenant, job="import", items_total=10, items_completed=4, state=state)
    seen = api.get(f"/v1/shared/{api.share(tenant, 'import')['token']}").json()
    assert seen["state"] == state
    assert seen["next_poll_ms"] in wait_ms


def test_a_job_takes_its_links_with_it(api: Asking, stack: RunningStack, tenant: Tenant) -> None:
    job_id = api.checkpoint(tenant, job="import")
    token = api.share(tenant, "import")["token"]
    stack.sql("delete from milepost.jobs where job_id = %s", (job_id,))
    refused(api.get(f"/v1/shared/{token}"), 404, "share_not_found")
