"""Two tenants, everybody who might ask, and a PostgREST that forgets what it was asked to do.

Ours says sesame wherever a text can stand. PostgREST rolls every request back (`db-tx-end`), so that each
question meets the same rows, whatever was asked before.
"""

import hashlib
import json
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
from psycopg import sql
from psycopg.types.json import Jsonb
from scratch_database import Database

from milepost.local.guardian import Guardian
from milepost.local.postgres import Postgres
from milepost.local.postgrest import PostgREST

SECRET = "a secret that is known to these tests only"
DATABASE = "role_matrix"

# In the order of the columns of docs/roles.md. The last one asks HTTP routes only.
ACTORS = (
    "anonymous",
    "stranger",
    "viewer",
    "job owner",
    "operator",
    "admin",
    "worker key",
    "operator key",
    "ping key",
    "service",
)
USERS = ("stranger", "viewer", "job owner", "operator", "admin", "nobody")
KEYS = ("worker key", "operator key", "ping key", "their worker key", "their operator key")


@dataclass(frozen=True)
class World:
    """Who and what there is. `job`, `share` and so on are ours."""

    url: str
    database: Database
    tenant: str
    users: Mapping[str, str]
    keys: Mapping[str, tuple[str, str]]
    """Each key's text and id."""
    jobs: Mapping[str, str]
    share: str
    share_token: str
    channel: str
    cron_secret: str
    http: httpx.Client

    def token(self, actor: str) -> str:
        """What the actor sends as a bearer."""
        if actor in self.keys:
            return self.keys[actor][0]
        role = {"anonymous": "anon", "service": "service_role"}.get(actor, "authenticated")
        who = {"sub": self.users[actor], "aud": "authenticated"} if actor in self.users else {}
        return jwt.encode({"role": role, "exp": int(time.time()) + 3600, **who}, SECRET, "HS256")

    def headers(self, actor: str) -> dict[str, str]:
        return {} if actor == "anonymous" else {"Authorization": f"Bearer {self.token(actor)}"}

    def key_hash(self, actor: str) -> str:
        return hashlib.sha256(self.keys[actor][0].encode()).hexdigest()

    def secrets(self) -> tuple[str, ...]:
        """What shows that an answer is about us."""
        members = [self.users[name] for name in ("viewer", "job owner", "operator", "admin")]
        key_ids = [self.keys[name][1] for name in ("worker key", "operator key", "ping key")]
        return ("sesame", self.tenant, self.share, self.channel, *self.jobs.values(), *members, *key_ids)

    def mentions_us(self, text: str) -> bool:
        return any(secret in text for secret in self.secrets())

    def call(self, actor: str, rpc: str, arguments: object) -> httpx.Response:
        """Calls an RPC through PostgREST: a user as itself, a key as the functions call for it."""
        if actor in self.keys:
            arguments = {"key_hash": self.key_hash(actor), "rpc": rpc, "args": arguments}
            actor, rpc = "service", "call_with_key"
        headers = {**self.headers(actor), "Content-Profile": "milepost"}
        return self.http.post(f"/rpc/{rpc}", headers=headers, json=arguments)

    def ask(self, actor: str, method: str, relation: str, query: str = "", **headers: str) -> httpx.Response:
        """Asks PostgREST for a table or view."""
        profile = "Accept-Profile" if method in ("GET", "HEAD") else "Content-Profile"
        given = {**self.headers(actor), profile: "milepost", **headers}
        # A row without values: who may insert is told what is missing, and nobody else is told anything.
        body = {"POST": b"[{}]", "PATCH": b'{"tenant_id": "00000000-0000-0000-0000-000000000000"}'}.get(
            method
        )
        if body:
            given["Content-Type"] = "application/json"
        if method == "HEAD":
            given["Connection"] = "close"  # as PostgREST does after HEAD, without saying so
        return self.http.request(method, f"/{relation}?{query}", headers=given, content=body)

    @classmethod
    @contextmanager
    def of(cls, cluster: Postgres) -> Iterator["World"]:
        database = Database(cluster.create_database(DATABASE, template="milepost_template"))
        password = "authenticator"
        database.rows(f"alter role authenticator password '{password}'")
        database.connection.execute(
            sql.SQL("alter role authenticator in database {} set pgrst.db_tx_end = 'rollback'").format(
                sql.Identifier(DATABASE)
            )
        )
        # Statistics of so few rows would change plans whenever autovacuum comes by.
        database.rows(
            "do $$ declare t regclass; begin for t in select oid from pg_class where relkind = 'r' "
            "and relnamespace in ('milepost'::regnamespace, 'milepost_private'::regnamespace) "
            "loop execute format('alter table %s set (autovacuum_enabled = off)', t); end loop; end $$"
        )
        facts = _furnish(database)
        guardian = Guardian()
        postgrest = PostgREST(guardian, jwt_secret=SECRET)
        try:
            postgrest.start(cluster.url(DATABASE, "authenticator", password))
            url = f"http://127.0.0.1:{postgrest.port}"
            with httpx.Client(base_url=url, timeout=30, trust_env=False) as http:
                yield cls(url=url, database=database, http=http, cron_secret="secret of the cron", **facts)
        finally:
            guardian.close()
            database.close()


def _furnish(database: Database) -> dict[str, Any]:
    ours, theirs = database.tenant("sesame street"), database.tenant("rhubarb road")
    users = {name: str(uuid.uuid4()) for name in USERS}
    roles = {"viewer": "viewer", "job owner": "viewer", "operator": "operator", "admin": "admin"}
    for name, role in roles.items():
        database.call("add_member", tenant_id=ours, user_id=users[name], role=role)
    database.call("add_member", tenant_id=theirs, user_id=users["stranger"], role="admin")

    keys = {}
    for name in KEYS:
        tenant, scope = (theirs if "their" in name else ours), name.split()[-2]
        made = database.call(
            "create_key", tenant_id=tenant, scope=scope, name="sesame" if tenant == ours else "rhubarb"
        )
        keys[name] = made["key"], made["key_id"]

    jobs = {}
    for tenant, word, owner in ((ours, "sesame", "job owner"), (theirs, "rhubarb", "stranger")):
        for role in ("job", "paused", "failed", "done", "stuck", "waits"):
            if role == "waits" and word == "rhubarb":
                continue  # a figure that only we have
            job = {
                "job": f"{word} {role}", "kind": word, "owner_id": users[owner], "start": role != "waits",
                "stall_after_ms": 1000 if role == "stuck" else None, "max_attempts": 1 if role == "failed" else 3,
            }  # fmt: skip
            caller = {"tenant_id": tenant, "received_at": _moment(role, 0)}
            made = database.call("create_job", caller=caller, job=job)
            if tenant == ours:
                jobs[role] = made["job"]["job_id"]
            if role != "waits":
                _report(database, tenant, f"{word} {role}", word, role)
        if tenant == ours:
            with database.acting("authenticated", users["admin"]):
                database.call("pause_job", job_id="sesame paused")
            database.record(tenant, {"job": "sesame paused", "worker": "sesame lane", "state": "paused"})
    database.rows("select milepost_private.evaluate_alerts(now())")
    with database.acting("authenticated", users["admin"]):
        share = database.call("share_job", job_id="sesame job")
        # Of a job that has ended, so that what it shows stays.
        token = database.call("share_job", job_id="sesame done")["token"]
        channel = database.call(
            "add_alert_channel", type="email", name="sesame", address="sesame@example.org"
        )
    return {
        "tenant": ours, "users": users, "keys": keys, "jobs": jobs, "share": share["share_id"],
        "share_token": token, "channel": channel["channel_id"],
    }  # fmt: skip


def _moment(role: str, seconds: float) -> str:
    """So many seconds after the job's start, a minute ago; an hour ago for the one that is stuck."""
    start = datetime.now(UTC) - timedelta(minutes=60 if role == "stuck" else 1)
    return (start + timedelta(seconds=seconds)).isoformat()


def _report(database: Database, tenant: str, key: str, word: str, role: str) -> None:
    for checkpoint in range(1, 4):
        entry = {
            "job": key, "worker": f"{word} lane", "message": word, "cursor": word, "items_total": 10,
            "items_completed": 3 * checkpoint, "stage": {"name": f"{word} stage", "items_completed": checkpoint, "items_total": 9},
            "items": [{"key": f"{word} file", "state": "failed", "error": word, "payload": {}}],
            "state": {"done": "completed", "failed": "failed"}.get(role) if checkpoint == 3 else None,
        }  # fmt: skip
        body = {
            "caller": {"tenant_id": tenant}, "checkpoints": [entry], "received_at": _moment(role, 10 * checkpoint),
        }  # fmt: skip
        database.one("select milepost.record_checkpoints(%s)", Jsonb(body))


def code_of(text: str) -> str | None:
    """The code of an error."""
    try:
        body = json.loads(text)
    except ValueError:
        return None
    return body.get("code") if isinstance(body, dict) else None
