"""One client's membership of one topic: how it joins, what it says and hears, and how it ends."""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from milepost.local.realtime.authorize import (
    Authorizer,
    BadSignature,
    Claims,
    Expired,
    Reader,
    Refused,
    choose_token,
)
from milepost.local.realtime.broadcasts import Broadcasts
from milepost.local.realtime.changes import Changes
from milepost.local.realtime.hub import Hub
from milepost.local.realtime.limits import Limits, RateCounter
from milepost.local.realtime.phash import phash
from milepost.local.realtime.presence import Presence
from milepost.local.realtime.protocol import (
    ClientBroadcast,
    Frame,
    Message,
    Text,
    UserBroadcast,
    broadcast,
    dumps,
)
from milepost.local.realtime.subscriptions import SubscriptionRefused, parameters_of

log = logging.getLogger(__name__)

PREFIX = "realtime:"
# How long the real server waits before it tries again to subscribe to changes.
RESUBSCRIBE_S = 5.0


class Peer(Protocol):
    """The socket, as a channel sees it."""

    token: str
    channels: "dict[str, Channel]"

    def send(self, frame: Frame) -> None: ...
    def reply(
        self, message: Message | ClientBroadcast, status: str, response: object, *, joined: bool = True
    ) -> None: ...


@dataclass(frozen=True)
class Parts:
    """What channels and sockets share."""

    authorizer: Authorizer
    hub: Hub
    broadcasts: Broadcasts
    changes: Changes
    presence: Presence
    limits: Limits
    joins: RateCounter
    users: Callable[[], int]
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    refusal_delay_s: float


class Channel:
    """A joined channel. Made by `join`; ended by `leave`, or by `close`, which also tells the client."""

    def __init__(self, socket: Peer, parts: Parts, message: Message, token: str, claims: Claims) -> None:
        payload = message.payload if isinstance(message.payload, dict) else {}
        config = payload.get("config") or {}
        to_broadcast, to_presence = (config.get(part) or {} for part in ("broadcast", "presence"))
        self.topic = message.topic
        self.name = message.topic.removeprefix(PREFIX)
        self.private = bool(config.get("private"))
        self.bindings = [
            {"id": phash(wanted), **dict(sorted(wanted.items()))}
            for wanted in parameters_of(payload, self.name)
        ]
        self._ref = message.join_ref
        self._acknowledges, self._hears_itself = bool(to_broadcast.get("ack")), bool(to_broadcast.get("self"))
        self._wants_readiness = bool(to_broadcast.get("replication_ready"))
        self._replay = to_broadcast.get("replay")
        self._replayed: list[Text] = []
        self.has_presence = bool(to_presence.get("enabled"))
        self._presence_key = to_presence.get("key") or str(uuid.uuid1())
        self._socket, self._parts, self._token, self._claims = socket, parts, token, claims
        self._may_write: dict[str, bool] = {}
        self._timers: dict[str, asyncio.Task[None]] = {}
        self._open = False

    @classmethod
    async def join(cls, socket: Peer, parts: Parts, message: Message) -> "Channel":
        """The channel, if the client may have it. Raises Refused."""
        if message.topic == PREFIX:
            raise Refused("TopicNameRequired", "You must provide a topic name")
        payload = message.payload if isinstance(message.payload, dict) else {}
        parts.joins.add()
        if parts.joins.per_s >= parts.limits.joins_per_s:
            raise Refused("ClientJoinRateLimitReached", "Too many joins per second")
        others = len(socket.channels) - (message.topic in socket.channels)
        if others >= parts.limits.channels_per_socket:
            raise Refused("ChannelRateLimitReached", "Too many channels")
        if not socket.channels and parts.users() >= parts.limits.users:
            raise Refused("ConnectionRateLimitReached", "Too many connected users")
        token = choose_token(payload.get("access_token"), socket.token)
        claims = parts.authorizer.claims(token)
        try:
            channel = cls(socket, parts, message, token, claims)
        except (AttributeError, TypeError) as error:
            # The real server stumbles over a configuration of the wrong type in just these words.
            raise Refused("UnknownErrorOnChannel", "no function clause matching in Access.get/3") from error
        await channel._check_reading()
        if channel._replay is not None:
            channel._replayed = await parts.broadcasts.replay(
                channel.name, channel.private, channel._replay, channel._ref
            )
        return channel

    async def _check_reading(self) -> None:
        reader = Reader(broadcast=True, presence=True)
        if self.private:
            reader = await self._parts.authorizer.may_read(
                self.name, self._claims, presence=self.has_presence
            )
        if not reader.broadcast:
            raise Refused(
                "Unauthorized", f"You do not have permissions to read from this Channel topic: {self.name}"
            )
        self.has_presence = self.has_presence and reader.presence

    def begin(self) -> None:
        """Starts to listen; what follows a join's reply is sent here."""
        self._open = True
        self._parts.hub.add(self)
        for frame in self._replayed:
            self.send(frame)
        if self.has_presence:
            self._push("presence_state", self._parts.presence.state((self.name, self.private)))
        if self._wants_readiness and self.private:
            self._start("readiness", self._tell_readiness())
        self._watch_expiry()
        if self.bindings:
            self._start("changes", self._subscribe())

    def send(self, frame: Frame) -> None:
        if self._open:
            self._socket.send(frame)

    def leave(self) -> None:
        """Stops listening, says nothing."""
        self._open = False
        if self._socket.channels.get(self.topic) is self:
            del self._socket.channels[self.topic]
        self._parts.hub.discard(self)
        self._parts.changes.unsubscribe(self)
        self._tell_presence(self._parts.presence.untrack((self.name, self.private), self))
        for timer in self._timers.values():
            timer.cancel()

    def close(self) -> None:
        """Stops listening and says so."""
        if self._open:
            self._socket.send(Text(self.topic, "phx_close", "{}", self._ref, self._ref))
            self.leave()

    def shut_down(self, message: str) -> None:
        """Ends the channel for a reason; the socket stays open."""
        if self._open:
            self._system("system", "error", message)
            self.close()

    async def hear(self, message: Message, size: int) -> None:
        """What the client says on this channel."""
        if message.event == "broadcast":
            await self.hear_broadcast(message, size)
        elif message.event == "presence":
            await self._hear_presence(message)
        elif message.event == "access_token":
            await self._refresh(message.payload)
        else:
            log.info("an unknown event %r on %s was ignored", message.event, self.topic)

    async def hear_broadcast(self, message: Message | ClientBroadcast, size: int) -> None:
        if size > self._parts.limits.payload_bytes:
            if self._acknowledges:
                self._socket.reply(message, "error", "payload_size_exceeded")
            return
        if not await self._can_write("broadcast"):
            return
        frame: Frame
        if isinstance(message, ClientBroadcast):
            frame = UserBroadcast(
                self.topic, message.event, message.payload, is_json=message.is_json, meta=message.metadata
            )
        else:
            frame = broadcast(self.topic, message.payload)
        but = None if self._hears_itself else self
        self._parts.hub.from_client(self.name, self.private, frame, but)
        if self._acknowledges:
            self._socket.reply(message, "ok", {})

    async def _can_write(self, extension: str) -> bool:
        """Asked once for each token; who may not write is not told."""
        if not self.private:
            return True
        if extension not in self._may_write:
            try:
                self._may_write[extension] = await self._parts.authorizer.may_write(
                    self.name, self._claims, extension
                )
            except Refused as refused:
                log.warning("a push on %s was dropped: %s", self.topic, refused)
                return False
        return self._may_write[extension]

    async def _hear_presence(self, message: Message) -> None:
        said = message.payload if isinstance(message.payload, dict) else {}
        event, topic, presence = (
            str(said.get("event")).lower(),
            (self.name, self.private),
            self._parts.presence,
        )
        if event == "track" and await self._can_write("presence"):
            meta = said.get("payload")
            self._socket.reply(message, "ok", {})
            meta = meta if isinstance(meta, dict) else {}
            self._tell_presence(presence.track(topic, self, self._presence_key, meta))
        elif event == "untrack":
            self._socket.reply(message, "ok", {})
            self._tell_presence(presence.untrack(topic, self))
        else:
            self._socket.reply(message, "error", {})

    def _tell_presence(self, difference: dict[str, Any] | None) -> None:
        if difference is not None:
            frame = Text(self.topic, "presence_diff", dumps(difference, sort_keys=True))
            self._parts.hub.tell_presence(self.name, self.private, frame)

    async def _refresh(self, payload: object) -> None:
        """A new token for the channel. Nothing is answered; a worse token ends the channel."""
        token = payload.get("access_token") if isinstance(payload, dict) else None
        if not isinstance(token, str) or token.startswith("sb_") or token == self._token:
            return
        try:
            self._claims = self._parts.authorizer.claims(token)
            self._token = token
            self._may_write.clear()
            await self._check_reading()
        except BadSignature:
            # The real server shows its own symbol here.
            self.shut_down(":signature_error")
            return
        except Refused as refused:
            self.shut_down(refused.message)
            return
        self._watch_expiry()
        if self.bindings:
            self._start("changes", self._subscribe())

    def _watch_expiry(self) -> None:
        self._start("expiry", self._expire(float(self._claims["exp"])))

    async def _expire(self, at: float) -> None:
        while (left := at - self._parts.clock()) > 0:
            await self._parts.sleep(left)
        self.shut_down(Expired(int(-left)).message)

    async def _tell_readiness(self) -> None:
        await self._parts.broadcasts.streaming.wait()
        self._system("system", "ok", "Replication connection established")

    async def _subscribe(self) -> None:
        wanted = [
            {name: value for name, value in binding.items() if name != "id"} for binding in self.bindings
        ]
        ids = [int(binding["id"]) for binding in self.bindings]
        while True:
            try:
                await self._parts.changes.subscribe(self, self._claims, list(zip(ids, wanted, strict=True)))
            except SubscriptionRefused as refused:
                self._system("postgres_changes", "error", str(refused))
                if refused.final:
                    return
                await self._parts.sleep(RESUBSCRIBE_S)
            else:
                self._system("postgres_changes", "ok", "Subscribed to PostgreSQL")
                return

    def _start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Runs the work beside the channel, in place of what ran under that name."""
        if name in self._timers:
            self._timers[name].cancel()
        self._timers[name] = asyncio.create_task(work)

    def _system(self, extension: str, status: str, message: str) -> None:
        self._push(
            "system", {"message": message, "status": status, "extension": extension, "channel": self.name}
        )

    def _push(self, event: str, payload: object) -> None:
        self.send(Text(self.topic, event, dumps(payload), self._ref))
