"""Whatever is sent: an answer in the one shape, and never a fault of ours."""

import json
from typing import Any
from urllib.parse import quote, urlencode

from asking import KEY
from fake_postgrest import FakePostgrest, Reply
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import Client

from milepost.models import Checkpoint, ItemReport, NewJob, StageReport

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**400), max_value=10**400)
    | st.floats()
    | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
NAMES = sorted(
    {*Checkpoint.model_fields, *ItemReport.model_fields, *StageReport.model_fields, *NewJob.model_fields}
)
nearly = st.dictionaries(st.sampled_from(NAMES), anything, max_size=6).map(lambda body: {"job": "a", **body})
bodies = anything | nearly | st.lists(nearly | anything, max_size=4)
paths = st.sampled_from(
    [
        "/v1/checkpoints",
        "/v1/jobs",
        "/v1/jobs/claim",
        "/v1/jobs/a/pause",
        "/v1/jobs/a/priority",
        "/v1/jobs/a/shares",
    ]
)

quick = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def check(api: Client, fake: FakePostgrest, path: str, data: bytes) -> None:
    fake.replies |= {
        "create_job": Reply({"created": False, "job": {}}),
        "claim_job": Reply({}),
        "call_with_key": Reply({}),
    }
    response = api.post(path, data=data, headers=KEY, content_type="application/json")
    assert response.status_code in (200, 201, 400, 413, 422), response.text
    body = response.get_json()
    if response.status_code >= 400:
        assert {"code", "message", "details", "hint"} <= body.keys()
        assert isinstance(body["message"], str)
    for call in fake.calls:
        # What reaches the database is JSON that it can store.
        json.loads(call.raw, parse_constant=lambda word: 1 / 0)
    fake.calls.clear()


@quick
@given(body=bodies, path=paths, escaped=st.booleans())
def test_any_json_is_answered(api: Client, fake: FakePostgrest, body: Any, path: str, escaped: bool) -> None:
    check(api, fake, path, json.dumps(body, ensure_ascii=escaped).encode("utf-8", "surrogatepass"))


@quick
@given(data=st.binary(max_size=200), path=paths)
def test_any_bytes_are_answered(api: Client, fake: FakePostgrest, data: bytes, path: str) -> None:
    check(api, fake, path, data)


@quick
@given(name=st.text(max_size=20), query=st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3))
def test_any_address_is_answered(api: Client, fake: FakePostgrest, name: str, query: dict[str, str]) -> None:
    fake.replies["call_with_key"] = Reply({})
    response = api.get(f"/v1/jobs/{quote(name)}/items?{urlencode(query)}", headers=KEY)
    assert response.status_code in (200, 404, 422), response.text
    assert response.is_json
