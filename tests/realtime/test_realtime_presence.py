"""Presence: who hears of whom."""

from realtime_project import U1, Client, Project, in_a_loop, project

from milepost.local.postgres import Postgres

TOPIC = "realtime:room"
TRACK = {"type": "presence", "event": "track", "payload": {"mood": "fine"}}


async def present(running: Project, key: str) -> Client:
    client = await running.connect()
    await client.join("room", presence={"enabled": True, "key": key})
    return client


@in_a_loop
async def test_who_did_not_ask_for_presence_hears_none(cluster: Postgres) -> None:
    async with project(cluster) as running:
        indifferent = await running.connect()
        await indifferent.join("room")
        alice = await present(running, "alice")
        assert await alice.hear_message() == ("presence_state", {})
        await alice.push(TOPIC, "presence", TRACK)
        assert [(await alice.hear_message())[0] for _ in range(2)] == ["phx_reply", "presence_diff"]
        await indifferent.nothing_more()


@in_a_loop
async def test_two_sockets_with_one_key_are_one_presence_with_two_metas(cluster: Postgres) -> None:
    async with project(cluster) as running:
        both = [await present(running, "alice"), await present(running, "alice")]
        for client in both:
            await client.push(TOPIC, "presence", TRACK)
            while (await client.hear_message())[0] != "presence_diff":
                pass
        late = await present(running, "bob")
        event, state = await late.hear_message()
        assert event == "presence_state"
        assert [meta["mood"] for meta in state["alice"]["metas"]] == ["fine", "fine"]


@in_a_loop
async def test_who_may_not_write_cannot_be_present(cluster: Postgres) -> None:
    async with project(cluster) as running:
        client = await running.connect()
        token = running.token(user=U1)
        await client.join("lobby", private=True, token=token, presence={"enabled": True, "key": "me"})
        assert await client.hear_message() == ("presence_state", {})
        await client.push("realtime:lobby", "presence", TRACK)
        assert await client.hear_message() == ("phx_reply", {"status": "error", "response": {}})
        await client.nothing_more()
