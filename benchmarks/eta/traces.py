"""Made traces of jobs to judge an estimator by, in families.

A trace is what `milepost_private.replay` takes (checkpoints with `t`, `done`, `total`, `state`), the second
at which the job ended, and the spans in which it stood paused. Everything is drawn from a seed.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True)
class Checkpoint:
    """What a worker said at second `t`: settled items, the total as known then, and the state."""

    t: float
    done: float
    total: float | None
    state: str = "running"


@dataclass(frozen=True)
class Trace:
    """One run: its checkpoints in order, and the second at which the last item was settled."""

    family: str
    seed: int
    checkpoints: list[Checkpoint]
    end_s: float
    pauses: list[tuple[float, float]]

    def active(self, at_s: float) -> float:
        """Seconds the job has run by wall second `at_s`, pauses excluded."""
        return at_s - sum(max(0.0, min(at_s, until) - since) for since, until in self.pauses if at_s > since)


class Run:
    """Item costs turned into a trace: who reports when, of what total, with which interruptions."""

    def __init__(self, rng: random.Random, costs: list[float], *, unit: float = 1.0) -> None:
        self.rng = rng
        self.costs = costs
        self.unit = unit
        self.pauses: list[tuple[float, float]] = []

    def finish_times(self) -> list[float]:
        """Wall second at which each item is settled; a pause shifts what comes after it."""
        times = list(accumulate(self.costs))
        shifted = []
        for t in times:
            for since, until in self.pauses:
                if t > since:
                    t += until - since
            shifted.append(t)
        return shifted


def _scale(rng: random.Random, costs: list[float], low_s: float = 20, high_s: float = 20_000) -> list[float]:
    """The same run at a speed between seconds and hours."""
    duration = math.exp(rng.uniform(math.log(low_s), math.log(high_s)))
    factor = duration / sum(costs)
    return [cost * factor for cost in costs]


def _count(rng: random.Random, low: int = 40, high: int = 3000) -> int:
    return round(math.exp(rng.uniform(math.log(low), math.log(high))))


def _noise(rng: random.Random, n: int, sigma: float) -> list[float]:
    return [math.exp(rng.gauss(0, sigma)) for _ in range(n)]


def _when(rng: random.Random, finish: list[float]) -> list[float]:
    """Moments at which the worker reports: after each so many items, or at an interval that jitters."""
    reports = math.exp(rng.uniform(math.log(25), math.log(400)))
    if rng.random() < 0.5:
        step = max(1, round(len(finish) / reports))
        return [finish[i] for i in range(step - 1, len(finish) - 1, step)]
    interval = finish[-1] / reports
    moments: list[float] = []
    t = 0.0
    while True:
        t += interval * rng.uniform(0.9, 1.1)
        if t >= finish[-1]:
            return moments
        moments.append(t)


def _trace(
    family: str,
    seed: int,
    rng: random.Random,
    finish: list[float],
    *,
    total_at: Callable[[float, int], float | None] | None = None,
    moments: list[float] | None = None,
    pauses: list[tuple[float, float]] | None = None,
    unit: float = 1.0,
    offset: int = 0,
) -> Trace:
    """Checkpoints of a run whose items are settled at `finish` (sorted seconds)."""
    n = len(finish)
    pauses = pauses or []
    if moments is None:
        moments = _when(rng, finish)

    def total(t: float, done: int) -> float | None:
        return total_at(t, done) if total_at else (n + offset) * unit

    entries = [Checkpoint(0.0, offset * unit, total(0.0, 0))]
    for t in moments:
        if any(since < t < until for since, until in pauses):
            continue
        done = bisect_right(finish, t)
        entries.append(Checkpoint(t, (done + offset) * unit, total(t, done)))
    for since, until in pauses:
        done = bisect_right(finish, since)
        for t, state in ((since, "paused"), (until, "running")):
            entries.append(Checkpoint(t, (done + offset) * unit, total(t, done), state))
    entries.sort(key=lambda entry: entry.t)
    return Trace(family, seed, entries, finish[-1], pauses)


def steady(seed: int) -> Trace:
    """Every item costs about the same."""
    rng = random.Random(seed)
    costs = _scale(rng, _noise(rng, _count(rng), rng.uniform(0.02, 0.15)))
    return _trace("steady", seed, rng, list(accumulate(costs)), unit=rng.choice([1, 1, 1000]))


def noisy(seed: int) -> Trace:
    """Item costs vary by a factor of two to five, neighbours alike."""
    rng = random.Random(seed)
    keep, sigma, level, costs = rng.uniform(0, 0.97), rng.uniform(0.4, 1.0), 0.0, []
    for _ in range(_count(rng)):
        level = keep * level + math.sqrt(1 - keep * keep) * rng.gauss(0, sigma)
        costs.append(math.exp(level))
    return _trace("noisy", seed, rng, list(accumulate(_scale(rng, costs))))


def drifting(seed: int) -> Trace:
    """A shared machine: the logarithm of the speed walks at random."""
    rng = random.Random(seed)
    n, level, costs = _count(rng), 0.0, []
    step = rng.uniform(0.3, 1.2) / math.sqrt(n)
    for _ in range(n):
        level += rng.gauss(0, step)
        costs.append(math.exp(level + rng.gauss(0, 0.2)))
    return _trace("drifting", seed, rng, list(accumulate(_scale(rng, costs))))


def warm_up(seed: int) -> Trace:
    """Caches fill: the first 3 % to 25 % run three to ten times slower."""
    rng = random.Random(seed)
    n, share, slow = _count(rng), rng.uniform(0.03, 0.25), rng.uniform(3, 10)
    costs = [
        (1 + (slow - 1) * math.exp(-3 * i / (share * n))) * math.exp(rng.gauss(0, 0.15)) for i in range(n)
    ]
    return _trace("warm-up", seed, rng, list(accumulate(_scale(rng, costs))))


def slowing(seed: int) -> Trace:
    """An index grows, a disk fills: items cost more and more, gradually or from one on."""
    rng = random.Random(seed)
    n, factor, shape = _count(rng), rng.uniform(2, 8), rng.choice(["line", "curve", "step"])
    turn = rng.uniform(0.2, 0.8)

    def cost(x: float) -> float:
        if shape == "line":
            return 1 + (factor - 1) * x
        return factor**x if shape == "curve" else (factor if x > turn else 1.0)

    costs = [cost(i / n) * math.exp(rng.gauss(0, 0.2)) for i in range(n)]
    return _trace("slowing", seed, rng, list(accumulate(_scale(rng, costs))))


def speeding(seed: int) -> Trace:
    """More and more is found in a cache, or more machines join: each item costs less than the last."""
    rng = random.Random(seed)
    n, factor, turn = _count(rng), rng.uniform(2, 6), rng.uniform(0.2, 0.8)
    step = rng.random() < 0.5
    costs = [
        ((1 / factor if i / n > turn else 1.0) if step else factor ** (-i / n)) * math.exp(rng.gauss(0, 0.2))
        for i in range(n)
    ]
    return _trace("speeding", seed, rng, list(accumulate(_scale(rng, costs))))


def bursty(seed: int) -> Trace:
    """Work comes in bursts with waits between (a quota window, a buffer that is flushed)."""
    rng = random.Random(seed)
    n, bursts, wait = _count(rng, 100), rng.randint(5, 60), rng.uniform(1, 20)
    every = max(2, n // bursts)
    costs = [
        math.exp(rng.gauss(0, 0.2)) + (every * wait * rng.uniform(0.6, 1.4) if i % every == every - 1 else 0)
        for i in range(n)
    ]
    return _trace("bursty", seed, rng, list(accumulate(_scale(rng, costs))))


def periodic(seed: int) -> Trace:
    """A longer step every so many items (a commit, a validation pass)."""
    rng = random.Random(seed)
    n, every, long = _count(rng, 100), rng.randint(8, 100), rng.uniform(5, 60)
    costs = [math.exp(rng.gauss(0, 0.1)) * (long if i % every == every - 1 else 1) for i in range(n)]
    return _trace("periodic", seed, rng, list(accumulate(_scale(rng, costs))))


def heavy_tailed(seed: int) -> Trace:
    """Few items take most of the time (file sizes, Pareto)."""
    rng = random.Random(seed)
    alpha = rng.uniform(1.05, 1.9)
    costs = [rng.paretovariate(alpha) for _ in range(_count(rng, 40, 1500))]
    return _trace("heavy-tailed", seed, rng, list(accumulate(_scale(rng, costs))))


def stalls(seed: int) -> Trace:
    """One to four times nothing moves for 3 % to 40 % of the run (a lock, a network)."""
    rng = random.Random(seed)
    costs = _noise(rng, _count(rng), 0.2)
    whole = sum(costs)
    for _ in range(rng.randint(1, 4)):
        costs[rng.randrange(len(costs))] += whole * rng.uniform(0.03, 0.4)
    return _trace("stalls", seed, rng, list(accumulate(_scale(rng, costs))))


def pauses(seed: int) -> Trace:
    """A person pauses the job once to three times, for minutes or for a multiple of its run."""
    rng = random.Random(seed)
    costs = _scale(rng, _noise(rng, _count(rng), rng.uniform(0.1, 0.4)))
    run = Run(rng, costs)
    whole, since = sum(costs), 0.0
    for _ in range(rng.randint(1, 3)):
        since += whole * rng.uniform(0.1, 0.3)
        until = since + whole * math.exp(rng.uniform(math.log(0.05), math.log(3)))
        run.pauses.append((since, until))
        since = until
    return _trace("pauses", seed, rng, run.finish_times(), pauses=run.pauses)


def retries(seed: int) -> Trace:
    """Once to three times the job falls back to an earlier count, and does that work again."""
    rng = random.Random(seed)
    n = _count(rng)
    costs = _scale(rng, _noise(rng, n, rng.uniform(0.1, 0.4)))
    falls = sorted(rng.randint(n // 10, n - 1) for _ in range(rng.randint(1, 3)))
    path: list[tuple[float, int, str]] = []  # second, done, state
    t, done = 0.0, 0
    for fall in [*falls, n]:
        while done < fall:
            t += costs[done] * math.exp(rng.gauss(0, 0.1))
            done += 1
            path.append((t, done, "running"))
        if fall < n:
            t += rng.uniform(0, 0.03) * sum(costs)
            done = rng.choice([0, round(done * rng.random()), round(done * rng.uniform(0.8, 1))])
            path.append((t, done, "retry"))
    every = max(1, round(len(path) / math.exp(rng.uniform(math.log(25), math.log(400)))))
    entries = [Checkpoint(0.0, 0, n)] + [
        Checkpoint(when, count, n, state)
        for place, (when, count, state) in enumerate(path[:-1])
        if state == "retry" or place % every == every - 1
    ]
    return Trace("retries", seed, entries, path[-1][0], [])


def growing(seed: int) -> Trace:
    """The total is discovered while the work goes on (a crawl, a directory walk), until it is all known."""
    rng = random.Random(seed)
    n = _count(rng)
    finish = list(accumulate(_scale(rng, _noise(rng, n, 0.2))))
    known_by, first = finish[-1] * rng.uniform(0.1, 0.9), rng.uniform(0.05, 0.6)
    bend = rng.choice([0.6, 1.0, 1.0])

    def total(t: float, done: int) -> float:
        share = first + (1 - first) * min(1.0, t / known_by) ** bend
        return max(float(round(n * share)), min(n, done + 1))

    return _trace("growing", seed, rng, finish, total_at=total)


def revised(seed: int) -> Trace:
    """Once to three times somebody corrects the total, by up to a factor of two either way."""
    rng = random.Random(seed)
    n = _count(rng)
    finish = list(accumulate(_scale(rng, _noise(rng, n, 0.2))))
    turns = sorted(rng.uniform(0.05, 0.8) for _ in range(rng.randint(1, 3)))
    guesses = [n * math.exp(rng.uniform(-0.7, 0.7)) for _ in turns]

    def total(t: float, done: int) -> float:
        later = [guess for turn, guess in zip(turns, guesses, strict=True) if t < turn * finish[-1]]
        return max(float(round(later[0] if later else n)), min(n, done + 1))

    return _trace("revised", seed, rng, finish, total_at=total)


def skipped(seed: int) -> Trace:
    """Items turn out to be done already: they leave the total at no cost, in a lump or one by one."""
    rng = random.Random(seed)
    n = _count(rng)
    finish = list(accumulate(_scale(rng, _noise(rng, n, 0.2))))
    skips, lump = n * rng.uniform(0.2, 1.5), rng.random() < 0.5
    seen_by = rng.uniform(0.02, 0.3) if lump else 1.0

    def total(t: float, done: int) -> float:
        found = 1.0 if lump and t > seen_by * finish[-1] else (0.0 if lump else done / n)
        return n + float(round(skips * (1 - found)))

    return _trace("skipped", seed, rng, finish, total_at=total)


def resumed(seed: int) -> Trace:
    """The first checkpoint already has half or more of the items, settled by an earlier run."""
    rng = random.Random(seed)
    n = _count(rng, 40, 1000)
    finish = list(accumulate(_scale(rng, _noise(rng, n, rng.uniform(0.1, 0.5)))))
    return _trace("resumed", seed, rng, finish, offset=round(n * rng.uniform(1, 9)))


def stages(seed: int) -> Trace:
    """Two to five stages in a row whose items cost differently, under one total."""
    rng = random.Random(seed)
    costs: list[float] = []
    for _ in range(rng.randint(2, 5)):
        level, sigma = math.exp(rng.uniform(-1.6, 1.6)), rng.uniform(0.05, 0.3)
        costs += [level * math.exp(rng.gauss(0, sigma)) for _ in range(_count(rng, 20, 400))]
    return _trace("stages", seed, rng, list(accumulate(_scale(rng, costs))))


def lane_finishes(seed: int) -> list[list[float]]:
    """For each of 4 to 24 workers with unequal speeds and shares: when each of its items is settled."""
    rng = random.Random(seed)
    unequal = rng.uniform(0.05, 0.6)
    finishes = []
    for _ in range(rng.randint(4, 24)):
        speed = math.exp(rng.gauss(0, unequal))
        finishes.append(
            list(accumulate(speed * math.exp(rng.gauss(0, 0.3)) for _ in range(rng.randint(10, 100))))
        )
    duration = math.exp(rng.uniform(math.log(20), math.log(20_000)))
    factor = duration / max(finish[-1] for finish in finishes)
    return [[t * factor for t in finish] for finish in finishes]


def lanes(seed: int) -> Trace:
    """Workers with unequal speeds and shares, as one job; the last ones straggle."""
    finish = sorted(t for lane in lane_finishes(seed) for t in lane)
    return _trace("lanes", seed, random.Random(seed), finish)


def frequent(seed: int) -> Trace:
    """20 checkpoints a second; the speed wavers."""
    rng = random.Random(seed)
    duration, sway = rng.uniform(15, 90), rng.uniform(0, 0.6)
    n = round(duration * rng.uniform(30, 400))
    costs = [math.exp(sway * math.sin(i / n * 25) + rng.gauss(0, 0.3)) for i in range(n)]
    factor = duration / sum(costs)
    finish = list(accumulate(cost * factor for cost in costs))
    return _trace("frequent", seed, rng, finish, moments=[k * 0.05 for k in range(1, int(finish[-1] / 0.05))])


def rare(seed: int) -> Trace:
    """One checkpoint in five minutes, for one to six hours."""
    rng = random.Random(seed)
    costs = _noise(rng, _count(rng, 60, 1000), rng.uniform(0.1, 0.6))
    finish = list(accumulate(_scale(rng, costs, 3600, 21_600)))
    return _trace("rare", seed, rng, finish, moments=[300.0 * k for k in range(1, int(finish[-1] / 300))])


FAMILIES: dict[str, Callable[[int], Trace]] = {
    "steady": steady,
    "noisy": noisy,
    "drifting": drifting,
    "warm-up": warm_up,
    "slowing": slowing,
    "speeding": speeding,
    "bursty": bursty,
    "periodic": periodic,
    "heavy-tailed": heavy_tailed,
    "stalls": stalls,
    "pauses": pauses,
    "retries": retries,
    "growing": growing,
    "revised": revised,
    "skipped": skipped,
    "resumed": resumed,
    "stages": stages,
    "lanes": lanes,
    "frequent": frequent,
    "rare": rare,
}


def made(seeds: range) -> Iterator[Trace]:
    """Every family at every seed."""
    for place, make in enumerate(FAMILIES.values()):
        for seed in seeds:
            yield make(1_000_003 * place + seed)
