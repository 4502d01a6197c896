"""A tenant's jobs that ended at moments of the test's choosing."""

from datetime import datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb
from running_stack import RunningStack

PARTS = 5


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


class Past:
    def __init__(self, stack: RunningStack, tenant_id: str) -> None:
        self._stack = stack
        self._tenant_id = tenant_id

    def record(self, at: datetime, **checkpoint: Any) -> None:
        """One checkpoint that arrives at that time."""
        self._record([(at, checkpoint)])

    def run(
        self,
        job: str,
        ended: str,
        *,
        kind: str = "import",
        seconds: float = 60,
        items: int = 100,
        state: str = "completed",
        error: str | None = None,
        **more: Any,
    ) -> None:
        """A job of one attempt that worked for so long on so many items, evenly, until it ended."""
        end = moment(ended)
        said = [
            (
                end - timedelta(seconds=seconds * (1 - part / PARTS)),
                {"job": job, "kind": kind, "items_total": items, "items_completed": items * part // PARTS},
            )
            for part in range(PARTS)
        ]
        said[0][1].update(more)
        self._record(said)
        mine = (self._tenant_id, job)
        if state == "failed":
            query = "update milepost.jobs set max_attempts = 1 where tenant_id = %s and key = %s"
            self._stack.sql(query, mine)
        if state == "canceled":
            query = (
                "select milepost_private.transition(job_id, 'canceling', 'cancel', null, 'system', %s)"
                " from milepost.jobs where tenant_id = %s and key = %s"
            )
            self._stack.sql(query, (end, *mine))
        done = {"items_completed": items} if state == "completed" else {"reason": error}
        self.record(end, job=job, state=state, **done)

    def _record(self, said: list[tuple[datetime, dict[str, Any]]]) -> None:
        caller = {"tenant_id": self._tenant_id}
        bodies = [
            Jsonb({"caller": caller, "checkpoints": [checkpoint], "received_at": at.isoformat()})
            for at, checkpoint in said
        ]
        # The stack's sweep makes up for missing days; a day that is made meanwhile refuses a row on its way to the default.
        days = sorted(at.date() for at, _ in said)
        self._stack.sql("select milepost_private.make_partitions(%s, %s)", (days[0], days[-1]))
        query = "select milepost.record_checkpoints(b) as answer from unnest(%s::jsonb[]) b"
        for row in self._stack.sql(query, (bodies,)):
            assert row["answer"]["errors"] == []
