"""Faults on purpose."""

import asyncio
import json
from collections import Counter

import pytest
from realtime_project import PATIENCE_S, Client, Project, in_a_loop, project

from milepost.local.postgres import Postgres
from milepost.local.realtime import Misbehaviour

MESSAGES = 300


def counted(running: Project) -> int:
    """How many messages reached the hub: each counts once as sent and once for its one listener."""
    return running.realtime._hub.events._current // 2


async def until_counted(running: Project, messages: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while counted(running) < messages:  # noqa: ASYNC110  # the stand-in tells nobody else
            await asyncio.sleep(0.001)


async def numbers_heard(running: Project, client: Client) -> list[int]:
    """What arrives of MESSAGES numbered messages."""
    before = counted(running)
    running.sql(
        "select realtime.send(jsonb_build_object('n', n), 'e', 'room', false) from generate_series(1, %s) n",
        [MESSAGES],
    )
    await until_counted(running, before + MESSAGES)
    # Well-behaved, and after all the others: it is the last.
    for _ in range(200):
        await running.clock.advance(0.01)
    running.realtime.misbehave(None)
    running.sql("select realtime.send('{\"n\": 0}', 'e', 'room', false)")
    heard: list[int] = []
    while not heard or heard[-1] != 0:
        heard.append((await client.hear_message())[1]["payload"]["n"])
    return heard[:-1]


async def numbers_with(running: Project, how: Misbehaviour) -> list[int]:
    client = await running.connect(version=1)
    await client.join("room")
    running.realtime.misbehave(how)
    return await numbers_heard(running, client)


@in_a_loop
async def test_about_a_third_is_lost_and_a_seed_repeats_it(cluster: Postgres) -> None:
    async with project(cluster) as running:
        first = await numbers_with(running, Misbehaviour(drop=0.3, seed=7))
    async with project(cluster) as running:
        assert await numbers_with(running, Misbehaviour(drop=0.3, seed=7)) == first
    assert first == sorted(set(first))
    assert 0.6 < len(first) / MESSAGES < 0.8


@in_a_loop
async def test_doubled_messages_arrive_twice(cluster: Postgres) -> None:
    async with project(cluster) as running:
        heard = await numbers_with(running, Misbehaviour(double=0.5, seed=7))
    assert heard == sorted(heard)
    counts = Counter(heard)
    assert len(counts) == MESSAGES and set(counts.values()) == {1, 2}


@in_a_loop
async def test_reordered_messages_are_overtaken_and_none_is_lost(cluster: Postgres) -> None:
    async with project(cluster) as running:
        heard = await numbers_with(running, Misbehaviour(reorder=0.3, seed=7))
    assert heard != sorted(heard)
    assert sorted(heard) == list(range(1, MESSAGES + 1))


@in_a_loop
async def test_late_messages_stay_in_order(cluster: Postgres) -> None:
    async with project(cluster) as running:
        client = await running.connect(version=1)
        await client.join("room")
        running.realtime.misbehave(Misbehaviour(delay_s=1.0, seed=7))
        before = counted(running)
        running.sql("select realtime.send('{\"n\": -1}', 'e', 'room', false)")
        await until_counted(running, before + 1)
        await client.nothing_more()
        heard = await numbers_heard(running, client)
    assert heard == [-1, *range(1, MESSAGES + 1)]


@in_a_loop
async def test_it_can_be_told_to_misbehave_from_another_process(cluster: Postgres) -> None:
    async with project(cluster, allow_misbehaviour=True) as running:
        client, url = await running.connect(version=1), f"{running.url}/misbehave"
        await client.join("room")

        async def ask(body: object) -> int:
            async with running.http.post(url, data=json.dumps(body)) as response:
                return response.status

        assert await ask({"drop": 1.0}) == 200
        before = counted(running)
        running.sql("select realtime.send('{}', 'lost', 'room', false)")
        await until_counted(running, before + 1)
        await client.nothing_more()
        assert await ask({}) == 200
        running.sql("select realtime.send('{}', 'heard', 'room', false)")
        assert (await client.hear_message())[1]["event"] == "heard"
        assert await ask({"cut": True}) == 200
        assert await client.closed() == 1006
        wrongs: list[object] = [{"drop": 2}, {"drop": "all"}, {"explode": True}, [], "text"]
        for wrong in wrongs:
            assert await ask(wrong) == 422


@in_a_loop
async def test_nobody_can_tell_it_to_misbehave_unless_it_was_allowed(cluster: Postgres) -> None:
    async with (
        project(cluster) as running,
        running.http.post(f"{running.url}/misbehave", json={}) as response,
    ):
        assert response.status == 404


@pytest.mark.parametrize("wrong", [{"drop": -0.1}, {"double": 1.1}, {"reorder": 2}, {"delay_s": -1}])
def test_faults_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Misbehaviour(**wrong)  # type: ignore[arg-type]
