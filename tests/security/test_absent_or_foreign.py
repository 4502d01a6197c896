"""To a stranger, what is ours and what never was are one: in every answer's status, headers and body, in counts,
in collisions, and in what the database does to find the answer."""

import json
import re
import uuid
from collections.abc import Iterator
from typing import Any, cast

import psycopg
import pytest
from cast import World
from doors import LATER, at_route, first_words, relations, routes
from psycopg.types.json import Jsonb
from werkzeug.test import Client

from functions.openapi import OPERATIONS

OUTSIDERS = ("stranger", "nobody", "their worker key", "their operator key")
_NEW_ID = re.compile(r"sh_[\w-]{43}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DURATION = re.compile(r'("\w+_(?:ms|s|ms_per_item)": )-?[\d.e-]+')
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|\+00:00)|(?<=\d-)\d{10}\b")

# Arguments that name nothing of anybody. Every argument of every function is here or in `pairs`.
HARMLESS = frozenset(
    {
        "after", "address", "args", "at", "bucket", "by", "expires_at", "expires_in_s", "for_s", "hand_out", "is_on", "keep_days",
        "kinds", "limit", "liveness", "message", "name", "priority", "quiet_from", "quiet_until", "reason", "results", "role",
        "rule", "scope", "signal", "since", "sort", "stage", "state", "status", "threshold", "time_zone", "type", "until",
        "whole", "window_s", "zone", "action", "tenant_ids",
    }
)  # fmt: skip


@pytest.fixture(scope="module")
def pairs(world: World) -> dict[str, list[tuple[Any, Any]]]:
    """For each argument that names something: what is ours, and its like that never was."""

    def absent() -> str:
        return str(uuid.uuid4())

    job = [(world.jobs["job"], absent()), ("sesame job", "barley job")]
    return {
        "job_id": job, "job": job, "q": [("sesame", "barley")], "kind": [("sesame", "barley")],
        "share_id": [(world.share, absent())], "key_id": [(world.keys["worker key"][1], absent())],
        "channel_id": [(world.channel, absent())], "tenant_id": [(world.tenant, absent())],
        "tenant": [(world.tenant, absent())], "owner": [(world.users["job owner"], absent())],
        "user_id": [(world.users["viewer"], absent())], "share": [(world.share_token, "sh_" + "x" * 43)], "metadata": [({"word": "sesame"}, {"word": "barley"})],
    }  # fmt: skip


def alike(world: World, text: str, named: object) -> str:
    """A text without what was named, new ids, the time of day and how long something takes by now."""
    said = text.replace(json.dumps(named)[1:-1], "<named>").replace(str(named), "<named>")
    return _TIME.sub("<time>", _NEW_ID.sub("<new id>", _DURATION.sub(r"\1<duration>", said)))


def told(world: World, response: Any, named: object) -> tuple[object, ...]:
    """All that an answer tells, but which request it was."""
    headers = dict(response.headers)
    for name in ("Date", "date", "X-Correlation-Id"):
        headers.pop(name, None)
    body = response.text if hasattr(response, "http_version") else first_words(response)
    if _DURATION.search(body):
        headers.pop("Content-Length", None)  # which is longer with a longer duration
    return response.status_code, alike(world, str(sorted(headers.items())), named), alike(world, body, named)


def callable_by_users(world: World) -> dict[str, tuple[list[str], list[str]]]:
    """Each function that users may call: the arguments that it needs, and all that it takes."""
    rows = world.database.rows(
        "select p.proname, coalesce(p.proargnames[1:p.pronargs - p.pronargdefaults], '{}') as needed, "
        "coalesce(p.proargnames[1:p.pronargs], '{}') as taken from pg_proc p "
        "where p.pronamespace = 'milepost'::regnamespace and has_function_privilege('authenticated', p.oid, 'execute')"
    )
    return {row["proname"]: (row["needed"], row["taken"]) for row in rows}


def filled(world: World, needed: list[str], their_tenant: str, name: str, value: object) -> dict[str, object]:
    """Arguments in which only one is in question; the others are the stranger's own, or plain values."""
    plain: dict[str, object] = {
        "job_id": "rhubarb job", "priority": 5, "tenant_id": their_tenant, "scope": "worker", "keep_days": 5,
        "rule": "job_failed", "type": "email", "name": "a channel", "address": "a@example.org", "until": LATER,
        "share_id": str(uuid.UUID(int=1)), "key_id": str(uuid.UUID(int=1)), "channel_id": str(uuid.UUID(int=1)),
        "user_id": str(uuid.UUID(int=1)),
    }  # fmt: skip
    return {argument: plain[argument] for argument in needed} | {name: value}


@pytest.fixture(scope="module")
def their_tenant(world: World) -> str:
    query = "select tenant_id from milepost.members where user_id = %s"
    return str(world.database.one(query, world.users["stranger"]))


@pytest.mark.parametrize("who", OUTSIDERS)
def test_every_argument_of_every_function(
    world: World, pairs: dict[str, list[tuple[Any, Any]]], their_tenant: str, who: str
) -> None:
    asked = 0
    for rpc, (needed, taken) in callable_by_users(world).items():
        unknown = set(taken) - set(pairs) - HARMLESS
        assert not unknown, f"say in this test what {unknown} of {rpc} may name"
        for name in set(taken) & set(pairs):
            for ours, absent in pairs[name]:
                answers = [
                    told(world, world.call(who, rpc, filled(world, needed, their_tenant, name, value)), value)
                    for value in (ours, absent)
                ]
                assert answers[0] == answers[1], f"{rpc}({name})"
                assert not world.mentions_us(str(answers[0])), f"{rpc}({name})"
                asked += 1
    assert asked > 50


@pytest.mark.parametrize("who", OUTSIDERS)
def test_every_name_in_the_path_of_every_route(
    world: World, api: Client, pairs: dict[str, list[tuple[Any, Any]]], who: str
) -> None:
    asked = 0
    for route in routes():
        for name in set(re.findall(r"\{(\w+)\}", route)) & set(pairs):
            for ours, absent in pairs[name]:
                answers = [
                    told(world, at_route(world, api, who, route, **{name: value}), value)
                    for value in (ours, absent)
                ]
                assert answers[0] == answers[1], f"{route} {name}"
                asked += 1
    assert asked > 30


@pytest.mark.parametrize("who", OUTSIDERS)
def test_every_parameter_of_every_route(
    world: World, api: Client, pairs: dict[str, list[tuple[Any, Any]]], who: str
) -> None:
    asked = 0
    for operation in OPERATIONS:
        if operation.method != "get":
            continue  # theirs are in the body: below
        address = operation.path.format(job="rhubarb%20done", token=world.share_token, key="x", status=0)
        for name in set(operation.query.model_fields) & set(pairs):
            for ours, absent in pairs[name]:
                given = [value if isinstance(value, str) else json.dumps(value) for value in (ours, absent)]
                answers = [
                    told(
                        world, api.get(address, query_string={name: value}, headers=world.headers(who)), value
                    )
                    for value in given
                ]
                assert answers[0] == answers[1], f"{operation.path} {name}"
                asked += 1
    assert asked > 15


@pytest.mark.parametrize("who", ["stranger", "nobody"])
def test_the_tenant_that_a_request_names(world: World, api: Client, who: str) -> None:
    # Figures of this second, of the caller's own tenants, whatever is named.
    figures = {"GET /health/metrics", "GET /health/prometheus", "GET /metrics"}
    for route in routes():
        if "/cron" not in route and route not in figures:
            answers = [
                told(world, at_route(world, api, who, route, tenant=tenant, job="rhubarb done"), tenant)
                for tenant in (world.tenant, str(uuid.uuid4()))
            ]
            assert answers[0] == answers[1], route


COLLISIONS = [
    ("POST /v1/jobs", {"job": "<name>"}),
    ("POST /v1/jobs", {"job": "<id>"}),
    ("POST /v1/jobs", {"job": "rhubarb new", "kind": "<name>", "owner_id": "<user>"}),
    ("POST /v1/checkpoints", {"job": "<name>", "kind": "<name>"}),
    ("POST /v1/checkpoints", {"job": "<id>"}),
    ("POST /v1/checkpoints", {"job": "<name>", "attempt": 1, "seq": 1, "worker": "<name>"}),
    ("POST /v1/jobs/claim", {"kinds": ["<name>"], "worker": "<name>"}),
    ("POST /v1/alerts/channels", {"type": "email", "name": "<name>", "address": "<name>@example.org"}),
    ("POST /v1/alerts/mute", {"until": LATER, "job_id": "<id>"}),
    ("POST /v1/alerts/mute", {"until": LATER, "job_id": "<name>"}),
]


@pytest.mark.parametrize(("route", "body"), COLLISIONS, ids=str)
def test_what_is_made_under_a_name_or_id_that_we_have(
    world: World, api: Client, their_tenant: str, route: str, body: dict[str, object]
) -> None:
    """No constraint reaches over tenants, so what collides with ours is made, or refused, as anything else is."""
    given = {"<name>": ("sesame job", "barley job"), "<id>": (world.jobs["job"], str(uuid.uuid4()))}
    given["<user>"] = world.users["job owner"], str(uuid.uuid4())
    for who in ("stranger", "their operator key"):
        answers = []
        for place in (0, 1):
            text = json.dumps(body)
            for word, values in given.items():
                text = text.replace(word, values[place])
            response = at_route(world, api, who, route, tenant=their_tenant, body=json.loads(text))
            said = told(world, response, given["<name>"][place])
            # An answer that repeats what was sent has as many bytes more or fewer.
            answers.append((said[0], re.sub(r"'Content-Length', '\d+'", "", str(said[1])), said[2]))
        assert answers[0] == answers[1]


@pytest.mark.parametrize("signal", ["", "/start", "/fail", "/0", "/7"])
def test_a_ping_of_a_name_or_id_that_we_have(world: World, api: Client, signal: str) -> None:
    key = world.token("their worker key")
    for ours, absent in (("sesame job", "barley job"), (world.jobs["job"], str(uuid.uuid4()))):
        answers = [told(world, api.get(f"/ping/{key}/{job}{signal}"), job) for job in (ours, absent)]
        assert answers[0] == answers[1]


@pytest.mark.parametrize("who", ["stranger", "nobody", "anonymous"])
def test_every_table_and_view_by_every_id_and_count(world: World, who: str) -> None:
    """Of counts the exact one; what the planner guesses is drawn from everybody's rows (SECURITY.md)."""
    columns = world.database.rows(
        "select table_name, column_name from information_schema.columns where table_schema = 'milepost' and udt_name = 'uuid'"
    )
    assert {row["table_name"] for row in columns} == set(relations(world))
    for row in columns:
        for ours in (world.tenant, world.jobs["job"], world.users["job owner"]):
            answers = [
                told(
                    world,
                    world.ask(
                        who,
                        method,
                        row["table_name"],
                        f"{row['column_name']}=eq.{value}",
                        Prefer="count=exact",
                    ),
                    value,
                )
                for value in (ours, str(uuid.UUID(int=2)))
                for method in ("GET", "HEAD")
            ]
            assert answers[:2] == answers[2:], row


@pytest.fixture(scope="module")
def dead_keys(world: World) -> Iterator[list[str]]:
    """Keys that opened something once, and one that never did."""
    made = [
        world.database.call("create_key", tenant_id=world.tenant, scope=scope)
        for scope in ("operator", "ping")
        for _ in range(2)
    ]
    for key in made[::2]:
        world.database.call("revoke_key", key_id=key["key_id"])
    for key in made[1::2]:
        world.database.rows(
            "update milepost_private.keys set expires_at = now() where key_id = %s", key["key_id"]
        )
    yield [*(key["key"] for key in made), "mp_" + uuid.uuid4().hex * 2]


def test_a_key_that_was_revoked_has_expired_or_never_was(
    world: World, api: Client, dead_keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anywhere, and on the first request after it: nothing remembers a key."""
    open_to_all = ("GET /health", "GET /openapi.json", "GET /v1/shared/{token}")
    for route in routes():
        if route in open_to_all or "/cron" in route:
            continue
        said = set()
        for key in dead_keys:
            monkeypatch.setitem(cast(dict[str, object], world.keys), "dead key", (key, ""))
            said.add(told(world, at_route(world, api, "dead key", route), key))
        assert len(said) == 1, route
        assert "invalid_key" in str(said), route


SCANS = """
select relid::regclass::text as name, coalesce(seq_scan, 0)::int as whole, coalesce(idx_scan, 0)::int as by_index,
       (coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::int as read
from pg_stat_xact_all_tables where schemaname like 'milepost%'
"""


def work(world: World, who: str, rpc: str, arguments: dict[str, object]) -> dict[str, tuple[int, int, int]]:
    """What a call makes the database do: for each table the scans of the whole, those by an index, and rows read."""
    database = world.database

    def seen() -> dict[str, tuple[int, int, int]]:
        return {row["name"]: (row["whole"], row["by_index"], row["read"]) for row in database.rows(SCANS)}

    with database.connection.transaction(force_rollback=True):
        before = seen()
        try:
            with database.connection.transaction():
                if who in world.keys:
                    database.rows("set local role service_role")
                    call, values = "call_with_key(%s, %s, %s)", [world.key_hash(who), rpc, Jsonb(arguments)]
                else:
                    claims = json.dumps({"role": "authenticated", "sub": world.users[who]})
                    database.rows(
                        "select set_config('role', 'authenticated', true), set_config('request.jwt.claims', %s, true)",
                        claims,
                    )
                    call = f"{rpc}({', '.join(f'{name} => %s' for name in arguments)})"
                    values = list(arguments.values())
                database.connection.execute(f"select milepost.{call}".encode(), values)
        except psycopg.Error as error:
            assert error.sqlstate == "PGRST", error
        after = seen()
    zero = (0, 0, 0)
    return {
        name: tuple(a - b for a, b in zip(counts, before.get(name, zero), strict=True))  # type: ignore[misc]
        for name, counts in after.items()
    }


@pytest.mark.parametrize("plans", ["force_generic_plan", "force_custom_plan"])
@pytest.mark.parametrize("who", ["stranger", "nobody", "their operator key"])
def test_the_database_does_the_same_for_both(
    world: World, pairs: dict[str, list[tuple[Any, Any]]], their_tenant: str, who: str, plans: str
) -> None:
    """Time is not measured, since it would tell more of the machine. That the same scans of the same tables are made says that
    both took one path through the same statements; of rows at most the one may differ, by each scan that would find it by its id
    and hands it to row level security: an id of 122 random bits that one has to know before one can ask.
    """
    # As it happens Postgres plans a function's statements anew or takes the plan that it has: for both alike here.
    world.database.rows(f"set plan_cache_mode = {plans}")
    for rpc, (needed, taken) in callable_by_users(world).items():
        for name in sorted(
            set(taken) & {"job_id", "share_id", "key_id", "channel_id", "tenant_id", "tenant"}
        ):
            for ours, absent in pairs[name]:
                both = [
                    work(world, who, rpc, filled(world, needed, their_tenant, name, value))
                    for value in (ours, absent)
                ]
                for table in both[0].keys() | both[1].keys():
                    (whole, by_index, read), other = (found.get(table, (0, 0, 0)) for found in both)
                    assert (whole, by_index) == other[:2], f"{rpc}({name}) looks otherwise at {table}"
                    by_name = ours == "sesame job"
                    assert 0 <= read - other[2] <= (0 if by_name else by_index), (
                        f"{rpc}({name}) reads {table}"
                    )


def test_what_a_stranger_costs_does_not_follow_how_many_jobs_we_have(world: World) -> None:
    """Else the time that an answer takes would tell how busy others are."""
    database = world.database
    asked = [
        name for name, (needed, _) in callable_by_users(world).items() if not needed and name != "list_audit"
    ]
    assert len(asked) > 10
    with database.undone():
        # So few rows as here would be read whole.
        database.rows("set local enable_seqscan = off")
        few = {(who, rpc): work(world, who, rpc, {}) for who in ("nobody", "viewer") for rpc in asked}
        for n in range(30):
            caller, job = {"tenant_id": world.tenant}, {"job": f"sesame {n}", "kind": f"sesame {n}"}
            database.call("create_job", caller=caller, job=job)
            database.record(world.tenant, {"job": f"sesame {n}", "items_completed": 1})
        grew = set()
        for (who, rpc), before in few.items():
            for table, (_, _, read) in work(world, who, rpc, {}).items():
                if read > before.get(table, (0, 0, 0))[2]:
                    grew.add((who, rpc))
    assert {rpc for who, rpc in grew if who == "nobody"} == set()
    assert ("viewer", "job_counts") in grew, "nothing is measured"
