"""Connections to the project's database that come back after it was away."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import psycopg

T = TypeVar("T")
Connection = psycopg.AsyncConnection[tuple[object, ...]]


class Database:
    """One connection for one caller at a time, opened when it is needed and again after it broke."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Connection | None = None
        self._one_at_a_time = asyncio.Lock()

    async def run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Runs `work`, and once more where the connection turns out to be gone, so it must be safe to repeat.

        Raises psycopg.OperationalError while the database is away.
        """
        async with self._one_at_a_time:
            if self._connection is not None and not self._connection.closed:
                try:
                    return await work(self._connection)
                except psycopg.OperationalError:
                    if not self._connection.closed:
                        raise
            self._connection = await psycopg.AsyncConnection.connect(
                self._url, autocommit=True, connect_timeout=5
            )
            # What it prints is sent to clients, who are used to a server in UTC.
            await self._connection.execute("set timezone to 'UTC'")
            return await work(self._connection)

    async def close(self) -> None:
        async with self._one_at_a_time:
            if self._connection is not None:
                await self._connection.close()
                self._connection = None
