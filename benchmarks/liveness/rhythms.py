"""Simulated rhythms of batch jobs, healthy and broken.

A family draws the habits of one kind of job from `kind` (usual gap, usual step, tails) and one run with these
habits from `run`. Times are active seconds: a pause is not in them. The two seeds reproduce everything.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

HEARTBEAT_S = 10.0


@dataclass
class Trace:
    """What Milepost hears of one run: contact i was at `active_s[i]` with `done[i]` settled items.

    `broken_at_s` is None for a healthy run; `silent_in_the_end`: no progress follows the last contact.
    """

    active_s: list[float] = field(default_factory=list)
    done: list[float] = field(default_factory=list)
    event: list[str] = field(default_factory=list)
    broken_at_s: float | None = None
    silent_in_the_end: bool = False

    @property
    def now_s(self) -> float:
        """Active seconds at the last contact, 0 before the first."""
        return self.active_s[-1] if self.active_s else 0.0

    @property
    def settled(self) -> float:
        """Settled items at the last contact, 0 before the first."""
        return self.done[-1] if self.done else 0.0

    def contact(self, after_s: float, rise: float = 0.0, event: str = "checkpoint") -> None:
        """Adds a contact `after_s` seconds after the last one."""
        done = max(self.settled + rise, 0.0)
        self.active_s.append(self.now_s + after_s)
        self.done.append(done)
        self.event.append(event)

    def quiet(self, seconds: float) -> None:
        """Adds heartbeats without progress for so long."""
        while seconds > HEARTBEAT_S:
            self.contact(HEARTBEAT_S)
            seconds -= HEARTBEAT_S
        self.contact(seconds)


Family = Callable[[Random, Random], Trace]


def between(random: Random, low: float, high: float) -> float:
    """A number whose logarithm is uniform: as often between 1 and 10 as between 10 and 100."""
    return math.exp(random.uniform(math.log(low), math.log(high)))


def spread(random: Random, sigma: float) -> float:
    """A factor around 1 (its median) with a lognormal spread."""
    return math.exp(random.gauss(0.0, sigma))


def started(kind: Random, run: Random) -> Trace:
    """A run that took up to two minutes until its first item."""
    trace = Trace()
    trace.contact(0.0)
    trace.contact(between(kind, 0.1, 60.0) * spread(run, 0.5), 1.0)
    return trace


def steps(trace: Trace, run: Random, gap_s: float, sigma: float, step: float, count: int) -> None:
    """Regular work: `count` rises of about `step` items, about `gap_s` seconds apart."""
    for _ in range(count):
        trace.contact(gap_s * spread(run, sigma), max(1.0, round(step * spread(run, 0.2))))


def _regular(kind: Random, run: Random, low_s: float, high_s: float, count: int) -> Trace:
    trace = started(kind, run)
    steps(trace, run, between(kind, low_s, high_s), kind.uniform(0.02, 0.4), between(kind, 1, 5000), count)
    return trace


def steady(kind: Random, run: Random) -> Trace:
    """A checkpoint every half second to ten seconds."""
    return _regular(kind, run, 0.5, 10.0, 600)


def slow(kind: Random, run: Random) -> Trace:
    """A checkpoint every ten seconds to two minutes."""
    return _regular(kind, run, 10.0, 120.0, 300)


def every_five_minutes(kind: Random, run: Random) -> Trace:
    """One checkpoint in five minutes, the first one too."""
    trace = Trace()
    trace.contact(0.0)
    steps(trace, run, 300.0, kind.uniform(0.02, 0.4), between(kind, 1, 5000), 100)
    return trace


def bursty(kind: Random, run: Random) -> Trace:
    """Five to fifty quick checkpoints, then a rest twenty to three hundred times as long as their gaps."""
    trace = started(kind, run)
    gap_s, rest, size = between(kind, 0.05, 2.0), between(kind, 20, 300), between(kind, 5, 50)
    while len(trace.done) < 1200:
        steps(trace, run, gap_s, 0.3, 10, round(size * spread(run, 0.4)) + 1)
        trace.contact(gap_s * rest * spread(run, 0.5), 10)
    return trace


def heavy_tailed(kind: Random, run: Random) -> Trace:
    """Items of very different durations: lognormal with sigma 1.2 to 1.8, or Pareto with 1.5 to 2.5."""
    trace = started(kind, run)
    gap_s, pareto = between(kind, 0.3, 20.0), kind.random() < 0.5
    tail = kind.uniform(1.5, 2.5) if pareto else kind.uniform(1.2, 1.8)
    for _ in range(1000):
        trace.contact(gap_s * (run.paretovariate(tail) if pareto else spread(run, tail)), 1)
    return trace


def twenty_a_second(kind: Random, run: Random) -> Trace:
    """Twenty checkpoints a second, and about every two minutes a rest of 20 to 90 s, such as a commit."""
    trace = started(kind, run)
    rest_s, count = between(kind, 20.0, 90.0), round(between(kind, 1000, 3000))
    for _ in range(3):
        steps(trace, run, 0.05, 0.3, 20, round(count * spread(run, 0.2)))
        trace.contact(rest_s * spread(run, 0.2), 20)
    return trace


def ten_times_slower(kind: Random, run: Random) -> Trace:
    """Halfway everything takes ten times as long: fewer items a checkpoint, or longer between checkpoints."""
    trace = started(kind, run)
    gap_s, sigma, step = between(kind, 0.5, 60.0), kind.uniform(0.02, 0.3), between(kind, 50, 5000)
    steps(trace, run, gap_s, sigma, step, 200)
    if kind.random() < 0.5:
        steps(trace, run, gap_s, sigma, step / 10, 300)
    else:
        steps(trace, run, gap_s * 10, sigma, step, 100)
    return trace


def paused_for_hours(kind: Random, run: Random) -> Trace:
    """Paused and resumed three times; after each it takes up to a minute to get going."""
    trace = started(kind, run)
    gap_s, sigma = between(kind, 0.5, 30.0), kind.uniform(0.02, 0.4)
    for _ in range(3):
        steps(trace, run, gap_s, sigma, 10, round(between(run, 20, 150)))
        trace.contact(0.0, event="resume")
        trace.contact(between(run, 0.5, 60.0), 10)
    steps(trace, run, gap_s, sigma, 10, 50)
    return trace


def network_cut(kind: Random, run: Random) -> Trace:
    """Cut off for 30 s, and up to 15 s until the worker tries again; what it held back comes at once."""
    trace = started(kind, run)
    gap_s, sigma = between(kind, 0.1, 10.0), kind.uniform(0.02, 0.4)
    for _ in range(3):
        steps(trace, run, gap_s, sigma, 10, round(between(run, 20, 200)))
        away_s = 30.0 + run.uniform(0.0, 15.0)
        trace.contact(away_s, 10)
        for _ in range(int(away_s / gap_s)):
            trace.contact(0.0, 10)
    steps(trace, run, gap_s, sigma, 10, 50)
    return trace


def retried(kind: Random, run: Random) -> Trace:
    """Fails twice; each new attempt begins at its last cursor, has to start up, and does some items again."""
    trace = started(kind, run)
    gap_s, sigma = between(kind, 0.5, 30.0), kind.uniform(0.02, 0.4)
    for _ in range(2):
        steps(trace, run, gap_s, sigma, 10, round(between(run, 20, 200)))
        trace.contact(0.0, -run.random() * trace.settled, "retry")
        trace.contact(between(run, 0.5, 90.0), 10)
    steps(trace, run, gap_s, sigma, 10, 250)
    return trace


def staged(kind: Random, run: Random) -> Trace:
    """Four stages with other units and another pace each (one checkpoint in half a second to two minutes)."""
    trace = started(kind, run)
    for _ in range(4):
        trace.contact(0.0, event="stage")
        gap_s, step = between(kind, 0.5, 120.0), between(kind, 1, 100_000)
        trace.contact(gap_s * spread(run, 0.5) * 2, step)
        steps(trace, run, gap_s, 0.3, step, round(between(run, 10, 200)))
    return trace


def failed_items_again(kind: Random, run: Random) -> Trace:
    """In the end forty failed items are tried again: each is unsettled first, so the count dips by one."""
    trace = started(kind, run)
    gap_s = between(kind, 0.5, 20.0)
    steps(trace, run, gap_s, 0.2, 10, 300)
    for _ in range(40):
        trace.contact(gap_s * spread(run, 0.2) / 10, -1)
        trace.contact(gap_s * spread(run, 0.2) / 10, 1)
    steps(trace, run, gap_s, 0.2, 10, 20)
    return trace


def stragglers(kind: Random, run: Random) -> Trace:
    """Thirty-two lanes; one after the other is done, and the last items take five times as long."""
    trace = started(kind, run)
    gap_s, lanes = between(kind, 0.5, 10.0), 32
    steps(trace, run, gap_s, 0.2, lanes * 4, 300)
    while lanes > 1:
        lanes //= 2
        steps(trace, run, gap_s, 0.2, lanes * 4, 10)
    for _ in range(5):
        trace.quiet(gap_s * 5 * spread(run, 0.3))
        trace.contact(0.0, 1)
    return trace


def skips_on_resume(kind: Random, run: Random) -> Trace:
    """Skips a million items that an earlier run settled, in one or two checkpoints, then works as usual."""
    trace = started(kind, run)
    if kind.random() < 0.5:
        trace.contact(between(run, 0.1, 5.0), 500_000)
    trace.contact(between(run, 0.1, 5.0), 1_000_000)
    steps(trace, run, between(kind, 0.5, 60.0), 0.3, between(kind, 1, 50), 300)
    return trace


HEALTHY: tuple[Family, ...] = (
    steady,
    slow,
    every_five_minutes,
    bursty,
    heavy_tailed,
    twenty_a_second,
    ten_times_slower,
    paused_for_hours,
    network_cut,
    retried,
    staged,
    failed_items_again,
    stragglers,
    skips_on_resume,
)


def _cut(trace: Trace, run: Random) -> Trace:
    """The trace up to a random contact in its second half, where it breaks."""
    keep = run.randrange(len(trace.done) // 2, len(trace.done))
    broken = Trace(trace.active_s[:keep], trace.done[:keep], trace.event[:keep])
    broken.broken_at_s = broken.now_s
    broken.silent_in_the_end = True
    return broken


def _hung(family: Family) -> Family:
    def hung(kind: Random, run: Random) -> Trace:
        trace = _cut(family(kind, run), run)
        trace.quiet(600.0)
        return trace

    hung.__doc__ = f"{family.__name__}, then hangs while its heartbeat goes on."
    hung.__name__ = f"hung_{family.__name__}"
    return hung


def _last(trace: Trace, count: int) -> list[tuple[float, float]]:
    """The gap and the rise of the last `count` contacts."""
    gaps = [later - sooner for sooner, later in pairwise(trace.active_s)]
    rises = [later - sooner for sooner, later in pairwise(trace.done)]
    return list(zip(gaps, rises, strict=True))[-count:]


def killed(kind: Random, run: Random) -> Trace:
    """A steady job that is killed: nothing is heard any more."""
    return _cut(steady(kind, run), run)


def never_starts(kind: Random, run: Random) -> Trace:
    """Its heartbeat lives, and no item is ever settled."""
    trace = Trace(broken_at_s=0.0, silent_in_the_end=True)
    trace.contact(0.0)
    trace.quiet(600.0)
    return trace


def crawls(kind: Random, run: Random) -> Trace:
    """Goes on with its checkpoints at a two-thousandth of its speed."""
    trace = _cut(slow(kind, run), run)
    trace.silent_in_the_end = False
    for gap_s, rise in _last(trace, 100) * 4:
        trace.contact(gap_s, rise / 2000)
    return trace


def livelocks(kind: Random, run: Random) -> Trace:
    """Falls and climbs without ever passing its best, in rounds of five to fifty checkpoints."""
    trace = _cut(slow(kind, run), run)
    trace.silent_in_the_end = False
    again = _last(trace, round(between(run, 5, 50)))
    lost = sum(rise for _, rise in again)
    for _ in range(3 + 500 // len(again)):
        trace.contact(again[0][0], -lost)
        for gap_s, rise in again:
            trace.contact(gap_s, rise)
    return trace


def hung_after_resume(kind: Random, run: Random) -> Trace:
    """Resumed after a pause, and never gets going again."""
    trace = _cut(steady(kind, run), run)
    trace.contact(0.0, event="resume")
    trace.quiet(600.0)
    return trace


def hung_after_retry(kind: Random, run: Random) -> Trace:
    """The new attempt never gets going."""
    trace = _cut(steady(kind, run), run)
    trace.contact(0.0, -run.random() * trace.settled, "retry")
    trace.quiet(600.0)
    return trace


# Each with what earlier, healthy runs of its kind were like.
BROKEN: tuple[tuple[Family, Family], ...] = (
    (_hung(steady), steady),
    (_hung(slow), slow),
    (_hung(every_five_minutes), every_five_minutes),
    (_hung(bursty), bursty),
    (_hung(heavy_tailed), heavy_tailed),
    (_hung(twenty_a_second), twenty_a_second),
    (_hung(staged), staged),
    (killed, steady),
    (crawls, slow),
    (livelocks, slow),
    (never_starts, steady),
    (hung_after_resume, steady),
    (hung_after_retry, steady),
)
