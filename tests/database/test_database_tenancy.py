"""Promise 7: a stranger sees nothing. Every table, view and function of the catalog, for a fixed cast."""

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from psycopg.types.json import Jsonb
from scratch_database import Database, Key, Refused

CONTROLS = ("pause_job", "resume_job", "cancel_job", "retry_job", "set_job_priority", "share_job")
ADMINISTRATION = ("create_key", "list_keys", "revoke_key", "add_member", "remove_member", "set_retention")
ALERTS = ("set_alert_rule", "add_alert_channel", "remove_alert_channel", "mute_alerts")
# Not for everybody who may read the job: tests/share and tests/operations have who may.
MANAGED = (*CONTROLS, *ALERTS, "list_shares", "revoke_share")


@dataclass(frozen=True)
class World:
    """Our tenant, whose job says sesame in every text, another one with rhubarb, and people and keys."""

    database: Database
    ours: str
    theirs: str
    job_id: str
    users: dict[str, str]
    keys: dict[str, Key]
    share_id: str

    def secrets(self) -> tuple[str, ...]:
        """What nobody outside may ever read."""
        return "sesame", self.ours, self.job_id, self.users["owner"], self.users["teammate"]

    def ask(self, who: str, query: str, *values: object) -> list[dict[str, Any]]:
        with self.database.connection.transaction(force_rollback=True):
            if who == "anonymous":
                context = self.database.acting("anon")
            else:
                context = self.database.acting("authenticated", self.users[who])
            with context:
                return self.database.rows(query, *values)

    def call(self, who: str, function: str, **arguments: object) -> Any:
        """Calls an RPC as a user, or as the holder of a key."""
        if who not in self.keys:
            named = ", ".join(f'"{name}" => %s' for name in arguments)
            return [*self.ask(who, f"select milepost.{function}({named}) as answer", *arguments.values())]
        with self.database.connection.transaction(force_rollback=True), self.database.acting("service_role"):
            call = "select milepost.call_with_key(%s, %s, %s) as answer"
            return self.database.rows(call, self.keys[who].key_hash, function, Jsonb(arguments))


@pytest.fixture(scope="module")
def world(new_database: Callable[[], Database]) -> World:
    database = new_database()
    ours, theirs = database.tenant("sesame street"), database.tenant("rhubarb road")
    users = {name: str(uuid.uuid4()) for name in ("owner", "operator", "teammate", "stranger", "nobody")}
    for name, role in (("owner", "admin"), ("operator", "operator"), ("teammate", "viewer")):
        database.call("add_member", tenant_id=ours, user_id=users[name], role=role)
    database.call("add_member", tenant_id=theirs, user_id=users["stranger"], role="admin")
    keys = {f"our {scope} key": database.key(ours, scope) for scope in ("worker", "operator", "ping")}
    keys |= {f"their {scope} key": database.key(theirs, scope) for scope in ("worker", "operator")}

    for tenant, word, owner in ((ours, "sesame", "teammate"), (theirs, "rhubarb", "stranger")):
        for key in (f"{word} done", f"{word} job"):
            job = {"job": key, "kind": word, "owner_id": users[owner], "metadata": {"word": word}}
            with database.acting("service_role"):
                database.call("create_job", caller={"tenant_id": tenant}, job=job)
            for second in range(3):
                database.record(
                    tenant,
                    {
                        "job": key, "worker": f"{word} lane", "message": word, "cursor": word,
                        "items_total": 10, "items_completed": 3 * second,
                        "state": "completed" if second == 2 and "done" in key else None,
                        "stage": {"name": f"{word} stage", "items_completed": second, "items_total": 9},
                        "items": [{"key": f"{word} file", "state": "failed", "error": word, "payload": {}}],
                    },
                    seconds=second,
                )  # fmt: skip
    job_id = str(database.job(ours, "sesame job")["job_id"])
    with database.acting("authenticated", users["owner"]):
        share_id = database.call("share_job", job_id=job_id)["share_id"]
    return World(database, ours, theirs, job_id, users, keys, share_id)


def relations(database: Database, schema: str) -> list[str]:
    return [r["name"] for r in database.rows(
        "select quote_ident(c.relname) as name from pg_class c where c.relnamespace = %s::regnamespace "
        "and c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition order by 1", schema
    )]  # fmt: skip


def functions(database: Database, *, for_users: bool) -> dict[str, list[str]]:
    """Names and needed arguments of the functions of milepost that users may, or may not, call.

    What only admins may call has tests of its own.
    """
    rows = database.rows(
        "select p.proname, coalesce(p.proargnames[1:p.pronargs - p.pronargdefaults], '{}') as needed "
        "from pg_proc p where p.pronamespace = 'milepost'::regnamespace "
        "and has_function_privilege('authenticated', p.oid, 'execute') = %s",
        for_users,
    )
    return {row["proname"]: row["needed"] for row in rows if row["proname"] not in ADMINISTRATION}


def readable(answer: object) -> str:
    return json.dumps(answer, default=str)


@pytest.mark.parametrize("schema", ["milepost", "milepost_private"])
def test_outsiders_read_nothing_of_ours_in_any_table_or_view(world: World, schema: str) -> None:
    for name in relations(world.database, schema):
        for who in ("stranger", "nobody"):
            try:
                rows = world.ask(who, f"select * from {schema}.{name}")
            except InsufficientPrivilege:
                assert schema == "milepost_private", f"users may not read {name}, which is public"
                continue
            leaked = [secret for secret in world.secrets() if secret in readable(rows)]
            assert leaked == [], f"{who} reads {leaked} in {schema}.{name}"
            if schema == "milepost":
                assert (rows != []) == (who == "stranger"), f"{who} sees {len(rows)} rows of {name}"


def test_members_read_their_own_rows_and_no_others_in_every_table_and_view(world: World) -> None:
    for name in relations(world.database, "milepost"):
        for who in ("owner", "operator", "teammate"):
            rows = world.ask(who, f"select * from milepost.{name}")
            if name == "audit" and who == "teammate":
                assert rows == [], "a viewer sees the audit"
                continue
            assert rows, f"{who} sees nothing in {name}"
            assert {str(row["tenant_id"]) for row in rows} == {world.ours}
            assert "rhubarb" not in readable(rows)


@pytest.mark.parametrize("schema", ["milepost", "milepost_private"])
def test_anonymous_may_read_no_table_and_execute_no_function(world: World, schema: str) -> None:
    allowed = world.database.rows(
        """
        select c.oid::regclass::text as what from pg_class c
        where c.relnamespace = %(schema)s::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
          and case when c.relkind = 'S' then has_sequence_privilege('anon', c.oid, 'usage, select, update')
                   else has_any_column_privilege('anon', c.oid, 'select, insert, update, references')
                     or has_table_privilege('anon', c.oid, 'delete, truncate, trigger') end
        union all
        select p.oid::regprocedure::text from pg_proc p
        where p.pronamespace = %(schema)s::regnamespace and has_function_privilege('anon', p.oid, 'execute')
        union all
        select %(schema)s where has_schema_privilege('anon', %(schema)s, 'usage, create')
        """.replace("%(schema)s", f"'{schema}'")
    )
    assert allowed == []
    for name in relations(world.database, schema):
        with pytest.raises(InsufficientPrivilege):
            world.ask("anonymous", f"select * from {schema}.{name}")


@pytest.mark.parametrize("schema", ["milepost", "milepost_private"])
def test_users_may_write_no_table(world: World, schema: str) -> None:
    held = world.database.rows(
        "select c.oid::regclass::text as what from pg_class c "
        "where c.relnamespace = %s::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f') "
        "and (has_any_column_privilege('authenticated', c.oid, 'insert, update, references') "
        "or has_table_privilege('authenticated', c.oid, 'delete, truncate, trigger'))",
        schema,
    )
    assert held == []
    for name in relations(world.database, schema):
        with pytest.raises((InsufficientPrivilege, psycopg.errors.ObjectNotInPrerequisiteState)):
            world.ask("owner", f"delete from {schema}.{name}")


def test_users_may_not_call_what_is_the_services(world: World) -> None:
    names = functions(world.database, for_users=False)
    assert names, "no function is the service's own"
    for name, needed in names.items():
        arguments = ", ".join("null" for _ in needed) or (
            "null::jsonb" if name == "record_checkpoints" else ""
        )
        with pytest.raises(InsufficientPrivilege):
            world.ask("owner", f"select milepost.{name}({arguments})")


def test_keys_may_not_call_what_is_the_services(world: World) -> None:
    for name, needed in functions(world.database, for_users=False).items():
        with pytest.raises((InsufficientPrivilege, Refused, psycopg.errors.UndefinedFunction)) as refused:
            world.call("our operator key", name, **{argument: None for argument in needed if argument})
        if isinstance(refused.value, Refused):
            assert refused.value.status in (401, 403, 404), name


OUTSIDERS = ("stranger", "nobody", "their worker key", "their operator key")
INSIDERS = ("owner", "operator", "teammate", "our worker key", "our operator key")


def arguments_for(world: World, needed: list[str], job: str) -> dict[str, object]:
    known: dict[str, object] = {
        "job_id": job,
        "priority": 5,
        "share_id": world.share_id,
        "tenant_id": world.ours,
        "rule": "job_failed",
        "type": "email",
        "name": "a channel",
        "address": "a@example.org",
        "channel_id": str(uuid.uuid4()),
        "until": "2099-01-01T00:00:00Z",
    }
    assert set(needed) <= set(known), f"say in this test what to call {needed} with"
    return {name: known[name] for name in needed}


def answer_of(world: World, who: str, name: str, needed: list[str], job: str) -> object:
    try:
        answer = world.call(who, name, **arguments_for(world, needed, job))
    except Refused as refused:
        return readable(refused.answer()).replace(job, "<job>")
    return readable(answer).replace(job, "<job>")


def administer(world: World, who: str, name: str, tenant: str, key_id: str) -> object:
    """What somebody hears who manages that tenant's keys and members."""
    arguments: dict[str, dict[str, object]] = {
        "create_key": {"tenant_id": tenant, "scope": "operator", "kinds": ["sesame"]},
        "list_keys": {"tenant_id": tenant},
        "revoke_key": {"key_id": key_id},
        "add_member": {"tenant_id": tenant, "user_id": world.users["nobody"], "role": "admin"},
        "remove_member": {"tenant_id": tenant, "user_id": world.users["teammate"]},
        "set_retention": {"tenant_id": tenant, "keep_days": 5},
    }
    try:
        return world.call(who, name, **arguments[name])
    except Refused as refused:
        return readable(refused.answer())


@pytest.mark.parametrize("name", ADMINISTRATION)
def test_only_admins_manage_keys_and_members_and_only_their_tenants(world: World, name: str) -> None:
    key = world.database.key(world.ours, "worker")
    for who in ("owner", *OUTSIDERS, *INSIDERS):
        answer = administer(world, who, name, world.ours, key.key_id)
        if who == "owner":
            assert (
                world.ours in readable(answer)
                or "sesame" in readable(answer)
                or key.key_id in readable(answer)
            )
            assert "key_hash" not in readable(answer)
            continue
        assert '"not_allowed"' in str(answer), who
        # Neither a tenant nor a key of others is told from one that does not exist.
        assert answer == administer(world, who, name, str(uuid.uuid4()), str(uuid.uuid4())), who
    with pytest.raises(InsufficientPrivilege), world.database.acting("anon"):
        world.database.rows(f"select milepost_private.{name}({NULLS[name]})")


NULLS = {
    "create_key": "null, null, null, null, null", "list_keys": "null", "revoke_key": "null",
    "add_member": "null, null, null", "remove_member": "null, null", "set_retention": "null, null",
}  # fmt: skip


def test_an_admin_makes_a_key_that_works_until_it_is_revoked(world: World) -> None:
    database = world.database

    def as_admin(function: str, **arguments: object) -> Any:
        with database.acting("authenticated", world.users["owner"]):
            return database.call(function, **arguments)

    def listed() -> Any:
        (key,) = [
            key for key in as_admin("list_keys", tenant_id=world.ours) if key["key_id"] == made["key_id"]
        ]
        return key

    with database.undone():
        made = as_admin(
            "create_key", tenant_id=world.ours, scope="worker", name="ci", expires_at="2999-01-01"
        )
        assert (listed()["prefix"], listed()["expires_at"]) == (made["key"][:11], "2999-01-01T00:00:00.000Z")
        assert made["key"] not in readable(listed())
        assert listed()["last_used_at"] is None
        key = Key(made["key_id"], made["key"])
        assert database.record(world.ours, {"job": "by ci"}, key=key)["errors"] == []
        assert listed()["last_used_at"] is not None
        as_admin("revoke_key", key_id=made["key_id"])
        assert listed()["revoked_at"] is not None
        with pytest.raises(Refused, match="invalid_key"):
            database.record(world.ours, {"job": "by ci"}, key=key)


def test_an_admin_adds_and_removes_members(world: World) -> None:
    database = world.database
    someone = str(uuid.uuid4())
    with database.undone(), database.acting("authenticated", world.users["owner"]):
        database.call("add_member", tenant_id=world.ours, user_id=someone, role="operator")
        assert database.one("select role from milepost.members where user_id = %s", someone) == "operator"
        database.call("remove_member", tenant_id=world.ours, user_id=someone)
        assert database.rows("select from milepost.members where user_id = %s", someone) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"scope": "king"}, {"scope": None}, {"scope": "worker", "expires_at": "2000-01-01"},
        {"scope": "worker", "kinds": []},
    ],
)  # fmt: skip
def test_a_key_that_makes_no_sense_is_refused(world: World, wrong: dict[str, object]) -> None:
    with pytest.raises(Refused) as refused:
        world.database.call("create_key", tenant_id=world.ours, **wrong)
    assert (refused.value.status, refused.value.code) == (422, "invalid_value")


def test_a_key_for_one_kind_touches_no_other(world: World) -> None:
    database = world.database
    with database.undone():
        made = database.call("create_key", tenant_id=world.ours, scope="operator", kinds=["csv"])
        key = Key(made["key_id"], made["key"])
        world.keys["csv key"] = key
        caller = {"key_hash": key.key_hash}

        def create(caller: dict[str, str], **job: object) -> Any:
            with database.acting("service_role"):
                return database.call("create_job", caller=caller, job=job)

        def claim() -> Any:
            with database.acting("service_role"):
                return database.call("claim_job", caller=caller)

        create({"tenant_id": world.ours}, job="a csv waits", kind="csv", start=False)
        create({"tenant_id": world.ours}, job="a video waits", kind="video", start=False, priority=9)
        answer = database.record(
            world.ours,
            {"job": "new csv", "kind": "csv", "items_completed": 1},
            {"job": "new video", "kind": "video", "items_completed": 1},
            {"job": "no kind", "items_completed": 1},
            {"job": "sesame job", "items_completed": 9},
            {"job": "new csv", "kind": "video", "items_completed": 2},
            key=key,
        )
        assert [job["job"] for job in answer["results"]] == ["new csv"]
        refusals = [(error["index"], error["code"]) for error in answer["errors"]]
        assert refusals == [(index, "not_allowed") for index in (1, 2, 3, 4)]
        assert database.rows("select key from milepost.jobs where key in ('new video', 'no kind')") == []
        assert database.job(world.ours, "sesame job")["items_completed"] == 6
        assert (claim()["job"], claim()) == ("a csv waits", None)
        with pytest.raises(Refused, match="not_allowed"):
            create(caller, job="another", kind="video")
        assert create(caller, job="another", kind="csv")["created"]
        assert "canceling" in readable(world.call("csv key", "cancel_job", job_id="new csv"))
        with pytest.raises(Refused, match="not_allowed"):
            world.call("csv key", "cancel_job", job_id="sesame job")


@pytest.mark.parametrize("who", OUTSIDERS)
def test_a_foreign_job_and_an_absent_one_are_answered_alike_by_every_function(world: World, who: str) -> None:
    asked = {
        name: needed
        for name, needed in functions(world.database, for_users=True).items()
        if "job_id" in needed
    }
    assert len(asked) >= 10
    for name, needed in asked.items():
        for foreign, absent in (
            (world.job_id, str(uuid.uuid4())),
            ("sesame job", "barley job"),
        ):
            answers = [answer_of(world, who, name, needed, job) for job in (foreign, absent)]
            assert answers[0] == answers[1], name
            assert "job_not_found" in str(answers[0]), name


@pytest.mark.parametrize("who", OUTSIDERS)
def test_no_function_tells_outsiders_anything_of_ours(world: World, who: str) -> None:
    for name, needed in functions(world.database, for_users=True).items():
        if "job_id" not in needed:
            answer = str(answer_of(world, who, name, needed, ""))
            assert [secret for secret in world.secrets() if secret in answer] == [], name


@pytest.mark.parametrize("who", INSIDERS)
def test_every_function_that_reads_answers_members_and_keys(world: World, who: str) -> None:
    for name, needed in functions(world.database, for_users=True).items():
        if name == "list_audit" and who in ("teammate", "our worker key"):
            with pytest.raises(Refused, match="Expected an operator"):
                world.call(who, name)
        elif name not in MANAGED:
            for job in (world.job_id, "sesame job"):
                answer = world.call(who, name, **arguments_for(world, needed, job))
                assert "rhubarb" not in readable(answer), name
                if "job_id" in needed and name != "explain_job":
                    assert "sesame" in readable(answer), name
                if "tenant_id" in needed:
                    assert world.users["owner"] in readable(answer), name


@pytest.mark.parametrize(
    ("who", "may"),
    [
        ("owner", True), ("operator", True), ("our operator key", True),
        # A viewer, but the job is theirs.
        ("teammate", True),
        ("our worker key", False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", CONTROLS)
def test_only_operators_and_the_owner_control(world: World, who: str, may: bool, name: str) -> None:
    priority = {"priority": 5} if name == "set_job_priority" else {}
    try:
        answer = readable(world.call(who, name, job_id="sesame job", **priority))
    except Refused as refused:
        # A job that runs cannot be resumed: that is a conflict, and no question of permission.
        conflict = name == "resume_job" and may
        assert (refused.status, refused.code) == (
            (409, "invalid_transition") if conflict else (403, "not_allowed")
        )
        assert conflict or not may
    else:
        assert may
        assert "sesame" in answer


def test_a_viewer_who_does_not_own_the_job_reads_it_and_controls_nothing(world: World) -> None:
    viewer = str(uuid.uuid4())
    world.users["viewer"] = viewer
    world.database.call("add_member", tenant_id=world.ours, user_id=viewer, role="viewer")
    assert "sesame" in readable(world.call("viewer", "get_job_progress", job_id="sesame job"))
    for name in CONTROLS:
        priority = {"priority": 5} if name == "set_job_priority" else {}
        with pytest.raises(Refused) as refused:
            world.call("viewer", name, job_id="sesame job", **priority)
        assert (refused.value.status, refused.value.code) == (403, "not_allowed")


def test_who_owns_a_job_but_is_no_member_sees_and_controls_nothing(world: World) -> None:
    database = world.database
    with database.undone():
        database.rows(
            "update milepost.jobs set owner_id = %s where job_id = %s", world.users["stranger"], world.job_id
        )
        for name in ("get_job_progress", "cancel_job"):
            with pytest.raises(Refused, match="job_not_found"):
                world.call("stranger", name, job_id=world.job_id)


@pytest.mark.parametrize("who", ["stranger", "nobody", "teammate"])
def test_only_operators_create_and_report_for_the_tenant(world: World, who: str) -> None:
    database = world.database
    caller = {"user_id": world.users[who], "tenant_id": world.ours}
    before = database.everything(["milepost.jobs"])
    calls = (
        ("select milepost.create_job(%s, %s)", (Jsonb(caller), Jsonb({"job": "new"}))),
        ("select milepost.claim_job(%s)", (Jsonb(caller),)),
        (
            "select milepost.record_checkpoints(%s)",
            (Jsonb({"caller": caller, "checkpoints": [{"job": "new"}]}),),
        ),
    )
    for query, values in calls:
        with pytest.raises(Refused) as refused, database.acting("service_role"):
            database.rows(query, *values)
        assert (refused.value.status, refused.value.code) == (403, "not_allowed")
    assert database.everything(["milepost.jobs"]) == before


def test_a_key_never_claims_another_tenants_job(world: World) -> None:
    database = world.database
    with database.undone():
        with database.acting("service_role"):
            database.call(
                "create_job", caller={"tenant_id": world.ours}, job={"job": "sesame waits", "start": False}
            )
        for who, found in (("their worker key", None), ("our worker key", "sesame waits")):
            with database.acting("service_role"):
                claimed = database.call("claim_job", caller={"key_hash": world.keys[who].key_hash})
            assert (claimed and claimed["job"]) == found


@pytest.mark.parametrize("spoil", ["revoke", "expire"])
def test_a_key_opens_nothing_once_it_is_revoked_or_expired(world: World, spoil: str) -> None:
    database = world.database
    key = database.key(world.ours, "operator")
    world.keys["spoiled"] = key
    assert world.call("spoiled", "list_tenants")[0]["answer"] != []
    if spoil == "revoke":
        database.call("revoke_key", key_id=key.key_id)
    else:
        database.rows("update milepost_private.keys set expires_at = now() where key_id = %s", key.key_id)
    for name, needed in functions(database, for_users=True).items():
        with pytest.raises(Refused) as refused:
            world.call("spoiled", name, **arguments_for(world, needed, "sesame job"))
        assert (refused.value.status, refused.value.code) == (401, "invalid_key")


def test_a_key_for_pings_reads_nothing(world: World) -> None:
    for name, needed in functions(world.database, for_users=True).items():
        with pytest.raises(Refused) as refused:
            world.call("our ping key", name, **arguments_for(world, needed, "sesame job"))
        assert (refused.value.status, refused.value.code) == (403, "not_allowed")


def test_a_key_in_a_users_request_opens_nothing(world: World) -> None:
    """What call_with_key enters by takes the hash of a key that reads; no user can read a hash."""
    database = world.database
    assert "key_hash" not in readable(world.ask("owner", "select * from milepost.members"))
    with pytest.raises(InsufficientPrivilege):
        world.ask("owner", "select * from milepost_private.keys")
    with database.undone(), database.acting("authenticated", world.users["nobody"]):
        database.rows("select set_config('milepost.key_hash', %s, true)", world.keys["our ping key"].key_hash)
        assert database.rows("select * from milepost.jobs") == []


def test_a_member_who_is_removed_sees_nothing_from_then_on(world: World) -> None:
    database = world.database
    with database.undone():
        database.rows("delete from milepost.members where user_id = %s", world.users["operator"])
        assert world.ask("operator", "select * from milepost.jobs") == []
        with pytest.raises(Refused, match="job_not_found"):
            world.call("operator", "cancel_job", job_id=world.job_id)


TOPICS = ("job:{job_id}", "tenant:{ours}", "user:{teammate}")
LISTENERS = {
    "job:{job_id}": {"owner", "operator", "teammate"},
    "tenant:{ours}": {"owner", "operator", "teammate"},
    "user:{teammate}": {"teammate"},
}
NONSENSE = (
    "", ":", "job:", "job:sesame job", "job", "tenant:", "user:", "realtime", "JOB:{job_id}",
    " job:{job_id}", "job:{job_id}:x", "job:{job_id}:", "tenant:{ours}:x", "user:{owner}:x", "jobs:{job_id}", "tenant:{job_id}", "job:{ours}", "user:{ours}",
    "job:00000000-0000-0000-0000-000000000000",
)  # fmt: skip


@pytest.fixture
def listening(world: World) -> Iterator[Callable[[str, str], int]]:
    """How many messages somebody gets to see of a topic, asked as the Realtime server does."""

    def count(who: str, topic: str) -> int:
        topic = topic.format(job_id=world.job_id, ours=world.ours, **world.users)
        with world.database.undone():
            world.database.rows("select set_config('realtime.topic', %s, true)", topic)
            answer = world.ask(
                who,
                "select count(*) from realtime.messages where extension = 'broadcast' and topic = %s",
                topic,
            )
        return int(answer[0]["count"])

    yield count


@pytest.mark.parametrize("topic", TOPICS)
def test_a_topic_is_heard_by_those_it_concerns_and_nobody_else(
    world: World, listening: Callable[[str, str], int], topic: str
) -> None:
    cast = ("owner", "operator", "teammate", "stranger", "nobody")
    heard = {who for who in cast if listening(who, topic) > 0}
    assert heard == LISTENERS[topic]
    text = topic.format(job_id=world.job_id, ours=world.ours, **world.users)
    may = {
        who for who in cast if world.ask(who, "select milepost_private.may_listen(%s) as may", text)[0]["may"]
    }
    assert may == LISTENERS[topic]
    assert listening("anonymous", topic) == 0


@pytest.mark.parametrize("topic", NONSENSE)
def test_a_topic_that_is_none_is_heard_by_nobody(world: World, topic: str) -> None:
    text = topic.format(job_id=world.job_id, ours=world.ours, **world.users)
    for who in ("owner", "stranger"):
        assert world.ask(who, "select coalesce(milepost_private.may_listen(%s), false) as may", text) == [
            {"may": False}
        ]


def test_who_may_hear_one_topic_reads_no_message_of_another(world: World) -> None:
    own = "tenant:" + str(world.ours)
    with world.database.undone():
        world.database.rows("select set_config('realtime.topic', %s, true)", own)
        topics = world.ask("teammate", "select distinct topic from realtime.messages")
    assert topics == [{"topic": own}]


def test_browsers_may_not_send_on_any_topic(world: World) -> None:
    for who in ("owner", "anonymous"):
        for topic in TOPICS:
            text = topic.format(job_id=world.job_id, ours=world.ours, **world.users)
            with pytest.raises(InsufficientPrivilege, match="row-level security"):
                world.ask(
                    who,
                    "insert into realtime.messages (topic, extension, payload, event, private) "
                    "values (%s, 'broadcast', '{}', 'job.progress', true)",
                    text,
                )


def test_whoever_works_in_the_sql_editor_reads_and_controls_the_jobs_of_all_tenants(world: World) -> None:
    database = world.database
    with database.connection.transaction(force_rollback=True):
        (found,) = database.rows("select milepost.search_jobs() -> 'jobs' as jobs")
        assert {job["tenant_id"] for job in found["jobs"]} == {world.ours, world.theirs}
        (answer,) = database.rows("select milepost.cancel_job(%s, 'by hand') as job", world.job_id)
        assert answer["job"]["state"] in ("canceling", "canceled")
        (said,) = database.rows("select milepost.explain_job(%s)::text as said", world.job_id)
        assert "Asked to cancel" in said["said"]


def test_a_request_without_a_user_and_without_a_key_is_not_taken_for_it(world: World) -> None:
    with world.database.connection.transaction(force_rollback=True), world.database.acting("authenticated"):
        assert world.database.rows("select milepost.search_jobs() -> 'jobs' as jobs") == [{"jobs": []}]
        assert world.database.rows("select * from milepost.jobs") == []
