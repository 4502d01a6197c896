"""Broadcast from the database: what reaches whom, what is lost, and what replay finds."""

import asyncio
import time
from typing import Any

import psycopg
import pytest
from realtime_project import U1, U2, Client, Clock, in_a_loop, make_token, project

from milepost.local import CHECKOUT
from milepost.local.postgres import Postgres
from milepost.local.realtime.replication import RECONNECT_S

TOPIC = f"user:{U1}"


async def event_of(client: Client) -> str:
    return str((await client.hear_message())[1]["event"])


@in_a_loop
async def test_messages_of_one_transaction_arrive_in_order_after_its_commit(cluster: Postgres) -> None:
    async with project(cluster) as running:
        client = await running.connect(version=1)
        await client.join("room")
        with running.postgres.connect() as connection, connection.transaction():
            for name in ("first", "second", "third"):
                connection.execute("select realtime.send('{}', %s, 'room', false)", [name])
            await client.nothing_more()
        assert [await event_of(client) for _ in range(3)] == ["first", "second", "third"]


@in_a_loop
async def test_a_user_without_an_insert_policy_sends_nothing_and_gets_a_warning_only(
    cluster: Postgres,
) -> None:
    async with project(cluster) as running:
        client = await running.connect(version=1)
        await client.join(TOPIC, private=True, token=running.token(user=U1))
        notices: list[str] = []
        with running.postgres.connect() as connection:
            connection.add_notice_handler(lambda notice: notices.append(notice.message_primary or ""))
            with connection.transaction():
                connection.execute("set local role anon")
                connection.execute("select realtime.send('{}', 'forged', %s, true)", [TOPIC])
        assert [notice.partition(":")[0] for notice in notices] == ["WarnSendingBroadcastMessage"]
        await running.settle()
        await client.nothing_more()


@in_a_loop
async def test_broadcast_changes_fails_its_caller_for_an_unknown_operation(cluster: Postgres) -> None:
    async with project(cluster) as running:
        with pytest.raises(psycopg.errors.RaiseException, match="Unexpected operation type: MERGE"):
            running.sql("select realtime.broadcast_changes('t', 'e', 'MERGE', 'a', 'b', null, null)")


@pytest.mark.parametrize("event", ["e" * 300, "ä" * 200])
@in_a_loop
async def test_what_binary_frames_cannot_name_reaches_version_1_only(cluster: Postgres, event: str) -> None:
    async with project(cluster) as running:
        old, new = await running.connect(version=1), await running.connect(version=2)
        for client in (old, new):
            await client.join("room")
        running.sql("select realtime.send('{}', %s, 'room', false)", [event])
        assert await event_of(old) == event
        await running.settle()
        await new.nothing_more()


@in_a_loop
async def test_after_a_restart_of_postgres_broadcasts_go_on(cluster: Postgres) -> None:
    async with project(cluster) as running:
        client = await running.connect(version=1)
        await client.join(TOPIC, private=True, token=running.token(user=U1))
        await asyncio.to_thread(cluster.stop)
        # While the database is away a private topic cannot be had; who is connected stays so.
        reply = await client.join("user:x", private=True, token=running.token(user=U1))
        assert reply["response"]["reason"] == (
            "UnableToConnectToProject: Realtime was unable to connect to the project database"
        )
        await asyncio.to_thread(cluster.start)
        running.sql("select realtime.send('{}', 'lost', %s, true)", [TOPIC])
        await running.clock.somebody_sleeps(RECONNECT_S)
        await running.clock.advance(RECONNECT_S)
        ready = {"replication_ready": True}
        await client.join("lobby", private=True, broadcast=ready, token=running.token(user=U1))
        assert (await client.hear_message())[1]["message"] == "Replication connection established"
        running.sql("select realtime.send('{}', 'heard', %s, true)", [TOPIC])
        assert await event_of(client) == "heard"


@in_a_loop
async def test_what_is_sent_while_the_stand_in_is_down_is_found_by_replay_only(cluster: Postgres) -> None:
    clock = Clock()
    since = int((time.time() - 1) * 1000)
    async with project(cluster, clock=clock) as running:
        client = await running.connect()
        await client.join(TOPIC, private=True, token=running.token(user=U1))
        closed = asyncio.create_task(client.closed())
        await running.realtime.close()
        assert await closed == 1012
    with cluster.connect() as connection:
        connection.execute("select realtime.send('{\"n\": 1}', 'missed', %s, true)", [TOPIC])
    async with project(cluster, clock=clock) as running:
        plain, curious = await running.connect(), await running.connect()
        await plain.join(TOPIC, private=True, token=running.token(user=U1))
        await running.settle()
        await plain.nothing_more()
        replay = {"replay": {"since": since, "limit": 1}}
        await curious.join(TOPIC, private=True, token=running.token(user=U1), broadcast=replay)
        _, heard = await curious.hear_message()
        assert (heard["event"], heard["payload"]["n"], heard["meta"]["replayed"]) == ("missed", 1, True)


@pytest.mark.parametrize(
    "replay",
    [
        {},
        {"since": True, "limit": 0},
        {"since": 0, "limit": 26},
        {"since": 0, "limit": "1"},
        {"since": 10**30},
        [],
        7,
    ],
)
@in_a_loop
async def test_a_replay_that_cannot_be_is_refused(cluster: Postgres, replay: Any) -> None:
    async with project(cluster) as running:
        client = await running.connect()
        token = running.token(user=U1)
        reply = await client.join(TOPIC, private=True, token=token, broadcast={"replay": replay})
        assert reply["status"] == "error"
        assert reply["response"]["reason"].startswith("UnableToReplayMessages: ")


@in_a_loop
async def test_replay_gives_a_stranger_nothing(cluster: Postgres) -> None:
    async with project(cluster) as running:
        running.sql("select realtime.send('{}', 'secret', %s, true)", [TOPIC])
        client = await running.connect()
        token = running.token(user=U2)
        reply = await client.join(TOPIC, private=True, token=token, broadcast={"replay": {"since": 0}})
        assert reply["response"]["reason"].startswith("Unauthorized: ")
        await client.nothing_more()


@in_a_loop
async def test_an_api_key_stands_for_its_role(cluster: Postgres) -> None:
    clock = Clock()
    keys = {"sb_secret_x": make_token(clock, "service_role"), "sb_publishable_x": make_token(clock, "anon")}
    async with project(cluster, clock=clock, role_token=keys.get) as running:
        for key, status in (("sb_secret_x", "ok"), ("sb_publishable_x", "error")):
            client = await running.connect(query=f"apikey={key}&vsn=2.0.0")
            assert (await client.join("user:anybody", private=True))["status"] == status


@in_a_loop
async def test_cut_breaks_every_connection_and_clients_may_come_back(cluster: Postgres) -> None:
    async with project(cluster) as running:
        clients = [await running.connect() for _ in range(3)]
        for client in clients:
            await client.join("room")
        await running.realtime.cut()
        assert [await client.closed() for client in clients] == [1006] * 3
        again = await running.connect(version=1)
        await again.join("room")
        running.sql("select realtime.send('{}', 'heard', 'room', false)")
        assert await event_of(again) == "heard"


@in_a_loop
async def test_a_reader_that_never_reads_is_cut_off_and_others_are_not(
    cluster: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("milepost.local.realtime.server.LARGEST_BACKLOG", 1_000_000)
    async with project(cluster) as running:
        reader, other = await running.connect(version=1), await running.connect(version=1)
        for client in (reader, other):
            await client.join("room")
        stuck = await running.connect(version=1)
        await stuck.join("room")
        stuck.stop_reading()
        sockets = running.realtime._sockets
        most = 40
        while len(sockets) == 3 and most:
            most -= 1
            running.sql(
                "select realtime.send(jsonb_build_object('z', repeat('z', 2000000)), 'e', 'room', false)"
            )
            for client in (reader, other):
                await client.hear()
        assert len(sockets) == 2
        await reader.nothing_more()


def test_the_schema_may_be_applied_again(cluster: Postgres) -> None:
    count = (
        "select (select count(*) from pg_class where relnamespace = 'realtime'::regnamespace), "
        "(select count(*) from pg_proc where pronamespace = 'realtime'::regnamespace)"
    )
    with cluster.connect() as connection:
        before = connection.execute(count).fetchone()
        connection.execute((CHECKOUT / "milepost/local/realtime/schema.sql").read_text())
        assert connection.execute(count).fetchone() == before


def test_partitions_are_made_ahead_and_dropped_behind(cluster: Postgres) -> None:
    with cluster.connect() as connection, connection.transaction(force_rollback=True):

        def days() -> list[str]:
            rows = connection.execute(
                "select right(inhrelid::regclass::text, 10) from pg_inherits "
                "where inhparent = 'realtime.messages'::regclass order by 1"
            ).fetchall()
            return [row[0] for row in rows]

        connection.execute("select realtime_stand_in.keep_partitions('2030-03-02')")
        ahead = ["2030_03_01", "2030_03_02", "2030_03_03", "2030_03_04", "2030_03_05"]
        assert days() == ahead
        connection.execute("select realtime_stand_in.keep_partitions('2030-03-02')")
        assert days() == ahead
        connection.execute("select realtime_stand_in.keep_partitions('2030-03-05')")
        assert days() == ["2030_03_02", "2030_03_03", *ahead[3:], "2030_03_06", "2030_03_07", "2030_03_08"]


def test_a_message_without_a_partition_is_only_a_warning(cluster: Postgres) -> None:
    notices: list[str] = []
    with cluster.connect() as connection:
        connection.add_notice_handler(lambda notice: notices.append(notice.message_primary or ""))
        with connection.transaction(force_rollback=True):
            connection.execute("select realtime_stand_in.keep_partitions('2030-03-02')")
            connection.execute("select realtime.send('{}', 'e', 'room', false)")
    assert "WarnSendingBroadcastMessage: no partition of relation" in notices[-1]
