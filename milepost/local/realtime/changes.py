"""postgres_changes: rows of the publication supabase_realtime, to those who asked and may see them."""

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC
from functools import partial
from typing import Any, Protocol

import psycopg
from psycopg import sql

from milepost.local.realtime.authorize import Claims, become
from milepost.local.realtime.database import Connection, Database
from milepost.local.realtime.limits import Limits
from milepost.local.realtime.protocol import Frame, Text, dumps
from milepost.local.realtime.replication import UNCHANGED, Change, Relation, Row, Stream
from milepost.local.realtime.subscriptions import (
    PUBLICATION,
    Binding,
    SubscriptionRefused,
    check_binding,
    read_binding,
)

log = logging.getLogger(__name__)

FULL = "f"
# What is kept of a record that is too large: its short values.
SHORT_BYTES = 64


class Subscriber(Protocol):
    """A joined channel, as the changes see one."""

    topic: str

    def send(self, frame: Frame) -> None: ...


@dataclass(frozen=True)
class Subscription:
    claims: Claims
    bindings: tuple[Binding, ...]

    @property
    def role(self) -> str:
        return str(self.claims["role"])


@dataclass(frozen=True)
class Field:
    """A column as the database describes it now, and what the role may do with it."""

    name: str
    type_name: str
    short_type: str
    is_key: bool
    is_readable: bool


@dataclass(frozen=True)
class Value:
    """A value of a row as SQL with its parameters."""

    sql: sql.Composable
    parameters: tuple[object, ...]
    size: int


class Changes:
    """Follows the publication from the first subscription on."""

    def __init__(self, database_url: str, limits: Limits, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._database = Database(database_url)
        self._limits = limits
        self._waiting: asyncio.Queue[Change] = asyncio.Queue()
        self._stream = Stream(database_url, PUBLICATION, self._waiting.put_nowait, sleep)
        self._subscriptions: dict[Subscriber, Subscription] = {}
        self._starting = asyncio.Lock()
        self._delivering: asyncio.Task[None] | None = None

    async def subscribe(
        self, channel: Subscriber, claims: Claims, wanted: list[tuple[int, dict[str, Any]]]
    ) -> None:
        """Returns once changes will reach the channel. Raises SubscriptionRefused."""
        subscription = Subscription(
            claims, tuple(read_binding(identity, asked) for identity, asked in wanted)
        )

        async def check(connection: Connection) -> None:
            for binding in subscription.bindings:
                await check_binding(connection, binding, claims)

        try:
            await self._database.run(check)
            await self._start()
        except psycopg.OperationalError as error:
            raise SubscriptionRefused("Unable to connect to the project database") from error
        self._subscriptions[channel] = subscription

    def unsubscribe(self, channel: Subscriber) -> None:
        self._subscriptions.pop(channel, None)

    async def close(self) -> None:
        if self._delivering is not None:
            self._delivering.cancel()
            await asyncio.gather(self._delivering, return_exceptions=True)
        await self._stream.close()
        await self._database.close()

    async def _start(self) -> None:
        async with self._starting:
            if self._delivering is None:
                await self._stream.start()
                self._delivering = asyncio.create_task(self._deliver_all())
        await self._stream.streaming.wait()

    async def _deliver_all(self) -> None:
        while True:
            await self._deliver(await self._waiting.get())

    async def _deliver(self, change: Change) -> None:
        relation = change.relation
        by_role: dict[str, dict[Subscriber, tuple[Claims, list[Binding]]]] = defaultdict(dict)
        for channel, subscription in self._subscriptions.items():
            bindings = [
                binding
                for binding in subscription.bindings
                if binding.concerns(change.kind, relation.schema, relation.table)
            ]
            if bindings:
                by_role[subscription.role][channel] = (subscription.claims, bindings)
        for role, interested in by_role.items():
            try:
                frames = await self._database.run(
                    partial(self._frames, change=change, role=role, interested=interested)
                )
            except psycopg.Error as error:
                log.warning("a change of %s.%s was lost: %s", relation.schema, relation.table, error)
                continue
            for channel, frame in frames:
                channel.send(frame)

    async def _frames(
        self,
        connection: Connection,
        change: Change,
        role: str,
        interested: dict[Subscriber, tuple[Claims, list[Binding]]],
    ) -> list[tuple[Subscriber, Frame]]:
        """What each of the role's channels is to be told of the change."""
        await _until_visible(connection, change.transaction)
        seen = await _look_at(connection, change, role)
        if seen is None:
            return []
        data, passing, to_see = await self._render(
            connection, seen, {binding for _, bindings in interested.values() for binding in bindings}
        )
        visible: dict[str, bool] = {}
        frames: dict[tuple[str, tuple[int, ...]], Frame] = {}
        to_send: list[tuple[Subscriber, Frame]] = []
        for channel, (claims, bindings) in interested.items():
            ids = tuple(sorted({binding.id for binding in bindings if binding in passing}))
            if not ids:
                continue
            if to_see:
                who = json.dumps(claims, sort_keys=True)
                if who not in visible:
                    visible[who] = await seen.is_visible_to(connection, claims)
                if not visible[who]:
                    continue
            if (channel.topic, ids) not in frames:
                payload = f'{{"data":{data},"ids":{dumps(ids)}}}'
                frames[channel.topic, ids] = Text(channel.topic, "postgres_changes", payload)
            to_send.append((channel, frames[channel.topic, ids]))
        return to_send

    async def _render(
        self, connection: Connection, seen: "SeenChange", bindings: set[Binding]
    ) -> tuple[str, set[Binding], bool]:
        """The change as JSON, the bindings whose filters it passes, and whether policies decide further."""
        if seen.error is not None:
            return seen.as_json({}, seen.error), bindings, False
        records = {} if seen.change.kind == "DELETE" else {"record": seen.record()}
        if seen.change.kind != "INSERT":
            records["old_record"] = seen.old_record()
        error = None
        if any(_size(record) > self._limits.record_bytes for record in records.values()):
            records = {name: _short_values(record) for name, record in records.items()}
            error = "Error 413: Payload Too Large"
        filtered = [binding for binding in bindings if binding.filters]
        asked = [_object(record) for record in records.values()] + [seen.passes(each) for each in filtered]
        cursor = await connection.execute(
            sql.SQL("select {}").format(sql.SQL(", ").join(value.sql for value in asked)),
            [parameter for value in asked for parameter in value.parameters],
        )
        (row,) = await cursor.fetchall()
        texts = dict(zip(records, map(str, row), strict=False))
        failing = {each for each, passes in zip(filtered, row[len(records) :], strict=True) if not passes}
        return (
            seen.as_json(texts, error),
            bindings - failing,
            seen.row_security and seen.change.kind != "DELETE",
        )


@dataclass(frozen=True)
class SeenChange:
    """A change as one role may see it."""

    change: Change
    fields: tuple[Field, ...]
    row_security: bool

    @property
    def error(self) -> str | None:
        """Why the role is told no more than that something happened."""
        keys = [field for field in self.fields if field.is_key]
        if self.change.kind == "DELETE":
            return None
        if self.row_security and not keys:
            return "Error 400: Bad Request, no primary key"
        if not all(field.is_readable for field in keys or self.fields):
            return "Error 401: Unauthorized"
        return None

    def record(self) -> dict[str, Value]:
        row = self.change.new
        return {} if row is None else {f.name: self._value(row, f) for f in self.fields if f.is_readable}

    def old_record(self) -> dict[str, Value]:
        """The key; the whole row with REPLICA IDENTITY FULL, but not of a row deleted under row security."""
        row, whole = self._old_row()
        whole = whole and not (self.row_security and self.change.kind == "DELETE")
        return {f.name: self._value(row, f) for f in self.fields if f.is_readable and (f.is_key or whole)}

    def passes(self, binding: Binding) -> Value:
        """Whether the row passes the binding's filters; a deleted row by what is left of it."""
        if self.change.new is not None:
            row, known = self.change.new, self.fields
        else:
            row, whole = self._old_row()
            known = self.fields if whole else tuple(field for field in self.fields if field.is_key)
        conditions: list[sql.Composable] = []
        parameters: list[object] = []
        for each in binding.filters:
            field = next((field for field in known if field.name == each.column), None)
            if field is None:
                return Value(sql.SQL("false"), (), 0)
            value = self._value(row, field)
            conditions.append(each.condition(value.sql, field.type_name))
            parameters += [*value.parameters, each.value]
        return Value(sql.SQL(" and ").join(conditions), tuple(parameters), 0)

    async def is_visible_to(self, connection: Connection, claims: Claims) -> bool:
        """Whether the user's policies let the row be seen, as it is now."""
        keys = [field for field in self.fields if field.is_key]
        where, parameters = self._where(keys)
        async with connection.transaction(force_rollback=True):
            await become(connection, claims)
            try:
                cursor = await connection.execute(
                    sql.SQL("select from {} where {}").format(self._table, where), parameters
                )
                return await cursor.fetchone() is not None
            except psycopg.errors.InsufficientPrivilege as error:
                log.warning("a change was withheld, its policies cannot be checked: %s", error)
                return False

    def as_json(self, records: dict[str, str], error: str | None) -> str:
        """The `data` of the frame; the records are JSON text and stay as they are."""
        refused = error is not None and not records
        columns = [
            {"name": f.name, "type": f.short_type} for f in self.fields if f.is_readable and not refused
        ]
        when = (
            self.change.committed_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        )
        kind, relation = self.change.kind, self.change.relation
        parts = {"table": dumps(relation.table), "type": dumps(kind)}
        if kind != "DELETE":
            parts["record"] = records.get("record", "{}")
        parts["columns"] = json.dumps(columns, ensure_ascii=False)
        parts["errors"] = dumps([error] if error else None)
        parts["schema"] = dumps(relation.schema)
        parts["commit_timestamp"] = dumps(None if refused else when)
        if kind != "INSERT":
            parts["old_record"] = records.get("old_record", "{}")
        return "{" + ",".join(f'"{name}":{text}' for name, text in parts.items()) + "}"

    @property
    def _table(self) -> sql.Identifier:
        return sql.Identifier(self.change.relation.schema, self.change.relation.table)

    def _old_row(self) -> tuple[Row, bool]:
        """The row before, and whether all of it is known. Postgres sends no old key that did not change."""
        row = self.change.old or self.change.new or []
        return row, self.change.old is not None and self.change.relation.replica_identity == FULL

    def _where(self, keys: list[Field]) -> tuple[sql.Composed, list[object]]:
        row = self.change.new or []
        values = [self._value(row, key) for key in keys]
        tests = [
            sql.SQL("{} = {}").format(sql.Identifier(k.name), v.sql)
            for k, v in zip(keys, values, strict=True)
        ]
        return sql.SQL(" and ").join(tests), [parameter for value in values for parameter in value.parameters]

    def _value(self, row: Row, field: Field) -> Value:
        position = next(
            i for i, column in enumerate(self.change.relation.columns) if column.name == field.name
        )
        text = row[position]
        if text is UNCHANGED:
            # A large value that the update left alone is not streamed; it is read from where it still is.
            where, parameters = self._where([other for other in self.fields if other.is_key])
            query = sql.SQL("(select {} from {} where {})").format(
                sql.Identifier(field.name), self._table, where
            )
            return Value(query, tuple(parameters), SHORT_BYTES + 1)
        size = 0 if text is None else len(str(text))
        return Value(sql.SQL("%s::" + field.type_name), (text,), size)


def _size(record: dict[str, Value]) -> int:
    return sum(value.size for value in record.values())


def _short_values(record: dict[str, Value]) -> dict[str, Value]:
    return {name: value for name, value in record.items() if value.size <= SHORT_BYTES}


def _object(record: dict[str, Value]) -> Value:
    """The values as the text of a jsonb object."""
    columns = sql.SQL(", ").join(
        sql.SQL("{} as {}").format(value.sql, sql.Identifier(name)) for name, value in record.items()
    )
    parameters = tuple(parameter for value in record.values() for parameter in value.parameters)
    return Value(sql.SQL("(select to_jsonb(r)::text from (select {}) r)").format(columns), parameters, 0)


async def _until_visible(connection: Connection, transaction: int) -> None:
    """Postgres streams a commit once it is flushed, a moment before others see its rows."""
    while True:
        cursor = await connection.execute(
            "select pg_visible_in_snapshot("
            "(pg_snapshot_xmax(s)::text::bigint >> 32 << 32 | %s)::text::xid8, s"
            ") from pg_current_snapshot() s",
            (transaction,),
        )
        if (await cursor.fetchall())[0][0]:
            return
        await asyncio.sleep(0)


async def _look_at(connection: Connection, change: Change, role: str) -> SeenChange | None:
    """None where the table is gone by now."""
    cursor = await connection.execute(
        "select c.relrowsecurity, a.attname, format_type(a.atttypid, a.atttypmod), t.typname, "
        "coalesce(a.attnum = any(i.indkey), false), has_column_privilege(%s, c.oid, a.attnum, 'select') "
        "from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped "
        "join pg_type t on t.oid = a.atttypid left join pg_index i on i.indrelid = c.oid and i.indisprimary "
        "where c.oid = %s order by a.attnum",
        (role, change.relation.oid),
    )
    rows: list[tuple[Any, ...]] = await cursor.fetchall()
    known = _names(change.relation)
    fields = tuple(Field(*row[1:]) for row in rows if row[1] in known)
    return SeenChange(change, fields, rows[0][0]) if rows else None


def _names(relation: Relation) -> set[str]:
    return {column.name for column in relation.columns}
