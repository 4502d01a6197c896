"""The real server's limits and its way of counting."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

TICK_S = 5
TICKS_KEPT = 12


@dataclass(frozen=True)
class Limits:
    """What one project may do. The defaults are the real server's for a new project."""

    channels_per_socket: int = 100
    users: int = 200
    joins_per_s: int = 100
    events_per_s: int = 100
    payload_bytes: int = 3_000_000
    frame_bytes: int = 5_000_000
    idle_s: float = 60.0
    replayed_messages: int = 25
    record_bytes: int = 1_048_576


class RateCounter:
    """Events per second, as the mean over the last minute, brought up to date every five seconds.

    So a burst is noticed seconds late, and is held against its sender until it has left the minute.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._tick = int(clock() // TICK_S)
        self._current = 0
        self._past: deque[int] = deque(maxlen=TICKS_KEPT)

    def add(self, events: int = 1) -> None:
        self._advance()
        self._current += events

    @property
    def per_s(self) -> float:
        self._advance()
        return sum(self._past) / (TICK_S * TICKS_KEPT)

    def _advance(self) -> None:
        tick = int(self._clock() // TICK_S)
        if tick > self._tick:
            self._past.append(self._current)
            self._past.extend([0] * min(tick - self._tick - 1, TICKS_KEPT))
            self._current = 0
            self._tick = tick
