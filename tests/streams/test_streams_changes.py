"""What Supabase gives of its own: the rows behind the messages, and postgres_changes under row level security."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from realtime import AsyncRealtimeClient
from running_stack import Person, RunningStack, Tenant
from talking import Api

PATIENCE_S = 20.0


def test_each_event_is_a_row_on_each_topic_under_the_role_that_production_uses(
    stack: RunningStack, tenant: Tenant
) -> None:
    # realtime.send swallows what goes wrong, so it is looked at from the other end.
    checkpoint = {"job": "import", "items_total": 1, "items_completed": 1, "state": "completed"}
    owner = tenant.owner.user_id
    rpc = f"{stack.supabase_url}/rest/v1/rpc"
    headers = {"apikey": stack.secret_key, "Content-Profile": "milepost"}
    caller = {"tenant_id": tenant.tenant_id}
    created = httpx.post(
        f"{rpc}/create_job",
        headers=headers,
        json={"caller": caller, "job": {"job": "import", "owner_id": owner}},
    )
    assert created.status_code == 200, created.text
    recorded = httpx.post(
        f"{rpc}/record_checkpoints", headers=headers, json={"caller": caller, "checkpoints": [checkpoint]}
    )
    assert recorded.status_code == 200, recorded.text
    assert recorded.json()["errors"] == []
    job_id = recorded.json()["results"][0]["job_id"]
    events = stack.sql(
        "select version, type from milepost.events where job_id = %s order by version", (job_id,)
    )
    assert "job.completed" in {event["type"] for event in events}
    for topic in (f"job:{job_id}", f"tenant:{tenant.tenant_id}", f"user:{owner}"):
        rows = stack.sql(
            "select (payload ->> 'version')::bigint as version, event as type, private, extension "
            "from realtime.messages where topic = %s order by 1",
            (topic,),
        )
        assert [{"version": row["version"], "type": row["type"]} for row in rows] == events
        assert {(row["private"], row["extension"]) for row in rows} == {(True, "broadcast")}


def changes(
    stack: RunningStack, person: Person, table: dict[str, str], cause: Callable[[], object], last: int
) -> tuple[list[Any], list[str]]:
    """What an unmodified client is told after `cause`, until some job has completed so many; and by the system."""

    async def listen() -> tuple[list[Any], list[str]]:
        heard: list[Any] = []
        said: list[str] = []
        moved = asyncio.Event()

        def take(kept: list[Any]) -> Callable[[Any], None]:
            def keep(one: Any) -> None:
                kept.append(one)
                moved.set()

            return keep

        async def until(enough: Callable[[], bool]) -> None:
            async with asyncio.timeout(PATIENCE_S):
                while not enough():
                    moved.clear()
                    await moved.wait()

        client = AsyncRealtimeClient(stack.realtime_url, stack.publishable_key, auto_reconnect=False)
        await client.connect()
        await client.set_auth(person.jwt)
        channel = client.channel("changes")
        channel.on_postgres_changes("*", lambda change: take(heard)(change["data"]), **table)  # type: ignore[arg-type]
        channel.on_system(lambda status: take(said)(status.message))
        await channel.subscribe()
        await until(lambda: bool(said))
        await asyncio.to_thread(cause)
        await until(lambda: bool(heard) and heard[-1]["record"]["items_completed"] == last)
        await client.close()
        return heard, said

    return asyncio.run(listen())


def test_postgres_changes_of_jobs_reach_members_and_nobody_else(
    stack: RunningStack, tenant: Tenant, worker: Api
) -> None:
    worker.post({"job": "import", "items_total": 10})
    job_id = worker.job("import")["job_id"]
    jobs = {"schema": "milepost", "table": "jobs"}
    heard, said = changes(
        stack, tenant.teammate, jobs, lambda: worker.post({"job": "import", "items_completed": 4}), 4
    )
    assert "Subscribed to PostgreSQL" in said
    assert heard[-1]["type"] == "UPDATE"
    assert {change["record"]["job_id"] for change in heard} == {job_id}

    # The stranger hears of a job of their own, which came later, and of nothing before it.
    (row,) = stack.sql(
        "select tenant_id from milepost.members where user_id = %s", (tenant.stranger.user_id,)
    )
    own = {
        "caller": {"tenant_id": str(row["tenant_id"])},
        "checkpoints": [{"job": "own", "items_completed": 3}],
    }

    def cause() -> None:
        worker.post({"job": "import", "items_completed": 9})
        httpx.post(
            f"{stack.supabase_url}/rest/v1/rpc/record_checkpoints",
            headers={"apikey": stack.secret_key, "Content-Profile": "milepost"},
            json=own,
        ).raise_for_status()

    heard, _ = changes(stack, tenant.stranger, jobs, cause, 3)
    assert {change["record"]["tenant_id"] for change in heard} == {str(row["tenant_id"])}


def test_a_filter_picks_one_job(stack: RunningStack, tenant: Tenant, worker: Api) -> None:
    worker.post({"job": "one"}, {"job": "other"})
    one = worker.job("one")["job_id"]
    table = {"schema": "milepost", "table": "jobs", "filter": f"job_id=eq.{one}"}

    def cause() -> None:
        worker.post({"job": "other", "items_completed": 1})
        worker.post({"job": "one", "items_completed": 2})

    heard, _ = changes(stack, tenant.owner, table, cause, 2)
    assert {change["record"]["job_id"] for change in heard} == {one}


def test_the_publication_has_jobs_and_of_events_only_what_nobody_may_select(stack: RunningStack) -> None:
    # The server looks for changes by the tables that pg_publication_tables lists. Of a partitioned table it lists the
    # partitions, and theirs no user may select: docs/realtime.md says so, and points to broadcast.
    tables = stack.sql(
        "select schemaname, tablename, has_table_privilege('authenticated', format('%I.%I', schemaname, tablename), "
        "'select') as may from pg_publication_tables where pubname = 'supabase_realtime' and schemaname like 'milepost%'"
    )
    jobs = [table for table in tables if table["tablename"] == "jobs"]
    assert [(table["schemaname"], table["may"]) for table in jobs] == [("milepost", True)]
    others = [table for table in tables if table["tablename"] != "jobs"]
    assert others
    for table in others:
        assert table["schemaname"] == "milepost_private"
        assert table["tablename"].startswith("events_")
        assert table["may"] is False


@pytest.mark.parametrize("topic", ["tenant", "job"])
def test_what_realtime_replays_or_a_browser_sends_is_not_for_browsers_to_write(
    stack: RunningStack, tenant: Tenant, worker: Api, topic: str
) -> None:
    worker.post({"job": "import"})
    ids = {"tenant": tenant.tenant_id, "job": worker.job("import")["job_id"]}
    answer = httpx.post(
        f"{stack.realtime_url}/api/broadcast/{topic}:{ids[topic]}/events/job.progress",
        params={"private": "true"},
        headers={"apikey": stack.publishable_key, "Authorization": f"Bearer {tenant.owner.jwt}"},
        json={"version": 99},
    )
    assert answer.status_code == 403
