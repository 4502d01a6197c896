"""Committed rows as Postgres streams them: a temporary logical slot, decoded by pgoutput.

The slot lives as long as its connection. What is committed while there is none is lost to it, as with the
real server.
"""

import asyncio
import logging
import secrets
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
from psycopg import pq, sql

log = logging.getLogger(__name__)

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
RECONNECT_S = 0.2
# A value of a column: text as Postgres prints it, None for null. Unchanged TOAST values are not sent.
UNCHANGED = object()
Row = list[object]


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type_oid: int
    type_modifier: int
    is_key: bool


@dataclass(frozen=True, slots=True)
class Relation:
    oid: int
    schema: str
    table: str
    replica_identity: str
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One row's INSERT, UPDATE or DELETE; `old` is what the replica identity keeps of it, if it was sent."""

    relation: Relation
    kind: str
    new: Row | None
    old: Row | None
    committed_at: datetime
    transaction: int


class Decoder:
    """pgoutput, protocol version 1: keeps the relations it is told of, and calls back with each change."""

    def __init__(self, on_change: Callable[[Change], None]) -> None:
        self._on_change = on_change
        self._relations: dict[int, Relation] = {}
        self._committed_at = EPOCH
        self._transaction = 0

    def feed(self, data: bytes) -> None:
        kind = data[:1]
        if kind == b"B":
            microseconds, self._transaction = struct.unpack_from("!qI", data, 9)
            self._committed_at = EPOCH + timedelta(microseconds=microseconds)
        elif kind == b"R":
            relation = _read_relation(data)
            self._relations[relation.oid] = relation
        elif kind in (b"I", b"U", b"D"):
            self._on_change(self._read_change(kind, data))

    def _read_change(self, kind: bytes, data: bytes) -> Change:
        relation = self._relations[struct.unpack_from("!I", data, 1)[0]]
        old: Row | None = None
        new: Row | None = None
        at = 5
        while at < len(data):
            which = data[at : at + 1]
            row, at = _read_row(data, at + 1)
            if which == b"N":
                new = row
            else:
                old = row
        name = {b"I": "INSERT", b"U": "UPDATE", b"D": "DELETE"}[kind]
        return Change(relation, name, new, old, self._committed_at, self._transaction)


def _read_string(data: bytes, at: int) -> tuple[str, int]:
    end = data.index(0, at)
    return data[at:end].decode(), end + 1


def _read_relation(data: bytes) -> Relation:
    (oid,) = struct.unpack_from("!I", data, 1)
    schema, at = _read_string(data, 5)
    table, at = _read_string(data, at)
    identity = chr(data[at])
    (count,) = struct.unpack_from("!h", data, at + 1)
    at += 3
    columns = []
    for _ in range(count):
        is_key = data[at] == 1
        name, at = _read_string(data, at + 1)
        type_oid, type_modifier = struct.unpack_from("!Ii", data, at)
        at += 8
        columns.append(Column(name, type_oid, type_modifier, is_key))
    return Relation(oid, schema, table, identity, tuple(columns))


def _read_row(data: bytes, at: int) -> tuple[Row, int]:
    (count,) = struct.unpack_from("!h", data, at)
    at += 2
    row: Row = []
    for _ in range(count):
        kind = data[at : at + 1]
        at += 1
        if kind == b"t":
            (length,) = struct.unpack_from("!i", data, at)
            row.append(data[at + 4 : at + 4 + length].decode())
            at += 4 + length
        else:
            row.append(None if kind == b"n" else UNCHANGED)
    return row, at


class Stream:
    """Follows one publication and hands each committed change to `on_change`, at once and in commit order.

    `streaming` is set while it is connected: what commits before that, or between two connections, is not
    seen.
    """

    def __init__(
        self,
        database_url: str,
        publication: str,
        on_change: Callable[[Change], None],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._url, self._publication, self._on_change, self._sleep = (
            database_url,
            publication,
            on_change,
            sleep,
        )
        self.streaming = asyncio.Event()
        self._following: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns once it streams. Raises psycopg.Error if the first connection fails."""
        connection = await self._connect()
        self._following = asyncio.create_task(self._follow(connection))

    async def close(self) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
            self._following = None

    async def _connect(self) -> psycopg.AsyncConnection[tuple[object, ...]]:
        connection = await psycopg.AsyncConnection.connect(
            self._url,
            autocommit=True,
            replication="database",
            connect_timeout=5,
            application_name="realtime stand-in",
        )
        try:
            # Other stand-ins may use the same cluster, and slots have one namespace.
            slot = sql.Identifier(f"realtime_stand_in_{secrets.token_hex(8)}")
            await connection.execute(
                sql.SQL("CREATE_REPLICATION_SLOT {} TEMPORARY LOGICAL pgoutput (SNAPSHOT 'nothing')").format(
                    slot
                )
            )
            start = sql.SQL(
                "START_REPLICATION SLOT {} LOGICAL 0/0 (proto_version '1', publication_names {})"
            ).format(slot, sql.Literal(sql.Identifier(self._publication).as_string(connection)))
            # psycopg has no call for COPY in both directions; it is answered at once.
            result = connection.pgconn.exec_(start.as_bytes(connection))
            if result.status != pq.ExecStatus.COPY_BOTH:
                raise psycopg.OperationalError(f"replication did not start: {result.get_error_message()}")
        except BaseException:
            await connection.close()
            raise
        self.streaming.set()
        return connection

    async def _follow(self, connection: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
        while True:
            try:
                await self._read(connection)
            finally:
                self.streaming.clear()
                await connection.close()
            log.warning("the replication connection to Postgres ended; connecting again")
            connection = await self._reconnect()

    async def _reconnect(self) -> psycopg.AsyncConnection[tuple[object, ...]]:
        while True:
            await self._sleep(RECONNECT_S)
            try:
                return await self._connect()
            except psycopg.Error as error:
                log.info("Postgres is still away: %s", error)

    async def _read(self, connection: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
        """Returns when the connection ends."""
        loop = asyncio.get_running_loop()
        decoder = Decoder(self._on_change)
        ended: asyncio.Future[None] = loop.create_future()
        pgconn = connection.pgconn
        socket = pgconn.socket

        def readable() -> None:
            try:
                pgconn.consume_input()
                length, data = pgconn.get_copy_data(1)
                while length > 0:
                    self._on_message(pgconn, decoder, bytes(data))
                    length, data = pgconn.get_copy_data(1)
                if length == 0:
                    return
            except psycopg.OperationalError as error:
                log.info("the replication connection broke: %s", error)
            loop.remove_reader(socket)
            ended.set_result(None)

        loop.add_reader(socket, readable)
        readable()
        try:
            await ended
        finally:
            loop.remove_reader(socket)

    def _on_message(self, pgconn: pq.abc.PGconn, decoder: Decoder, data: bytes) -> None:
        if data[:1] == b"w":
            try:
                decoder.feed(data[25:])
            except Exception:
                # One message that cannot be handled must not end the stream for all others.
                log.exception("a replicated message could not be handled")
        elif data[:1] == b"k" and data[17] == 1:
            # Postgres asks so that it may recycle WAL, and waits for this answer when it shuts down.
            (end,) = struct.unpack_from("!Q", data, 1)
            pgconn.put_copy_data(struct.pack("!cQQQqB", b"r", end, end, end, 0, 0))
            pgconn.flush()
