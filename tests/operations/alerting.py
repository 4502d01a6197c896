"""Alerts at moments of a test's choosing, in a transaction that is undone."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from running_stack import Person, Tenant

Row = dict[str, Any]

NOON = datetime(2026, 1, 22, 12, tzinfo=UTC)
HOUR, DAY = 3600, 86_400


def moment(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


class Refused(Exception):
    """The database said no, in words for PostgREST."""

    def __init__(self, error: psycopg.Error) -> None:
        self.code: str = json.loads(error.diag.message_primary or "{}")["code"]
        super().__init__(self.code)


class Alerting:
    """One tenant's jobs and alerts. Seconds count from noon."""

    def __init__(self, connection: psycopg.Connection, tenant: Tenant) -> None:
        self._connection, self.tenant_id = connection, tenant.tenant_id
        # Begins the transaction around those of `rows`. The stack evaluates, too: not while this one lasts.
        connection.execute(
            "select pg_advisory_xact_lock(hashtextextended('milepost_private.evaluate_alerts', 0))"
        )
        # What jobs of other tests are to blame for is open already, so that `evaluate` counts none of it.
        for seconds in (-600, 0):
            self.evaluate(seconds)

    def rows(self, query: str, *values: object) -> list[Row]:
        cursor = self._connection.cursor(row_factory=dict_row)
        try:
            with self._connection.transaction():
                cursor.execute(query.encode(), values or None)
        except psycopg.Error as error:
            if error.sqlstate == "PGRST":
                raise Refused(error) from None
            raise
        return cursor.fetchall() if cursor.description else []

    def one(self, query: str, *values: object) -> Any:
        (row,) = self.rows(query, *values)
        (value,) = row.values()
        return value

    @contextmanager
    def acting(self, person: Person) -> Iterator[None]:
        """A user's request."""
        claims = json.dumps({"role": "authenticated", "sub": person.user_id})
        settings = "select set_config('role', %s, true), set_config('request.jwt.claims', %s, true)"
        self.rows(settings, "authenticated", claims)
        try:
            yield
        finally:
            self.rows(settings, "none", "")

    def call(self, function: str, **arguments: object) -> Any:
        named = ", ".join(f"{name} => %s" for name in arguments)
        return self.one(f"select milepost.{function}({named})", *arguments.values())

    def create(self, job: str, seconds: float = 0, **fields: object) -> str:
        caller = {"tenant_id": self.tenant_id, "received_at": moment(seconds).isoformat()}
        query = "select milepost.create_job(%s, %s)"
        job_id: str = self.one(query, Jsonb(caller), Jsonb({"job": job} | fields))["job"]["job_id"]
        return job_id

    def report(self, job: str, seconds: float, done: int | None = None, **fields: object) -> None:
        entry = {"job": job} | ({} if done is None else {"items_completed": done}) | fields
        body = {
            "caller": {"tenant_id": self.tenant_id},
            "received_at": moment(seconds).isoformat(),
            "checkpoints": [entry],
        }
        answer = self.one("select milepost.record_checkpoints(%s)", Jsonb(body))
        assert answer["errors"] == []

    def run(self, job: str, seconds: float, kind: str, state: str = "completed") -> None:
        """A run of a minute that ends so, in its only attempt."""
        self.create(job, seconds, kind=kind, items_total=10, max_attempts=1)
        self.report(job, seconds + 60, 10, state=state, reason="it broke" if state == "failed" else None)

    def retry(self, job: str, seconds: float) -> None:
        self.rows(
            "select milepost_private.transition(job_id, 'retrying', 'retry', null, 'user:1', %s) "
            "from milepost.jobs where tenant_id = %s and key = %s",
            moment(seconds), self.tenant_id, job,
        )  # fmt: skip

    def evaluate(self, seconds: float) -> Row:
        counts: Row = self.one("select milepost_private.evaluate_alerts(%s)", moment(seconds))
        return counts

    def alerts(self, rule: str | None = None) -> list[Row]:
        """Those that were opened, open and over, in their order."""
        found = self.rows(
            "select * from milepost_private.alerts where tenant_id = %s and opened_at is not null "
            "order by opened_at, rule, subject",
            self.tenant_id,
        )
        return [alert for alert in found if rule in (None, alert["rule"])]

    def open(self, rule: str | None = None) -> list[Row]:
        return [alert for alert in self.alerts(rule) if alert["resolved_at"] is None]

    def channel(self, **fields: object) -> str:
        """A webhook unless `fields` say otherwise, added by who may."""
        row = {
            "tenant_id": self.tenant_id, "type": "webhook", "name": "hook", "address": "https://hook.example",
            "secret": "whsec_AAAA", "shown": "https://hook.example", "told": 0,
        } | fields  # fmt: skip
        names, places = ", ".join(row), ", ".join("%s" for _ in row)
        added = self.one(
            f"insert into milepost_private.alert_channels ({names}) values ({places}) returning channel_id",
            *row.values(),
        )
        return str(added)

    def send(self, seconds: float, results: list[Row] | None = None) -> list[Row]:
        """What is handed out to this tenant's channels."""
        given = None if results is None else Jsonb(results)
        answer = self.one("select milepost.send_alerts(%s, at => %s)", given, moment(seconds))
        return [d for d in answer["deliveries"] if d["body"]["data"]["tenant_id"] == self.tenant_id]


def result(delivery: Row, error: str | None = None) -> Row:
    return {"delivery_id": delivery["delivery_id"], "lease_id": delivery["lease_id"], "error": error}


def told(delivery: Row) -> list[tuple[str, str]]:
    """What a message says: (rule, status) of each alert."""
    return [(alert["rule"], alert["status"]) for alert in delivery["body"]["data"]["alerts"]]
