"""Broadcast from the database: rows of realtime.messages, live and replayed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg

from milepost.local.realtime.authorize import Refused
from milepost.local.realtime.database import Connection, Database
from milepost.local.realtime.hub import Hub
from milepost.local.realtime.limits import Limits
from milepost.local.realtime.protocol import Text, UserBroadcast, dumps
from milepost.local.realtime.replication import Change, Stream

log = logging.getLogger(__name__)

PUBLICATION = "supabase_realtime_messages_publication"
PARTITIONS_S = 3600.0


class Broadcasts:
    """Hands each row of realtime.messages to the hub, keeps the table's partitions, and replays from it."""

    def __init__(
        self,
        database_url: str,
        database: Database,
        hub: Hub,
        limits: Limits,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._database, self._hub, self._limits, self._sleep = database, hub, limits, sleep
        self._stream = Stream(database_url, PUBLICATION, self._on_change, sleep)
        self._keeping: asyncio.Task[None] | None = None

    @property
    def streaming(self) -> asyncio.Event:
        """Set while rows are being followed; what commits while it is not is lost to listeners."""
        return self._stream.streaming

    async def start(self) -> None:
        await self._database.run(_prepare)
        await self._stream.start()
        self._keeping = asyncio.create_task(self._keep_partitions())

    async def close(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        await self._stream.close()

    async def _keep_partitions(self) -> None:
        while True:
            await self._sleep(PARTITIONS_S)
            try:
                await self._database.run(_make_partitions)
            except psycopg.Error as error:
                log.warning("the partitions of realtime.messages were not made: %s", error)

    def _on_change(self, change: Change) -> None:
        if change.kind != "INSERT" or change.new is None:
            return
        row = dict(zip((column.name for column in change.relation.columns), change.new, strict=True))
        if row["extension"] != "broadcast" or not row["event"]:
            return
        is_json = row["payload"] is not None
        # bytea is printed as \x and hexadecimal digits.
        payload = (
            str(row["payload"]).encode() if is_json else bytes.fromhex(str(row["binary_payload"] or "")[2:])
        )
        if len(payload) > self._limits.payload_bytes:
            log.warning(
                "a broadcast of %d bytes on %s was dropped: the limit is exceeded", len(payload), row["topic"]
            )
            return
        topic, private = str(row["topic"]), row["private"] == "t"
        frame = UserBroadcast(
            f"realtime:{topic}", str(row["event"]), payload, is_json=is_json, meta=dumps({"id": row["id"]})
        )
        self._hub.from_database(topic, private, frame)

    async def replay(self, name: str, private: bool, asked: object, join_ref: str | None) -> list[Text]:
        """The stored messages of a private topic, oldest first, at most 25. Raises Refused."""
        if not private:
            raise Refused("UnableToReplayMessages", "Replay is not allowed for public channels")
        most = self._limits.replayed_messages
        match asked:
            case {"since": int(since), "limit": int(limit)} if 1 <= limit <= most:
                pass
            case {"since": int(since), **others} if "limit" not in others:
                limit = most
            case _:
                raise Refused("UnableToReplayMessages", "Replay params are not valid")

        async def read(connection: Connection) -> list[tuple[Any, ...]]:
            cursor = await connection.execute(
                "select id::text, event, payload from realtime.messages "
                "where topic = %s and private and extension = 'broadcast' and payload is not null "
                "and inserted_at >= to_timestamp(%s / 1000.0)::timestamp and inserted_at < now()::timestamp "
                "order by inserted_at desc limit %s",
                (name, since, limit),
            )
            return await cursor.fetchall()

        try:
            rows = await self._database.run(read)
        except psycopg.Error as error:
            raise Refused("UnableToReplayMessages", str(error)) from error
        return [
            Text(
                f"realtime:{name}",
                "broadcast",
                dumps(
                    {
                        "event": event,
                        "meta": {"id": identity, "replayed": True},
                        "payload": payload,
                        "type": "broadcast",
                    },
                    sort_keys=True,
                ),
                join_ref=join_ref,
            )
            for identity, event, payload in reversed(rows)
        ]


async def _make_partitions(connection: Connection) -> None:
    await connection.execute("select realtime_stand_in.keep_partitions(current_date)")


async def _prepare(connection: Connection) -> None:
    await _make_partitions(connection)
    cursor = await connection.execute("select from pg_publication where pubname = %s", (PUBLICATION,))
    if await cursor.fetchone() is None:
        # The real server makes this publication too, when it first connects.
        await connection.execute(f"create publication {PUBLICATION} for table realtime.messages")
