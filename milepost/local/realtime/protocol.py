"""Frames of the Phoenix protocol as Realtime speaks it, from and to the bytes on the socket.

Version 1.0.0 is JSON objects. Version 2.0.0 is JSON arrays, and two binary kinds: 3, a client's broadcast,
and 4, a broadcast to clients.
"""

import json
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any, Protocol

TEXT = 0x1
BINARY = 0x2
CLIENT_BROADCAST = 3
USER_BROADCAST = 4
LONGEST_FIELD = 255


class Version(Enum):
    """The protocol's version, `vsn` in a client's address."""

    V1 = "1.0.0"
    V2 = "2.0.0"


class MalformedFrame(ValueError):
    """A client's frame that cannot be read; the server ignores it."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a client said."""

    join_ref: str | None
    ref: str | None
    topic: str
    event: str
    payload: Any


@dataclass(frozen=True, slots=True)
class ClientBroadcast:
    """What a client said in the binary kind 3: a broadcast whose payload is left as it is."""

    join_ref: str | None
    ref: str | None
    topic: str
    event: str
    metadata: str
    is_json: bool
    payload: bytes


def dumps(value: object, *, sort_keys: bool = False) -> str:
    """JSON without spaces, as the server writes it; what it read before, it writes with sorted keys."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=sort_keys)


def read_text(version: Version, text: str) -> Message:
    """A client's text frame. Raises MalformedFrame."""
    try:
        frame = json.loads(text)
        if version is Version.V1:
            parts = [
                frame.get("join_ref"),
                frame.get("ref"),
                frame["topic"],
                frame["event"],
                frame["payload"],
            ]
        else:
            parts = frame
        join_ref, ref, topic, event, payload = parts
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise MalformedFrame(f"expected a frame of version {version.value}, found {text[:80]!r}") from error
    if not isinstance(topic, str) or not isinstance(event, str):
        raise MalformedFrame(f"expected topic and event to be strings, found {topic!r} and {event!r}")
    return Message(join_ref, ref, topic, event, payload)


def read_binary(data: bytes) -> ClientBroadcast:
    """A client's binary frame. Raises MalformedFrame."""
    if len(data) < 7 or data[0] != CLIENT_BROADCAST:
        raise MalformedFrame(f"expected a binary frame of kind 3, found {data[:1].hex() or 'nothing'}")
    lengths, is_json = data[1:6], data[6] == 1
    fields: list[str] = []
    at = 7
    for length in lengths:
        if at + length > len(data):
            raise MalformedFrame("expected a binary frame as long as its header says, found a shorter one")
        try:
            fields.append(data[at : at + length].decode())
        except UnicodeDecodeError as error:
            raise MalformedFrame("expected UTF-8 in the fields of a binary frame") from error
        at += length
    join_ref, ref, topic, event, metadata = fields
    return ClientBroadcast(join_ref or None, ref or None, topic, event, metadata, is_json, data[at:])


def on_the_wire(opcode: int, body: bytes) -> bytes:
    """The body as one unmasked WebSocket frame (RFC 6455, 5.2): the same bytes for every receiver."""
    head = 0x80 | opcode
    if len(body) < 126:
        return bytes((head, len(body))) + body
    if len(body) < 1 << 16:
        return bytes((head, 126)) + len(body).to_bytes(2) + body
    return bytes((head, 127)) + len(body).to_bytes(8) + body


class Frame(Protocol):
    """Something to be sent to any number of sockets."""

    def wire(self, version: Version) -> bytes | None:
        """The bytes for a socket of that version; None where the version cannot carry it."""


class Text:
    """A text frame; encoded once for each version. `payload` is JSON text, and stays as it is."""

    def __init__(
        self, topic: str, event: str, payload: str, join_ref: str | None = None, ref: str | None = None
    ) -> None:
        self._topic, self._event, self._payload = dumps(topic), dumps(event), payload
        self._join_ref, self._ref = dumps(join_ref), dumps(ref)

    def wire(self, version: Version) -> bytes:
        return self._v1 if version is Version.V1 else self._v2

    @cached_property
    def _v1(self) -> bytes:
        # Version 1.0.0 has no join_ref in what the server says.
        text = f'{{"ref":{self._ref},"event":{self._event},"payload":{self._payload},"topic":{self._topic}}}'
        return on_the_wire(TEXT, text.encode())

    @cached_property
    def _v2(self) -> bytes:
        text = f"[{self._join_ref},{self._ref},{self._topic},{self._event},{self._payload}]"
        return on_the_wire(TEXT, text.encode())


def broadcast(topic: str, payload: object) -> Text:
    """A broadcast that came as text: from a client's text frame or the batch HTTP call."""
    return Text(topic, "broadcast", dumps(payload, sort_keys=True))


class UserBroadcast:
    """A broadcast whose payload is passed on as it came.

    It came from the database, a binary push or the single HTTP call. Version 1.0.0 has it within text, 2.0.0
    as kind 4. `meta` is JSON text, empty where there is none.
    """

    def __init__(self, topic: str, event: str, payload: bytes, *, is_json: bool, meta: str = "") -> None:
        self._topic, self._event, self._payload = topic, event, payload
        self._is_json, self._meta = is_json, meta

    def wire(self, version: Version) -> bytes | None:
        return self._v1 if version is Version.V1 else self._v2

    @cached_property
    def _v1(self) -> bytes | None:
        if not self._is_json:
            return None
        meta = f'"meta":{self._meta},' if self._meta else ""
        payload = (
            f'{{"event":{dumps(self._event)},{meta}"payload":{self._payload.decode()},"type":"broadcast"}}'
        )
        return Text(self._topic, "broadcast", payload).wire(Version.V1)

    @cached_property
    def _v2(self) -> bytes | None:
        topic, event, meta = self._topic.encode(), self._event.encode(), self._meta.encode()
        if max(len(topic), len(event), len(meta)) > LONGEST_FIELD:
            return None
        head = bytes((USER_BROADCAST, len(topic), len(event), len(meta), int(self._is_json)))
        return on_the_wire(BINARY, head + topic + event + meta + self._payload)
