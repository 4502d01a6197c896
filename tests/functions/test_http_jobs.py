"""/v1/jobs and /v1/operations: creating, claiming, listing, reading and controlling."""

import json
from typing import Any

import pytest
from asking import KEY, TENANT, USER, assert_refused, token
from fake_postgrest import FakePostgrest, Reply, refusal
from werkzeug.test import Client

JOB = {"job_id": TENANT, "job": "nightly", "state": "running", "attempt": 1, "items_total": 2**62}


def test_a_new_job_is_201_with_its_address(api: Client, fake: FakePostgrest) -> None:
    fake.replies["create_job"] = Reply({"created": True, "job": JOB})
    response = api.post("/v1/jobs", json={"job": "nightly", "start": False}, headers=KEY)
    assert (response.status_code, response.get_json()) == (201, JOB)
    assert response.headers["Location"] == f"/v1/jobs/{TENANT}"
    assert fake.calls[0].body["job"] == {"job": "nightly", "start": False}


def test_a_job_that_exists_is_200(api: Client, fake: FakePostgrest) -> None:
    fake.replies["create_job"] = Reply({"created": False, "job": JOB})
    response = api.post("/v1/jobs", json={"job": "nightly"}, headers=KEY)
    assert (response.status_code, response.get_json()) == (200, JOB)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "missing_field"),
        ([], "wrong_type"),
        ({"job": "a", "priority": 99999}, "out_of_range"),
        ({"job": "a", "stages": [{"name": "s", "weight": -1}]}, "out_of_range"),
        ({"job": "a", "owner_id": "me"}, "invalid_value"),
        ({"job": "a", "items": []}, "unknown_field"),
        ({"job": "a\nb"}, "invalid_value"),
    ],
    ids=str,
)
def test_a_job_with_values_that_cannot_be_is_refused(
    api: Client, fake: FakePostgrest, body: Any, code: str
) -> None:
    assert_refused(api.post("/v1/jobs", json=body, headers=KEY), 422, code)
    assert fake.calls == []


def test_a_claim_names_what_it_can_do(api: Client, fake: FakePostgrest) -> None:
    fake.replies["claim_job"] = Reply(JOB)
    response = api.post("/v1/jobs/claim", json={"kinds": ["csv"], "worker": "host-1"}, headers=KEY)
    assert (response.status_code, response.get_json()) == (200, JOB)
    assert (fake.calls[0].body["kinds"], fake.calls[0].body["worker"]) == (["csv"], "host-1")


def test_a_claim_of_nothing_is_204_without_a_body(api: Client, fake: FakePostgrest) -> None:
    fake.replies["claim_job"] = Reply(None)
    response = api.post("/v1/jobs/claim", headers=KEY)
    assert (response.status_code, response.data) == (204, b"")
    assert fake.calls[0].body["kinds"] is None


def test_a_job_may_be_called_claim(api: Client, fake: FakePostgrest) -> None:
    fake.replies["call_with_key"] = Reply(JOB)
    assert api.get("/v1/jobs/claim", headers=KEY).get_json() == JOB


def test_a_list_is_passed_on_byte_for_byte(api: Client, fake: FakePostgrest) -> None:
    fake.replies["search_jobs"] = Reply('{"jobs": [{"rate": 1.50}],  "next": null}')
    response = api.get("/v1/jobs", headers={"Authorization": f"Bearer {token()}"})
    assert response.data == b'{"jobs": [{"rate": 1.50}],  "next": null}'
    assert fake.calls[0].body == {"limit": 50}


def test_a_list_is_narrowed_by_commas_and_by_repetition(api: Client, fake: FakePostgrest) -> None:
    fake.replies["search_jobs"] = Reply({"jobs": [], "next": None})
    address = (
        "/v1/jobs?state=running,paused&state=failed&kind=a&kind=b,c&q=nightly%20import&liveness=late"
        f"&owner={USER}&tenant={USER}&sort=attention&since=2026-11-22T01:02:03.123Z&until=2026-11-23T00:00:00%2B01:00&limit=200&after=abc"
        "&metadata=%7B%22team%22:%22blue%22%7D"
    )
    assert api.get(address, headers={"Authorization": f"Bearer {token()}"}).status_code == 200
    assert fake.calls[0].body == {
        "state": ["running", "paused", "failed"],
        "kind": ["a", "b", "c"],
        "q": "nightly import",
        "metadata": {"team": "blue"},
        "liveness": ["late"],
        "owner": USER,
        "tenant": USER,
        "sort": "attention",
        "since": "2026-11-22T01:02:03.123Z",
        "until": "2026-11-23T00:00:00+01:00",
        "limit": 200,
        "after": "abc",
    }


def test_a_parameter_without_a_value_is_none(api: Client, fake: FakePostgrest) -> None:
    fake.replies["search_jobs"] = Reply({"jobs": [], "next": None})
    api.get("/v1/jobs?state=&kind=&q=&owner=&since=&after=", headers={"Authorization": f"Bearer {token()}"})
    assert fake.calls[0].body == {"limit": 50}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "out_of_range"),
        ("limit=201", "out_of_range"),
        ("limit=many", "wrong_type"),
        ("limit=1.5", "wrong_type"),
        ("limit=1&limit=2", "invalid_value"),
        ("state=asleep", "invalid_value"),
        ("liveness=dead", "invalid_value"),
        ("owner=me", "invalid_value"),
        ("tenant=ours", "invalid_value"),
        ("sort=oldest", "invalid_value"),
        ("sort=newest&sort=attention", "invalid_value"),
        ("since=yesterday", "invalid_timestamp"),
        ("until=2026-11-22", "invalid_timestamp"),
        ("since=2026-11-22T00:00:00", "invalid_timestamp"),
        ("q=a%00b", "invalid_value"),
        ("kind=%0A", "invalid_value"),
        ("after=%00", "invalid_value"),
        ("stat=running", "unknown_field"),
        ("q=" + "x" * 2001, "too_long"),
        ("metadata=blue", "malformed_json"),
        ("metadata=[1]", "wrong_type"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused_by_its_name(
    api: Client, fake: FakePostgrest, query: str, code: str
) -> None:
    body = assert_refused(api.get(f"/v1/jobs?{query}", headers=KEY), 422, code)
    assert body["message"].startswith(query.partition("=")[0])
    assert fake.calls == []


@pytest.mark.parametrize(
    ("address", "rpc", "args"),
    [
        ("nightly", "get_job_progress", {}),
        (
            "nightly/items?state=failed&stage=load&q=x",
            "list_items",
            {"limit": 50, "state": ["failed"], "stage": "load", "q": "x"},
        ),
        ("nightly/checkpoints?limit=5", "list_checkpoints", {"limit": 5}),
        (
            "nightly/events?type=job.stalled,job.failed",
            "list_events",
            {"limit": 50, "type": ["job.stalled", "job.failed"]},
        ),
        ("nightly/explain", "explain_job", {}),
    ],
)
def test_a_job_is_read(
    api: Client, fake: FakePostgrest, address: str, rpc: str, args: dict[str, Any]
) -> None:
    fake.replies["call_with_key"] = Reply({"what": "it says"})
    assert api.get(f"/v1/jobs/{address}", headers=KEY).get_json() == {"what": "it says"}
    assert (fake.calls[0].body["rpc"], fake.calls[0].body["args"]) == (rpc, {"job_id": "nightly", **args})


@pytest.mark.parametrize(
    ("written", "meant"),
    [("a%2Fb", "a/b"), ("a/b", "a/b"), ("%C3%A9t%C3%A9", "été"), ("a%20b", "a b"), ("50%25", "50%")],
)
def test_a_key_may_hold_any_printable_text(
    api: Client, fake: FakePostgrest, written: str, meant: str
) -> None:
    fake.replies["call_with_key"] = Reply({})
    api.get(f"/v1/jobs/{written}", headers=KEY)
    api.get(f"/v1/jobs/{written}/events", headers=KEY)
    assert [call.body["args"]["job_id"] for call in fake.calls] == [meant, meant]
    assert [call.body["rpc"] for call in fake.calls] == ["get_job_progress", "list_events"]


@pytest.mark.parametrize("name", ["a%00b", "x" * 201, "a%7Fb"])
def test_what_no_job_can_be_called_is_not_found(api: Client, fake: FakePostgrest, name: str) -> None:
    assert_refused(api.get(f"/v1/jobs/{name}", headers=KEY), 404, "job_not_found")
    assert fake.calls == []


@pytest.mark.parametrize("control", ["pause", "resume", "cancel", "retry"])
@pytest.mark.parametrize("reason", [None, "the disk is full"])
def test_a_job_is_controlled_with_or_without_a_reason(
    api: Client, fake: FakePostgrest, control: str, reason: str | None
) -> None:
    fake.replies["call_with_key"] = Reply(JOB)
    response = api.post(f"/v1/jobs/nightly/{control}", json=reason and {"reason": reason}, headers=KEY)
    assert (response.status_code, response.get_json()) == (200, JOB)
    args = {"job_id": "nightly", **({"reason": reason} if reason else {})}
    assert (fake.calls[0].body["rpc"], fake.calls[0].body["args"]) == (f"{control}_job", args)


def test_a_control_without_any_body_needs_no_content_type(api: Client, fake: FakePostgrest) -> None:
    fake.replies["call_with_key"] = Reply(JOB)
    assert api.post("/v1/jobs/nightly/pause", headers=KEY).status_code == 200


def test_a_control_with_another_field_is_refused(api: Client, fake: FakePostgrest) -> None:
    assert_refused(api.post("/v1/jobs/a/pause", json={"why": "x"}, headers=KEY), 422, "unknown_field")
    assert fake.calls == []


def test_a_priority_is_needed_to_set_one(api: Client, fake: FakePostgrest) -> None:
    fake.replies["call_with_key"] = Reply(JOB)
    assert api.post("/v1/jobs/a/priority", json={"priority": -5}, headers=KEY).status_code == 200
    assert fake.calls[0].body["args"] == {"job_id": "a", "priority": -5}
    assert_refused(api.post("/v1/jobs/a/priority", headers=KEY), 422, "missing_field")


def test_a_state_that_does_not_permit_it_is_409_as_the_database_says(
    api: Client, fake: FakePostgrest
) -> None:
    fake.replies["call_with_key"] = refusal(409, "invalid_transition")
    body = assert_refused(api.post("/v1/jobs/a/pause", headers=KEY), 409, "invalid_transition")
    assert body["hint"] == "another"


def test_absent_and_foreign_jobs_are_the_same_404(api: Client, fake: FakePostgrest) -> None:
    fake.replies["call_with_key"] = refusal(404, "job_not_found")
    assert_refused(api.get("/v1/jobs/a", headers=KEY), 404, "job_not_found")


@pytest.mark.parametrize(
    ("state", "more", "ends"),
    [
        ("running", {}, {"done": False}),
        ("paused", {}, {"done": False}),
        ("retrying", {}, {"done": False}),
        ("completed", {}, {"done": True, "response": None}),
        (
            "canceled",
            {"state_reason": "too late"},
            {"done": True, "error": {"code": 1, "message": "too late", "details": []}},
        ),
        (
            "failed",
            {"error": "disk full"},
            {"done": True, "error": {"code": 2, "message": "disk full", "details": []}},
        ),
    ],
)
def test_a_job_is_shown_as_a_long_running_operation(
    api: Client, fake: FakePostgrest, state: str, more: dict[str, Any], ends: dict[str, Any]
) -> None:
    job = {**JOB, "state": state, **more}
    fake.replies["call_with_key"] = Reply(job)
    value = {"@type": "type.googleapis.com/google.protobuf.Struct", "value": job}
    ends = {name: value if name == "response" else said for name, said in ends.items()}
    assert api.get("/v1/operations/nightly", headers=KEY).get_json() == {
        "name": f"operations/{TENANT}",
        "metadata": value,
        **ends,
    }


def test_great_counts_keep_every_digit(api: Client, fake: FakePostgrest) -> None:
    fake.replies["create_job"] = Reply(
        json.dumps({"created": True, "job": {**JOB, "items_total": 2**63 - 1}})
    )
    response = api.post("/v1/jobs", json={"job": "nightly"}, headers=KEY)
    assert b"9223372036854775807" in response.data
