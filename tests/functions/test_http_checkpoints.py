"""POST /v1/checkpoints: what is valid is recorded, what is not is named, and nothing in between."""

import hashlib
import json
from typing import Any

import pytest
from asking import KEY, TENANT, USER, assert_refused, token
from fake_postgrest import FakePostgrest, Reply, refusal
from werkzeug.test import Client, TestResponse


def post(api: Client, body: Any, headers: dict[str, str] | None = None) -> TestResponse:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return api.post("/v1/checkpoints", data=data, content_type="application/json", headers=headers or KEY)


def test_one_checkpoint_needs_nothing_but_its_job(api: Client, fake: FakePostgrest) -> None:
    response = post(api, {"job": "nightly-import"})
    assert response.status_code == 200
    assert response.get_json() == {"errors": [], "results": [{"job": "nightly-import", "accepted": 1}]}
    key_hash = hashlib.sha256(b"mp_worker").hexdigest()
    assert fake.calls[0].body == {
        "caller": {"key_hash": key_hash},
        "checkpoints": [{"job": "nightly-import"}],
    }


@pytest.mark.parametrize(
    ("body", "passed"),
    [
        (b' {"job": "a", "cursor": 1.50} ', b'[ {"job": "a", "cursor": 1.50} ]'),
        (b' [{"job": "a", "cursor": 1.50}]\n', b' [{"job": "a", "cursor": 1.50}]\n'),
        (b'\n{"checkpoints": [{"job": "a", "cursor": 1.50}]}', b'[{"job": "a", "cursor": 1.50}]'),
    ],
    ids=["one", "array", "object"],
)
def test_a_valid_body_reaches_the_database_byte_for_byte(
    api: Client, fake: FakePostgrest, body: bytes, passed: bytes
) -> None:
    assert post(api, body).status_code == 200
    assert passed in fake.calls[0].raw
    assert fake.calls[0].body["checkpoints"] == [{"job": "a", "cursor": 1.5}]


def test_the_databases_answer_is_passed_on_byte_for_byte(api: Client, fake: FakePostgrest) -> None:
    answered = '{"errors": [],  "results": [{"job": "a", "percent_complete": 42.50}]}'
    fake.replies["record_checkpoints"] = Reply(answered)
    assert post(api, {"job": "a"}).text == answered


def test_the_key_itself_never_leaves_the_functions(api: Client, fake: FakePostgrest) -> None:
    post(api, {"job": "a"})
    call = fake.calls[0]
    assert b"mp_worker" not in call.raw
    assert not any("mp_worker" in value for value in call.headers.values())


def test_the_service_is_proved_by_the_apikey_alone(api: Client, fake: FakePostgrest) -> None:
    post(api, {"job": "a"})
    headers = fake.calls[0].headers
    assert headers["apikey"] == "sb_secret_of_the_project"
    assert "authorization" not in headers
    assert headers["content-profile"] == "milepost"


def test_a_legacy_service_key_is_sent_as_a_token_too(
    api: Client, fake: FakePostgrest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SUPABASE_SECRET_KEY")
    monkeypatch.setenv("SUPABASE_SERVICE_ROLE_KEY", "eyJlegacy")
    post(api, {"job": "a"})
    assert fake.calls[0].headers["authorization"] == "Bearer eyJlegacy"


def test_a_user_reports_in_the_tenant_that_is_named(api: Client, fake: FakePostgrest) -> None:
    post(api, {"job": "a"}, {"Authorization": f"Bearer {token()}", "X-Milepost-Tenant": TENANT})
    assert fake.calls[0].body["caller"] == {"user_id": USER, "tenant_id": TENANT}


def test_valid_entries_are_kept_and_the_others_named_by_their_place(api: Client, fake: FakePostgrest) -> None:
    response = post(api, [{"job": "a"}, {"job": "b", "items_total": "3"}, {"job": "c"}, {"jub": "d"}])
    assert response.status_code == 200
    assert [(e["index"], e["code"]) for e in response.get_json()["errors"]] == [
        (1, "wrong_type"),
        (3, "missing_field"),
    ]
    sent = fake.calls[0].body
    assert (sent["checkpoints"], sent["indexes"]) == ([{"job": "a"}, {"job": "c"}], [0, 2])


def test_refusals_of_the_database_and_of_the_functions_are_told_in_order(
    api: Client, fake: FakePostgrest
) -> None:
    stale = {"index": 2, "code": "stale_attempt", "message": "no", "hint": "stop"}
    fake.replies["record_checkpoints"] = Reply({"errors": [stale], "results": [{"job": "a"}]})
    response = post(api, [{}, {"job": "a"}, {"job": "b"}, {"job": 1}])
    assert [e["index"] for e in response.get_json()["errors"]] == [0, 2, 3]
    assert stale in response.get_json()["errors"]


def test_nothing_reaches_the_database_where_no_entry_is_valid(api: Client, fake: FakePostgrest) -> None:
    body = assert_refused(post(api, [{"job": ""}, {"job": "a", "nope": 1}]), 422, "too_short")
    assert body["results"] == []
    assert [e["code"] for e in body["errors"]] == ["too_short", "unknown_field"]
    assert fake.calls == []


def test_entries_that_only_the_database_refuses_are_422_too(api: Client, fake: FakePostgrest) -> None:
    error = {"index": 0, "code": "job_not_found", "message": "no such job", "hint": "create it"}
    fake.replies["record_checkpoints"] = Reply({"errors": [error], "results": []})
    body = assert_refused(post(api, {"job": TENANT}), 422, "job_not_found")
    assert (body["results"], body["errors"]) == ([], [error])


def test_entries_refused_by_both_are_422_with_all_of_them(api: Client, fake: FakePostgrest) -> None:
    error = {"index": 0, "code": "job_not_found", "message": "no such job", "hint": "create it"}
    fake.replies["record_checkpoints"] = Reply({"errors": [error], "results": []})
    body = assert_refused(post(api, [{"job": TENANT}, {}]), 422, "job_not_found")
    assert [e["code"] for e in body["errors"]] == ["job_not_found", "missing_field"]


def test_an_older_attempt_is_answered_and_not_refused(api: Client, fake: FakePostgrest) -> None:
    answered = {
        "errors": [{"index": 0, "code": "stale_attempt", "message": "no", "hint": "stop"}],
        "results": [{"job": "a", "accepted": 0, "directive": "stop"}],
    }
    fake.replies["record_checkpoints"] = Reply(answered)
    response = post(api, {"job": "a", "attempt": 1})
    assert (response.status_code, response.get_json()) == (200, answered)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ([], "no_entries"),
        ({"checkpoints": []}, "no_entries"),
        ({"checkpoints": {"job": "a"}}, "wrong_type"),
        ({"checkpoints": [{"job": "a"}], "caller": {"tenant_id": TENANT}}, "unknown_field"),
        ("text", "wrong_type"),
        (None, "wrong_type"),
        (7, "wrong_type"),
        ({}, "missing_field"),
        ([[{"job": "a"}]], "wrong_type"),
    ],
    ids=str,
)
def test_a_body_without_any_entry_is_refused(api: Client, fake: FakePostgrest, body: Any, code: str) -> None:
    refused = assert_refused(post(api, body), 422, code)
    assert refused["results"] == []
    assert fake.calls == []


@pytest.mark.parametrize(
    ("field", "code"),
    [
        ('"items_total": "12"', "wrong_type"),
        ('"items_total": true', "wrong_type"),
        ('"items_total": 1.5', "wrong_type"),
        ('"items_total": 1e3', "wrong_type"),
        ('"items_total": -1', "out_of_range"),
        ('"items_total": 9223372036854775808', "out_of_range"),
        ('"items_total": 1' + "0" * 400, "out_of_range"),
        ('"items_total": NaN', "wrong_type"),
        ('"batch": {"duration_ms": NaN}', "out_of_range"),
        ('"batch": {"duration_ms": 1e999}', "out_of_range"),
        ('"batch": {"duration_ms": -Infinity}', "out_of_range"),
        ('"metadata": {"load": NaN}', "invalid_value"),
        ('"metadata": {"load": 1e999}', "invalid_value"),
        ('"metadata": {"load": 1e-20000}', "invalid_value"),
        ('"cursor": 0e-20000', "invalid_value"),
        ('"cursor": 1.' + "0" * 17_000, "invalid_value"),
        ('"message": "a\\u0000b"', "invalid_value"),
        ('"metadata": {"a": "\\u0000"}', "invalid_value"),
        ('"cursor": {"\\u0000": 1}', "invalid_value"),
        ('"message": "\\ud800"', "wrong_type"),
        ('"metadata": {"a": "\\udc00"}', "invalid_value"),
        ('"metadata": [1]', "wrong_type"),
        ('"cursor": ' + "[" * 40 + "]" * 40, "invalid_value"),
        ('"metadata": {"a": "' + "x" * 17_000 + '"}', "too_long"),
        ('"state": "sleeping"', "invalid_value"),
        ('"at": "yesterday"', "invalid_timestamp"),
        ('"items_compleated": 1', "unknown_field"),
        ('"worker": "a\\nb"', "invalid_value"),
    ],
)
def test_values_that_cannot_be_are_refused(api: Client, fake: FakePostgrest, field: str, code: str) -> None:
    body = assert_refused(post(api, b'{"job": "a", ' + field.encode() + b"}"), 422, code)
    assert body["errors"][0]["index"] == 0
    assert fake.calls == []


def test_text_that_only_looks_like_nul_is_kept(api: Client, fake: FakePostgrest) -> None:
    assert post(api, b'{"job": "a", "metadata": {"path": "C:\\\\u0000"}}').status_code == 200
    assert fake.calls[0].body["checkpoints"][0]["metadata"] == {"path": "C:\\u0000"}


def test_a_thousand_entries_are_taken(api: Client, fake: FakePostgrest) -> None:
    assert post(api, [{"job": "a"}] * 1000).status_code == 200
    assert fake.calls[0].body["columns"]["lane"] == "{" + ",".join(["1"] * 1000) + "}"


def test_many_checkpoints_reach_the_database_as_columns(api: Client, fake: FakePostgrest) -> None:
    entries = [{"job": "a", "seq": n, "cursor": {"offset": 0.1 * n}} for n in range(20)]
    assert post(api, {"checkpoints": [*entries, {"job": "b", "items_total": None}]}).status_code == 200
    assert fake.calls[0].body["columns"] == {
        "jobs": ["a", "b"],
        "workers": ["main", "main"],
        "lane": "{" + "1," * 20 + "2}",
        "seq": "{" + "".join(f"{n}," for n in range(20)) + "null}",
        "items_total": "{" + ",".join(["null"] * 21) + "}",
        "cursor": [*(entry["cursor"] for entry in entries), None],
        "nulls": {"items_total": "{21}"},
    }


def test_of_many_the_valid_ones_are_kept_and_the_others_named(api: Client, fake: FakePostgrest) -> None:
    entries = [{"job": f"job-{n}", "seq": "x" if n == 3 else n} for n in range(20)]
    response = post(api, entries)
    assert [(e["index"], e["code"]) for e in response.get_json()["errors"]] == [(3, "wrong_type")]
    sent = fake.calls[0].body
    assert sent["indexes"] == [n for n in range(20) if n != 3]
    assert len(sent["columns"]["jobs"]) == 19


def test_a_number_that_no_float_holds_reaches_the_database_as_it_was_written(
    api: Client, fake: FakePostgrest
) -> None:
    number = b"0.12345678901234567890"
    entries = b",".join(b'{"job": "a", "cursor": ' + number + b"}" for _ in range(20))
    assert post(api, b"[" + entries + b"]").status_code == 200
    assert fake.calls[0].raw.count(number) == 20


def test_more_than_a_thousand_entries_are_too_many(api: Client, fake: FakePostgrest) -> None:
    assert_refused(post(api, [{"job": "a"}] * 1001), 413, "too_many_entries")
    assert fake.calls == []


def test_a_refused_key_is_told_as_the_database_says_it(api: Client, fake: FakePostgrest) -> None:
    fake.replies["record_checkpoints"] = refusal(401, "invalid_key")
    assert_refused(post(api, {"job": "a"}), 401, "invalid_key")


def test_a_rate_limit_is_passed_on_with_its_wait(api: Client, fake: FakePostgrest) -> None:
    fake.replies["record_checkpoints"] = refusal(429, "rate_limited", **{"Retry-After": "7"})
    response = post(api, {"job": "a"})
    assert_refused(response, 429, "rate_limited")
    assert response.headers["Retry-After"] == "7"
