"""GET /v1/audit."""

import pytest
from asking import KEY, assert_refused, token
from fake_postgrest import FakePostgrest, Reply
from werkzeug.test import Client

ENTRY = {"id": 1, "action": "pause", "actor": "system"}


def test_a_page_of_the_audit_is_passed_on(api: Client, fake: FakePostgrest) -> None:
    fake.replies["list_audit"] = Reply({"audit": [ENTRY], "next": None})
    response = api.get("/v1/audit", headers={"Authorization": f"Bearer {token()}"})
    assert response.get_json() == {"audit": [ENTRY], "next": None}
    assert fake.calls[0].body == {"limit": 50}


def test_it_is_narrowed_to_a_job_and_to_what_was_done(api: Client, fake: FakePostgrest) -> None:
    fake.replies["call_with_key"] = Reply({"audit": [], "next": None})
    asked = "/v1/audit?job=nightly/import&action=pause,cancel&limit=7&after=abc"
    assert api.get(asked, headers=KEY).status_code == 200
    call = fake.calls[0].body
    assert call["rpc"] == "list_audit"
    assert call["args"] == {
        "job_id": "nightly/import",
        "action": ["pause", "cancel"],
        "limit": 7,
        "after": "abc",
    }


@pytest.mark.parametrize("query", ["limit=0", "job=a&job=b", "what=1"])
def test_a_parameter_that_cannot_be_is_refused(api: Client, fake: FakePostgrest, query: str) -> None:
    response = api.get(f"/v1/audit?{query}", headers=KEY)
    assert response.status_code == 422 and fake.calls == []


def test_nobody_reads_it_without_a_key(api: Client, fake: FakePostgrest) -> None:
    assert_refused(api.get("/v1/audit"), 401, "key_required")
