"""What the OpenAPI document says is what the functions do, before the real PostgREST and Postgres.

schemathesis makes requests from the document, right ones and wrong ones; each answer has a status, a type and
a shape that the document lists, and is never a fault of ours.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import requests
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from running_stack import RunningStack
from schemathesis import Case, GenerationMode, openapi
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks
from werkzeug.test import Client

from functions import wsgi

DOCUMENT = Client(wsgi.app).get("/openapi.json").get_json()
# Who asks is chosen below.
OPEN = {
    **DOCUMENT,
    "paths": {
        path: {method: {**described, "security": []} for method, described in methods.items()}
        for path, methods in DOCUMENT["paths"].items()
    },
}
OPERATIONS = {
    f"{found.ok().method.upper()} {found.ok().path}": found.ok()
    for found in openapi.from_dict(OPEN).get_all_operations()
    if isinstance(found, Ok)
}
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]
LONGEST_ADDRESS = 4_000  # gunicorn's own limit, and that of most of the web

quick = settings(
    max_examples=10,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class World(NamedTuple):
    """Who asks, and what is there to be asked about: for each name in a path, the values that exist."""

    api_url: str
    http: requests.Session
    bearers: dict[str, str | None]
    known: dict[str, str]


@pytest.fixture(scope="module")
def world(stack: RunningStack) -> Iterator[World]:
    tenant = stack.tenant()
    stack.sql("update milepost.tenants set requests_per_s = 10000 where tenant_id = %s", (tenant.tenant_id,))
    bearers = {
        "nobody": None,
        "worker key": tenant.worker_key,
        "operator key": tenant.operator_key,
        "admin": tenant.owner.jwt,
        "viewer": tenant.teammate.jwt,
        "cron": stack.cron_secret,
    }
    with requests.Session() as http:
        http.trust_env = False

        def made(path: str, **body: Any) -> Any:
            headers = {"Authorization": f"Bearer {tenant.owner.jwt}"}
            return http.post(stack.api_url + path, json=body, headers=headers, timeout=30).json()

        item = {"key": "a.wav", "state": "failed", "error": "no sound", "payload": {"gpu": 1}}
        stage = {"name": "load", "items_total": 5, "items_completed": 2}
        made(
            "/v1/checkpoints", job="imports/1", stage=stage, items=[item], cursor=[1], metadata={"by": "etl"}
        )
        share = made("/v1/jobs/imports/1/shares")
        channel = made("/v1/alerts/channels", type="webhook", name="ours", address="https://hooks.example/")
        yield World(
            stack.api_url,
            http,
            bearers,
            {
                "job": "imports/1",
                "key": tenant.ping_key,
                "share_id": share["share_id"],
                "token": share["token"],
                "rule": "job_failed",
                "channel_id": channel["channel_id"],
                "status": "3",
            },
        )
    # Nobody is ever to be told anything through these.
    stack.sql("delete from milepost_private.alert_channels where tenant_id = %s", (tenant.tenant_id,))


def test_every_operation_of_the_document_is_asked() -> None:
    assert len(OPERATIONS) == sum(len(methods) for methods in DOCUMENT["paths"].values())


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_answer_is_as_the_document_says(name: str, world: World) -> None:
    operation = OPERATIONS[name]
    known = {part: value for part, value in world.known.items() if f"{{{part}}}" in operation.path}
    # Made-up channels would be sent messages; tests/operations have channels of their own.
    callers = world.bearers.keys() - ({"cron"} if name.endswith("/cron/alerts") else set())

    @quick
    @given(
        case=st.one_of(
            [
                operation.as_strategy(mode, path_parameters=parts)
                for mode in GenerationMode
                for parts in ([known, None] if known else [None])
            ]
        ),
        caller=st.sampled_from(sorted(callers)),
    )
    def ask(case: Case[Any], caller: str) -> None:
        bearer = world.bearers[caller]
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        asked = case.as_transport_kwargs(world.api_url, headers)
        sent = requests.Request("GET", asked["url"], params=asked.get("params")).prepare()
        assume(len(sent.url or "") < LONGEST_ADDRESS)
        with world.http.request(**asked, stream=True, timeout=30) as response:
            if response.headers.get("Content-Type", "").startswith("text/event-stream"):
                response.close()
                response._content = b""  # It does not end; tests/streams read them.
            # A parameter without a value is none, which its schema cannot say.
            has_empty = any(value in ("", [""]) or value == [] for value in asked.get("params", {}).values())
            case.validate_response(response, checks=CHECKS[:-1] if has_empty else CHECKS)

    ask()
