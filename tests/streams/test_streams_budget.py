"""The message budget: 500 jobs at ten checkpoints a second stay within the free plan's 100 messages a second."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import psycopg
from psycopg.types.json import Jsonb
from running_stack import RunningStack, Tenant

JOBS = 500
PER_S = 10
SECONDS = 5
BURST_S = 1  # each job starts, and its first progress is said at once
FREE_PLAN_PER_S = 100
TOTAL = SECONDS * PER_S


def test_five_hundred_busy_jobs_stay_within_the_free_plan_and_lose_nothing_that_matters(
    stack: RunningStack, tenant: Tenant
) -> None:
    # The clock is an argument: it all has been received within the last minute.
    begin = datetime.now(UTC) - timedelta(seconds=SECONDS + 10)
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        connection.execute("set role service_role")
        for tick in range(1, TOTAL + 1):
            state = {"state": "completed"} if tick == TOTAL else {}
            body = {
                "caller": {"tenant_id": tenant.tenant_id},
                "received_at": (begin + timedelta(seconds=tick / PER_S)).isoformat(),
                "checkpoints": [
                    {
                        "job": f"job-{number}",
                        "seq": tick,
                        "items_total": TOTAL * 7,
                        "items_completed": tick * 7,
                    }
                    | state
                    for number in range(JOBS)
                ],
            }
            connection.execute("select milepost.record_checkpoints(%s)", (Jsonb(body),))

    events = stack.sql(
        "select e.job_id, e.version, e.type, e.data, extract(epoch from e.ts - %s)::float as at from milepost.events e "
        "where e.tenant_id = %s order by e.job_id, e.version",
        (begin, tenant.tenant_id),
    )
    # One message on job: and one on tenant: for each.
    progress = Counter(int(event["at"]) for event in events if event["type"] == "job.progress")
    between = {second: 2 * count for second, count in progress.items() if BURST_S <= second < SECONDS - 1}
    assert max(between.values()) <= FREE_PLAN_PER_S, between
    assert sum(between.values()) > 0

    kinds = Counter(event["type"] for event in events)
    assert kinds["job.started"] == kinds["job.completed"] == JOBS
    changes = Counter(event["data"]["new_state"] for event in events if event["type"] == "job.state_changed")
    assert changes["running"] == changes["completed"] == JOBS
    last = {
        event["job_id"]: event["data"]["items_completed"]
        for event in events
        if event["type"] == "job.progress"
    }
    assert set(last.values()) == {TOTAL * 7}
    for earlier, later in zip(events, events[1:], strict=False):
        assert later["version"] == (earlier["version"] + 1 if later["job_id"] == earlier["job_id"] else 1)

    (budget,) = stack.sql("select * from milepost.message_budget where tenant_id = %s", (tenant.tenant_id,))
    assert budget["sent_last_minute"] == 2 * len(events)
    held_back = JOBS * TOTAL - kinds["job.progress"]
    assert budget["coalesced"] == held_back
    (sent,) = stack.sql(
        "select count(*) as messages from realtime.messages where topic = 'tenant:' || %s",
        (tenant.tenant_id,),
    )
    assert sent["messages"] == len(events)
