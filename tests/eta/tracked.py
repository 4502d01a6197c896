"""A tenant's jobs, tracked at moments of the test's choosing."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

Row = dict[str, Any]

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def at(seconds: float) -> str:
    return (NOON + timedelta(seconds=seconds)).isoformat()


class Tracked:
    """Seconds count from noon. A statement is a transaction."""

    def __init__(self, connection: psycopg.Connection[Row], tenant_id: str) -> None:
        self.connection = connection
        self.tenant_id = tenant_id

    def rows(self, query: str, *values: object) -> list[Row]:
        answer = self.connection.execute(query.encode(), values or None)
        return answer.fetchall() if answer.description is not None else []

    def row(self, query: str, *values: object) -> Row:
        (row,) = self.rows(query, *values)
        return row

    def record(self, seconds: float, *checkpoints: Row, job: str = "job") -> Row:
        """One request of POST /v1/checkpoints; its entries are of `job` unless they name another."""
        body = {
            "caller": {"tenant_id": self.tenant_id},
            "checkpoints": [{"job": job} | checkpoint for checkpoint in checkpoints],
            "received_at": at(seconds),
        }
        answer: Row = self.row("select milepost.record_checkpoints(%s) as answer", Jsonb(body))["answer"]
        assert answer["errors"] == []
        return answer

    def figures(self, seconds: float, job: str = "job") -> Row:
        """What is computed of the job at that moment."""
        return self.row(
            "select f.* from milepost.jobs j join milepost_private.pulses p using (job_id) "
            "left join milepost_private.kinds k on k.tenant_id = j.tenant_id and k.kind = j.kind "
            "cross join lateral milepost_private.figures(j, p, k, %s::timestamptz) f "
            "where j.tenant_id = %s and j.key = %s",
            at(seconds),
            self.tenant_id,
            job,
        )

    def left_s(self, seconds: float, job: str = "job") -> float | None:
        """Its ETA in seconds."""
        eta_ms = self.figures(seconds, job)["eta_ms"]
        return None if eta_ms is None else float(eta_ms) / 1000

    def reason(self, seconds: float, job: str = "job") -> str | None:
        """Why there is no ETA; null where there is one."""
        shown = self.figures(seconds, job)
        assert (shown["eta_ms"] is None) == (shown["eta_reason"] is not None)
        assert (shown["eta_low_ms"] is None) == (shown["eta_high_ms"] is None) == (shown["eta_ms"] is None)
        reason: str | None = shown["eta_reason"]
        return reason

    def job(self, job: str = "job") -> Row:
        return self.row("select * from milepost.jobs where tenant_id = %s and key = %s", self.tenant_id, job)

    def pulse(self, job: str = "job") -> Row:
        query = "select to_jsonb(p) as pulse from milepost_private.pulses p where p.job_id = %s"
        pulse: Row = self.row(query, self.job(job)["job_id"])["pulse"]
        return pulse

    def move(self, seconds: float, new_state: str, verb: str, job: str = "job") -> None:
        """A change of state that a person would make."""
        self.rows(
            "select milepost_private.transition(%s, %s, %s, null, 'system', %s)",
            self.job(job)["job_id"],
            new_state,
            verb,
            at(seconds),
        )

    def replay(self, checkpoints: list[Row], at_s: list[float]) -> list[Row]:
        return self.rows(
            "select * from milepost_private.replay(%s::jsonb, %s::float8[])",
            json.dumps(checkpoints),
            [float(second) for second in at_s],
        )

    def run(
        self, job: str, since: float = 0, *, kind: str = "kind", items: int = 100, every_s: float = 1
    ) -> float:
        """A job of `items` items, one each `every_s`, from start to completed; returns when it ended."""
        for done in range(0, items + 1, max(items // 20, 1)):
            state = {"state": "completed"} if done == items else {}
            self.record(
                since + done * every_s,
                {"kind": kind, "items_total": items, "items_completed": done} | state,
                job=job,
            )
        return since + items * every_s


def connect(url: str) -> psycopg.Connection[Row]:
    return psycopg.connect(url, autocommit=True, row_factory=dict_row)
