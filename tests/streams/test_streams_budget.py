"""The message budget: 500 jobs at ten checkpoints a second stay within the free plan's 100 messages a second.

Here with one checkpoint a second, since what is held back is no message; benchmarks/latency.py has ten.
"""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import psycopg
from psycopg.types.json import Jsonb
from running_stack import RunningStack, Tenant

JOBS = 500
PER_S = 1
SECONDS = 16
BURST_S = 2  # each job starts, and its first progress is said at once
BUDGET_PER_S = 80  # a tenant's, unless it is changed
LIMIT_PER_S = 100  # the free plan's
TICK_S = 5  # over which Realtime averages
LAST = SECONDS * PER_S
TOTAL = LAST * 70


def test_busy_jobs_that_began_together_stay_within_the_plan_and_lose_nothing_that_matters(
    stack: RunningStack, tenant: Tenant
) -> None:
    # The clock is an argument. Before the stack's own sweep gets there, all of this is over.
    begin = datetime.now(UTC) + timedelta(minutes=2)
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        connection.execute("set role service_role")
        for tick in range(1, LAST + 1):
            counts = {"seq": tick, "items_total": TOTAL, "items_completed": tick * 70}
            state = {"state": "completed"} if tick == LAST else {}
            body = {
                "caller": {"tenant_id": tenant.tenant_id},
                "received_at": (begin + timedelta(seconds=tick / PER_S)).isoformat(),
                "checkpoints": [{"job": f"job-{number}", **counts, **state} for number in range(JOBS)],
            }
            connection.execute("select milepost.record_checkpoints(%s)", (Jsonb(body),))

    events = stack.sql(
        "select job_id, version, type, data, extract(epoch from ts - %s)::float as at from milepost.events "
        "where tenant_id = %s order by job_id, version",
        (begin, tenant.tenant_id),
    )
    # One message on job: and one on tenant: for each.
    second = Counter[int]()
    for event in events:
        if BURST_S <= event["at"] < SECONDS - 1:
            second[int(event["at"])] += 2
    ticks = [
        sum(second[at] for at in range(first, first + TICK_S)) / TICK_S
        for first in range(BURST_S, SECONDS - 1 - TICK_S)
    ]
    assert max(ticks) <= LIMIT_PER_S, second
    assert min(ticks) >= BUDGET_PER_S / 2, second

    kinds = Counter(event["type"] for event in events)
    assert kinds["job.started"] == kinds["job.completed"] == JOBS
    changes = Counter(event["data"]["new_state"] for event in events if event["type"] == "job.state_changed")
    assert changes["running"] == changes["completed"] == JOBS
    last = {e["job_id"]: e["data"]["items_completed"] for e in events if e["type"] == "job.progress"}
    assert set(last.values()) == {TOTAL}
    for earlier, later in pairwise(events):
        is_same = later["job_id"] == earlier["job_id"]
        assert later["version"] == (earlier["version"] + 1 if is_same else 1)

    (budget,) = stack.sql("select * from milepost.message_budget where tenant_id = %s", (tenant.tenant_id,))
    assert budget["sent_last_minute"] == budget["sent_last_hour"] == 2 * len(events)
    assert budget["coalesced"] == JOBS * LAST - kinds["job.progress"]
    (sent,) = stack.sql(
        "select count(*) as messages from realtime.messages where topic = 'tenant:' || %s",
        (tenant.tenant_id,),
    )
    assert sent["messages"] == len(events)
