"""Whatever a signed-in user sends to an RPC through PostgREST: an answer or a refusal, and never a fault of ours."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from running_stack import Person, RunningStack, Tenant

characters = st.characters(codec="utf-8", exclude_characters="\0")
text = st.text(characters, max_size=12) | st.sampled_from(
    ["", " ", "a" * 10_000, "\u202e\x7f\x1b[31m\r\n", "%_\\", "'; --", "day", "hour", "infinity"]
)
plain = st.none() | st.booleans() | st.integers(-(10**40), 10**40) | st.floats(allow_nan=False) | text
whole = st.sampled_from([0, 1, -1, 2**31 - 1, -(2**31)]) | st.integers(-(2**31), 2**31 - 1)
# Of each type what Postgres can read, however unlikely; what it cannot, PostgREST refuses before us.
OF_TYPE: dict[str, st.SearchStrategy[Any]] = {
    "text": text,
    "uuid": st.uuids().map(str),
    "integer": whole,
    "double precision": st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["NaN", "-Infinity"]),
    "boolean": st.booleans(),
    "timestamp with time zone": st.sampled_from(
        ["2026-11-22T00:00:00Z", "infinity", "-infinity", "epoch", "0001-01-01", "294276-12-31"]
    ),
    "time without time zone": st.sampled_from(["00:00", "24:00", "23:59:59.999999"]),
    "text[]": st.lists(text | st.none(), max_size=3)
    | st.sampled_from([["a"] * 2_000, [["a"], ["b"]], [[], []]]),
    "jsonb": st.recursive(
        plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3)
    ),
}


@pytest.fixture(scope="module")
def tenant(stack: RunningStack) -> Tenant:
    made = stack.tenant()
    said = {"job": "a", "items": [{"key": "x", "state": "failed"}], "stage": {"name": "load"}}
    headers = {"Authorization": f"Bearer {made.worker_key}"}
    httpx.post(f"{stack.api_url}/v1/checkpoints", json=said, headers=headers, trust_env=False)
    return made


def functions(stack: RunningStack) -> dict[str, dict[str, str]]:
    """What a signed-in user may call: the parameters of each function and their types."""
    rows = stack.sql(
        """select p.proname as name,
                  coalesce(jsonb_object_agg(a.name, format_type(a.type, null)) filter (where a.name is not null), '{}') as parameters
           from pg_proc p left join lateral unnest(p.proargnames, p.proargtypes::oid[]) as a (name, type) on a.type is not null
           where p.pronamespace = 'milepost'::regnamespace and has_function_privilege('authenticated', p.oid, 'execute')
           group by p.oid, p.proname order by p.proname"""
    )
    return {row["name"]: row["parameters"] for row in rows}


def rpc(stack: RunningStack, http: httpx.Client, name: str, args: object, token: str) -> httpx.Response:
    headers = {"apikey": stack.publishable_key, "Authorization": f"Bearer {token}"}
    headers |= {"Content-Profile": "milepost", "Content-Type": "application/json"}
    return http.post(f"{stack.supabase_url}/rest/v1/rpc/{name}", content=json.dumps(args), headers=headers)


def check(response: httpx.Response, name: str, args: object) -> None:
    """An answer, or a refusal that says nothing of how the database is made."""
    said = f"{name} {str(args)[:500]}: {response.status_code} {response.text[:1000]}"
    assert response.status_code < 500, said
    if response.status_code >= 400:
        body = response.json()
        assert {"code", "message", "details", "hint"} <= body.keys(), said
        # Ours are words. PGRST202: no function of this name has these parameters.
        assert body["code"].islower() or body["code"] == "PGRST202", said
        assert "milepost_private" not in response.text, said


def calls(tenant: Tenant, parameters: dict[str, str]) -> st.SearchStrategy[dict[str, Any]]:
    """A call that would be answered, with up to two of its values, or of those it need not have, made odd."""
    usual = {
        "tenant_id": tenant.tenant_id, "tenant": tenant.tenant_id, "job_id": "a", "scope": "worker", "address": "https://a.example/",
        "by": "day", "zone": "UTC", "role": "viewer", "rule": "job_failed", "user_id": tenant.teammate.user_id, "name": "n",
        "priority": 1, "keep_days": 30, "until": "2036-01-01T00:00:00Z", "time_zone": "UTC", "sort": "attention", "expires_in_s": 1000,
    }  # fmt: skip
    fitting = {parameter: usual[parameter] for parameter in parameters if parameter in usual}
    if parameters.get("type") == "text":
        fitting["type"] = "webhook"
    if not parameters:
        return st.just({})
    odd = {parameter: OF_TYPE[kind] | st.none() for parameter, kind in parameters.items()}
    some = st.lists(st.sampled_from(sorted(odd)), max_size=2, unique=True)
    return some.flatmap(lambda these: st.fixed_dictionaries({one: odd[one] for one in these})).map(
        lambda given: {**fitting, **given}
    )


def test_no_value_that_postgres_can_read_is_a_fault_of_ours(stack: RunningStack, tenant: Tenant) -> None:
    known = functions(stack)
    assert len(known) > 30
    each = st.sampled_from(sorted(known)).flatmap(
        lambda name: st.tuples(st.just(name), calls(tenant, known[name]))
    )
    with httpx.Client(timeout=30, trust_env=False) as http:

        @settings(
            max_examples=300,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(call=each, caller=st.sampled_from([tenant.owner, tenant.teammate, tenant.stranger]))
        def ask(call: tuple[str, dict[str, Any]], caller: Person) -> None:
            check(rpc(stack, http, *call, caller.jwt), *call)

        ask()


@pytest.mark.parametrize(
    ("name", "args", "code"),
    [
        ("set_job_priority", {"job_id": "a", "priority": None}, "out_of_range"),
        ("set_job_priority", {"job_id": "a", "priority": 40_000}, "out_of_range"),
        ("pause_job", {"job_id": "a", "reason": "x" * 2_001}, "too_long"),
        ("set_job_priority", {"job_id": "a", "priority": 1, "reason": "x" * 2_001}, "too_long"),
        ("create_key", {"scope": "worker", "name": "x" * 201}, "too_long"),
        ("create_key", {"scope": "worker", "name": "a\x1b[31m"}, "invalid_value"),
        ("create_key", {"scope": "worker", "name": ""}, "too_short"),
        ("create_key", {"scope": "worker", "kinds": ["x" * 201]}, "too_long"),
        ("create_key", {"scope": "worker", "kinds": ["a", None]}, "invalid_value"),
        ("create_key", {"scope": "worker", "kinds": ["a"] * 101}, "invalid_value"),
        ("add_alert_channel", {"type": "webhook", "name": "a", "address": None}, "invalid_value"),
        ("mute_alerts", {"until": "2036-01-01", "kind": "x" * 201}, "too_long"),
        ("add_alert_channel", {"type": "slack", "address": "https://a.example/", "name": "a\nb"}, "invalid_value"),
    ],
)  # fmt: skip
def test_what_people_type_has_limits_in_the_database_too(
    stack: RunningStack, tenant: Tenant, name: str, args: dict[str, Any], code: str
) -> None:
    given = args if "job_id" in args else {"tenant_id": tenant.tenant_id, **args}
    with httpx.Client(timeout=30, trust_env=False) as http:
        response = rpc(stack, http, name, given, tenant.owner.jwt)
    assert (response.status_code, response.json()["code"]) == (422, code), response.text
