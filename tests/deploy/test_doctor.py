"""`milepost doctor`: each fault, brought about for real, is found and has its fix."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from running_stack import RunningStack, Tenant
from scratch_database import Database

from milepost import _doctor
from milepost._doctor import Check, of_database

ROOT = Path(__file__).parents[2]
# pg_cron cannot be installed here: this keeps what is scheduled, in its tables.
PG_CRON = """
create schema cron;
create table cron.job (
  jobid bigint generated always as identity primary key, schedule text, command text, jobname text unique,
  active boolean not null default true
);
create table cron.job_run_details (
  runid bigserial, jobid bigint, status text, return_message text, start_time timestamptz, end_time timestamptz
);
create function cron.schedule(job_name text, schedule text, command text) returns bigint language sql as $$
  insert into cron.job (jobname, schedule, command) values (job_name, schedule, command) returning jobid;
$$;
insert into pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
values (999999, 'pg_cron', 10, 'cron'::regnamespace, false, '1.6.4');
"""


@pytest.fixture(scope="module")
def tenant(stack: RunningStack) -> Tenant:
    return stack.tenant()


@pytest.fixture
def right(stack: RunningStack, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of an installation without a fault."""
    environment = {
        "SUPABASE_URL": stack.supabase_url,
        "SUPABASE_SECRET_KEY": stack.secret_key,
        "SUPABASE_PUBLISHABLE_KEY": stack.publishable_key,
        "SUPABASE_JWT_SECRET": stack.jwt_secret,
        "CRON_SECRET": stack.cron_secret,
        "MILEPOST_URL": stack.api_url,
        "MILEPOST_KEY": tenant.worker_key,
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return environment


def wrong(checks: Iterator[Check]) -> dict[str, Check]:
    found = {check.name: check for check in checks if check.verdict == "wrong"}
    assert all(check.fix for check in found.values()), found
    return found


def part(name: str, clock: Callable[[], float] = time.time) -> dict[str, Check]:
    """What is wrong with one part of the installation."""
    with httpx.Client(timeout=10) as http:
        checks: dict[str, Iterator[Check]] = {
            "settings": _doctor.of_settings(),
            "project": _doctor.of_project(http, clock),
            "realtime": _doctor.of_realtime(),
            "functions": _doctor.of_functions(http, clock),
        }
        return wrong(checks[name])


def said(check: Check) -> str:
    return f"{check.found} -> {check.fix}"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("milepost"), "doctor", *arguments],
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")} | environment,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_nothing_is_wrong_with_the_local_stack(right: dict[str, str]) -> None:
    done = run("--json", **right)
    assert done.returncode == 0, done.stdout + done.stderr
    checks = {check["name"]: check["verdict"] for check in json.loads(done.stdout)}
    assert [name for name, verdict in checks.items() if verdict == "wrong"] == []
    looked_at = {"settings", "database", "clock of the database", "extension pg_trgm", "partitions", "CRON_SECRET",
                 "privileges of anon", "Realtime for users", "Realtime for strangers", "functions", "page", "worker's key"}  # fmt: skip
    assert looked_at <= {name for name, verdict in checks.items() if verdict == "ok"}


def test_the_parts_are_looked_at_together_and_told_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    functions_asked = threading.Event()

    def of_project(*_: object) -> Iterator[Check]:
        assert functions_asked.wait(60)
        yield Check("database", "ok", "")

    def of_functions(*_: object) -> Iterator[Check]:
        functions_asked.set()
        yield Check("functions", "ok", "")

    monkeypatch.setattr(_doctor, "of_project", of_project)
    monkeypatch.setattr(_doctor, "of_functions", of_functions)
    assert [check.name for check in _doctor.examine()] == ["settings", "database", "Realtime", "functions"]


def test_what_is_wrong_stands_with_its_fix_and_ends_with_1(right: dict[str, str]) -> None:
    done = run(MILEPOST_URL=right["MILEPOST_URL"], MILEPOST_KEY=right["SUPABASE_SECRET_KEY"])
    assert done.returncode == 1
    assert "wrong worker's key: MILEPOST_KEY is a secret key of the Supabase project" in done.stdout
    assert "renew the secret key" in done.stdout
    assert right["SUPABASE_SECRET_KEY"] not in done.stdout


def test_without_settings_it_skips_what_it_cannot_see() -> None:
    done = run("--json")
    assert {check["verdict"] for check in json.loads(done.stdout)} == {"ok", "skipped"}


@pytest.mark.parametrize(
    ("name", "value", "where", "check", "words"),
    [
        ("SUPABASE_URL", "http://127.0.0.1:9", "project", "database", "no answer of PostgREST"),
        ("SUPABASE_URL", "http://127.0.0.1:9", "realtime", "Realtime", "no answer"),
        ("SUPABASE_URL", "127.0.0.1", "settings", "settings", "SUPABASE_URL: expected an address"),
        ("SUPABASE_SECRET_KEY", "sb_secret_another", "project", "database", "the secret key is refused"),
        ("SUPABASE_SECRET_KEY", "sb_publishable_a", "settings", "settings", "found a publishable key"),
        ("SUPABASE_PUBLISHABLE_KEY", "sb_secret_a", "settings", "settings", "found a secret key"),
        ("SUPABASE_PUBLISHABLE_KEY", "sb_publishable_another", "realtime", "Realtime", "no answer"),
        ("MILEPOST_URL", "http://127.0.0.1:9", "functions", "functions", "gave no answer"),
        ("MILEPOST_KEY", "mp_unknown", "functions", "worker's key", "MILEPOST_KEY is refused"),
        ("CRON_SECRET", "another", "functions", "CRON_SECRET", "answers 401 to this CRON_SECRET"),
    ],
)
def test_a_wrong_setting_is_found(
    right: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
    where: str,
    check: str,
    words: str,
) -> None:
    monkeypatch.setenv(name, value)
    assert words in said(part(where)[check])


def test_a_legacy_anon_key_where_the_secret_belongs_is_found(
    right: dict[str, str], stack: RunningStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    anon = jwt.encode({"role": "anon", "exp": time.time() + 600}, stack.jwt_secret)
    monkeypatch.setenv("SUPABASE_SECRET_KEY", anon)
    assert "found a legacy anon key" in said(part("settings")["settings"])


def test_a_clock_that_is_off_is_found(right: dict[str, str]) -> None:
    found = part("project", lambda: time.time() + 60) | part("functions", lambda: time.time() + 60)
    for name in ("clock of the database", "clock of the functions"):
        assert "60 s behind this machine's" in found[name].found or "59 s" in found[name].found
        assert "NTP" in said(found[name])


@pytest.mark.parametrize(
    ("refusals", "check", "words"),
    [
        ({"stranger": None, "public": None}, "Realtime for strangers", "a stranger may join a private topic"),
        (
            {"stranger": "no", "public": "no", "user": "Unauthorized", "another": "no"},
            "Realtime for users",
            "a user is refused at their own topic: Unauthorized",
        ),
        (
            {"stranger": "no", "public": "no", "user": None, "another": None},
            "Realtime for users",
            "a user may join another's topic",
        ),
    ],
)
def test_a_join_that_goes_wrong_is_found(refusals: dict[str, str | None], check: str, words: str) -> None:
    assert words in said(wrong(_doctor.of_joins(refusals))[check])


@contextmanager
def exposed(stack: RunningStack, schemas: str) -> Iterator[None]:
    """PostgREST with other schemas for a while, as a project has it before `milepost` is added."""
    stack.sql(f"alter role authenticator set pgrst.db_schemas = '{schemas}'")
    stack.sql("notify pgrst, 'reload config'")
    try:
        yield
    finally:
        stack.sql("alter role authenticator reset pgrst.db_schemas")
        stack.sql("notify pgrst, 'reload config'")


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_schema_that_is_not_exposed_is_found(right: dict[str, str], stack: RunningStack) -> None:
    with exposed(stack, "public"):
        until(lambda: "the schema is not exposed" in str(part("project").get("database")))
        assert "Add `milepost` to the exposed schemas" in said(part("project")["database"])
    until(lambda: not part("project"))


@contextmanager
def functions(answers: dict[str, tuple[int, object]]) -> Iterator[str]:
    """Functions that answer as told: faults that ours do not have."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers.get(self.path, (404, {}))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_secret_key_that_everybody_can_read_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"supabase_url": "https://abc.supabase.co", "publishable_key": "sb_secret_a"}
    with functions({"/health": (200, {}), "/cron/sweep": (401, {}), "/config.json": (200, told)}) as url:
        monkeypatch.setenv("MILEPOST_URL", url)
        assert "SECRET key" in said(part("functions")["page"])


def test_a_cron_that_is_open_to_strangers_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with functions({"/health": (200, {}), "/cron/sweep": (200, {})}) as url:
        monkeypatch.setenv("MILEPOST_URL", url)
        assert "/cron/sweep works with 'no secret'" in said(part("functions")["CRON_SECRET"])


def test_functions_that_do_not_reach_their_database_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = {"code": "database_unavailable", "message": "The database cannot be reached.", "hint": "Wait."}
    with functions({"/health": (503, answer)}) as url:
        monkeypatch.setenv("MILEPOST_URL", url)
        assert "/health answers 503: The database cannot be reached." in said(part("functions")["functions"])


@pytest.mark.parametrize(
    ("fault", "check", "words"),
    [
        ("drop extension pg_trgm cascade", "extension pg_trgm", "create extension pg_trgm"),
        ('drop policy "members hear their milepost topics" on realtime.messages', "Realtime's rules", "nobody hears"),
        ("alter table realtime.messages disable row level security", "Realtime's rules", "everybody hears all"),
        ("alter publication supabase_realtime drop table milepost.events", "Realtime's rules", "not in supabase_realtime"),
        ("alter table milepost.jobs disable row level security", "row level security", "milepost.jobs"),
        ("grant usage on schema milepost to anon; grant select on milepost.jobs to anon", "privileges of anon", "milepost.jobs"),
        ("revoke execute on function milepost.sweep(timestamptz) from service_role", "privileges of the service", "sweep"),
        ("revoke select on milepost.jobs from authenticated", "privileges of users", "milepost.jobs"),
        ("create or replace function milepost.schema_version() returns text language plpgsql stable set search_path = '' as $$ begin return '99.0.0'; end $$", "schema version", "the schema is 99.0.0, this package"),
        ("do $$ declare t text; begin for t in select inhrelid::regclass::text from pg_inherits where inhparent = 'milepost.events'::regclass and inhrelid::regclass::text ~ '\\d$' loop execute 'drop table ' || t; end loop; end $$", "partitions", "nothing sweeps"),
    ],
)  # fmt: skip
def test_a_fault_in_the_database_is_found(new_database: Any, fault: str, check: str, words: str) -> None:
    database: Database = new_database()
    with database.acting("service_role"):
        assert wrong(of_database(database.call("installation"))) == {}
    for statement in [fault] if "$$" in fault else fault.split(";"):
        database.rows(statement)
    found = wrong(of_database(database.call("installation")))
    assert list(found) == [check]
    assert words in said(found[check])


def test_what_pg_cron_does_not_do_is_found(new_database: Any) -> None:
    database: Database = new_database()
    database.rows("set allow_system_table_mods = on")
    database.connection.execute(PG_CRON.encode())
    assert set(wrong(of_database(database.call("installation")))) == {
        "schedule milepost-sweep", "schedule milepost-alerts", "schedule milepost-purge", "schedule milepost-prune"
    }  # fmt: skip
    database.connection.execute((ROOT / "sql/schema/82_cron.sql").read_bytes())
    assert wrong(of_database(database.call("installation"))) == {}

    runs = "insert into cron.job_run_details (jobid, status, return_message, start_time) select jobid, %s, %s, now() - %s::interval from cron.job where jobname = %s"
    database.rows(runs, "succeeded", "", "1 second", "milepost-sweep")
    database.rows(runs, "failed", "out of memory", "1 second", "milepost-alerts")
    database.rows(runs, "succeeded", "", "3 hours", "milepost-purge")
    database.rows("update cron.job set active = false where jobname = 'milepost-prune'")
    found = wrong(of_database(database.call("installation")))
    assert "failed: out of memory" in found.pop("schedule milepost-alerts").found
    assert "ran last 3:00:00 ago" in found.pop("schedule milepost-purge").found
    assert "switched off" in found.pop("schedule milepost-prune").found
    assert found == {}
