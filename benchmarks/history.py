"""What questions cost in SQL with 10,000 active jobs, beside ten thousand, a hundred thousand and a million finished jobs.

One tenant owns them all, which is the worst case; the questions are asked as its member asks them, under row level security.
A thousand of the finished jobs ended within the last day, all others in the 30 days before. Rows are inserted by sets, past the
triggers, since nothing here measures writing. Takes ten minutes and 5 GB.

    python -m benchmarks.history [finished jobs ...]
"""

import json
import os
import statistics
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property

import psycopg
from psycopg.types.json import Jsonb

from milepost.local.postgres import SETTINGS, Postgres
from milepost.local.schema import build
from milepost.local.stack import HERE

SIZES = (10_000, 100_000, 1_000_000)
ACTIVE = 10_000
ROUNDS = 30

TEMPLATE = """
insert into milepost_private.kinds (tenant_id, kind, pace, rhythm)
select tenant_id, 'kind-' || g, pace, rhythm from milepost_private.kinds cross join generate_series(0, 19) g
where kind = 'template';
"""

# One of twenty jobs failed; a rare word stands in one of 100,000 names, one owner of 500 has one of 500 jobs.
JOBS = """
create temp table made as
select gen_random_uuid() as job_id, n, %(active)s as active,
       now() - case when %(active)s then interval '1 hour' * random() when n <= 1000 then interval '1 hour' + interval '22 hours' * random()
                  else interval '25 hours' + interval '28 days' * random() end as created_at
from generate_series(%(first)s::int, %(last)s::int) n;
insert into milepost.jobs (job_id, tenant_id, key, kind, name, owner_id, state, version, items_total, items_completed, items_failed,
  counts_reported, message, error, metadata, created_at, started_at, attempt_started_at, state_changed_at, last_checkpoint_at,
  last_progress_at, finished_at)
select m.job_id, %(tenant)s, case when m.active then 'live-' else 'run-' end || m.n, 'kind-' || (m.n %% 20),
       (array['Nightly import', 'Video encode', 'Embedding batch', 'Table backfill', 'Daily report'])[1 + m.n %% 5]
         || ' ' || m.n || case when m.n %% 100000 = 17 then ' marmalade' else '' end,
       md5('owner-' || (m.n %% 500))::uuid, s.state, 4, 1000, case when m.active then 400 else 1000 end, (m.n %% 20 = 3)::int,
       true, 'chunk ' || (m.n %% 97) || ' of 97', case when s.state = 'failed' then 'connection reset by peer ' || (m.n %% 7) end,
       jsonb_build_object('team', 'team-' || (m.n %% 40), 'commit', md5(m.n::text)), m.created_at, m.created_at, m.created_at, m.created_at,
       s.heard_at, s.heard_at, s.finished_at
from made m
cross join lateral (select
  case when m.active then (array['running', 'running', 'running', 'running', 'paused', 'pending', 'retrying'])[1 + m.n %% 7]
       when m.n %% 20 = 3 then 'failed' else 'completed' end as state,
  case when m.active then now() - interval '1 second' else m.created_at + interval '10 minutes' end as heard_at,
  case when m.active then null else m.created_at + interval '10 minutes' end as finished_at) s;
insert into milepost_private.pulses (job_id, tenant_id, active_s, active_at, running, pace, rhythm, settled, progress_event_at, tenth)
select m.job_id, %(tenant)s, p.active_s, case when m.active then now() else m.created_at + interval '10 minutes' end,
       m.active and m.n %% 7 < 4, p.pace, p.rhythm, p.settled, m.created_at, 9
from made m cross join (select * from milepost_private.pulses where job_id = %(template)s) p;
insert into milepost.lanes (tenant_id, job_id, worker, attempt, seq, items_completed, first_checkpoint_at, last_checkpoint_at, cursor, cursor_at)
select %(tenant)s, m.job_id, 'main', 1, 10, 400, m.created_at, m.created_at, '{"offset": 400}', m.created_at from made m;
insert into milepost.checkpoints (tenant_id, job_id, attempt, worker, seq, at, received_at, items_completed, job_done)
select %(tenant)s, m.job_id, 1, 'main', g, m.created_at, m.created_at, g, g from made m cross join generate_series(1, 2) g;
insert into milepost.events (tenant_id, job_id, version, type, ts, correlation_id)
select %(tenant)s, m.job_id, g, 'job.progress', m.created_at, m.job_id from made m cross join generate_series(1, 2) g;
drop table made;
"""

Question = str | Callable[["History"], object]

# Where a longer history would have more to answer, all are asked for as many jobs as ten thousand have.
QUESTIONS: dict[str, Question] = {
    "list": "select milepost.search_jobs()",
    "list, page 5": lambda history: history.ask(
        f"select milepost.search_jobs(after => '{history.fifth_page}')"
    ),
    "search, a common word": "select milepost.search_jobs(q => 'import')",
    "search, a rare word": """select milepost.search_jobs(q => 'marmalade', "limit" => 2)""",
    "search, no such word": "select milepost.search_jobs(q => 'zebra crossing')",
    "search by key": "select milepost.search_jobs(q => 'run-4711 ')",
    "search by state": "select milepost.search_jobs(state => array['failed'])",
    "search by active state": "select milepost.search_jobs(state => array['paused'])",
    "search by kind": "select milepost.search_jobs(kind => array['kind-7'])",
    "search by a kind that is none": "select milepost.search_jobs(kind => array['none'])",
    "search by time": "select milepost.search_jobs(since => now() - interval '20 days', until => now() - interval '19 days')",
    "search by owner": """select milepost.search_jobs(owner => md5('owner-7')::uuid, "limit" => 40)""",
    "search by metadata": "select milepost.search_jobs(metadata => jsonb_build_object('commit', md5('4711')))",
    "search by common metadata": """select milepost.search_jobs(metadata => '{"team": "team-3"}')""",
    "search by failed of an owner": "select milepost.search_jobs("
    """state => array['failed'], owner => md5('owner-3')::uuid, "limit" => 20)""",
    "what ends soonest": "select milepost.search_jobs(sort => 'finishing')",
    "stuck": "select * from milepost.get_stuck_jobs()",
    "health": "select milepost.get_jobs_health()",
    "counts": "select milepost.job_counts()",
    "metrics": "select milepost.get_system_metrics()",
    "loading progress": "select milepost.get_loading_progress()",
    "stream: snapshot of all": """select milepost.search_jobs("limit" => 200)""",
    "stream: what is new": lambda history: history.ask(
        "select milepost.stream_events(array(select t.tenant_id from milepost.tenants t),"
        " (select s.last_value - 100 from milepost.events_event_id_seq s))",
        role="service_role",
    ),
    "one job": "select milepost.get_job_progress('run-' || (1 + random() * 1999)::int)",
    "one job's health": "select milepost.get_job_health('run-' || (1 + random() * 1999)::int)",
    "one job: why": "select milepost.explain_job('live-' || (1 + random() * 199)::int)",
    "one job: checkpoints": "select milepost.list_checkpoints('run-' || (1 + random() * 1999)::int)",
    "one job: events": "select milepost.list_events('run-' || (1 + random() * 1999)::int)",
    "one job: items": "select milepost.list_items('run-' || (1 + random() * 1999)::int)",
    "one job: predictions": "select milepost.job_predictions('run-' || (1 + random() * 1999)::int)",
    "ended last": "select milepost.list_finished_jobs()",
    "ended on a day, failed": "select milepost.list_finished_jobs(until => now() - interval '1 day', state => array['failed'])",
    "history of a day": "select milepost.job_history_stats(since => now() - interval '1 day', by => 'kind')",
}

# What is asked for grows with the history.
OF_ALL: dict[str, Question] = {
    "history of 30 days": "select milepost.job_history_stats()",
    "view job_performance": "select jsonb_agg(p) from milepost.job_performance p",
}


def install(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for script in (
            (HERE / "supabase.sql").read_text(),
            (HERE / "realtime/schema.sql").read_text(),
            build(),
        ):
            connection.execute(script.encode())


class History:
    """A database with a tenant, a member and a template job whose pace and rhythm the others have."""

    def __init__(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        self.connection = connection
        self.user = str(uuid.uuid4())
        self.tenant = self._one("select milepost.create_tenant('bench') ->> 'tenant_id'")
        self._one("select milepost.add_member(%s, %s, 'admin')", self.tenant, self.user)
        for second in range(0, 101, 10):
            state = {"state": "completed"} if second == 100 else {}
            entry = {
                "job": "template",
                "kind": "template",
                "items_total": 100,
                "items_completed": second,
                **state,
            }
            body = {
                "caller": {"tenant_id": self.tenant},
                "checkpoints": [entry],
                "received_at": f"2026-01-01T00:{second // 60:02}:{second % 60:02}Z",
            }
            self._one("select milepost.record_checkpoints(%s)", Jsonb(body))
        self.template = self._one("select job_id from milepost.jobs where key = 'template'")
        connection.execute(TEMPLATE.encode())
        self._one("select milepost_private.make_partitions(current_date - 32, current_date + 1)")

    def _one(self, query: str, *values: object) -> object:
        row = self.connection.execute(query.encode(), values or None).fetchone()
        return row[0] if row else None

    def grow(self, first: int, last: int, *, active: bool = False) -> None:
        values = {
            "first": first,
            "last": last,
            "active": active,
            "tenant": self.tenant,
            "template": self.template,
        }
        with self.connection.transaction():
            self.connection.execute("set local session_replication_role = replica")
            for statement in JOBS.split(";\n"):
                if statement.strip():
                    self.connection.execute(statement.encode(), values)

    def grow_ended(self, jobs: int) -> None:
        """So many jobs that have ended, some at a time."""
        for first in range(1, jobs + 1, 90_000):
            self.grow(first, min(first + 89_999, jobs))

    def settle(self) -> None:
        self.connection.execute("vacuum (analyze)")

    def refresh(self) -> None:
        """Lets every running job have made progress just now, but one of fifty, which is silent."""
        self.connection.execute(
            b"update milepost_private.pulses p set active_at = now() - interval '1 second' * (20 * random())"
            b" - case when abs(hashtext(job_id::text)) % 50 = 0 then interval '1 hour' else interval '0' end where p.running"
        )
        self.connection.execute("vacuum analyze milepost_private.pulses")

    def ask(self, question: Question, role: str = "authenticated") -> object:
        """The answer, as the member (or another role) gets it; `took` is how long it took, in ms."""
        if callable(question):
            return question(self)
        with self.connection.transaction():
            self._one("select set_config('role', %s, true)", role)
            claims = json.dumps({"role": role, "sub": self.user})
            self._one("select set_config('request.jwt.claims', %s, true)", claims)
            began = time.perf_counter()
            answer = self._one(question)
            self.took = (time.perf_counter() - began) * 1000
        return answer

    @cached_property
    def fifth_page(self) -> str:
        """Where the list's fifth page begins."""
        after = "null"
        for _ in range(4):
            page = self.ask(f"select milepost.search_jobs(after => {after})")
            assert isinstance(page, dict)
            after = f"'{page['next']}'"
        return after.strip("'")


def asked(
    histories: Sequence[History], questions: Mapping[str, Question], rounds: int = ROUNDS
) -> Iterator[tuple[str, list[list[float]]]]:
    """Each question with what it took in ms, asked of all in turn, so that other work on the machine is shared."""
    for name, question in questions.items():
        for history in histories:
            history.refresh()
        took: list[list[float]] = [[] for _ in histories]
        for place in range(rounds + 3):
            for history, times in zip(histories, took, strict=True):
                history.ask(question)
                times += [history.took] if place >= 3 else []
        yield name, took


def show(sizes: Sequence[int], answers: Iterator[tuple[str, list[list[float]]]]) -> None:
    """A line for each question: its median and 95th percentile in ms at each size, and the medians' growth."""
    print(f"{'question':<32}" + "".join(f"{size:>12,} {'p95':>7}" for size in sizes) + f" {'growth':>7}")
    for name, took in answers:
        middle = [statistics.median(times) for times in took]
        tail = [statistics.quantiles(times, n=20)[-1] for times in took]
        figures = "".join(f"{m:>12.1f} {t:>7.1f}" for m, t in zip(middle, tail, strict=True))
        print(f"{name:<32}{figures} {middle[-1] / middle[0]:>7.2f}", flush=True)


def main() -> None:
    sizes = [int(size) for size in sys.argv[1:]] or SIZES
    # What the local stack has for tests does not hold the active jobs of three databases.
    SETTINGS["shared_buffers"] = "1GB"
    with Postgres() as postgres, ExitStack() as connections:
        histories = []
        for size in sizes:
            url = postgres.create_database(f"history_{size}")
            install(url)
            connection = connections.enter_context(psycopg.connect(url, autocommit=True))
            history = History(connection)
            # Before the others, so that they lie side by side as jobs of one time do; after them they would fill gaps that only
            # rows inserted as ended leave.
            history.grow(1, ACTIVE, active=True)
            history.grow_ended(size)
            history.grow(ACTIVE + 1, ACTIVE + 50, active=True)  # theirs are the newest events
            history.settle()
            histories.append(history)
        print(f"load {os.getloadavg()[0]:.2f}")
        show(sizes, asked(histories, QUESTIONS))
        show(sizes, asked(histories, OF_ALL, rounds=3))
        print(f"load {os.getloadavg()[0]:.2f}")


if __name__ == "__main__":
    main()
