"""Supabase's own CLI, as far as it works without Docker: against a plain Postgres that has what a project has."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from milepost.local.postgres import Postgres
from milepost.local.stack import HERE

ROOT = Path(__file__).parents[2]
CLI = ROOT / "node_modules/@supabase/cli-linux-x64/bin/supabase"
TYPES = {"typescript": "milepost.ts", "python": "milepost.py"}


def supabase(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [CLI, *arguments], cwd=folder, env=os.environ | {"SUPABASE_TELEMETRY_DISABLED": "1"},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's project, with Milepost's supabase folder in it."""
    made = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "supabase", made / "supabase")
    return made


@pytest.fixture(scope="module")
def project(cluster: Postgres) -> Iterator[str]:
    url = cluster.create_database("pushed")
    with psycopg.connect(url, autocommit=True) as connection:
        for file in ("supabase.sql", "realtime/schema.sql"):
            connection.execute((HERE / file).read_bytes())
    yield url


@pytest.fixture(scope="module")
def pushed(folder: Path, project: str) -> str:
    """What `supabase db push` said."""
    return supabase(folder, "db", "push", "--yes", "--remote", project)


def test_it_applies_the_migrations(pushed: str, project: str) -> None:
    with psycopg.connect(project) as connection:
        assert connection.execute("select milepost.schema_version()").fetchone() is not None
        found = connection.execute("select version from supabase_migrations.schema_migrations").fetchall()
    migrations = {path.name.split("_")[0] for path in (ROOT / "supabase/migrations").glob("*.sql")}
    assert {version for (version,) in found} == migrations


def test_it_knows_every_word_of_config_toml(pushed: str) -> None:
    assert "WARN" not in pushed, pushed


def test_its_advisors_find_nothing(pushed: str, folder: Path, project: str) -> None:
    assert "No issues found" in supabase(folder, "db", "advisors", "--remote", project)


@pytest.mark.parametrize("language", TYPES)
def test_the_published_types_are_those_that_it_makes(
    pushed: str, folder: Path, project: str, language: str
) -> None:
    made = supabase(folder, "gen", "types", "--lang", language, "--schema", "milepost", "--remote", project)
    published = (ROOT / "supabase/types" / TYPES[language]).read_text()

    def lines(text: str) -> set[str]:
        return {line.strip() for line in text.splitlines() if re.search(r"\w", line)}

    missing = lines(published) - lines(made)
    assert not missing, f"run `make types`; not in the database any more: {sorted(missing)[:5]}"
    added = {
        line
        for line in lines(made) - lines(published)
        if not line.startswith(("▲", "Target:", "Connect", "Generated", "npx"))
    }
    assert not added, f"run `make types`; new in the database: {sorted(added)[:5]}"
