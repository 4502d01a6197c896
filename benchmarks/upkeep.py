"""What the database has to be rid of: dead rows over an hour of load, and whether retention keeps the size flat.

An hour of 200 jobs that report once a second goes through `record_checkpoints` as fast as it can, with autovacuum looking
every second instead of every minute. Then 40 days, each with 200 jobs that begin and end, are kept for 7 days each: time is
an argument, so both are a matter of minutes.

    python -m benchmarks.upkeep
"""

import time
from datetime import UTC, datetime, timedelta

import psycopg
from psycopg.types.json import Jsonb

from benchmarks.history import install
from milepost.local.postgres import Postgres

JOBS, HOUR_S = 200, 3600
DAYS, KEPT_DAYS, JOBS_A_DAY, CHECKPOINTS_A_JOB = 40, 7, 200, 20
HOT = ("milepost.jobs", "milepost.lanes", "milepost_private.pulses")

TABLE = """
select n_live_tup, n_dead_tup, n_tup_upd, n_tup_hot_upd, autovacuum_count, pg_total_relation_size(relid)
from pg_stat_user_tables where relid = %s::regclass
"""
PARTITIONS = """
select sum(pg_total_relation_size(i.inhrelid)) from pg_inherits i
where i.inhparent in ('milepost.checkpoints'::regclass, 'milepost.events'::regclass)
"""


class Bench:
    """A database with one tenant, written to by its one worker."""

    def __init__(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        self.connection = connection
        self.tenant = self.one("select milepost.create_tenant('bench') ->> 'tenant_id'")

    def one(self, query: str, *values: object) -> object:
        row = self.connection.execute(query.encode(), values or None).fetchone()
        return row[0] if row else None

    def number(self, query: str, *values: object) -> float:
        value = self.one(query, *values)
        assert isinstance(value, int | float) or hasattr(value, "__float__"), value
        return float(value)

    def record(self, entries: list[dict[str, object]], at: datetime) -> None:
        body = {
            "caller": {"tenant_id": self.tenant},
            "checkpoints": entries,
            "received_at": at.isoformat(),
        }
        answer = self.one("select milepost.record_checkpoints(%s)", Jsonb(body))
        assert isinstance(answer, dict) and not answer["errors"], answer


def hour(bench: Bench) -> None:
    """An hour of JOBS jobs at 1 Hz; a line for every ten minutes."""
    print(f"\n{JOBS} jobs that report once a second, for an hour")
    print(f"{'minute':>6} {'table':<24} {'rows':>6} {'dead':>6} {'HOT':>6} {'vacuums':>8} {'kB':>7}")
    began = datetime.now(UTC) - timedelta(hours=1)
    for second in range(HOUR_S):
        bench.record(
            [
                {
                    "job": f"hour-{job}",
                    "seq": second + 1,
                    "items_total": 10 * HOUR_S,
                    "items_completed": 10 * second,
                    "cursor": {"offset": 10 * second},
                }
                for job in range(JOBS)
            ],
            began + timedelta(seconds=second),
        )
        if second % 600 == 599:
            time.sleep(1)  # the counters of pg_stat are written when a connection is idle for a second
            for table in HOT:
                row = bench.connection.execute(TABLE.encode(), (table,)).fetchone()
                assert row is not None
                live, dead, updated, hot, vacuums, size = (int(str(value)) for value in row)
                print(
                    f"{(second + 1) // 60:>6} {table:<24} {live:>6} {dead:>6} {hot / max(updated, 1):>6.1%} "
                    f"{vacuums:>8} {size / 1024:>7,.0f}",
                    flush=True,
                )
    print(f"checkpoints and events: {bench.number(PARTITIONS) / 1e6:,.0f} MB")


def retention(bench: Bench) -> None:
    """DAYS days of jobs that begin and end, kept for KEPT_DAYS; a line for every fifth day."""
    bench.one("select milepost.set_retention(%s, %s)", bench.tenant, KEPT_DAYS)
    first = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=DAYS)
    # Each day is made as the sweep would have made it; today's and those ahead are there already.
    print(f"\n{JOBS_A_DAY} jobs a day with {CHECKPOINTS_A_JOB} checkpoints each, kept for {KEPT_DAYS} days")
    print(f"{'day':>4} {'jobs':>6} {'all of milepost, MB':>20}")
    for day in range(DAYS):
        date = first + timedelta(days=day)
        bench.one("select milepost_private.make_partitions(%s, %s)", date.date(), date.date())
        for step in range(CHECKPOINTS_A_JOB):
            last = step == CHECKPOINTS_A_JOB - 1
            bench.record(
                [
                    {
                        "job": f"day-{day}-{job}",
                        "seq": step + 1,
                        "items_total": 1000,
                        "items_completed": 1000 if last else 50 * step,
                        "cursor": {"offset": 50 * step},
                        **({"state": "completed"} if last else {}),
                    }
                    for job in range(JOBS_A_DAY)
                ],
                date + timedelta(hours=1, minutes=step),
            )
        # As the sweep does, whose clock is not the days': a moment ahead, so that none is too young.
        bench.one("select milepost_private.roll_up_measurements(now() + interval '1 minute')")
        while True:
            step_done = bench.one("select milepost.purge_history(%s)", date + timedelta(days=1))
            assert isinstance(step_done, dict)
            if not step_done["more"]:
                break
        if day % 5 == 4:
            time.sleep(2)  # a look of autovacuum
            size = bench.number(
                "select sum(pg_total_relation_size(c.oid)) from pg_class c"
                " where c.relnamespace in ('milepost'::regnamespace, 'milepost_private'::regnamespace)"
                " and c.relkind = 'r'"
            )
            jobs = bench.number("select count(*) from milepost.jobs")
            print(f"{day + 1:>4} {jobs:>6,.0f} {size / 1e6:>20,.1f}", flush=True)


def main() -> None:
    with Postgres() as postgres:
        for part in (hour, retention):
            url = postgres.create_database(part.__name__)
            install(url)
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("alter system set autovacuum_naptime = '1s'")
                connection.execute("select pg_reload_conf()")
                part(Bench(connection))


if __name__ == "__main__":
    main()
