"""The rules that Milepost's estimator is measured beside.

All get the active clock, so that no pause counts against them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol


class Rule(Protocol):
    """An estimator: `take` a checkpoint, then `remaining` says how many seconds are left, or None."""

    def take(self, active_s: float, done: float) -> None: ...

    def remaining(self, active_s: float, items: float) -> float | None: ...


class ElapsedAverage:
    """Seconds so far per item so far, as of the last checkpoint."""

    def __init__(self) -> None:
        self.last: tuple[float, float] | None = None
        self.spent_s = self.work = 0.0

    def take(self, active_s: float, done: float) -> None:
        if self.last is not None:
            self.spent_s += active_s - self.last[0]
            self.work += max(done - self.last[1], 0.0)
        self.last = (active_s, done)

    def remaining(self, active_s: float, items: float) -> float | None:
        return self.spent_s / self.work * items if self.work else None


class Tqdm:
    """tqdm's: EMA(0.3) of items over EMA(0.3) of seconds, sampled at most once in 0.1 s."""

    def __init__(self) -> None:
        self.last: tuple[float, float] | None = None
        self.items = self.seconds = 0.0

    def take(self, active_s: float, done: float) -> None:
        if self.last is None or done < self.last[1]:
            self.last = (active_s if self.last is None else self.last[0], done)
        elif done > self.last[1] and active_s - self.last[0] >= 0.1:
            self.items = 0.3 * (done - self.last[1]) + 0.7 * self.items
            self.seconds = 0.3 * (active_s - self.last[0]) + 0.7 * self.seconds
            self.last = (active_s, done)

    def remaining(self, active_s: float, items: float) -> float | None:
        return self.seconds / self.items * items if self.items else None


class Decayed:
    """The last 100 checkpoints, the newest counting fully, the oldest hardly."""

    def __init__(self) -> None:
        self.last: tuple[float, float] | None = None
        self.samples: deque[tuple[float, float]] = deque(maxlen=100)

    def take(self, active_s: float, done: float) -> None:
        if self.last is not None:
            self.samples.append((active_s - self.last[0], max(done - self.last[1], 0.0)))
        self.last = (active_s, done)

    def remaining(self, active_s: float, items: float) -> float | None:
        weights = range(len(self.samples), 0, -1)
        recent_first = list(reversed(self.samples))
        seconds = sum(weight * sample[0] for weight, sample in zip(weights, recent_first, strict=True))
        work = sum(weight * sample[1] for weight, sample in zip(weights, recent_first, strict=True))
        return seconds / work * items if work else None


class Rich:
    """rich's: all that was done in the last 30 s (at most 1,000 samples), over the time it took."""

    def __init__(self) -> None:
        self.samples: deque[tuple[float, float]] = deque(maxlen=1000)
        self.work = 0.0
        self.done: float | None = None

    def take(self, active_s: float, done: float) -> None:
        if self.done is not None:
            self.work += max(done - self.done, 0.0)
        self.done = done
        self.samples.append((active_s, self.work))
        while self.samples[0][0] < active_s - 30:
            self.samples.popleft()

    def remaining(self, active_s: float, items: float) -> float | None:
        seconds = self.samples[-1][0] - self.samples[0][0] if self.samples else 0.0
        work = self.samples[-1][1] - self.samples[0][1] if self.samples else 0.0
        return seconds / work * items if seconds and work else None


RULES: dict[str, Callable[[], Rule]] = {
    "elapsed": ElapsedAverage,
    "tqdm": Tqdm,
    "decayed-100": Decayed,
    "rich": Rich,
}
