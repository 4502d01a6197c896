"""The database at moments that a test chooses: what is done has its time as an argument."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from running_stack import Tenant

Row = dict[str, Any]

NOON = datetime(2026, 1, 22, 12, tzinfo=UTC)
SWEEP_S = 30


def moment(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


class Clocked:
    """One tenant's jobs. Seconds count from noon; a sweep comes every 30 of them."""

    def __init__(self, connection: psycopg.Connection, tenant: Tenant) -> None:
        self._connection, self.tenant_id = connection, tenant.tenant_id
        self.swept_s = 0.0
        # Locks out the stack's own sweeps until the transaction is undone.
        self.rows("update milepost_private.sweeps set swept_at = %s, hold_until = null", NOON)
        self.rows("update milepost_private.keys set last_used_at = null")

    def rows(self, query: str, *values: object) -> list[Row]:
        cursor = self._connection.cursor(row_factory=dict_row)
        cursor.execute(query.encode(), values or None)
        return cursor.fetchall() if cursor.description else []

    def one(self, query: str, *values: object) -> Any:
        (row,) = self.rows(query, *values)
        (value,) = row.values()
        return value

    def create(self, job: str, seconds: float = 0, **fields: object) -> Row:
        caller = {"tenant_id": self.tenant_id, "received_at": moment(seconds).isoformat()}
        query = "select milepost.create_job(%s, %s)"
        created: Row = self.one(query, Jsonb(caller), Jsonb({"job": job} | fields))["job"]
        return created

    def report(self, job: str, seconds: float, done: int | None = None, **fields: object) -> Row:
        """One checkpoint; returns what the worker hears."""
        entry = {"job": job} | ({} if done is None else {"items_completed": done}) | fields
        body = {
            "caller": {"tenant_id": self.tenant_id},
            "received_at": moment(seconds).isoformat(),
            "checkpoints": [entry],
        }
        answer = self.one("select milepost.record_checkpoints(%s)", Jsonb(body))
        assert not [e for e in answer["errors"] if e["code"] != "stale_attempt"], answer
        result: Row
        (result,) = answer["results"]
        return result

    def claim(self, seconds: float, kinds: list[str] | None = None, worker: str | None = None) -> Row | None:
        caller = {"tenant_id": self.tenant_id, "received_at": moment(seconds).isoformat()}
        claimed: Row | None = self.one("select milepost.claim_job(%s, %s, %s)", Jsonb(caller), kinds, worker)
        return claimed

    def sweep(self, seconds: float) -> Row:
        self.swept_s = seconds
        answer: Row = self.one("select milepost.sweep(%s)", moment(seconds))
        return answer

    def sweep_until(self, seconds: float) -> list[Row]:
        """Every sweep until then."""
        answers = []
        while self.swept_s + SWEEP_S <= seconds:
            answers.append(self.sweep(self.swept_s + SWEEP_S))
        return answers

    def move(self, job: str, new_state: str, verb: str, seconds: float, actor: str = "user:1") -> None:
        """What a person asks, at this moment."""
        self.rows(
            "select milepost_private.transition(%s, %s, %s, null, %s, %s)",
            self.job(job)["job_id"], new_state, verb, actor, moment(seconds),
        )  # fmt: skip

    def job(self, job: str) -> Row:
        (row,) = self.rows(
            "select * from milepost.jobs where tenant_id = %s and key = %s", self.tenant_id, job
        )
        return row

    def figures(self, job: str, seconds: float) -> Row:
        (row,) = self.rows(
            "select f.* from milepost.jobs j join milepost_private.pulses p using (job_id) "
            "left join milepost_private.kinds k on k.tenant_id = j.tenant_id and k.kind = j.kind "
            "cross join lateral milepost_private.figures(j, p, k, %s) f where j.job_id = %s",
            moment(seconds), self.job(job)["job_id"],
        )  # fmt: skip
        return row

    def explain(self, job: str, seconds: float) -> Row:
        explained: Row = self.one(
            "select milepost_private.explain(%s, %s)", self.job(job)["job_id"], moment(seconds)
        )
        return explained

    def events(self, job: str, *types: str) -> list[Row]:
        rows = self.rows(
            "select type, ts, data from milepost.events where job_id = %s order by version",
            self.job(job)["job_id"],
        )
        return [row for row in rows if not types or row["type"] in types]

    def steady(self, *jobs: str, until: int, since: int = 0) -> None:
        """These jobs settle an item a second, reported every five, each with its cursor."""
        for second in range(since, until + 1, 5):
            for job in jobs:
                self.report(job, second, second, cursor=second)
