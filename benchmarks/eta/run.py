"""How near the finish times come: Milepost's estimator beside four rules in use, on made and real traces.

    python benchmarks/eta/run.py [--seeds N] [--tuning] [--no-real]

Milepost's figures come from `milepost_private.replay`, that is from the functions that serve live jobs.
Seeds below 1,000 were used to choose its constants (`--tuning` shows them); those from 1,000 on were not
looked at until they were chosen, and are what is reported.

error     mean |ln(predicted / true)| over 48 questions a trace, spread over its wall time, from the first
          progress on; an answer that is missing or wrong by more than a factor of 100 counts as that factor
jitter    mean |change of the prediction + active seconds passed| / prediction before, between neighbouring
          questions
coverage  share of questions whose true remainder lies in low_s..high_s; width is mean ln(high_s / low_s)
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.eta.real import recorded
from benchmarks.eta.rules import RULES
from benchmarks.eta.traces import FAMILIES, Checkpoint, Trace, lane_finishes, made
from milepost.local.postgres import Postgres

SCHEMA = Path(__file__).resolve().parents[2] / "sql" / "schema"
PARTS = ("20_pace*.sql", "20_rhythm*.sql", "21_replay.sql")
PREPARATION = """
create role anon; create role authenticated; create role service_role;
create schema milepost_private;
"""
QUESTIONS = 48
WORST = math.log(100)
EARLIER_RUNS = (0, 1, 3, 10, 30)
FIRST_UNSEEN_SEED = 1000

Answer = tuple[float | None, float | None, float | None]


def asked_at(trace: Trace) -> list[float]:
    """Questions over the run's wall time, one at random in each slice."""
    rng = random.Random(trace.seed)
    return [trace.end_s * (0.01 + 0.98 * (place + rng.random()) / QUESTIONS) for place in range(QUESTIONS)]


def replay(
    database: psycopg.Connection[Any], trace: Trace, at_s: Sequence[float | None], history: str | None = None
) -> list[Answer]:
    """What the live functions would have answered."""
    checkpoints = [
        {"t": entry.t, "done": entry.done, "total": entry.total, "state": entry.state}
        for entry in trace.checkpoints
    ]
    return database.execute(
        "select remaining_s, low_s, high_s"
        " from milepost_private.replay(%s::jsonb, %s::float8[], %s::milepost_private.kind_pace)",
        [json.dumps(checkpoints), list(at_s), history],
    ).fetchall()


def by_rule(trace: Trace, at_s: Sequence[float], name: str) -> list[Answer]:
    """What one of the other rules would have answered."""
    rule = RULES[name]()
    answers: list[Answer] = []
    entries = iter([*trace.checkpoints, Checkpoint(math.inf, 0, 0)])
    entry, last = next(entries), Checkpoint(0.0, 0, None)
    for moment in at_s:
        while entry.t <= moment:
            rule.take(trace.active(entry.t), entry.done)
            last, entry = entry, next(entries)
        items = max((last.total or 0) - last.done, 0)
        answers.append((rule.remaining(trace.active(moment), items), None, None))
    return answers


class Score:
    """Means over the questions of many traces."""

    def __init__(self) -> None:
        self.errors: list[float] = []
        self.jitters: list[float] = []
        self.covered: list[bool] = []
        self.widths: list[float] = []

    def take(
        self, trace: Trace, at_s: Sequence[float], answers: Sequence[Answer], from_start: bool = False
    ) -> None:
        first = trace.checkpoints[0].done
        progress_s = min((entry.t for entry in trace.checkpoints if entry.done > first), default=math.inf)
        whole = trace.active(trace.end_s)
        before: tuple[float, float] | None = None
        for moment, (predicted, low, high) in zip(at_s, answers, strict=True):
            if moment < progress_s and not from_start:
                continue
            active = trace.active(moment)
            # The last moments are not worth more than a three hundredth of the run.
            truth = max(whole - active, 0.003 * whole)
            if predicted is None or predicted <= 0:
                self.errors.append(WORST)
                before = None
                continue
            self.errors.append(min(abs(math.log(predicted / truth)), WORST))
            if before is not None:
                self.jitters.append(min(abs(predicted - before[0] + active - before[1]) / before[0], 2))
            before = (predicted, active)
            if low is not None and high is not None:
                self.covered.append(low <= truth <= high)
                self.widths.append(math.log(high / low))


def again(trace: Trace, rng: random.Random) -> Trace:
    """Another run of the kind: up to a third more or fewer items, another speed, and noise along the way."""
    size, speed = math.exp(rng.uniform(-0.3, 0.3)), math.exp(rng.gauss(0, 0.2))
    warped, t, last, drift = [], 0.0, 0.0, 0.0
    for entry in trace.checkpoints:
        drift = 0.9 * drift + rng.gauss(0, 0.1)
        t += (entry.t - last) * speed * size * math.exp(drift)
        last = entry.t
        total = None if entry.total is None else max(round(entry.total * size), 1)
        warped.append(replace(entry, t=t, done=round(entry.done * size), total=total))
    t += (trace.end_s - last) * speed * size
    return replace(trace, checkpoints=warped, end_s=t)


def learn(database: psycopg.Connection[Any], trace: Trace, history: str | None) -> str:
    """The kind's history after this run, with what was predicted at each tenth of its progress."""
    reached: list[float | None] = [
        next(
            (
                entry.t
                for entry in trace.checkpoints
                if entry.total and entry.done >= tenth / 10 * entry.total
            ),
            None,
        )
        for tenth in range(10)
    ]
    # As live: a checkpoint that passes several tenths is remembered for the last of them.
    reached = [None if t in reached[place + 1 :] else t for place, t in enumerate(reached)]
    answers = replay(database, trace, reached, history)
    predicted = [None if t is None else answer[0] for t, answer in zip(reached, answers, strict=True)]
    row = database.execute(
        "select milepost_private.kind_pace_learn("
        "%s::milepost_private.kind_pace, %s, %s, %s::float8[], %s::float8[])::text",
        [history, trace.end_s, trace.checkpoints[-1].done - trace.checkpoints[0].done, reached, predicted],
    ).fetchone()
    assert row is not None
    return str(row[0])


def mean(values: Iterable[float]) -> float:
    values = list(values)
    return statistics.fmean(values) if values else math.nan


def table(scores: dict[str, dict[str, Score]]) -> None:
    """One line a family; families count alike in the mean."""
    names = [*RULES, "milepost"]
    print(f"{'error':28}" + "".join(f"{name:>12}" for name in names) + f"{'coverage':>12}{'width':>8}")
    for family, by_name in scores.items():
        own = by_name["milepost"]
        errors = "".join(f"{mean(by_name[name].errors):12.3f}" for name in names)
        print(f"{family:28}{errors}{mean(own.covered):12.2f}{mean(own.widths):8.2f}")
    own_families = [by_name["milepost"] for by_name in scores.values()]
    overall = {name: mean(mean(by_name[name].errors) for by_name in scores.values()) for name in names}
    coverage, width = mean(mean(s.covered) for s in own_families), mean(mean(s.widths) for s in own_families)
    print(
        f"{'mean':28}" + "".join(f"{overall[name]:12.3f}" for name in names) + f"{coverage:12.2f}{width:8.2f}"
    )
    print(f"{'beside tqdm':28}" + "".join(f"{overall[name] / overall['tqdm']:12.3f}" for name in names))
    jitter = {
        name: mean(mean(by_name[name].jitters) for by_name in scores.values() if by_name[name].jitters)
        for name in names
    }
    print(f"{'jitter':28}" + "".join(f"{jitter[name]:12.4f}" for name in names))


def judge(database: psycopg.Connection[Any], traces: Iterable[Trace]) -> dict[str, dict[str, Score]]:
    """Every rule and Milepost's estimator on each trace, by family."""
    scores: dict[str, dict[str, Score]] = defaultdict(lambda: defaultdict(Score))
    for trace in traces:
        at_s = asked_at(trace)
        for name in RULES:
            scores[trace.family][name].take(trace, at_s, by_rule(trace, at_s, name))
        scores[trace.family]["milepost"].take(trace, at_s, replay(database, trace, at_s))
    return scores


def judge_history(database: psycopg.Connection[Any], first_seed: int, kinds: int) -> None:
    """What earlier runs of the same kind add, with and without a total."""
    print(
        f"\n{'earlier runs':14}{'error':>9}{'coverage':>10}{'width':>8}{'error, no total':>18}"
        f"{'coverage':>10}{'width':>8}"
    )
    known = {runs: (Score(), Score()) for runs in EARLIER_RUNS}
    for place, make in enumerate(FAMILIES.values()):
        for seed in range(first_seed, first_seed + kinds):
            kind = make(1_000_003 * place + seed)
            if kind.pauses:  # `again` moves checkpoints, not the pauses between them
                continue
            rng = random.Random(seed)
            history: str | None = None
            for run in range(EARLIER_RUNS[-1] + 1):
                trace = again(kind, rng)
                if run in known:
                    at_s = asked_at(trace)
                    known[run][0].take(trace, at_s, replay(database, trace, at_s, history), True)
                    blind = replace(trace, checkpoints=[replace(e, total=None) for e in trace.checkpoints])
                    known[run][1].take(trace, at_s, replay(database, blind, at_s, history), True)
                history = learn(database, trace, history)
    for runs, (score, blind_score) in known.items():
        print(
            f"{runs:<14}{mean(score.errors):9.3f}{mean(score.covered):10.2f}{mean(score.widths):8.2f}"
            f"{mean(blind_score.errors):18.3f}{mean(blind_score.covered):10.2f}{mean(blind_score.widths):8.2f}"
        )


def judge_lanes(database: psycopg.Connection[Any], first_seed: int, jobs: int) -> None:
    """What it adds to know each lane's own share."""
    as_one, by_lane = Score(), Score()
    for seed in range(first_seed, first_seed + jobs):
        lanes, trace = lane_finishes(seed), FAMILIES["lanes"](seed)
        at_s = asked_at(trace)
        answers = replay(database, trace, at_s)
        as_one.take(trace, at_s, answers)
        better, last_lane, before = [], None, 0.0
        for moment, answer in zip(at_s, answers, strict=True):
            # Those that settled something since the last question have reported.
            reports = [
                (f"lane {place}", moment, done, len(lane) - done)
                for place, lane in enumerate(lanes)
                if (done := bisect_right(lane, moment)) > bisect_right(lane, before)
            ]
            columns = [list(column) for column in zip(*reports, strict=True)] or [[], [], [], []]
            (last_lane, *said) = database.execute(
                "select l.lane::text, e.remaining_s, e.low_s, e.high_s"
                " from milepost_private.pace_last_lane(%s::milepost_private.last_lane, %s, %s::text[],"
                " %s::float8[], %s::float8[], %s::float8[]) as lane"
                " cross join lateral (select lane) as l,"
                " milepost_private.pace_estimate_lanes("
                "row(%s, %s, %s)::milepost_private.estimate, lane, %s) as e",
                [last_lane, moment, *columns, *answer, moment],
            ).fetchall()[0]
            better.append((said[0], said[1], said[2]))
            before = moment
        by_lane.take(trace, at_s, better)
    print(f"\n{'lanes':14}{'error':>9}{'coverage':>10}{'width':>8}")
    for name, score in (("as one job", as_one), ("each its own", by_lane)):
        print(f"{name:14}{mean(score.errors):9.3f}{mean(score.covered):10.2f}{mean(score.widths):8.2f}")


COST = """
do $$
declare
  v_pace milepost_private.pace;
  v_estimate milepost_private.estimate;
begin
  for i in 1 .. {calls} loop
    {call};
  end loop;
end;
$$
"""
CALLS = {
    "an empty loop": "null",
    "pace_step": "v_pace := milepost_private.pace_step(v_pace, i, i * 3, 300000 - i * 3)",
    "pace_step and pace_estimate": "v_pace := milepost_private.pace_step(v_pace, i, i * 3, 300000 - i * 3);"
    " v_estimate := milepost_private.pace_estimate(v_pace, i, 300000 - i * 3, null, 0.5)",
}


def cost(database: psycopg.Connection[Any]) -> None:
    """Microseconds a call, the best of five."""
    print()
    for name, call in CALLS.items():
        times = []
        for _ in range(5):
            start = time.perf_counter()
            database.execute(COST.format(calls=20_000, call=call))
            times.append(time.perf_counter() - start)
        print(f"{name:28}{min(times) / 20_000 * 1e6:8.2f} us")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=60, help="traces a family")
    parser.add_argument(
        "--tuning", action="store_true", help="show the seeds that the constants were chosen on"
    )
    parser.add_argument("--no-real", action="store_true", help="made traces only")
    options = parser.parse_args()
    first = 0 if options.tuning else FIRST_UNSEEN_SEED

    with Postgres() as postgres, postgres.connect() as database:
        database.execute(PREPARATION)
        for file in sorted(
            [*SCHEMA.glob("20_pace*.sql"), *SCHEMA.glob("20_rhythm*.sql"), *SCHEMA.glob("21_replay.sql")]
        ):
            database.execute(file.read_text())
        part = "tuning" if options.tuning else "unseen"
        print(f"{options.seeds} traces a family, {part} seeds from {first}\n")
        table(judge(database, made(range(first, first + options.seeds))))
        if not options.no_real:
            print("\nrecorded on this machine\n")
            table(judge(database, recorded()))
        judge_history(database, first, max(options.seeds // 10, 1))
        judge_lanes(database, first, options.seeds)
        cost(database)


if __name__ == "__main__":
    main()
