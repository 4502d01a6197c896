"""Ways to more than one was given: roles of one's own, claims, kinds of a key, and what is remembered of it."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from cast import World
from scratch_database import Refused


@pytest.fixture
def world_undone(world: World) -> Iterator[World]:
    with world.database.undone():
        yield world


@pytest.fixture
def analyst(world_undone: World) -> str:
    """A role that a project made for itself, with the rights of signed-in users."""
    world_undone.database.rows("create role analyst nologin inherit; grant authenticated to analyst")
    return "analyst"


ADMINISTRATION = {
    "create_key": "create_key(%(tenant)s, 'operator')",
    "list_keys": "list_keys(%(tenant)s)",
    "revoke_key": "revoke_key(%(key)s)",
    "add_member": "add_member(%(tenant)s, %(user)s, 'admin')",
    "remove_member": "remove_member(%(tenant)s, %(user)s)",
    "set_retention": "set_retention(%(tenant)s, 1)",
}


@pytest.mark.parametrize("call", ADMINISTRATION.values(), ids=ADMINISTRATION)
def test_a_role_that_inherits_from_authenticated_is_no_service(
    world_undone: World, analyst: str, call: str
) -> None:
    key, user = world_undone.keys["worker key"][1], world_undone.users["viewer"]
    values = {"tenant": world_undone.tenant, "key": key, "user": user}
    for claims in ({"role": analyst, "sub": world_undone.users["stranger"]}, {"role": "service_role"}, {}):
        with (
            pytest.raises(psycopg.Error, match="not_allowed"),
            world_undone.database.connection.transaction(),
        ):
            world_undone.database.rows(
                "select set_config('role', %s, true), set_config('request.jwt.claims', %s, true)",
                analyst,
                json.dumps(claims),
            )
            world_undone.database.connection.execute(f"select milepost.{call}".encode(), values)


def test_who_has_the_services_rights_is_the_service(world_undone: World) -> None:
    """As the SQL editor of a project, whose role is no superuser."""
    database = world_undone.database
    database.rows("create role editor nologin inherit bypassrls; grant service_role to editor")
    with database.acting("editor"):
        assert (
            database.call("create_tenant", name="made", admin=world_undone.users["nobody"])["name"] == "made"
        )
    role = "select role from milepost.members where user_id = %s"
    assert database.one(role, world_undone.users["nobody"]) == "admin"


def test_what_a_user_may_write_into_the_token_opens_nothing(world: World) -> None:
    """user_metadata is the user's own to change, and app_metadata may name roles of the project's application."""
    import jwt
    from cast import SECRET

    claims = {"admin": True, "role": "service_role", "tenant_id": world.tenant, "milepost_role": "admin"}
    base = jwt.decode(world.token("stranger"), SECRET, ["HS256"], audience="authenticated")
    token = jwt.encode(
        {**base, "user_metadata": claims, "app_metadata": claims, "is_super_admin": True}, SECRET
    )
    answer = world.http.get(
        "/jobs", headers={"Authorization": f"Bearer {token}", "Accept-Profile": "milepost"}
    )
    assert answer.status_code == 200
    assert not world.mentions_us(answer.text)


@pytest.mark.parametrize("header", ["request.jwt.claims", "milepost.key_hash", "role"])
def test_a_request_sets_no_setting_of_the_database(world: World, header: str) -> None:
    """What identity rests on are settings of the transaction; no exposed function sets one for its caller."""
    answer = world.call(
        "stranger", "set_config", {"setting_name": header, "new_value": "x", "is_local": True}
    )
    assert (answer.status_code, answer.json()["code"]) == (404, "PGRST202")


def ping(world: World, key_hash: str, job: str, signal: str = "done") -> Any:
    with world.database.acting("service_role"):
        return world.database.call("ping_job", caller={"key_hash": key_hash}, job=job, signal=signal)


@pytest.mark.parametrize("scope", ["ping", "worker", "operator"])
def test_a_key_for_one_kind_pings_no_other(world_undone: World, scope: str) -> None:
    database = world_undone.database
    made = database.call("create_key", tenant_id=world_undone.tenant, scope=scope, kinds=["backup"])
    key_hash = database.one("select encode(sha256(convert_to(%s, 'utf8')), 'hex')", made["key"])
    assert ping(world_undone, key_hash, "backup", "start")["kind"] == "backup"
    before = database.everything(["milepost.jobs"])
    # A job of another kind, one that has ended, and one that is not there yet.
    for job in ("sesame job", "sesame done", "another"):
        with pytest.raises(Refused, match="not_allowed"):
            ping(world_undone, key_hash, job)
    assert database.everything(["milepost.jobs"]) == before
    assert ping(world_undone, key_hash, "backup")["state"] == "completed"


def test_a_key_that_only_reads_is_used_too(world_undone: World) -> None:
    database = world_undone.database
    made = database.call("create_key", tenant_id=world_undone.tenant, scope="operator")
    used = "select last_used_at from milepost_private.keys where key_id = %s"
    assert database.one(used, made["key_id"]) is None
    key_hash = database.one("select encode(sha256(convert_to(%s, 'utf8')), 'hex')", made["key"])
    with database.acting("service_role"):
        database.rows("select milepost.call_with_key(%s, 'list_tenants', '{}')", key_hash)
    assert database.one(used, made["key_id"]) is not None


def test_a_strangers_revoking_waits_for_nobody_at_a_foreign_key(world: World) -> None:
    """Else how long it takes would tell whether there is such a key."""
    key_id = world.keys["worker key"][1]
    with world.database.connection.transaction(force_rollback=True):
        world.database.rows("select from milepost_private.keys where key_id = %s for update", key_id)
        answers = [
            world.call("stranger", "revoke_key", {"key_id": key}) for key in (key_id, str(uuid.uuid4()))
        ]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert answers[0].text == answers[1].text


def test_figures_of_the_whole_database_are_for_who_belongs_to_a_tenant(world: World) -> None:
    for who, known in (("nobody", False), ("viewer", True)):
        said = world.call(who, "get_system_metrics", {}).json()
        assert [said[name] is not None for name in ("database_bytes", "database_connections")] == [
            known,
            known,
        ]


def test_the_world_forgets_what_it_was_asked_to_do(world: World) -> None:
    """The other tests rest on it."""
    before = world.database.everything(["milepost.jobs", "milepost.audit"])
    assert world.call("admin", "cancel_job", {"job_id": "sesame job"}).json()["state"] == "canceling"
    made = world.call("service", "create_job", {"caller": {"tenant_id": world.tenant}, "job": {"job": "new"}})
    assert made.json()["created"]
    assert world.database.everything(["milepost.jobs", "milepost.audit"]) == before
