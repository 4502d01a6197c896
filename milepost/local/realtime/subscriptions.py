"""What a client asks of postgres_changes: read from its join, and checked against the database."""

import re
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors, sql

from milepost.local.realtime.authorize import Claims
from milepost.local.realtime.database import Connection
from milepost.local.realtime.protocol import dumps

PUBLICATION = "supabase_realtime"
ANY = "*"
OPERATORS = {"eq": "=", "neq": "<>", "lt": "<", "lte": "<=", "gt": ">", "gte": ">=", "in": "= any"}


class SubscriptionRefused(Exception):
    """The text is what the client is told. `final`: asking again cannot help."""

    def __init__(self, text: str, *, final: bool = False) -> None:
        super().__init__(text)
        self.final = final


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on one column. For `in` the value is the text of a Postgres array."""

    column: str
    operator: str
    value: str

    def __str__(self) -> str:
        return f"{{{dumps(self.column)}, {dumps(self.operator)}, {dumps(self.value)}, false}}"

    def condition(self, value: sql.Composable, type_name: str) -> sql.Composed:
        """SQL that says whether `value` passes, which null never does; its last parameter is the filter's."""
        kind = sql.SQL(type_name)
        operator = sql.SQL(OPERATORS[self.operator])
        wanted = sql.SQL("(%s::{}[])" if self.operator == "in" else "%s::{}").format(kind)
        return sql.SQL("coalesce(({} {} {}), false)").format(value, operator, wanted)


@dataclass(frozen=True, slots=True)
class Binding:
    """One entry of a join's `postgres_changes`; `*` stands for any event, schema or table."""

    id: int
    event: str
    schema: str
    table: str
    filters: tuple[Filter, ...]

    def __str__(self) -> str:
        filters = ", ".join(map(str, self.filters))
        return (
            f"[event: {self.event}, schema: {self.schema}, table: {self.table}, "
            f"filters: [{filters}], select: nil]"
        )

    def concerns(self, kind: str, schema: str, table: str) -> bool:
        return self.event in (ANY, kind) and self.schema in (ANY, schema) and self.table in (ANY, table)


def parameters_of(join: dict[str, Any], topic_name: str) -> list[dict[str, Any]]:
    """The entries as sent. A join without `config` asks by its topic: `schema[:table[:filter]]`."""
    if "config" not in join:
        return [dict(zip(("schema", "table", "filter"), topic_name.split(":", 2), strict=False))]
    asked = (join["config"] or {}).get("postgres_changes") or []
    if not isinstance(asked, list) or not all(isinstance(entry, dict) for entry in asked):
        raise TypeError(f"expected postgres_changes to be a list of objects, found {asked!r}")
    return asked


def read_binding(identity: int, asked: dict[str, Any]) -> Binding:
    """Raises SubscriptionRefused for a filter that cannot be read."""
    return Binding(
        id=identity,
        event=str(asked.get("event") or ANY).upper(),
        schema=str(asked.get("schema") or "public"),
        table=str(asked.get("table") or ANY),
        filters=_read_filters(asked.get("filter")),
    )


def _read_filters(text: object) -> tuple[Filter, ...]:
    if text in (None, ""):
        return ()
    column, equals, rest = str(text).partition("=")
    operator, dot, value = rest.partition(".")
    if not equals or not dot or operator not in OPERATORS:
        found = [operator, value] if equals and dot else [rest if equals else column]
        listed = ", ".join(map(dumps, found))
        raise SubscriptionRefused(f"Error parsing `filter` params: [{listed}]", final=True)
    if operator == "in":
        if not re.fullmatch(r"\(.*\)", value):
            raise SubscriptionRefused(
                "Error parsing `filter` params: `in` filter value must be wrapped by parentheses", final=True
            )
        value = f"{{{value[1:-1]}}}"
    return (Filter(column, operator, value),)


async def check_binding(connection: Connection, binding: Binding, claims: Claims) -> None:
    """Whether its tables are published and its filters fit them. Raises SubscriptionRefused."""
    cursor = await connection.execute(
        "select c.oid from pg_publication_tables p "
        "join pg_class c on c.relname = p.tablename and c.relnamespace = p.schemaname::regnamespace "
        "where p.pubname = %s and %s in ('*', p.schemaname::text) and %s in ('*', p.tablename::text)",
        (PUBLICATION, binding.schema, binding.table),
    )
    tables = [row[0] for row in await cursor.fetchall()]
    if not tables:
        raise _refusal(binding, "Please check Realtime is enabled for the given connect parameters")
    try:
        for table in tables:
            for each in binding.filters:
                await _check_filter(connection, table, each, str(claims["role"]))
    except psycopg.Error as error:
        condition = re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).lower()
        raise _refusal(
            binding,
            "An exception happened so please check your connect parameters",
            f". Exception: ERROR {error.sqlstate} ({condition}) {error.diag.message_primary}",
        ) from error


def _refusal(binding: Binding, why: str, exception: str = "") -> SubscriptionRefused:
    return SubscriptionRefused(
        f"Unable to subscribe to changes with given parameters. {why}: {binding}{exception}"
    )


async def _check_filter(connection: Connection, table: object, each: Filter, role: str) -> None:
    cursor = await connection.execute(
        "select format_type(atttypid, atttypmod) from pg_attribute where attrelid = %s and attname = %s "
        "and attnum > 0 and not attisdropped and has_column_privilege(%s, attrelid, attnum, 'select')",
        (table, each.column, role),
    )
    found = await cursor.fetchone()
    if found is None:
        # Raised in Postgres, so that the client is told of it in Postgres' form.
        await connection.execute(
            sql.SQL("do $$ begin raise exception '%', {}; end $$").format(
                sql.Literal(f"invalid column for filter {each.column}")
            )
        )
        raise errors.RaiseException(f"invalid column for filter {each.column}")
    await connection.execute(
        sql.SQL("select {}").format(each.condition(sql.NULL, str(found[0]))), (each.value,)
    )
