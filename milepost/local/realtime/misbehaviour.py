"""Faults on purpose: broadcasts that are lost, doubled, late or out of order."""

import asyncio
import heapq
import random
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from itertools import count

HELD_BACK_S = 0.05


@dataclass(frozen=True)
class Misbehaviour:
    """What happens to each broadcast on its way to each channel, independently of the others.

    drop, double and reorder are probabilities from 0 to 1; a delivery that is reordered is held back (by
    `delay_s`, at least 50 ms) and overtaken by what follows. Every delivery is late by up to `delay_s`.
    `seed` makes it repeatable.
    """

    drop: float = 0.0
    double: float = 0.0
    delay_s: float = 0.0
    reorder: float = 0.0
    seed: int | None = None

    def __post_init__(self) -> None:
        for name in ("drop", "double", "reorder"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(
                    f"expected {name} to be a probability from 0 to 1, found {getattr(self, name)}"
                )
        if self.delay_s < 0:
            raise ValueError(f"expected delay_s to be seconds from 0 up, found {self.delay_s}")


class Mischief:
    """Carries out a Misbehaviour: decides for each delivery whether and when it happens."""

    def __init__(
        self, how: Misbehaviour, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        self._how, self._clock, self._sleep = how, clock, sleep
        self._random = random.Random(how.seed)  # noqa: S311  # it makes faults, no secrets
        self._held: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._last_due: dict[Hashable, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def deliver(self, to: Hashable, action: Callable[[], None]) -> None:
        """Runs the action now, later, twice or never."""
        how, chance = self._how, self._random.random
        if chance() < how.drop:
            return
        for _ in range(2 if chance() < how.double else 1):
            due = self._clock() + chance() * how.delay_s
            if chance() < how.reorder:
                due += max(how.delay_s, HELD_BACK_S)
            else:
                due = self._last_due[to] = max(due, self._last_due.get(to, due))
            if due <= self._clock():
                action()
            else:
                heapq.heappush(self._held, (due, next(self._order), action))
                task = asyncio.ensure_future(self._later(due))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _later(self, due: float) -> None:
        await self._sleep(due - self._clock())
        # All that is due, in order: tasks that wake at the same time wake in no fixed order.
        while self._held and self._held[0][0] <= max(due, self._clock()):
            heapq.heappop(self._held)[2]()

    def forget(self, to: Hashable) -> None:
        self._last_due.pop(to, None)

    def stop(self) -> None:
        """Drops what is still held back."""
        for task in self._tasks:
            task.cancel()
        self._held.clear()
