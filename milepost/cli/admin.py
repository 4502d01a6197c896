"""Tenants, keys and members. These use the functions' environment: SUPABASE_URL and SUPABASE_SECRET_KEY."""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click
from rich.markup import escape

from milepost._admin import Admin
from milepost._settings import Settings, is_loopback
from milepost.cli import output
from milepost.cli.output import as_json, print_json
from milepost.errors import ConfigurationError

R = TypeVar("R")

_USER_TOKEN_LIFE_S = 30 * 86_400

_tenant = click.option(
    "--tenant",
    envvar="MILEPOST_TENANT",
    help="The tenant's id; MILEPOST_TENANT without it.",
    show_envvar=True,
)


@contextmanager
def _administration() -> Iterator[Admin]:
    admin = Admin()
    try:
        yield admin
    finally:
        admin.close()


def with_admin(command: Callable[..., R]) -> Callable[..., R]:
    """Gives a command the administration as its first argument."""

    @wraps(command)
    def call(*args: Any, **kwargs: Any) -> R:  # noqa: ANN401
        with _administration() as admin:
            return command(admin, *args, **kwargs)

    return call


def _required(tenant: str | None) -> str:
    if not tenant:
        raise ConfigurationError(
            "Expected a tenant, found none.", "Give --tenant, or set MILEPOST_TENANT to the tenant's id."
        )
    return tenant


def _print_rows(rows: dict[str, Any]) -> None:
    shown = output.table("", "")
    shown.show_header = False
    for name, value in rows.items():
        shown.add_row(f"[dim]{name}[/]", escape(str(value)))
    output.console().print(shown)


@click.group()
def tenants() -> None:
    """Make tenants."""


@tenants.command("create")
@click.argument("name")
@click.option("--admin", "user", metavar="USER_ID", help="Its first admin: the user's id in Supabase Auth.")
@as_json
@with_admin
def create_tenant(admin: Admin, name: str, user: str | None, json: bool) -> None:
    """Create a tenant with a worker key and an operator key, shown this once.

    On the local stack, also a user who is its admin, with a token to sign in by.
    """
    tenant_id = admin.create_tenant(name, user)["tenant_id"]
    made = {"tenant_id": tenant_id}
    for scope in ("worker", "operator"):
        made[f"{scope}_key"] = admin.create_key(tenant_id, scope)["key"]
    if token := _local_user(admin, tenant_id):
        made["user_jwt"] = token
    if json:
        return print_json(made)
    _print_rows({name.replace("_", " "): value for name, value in made.items()})


def _local_user(admin: Admin, tenant_id: str) -> str | None:
    """A new user's token, signed as Supabase's legacy tokens are.

    On this machine only, where nobody signs in.
    """
    secret, host = Settings.jwt_secret, urlsplit(admin.url).hostname or ""
    if not secret or not is_loopback(host):
        return None
    import jwt

    user_id, now = str(uuid.uuid4()), int(time.time())
    admin.add_member(tenant_id, user_id, "admin")
    claims = {"sub": user_id, "aud": "authenticated", "role": "authenticated", "iat": now}
    return jwt.encode(claims | {"exp": now + _USER_TOKEN_LIFE_S}, secret, algorithm="HS256")


@click.group()
def keys() -> None:
    """Make, list and revoke a tenant's keys."""


@keys.command("create")
@click.option(
    "--scope", required=True, type=click.Choice(["worker", "operator", "ping"]), help="What it may do."
)
@click.option("--name", help="What it is for.")
@click.option("--days", type=click.FloatRange(min=0, min_open=True), help="Expires after so many days.")
@click.option(
    "--kind", "kinds", multiple=True, help="Only for jobs of this kind; may be given several times."
)
@_tenant
@as_json
@with_admin
def create_key(
    admin: Admin,
    scope: str,
    name: str | None,
    days: float | None,
    kinds: tuple[str, ...],
    tenant: str | None,
    json: bool,
) -> None:
    """Create a key, shown this once.

    A worker key reports and claims, an operator key also controls, a ping key only pings.
    """
    expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)
    made = admin.create_key(_required(tenant), scope, name, expires_at, kinds)
    if json:
        return print_json(made)
    _print_rows({"key": made["key"], "key id": made["key_id"]})


@keys.command("list")
@_tenant
@as_json
@with_admin
def list_keys(admin: Admin, tenant: str | None, json: bool) -> None:
    """List a tenant's keys, without the keys themselves."""
    found = admin.list_keys(_required(tenant))
    if json:
        return print_json(found)
    rows = output.table("key id", "begins with", "scope", "kinds", "name", "last used", "expires", "revoked")
    for key in found:
        cells = [
            key["key_id"],
            key["prefix"],
            key["scope"],
            ", ".join(key["kinds"] or ["all"]),
            key["name"],
            key["last_used_at"],
            key["expires_at"],
            key["revoked_at"],
        ]
        rows.add_row(*(escape(str(cell or "")) for cell in cells))
    output.console().print(rows)


@keys.command("revoke")
@click.argument("key_id")
@as_json
@with_admin
def revoke_key(admin: Admin, key_id: str, json: bool) -> None:
    """Revoke a key, with effect on the next request."""
    answer = admin.revoke_key(key_id)
    if json:
        return print_json(answer)
    output.console().print(f"{escape(key_id)} is revoked.")


@click.group()
def members() -> None:
    """Add, list and remove a tenant's users."""


@members.command("add")
@_tenant
@click.option("--user", required=True, help="The user's id in Supabase Auth.")
@click.option(
    "--role",
    required=True,
    type=click.Choice(["viewer", "operator", "admin"]),
    help="A viewer reads, an operator also controls, an admin also manages keys and members.",
)
@as_json
@with_admin
def add_member(admin: Admin, tenant: str | None, user: str, role: str, json: bool) -> None:
    """Add a user to a tenant, or change the user's role."""
    answer = admin.add_member(_required(tenant), user, role)
    if json:
        return print_json(answer)
    output.console().print(f"{escape(user)} is {role} of {escape(_required(tenant))}.")


@members.command("list")
@_tenant
@as_json
@with_admin
def list_members(admin: Admin, tenant: str | None, json: bool) -> None:
    """List a tenant's users and their roles."""
    found = admin.list_members(_required(tenant))
    if json:
        return print_json(found)
    rows = output.table("user", "role", "since")
    for member in found:
        rows.add_row(*(escape(str(member[field])) for field in ("user_id", "role", "created_at")))
    output.console().print(rows)


@members.command("remove")
@_tenant
@click.option("--user", required=True, help="The user's id in Supabase Auth.")
@as_json
@with_admin
def remove_member(admin: Admin, tenant: str | None, user: str, json: bool) -> None:
    """Remove a user from a tenant, with effect on the next request."""
    answer = admin.remove_member(_required(tenant), user)
    if json:
        return print_json(answer)
    output.console().print(f"{escape(user)} is no member of {escape(_required(tenant))} any more.")
