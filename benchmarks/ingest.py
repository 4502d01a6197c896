"""Checkpoints per second over HTTP, beside the floor: what Postgres takes from one prepared statement.

The floor is one CTE statement through psycopg: it inserts n checkpoints from arrays and updates their jobs, in tables
with the columns and indexes of milepost.checkpoints and milepost.jobs, and does nothing else: no HTTP, no JSON, no
validation, no lanes, no estimator, no events. Ours is POST /v1/checkpoints with everything on: functions-framework,
PostgREST, Postgres, no gateway between them. Both have one connection, the same Postgres with fsync and
synchronous_commit, 200 jobs of which at most 20 are in a batch, and what they send is made before the clock runs.
Each round asks each way for a few batches one after another, as a busy worker does, and the ways in turn, so that other
work on the machine hits all of them. Beside the time that passed stands the CPU time of each process, which other work
on the machine changes little (Linux).

    python -m benchmarks.ingest [seconds for each size]
"""

import http.client
import json
import os
import random
import statistics
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import psycopg

from functions.bodies import Body
from functions.checkpoints import _call
from milepost.local import CHECKOUT
from milepost.local.guardian import Guardian
from milepost.local.ports import HOST, free_port
from milepost.local.postgres import Postgres
from milepost.local.postgrest import PostgREST
from milepost.local.schema import build
from milepost.local.stack import HERE

JOBS = 200
JOBS_A_BATCH = 20
WARM_UP = 20  # batches
SIZES = (1, 10, 100, 1000)
SECRET = "a secret of the benchmark, at least 32 bytes long"  # noqa: S105 - it opens a database that is thrown away

FLOOR_TABLES = """
create schema floor;
create table floor.jobs (like milepost.jobs including all);
create table floor.checkpoints (like milepost.checkpoints including all) partition by range (received_at);
create table floor.checkpoints_all partition of floor.checkpoints default;
insert into floor.jobs (job_id, tenant_id, key, name, state, started_at)
select job_id, tenant_id, key, name, state, started_at from milepost.jobs;
create table floor.narrow_jobs (id int primary key, done bigint, updated_at timestamptz) with (fillfactor = 60);
create table floor.narrow_checkpoints (job int, seq bigint, done bigint, at timestamptz default now(), primary key (job, seq));
insert into floor.narrow_jobs select g, 0, now() from generate_series(0, 199) g;
"""

FLOOR = """
with added as (
  insert into floor.checkpoints (tenant_id, job_id, attempt, worker, seq, at, received_at, items_total,
    items_completed, bytes_processed)
  select %s, n.job_id, 1, 'w', n.seq, now(), now(), 1000000, n.completed, n.bytes
  from unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::bigint[]) as n (job_id, seq, completed, bytes)
  returning job_id, items_completed, bytes_processed
)
update floor.jobs j
set items_completed = greatest(j.items_completed, n.completed), bytes_processed = greatest(j.bytes_processed, n.bytes),
    last_checkpoint_at = now()
from (select job_id, max(items_completed) as completed, max(bytes_processed) as bytes from added group by job_id) n
where j.job_id = n.job_id
"""

NARROW_FLOOR = """
with added as (
  insert into floor.narrow_checkpoints (job, seq, done) select * from unnest(%s::int[], %s::bigint[], %s::bigint[])
  returning job, done)
update floor.narrow_jobs j set done = greatest(j.done, n.done), updated_at = now()
from (select job, max(done) as done from added group by job) n where j.id = n.job
"""

Rows = list[tuple[int, int]]
"""Of each checkpoint the number of its job, and its seq."""
Way = Callable[[Rows], Callable[[], object]]
"""Makes of a batch what is sent, and returns what sends it."""


class Load:
    """Batches of n checkpoints whose counts rise."""

    def __init__(self) -> None:
        self.seq = [0] * JOBS

    def next(self, job: int) -> int:
        self.seq[job] += 1
        return self.seq[job]

    def batch(self, size: int) -> Rows:
        jobs = random.sample(range(JOBS), min(JOBS_A_BATCH, size))
        rows = []
        for place in range(size):
            job = jobs[place % len(jobs)]
            rows.append((job, self.next(job)))
        return rows


def checkpoints(rows: Rows) -> list[dict[str, object]]:
    return [
        {
            "job": f"bench-{job}",
            "worker": "w",
            "seq": seq,
            "items_total": 1_000_000,
            "items_completed": seq * 10,
            "bytes_processed": seq * 1000,
            "cursor": {"offset": seq},
        }
        for job, seq in rows
    ]


@dataclass
class Stack:
    """Where the parts are, and what opens them."""

    database: psycopg.Connection[Any]
    postgrest_port: int
    functions_port: int
    service_token: str
    worker_key: str
    key_hash: str
    tenant_id: str
    processes: dict[str, int]
    """The process of each part, by its name; its descendants are of the part, too."""


@contextmanager
def serving() -> Iterator[Stack]:
    """Postgres with fsync, PostgREST, and the functions under functions-framework, straight behind each other."""
    with Guardian() as guardian:
        postgres = Postgres(guardian, durable=True)
        server = postgres.start()
        with postgres.connect() as database:
            for source in (HERE / "supabase.sql", HERE / "realtime/schema.sql"):
                database.execute(source.read_text().encode())
            database.execute(build().encode())
            database.execute("alter role authenticator password 'authenticator'")
            ((tenant_id,),) = database.execute("select milepost.create_tenant('bench') ->> 'tenant_id'")
            ((key,),) = database.execute("select milepost.create_key(%s, 'worker')", (tenant_id,))
            ((key_hash,),) = database.execute("select key_hash from milepost_private.keys")
            postgrest = PostgREST(guardian, jwt_secret=SECRET)
            rest = postgrest.start(postgres.url(user="authenticator", password="authenticator"))  # noqa: S106
            token = jwt.encode({"role": "service_role"}, SECRET)
            port = free_port()
            functions = guardian.spawn(
                [
                    *(sys.executable, "-m", "functions_framework", "--target=api", f"--host={HOST}"),
                    *(f"--port={port}", f"--source={CHECKOUT / 'benchmarks/straight.py'}"),
                ],
                env={
                    "PATH": os.defpath,
                    "PYTHONPATH": str(CHECKOUT),
                    "SUPABASE_URL": f"http://{HOST}:{postgrest.port}",
                    "SUPABASE_SERVICE_ROLE_KEY": token,
                    "WORKERS": "1",
                },
                log=guardian.directory / "functions.log",
            )
            pids = {"functions": functions.pid, "PostgREST": rest.pid, "Postgres": server.pid}
            yield Stack(database, postgrest.port, port, token, key["key"], key_hash, tenant_id, pids)


def cpu_ms(pid: int) -> float:
    """CPU time of a process and its descendants, in ms."""
    spent = 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError):
            spent += int((task / "schedstat").read_text().split()[0]) / 1e6
            spent += sum(cpu_ms(int(child)) for child in (task / "children").read_text().split())
    return spent


class Asking:
    """One connection that stays open, with as little client around it as there can be."""

    def __init__(self, port: int, path: str, headers: dict[str, str]) -> None:
        self._connection = http.client.HTTPConnection(HOST, port)
        self._path = path
        self._headers = {"Content-Type": "application/json", **headers}

    def __call__(self, body: bytes) -> None:
        self._connection.request("POST", self._path, body, self._headers)
        answer = self._connection.getresponse()
        content = answer.read()
        assert answer.status == 200, content
        assert b'"errors": []' in content or b'"errors":[]' in content, content[:500]


def until_it_answers(port: int) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with suppress(OSError), urllib.request.urlopen(f"http://{HOST}:{port}/openapi.json"):
            return
        time.sleep(0.05)
    raise TimeoutError("the functions did not come up")


def ways(stack: Stack) -> dict[str, Way]:
    """The floors, and ours seen from further and further outside."""
    over_http = Asking(
        stack.functions_port, "/v1/checkpoints", {"Authorization": f"Bearer {stack.worker_key}"}
    )
    straight = Asking(
        stack.postgrest_port,
        "/rpc/record_checkpoints",
        {"Authorization": f"Bearer {stack.service_token}", "Content-Profile": "milepost"},
    )
    caller = json.dumps({"key_hash": stack.key_hash}).encode()
    until_it_answers(stack.functions_port)
    over_http(json.dumps(checkpoints([(job, 0) for job in range(JOBS)])).encode())
    stack.database.execute(FLOOR_TABLES.encode())
    # As autovacuum does within a minute: plans of empty tables are bad ones.
    stack.database.execute("vacuum analyze")
    ids = dict(stack.database.execute("select substr(key, 7)::int, job_id from milepost.jobs").fetchall())

    def floor(rows: Rows) -> Callable[[], object]:
        jobs, seqs = [ids[job] for job, _ in rows], [seq for _, seq in rows]
        columns = (stack.tenant_id, jobs, seqs, [seq * 10 for seq in seqs], [seq * 1000 for seq in seqs])
        return lambda: stack.database.execute(FLOOR, columns, prepare=True)

    def narrow(rows: Rows) -> Callable[[], object]:
        jobs, seqs = [job for job, _ in rows], [seq for _, seq in rows]
        return lambda: stack.database.execute(
            NARROW_FLOOR, (jobs, seqs, [seq * 10 for seq in seqs]), prepare=True
        )

    def as_functions_send(rows: Rows) -> bytes:
        raw = json.dumps(checkpoints(rows)).encode()
        return _call(caller, Body(raw, checkpoints(rows)), checkpoints(rows), {})

    def in_sql(rows: Rows) -> Callable[[], object]:
        body = as_functions_send(rows).decode()
        return lambda: stack.database.execute(
            "select milepost.record_checkpoints(%s::jsonb)", (body,), prepare=True
        )

    def by_postgrest(rows: Rows) -> Callable[[], object]:
        body = as_functions_send(rows)
        return lambda: straight(body)

    def by_functions(rows: Rows) -> Callable[[], object]:
        body = json.dumps(checkpoints(rows)).encode()
        return lambda: over_http(body)

    return {
        "narrow": narrow,
        "floor": floor,
        "SQL": in_sql,
        "PostgREST": by_postgrest,
        "functions": by_functions,
    }


@dataclass
class Spent:
    """What the batches of one way took: ms that passed for each, CPU ms of all together by part."""

    passed: list[float]
    cpu: dict[str, float]

    def total(self) -> float:
        """CPU ms of a batch."""
        return sum(self.cpu.values()) / len(self.passed)


def measure(stack: Stack, asking: dict[str, Way], load: Load, size: int, seconds: float) -> dict[str, Spent]:
    """What each way spends on batches of this size, asked one after another in turn."""
    spent = {way: Spent([], {}) for way in asking}
    end = None
    # Short enough for the servers to keep the other ways' connections open.
    in_a_row = max(3, 20 // (1 + size // 100))
    while end is None or time.monotonic() < end:
        for way, made in asking.items():
            sends = [made(load.batch(size)) for _ in range(in_a_row)]
            before = {part: cpu_ms(pid) for part, pid in stack.processes.items()}
            client = time.process_time()
            for send in sends:
                began = time.perf_counter()
                send()
                spent[way].passed.append(1000 * (time.perf_counter() - began))
            client = time.process_time() - client
            ours = spent[way].cpu
            ours["client"] = ours.get("client", 0) + 1000 * client
            for part, pid in stack.processes.items():
                ours[part] = ours.get(part, 0) + cpu_ms(pid) - before[part]
        if end is None and len(spent["floor"].passed) >= WARM_UP:
            spent = {way: Spent([], {}) for way in asking}
            end = time.monotonic() + seconds
    return spent


def main() -> None:
    random.seed(7)
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 8
    with serving() as stack:
        load = Load()
        asking = ways(stack)
        print(
            f"{'batch':>6} {'way':<10} {'median ms':>10} {'least ms':>9} {'CPU ms':>8} {'x floor: median':>16} {'least':>6} {'CPU':>6}"
        )
        for size in SIZES:
            took = measure(stack, asking, load, size, seconds)
            floor = took["floor"]
            for way, spent in took.items():
                median, least = statistics.median(spent.passed), min(spent.passed)
                parts = ", ".join(f"{part} {ms / len(spent.passed):.2f}" for part, ms in spent.cpu.items())
                print(
                    f"{size:>6} {way:<10} {median:>10.2f} {least:>9.2f} {spent.total():>8.2f}"
                    f" {median / statistics.median(floor.passed):>16.2f} {least / min(floor.passed):>6.2f}"
                    f" {spent.total() / floor.total():>6.2f}   {parts}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
