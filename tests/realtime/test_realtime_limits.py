"""What the stand-in refuses, drops and closes, and for how long, as the real server does."""

import asyncio

import aiohttp
import pytest
from realtime_project import U1, U2, Clock, Limits, Project, in_a_loop, project

from milepost.local.postgres import Postgres
from milepost.local.realtime.limits import RateCounter

OK = {"status": "ok", "response": {"postgres_changes": []}}


def refusal(reason: str) -> object:
    return {"status": "error", "response": {"reason": reason}}


@in_a_loop
async def test_a_refused_join_waits_five_seconds(cluster: Postgres) -> None:
    async with project(cluster, refusal_delay_s=5.0) as running:
        client = await running.connect()
        answer = asyncio.create_task(client.join("user:x", private=True, token=running.token(user=U1)))
        await running.clock.somebody_sleeps(5.0)
        assert not answer.done()
        await running.clock.advance(5.0)
        assert await answer == refusal(
            "Unauthorized: You do not have permissions to read from this Channel topic: user:x"
        )


@in_a_loop
async def test_a_refused_handshake_waits_two_seconds(cluster: Postgres) -> None:
    async with project(cluster, handshake_delay_s=2.0) as running:
        attempt = asyncio.create_task(running.connect(query="apikey=nope"))
        await running.clock.somebody_sleeps(2.0)
        assert not attempt.done()
        await running.clock.advance(2.0)
        with pytest.raises(aiohttp.WSServerHandshakeError) as error:
            await attempt
        assert error.value.status == 401


@in_a_loop
async def test_a_socket_has_at_most_a_hundred_channels(cluster: Postgres) -> None:
    async with project(cluster, limits=Limits(joins_per_s=1_000)) as running:
        client = await running.connect()
        for number in range(100):
            assert await client.join(f"many-{number}") == OK
        too_many = refusal("ChannelRateLimitReached: Too many channels")
        assert await client.join("many-100") == too_many
        # Joining a topic again is no further channel.
        assert await client.join("many-0") == OK
        assert (await client.hear_message())[0] == "phx_close"


@in_a_loop
async def test_only_so_many_users_are_connected(cluster: Postgres) -> None:
    async with project(cluster, limits=Limits(users=1)) as running:
        first, second = await running.connect(), await running.connect()
        assert await first.join("a") == OK
        too_many = refusal("ConnectionRateLimitReached: Too many connected users")
        assert await second.join("a") == too_many
        assert await first.join("b") == OK


@in_a_loop
async def test_only_so_many_joins_a_second_are_let_in(cluster: Postgres) -> None:
    async with project(cluster, limits=Limits(joins_per_s=1)) as running:
        client = await running.connect()
        for number in range(60):
            assert await client.join(f"{number}") == OK
        await running.clock.advance(5)
        too_many = refusal("ClientJoinRateLimitReached: Too many joins per second")
        assert await client.join("one more") == too_many


@pytest.mark.parametrize("version", [1, 2])
@in_a_loop
async def test_a_frame_that_is_too_large_closes_the_socket(cluster: Postgres, version: int) -> None:
    async with project(cluster) as running:
        client = await running.connect(version=version)
        await client.join("room")
        await client.push("realtime:room", "broadcast", {"event": "e", "payload": "z" * 5_200_000})
        assert await client.closed() == 1009


@pytest.mark.parametrize("version", [1, 2])
@in_a_loop
async def test_a_payload_that_is_too_large_is_refused_in_the_acknowledgement(
    cluster: Postgres, version: int
) -> None:
    async with project(cluster) as running:
        client = await running.connect(version=version)
        await client.join("room", broadcast={"ack": True, "self": True})
        payload = {"type": "broadcast", "event": "e", "payload": "z" * 3_100_000}
        await client.push("realtime:room", "broadcast", payload)
        assert await client.hear_message() == (
            "phx_reply",
            {"status": "error", "response": "payload_size_exceeded"},
        )
        await client.nothing_more()


@in_a_loop
async def test_a_payload_from_the_database_that_is_too_large_is_dropped_silently(cluster: Postgres) -> None:
    async with project(cluster) as running:
        client = await running.connect(version=1)
        await client.join("room")
        for size in (3_100_000, 500_000):
            running.sql(
                "select realtime.send(jsonb_build_object('z', repeat('z', %s)), 'e', 'room', false)", [size]
            )
        _, heard = await client.hear_message()
        assert len(heard["payload"]["z"]) == 500_000
        await running.settle()
        await client.nothing_more()


async def flood(running: Project, messages: int) -> None:
    running.sql("select realtime.send('{}', 'flood', 'room', false) from generate_series(1, %s)", [messages])
    await running.settle()


@in_a_loop
async def test_a_flood_from_the_database_is_cut_off_silently_and_heard_again_later(cluster: Postgres) -> None:
    async with project(cluster, limits=Limits(idle_s=1_000)) as running:
        client = await running.connect(version=1)
        await client.join("room")
        # Each message counts once as sent and once as received: 8,000 in a minute are over 100 a second.
        await flood(running, 4_000)
        for _ in range(4_000):
            await client.hear()
        await running.clock.advance(5)
        # Sent before a change that is heard, and so not merely late.
        running.sql("select realtime.send('{}', 'lost', 'room', false)")
        await running.settle_changes()
        await client.nothing_more()
        await running.clock.advance(65)
        running.sql("select realtime.send('{}', 'heard', 'room', false)")
        assert (await client.hear_message())[1]["event"] == "heard"


@in_a_loop
async def test_a_flood_from_a_client_closes_those_who_receive_it(cluster: Postgres) -> None:
    async with project(cluster, limits=Limits(events_per_s=1)) as running:
        sender, receiver = await running.connect(version=1), await running.connect(version=1)
        await sender.join("room")
        await receiver.join("room")
        said = {"type": "broadcast", "event": "e", "payload": {}}
        for _ in range(60):
            await sender.push("realtime:room", "broadcast", said)
        for _ in range(60):
            assert (await receiver.hear_message())[0] == "broadcast"
        await running.clock.advance(5)
        await sender.push("realtime:room", "broadcast", said)
        event, payload = await receiver.hear_message()
        assert (event, payload["status"], payload["message"]) == (
            "system",
            "error",
            "Too many messages per second",
        )
        assert await receiver.hear_message() == ("phx_close", {})
        await sender.nothing_more()
        await receiver.nothing_more()


@in_a_loop
async def test_broadcasting_by_http_over_the_limit_is_429(cluster: Postgres) -> None:
    async with project(cluster, limits=Limits(events_per_s=2)) as running:
        url, headers = f"{running.url}/api/broadcast", {"apikey": running.token("anon")}
        message = {"topic": "room", "event": "e", "payload": {}}
        async with running.http.post(url, json={"messages": [message] * 3}, headers=headers) as response:
            assert response.status == 429
            assert "reduce the batch size" in (await response.json())["message"]
        for _ in range(130):
            async with running.http.post(url, json={"messages": [message]}, headers=headers) as response:
                assert response.status == 202
        await running.clock.advance(5)
        async with running.http.post(url, json={"messages": [message]}, headers=headers) as response:
            assert response.status == 429
            assert await response.json() == {"message": "You have exceeded your rate limit"}


@pytest.mark.parametrize("body", ["nonsense", "[]", '"text"', '{"messages": "x"}', '{"messages": [1]}'])
@in_a_loop
async def test_a_body_that_is_no_broadcast_is_refused(cluster: Postgres, body: str) -> None:
    async with project(cluster) as running:
        headers = {"apikey": running.token("anon"), "content-type": "application/json"}
        async with running.http.post(f"{running.url}/api/broadcast", data=body, headers=headers) as response:
            assert response.status in (400, 422)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    "frame",
    [
        *("", "[]", "{}", "null", '"text"', "[1,2,3,4,5]", '{"topic":1,"event":2,"payload":3}'),
        *(b"", b"\x03", b"\xff" * 9, b"\x03\xff\x01\x01\x01\x01\x01too short"),
        b"\x03\x00\x00\x02\x00\x00\x01\xff\xff{}",
    ],
    ids=repr,
)
@in_a_loop
async def test_a_frame_that_cannot_be_read_is_ignored(
    cluster: Postgres, version: int, frame: str | bytes
) -> None:
    async with project(cluster) as running:
        client = await running.connect(version=version)
        await client.say(frame)
        await client.nothing_more()


@in_a_loop
async def test_an_idle_socket_is_closed_and_a_heartbeat_keeps_it(cluster: Postgres) -> None:
    async with project(cluster) as running:
        idle, alive = await running.connect(), await running.connect()
        closed = asyncio.create_task(idle.closed())
        for _ in range(11):
            await running.clock.somebody_sleeps(6.0)
            await running.clock.advance(6.0)
            await alive.nothing_more()
        assert await closed == 1000
        await alive.nothing_more()


@in_a_loop
async def test_another_users_token_gives_no_more_than_its_own_rights(cluster: Postgres) -> None:
    async with project(cluster) as running:
        client = await running.connect()
        mine, theirs = running.token(user=U1), running.token(user=U2)
        assert await client.join(f"user:{U1}", private=True, token=mine) == OK
        assert (await client.join(f"user:{U1}:x", private=True, token=theirs))["status"] == "error"


def test_the_rate_is_the_mean_of_a_minute_in_ticks_of_five_seconds() -> None:
    clock = Clock()
    clock.now = 1_000.0
    counter = RateCounter(clock)
    counter.add(600)
    assert counter.per_s == 0
    clock.now += 5
    assert counter.per_s == 10
    counter.add(600)
    clock.now += 20
    assert counter.per_s == 20
    clock.now += 40
    assert counter.per_s == 10
    clock.now += 10_000
    assert counter.per_s == 0
