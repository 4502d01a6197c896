"""Bodies, headers and addresses that no client of ours would send, before the real PostgREST and Postgres."""

import gzip
import http.client
import json
import uuid
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from running_stack import RunningStack, Tenant
from test_http_anything import anything, nearly

WRITES = ["/v1/checkpoints", "/v1/jobs", "/v1/jobs/claim", "/v1/jobs/a/pause", "/v1/jobs/a/priority",
          "/v1/jobs/a/shares", "/v1/alerts/channels", "/v1/alerts/mute", "/v1/alerts/rules/job_failed"]  # fmt: skip
BOMB = gzip.compress(b" " * 50_000_000, 1)
DEEP = b"[" * 10_000 + b"]" * 10_000
BODIES = {
    "nothing": b"",
    "a zero byte": b"\0",
    "a byte order mark": b'\xef\xbb\xbf{"job": "a"}',
    "utf-16": '{"job": "a"}'.encode("utf-16"),
    "no utf-8": b'{"job": "\xff"}',
    "an overlong sequence": b'{"job": "\xc0\x80"}',
    "a surrogate in utf-8": b'{"job": "\xed\xa0\x80"}',
    "a lone surrogate": rb'{"job": "\ud800"}',
    "half a pair in the metadata": rb'{"job": "a", "metadata": {"x": "\udc00"}}',
    "U+0000 in the key": rb'{"job": "a\u0000"}',
    "U+0000 in the message": rb'{"job": "a", "message": "\u0000"}',
    "U+0000 in the metadata's name": rb'{"job": "a", "metadata": {"\u0000": 1}}',
    "U+0000 in the cursor": rb'{"job": "a", "cursor": ["\u0000"]}',
    "a control character as it is": b'{"job": "a\x01"}',
    "escapes of the terminal": rb'{"job": "a\u001b[31m"}',
    "NaN": b'{"job": "a", "items_total": NaN}',
    "Infinity in the cursor": b'{"job": "a", "cursor": [Infinity, -Infinity, NaN]}',
    "1e400": b'{"job": "a", "items_total": 1e400}',
    "1e400 in the metadata": b'{"job": "a", "metadata": {"x": 1e400}}',
    "1e-400 in the metadata": b'{"job": "a", "metadata": {"x": 1e-400000}}',
    "a great exponent": b'{"job": "a", "cursor": 1e99999999999999999999}',
    "a great number": b'{"job": "a", "items_total": 9223372036854775808}',
    "a number of 4,000 digits": b'{"job": "a", "cursor": ' + b"9" * 4_000 + b"}",
    "a number of 5,000 digits": b'{"job": "a", "cursor": ' + b"9" * 5_000 + b"}",
    "minus zero": b'{"job": "a", "items_total": -0}',
    "deep": DEEP,
    "deep in the metadata": b'{"job": "a", "metadata": {"x": ' + DEEP + b"}}",
    "deeper than is kept": b'{"job": "a", "cursor": ' + b"[" * 33 + b"]" * 33 + b"}",
    "a name twice": b'{"job": "a", "job": "b"}',
    "something after it": b'{"job": "a"} x',
    "two of them": b'{"job": "a"}{"job": "b"}',
    "scalars": b'[1, "a", null, true, 1.5]',
    "a scalar": b"1",
    "null": b"null",
    "arrays of arrays": b'[[{"job": "a"}]]',
    "none": b"[]",
    "much in few bytes": BOMB,
}  # fmt: skip


@pytest.fixture(scope="module")
def tenant(stack: RunningStack) -> Tenant:
    made = stack.tenant()
    stack.sql("update milepost.tenants set requests_per_s = 10000 where tenant_id = %s", (made.tenant_id,))
    return made


def ask(
    stack: RunningStack, method: str, path: str, body: bytes | None, headers: dict[str, str]
) -> tuple[int, Any]:
    """The status and the JSON of the answer; any refusal has the one shape, and none is a fault of ours."""
    place = urlsplit(stack.api_url)
    with closing(http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)) as connection:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        raw = response.read()
    assert response.status < 500, (response.status, raw[:1000])
    if response.status == 204:
        return 204, None
    assert response.headers["Content-Type"].startswith("application/json"), raw[:1000]
    said = json.loads(raw)
    if response.status >= 400:
        assert {"code", "message", "details", "hint"} <= said.keys(), said
        assert said["code"].islower(), said
    return response.status, said


def operator(tenant: Tenant, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {tenant.operator_key}", "Content-Type": "application/json", **more}


@pytest.mark.parametrize("path", WRITES)
def test_a_body_that_nobody_would_send_is_answered(stack: RunningStack, tenant: Tenant, path: str) -> None:
    for about, body in BODIES.items():
        try:
            status, _ = ask(stack, "POST", path, body, operator(tenant))
        except AssertionError as error:
            raise AssertionError(f"{about}: {error}") from error
        assert status != 200 or b'"a' in body or about in ("nothing", "null"), about


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Content-Encoding": "gzip"}, "unsupported_encoding"),
        ({"Content-Encoding": "deflate, gzip"}, "unsupported_encoding"),
        ({"Content-Type": "application/json; charset=utf-7"}, "unsupported_media_type"),
        ({"Content-Type": "a" * 4_000}, "unsupported_media_type"),
        ({"X-Milepost-Tenant": "\xff' or 1=1 --"}, None),
        ({"X-Correlation-Id": "a" * 4_000}, None),
        ({"Last-Event-ID": "\xff"}, None),
    ],
    ids=lambda given: next(iter(given)) if isinstance(given, dict) else str(given),
)
@pytest.mark.parametrize(
    "body",
    [b'{"job": "a"}', BOMB, gzip.compress(b'{"job": "a"}')[:-9]],
    ids=["plain", "much in few bytes", "torn"],
)
def test_a_header_that_nobody_would_send_is_answered(
    stack: RunningStack,
    tenant: Tenant,
    headers: dict[str, str],
    code: str | None,
    body: bytes,
) -> None:
    _, said = ask(stack, "POST", "/v1/checkpoints", body, operator(tenant, **headers))
    if code is not None:
        assert said["code"] == code


@pytest.mark.parametrize("authorization", ["Bearer \xff\xfe", "Bearer mp_\xff", "Bearer a.b.c", "Basic a"])
def test_a_bearer_that_is_none_is_401(stack: RunningStack, authorization: str) -> None:
    status, _ = ask(stack, "GET", "/v1/jobs", None, {"Authorization": authorization})
    assert status == 401


@pytest.mark.parametrize(
    "path",
    [
        "/v1/jobs/%",
        "/v1/jobs/%zz",
        "/v1/jobs/%c0%80",
        "/v1/jobs/%ed%a0%80",
        "/v1/jobs/%00",
        "/v1/jobs/..%2f..%2fetc%2fpasswd",
        "/v1/jobs/a%0d%0aX-Evil:%201",
        "/v1/jobs/" + "a" * 3_000,
        "/v1/jobs?q=%",
        "/v1/jobs?q=%ff",
        "/v1/jobs?q=%00",
        "/v1/jobs?q=" + "%f0%9f%98%80" * 300,
        "/v1/jobs?limit=1&limit=2",
        "/v1/jobs?limit=%d9%a1",
        "/v1/jobs?limit=1e400",
        "/v1/jobs?limit=-0",
        "/v1/jobs?since=9999-12-31T23:59:59%2b00:00",
        "/v1/jobs?since=0001-01-01T00:00:00-15:59",
        "/v1/jobs?since=infinity",
        "/v1/jobs?metadata=" + "%5b" * 500,
        "/v1/jobs?metadata=%7b%22x%22:1e400%7d",
        "/v1/jobs?metadata=%7b%22x%22:%22%5cu0000%22%7d",
        "/v1/jobs?metadata=%7b%22x%22:%22%5cud800%22%7d",
        "/v1/jobs?metadata=%7b%22x%22:NaN%7d",
        "/v1/jobs?" + "&".join(f"a{n}=1" for n in range(300)),
        "/v1/jobs?state=" + ",".join(["running"] * 300),
        "/v1/history?zone=%00",
        "/v1/history?zone=../../etc/passwd",
        "/v1/history?since=0001-01-01T00:00:00Z&by=hour",
        "/v1/history?until=9999-12-31T00:00:00Z&zone=Pacific/Kiritimati",
        "/v1/shared/%ff",
        "/v1/shares/%00/revoke",
        "/ping/%00/%00",
        "/ping/mp_a/a/999999999999999999999",
    ],
)
def test_an_address_that_nobody_would_ask_for_is_answered(
    stack: RunningStack, tenant: Tenant, path: str
) -> None:
    status, _ = ask(stack, "GET", path, None, operator(tenant))
    assert status in (200, 401, 404, 405, 422)


good = st.integers(0, 10**6).map(lambda n: {"items_completed": n})


@settings(
    max_examples=60,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(entries=st.lists(good | good | nearly | anything, min_size=1, max_size=6))
def test_what_is_good_is_kept_and_what_is_bad_is_named(
    stack: RunningStack, tenant: Tenant, entries: list[Any]
) -> None:
    jobs = {index: f"good-{uuid.uuid4()}" for index, entry in enumerate(entries) if entry_is_good(entry)}
    sent = [{**entry, "job": jobs[index]} if index in jobs else entry for index, entry in enumerate(entries)]
    body = json.dumps(sent).encode()
    status, said = ask(stack, "POST", "/v1/checkpoints", body, operator(tenant))
    if status == 400:
        return  # The whole body is none: NaN is read, but a name twice is not.
    assert status == (200 if said["results"] else 422)
    kept = {result["job"]: result for result in said["results"]}
    assert all(kept[job]["accepted"] == 1 for job in jobs.values())
    refused = {error["index"] for error in said["errors"]}
    assert refused.isdisjoint(jobs)
    # Each entry is in one of the two; strange ones may be right.
    assert len(refused) + sum(result["accepted"] + result["duplicates"] for result in kept.values()) == len(
        sent
    )


def entry_is_good(entry: object) -> bool:
    return isinstance(entry, dict) and entry.keys() == {"items_completed"}
