"""What the tests of the stand-in share: a clock that stands still, a running stand-in, and sockets to it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from functools import wraps
from typing import Any, ParamSpec

import aiohttp
import jwt
from aiohttp import web

from milepost.local.postgres import Postgres
from milepost.local.realtime import Limits, Realtime

P = ParamSpec("P")

SECRET = "a secret that is known to these tests only"
U1 = "11111111-1111-4111-8111-111111111111"
U2 = "22222222-2222-4222-8222-222222222222"
# How long something that must happen may take before the test fails.
PATIENCE_S = 10.0


def in_a_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Runs an asynchronous test."""

    @wraps(test)
    def run(*arguments: P.args, **keywords: P.kwargs) -> None:
        asyncio.run(test(*arguments, **keywords))

    return run


class Clock:
    """A clock that moves only when told to, and knows who waits for it."""

    def __init__(self) -> None:
        # Whole, so that the seconds in tokens are exact; now, because Postgres has its own clock.
        self.now = float(int(time.time()))
        self._sleepers: list[tuple[float, float, asyncio.Future[None]]] = []
        self._changed = asyncio.Condition()

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now + seconds, seconds, woken))
        async with self._changed:
            self._changed.notify_all()
        await woken

    async def somebody_sleeps(self, seconds: float) -> None:
        """Returns when somebody waits for just so long."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(
                lambda: any(s == seconds and not woken.done() for _, s, woken in self._sleepers)
            )

    async def advance(self, seconds: float) -> None:
        """Lets time pass and those who waited go on."""
        self.now += seconds
        for due, _, woken in sorted(self._sleepers, key=lambda sleeper: sleeper[0]):
            if due <= self.now and not woken.done():
                woken.set_result(None)
        self._sleepers = [sleeper for sleeper in self._sleepers if not sleeper[2].done()]
        await asyncio.sleep(0)


def make_token(clock: Clock, role: str = "authenticated", user: str | None = None) -> str:
    """A token that lives for an hour."""
    who = {"sub": user} if user else {}
    return jwt.encode({"role": role, "exp": int(clock()) + 3600, **who}, SECRET)


class Client:
    """A socket that speaks frames."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, version: int) -> None:
        self._socket, self._version, self._ref = socket, version, 0

    async def say(self, frame: str | bytes) -> None:
        if isinstance(frame, bytes):
            await self._socket.send_bytes(frame)
        else:
            await self._socket.send_str(frame)

    async def push(self, topic: str, event: str, payload: object, join_ref: str | None = "1") -> str:
        """Says a message in the socket's version and returns its ref."""
        self._ref += 1
        ref = str(self._ref)
        if self._version == 2:
            await self.say(json.dumps([join_ref, ref, topic, event, payload]))
        else:
            message = {"topic": topic, "event": event, "payload": payload, "ref": ref, "join_ref": join_ref}
            await self.say(json.dumps(message))
        return ref

    async def hear(self) -> str | bytes:
        """The next frame. Fails where the socket closed instead."""
        message = await self._socket.receive(timeout=PATIENCE_S)
        if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            raise AssertionError(f"expected a frame, found {message.type.name} {self._socket.close_code}")
        frame: str | bytes = message.data
        return frame

    async def hear_message(self) -> tuple[str, Any]:
        """Event and payload of the next text frame."""
        frame = json.loads(await self.hear())
        return (frame[3], frame[4]) if self._version == 2 else (frame["event"], frame["payload"])

    async def join(self, name: str, **config: Any) -> Any:
        """Joins and returns the reply's payload; `token` is the access token."""
        payload: dict[str, Any] = {"config": config}
        if token := config.pop("token", None):
            payload["access_token"] = token
        await self.push(f"realtime:{name}", "phx_join", payload)
        event, reply = await self.hear_message()
        assert event == "phx_reply"
        return reply

    async def heartbeat(self) -> None:
        await self.push("phoenix", "heartbeat", {}, None)

    async def nothing_more(self) -> None:
        """Fails if there is a frame that nobody asked for."""
        await self.heartbeat()
        assert await self.hear_message() == ("phx_reply", {"status": "ok", "response": {}})

    async def close(self) -> None:
        await self._socket.close()

    def stop_reading(self) -> None:
        """Leaves what comes in the network's buffers."""
        connection = self._socket._response.connection
        assert connection is not None and connection.transport is not None
        connection.transport.pause_reading()

    async def closed(self) -> int | None:
        """The code with which the other side closed."""
        while not self._socket.closed:
            await self._socket.receive(timeout=PATIENCE_S)
        return self._socket.close_code


class Project:
    """A running stand-in, and the database under it."""

    def __init__(
        self, realtime: Realtime, clock: Clock, postgres: Postgres, http: aiohttp.ClientSession, port: int
    ):
        self.realtime, self.clock, self.postgres, self.http, self.port = realtime, clock, postgres, http, port
        self.url = f"http://127.0.0.1:{port}/realtime/v1"
        self._observer: Client | None = None

    def token(self, role: str = "authenticated", user: str | None = None) -> str:
        return make_token(self.clock, role, user)

    async def connect(self, query: str | None = None, version: int = 2) -> Client:
        query = f"apikey={self.token('anon')}&vsn={version}.0.0" if query is None else query
        socket = await self.http.ws_connect(f"{self.url}/websocket?{query}", max_msg_size=0)
        return Client(socket, version)

    def sql(self, query: str, parameters: Any = None) -> list[Any]:
        with self.postgres.connect() as connection:
            cursor = connection.execute(query, parameters)
            return cursor.fetchall() if cursor.description else []

    async def settle(self) -> None:
        """Returns when all that was committed before has been sent to whom it concerns."""
        await self.settle_changes()
        self.sql("select realtime.send('{}', 'marker', 'markers', false)")
        assert self._observer is not None
        await self._observer.hear()

    async def settle_changes(self) -> None:
        """The same for postgres_changes only."""
        if self._observer is None:
            self._observer = await self.connect()
            bindings = [{"event": "INSERT", "schema": "public", "table": "markers"}]
            await self._observer.join("markers", postgres_changes=bindings)
            assert (await self._observer.hear_message())[1]["status"] == "ok"
        self.sql("insert into public.markers default values")
        await self._observer.hear()


@asynccontextmanager
async def project(
    postgres: Postgres, *, clock: Clock | None = None, **options: Any
) -> AsyncIterator[Project]:
    """A stand-in that runs for one test, on a clock that stands still; nobody is made to wait."""
    clock = clock or Clock()
    options = {"refusal_delay_s": 0, "handshake_delay_s": 0, "clock": clock, "sleep": clock.sleep, **options}
    realtime = Realtime(postgres.url(), SECRET, **options)
    with postgres.connect() as connection:
        connection.execute("truncate public.todos, public.notes, public.open_items, public.secret_items")
    async with AsyncExitStack() as stack:
        app = web.Application()
        realtime.add_routes(app)
        await realtime.start()
        stack.push_async_callback(realtime.close)
        runner = web.AppRunner(app)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        http = await stack.enter_async_context(aiohttp.ClientSession())
        yield Project(realtime, clock, postgres, http, runner.addresses[0][1])


__all__ = [
    "PATIENCE_S",
    "SECRET",
    "U1",
    "U2",
    "Client",
    "Clock",
    "Limits",
    "Project",
    "in_a_loop",
    "make_token",
    "project",
]
