"""Versions of the functions and the database that do not fit are said, with what to do."""

import pytest
from asking import KEY, assert_refused
from fake_postgrest import FakePostgrest, Reply, refusal
from werkzeug.test import Client

from milepost._version import HEADER, VERSION


def test_every_answer_says_the_version(api: Client, fake: FakePostgrest) -> None:
    for path in ("/health", "/nowhere", "/openapi.json"):
        assert api.get(path).headers[HEADER] == VERSION


@pytest.mark.parametrize("schema", ["0.0.9", "0.2.0", "1.0.0"])
def test_health_refuses_a_schema_that_does_not_fit(api: Client, fake: FakePostgrest, schema: str) -> None:
    fake.replies["schema_version"] = Reply(f'"{schema}"')
    said = assert_refused(api.get("/health"), 503, "schema_mismatch")
    assert VERSION in said["message"] and schema in said["message"]
    assert "supabase db push" in said["hint"]


def test_a_later_patch_of_the_schema_fits(api: Client, fake: FakePostgrest) -> None:
    fake.replies["schema_version"] = Reply(f'"{VERSION.rpartition(".")[0]}.99"')
    assert api.get("/health").status_code == 200


def test_health_refuses_a_database_without_a_version(api: Client, fake: FakePostgrest) -> None:
    fake.replies["schema_version"] = refusal(404, "PGRST202")
    assert_refused(api.get("/health"), 503, "schema_mismatch")


@pytest.mark.parametrize(("status", "code"), [(404, "PGRST202"), (404, "42883"), (404, "not_found")])
def test_a_function_that_is_missing_in_an_older_schema_is_explained(
    api: Client, fake: FakePostgrest, status: int, code: str
) -> None:
    fake.replies["call_with_key"] = refusal(status, code)
    fake.replies["schema_version"] = Reply('"0.0.9"')
    assert_refused(api.get("/v1/jobs/a", headers=KEY), 503, "schema_mismatch")


def test_a_function_that_is_missing_in_a_schema_that_fits_is_a_fault(
    api: Client, fake: FakePostgrest
) -> None:
    fake.replies["call_with_key"] = refusal(404, "PGRST202")
    assert_refused(api.get("/v1/jobs/a", headers=KEY), 500, "internal_error")


def test_what_does_not_go_wrong_asks_for_no_version(api: Client, fake: FakePostgrest) -> None:
    fake.replies["call_with_key"] = Reply({"job_id": "a"})
    api.get("/v1/jobs/a", headers=KEY)
    assert [call.rpc for call in fake.calls] == ["call_with_key"]
