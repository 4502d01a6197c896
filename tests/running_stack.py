"""What tests see of the local stack: its addresses and keys, its database, and a cast for each test."""

import time
import uuid
from dataclasses import dataclass
from typing import Any

import jwt
import psycopg
from psycopg.rows import dict_row

from milepost.local.stack import Access

Connection = psycopg.Connection[dict[str, Any]]


@dataclass(frozen=True)
class Person:
    """A Supabase user and their access token."""

    user_id: str
    jwt: str


@dataclass(frozen=True)
class Tenant:
    """A tenant of its own with a key of each scope, and people around it.

    owner is an admin member, teammate a viewer, and stranger an admin of another tenant.
    """

    tenant_id: str
    worker_key: str
    operator_key: str
    ping_key: str
    owner: Person
    teammate: Person
    stranger: Person


class RunningStack:
    """A stack for the whole test session, with every field of `milepost dev --json` as an attribute."""

    def __init__(self, access: Access) -> None:
        self.access = access

    def __getattr__(self, name: str) -> str:
        value: str = getattr(self.access, name)
        return value

    def sql(self, query: str, params: Any = None) -> list[dict[str, Any]]:
        """Runs a statement as the superuser in a transaction of its own and returns its rows."""
        with self._connected() as connection:
            answer = connection.execute(query.encode(), params)
            return answer.fetchall() if answer.description else []

    def _connected(self) -> Connection:
        return psycopg.connect(self.database_url, row_factory=dict_row)

    def jwt(self, user_id: str, **claims: Any) -> str:
        """A user's access token for an hour; claims replace what it would say."""
        now = int(time.time())
        said = {
            "sub": user_id,
            "aud": "authenticated",
            "role": "authenticated",
            "iat": now,
            "exp": now + 3600,
        }
        return jwt.encode(said | claims, self.jwt_secret, algorithm="HS256")

    def person(self) -> Person:
        """A user that nobody has met yet."""
        with self._connected() as connection:
            return self._person(connection)

    def tenant(self) -> Tenant:
        """A fresh tenant, so that a test sees its own jobs only."""
        # Hundreds of tests ask for one: by one connection, each of which costs as much as all of its statements.
        with self._connected() as connection:
            owner, teammate, stranger = (self._person(connection) for _ in range(3))
            tenant_id = _new_tenant(connection, owner)
            _call(connection, "add_member", tenant_id, teammate.user_id, "viewer")
            _new_tenant(connection, stranger)
            keys = {
                f"{scope}_key": _call(connection, "create_key", tenant_id, scope)["key"]
                for scope in ("worker", "operator", "ping")
            }
        return Tenant(tenant_id=tenant_id, owner=owner, teammate=teammate, stranger=stranger, **keys)

    def _person(self, connection: Connection) -> Person:
        user_id = str(uuid.uuid4())
        connection.execute("insert into auth.users (id) values (%s)", (user_id,))
        return Person(user_id, self.jwt(user_id))


def _new_tenant(connection: Connection, admin: Person) -> str:
    name = f"test {uuid.uuid4()}"
    tenant_id: str = _call(connection, "create_tenant", name, admin.user_id)["tenant_id"]
    return tenant_id


def _call(connection: Connection, function: str, *arguments: str) -> dict[str, Any]:
    places = ", ".join("%s" for _ in arguments)
    call = f"select to_jsonb(milepost.{function}({places})) as answer"
    (row,) = connection.execute(call.encode(), arguments).fetchall()
    answer: dict[str, Any] = row["answer"]
    return answer
