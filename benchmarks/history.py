"""What questions cost in SQL with 10,000 active jobs, at ten thousand finished jobs and at a million.

One tenant owns them all, which is the worst case; the questions are asked as its member asks them, under row level security.
A thousand of the finished jobs ended within the last day, all others in the 30 days before. Rows are inserted by sets, past the
triggers, since nothing here measures writing. Takes five minutes and 4 GB.

    python -m benchmarks.history [finished jobs]
"""

import json
import statistics
import sys
import time
import uuid
from collections.abc import Iterator

import psycopg
from psycopg.types.json import Jsonb

from milepost.local.postgres import Postgres
from milepost.local.schema import build
from milepost.local.stack import HERE

SMALL, LARGE, ACTIVE = 10_000, 1_000_000, 10_000
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

QUESTIONS: dict[str, str] = {
    "list": "select milepost.search_jobs()",
    "list, page 5": "select milepost.search_jobs(after => {after})",
    "search, a common word": "select milepost.search_jobs(q => 'import')",
    "search, a rare word": "select milepost.search_jobs(q => 'marmalade')",
    "search, no such word": "select milepost.search_jobs(q => 'zebra crossing')",
    "search by key": "select milepost.search_jobs(q => 'run-4711')",
    "search by state": "select milepost.search_jobs(state => array['failed'])",
    "search by active state": "select milepost.search_jobs(state => array['paused'])",
    "search by kind": "select milepost.search_jobs(kind => array['kind-7'])",
    "search by a kind that is none": "select milepost.search_jobs(kind => array['none'])",
    "search by time": "select milepost.search_jobs(since => now() - interval '20 days', until => now() - interval '19 days')",
    "search by owner": "select milepost.search_jobs(owner => md5('owner-7')::uuid)",
    "search by metadata": "select milepost.search_jobs(metadata => jsonb_build_object('commit', md5('4711')))",
    "search by common metadata": """select milepost.search_jobs(metadata => '{{"team": "team-3"}}')""",
    "search by failed of an owner": "select milepost.search_jobs(state => array['failed'], owner => md5('owner-3')::uuid)",
    "stuck": "select * from milepost.get_stuck_jobs()",
    "health": "select milepost.get_jobs_health()",
    "loading progress": "select milepost.get_loading_progress()",
    "what ends soonest": "select milepost.search_jobs(sort => 'finishing')",
    "one job": "select milepost.get_job_progress('run-' || (1 + random() * 1999)::int)",
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
        self._one("select milepost.add_member(%s, %s, 'operator')", self.tenant, self.user)
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

    def settle(self) -> None:
        self.connection.execute("vacuum (analyze)")

    def refresh(self) -> None:
        """Lets every running job have made progress just now, but one of fifty, which is silent."""
        self.connection.execute(
            b"update milepost_private.pulses p set active_at = now() - interval '1 second' * (20 * random())"
            b" - case when abs(hashtext(job_id::text)) % 50 = 0 then interval '1 hour' else interval '0' end where p.running"
        )
        self.connection.execute("vacuum analyze milepost_private.pulses")

    def ask(self, question: str) -> object:
        """The answer, as the member gets it; `took` is how long it took, in ms."""
        with self.connection.transaction():
            self._one("select set_config('role', 'authenticated', true)")
            claims = json.dumps({"role": "authenticated", "sub": self.user})
            self._one("select set_config('request.jwt.claims', %s, true)", claims)
            began = time.perf_counter()
            answer = self._one(question)
            self.took = (time.perf_counter() - began) * 1000
        return answer

    def drop_takes(self, checkpoints: int) -> float:
        """Milliseconds to drop a day with so many checkpoints."""
        self._one("select milepost_private.make_partitions('2020-01-01', '2020-01-01')")
        self.connection.execute(
            b"insert into milepost.checkpoints (tenant_id, job_id, attempt, worker, seq, at, received_at)"
            b" select %s, %s, 1, 'main', n, '2020-01-01', '2020-01-01 12:00Z' from generate_series(1, %s) n",
            (self.tenant, self.template, checkpoints),
        )
        self.connection.execute("checkpoint")
        began = time.perf_counter()
        assert self._one("select milepost_private.drop_partitions('2020-01-02')") == 2
        return (time.perf_counter() - began) * 1000


def asked(small: History, large: History) -> Iterator[tuple[str, list[float], list[float]]]:
    """Each question with what it took in ms, asked of both in turn, so that other work on the machine is shared."""
    pages = {}
    for history in (small, large):
        after = "null"
        for _ in range(4):
            page = history.ask(f"select milepost.search_jobs(after => {after})")
            assert isinstance(page, dict)
            after = f"'{page['next']}'"
        pages[history] = after
    for name, question in QUESTIONS.items():
        if name in ("stuck", "health"):
            small.refresh()
            large.refresh()
        took: dict[History, list[float]] = {small: [], large: []}
        for place in range(ROUNDS + 3):
            for history in (small, large):
                history.ask(question.format(after=pages[history]))
                took[history] += [history.took] if place >= 3 else []
        yield name, took[small], took[large]


def main() -> None:
    finished = int(sys.argv[1]) if len(sys.argv) > 1 else LARGE
    with Postgres() as postgres:
        urls = [postgres.create_database(name) for name in ("small", "large")]
        for url in urls:
            install(url)
        with (
            psycopg.connect(urls[0], autocommit=True) as first,
            psycopg.connect(urls[1], autocommit=True) as second,
        ):
            small, large = History(first), History(second)
            for history, jobs in ((small, SMALL), (large, finished)):
                for start in range(1, jobs + 1, 90_000):
                    history.grow(start, min(start + 89_999, jobs))
                history.grow(1, ACTIVE, active=True)
                history.settle()
            print(f"{'question':<32} {SMALL:>10,} {'p95':>7} {finished:>10,} {'p95':>7} {'growth':>7}")
            for name, few, many in asked(small, large):
                middle = [statistics.median(took) for took in (few, many)]
                tail = [statistics.quantiles(took, n=20)[-1] for took in (few, many)]
                print(
                    f"{name:<32} {middle[0]:>10.1f} {tail[0]:>7.1f} {middle[1]:>10.1f} {tail[1]:>7.1f}"
                    f" {middle[1] / middle[0]:>7.2f}",
                    flush=True,
                )
            for rows in (1_000, 300_000):
                print(
                    f"dropping a day of {rows:,} checkpoints: {min(large.drop_takes(rows) for _ in range(3)):.1f} ms"
                )


if __name__ == "__main__":
    main()
