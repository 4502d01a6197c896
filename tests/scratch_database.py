"""A database with Milepost in it, asked the way PostgREST asks: under a role, with a user's claims."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from functions.columns import columns
from milepost.local.schema import build
from milepost.local.stack import HERE

Row = dict[str, Any]
Checkpoint = dict[str, Any]

MANY = 3
"""From so many checkpoints on they come as columns, as from ten on of the functions."""

NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=1)
"""Tomorrow's: what is recorded then comes after jobs that are made now, whatever the time of day."""


def at(seconds: float) -> str:
    """The moment so many seconds after noon, as `received_at` takes it."""
    return (NOON + timedelta(seconds=seconds)).isoformat()


class Refused(Exception):
    """The database said no, in words for PostgREST."""

    def __init__(self, error: psycopg.Error) -> None:
        body = json.loads(error.diag.message_primary or "{}")
        detail = json.loads(error.diag.message_detail or "{}")
        self.status: int = detail["status"]
        self.headers: dict[str, str] = detail["headers"]
        self.code: str = body["code"]
        self.message: str = body["message"]
        self.hint: str | None = body["hint"]
        self.details: str | None = body["details"]
        super().__init__(f"{self.status} {self.code}: {self.message}")

    def answer(self) -> tuple[object, ...]:
        """What a client sees of it."""
        return self.status, self.code, self.message, self.hint, self.details


@dataclass(frozen=True)
class Key:
    """A Milepost key as the functions pass it on."""

    key_id: str
    text: str

    @property
    def key_hash(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


class Database:
    """A superuser's connection that can act as any role. A statement is a transaction, unless in `undone`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.connection: psycopg.Connection[Row] = psycopg.connect(url, autocommit=True, row_factory=dict_row)

    def rows(self, query: str, *values: object) -> list[Row]:
        try:
            answer = self.connection.execute(query.encode(), values or None)
        except psycopg.Error as error:
            if error.sqlstate == "PGRST":
                raise Refused(error) from None
            raise
        return answer.fetchall() if answer.description is not None else []

    def row(self, query: str, *values: object) -> Row:
        rows = self.rows(query, *values)
        assert len(rows) == 1, f"expected one row, found {len(rows)}"
        return rows[0]

    def one(self, query: str, *values: object) -> Any:
        (value,) = self.row(query, *values).values()
        return value

    @contextmanager
    def undone(self) -> Iterator[None]:
        """One transaction that is rolled back in the end, so that each example finds the database empty."""
        with self.connection.transaction(force_rollback=True):
            yield

    @contextmanager
    def acting(self, role: str, user_id: str | None = None) -> Iterator[None]:
        """A request of PostgREST: one transaction under this role, with the user's claims."""
        claims = {"role": role} | ({"sub": user_id} if user_id else {})
        setting = "select set_config('role', %s, true), set_config('request.jwt.claims', %s, true)"
        with self.connection.transaction():
            self.rows(setting, role, json.dumps(claims))
            yield
            # In a transaction around this one the settings would outlive the request.
            self.rows(
                "select set_config('role', 'none', true), set_config('request.jwt.claims', '', true), "
                "set_config('milepost.key_hash', '', true), set_config('milepost.correlation_id', '', true)"
            )

    def call(self, function: str, **arguments: object) -> Any:
        """Calls a function of the schema milepost by names, with JSON for dicts."""
        values = [Jsonb(v) if isinstance(v, dict) else v for v in arguments.values()]
        named = ", ".join(f"{name} => %s" for name in arguments)
        return self.one(f"select milepost.{function}({named})", *values)

    def tenant(self, name: str = "tenant") -> str:
        return str(self.call("create_tenant", name=name)["tenant_id"])

    def key(self, tenant_id: str, scope: str) -> Key:
        made = self.call("create_key", tenant_id=tenant_id, scope=scope)
        return Key(made["key_id"], made["key"])

    def record(
        self, tenant_id: str, *checkpoints: Checkpoint, seconds: float | None = None, key: Key | None = None
    ) -> dict[str, Any]:
        """One request of POST /v1/checkpoints, as the functions pass it on, so many seconds after noon."""
        caller = {"key_hash": key.key_hash} if key else {"tenant_id": tenant_id}
        body: dict[str, Any] = {"caller": caller, "checkpoints": checkpoints}
        if len(checkpoints) >= MANY:
            body = {"caller": caller, "columns": json.loads(columns(list(checkpoints)))}
        if seconds is not None:
            body["received_at"] = at(seconds)
        with self.acting("service_role"):
            answer: dict[str, Any] = self.one("select milepost.record_checkpoints(%s)", Jsonb(body))
        return answer

    def job(self, tenant_id: str, key: str = "job") -> Row:
        return self.row("select * from milepost.jobs where tenant_id = %s and key = %s", tenant_id, key)

    def shown(self, tenant_id: str, key: str = "job") -> Row:
        """The job as the view job_progress shows it."""
        return self.row(
            "select * from milepost.job_progress where tenant_id = %s and job = %s", tenant_id, key
        )

    def figures(self, tenant_id: str, seconds: float, key: str = "job") -> Row:
        """What is computed of a job so many seconds after noon."""
        return self.row(
            "select f.* from milepost.jobs j join milepost_private.pulses p using (job_id) "
            "left join milepost_private.kinds k on k.tenant_id = j.tenant_id and k.kind = j.kind "
            "cross join lateral milepost_private.figures(j, p, k, %s::timestamptz) f "
            "where j.tenant_id = %s and j.key = %s",
            at(seconds),
            tenant_id,
            key,
        )

    def lanes(self, job_id: object) -> dict[str, Row]:
        return {r["worker"]: r for r in self.rows("select * from milepost.lanes where job_id = %s", job_id)}

    def stages(self, job_id: object) -> dict[str, Row]:
        return {r["name"]: r for r in self.rows("select * from milepost.stages where job_id = %s", job_id)}

    def items(self, job_id: object) -> dict[tuple[str, str], Row]:
        rows = self.rows("select * from milepost.items where job_id = %s", job_id)
        return {(r["stage"], r["key"]): r for r in rows}

    def events(self, job_id: object) -> list[Row]:
        return self.rows("select * from milepost.events where job_id = %s order by version", job_id)

    def move(
        self, job_id: object, new_state: str, verb: str, *, reason: str | None = None, seconds: float = 0
    ) -> None:
        """A change of state at a moment of the test's choosing, which `control` would take at its own."""
        self.rows(
            "select milepost_private.transition(%s, %s, %s, %s, 'system', %s)",
            job_id, new_state, verb, reason, at(seconds),
        )  # fmt: skip

    def everything(self, tables: Sequence[str] = ()) -> dict[str, list[str]]:
        """All rows of Milepost's tables (or of these) as text, to see that nothing changed."""
        names = tables or [
            f"{r['nspname']}.{r['relname']}"
            for r in self.rows(
                "select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace "
                "where n.nspname in ('milepost', 'milepost_private') and c.relkind in ('r', 'p') "
                "and not c.relispartition order by 1, 2"
            )
        ]
        return {
            name: [r["row"] for r in self.rows(f"select t::text as row from {name} t order by 1")]
            for name in names
        }

    def close(self) -> None:
        self.connection.close()


def install(url: str, schema: str | None = None) -> None:
    """Makes an empty database a Supabase project with Milepost, from sql/schema unless other SQL is given."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statements in (
            (HERE / "supabase.sql").read_text(),
            (HERE / "realtime/schema.sql").read_text(),
            build() if schema is None else schema,
        ):
            connection.execute(statements.encode())
