"""Who may: tokens are checked here, permissions by the policies on realtime.messages."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import jwt
import psycopg
from psycopg import errors

from milepost.local.realtime.database import Connection, Database

T = TypeVar("T")
Claims = dict[str, Any]


class Refused(Exception):
    """A token or a join that is refused: `code` and `message` are what the client is told."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


class Expired(Refused):
    """The token was good once."""

    def __init__(self, seconds_ago: int) -> None:
        super().__init__("InvalidJWTToken", f"Token has expired {seconds_ago} seconds ago")


class BadSignature(Refused):
    def __init__(self) -> None:
        super().__init__("JwtSignatureError", "Failed to validate JWT signature")


def check_token(token: str, secret: str, now: float) -> Claims:
    """The token's claims. Raises Refused."""
    try:
        claims: Claims = jwt.decode(
            token,
            secret,
            algorithms=["HS256"],
            options={"verify_exp": False, "verify_aud": False, "verify_iat": False},
        )
    except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError) as error:
        raise BadSignature from error
    except jwt.InvalidTokenError as error:
        raise Refused("MalformedJWT", "The token provided is not a valid JWT") from error
    expires = claims.get("exp")
    if not claims.get("role") or not isinstance(expires, int | float):
        raise Refused("InvalidJWTToken", "Fields `role` and `exp` are required in JWT")
    if expires <= now:
        raise Expired(int(now - expires))
    return claims


def choose_token(offered: object, token_of_socket: str) -> str:
    """The join's token, or the socket's where the join has none, or has an API key in its place."""
    return offered if isinstance(offered, str) and not offered.startswith("sb_") else token_of_socket


@dataclass(frozen=True)
class Reader:
    """What a user may receive on a private channel."""

    broadcast: bool
    presence: bool


async def become(connection: Connection, claims: Claims, topic: str = "") -> None:
    """Makes the rest of the transaction run as the user, as policies see one."""
    await connection.execute(
        "select set_config('role', %s, true), set_config('realtime.topic', %s, true), "
        "set_config('request.jwt.claims', %s, true), set_config('request.jwt.claim.sub', %s, true), "
        "set_config('request.jwt.claim.role', %s, true), set_config('request.headers', '{}', true)",
        (claims["role"], topic, json.dumps(claims), str(claims.get("sub") or ""), claims["role"]),
    )


class Authorizer:
    """Asks the database as the real server does: rows are inserted, looked at as the user, rolled back."""

    def __init__(self, database: Database, secret: str, clock: Callable[[], float]) -> None:
        self._database, self._secret, self._clock = database, secret, clock

    def claims(self, token: str) -> Claims:
        """The token's claims. Raises Refused."""
        return check_token(token, self._secret, self._clock())

    async def may_read(self, topic: str, claims: Claims, *, presence: bool) -> Reader:
        """Whether the user sees messages of the topic. Raises Refused where the database cannot tell."""
        extensions = ["broadcast", "presence"] if presence else ["broadcast"]

        async def look(connection: Connection) -> set[object]:
            async with connection.transaction(force_rollback=True):
                cursor = await connection.execute(
                    "insert into realtime.messages (topic, extension) "
                    "select %s, unnest(%s::text[]) returning id",
                    (topic, extensions),
                )
                ids = [row[0] for row in await cursor.fetchall()]
                await become(connection, claims, topic)
                cursor = await connection.execute(
                    "select extension from realtime.messages where topic = %s and id = any(%s)", (topic, ids)
                )
                return {row[0] for row in await cursor.fetchall()}

        seen = await self._ask(look)
        return Reader("broadcast" in seen, "presence" in seen)

    async def may_write(self, topic: str, claims: Claims, extension: str) -> bool:
        """Whether the user may put a message on the topic. Raises Refused where the database cannot tell."""

        async def attempt(connection: Connection) -> bool:
            async with connection.transaction(force_rollback=True):
                await become(connection, claims, topic)
                try:
                    await connection.execute(
                        "insert into realtime.messages (topic, extension) values (%s, %s)", (topic, extension)
                    )
                except errors.InsufficientPrivilege:
                    return False
                return True

        return await self._ask(attempt)

    async def _ask(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        try:
            return await self._database.run(work)
        except psycopg.OperationalError as error:
            raise Refused(
                "UnableToConnectToProject", "Realtime was unable to connect to the project database"
            ) from error
        except psycopg.Error as error:
            raise Refused("UnableToSetPolicies", str(error)) from error
