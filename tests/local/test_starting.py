"""What `milepost dev` prints, keeps and refuses."""

import shutil
import signal
import socket
import stat
from dataclasses import asdict
from pathlib import Path

import httpx
import psycopg
import pytest
from dev_process import dev, open_to_others
from running_stack import RunningStack

from milepost.local import CHECKOUT, LocalStackError
from milepost.local.stack import DISK_NEEDED_BYTES, Stack

PRINTED = """
    api_url supabase_url realtime_url dashboard_url database_url publishable_key secret_key jwt_secret
    worker_key operator_key tenant_id cron_secret user_jwt env_file
""".split()  # noqa: SIM905 - fourteen quoted lines would say no more


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return open_to_others(tmp_path) / "data"


def test_the_cast_of_a_test_is_who_it_says(stack: RunningStack) -> None:
    tenant, other = stack.tenant(), stack.tenant()
    assert tenant.tenant_id != other.tenant_id
    roles = stack.sql(
        "select user_id::text, role from milepost.members where tenant_id = %s", (tenant.tenant_id,)
    )
    assert {row["user_id"]: row["role"] for row in roles} == {
        tenant.owner.user_id: "admin",
        tenant.teammate.user_id: "viewer",
    }
    url = f"{stack.supabase_url}/rest/v1/tenants?select=tenant_id"
    for person, sees_it in ((tenant.owner, True), (tenant.teammate, True), (tenant.stranger, False)):
        headers = {"apikey": stack.publishable_key, "Authorization": f"Bearer {person.jwt}"}
        seen = httpx.get(url, headers={**headers, "Accept-Profile": "milepost"}).json()
        assert ({"tenant_id": tenant.tenant_id} in seen) is sees_it


def test_it_prints_where_it_is_and_what_opens_it(stack: RunningStack) -> None:
    printed = asdict(stack.access)
    assert list(printed) == PRINTED
    assert all(printed.values()), "no field is empty"
    port = stack.api_url.rpartition(":")[2]
    assert stack.realtime_url == f"ws://127.0.0.1:{port}/realtime/v1"
    assert stack.dashboard_url == f"{stack.api_url}/#access_token={stack.user_jwt}"


def test_the_env_file_is_for_its_owner_and_has_what_functions_and_clients_need(stack: RunningStack) -> None:
    file = Path(stack.env_file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    settings = dict(line.split("=", 1) for line in file.read_text().splitlines())
    assert settings == {
        "SUPABASE_URL": stack.supabase_url,
        "SUPABASE_SECRET_KEY": stack.secret_key,
        "SUPABASE_PUBLISHABLE_KEY": stack.publishable_key,
        "SUPABASE_JWT_SECRET": stack.jwt_secret,
        "CRON_SECRET": stack.cron_secret,
        "MILEPOST_URL": stack.api_url,
        "MILEPOST_KEY": stack.operator_key,
        "MILEPOST_TENANT": stack.tenant_id,
        "MILEPOST_DATABASE_URL": stack.database_url,
    }


def test_a_data_folder_keeps_data_and_keys_and_serves_one_stack_at_a_time(data: Path) -> None:
    with dev("--data", str(data)) as running:
        before = running.ready()
        with psycopg.connect(before.database_url) as connection:
            connection.execute("create table public.kept as select 42 as answer")
            assert connection.execute("show fsync").fetchone() == ("on",)
        with dev("--data", str(data)) as second:
            assert second.process.wait() == 1
            assert "Another stack runs on the data" in second.stderr.read()
        assert running.end(signal.SIGINT) == (0, "")
    with dev("--data", str(data)) as running:
        after = running.ready()
        with psycopg.connect(after.database_url) as connection:
            assert connection.execute("select answer from public.kept").fetchone() == (42,)
    kept = (
        "publishable_key",
        "secret_key",
        "jwt_secret",
        "worker_key",
        "operator_key",
        "tenant_id",
        "cron_secret",
    )
    assert {name: getattr(before, name) for name in kept} == {name: getattr(after, name) for name in kept}


def test_a_data_folder_survives_kill_9(data: Path) -> None:
    with dev("--data", str(data)) as running:
        with psycopg.connect(running.ready().database_url) as connection:
            connection.execute("create table public.kept as select 42 as answer")
        running.end(signal.SIGKILL)
    # Perhaps while the first one's processes are still on their way out.
    with dev("--data", str(data)) as running, psycopg.connect(running.ready().database_url) as connection:
        assert connection.execute("select answer from public.kept").fetchone() == (42,)


def test_a_data_folder_that_is_a_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with dev("--data", str(tmp_path / "file")) as running:
        assert running.process.wait() == 1
        assert running.stderr.read().startswith(f"milepost: The folder {tmp_path}/file cannot be used")


@pytest.mark.parametrize("port", ["-1", "65536"])
def test_an_impossible_port_says_so(port: str) -> None:
    with dev(f"--port={port}") as running:
        assert running.process.wait() == 1
        assert f"found {port}" in running.stderr.read()


def test_a_taken_port_says_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with dev("--port", str(port)) as running:
            assert running.process.wait() == 1
            said = running.stderr.read()
    assert f"Port {port} on 127.0.0.1 is taken by another process." in said
    assert "--port" in said


def test_missing_npm_packages_say_so(tmp_path: Path) -> None:
    for part in ("milepost", "functions", "sql"):
        shutil.copytree(CHECKOUT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    with dev(checkout=tmp_path) as running:
        assert running.process.wait() == 1
        said = running.stderr.read()
    assert "@embedded-postgres/" in said
    assert "make setup" in said
    assert "Traceback" not in said


def test_a_full_disk_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = DISK_NEEDED_BYTES - 1

    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage)
    with pytest.raises(LocalStackError, match="needs 300 MB of disk space"):
        Stack()._prepare_folder()
