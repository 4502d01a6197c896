"""Traces: kept with checkpoints, and sent to a real collector's port where one is configured."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from receivers import Receiver, receiver
from running_stack import RunningStack, Tenant

ROUND = """
import json, os, sys
from werkzeug.test import Client
from functions import wsgi, tracing
client = Client(wsgi.app)
for method, path, headers, body in json.load(sys.stdin):
    answer = client.open(path, method=method, headers=headers, json=body)
    print(answer.status_code)
if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
    tracing._tracer().span_processor.force_flush()
print(sorted(name for name in sys.modules if name.startswith("opentelemetry"))[:1])
"""
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
WORKERS = "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01"


@pytest.fixture
def collector() -> Iterator[Receiver]:
    with receiver() as running:
        running.status = 200
        yield running


def key(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def served(stack: RunningStack, requests: list[Any], **environment: str) -> list[str]:
    """The functions in a process of their own, so that what they import and send is theirs alone."""
    settings = {"SUPABASE_URL": stack.supabase_url, "SUPABASE_SECRET_KEY": stack.secret_key}
    ran = subprocess.run(
        [sys.executable, "-c", ROUND], input=json.dumps(requests), env=os.environ | settings | environment,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


def spans(collector: Receiver) -> dict[str, Any]:
    """What arrived, by name."""
    found: dict[str, Any] = {}
    for got in collector.received:
        assert got.path == "/v1/traces"
        request = ExportTraceServiceRequest.FromString(got.body)
        for resource in request.resource_spans:
            service = {a.key: a.value.string_value for a in resource.resource.attributes}
            assert service["service.name"] == "milepost"
            for scope in resource.scope_spans:
                found |= {span.name: span for span in scope.spans}
    return found


def attributes(span: Any) -> dict[str, Any]:
    return {a.key: a.value.string_value or a.value.int_value for a in span.attributes}


def test_a_request_and_its_query_are_spans_of_the_callers_trace(
    stack: RunningStack, tenant: Tenant, collector: Receiver
) -> None:
    headers = key(tenant.worker_key) | {"traceparent": PARENT}
    checkpoint = {"job": f"job-{uuid.uuid4()}", "items_completed": 1, "traceparent": WORKERS}
    ping = f"/ping/{tenant.ping_key}/backup"
    requests = [["POST", "/v1/checkpoints", headers, checkpoint], ["GET", ping, {}, None]]
    said = served(stack, requests, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    assert said[:2] == ["200", "200"]
    found = spans(collector)
    request, query = found["POST /v1/checkpoints"], found["milepost.record_checkpoints"]
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, SPAN)
    assert (query.trace_id, query.parent_span_id) == (request.trace_id, request.span_id)
    assert [(link.trace_id.hex(), link.span_id.hex()) for link in request.links] == [("a" * 32, "b" * 16)]
    told = attributes(request)
    assert (told["http.route"], told["http.response.status_code"]) == ("/v1/checkpoints", 200)
    assert uuid.UUID(told["milepost.correlation_id"])
    assert found["GET /ping/<key>/<path:job>"].trace_id != request.trace_id
    sent = b"".join(got.body for got in collector.received)
    assert tenant.ping_key.encode() not in sent
    assert tenant.worker_key.encode() not in sent


def test_an_error_of_ours_marks_its_span(stack: RunningStack, tenant: Tenant, collector: Receiver) -> None:
    requests: list[Any] = [["GET", "/health", {}, None], ["GET", "/nowhere", {}, None]]
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "SUPABASE_URL": "http://127.0.0.1:1"}
    assert served(stack, requests, **environment)[:2] == ["503", "404"]
    found = spans(collector)
    assert found["GET /health"].status.code == 2
    assert found["GET"].status.code == 0


def test_nothing_of_it_is_imported_where_no_collector_is_named(stack: RunningStack, tenant: Tenant) -> None:
    requests = [["POST", "/v1/checkpoints", key(tenant.worker_key), {"job": "a", "traceparent": WORKERS}]]
    assert served(stack, requests) == ["200", "[]"]


@pytest.fixture
def api(stack: RunningStack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.api_url, timeout=30, trust_env=False) as client:
        yield client


def test_a_checkpoint_keeps_its_traceparent(api: httpx.Client, tenant: Tenant) -> None:
    job, headers = f"job-{uuid.uuid4()}", key(tenant.worker_key)
    body = [{"job": job, "items_completed": 1, "traceparent": WORKERS}, {"job": job, "items_completed": 2}]
    assert api.post("/v1/checkpoints", json=body, headers=headers).status_code == 200
    kept = api.get(f"/v1/jobs/{job}/checkpoints", headers=headers).json()["checkpoints"]
    assert [checkpoint["traceparent"] for checkpoint in kept] == [None, WORKERS]


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "nothing",
        WORKERS.upper(),
        WORKERS + "-more",
        WORKERS.replace("00-", "ff-", 1),
        WORKERS.replace("a" * 32, "0" * 32),
        WORKERS.replace("b" * 16, "0" * 16),
        7,
    ],
)
def test_what_is_no_traceparent_is_refused(api: httpx.Client, tenant: Tenant, traceparent: object) -> None:
    body = {"job": f"job-{uuid.uuid4()}", "traceparent": traceparent}
    refused = api.post("/v1/checkpoints", json=body, headers=key(tenant.worker_key))
    assert refused.status_code == 422
    assert refused.json()["code"] in ("invalid_value", "wrong_type")
    assert "traceparent" in refused.json()["message"]
