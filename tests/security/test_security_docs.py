"""What SECURITY.md says to type works, from the first admin to the last secret."""

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import documents
import httpx
import pytest
from cast import World
from running_stack import RunningStack, Tenant
from werkzeug.test import Client

from milepost.cli import main

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "SECURITY.md").read_text()
SNIPPETS = {name: block.code for name, block in documents.named("SECURITY.md").items()}


@pytest.fixture(scope="module")
def tenant(stack: RunningStack) -> Tenant:
    return stack.tenant()


def run(stack: RunningStack, name: str, **settings: str) -> str:
    """What the snippet prints, in the functions' environment."""
    environment = {
        **os.environ,
        **settings,
        "SUPABASE_URL": stack.supabase_url,
        "SUPABASE_SECRET_KEY": stack.secret_key,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    ran: subprocess.CompletedProcess[str] = subprocess.run(
        ["bash", "-e"], input=SNIPPETS[name], env=environment, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def as_user(stack: RunningStack, token: str, rpc: str, **arguments: str) -> httpx.Response:
    headers = {
        "apikey": stack.publishable_key,
        "Authorization": f"Bearer {token}",
        "Content-Profile": "milepost",
    }
    return httpx.post(f"{stack.supabase_url}/rest/v1/rpc/{rpc}", headers=headers, json=arguments, timeout=30)


def manages(stack: RunningStack, token: str) -> list[str]:
    """The scopes of the keys that an admin of just one tenant can list."""
    (tenant,) = as_user(stack, token, "list_tenants").json()
    assert tenant["role"] == "admin"
    answer = as_user(stack, token, "list_keys", tenant_id=tenant["tenant_id"])
    assert answer.status_code == 200, answer.text
    return [key["scope"] for key in answer.json()]


def test_every_snippet_is_run() -> None:
    assert set(SNIPPETS) == {"first-admin", "first-admin-sql", "renew-key"}


def test_one_command_makes_the_first_admin(stack: RunningStack) -> None:
    person = stack.person()
    assert as_user(stack, person.jwt, "list_tenants").json() == []
    printed = run(stack, "first-admin", USER_ID=person.user_id)
    assert len(re.findall(r"mp_\w{64}", re.sub(r"\s", "", printed))) == 2
    assert manages(stack, person.jwt) == ["worker", "operator"]


def test_one_statement_in_the_sql_editor_makes_the_first_admin(stack: RunningStack) -> None:
    person, address = stack.person(), "somebody@example.org"
    statement = SNIPPETS["first-admin-sql"].replace("you@example.org", address)
    before = stack.sql("select count(*) from milepost.tenants")
    assert stack.sql(statement) == []
    assert stack.sql("select count(*) from milepost.tenants") == before, "a tenant without an admin was made"
    stack.sql("update auth.users set email = %s where id = %s", (address, person.user_id))
    assert len(stack.sql(statement)) == 1
    assert manages(stack, person.jwt) == []


def test_a_key_is_renewed_by_three_commands(stack: RunningStack, tenant: Tenant) -> None:
    old = stack.sql(
        "select key_id::text from milepost_private.keys where tenant_id = %s and scope = 'worker'",
        (tenant.tenant_id,),
    )

    def status(key: str) -> int:
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.get(f"{stack.api_url}/v1/jobs", headers=headers, timeout=30).status_code

    assert status(tenant.worker_key) == 200
    printed = run(stack, "renew-key", TENANT=tenant.tenant_id, KEY_ID=old[0]["key_id"], COLUMNS="300")
    assert status(tenant.worker_key) == 401, "it is refused on the next request"
    (new,) = re.findall(r"mp_\w{64}", printed)
    assert status(new) == 200


def test_an_old_cron_secret_is_refused_once_the_functions_have_a_new_one(
    world: World, api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"Authorization": f"Bearer {world.cron_secret}"}
    assert api.get("/cron/sweep", headers=asked).status_code == 200
    monkeypatch.setenv("CRON_SECRET", "another")
    assert api.get("/cron/sweep", headers=asked).status_code == 401
    monkeypatch.delenv("CRON_SECRET")
    for secret in ("", "another"):
        assert api.get("/cron/sweep", headers={"Authorization": f"Bearer {secret}"}).status_code == 401


def test_a_new_secret_key_of_the_project_is_used_from_the_next_request_on(
    world: World, api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = world.headers("worker key")
    monkeypatch.setenv("SUPABASE_SERVICE_ROLE_KEY", world.token("anonymous"))
    assert api.get("/v1/jobs", headers=holder).status_code == 500
    monkeypatch.setenv("SUPABASE_SERVICE_ROLE_KEY", world.token("service"))
    assert api.get("/v1/jobs", headers=holder).status_code == 200


def test_every_command_that_the_page_names_is_there() -> None:
    named = re.findall(r"`milepost ([^`]+)`", TEXT)
    assert len(named) >= 5
    for said in named:
        command: click.Command = main
        for word in said.split():
            if isinstance(command, click.Group):
                found = command.get_command(click.Context(command), word)
                assert found is not None, said
                command = found
        known = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"--[a-z]+", said)) <= known, said
