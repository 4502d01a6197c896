"""The stand-in itself: its sockets, its HTTP calls, and how it starts and stops."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from milepost.local.realtime.authorize import Authorizer, Expired, Refused
from milepost.local.realtime.broadcasts import Broadcasts
from milepost.local.realtime.changes import Changes
from milepost.local.realtime.channels import Channel, Parts
from milepost.local.realtime.database import Database
from milepost.local.realtime.http import HttpBroadcasts
from milepost.local.realtime.hub import Hub
from milepost.local.realtime.limits import Limits, RateCounter
from milepost.local.realtime.misbehaviour import Misbehaviour, Mischief
from milepost.local.realtime.presence import Presence
from milepost.local.realtime.protocol import (
    ClientBroadcast,
    Frame,
    MalformedFrame,
    Message,
    Text,
    Version,
    dumps,
    read_binary,
    read_text,
)

log = logging.getLogger(__name__)

# A socket that lets this much wait is closed: its reader is gone or far too slow.
LARGEST_BACKLOG = 64 << 20
# How long a client may take to answer when its socket is closed.
GOODBYE_S = 1.0


class Socket:
    """One client's WebSocket and its channels."""

    def __init__(
        self,
        parts: Parts,
        token: str,
        version: Version,
        response: web.WebSocketResponse,
        transport: asyncio.Transport,
    ) -> None:
        self.token, self.version = token, version
        self.channels: dict[str, Channel] = {}
        self.heard_at = parts.clock()
        self.gone = asyncio.Event()
        self._no_goodbye = asyncio.Event()
        self._no_goodbye.set()
        self._parts, self._response, self._transport = parts, response, transport

    def send(self, frame: Frame) -> None:
        """Puts the frame on the wire without waiting.

        It goes past aiohttp's writer, which would frame it anew for each socket; nothing else writes while
        the socket is open.
        """
        wire = frame.wire(self.version)
        if wire is None or self._response.closed or self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() > LARGEST_BACKLOG:
            self.cut()
            return
        self._transport.write(wire)

    def reply(
        self, message: Message | ClientBroadcast, status: str, response: object, *, joined: bool = True
    ) -> None:
        payload = dumps({"status": status, "response": response})
        join_ref = message.join_ref if joined else None
        self.send(Text(message.topic, "phx_reply", payload, join_ref, message.ref))

    def cut(self) -> None:
        """Breaks the connection without a word."""
        self._transport.abort()

    async def close(self, code: int) -> None:
        """Says goodbye and waits a moment for the client's answer."""
        self._no_goodbye.clear()
        try:
            await self._response.close(code=code)
        finally:
            self._no_goodbye.set()

    async def serve(self) -> None:
        """Reads until the client is gone; one message at a time, in order."""
        try:
            async for received in self._response:
                self.heard_at = self._parts.clock()
                if received.type in (WSMsgType.TEXT, WSMsgType.BINARY) and self._is_too_large(received.data):
                    await self.close(WSCloseCode.MESSAGE_TOO_BIG)
                    return
                try:
                    if received.type == WSMsgType.TEXT:
                        await self._hear(read_text(self.version, received.data), len(received.data))
                    elif received.type == WSMsgType.BINARY:
                        await self._hear(read_binary(received.data), len(received.data))
                except MalformedFrame as error:
                    log.info("a frame was ignored: %s", error)
        finally:
            for channel in tuple(self.channels.values()):
                channel.leave()
            # When the handler returns, the connection is closed at once, and what was said last may be lost.
            await self._no_goodbye.wait()

    def _is_too_large(self, frame: str | bytes) -> bool:
        return len(frame) > self._parts.limits.frame_bytes

    async def _hear(self, message: Message | ClientBroadcast, size: int) -> None:
        if isinstance(message, ClientBroadcast):
            channel = self.channels.get(message.topic)
            if channel is None:
                self.reply(message, "error", {"reason": "unmatched topic"}, joined=False)
            else:
                await channel.hear_broadcast(message, size)
            return
        channel = self.channels.get(message.topic)
        if message.topic == "phoenix" and message.event == "heartbeat":
            self.reply(message, "ok", {})
        elif message.event == "phx_join" and message.topic.startswith("realtime:"):
            await self._join(message)
        elif message.event == "phx_leave":
            self.reply(message, "ok", {})
            if channel is not None:
                channel.close()
        elif channel is None:
            self.reply(message, "error", {"reason": "unmatched topic"}, joined=False)
        else:
            await channel.hear(message, size)

    async def _join(self, message: Message) -> None:
        try:
            channel = await Channel.join(self, self._parts, message)
        except Refused as refused:
            await self._parts.sleep(self._parts.refusal_delay_s)
            self.reply(message, "error", {"reason": str(refused)})
            return
        self.reply(message, "ok", {"postgres_changes": channel.bindings})
        before = self.channels.get(message.topic)
        if before is not None:
            before.close()
        self.channels[message.topic] = channel
        channel.begin()


class Realtime:
    """Speaks Supabase Realtime's protocol for one local project. For development and tests only.

    Args:
        database_url: as a role that may replicate, see all rows and become any role: the local superuser.
        jwt_secret: what the project's tokens are signed with (HS256).
        role_token: the token that an API key stands for, or None where the argument is no API key; without it
            a socket's `apikey` must be a token.
        limits: the project's limits, by default a new project's.
        refusal_delay_s, handshake_delay_s: how long a refused join and a refused handshake are made to wait.
        clock, sleep: the time in seconds since 1970, and how to wait.
        allow_misbehaviour: whether POST /realtime/v1/misbehave exists.

    `misbehave(...)` and `cut()` cause faults on purpose.
    """

    def __init__(
        self,
        database_url: str,
        jwt_secret: str,
        *,
        role_token: Callable[[str], str | None] | None = None,
        limits: Limits | None = None,
        refusal_delay_s: float = 5.0,
        handshake_delay_s: float = 2.0,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        allow_misbehaviour: bool = False,
    ) -> None:
        self._limits = limits or Limits()
        self._role_token, self._handshake_delay_s = role_token, handshake_delay_s
        self._allow_misbehaviour = allow_misbehaviour
        self._clock, self._sleep = clock, sleep
        self._database = Database(database_url)
        self._hub = Hub(self._limits, clock)
        self._broadcasts = Broadcasts(database_url, self._database, self._hub, self._limits, sleep)
        self._changes = Changes(database_url, self._limits, sleep)
        self._authorizer = Authorizer(self._database, jwt_secret, clock)
        self._sockets: set[Socket] = set()
        self._closing_idle: asyncio.Task[None] | None = None
        self._parts = Parts(
            authorizer=self._authorizer,
            hub=self._hub,
            broadcasts=self._broadcasts,
            changes=self._changes,
            presence=Presence(),
            limits=self._limits,
            joins=RateCounter(clock),
            users=self._count_users,
            clock=clock,
            sleep=sleep,
            refusal_delay_s=refusal_delay_s,
        )

    def add_routes(self, app: web.Application) -> None:
        """Serves Supabase's own paths under /realtime/v1."""
        app.router.add_get("/realtime/v1/websocket", self._connect)
        HttpBroadcasts(self._authorizer, self._hub, self._limits, self._token).add_routes(app)
        if self._allow_misbehaviour:
            app.router.add_post("/realtime/v1/misbehave", self._misbehave)

    async def start(self) -> None:
        """Returns once broadcasts from the database are being followed.

        Raises psycopg.Error where the database cannot be reached or lacks the schema realtime. Later it may
        go away and come back.
        """
        await self._broadcasts.start()
        self._closing_idle = asyncio.create_task(self._close_idle())

    async def close(self) -> None:
        """Tells all sockets that the service restarts, and lets go of the database."""
        if self._closing_idle is not None:
            self._closing_idle.cancel()
            await asyncio.gather(self._closing_idle, return_exceptions=True)
        self.misbehave(None)
        await asyncio.gather(*(socket.close(WSCloseCode.SERVICE_RESTART) for socket in tuple(self._sockets)))
        await self._changes.close()
        await self._broadcasts.close()
        await self._database.close()

    def misbehave(self, how: Misbehaviour | None) -> None:
        """From now on broadcasts meet these faults; None ends them, and drops what is still held back."""
        if self._hub.mischief is not None:
            self._hub.mischief.stop()
        self._hub.mischief = None if how is None else Mischief(how, self._clock, self._sleep)

    async def cut(self) -> None:
        """Breaks all connections to clients abruptly, and returns when they are forgotten."""
        sockets = tuple(self._sockets)
        for socket in sockets:
            socket.cut()
        await asyncio.gather(*(socket.gone.wait() for socket in sockets))

    def _count_users(self) -> int:
        return sum(1 for socket in self._sockets if socket.channels)

    def _token(self, key: str) -> str:
        """The token that an API key stands for; what is no API key is taken for a token."""
        return (self._role_token(key) if self._role_token is not None else None) or key

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        asked = request.query.get("vsn", Version.V1.value)
        if asked not in (Version.V1.value, Version.V2.value):
            return web.Response(status=403)
        key = request.query.get("apikey") or request.headers.get("x-api-key")
        if not key:
            return await self._refuse_handshake("API key is missing")
        token = self._token(key)
        try:
            self._authorizer.claims(token)
        except Expired:
            return await self._refuse_handshake("Token has expired")
        except Refused as refused:
            return await self._refuse_handshake(refused.message)
        # A frame that is too large is read to its end, or its sender would not hear why it is closed.
        response = web.WebSocketResponse(
            max_msg_size=4 * self._limits.frame_bytes, compress=False, timeout=GOODBYE_S
        )
        await response.prepare(request)
        transport = request.transport
        if not isinstance(transport, asyncio.Transport):
            raise ConnectionResetError("the client left during the handshake")
        socket = Socket(self._parts, token, Version(asked), response, transport)
        self._sockets.add(socket)
        try:
            await socket.serve()
        finally:
            self._sockets.discard(socket)
            socket.gone.set()
        return response

    async def _refuse_handshake(self, error: str) -> web.Response:
        await self._sleep(self._handshake_delay_s)
        return web.json_response({"error": error}, status=401, dumps=dumps)

    async def _close_idle(self) -> None:
        interval = self._limits.idle_s / 10
        while True:
            await self._sleep(interval)
            now = self._clock()
            idle = [socket for socket in self._sockets if now - socket.heard_at >= self._limits.idle_s]
            await asyncio.gather(*(socket.close(WSCloseCode.OK) for socket in idle))

    async def _misbehave(self, request: web.Request) -> web.Response:
        """Body: the fields of Misbehaviour (none: behave); with `"cut": true` all connections break too."""
        try:
            body: dict[str, Any] = await request.json()
            cut = body.pop("cut", False)
            how = Misbehaviour(**body) if body else None
        except (ValueError, TypeError, AttributeError) as error:
            return web.json_response(
                {"message": f"expected the fields of Misbehaviour: {error}"}, status=422, dumps=dumps
            )
        self.misbehave(how)
        if cut:
            await self.cut()
        return web.json_response({"misbehaving": how is not None})
