"""A tenant keeps an admin, and its keys and members stay few enough to keep in mind."""

import uuid
from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest
from scratch_database import Database, Refused


@pytest.fixture(scope="module")
def database(new_database: Callable[[], Database]) -> Database:
    return new_database()


@pytest.fixture
def admin() -> str:
    return str(uuid.uuid4())


@pytest.fixture
def tenant_id(database: Database, admin: str) -> str:
    return str(database.call("create_tenant", name="tenant", admin=admin)["tenant_id"])


def as_user(database: Database, who: str, function: str, **arguments: object) -> Any:
    with database.acting("authenticated", who):
        return database.call(function, **arguments)


def roles(database: Database, tenant_id: str) -> dict[str, str]:
    rows = database.rows("select user_id, role from milepost.members where tenant_id = %s", tenant_id)
    return {str(row["user_id"]): row["role"] for row in rows}


def ways_out(tenant_id: str, user_id: str) -> list[tuple[str, dict[str, object]]]:
    """What would take the role admin from this user."""
    who: dict[str, object] = {"tenant_id": tenant_id, "user_id": user_id}
    return [
        ("remove_member", who),
        ("add_member", {**who, "role": "operator"}),
        ("add_member", {**who, "role": "viewer"}),
    ]


def test_the_only_admin_neither_leaves_nor_becomes_less(
    database: Database, tenant_id: str, admin: str
) -> None:
    as_user(database, admin, "add_member", tenant_id=tenant_id, user_id=uuid.uuid4(), role="operator")
    before = roles(database, tenant_id)
    for function, arguments in ways_out(tenant_id, admin):
        with pytest.raises(Refused, match=admin) as refused:
            as_user(database, admin, function, **arguments)
        assert (refused.value.status, refused.value.code) == (409, "only_admin")
    assert roles(database, tenant_id) == before
    as_user(database, admin, "add_member", tenant_id=tenant_id, user_id=admin, role="admin")


def test_one_of_two_admins_leaves_or_becomes_less(database: Database, tenant_id: str, admin: str) -> None:
    as_user(database, admin, "add_member", tenant_id=tenant_id, user_id=uuid.uuid4(), role="admin")
    for function, arguments in ways_out(tenant_id, admin):
        with database.undone():
            as_user(database, admin, function, **arguments)
            assert roles(database, tenant_id).get(admin) == arguments.get("role")


def test_the_service_may_take_a_tenants_last_admin(database: Database, tenant_id: str, admin: str) -> None:
    with database.acting("service_role"):
        database.call("remove_member", tenant_id=tenant_id, user_id=admin)
    assert roles(database, tenant_id) == {}


def test_of_two_admins_who_remove_each_other_at_once_one_stays(
    database: Database, tenant_id: str, admin: str
) -> None:
    other = str(uuid.uuid4())
    as_user(database, admin, "add_member", tenant_id=tenant_id, user_id=other, role="admin")
    second = Database(database.url)
    heard: list[Refused] = []

    def remove_admin() -> None:
        try:
            as_user(second, other, "remove_member", tenant_id=tenant_id, user_id=admin)
        except Refused as refused:
            heard.append(refused)

    waits = Thread(target=remove_admin)
    with database.connection.transaction():
        as_user(database, admin, "remove_member", tenant_id=tenant_id, user_id=other)
        waits.start()
        blocked = "select cardinality(pg_blocking_pids(%s)) > 0"
        while waits.is_alive() and not database.one(blocked, second.connection.info.backend_pid):
            waits.join(0.01)
    waits.join()
    second.close()
    assert [(refused.status, refused.code) for refused in heard] == [(409, "only_admin")]
    assert roles(database, tenant_id) == {admin: "admin"}


def test_keys_beyond_a_thousand_are_refused_until_one_is_revoked_or_expires(
    database: Database, tenant_id: str, admin: str
) -> None:
    database.rows(
        "insert into milepost_private.keys (tenant_id, scope, prefix, key_hash, created_by, expires_at) "
        "select %s, 'worker', 'mp_', encode(sha256(convert_to(%s || n, 'utf8')), 'hex'), 'system', case n when 1 then now() - interval '1 s' end "
        "from generate_series(1, 1000) n",
        tenant_id,
        tenant_id,
    )
    # The expired one is not counted.
    made = as_user(database, admin, "create_key", tenant_id=tenant_id, scope="worker")
    with pytest.raises(Refused) as refused:
        as_user(database, admin, "create_key", tenant_id=tenant_id, scope="worker")
    assert (refused.value.status, refused.value.code) == (409, "too_many_keys")
    as_user(database, admin, "revoke_key", key_id=made["key_id"])
    as_user(database, admin, "create_key", tenant_id=tenant_id, scope="worker")


def test_members_beyond_a_thousand_are_refused_and_those_there_are_can_be_changed(
    database: Database, tenant_id: str, admin: str
) -> None:
    database.rows(
        "insert into milepost.members (tenant_id, user_id) select %s, gen_random_uuid() "
        "from generate_series(1, 999)",
        tenant_id,
    )
    someone = next(user for user in roles(database, tenant_id) if user != admin)
    with pytest.raises(Refused) as refused:
        as_user(database, admin, "add_member", tenant_id=tenant_id, user_id=uuid.uuid4(), role="viewer")
    assert (refused.value.status, refused.value.code) == (409, "too_many_members")
    as_user(database, admin, "add_member", tenant_id=tenant_id, user_id=someone, role="operator")
    as_user(database, admin, "remove_member", tenant_id=tenant_id, user_id=someone)
    as_user(database, admin, "add_member", tenant_id=tenant_id, user_id=uuid.uuid4(), role="viewer")
