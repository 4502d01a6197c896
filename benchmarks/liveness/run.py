"""False alarms and detection delay of liveness by progress, beside fixed limits.

    python -m benchmarks.liveness.run [--seeds N] [--tuning]

The adaptive rule is driven through the SQL functions of sql/schema/20_rhythm*.sql. Its constants were chosen
on even seeds (`--tuning` shows these); odd ones were not looked at until then, and are what is reported.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import psycopg

from benchmarks.liveness.rhythms import BROKEN, HEALTHY, Family, Trace
from milepost.local.postgres import Postgres

SCHEMA = Path(__file__).resolve().parents[2] / "sql" / "schema"
EARLIER_RUNS = 5
RULES = ("adaptive", "with history", "adaptive, late", "1 min", "5 min", "60 min", "phi 8")

PREPARATION = """
create role anon; create role authenticated; create role service_role;
create schema milepost_private;
"""

# One run through the functions that serve live jobs. Alarm i is the active second at which the job is late,
# stalled, or stalled by its kind's history, if nothing follows contact i. JSON, as arrays convert slowly.
DRIVER = """
create function pg_temp.drive(
  active_s float8[], done float8[], event text[], history milepost_private.kind_rhythm
)
returns table (late_at json, stalled_at json, with_history_at json) language plpgsql as $$
declare
  v_rhythm milepost_private.rhythm;
  v_late_at float8[];
  v_stalled_at float8[];
  v_with_history_at float8[];
begin
  for i in 1..cardinality(active_s) loop
    v_rhythm := milepost_private.rhythm_step(v_rhythm, active_s[i], done[i], event[i]);
    v_stalled_at[i] := active_s[i] + milepost_private.rhythm_stalls_in_s(v_rhythm, active_s[i], null, null);
    v_with_history_at[i] :=
      active_s[i] + milepost_private.rhythm_stalls_in_s(v_rhythm, active_s[i], null, history);
    v_late_at[i] := greatest(
      v_stalled_at[i] - milepost_private.rhythm_threshold_s(v_rhythm, null, null) / 2,
      active_s[i]
    );
  end loop;
  return query select to_json(v_late_at), to_json(v_stalled_at), to_json(v_with_history_at);
end;
$$;

create function pg_temp.learn(
  active_s float8[], done float8[], event text[], history milepost_private.kind_rhythm
)
returns text language plpgsql as $$
declare
  v_rhythm milepost_private.rhythm;
begin
  for i in 1..cardinality(active_s) loop
    v_rhythm := milepost_private.rhythm_step(v_rhythm, active_s[i], done[i], event[i]);
  end loop;
  return milepost_private.kind_rhythm_learn(history, v_rhythm);
end;
$$;

create function pg_temp.steps(calls int) returns milepost_private.rhythm language plpgsql as $$
declare
  v_rhythm milepost_private.rhythm;
begin
  for i in 1..calls loop
    v_rhythm := milepost_private.rhythm_step(v_rhythm, i * 1.5::float8, i * 10::float8, 'checkpoint');
  end loop;
  return v_rhythm;
end;
$$;

create function pg_temp.verdicts(calls int, rhythm milepost_private.rhythm)
returns text language plpgsql as $$
declare
  v_verdict milepost_private.liveness_verdict;
begin
  for i in 1..calls loop
    v_verdict := milepost_private.rhythm_liveness(rhythm, 1000::float8 + i, i::float8, null, null);
  end loop;
  return v_verdict.liveness;
end;
$$;
"""


def install(db: psycopg.Connection[Any]) -> None:
    """Makes the liveness functions, and what drives them, in an empty database."""
    db.execute(PREPARATION)
    for file in sorted(SCHEMA.glob("20_rhythm*.sql")):
        db.execute(file.read_bytes())
    db.execute(DRIVER.encode())


def cost(db: psycopg.Connection[Any], calls: int = 100_000) -> None:
    """Prints what one call of each function costs inside the database, in a loop of PL/pgSQL."""
    for name, call in (
        ("rhythm_step", "select pg_temp.steps(%(calls)s)"),
        ("rhythm_liveness", "select pg_temp.verdicts(%(calls)s, pg_temp.steps(50))"),
    ):
        started_s = time.perf_counter()
        db.execute(call, {"calls": calls})
        print(f"\n{name}: {(time.perf_counter() - started_s) / calls * 1e6:.1f} microseconds a call")


def ask(db: psycopg.Connection[Any], function: str, trace: Trace, history: str | None) -> tuple[Any, ...]:
    """What a function of the driver answers to one run."""
    arrays = [f"{{{','.join(map(str, column))}}}" for column in (trace.active_s, trace.done, trace.event)]
    row = db.execute(
        f"select * from pg_temp.{function}(%s, %s, %s, %s::milepost_private.kind_rhythm)", [*arrays, history]
    ).fetchone()
    assert row is not None
    return tuple(row)


def fixed(trace: Trace, limit_s: float) -> list[float]:
    """When each contact's silence passes a fixed limit; a change of the count or an event ends it."""
    alarms, since, before = [], 0.0, 0.0
    for active_s, done, event in zip(trace.active_s, trace.done, trace.event, strict=True):
        if done != before or event != "checkpoint":
            since, before = active_s, done
        alarms.append(since + limit_s)
    return alarms


def phi_accrual(trace: Trace, phi: float = 8.0) -> list[float]:
    """The same for exponential phi accrual over the mean of about a hundred gaps; 900 s before the first."""
    alarms, since, before, mean, gaps = [], 0.0, 0.0, 0.0, 0
    for active_s, done, event in zip(trace.active_s, trace.done, trace.event, strict=True):
        if event != "checkpoint":
            since, before = active_s, done
        elif done != before:
            gaps += 1
            mean += max(1 / gaps, 0.01) * (active_s - since - mean)
            since, before = active_s, done
        alarms.append(since + (phi * math.log(10) * mean if gaps else 900.0))
    return alarms


def alarm(trace: Trace, silent: list[float], start_s: float) -> float | None:
    """The first moment from `start_s` on at which an alarm stands; None where each next contact came in time.

    `silent[i]` is when contact i's silence is too long. A run that is silent in the end is so for ever.
    """
    ends = [*trace.active_s[1:], math.inf if trace.silent_in_the_end else trace.now_s]
    for alarm_s, end_s in zip(silent, ends, strict=True):
        if alarm_s < end_s and start_s < end_s:
            return max(alarm_s, start_s)
    return None


def rules(db: psycopg.Connection[Any], trace: Trace, history: str | None) -> dict[str, list[float]]:
    """Each rule's alarm times on one run."""
    late_at, stalled_at, with_history_at = ask(db, "drive", trace, history)
    return {
        "adaptive": stalled_at,
        "with history": with_history_at,
        "adaptive, late": late_at,
        "1 min": fixed(trace, 60.0),
        "5 min": fixed(trace, 300.0),
        "60 min": fixed(trace, 3600.0),
        "phi 8": phi_accrual(trace),
    }


def seconds_to_alarm(
    db: psycopg.Connection[Any], family: Family, healthy: Family, seed: int
) -> dict[str, float | None]:
    """Seconds from the breaking (or the start of a healthy run) to each rule's alarm.

    The rule with history has learnt from five earlier runs of the same kind, all of them healthy.
    """
    history = None
    for number in range(EARLIER_RUNS):
        (history,) = ask(db, "learn", healthy(Random(seed), Random(f"{seed}/{number}")), history)
    trace = family(Random(seed), Random(f"{seed}/now"))
    start_s = trace.broken_at_s or 0.0
    alarms = {name: alarm(trace, silent, start_s) for name, silent in rules(db, trace, history).items()}
    return {name: None if at_s is None else at_s - start_s for name, at_s in alarms.items()}


def found(delays: list[float | None]) -> str:
    """The share of runs with an alarm."""
    return f"{100 * sum(delay is not None for delay in delays) / len(delays):.0f} %"


def delay(delays: list[float | None]) -> str:
    """Median and ninth decile in seconds, and the share of runs with an alarm where that is not all."""
    seconds = sorted(delay for delay in delays if delay is not None)
    if not seconds:
        return "never"
    ninth = seconds[int(0.9 * (len(seconds) - 1))]
    text = f"{statistics.median(seconds):.0f} / {ninth:.0f}"
    return text if len(seconds) == len(delays) else f"{text} ({found(delays)})"


def table(
    db: psycopg.Connection[Any],
    title: str,
    families: Sequence[tuple[Family, Family]],
    seeds: range,
    cell: Callable[[list[float | None]], str],
) -> None:
    """Prints one row a family and one column a rule, in Markdown."""
    print(f"\n| {title} | {' | '.join(RULES)} |\n|{' --- |' * (len(RULES) + 1)}")
    for family, healthy in families:
        rows = [seconds_to_alarm(db, family, healthy, seed) for seed in seeds]
        cells = [cell([row[rule] for row in rows]) for rule in RULES]
        print(f"| {family.__name__.replace('_', ' ')} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=100, help="runs a family (default: 100)")
    parser.add_argument(
        "--tuning", action="store_true", help="use the seeds that the constants were chosen on"
    )
    options = parser.parse_args()
    seeds = range(0 if options.tuning else 1, 2 * options.seeds, 2)
    with Postgres() as postgres, postgres.connect() as db:
        install(db)
        table(db, "healthy: runs with a false alarm", [(each, each) for each in HEALTHY], seeds, found)
        table(db, "broken: seconds until found, median / ninth decile", BROKEN, seeds, delay)
        cost(db)


if __name__ == "__main__":
    main()
