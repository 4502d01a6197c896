"""The database behind PostgREST: one call a request, over connections that stay open."""

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from functions import journal, tracing
from functions.callers import Caller, KeyCaller
from functions.connections import Answer, Connections, NoAnswer
from functions.refusals import Broken, FromDatabase, Outdated, Refused, Unauthorized, Unavailable
from functions.settings import Settings
from milepost._version import VERSION, misfit

_HEADERS = {"Content-Profile": "milepost", "Content-Type": "application/json", "Accept": "application/json"}

# https://postgrest.org/en/v12/references/errors.html and https://www.postgresql.org/docs/17/errcodes-appendix.html
_OUR_CODE = re.compile(r"[a-z][a-z0-9_]*")
_AWAY = re.compile(r"PGRST00[0-3]|08...|53...|57014|57P0.")
# Serialization, deadlock, lock: the transaction was rolled back, and nothing is left of it.
_MET_ANOTHER = ("40001", "40P01", "55P03")
# PostgREST's word for it, Postgres' within another function, and call_with_key's.
_NO_SUCH_FUNCTION = ("PGRST202", "42883", "not_found")
_BAD_TOKEN = ("PGRST301", "PGRST302", "PGRST303")


def as_service(rpc: str, args: Mapping[str, Any] | bytes) -> bytes:
    """Calls a function of schema `milepost` that only the service may call. Returns its JSON as it came.

    Raises `FromDatabase` for what the database refused, `Unavailable`, or `Broken`.
    """
    key = Settings.secret_key
    # Supabase's new keys are no tokens: its gateway swaps them by `apikey` alone, and refuses them elsewhere.
    headers = {"apikey": key} if key.startswith("sb_") else {"apikey": key, "Authorization": f"Bearer {key}"}
    response = _post(rpc, args, headers)
    if response.is_success:
        return response.content
    raise _refusal(rpc, response)


def as_caller(caller: Caller, rpc: str, args: Mapping[str, Any]) -> bytes:
    """Calls a function of schema `milepost` with no more rights than the caller has.

    Returns its JSON as it came. Raises as `as_service` does, and `Unauthorized` for a refused token.
    """
    if isinstance(caller, KeyCaller):
        return as_service("call_with_key", {"key_hash": caller.key_hash, "rpc": rpc, "args": args})
    key = Settings.publishable_key
    response = _post(rpc, args, {"apikey": key, "Authorization": f"Bearer {caller.token}"})
    if response.is_success:
        return response.content
    if _error(response).get("code") in _BAD_TOKEN:
        raise Unauthorized(
            "invalid_token", "Expected a valid user's token; this one is refused.", "Sign in again."
        )
    raise _refusal(rpc, response)


def check_schema() -> None:
    """Raises `Outdated` where the database's schema does not fit these functions."""
    schema = json.loads(as_service("schema_version", {}))
    if misfit(VERSION, schema):
        raise Outdated(VERSION, schema)


@cache
def connections() -> Connections:
    """The process's connections to PostgREST."""
    return Connections(f"{Settings.supabase_url}/rest/v1")


def _post(rpc: str, args: Mapping[str, Any] | bytes, headers: Mapping[str, str]) -> Answer:
    content = args if isinstance(args, bytes) else json.dumps(args).encode()
    response = _send(rpc, content, headers)
    if not response.is_success and _may_succeed_now(_error(response)):
        response = _send(rpc, content, headers)
    return response


def _send(rpc: str, content: bytes, headers: Mapping[str, str]) -> Answer:
    headers = {**_HEADERS, **headers, "X-Correlation-Id": journal.correlation_id.get()}
    try:
        with tracing.calling(rpc):
            return connections().post(f"/rpc/{rpc}", content, headers)
    except NoAnswer as error:
        raise Unavailable("the database did not answer", rpc=rpc, error=repr(error.__cause__)) from None
    except ValueError:  # It would tell the key that it is about.
        raise Broken("a setting is no text that a header may have", rpc=rpc) from None


def _may_succeed_now(error: Mapping[str, Any]) -> bool:
    """Whether the transaction was rolled back for something that is over, so that it is worth a second try.

    A row on its way to the default partition is refused if its day's partition was made at that moment.
    """
    code, message = error.get("code"), str(error.get("message"))
    return code in _MET_ANOTHER or (code == "23514" and "violates partition constraint" in message)


def _error(response: Answer) -> dict[str, Any]:
    try:
        error = json.loads(response.content)
    except ValueError:
        return {}
    return error if isinstance(error, dict) else {}


def _outdated(rpc: str) -> Outdated | None:
    """Why a function is missing: the schema is of a version that does not fit, or there is none."""
    if rpc == "schema_version":
        return Outdated(VERSION, None)
    try:
        check_schema()
    except Outdated as outdated:
        return outdated
    except Refused:
        return None
    return None


def _refusal(rpc: str, response: Answer) -> Refused:
    error = _error(response)
    code = str(error.get("code"))
    if code in _NO_SUCH_FUNCTION and (outdated := _outdated(rpc)):
        return outdated
    if _OUR_CODE.fullmatch(code):
        kept = {name: response.headers[name] for name in ("Retry-After",) if name in response.headers}
        return FromDatabase(response.status, error, kept)
    facts: dict[str, Any] = {
        "rpc": rpc,
        "status": response.status,
        "code": code,
        "error": error.get("message"),
    }
    if code in _MET_ANOTHER or _AWAY.fullmatch(code):
        return Unavailable("the database is away or too busy", **facts)
    if code == "None" and response.status in (429, 502, 503, 504, 520, 521, 522, 523, 524):
        return Unavailable("the gateway before the database refused", **facts)
    return Broken("the database answered what nobody expected", **facts)
