"""GET /v1/events through the local stack: under functions-framework and gunicorn, from the real table."""

import random
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import Any

import httpx
import pytest
from running_stack import RunningStack, Tenant
from talking import Api

from functions.events import HEARTBEAT_S
from milepost.local.running import running

WRITERS = 8
EACH = 25


def stored(stack: RunningStack, tenant: Tenant) -> list[tuple[str, int]]:
    """The tenant's events as they are in the table, in their order."""
    rows = stack.sql(
        "select event_id, job_id::text, version from milepost.events where tenant_id = %s order by event_id",
        (tenant.tenant_id,),
    )
    return [(row["job_id"], row["version"]) for row in rows]


def test_first_comes_the_snapshot_and_then_each_event_with_an_id(
    stack: RunningStack, tenant: Tenant, worker: Api
) -> None:
    worker.post({"job": "import", "items_total": 10, "items_completed": 1})
    with closing(worker.events()) as events:
        heard = []
        for said in events:
            if said.body is None:
                continue
            heard.append(said)
            if said.name == "snapshot":
                worker.post({"job": "import", "items_completed": 10, "state": "completed"})
            if said.name == "job.completed":
                break
    snapshot, *rest = heard
    (job,) = snapshot.body["jobs"]
    assert (snapshot.name, job["job"], job["items_completed"]) == ("snapshot", "import", 1)
    assert [said.body["version"] for said in rest] == list(
        range(job["version"] + 1, job["version"] + len(rest) + 1)
    )
    assert all(said.id and said.name == said.body["type"] for said in rest)
    # The very message that Realtime carries.
    (message,) = stack.sql(
        "select payload from realtime.messages where topic = 'job:' || %s and event = 'job.completed'",
        (job["job_id"],),
    )
    assert message["payload"].items() >= rest[-1].body.items()


def test_a_client_that_left_makes_room_for_the_next() -> None:
    def is_open(streams: ExitStack) -> bool:
        """Opens one more stream, if there is room for it; it stays open."""
        events = streams.enter_context(closing(worker.events()))
        try:
            next(events)
        except httpx.HTTPStatusError as refused:
            assert refused.response.json()["code"] == "too_many_streams"
            return False
        return True

    # A stack of its own: others would find no room.
    with running() as access, closing(Api(access, access.worker_key)) as worker:
        room = 0
        with ExitStack() as streams:
            while is_open(streams):
                room += 1
        assert room > 1
        # Sooner than the next heartbeat would find out that nobody is there.
        ends = time.monotonic() + HEARTBEAT_S - 3
        with ExitStack() as streams:
            found = 0
            while found < room:
                assert time.monotonic() < ends, f"expected room for {room} streams again, found {found}"
                found += is_open(streams)


def test_resuming_loses_and_doubles_nothing_while_eight_writers_write(
    stack: RunningStack, tenant: Tenant, worker: Api
) -> None:
    # Jobs of their own and one that all share, in several processes' transactions at once.
    def write(number: int) -> None:
        jobs = [{"job": f"job-{number}"}, {"job": "shared", "worker": f"w-{number}"}]
        with closing(Api(stack, tenant.worker_key)) as writer:
            for count in range(1, EACH + 1):
                state = {"state": "completed"} if count == EACH else {}
                counts = {"items_total": EACH * WRITERS, "items_completed": count}
                writer.post(*(job | state | counts for job in jobs))

    chance = random.Random(3)  # noqa: S311
    begin = worker.hear(1)[0]
    writers = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    heard: list[tuple[str, int]] = []
    place, connections = begin.id, 0
    while True:
        is_last = not any(writer.is_alive() for writer in writers)
        expected = stored(stack, tenant) if is_last else []
        if is_last and len(heard) >= len(expected):
            break
        connections += 1
        leave_after = chance.randint(1, 12)
        with closing(worker.events(last_id=place)) as events:
            for said in events:
                place = said.id or place
                if said.body is not None:
                    assert said.name != "snapshot"
                    heard.append((said.body["job_id"], said.body["version"]))
                    leave_after -= 1
                if leave_after <= 0 or (is_last and len(heard) >= len(expected)):
                    break
    assert connections > 10
    assert heard == expected
    assert len(expected) > 3 * WRITERS


def test_one_job_can_be_followed_alone(worker: Api) -> None:
    worker.post({"job": "one"}, {"job": "other"})
    with closing(worker.events("one")) as events:
        names = []
        for said in events:
            if said.body is None:
                continue
            names.append(said.name)
            if said.name == "snapshot":
                assert [job["job"] for job in said.body["jobs"]] == ["one"]
                assert "workers" in said.body["jobs"][0]
                worker.post({"job": "other", "state": "completed"})
                worker.post({"job": "one", "state": "completed"})
            else:
                assert said.body["data"].get("job", "one") == "one"
            if said.name == "job.completed":
                break
    assert names[0] == "snapshot"


def test_a_stranger_hears_nothing_and_cannot_tell_a_foreign_job_from_none(
    stack: RunningStack, tenant: Tenant, worker: Api, api: Callable[[str], Api]
) -> None:
    stranger, teammate = api(tenant.stranger.jwt), api(tenant.teammate.jwt)
    with (
        closing(stranger.events()) as foreign,
        closing(teammate.events()) as own,
    ):
        for said in own:
            if said.name == "snapshot":
                break
        said = next(said for said in foreign if said.body is not None)
        assert said.body["jobs"] == []
        worker.post({"job": "secret"})
        assert next(said for said in own if said.body is not None).name == "job.started"
        # Both are fed by one reading, so what it was to hear it would have heard by now.
        api(key_of_the_stranger(stack, tenant)).post({"job": "mine"})
        heard = next(said for said in foreign if said.body is not None)
        assert heard.body["data"]["job"] == "mine"
    job_id = worker.job("secret")["job_id"]
    for job in (job_id, "secret", "00000000-0000-4000-8000-000000000000"):
        with pytest.raises(httpx.HTTPStatusError, match="job_not_found"):
            stranger.hear(1, job)


def key_of_the_stranger(stack: RunningStack, tenant: Tenant) -> str:
    """A worker's key of the stranger's own tenant."""
    (row,) = stack.sql(
        "select milepost.create_key(m.tenant_id, 'worker') ->> 'key' as key from milepost.members m where m.user_id = %s",
        (tenant.stranger.user_id,),
    )
    key: str = row["key"]
    return key


def test_a_revoked_key_is_refused_when_it_comes_again(
    stack: RunningStack, tenant: Tenant, worker: Api
) -> None:
    worker.post({"job": "import"})
    place = worker.hear(1)[0].id
    stack.sql(
        "select milepost.revoke_key(k.key_id) from milepost_private.keys k where k.tenant_id = %s and k.scope = 'worker'",
        (tenant.tenant_id,),
    )
    with pytest.raises(httpx.HTTPStatusError) as refused:
        worker.hear(1, last_id=place)
    assert (refused.value.response.status_code, refused.value.response.json()["code"]) == (401, "invalid_key")


def test_a_key_for_pings_hears_nothing(api: Callable[[str], Api], tenant: Tenant) -> None:
    with pytest.raises(httpx.HTTPStatusError, match="not_allowed"):
        api(tenant.ping_key).hear(1)


def test_nobody_hears_without_a_key(stack: RunningStack) -> None:
    answer = httpx.get(f"{stack.api_url}/v1/events")
    assert (answer.status_code, answer.json()["code"]) == (401, "key_required")


@pytest.mark.parametrize("query", [{"jobs": "x"}, {"job": ["a", "b"]}, {"job": "x" * 201}])
def test_a_query_that_nobody_knows_is_refused(worker: Api, query: dict[str, Any]) -> None:
    assert worker.http.get("/v1/events", params=query).status_code == 422


def test_an_id_of_another_database_begins_with_a_snapshot(worker: Api) -> None:
    worker.post({"job": "import"})
    (said,) = worker.hear(1, last_id="999999999999-" + (worker.hear(1)[0].id or "").split("-")[1])
    assert said.name == "snapshot"


def test_a_page_of_another_origin_may_resume(stack: RunningStack) -> None:
    answer = httpx.options(f"{stack.api_url}/v1/events", headers={"Origin": "https://else.example"})
    assert "Last-Event-ID" in answer.headers["Access-Control-Allow-Headers"]
