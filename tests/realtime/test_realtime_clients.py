"""Unmodified clients: realtime-py, which speaks version 1.0.0, and supabase-js, which speaks 2.0.0."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from realtime import (
    AsyncRealtimeClient,
    RealtimeChannelOptions,
    RealtimePostgresChangesListenEvent,
    RealtimeSubscribeStates,
)
from realtime_project import PATIENCE_S, U1, U2, Clock, Project, in_a_loop, make_token, project

from milepost.local import CHECKOUT
from milepost.local.postgres import Postgres

PRIVATE: RealtimeChannelOptions = {
    "config": {
        "private": True,
        "broadcast": {"ack": False, "self": False},
        "presence": {"key": "", "enabled": False},
    }
}
Told = asyncio.Queue[dict[str, Any]]


async def until(told: Told, **wanted: object) -> dict[str, Any]:
    """The next thing told that has these fields."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = await told.get()
            if all(found.get(name) == value for name, value in wanted.items()):
                return found


async def see_what_a_user_sees(running: Project, told: Told) -> None:
    """The same for both clients: its own broadcasts and rows, and nothing of others."""
    for user in (U2, U1):
        running.sql("select realtime.send('{\"n\": 1.5}', 'greet', %s, true)", [f"user:{user}"])
    assert (await until(told, what="broadcast"))["payload"]["n"] == 1.5
    for user in (U2, U1):
        running.sql("insert into public.todos (owner, title) values (%s, 'x')", [user])
    assert (await until(told, what="broadcast"))["event"] == "INSERT"
    change = await until(told, what="change")
    record = change.get("new") or change["data"]["record"]
    assert record["owner"] == U1


@in_a_loop
async def test_realtime_py_subscribes_hears_and_is_denied(cluster: Postgres) -> None:
    async with project(cluster) as running:
        told: Told = asyncio.Queue()
        client = AsyncRealtimeClient(running.url, running.token("anon"), auto_reconnect=False)
        await client.set_auth(running.token(user=U1))

        def status_of(what: str) -> Any:
            return lambda status, error: told.put_nowait(
                {"what": what, "status": status, "error": str(error) if error else None}
            )

        private = client.channel(f"user:{U1}", PRIVATE)
        private.on_broadcast("greet", lambda message: told.put_nowait({"what": "broadcast", **message}))
        private.on_broadcast("INSERT", lambda message: told.put_nowait({"what": "broadcast", **message}))
        await private.subscribe(status_of("private"))
        await until(told, what="private", status=RealtimeSubscribeStates.SUBSCRIBED)

        denied = client.channel("user:somebody else", PRIVATE)
        await denied.subscribe(status_of("denied"))
        refusal = await until(told, what="denied", status=RealtimeSubscribeStates.CHANNEL_ERROR)
        assert "do not have permissions to read" in refusal["error"]

        changes = client.channel("changes")
        changes.on_postgres_changes(
            RealtimePostgresChangesListenEvent.All,
            schema="public",
            table="todos",
            callback=lambda change: told.put_nowait({"what": "change", **change}),
        )
        changes.on_system(lambda message: told.put_nowait({"what": "system", "status": message.status}))
        await changes.subscribe(status_of("changes"))
        await until(told, what="system", status="ok")

        await see_what_a_user_sees(running, told)
        await client.close()


@asynccontextmanager
async def supabase_js(running: Project, key: str) -> AsyncIterator[tuple[Told, asyncio.StreamWriter]]:
    options = {
        "url": running.url.removesuffix("/realtime/v1"),
        "key": key,
        "token": running.token(user=U1),
        "user": U1,
    }
    process = await asyncio.create_subprocess_exec(
        *("node", Path(__file__).with_name("clients.mjs"), json.dumps(options)),
        cwd=CHECKOUT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None and process.stdout is not None
    told: Told = asyncio.Queue()

    async def listen(output: asyncio.StreamReader) -> None:
        async for line in output:
            told.put_nowait(json.loads(line))

    listening = asyncio.create_task(listen(process.stdout))
    try:
        yield told, process.stdin
        process.stdin.close()
        async with asyncio.timeout(PATIENCE_S):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await listening


@in_a_loop
async def test_supabase_js_subscribes_hears_sends_and_is_denied(cluster: Postgres) -> None:
    clock = Clock()
    keys = {"sb_publishable_x": make_token(clock, "anon")}
    async with (
        project(cluster, clock=clock, role_token=keys.get) as running,
        supabase_js(running, "sb_publishable_x") as (told, mouth),
    ):
        waiting = {"private", "denied", "system", "tracked", "presence"}
        first: dict[str, dict[str, Any]] = {}
        async with asyncio.timeout(PATIENCE_S):
            while waiting - first.keys() or not first["presence"]["state"]:
                found = await told.get()
                first[found["what"]] = found
        assert first["private"]["status"] == "SUBSCRIBED"
        assert first["denied"]["status"] == "CHANNEL_ERROR"
        assert "do not have permissions to read" in first["denied"]["error"]
        assert (first["system"]["status"], first["tracked"]["answer"]) == ("ok", "ok")
        assert first["presence"]["state"]["me"][0]["mood"] == "fine"

        await see_what_a_user_sees(running, told)

        mouth.write(b'{"words": ["a", 1, null]}\n')
        sent = await until(told, what="broadcast", event="from js")
        assert sent["payload"] == {"words": ["a", 1, None]}
        assert (await until(told, what="sent"))["answer"] == "ok"
