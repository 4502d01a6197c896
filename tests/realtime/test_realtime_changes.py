"""postgres_changes: who hears of which rows."""

import asyncio
from typing import Any

import pytest
from realtime_project import U1, U2, Client, Project, in_a_loop, project

from milepost.local.postgres import Postgres
from milepost.local.realtime.phash import phash
from milepost.local.realtime.replication import RECONNECT_S


async def listen(
    running: Project, user: str, *bindings: dict[str, str], role: str = "authenticated"
) -> Client:
    """A client that is subscribed."""
    client = await running.connect(version=1)
    token = running.token(role, user=user)
    await client.join(
        "db", postgres_changes=[{"schema": "public", **binding} for binding in bindings], token=token
    )
    event, payload = await client.hear_message()
    assert (event, payload["message"]) == ("system", "Subscribed to PostgreSQL")
    return client


async def heard(running: Project, client: Client) -> list[Any]:
    """The data of all changes that reached the client by now."""
    await running.settle_changes()
    await client.heartbeat()
    found = []
    while (message := await client.hear_message())[0] != "phx_reply":
        found.append(message[1]["data"])
    return found


@pytest.mark.parametrize(
    ("condition", "passing"),
    [
        ("id=eq.2", [2]),
        ("id=neq.2", [1, 3]),
        ("id=lt.2", [1]),
        ("id=lte.2", [1, 2]),
        ("id=gt.2", [3]),
        ("id=gte.2", [2, 3]),
        ("id=in.(1,3)", [1, 3]),
        ("v=eq.b", [2]),
        ("v=in.(a,b)", [1, 2]),
        ("v=neq.a", [2]),
    ],
)
@in_a_loop
async def test_a_filter_lets_through_what_passes_it_and_never_null(
    cluster: Postgres, condition: str, passing: list[int]
) -> None:
    async with project(cluster) as running:
        client = await listen(running, U1, {"event": "INSERT", "table": "open_items", "filter": condition})
        running.sql("insert into public.open_items values (1, 'a'), (2, 'b'), (3, null)")
        assert [data["record"]["id"] for data in await heard(running, client)] == passing


@in_a_loop
async def test_a_deleted_row_is_filtered_by_what_is_left_of_it(cluster: Postgres) -> None:
    async with project(cluster) as running:
        by_key = await listen(running, U1, {"event": "DELETE", "table": "open_items", "filter": "id=eq.1"})
        by_value = await listen(running, U1, {"event": "DELETE", "table": "open_items", "filter": "v=eq.a"})
        running.sql("insert into public.open_items values (1, 'a'), (2, 'b')")
        running.sql("delete from public.open_items")
        assert [data["old_record"] for data in await heard(running, by_key)] == [{"id": 1}]
        assert await heard(running, by_value) == []


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("v", 'Error parsing `filter` params: ["v"]'),
        ("v=x", 'Error parsing `filter` params: ["x"]'),
        ("v=in.1,2", "Error parsing `filter` params: `in` filter value must be wrapped by parentheses"),
        ("id=in.(1,x)", "Exception: ERROR 22P02 (invalid_text_representation)"),
        ("ctid=eq.1", "Exception: ERROR P0001 (raise_exception) invalid column for filter ctid"),
    ],
)
@in_a_loop
async def test_a_filter_that_cannot_be_is_told_after_the_join(
    cluster: Postgres, condition: str, message: str
) -> None:
    async with project(cluster) as running:
        client = await running.connect(version=1)
        binding = {"event": "*", "schema": "public", "table": "open_items", "filter": condition}
        assert (await client.join("db", postgres_changes=[binding]))["status"] == "ok"
        event, payload = await client.hear_message()
        assert (event, payload["status"]) == ("system", "error")
        assert message in payload["message"]


@in_a_loop
async def test_a_refused_subscription_is_tried_again_later(cluster: Postgres) -> None:
    async with project(cluster) as running:
        running.sql("create table public.late (id integer primary key)")
        try:
            client = await running.connect(version=1)
            await client.join("db", postgres_changes=[{"event": "*", "schema": "public", "table": "late"}])
            assert (await client.hear_message())[1]["status"] == "error"
            running.sql("alter publication supabase_realtime add table public.late")
            await running.clock.somebody_sleeps(5.0)
            await running.clock.advance(5.0)
            assert (await client.hear_message())[1]["message"] == "Subscribed to PostgreSQL"
        finally:
            running.sql("drop table public.late")


@in_a_loop
async def test_a_row_is_shown_only_to_whom_its_policies_show_it_at_that_moment(cluster: Postgres) -> None:
    async with project(cluster) as running:
        owner = await listen(running, U1, {"event": "*", "table": "todos"})
        other = await listen(running, U2, {"event": "*", "table": "todos"})
        service = await listen(running, U2, {"event": "*", "table": "todos"}, role="service_role")
        running.sql("grant select on public.todos to service_role")
        running.sql("insert into public.todos (owner, title) values (%s, 'x')", [U1])
        assert [data["type"] for data in await heard(running, owner)] == ["INSERT"]
        assert await heard(running, other) == []
        assert [data["type"] for data in await heard(running, service)] == ["INSERT"]
        running.sql("update public.todos set owner = %s", [U2])
        assert await heard(running, owner) == []
        assert [data["record"]["owner"] for data in await heard(running, other)] == [U2]


@in_a_loop
async def test_a_row_that_is_streamed_before_others_can_see_it_is_not_lost(cluster: Postgres) -> None:
    async with project(cluster) as running:
        client = await listen(running, U1, {"event": "INSERT", "table": "todos"})
        # A commit that waits for a standby is flushed and streamed, and not yet visible.
        running.sql("alter system set synchronous_standby_names = 'nobody'")
        running.sql("select pg_reload_conf()")
        insert = "insert into public.todos (owner, title) values (%s, 'x')"
        is_waiting = "select pid from pg_stat_activity where wait_event = 'SyncRep'"
        try:
            # Postgres takes a moment to heed the setting; until then commits are as ever.
            inserting = None
            while inserting is None or inserting.done():
                if inserting is not None:
                    assert (await client.hear_message())[0] == "postgres_changes"
                inserting = asyncio.create_task(asyncio.to_thread(running.sql, insert, [U1]))
                while not (inserting.done() or running.sql(is_waiting)):  # noqa: ASYNC110  # must be asked
                    await asyncio.sleep(0.001)
            # It has been streamed when it is being looked at.
            looking = running.realtime._changes._database._one_at_a_time
            while not looking.locked():  # noqa: ASYNC110  # the same
                await asyncio.sleep(0.001)
            for _ in range(50):
                await client.nothing_more()
            assert looking.locked()
        finally:
            running.sql("alter system reset synchronous_standby_names")
            running.sql("select pg_reload_conf()")
        await inserting
        event, payload = await client.hear_message()
        assert (event, payload["data"]["record"]["owner"]) == ("postgres_changes", U1)


@in_a_loop
async def test_a_large_value_that_an_update_left_alone_is_still_shown(cluster: Postgres) -> None:
    async with project(cluster) as running:
        # Random digits do not compress, so the value is stored apart and is not streamed with the update.
        running.sql(
            "insert into public.todos (owner, title) "
            "select %s, string_agg(random()::text, '') from generate_series(1, 1000)",
            [U1],
        )
        client = await listen(running, U1, {"event": "UPDATE", "table": "todos"})
        running.sql("update public.todos set done = true")
        (data,) = await heard(running, client)
        assert data["record"]["title"] == running.sql("select title from public.todos")[0][0]


@in_a_loop
async def test_a_changed_key_is_told_with_the_old_one(cluster: Postgres) -> None:
    async with project(cluster) as running:
        client = await listen(running, U1, {"event": "UPDATE", "table": "open_items"})
        running.sql("insert into public.open_items values (1, 'a')")
        running.sql("update public.open_items set id = 2")
        (data,) = await heard(running, client)
        assert (data["old_record"], data["record"]) == ({"id": 1}, {"v": "a", "id": 2})


@in_a_loop
async def test_a_table_without_a_key_under_row_security_is_refused_row_by_row(cluster: Postgres) -> None:
    async with project(cluster) as running:
        running.sql(
            "create table public.keyless (v text); alter table public.keyless enable row level security; "
            "grant select on public.keyless to authenticated; "
            "alter publication supabase_realtime add table public.keyless"
        )
        try:
            client = await listen(running, U1, {"event": "*", "table": "keyless"})
            running.sql("insert into public.keyless values ('secret')")
            (data,) = await heard(running, client)
            assert (data["errors"], data["record"]) == (["Error 400: Bad Request, no primary key"], {})
        finally:
            running.sql("drop table public.keyless")


@in_a_loop
async def test_columns_that_a_role_may_not_read_are_left_out(cluster: Postgres) -> None:
    async with project(cluster) as running:
        running.sql(
            'create table public."Partly Open" ("the id" integer primary key, "a ""b" text, hidden text); '
            'grant select ("the id", "a ""b") on public."Partly Open" to authenticated; '
            'alter publication supabase_realtime add table public."Partly Open"'
        )
        try:
            client = await listen(running, U1, {"event": "*", "table": "Partly Open"})
            running.sql("insert into public.\"Partly Open\" values (1, '100%% \"x\"', 'secret')", [])
            (data,) = await heard(running, client)
            assert data["record"] == {"the id": 1, 'a "b': '100% "x"'}
            assert [column["name"] for column in data["columns"]] == ["the id", 'a "b']
        finally:
            running.sql('drop table public."Partly Open"')


@in_a_loop
async def test_who_left_hears_nothing(cluster: Postgres) -> None:
    async with project(cluster) as running:
        client = await listen(running, U1, {"event": "*", "table": "open_items"})
        await client.push("realtime:db", "phx_leave", {})
        assert [(await client.hear_message())[0] for _ in range(2)] == ["phx_reply", "phx_close"]
        running.sql("insert into public.open_items values (1, 'a')")
        assert await heard(running, client) == []


@in_a_loop
async def test_changes_go_on_after_a_restart_of_postgres(cluster: Postgres) -> None:
    async with project(cluster) as running:
        client = await listen(running, U1, {"event": "*", "table": "open_items"})
        await asyncio.to_thread(cluster.stop)
        await asyncio.to_thread(cluster.start)
        changes = running.realtime._changes._stream
        async with asyncio.timeout(10):
            while not changes.streaming.is_set():
                await running.clock.advance(RECONNECT_S)
                await asyncio.sleep(0.01)
        running.sql("insert into public.open_items values (1, 'a')")
        assert (await client.hear_message())[0] == "postgres_changes"


def test_equal_parameters_have_the_id_that_the_real_server_gives_them() -> None:
    assert phash({"event": "*", "schema": "public", "table": "todos"}) == 68883293
    assert phash({"table": "todos", "schema": "public", "event": "*"}) == 68883293
    assert (
        phash({"event": "INSERT", "schema": "public", "table": "todos", "filter": "owner=zz.1"}) == 76532453
    )
    assert phash({"event": "*", "schema": "*"}) == 113647290
