"""Settings: read in one place, documented in one table, refused in words where they cannot be."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from functions import settings as functions_settings
from milepost import _settings
from milepost._settings import Variable, kind_of_key, problems, variables
from milepost.errors import ConfigurationError

ROOT = Path(__file__).parents[2]
TABLES = {"functions": functions_settings.Settings, "clients": _settings.Settings}
NEEDED = {
    "SUPABASE_URL": "https://abc.supabase.co",
    "SUPABASE_SECRET_KEY": "sb_secret_a",
    "SUPABASE_PUBLISHABLE_KEY": "sb_publishable_a",
}


def legacy(role: str) -> str:
    return jwt.encode({"role": role}, "a secret that is long enough for HS256")


def row(variable: Variable[Any]) -> str:
    names = " or ".join(f"`{name}`" for name in variable.names)
    return f"| {names} | {'yes' if variable.is_needed else 'no'} | {variable.meaning} |"


@pytest.mark.parametrize("table", TABLES)
def test_the_table_is_what_the_code_reads(table: str) -> None:
    rows = [row(variable) for _, variable in variables(TABLES[table])]
    expected = "\n".join(["| variable | needed | is |", "| --- | --- | --- |", *rows])
    document = (ROOT / "docs/configuration.md").read_text()
    found = document.split(f"<!-- {table} -->\n")[1].split("\n<!-- end -->")[0]
    assert found == expected, (
        f"docs/configuration.md: expected between <!-- {table} --> and <!-- end -->:\n{expected}"
    )


def read_from_the_environment(tree: ast.AST) -> Iterator[ast.AST]:
    """os.environ["NAME"], os.environ.get(...), os.getenv(...): not the environment as a whole, for a child."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript | ast.Attribute) and ast.unparse(node.value) == "os.environ":
            if not (isinstance(node, ast.Attribute) and node.attr in ("items", "copy")):
                yield node
        elif isinstance(node, ast.Attribute) and ast.unparse(node) == "os.getenv":
            yield node


def test_nothing_else_reads_the_environment() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"  # type: ignore[attr-defined]
        for folder in ("functions", "milepost", "api")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path != ROOT / "milepost/_settings.py"
        for node in read_from_the_environment(ast.parse(path.read_text()))
    ]
    assert found == []


def test_that_rule_finds_what_it_is_for() -> None:
    for text in ("os.environ['A']", "os.environ.get('A')", "os.getenv('A')", "'A' in os.environ.keys()"):
        assert list(read_from_the_environment(ast.parse(text))), text
    assert not list(read_from_the_environment(ast.parse("run(env=os.environ | {'A': 'b'})")))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SUPABASE_URL", "abc.supabase.co", "SUPABASE_URL: expected an address that begins with http:// or https://, found 'abc.supabase.co'."),
        ("SUPABASE_URL", "https://", "expected an address that begins with"),
        ("SUPABASE_URL", "https://abc.supabase.co/rest/v1", "expected the project's address alone"),
        ("SUPABASE_URL", "https://abc.supabase.co:many", "expected an address that begins with"),
        ("SUPABASE_SECRET_KEY", "sb_publishable_a", "SUPABASE_SECRET_KEY: expected a secret key (sb_secret_...) of the Supabase project, found a publishable key."),
        ("SUPABASE_SECRET_KEY", legacy("anon"), "found a legacy anon key."),
        ("SUPABASE_SECRET_KEY", "mp_a", "found a Milepost key."),
        ("SUPABASE_SECRET_KEY", "sb_secret_a\n", "found something else."),
        ("SUPABASE_PUBLISHABLE_KEY", "sb_secret_a", "SUPABASE_PUBLISHABLE_KEY: expected a publishable key (sb_publishable_...) of the Supabase project, found a secret key."),
        ("SUPABASE_PUBLISHABLE_KEY", legacy("service_role"), "found a legacy service_role key."),
        ("THREADS", "many", "THREADS: expected a whole number of at least 1, found 'many'."),
        ("THREADS", "0", "expected a whole number of at least 1"),
        ("MILEPOST_ALLOW_PRIVATE_WEBHOOKS", "yes", "expected 1 or 0, found 'yes'."),
        ("MILEPOST_SMTP_URL", "me:hunter2@host", "MILEPOST_SMTP_URL: expected smtp://"),
        ("MILEPOST_EMAIL_API_URL", "ftp://host", "expected an address"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "expected an address"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_in_words(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for setting, right in (NEEDED | {name: value}).items():
        monkeypatch.setenv(setting, right)
    with pytest.raises(ConfigurationError) as refused:
        functions_settings.check()
    assert said in refused.value.message
    assert "docs/configuration.md" in refused.value.message
    if name.endswith("KEY") or "SMTP" in name:
        assert value not in refused.value.message, "a secret must not be repeated"


def test_all_that_is_missing_is_said_at_once() -> None:
    with pytest.raises(ConfigurationError) as refused:
        functions_settings.check()
    for name in NEEDED:
        assert f"{name}: expected in the environment, found none." in refused.value.message


def test_what_is_right_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    values = NEEDED | {
        "SUPABASE_URL": "https://abc.supabase.co/",
        "THREADS": "8",
        "MILEPOST_ALLOW_PRIVATE_WEBHOOKS": "1",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    assert problems(functions_settings.Settings) == []
    found = functions_settings.Settings
    assert (found.supabase_url, found.threads, found.cron_secret) == ("https://abc.supabase.co", 8, None)
    assert found.allows_private_webhooks is True


def test_the_older_name_of_a_key_serves_where_the_newer_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPABASE_SERVICE_ROLE_KEY", legacy("service_role"))
    assert functions_settings.Settings.secret_key == legacy("service_role")
    monkeypatch.setenv("SUPABASE_SECRET_KEY", "sb_secret_a")
    assert functions_settings.Settings.secret_key == "sb_secret_a"


def test_kinds_of_keys() -> None:
    assert kind_of_key(legacy("authenticated")) == "user token"
    assert kind_of_key("eyJlegacy") == "unreadable token"
    assert kind_of_key("") == "unknown"


def test_functions_that_are_set_up_wrongly_do_not_start() -> None:
    """Under functions-framework, as anywhere: they end at once and say why."""
    command = [sys.executable, "-m", "functions_framework", "--source=functions/main.py", "--target=api"]
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment | NEEDED | {"THREADS": "no"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert "THREADS: expected a whole number of at least 1, found 'no'." in done.stderr
