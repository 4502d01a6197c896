"""Tenants, keys and members from the command line, against the real stack."""

import json

import httpx
import pytest
from running_stack import RunningStack, Tenant
from terminal import Milepost


@pytest.fixture
def settings(stack: RunningStack) -> dict[str, str]:
    """The functions' environment."""
    return {
        "SUPABASE_URL": stack.supabase_url,
        "SUPABASE_SECRET_KEY": stack.secret_key,
        "SUPABASE_JWT_SECRET": stack.jwt_secret,
    }


def jobs(stack: RunningStack, key: str) -> httpx.Response:
    return httpx.get(f"{stack.api_url}/v1/jobs", headers={"Authorization": f"Bearer {key}"})


def test_a_new_tenant_comes_with_keys_and_a_local_user_that_work(
    milepost: Milepost, stack: RunningStack, settings: dict[str, str]
) -> None:
    made = json.loads(milepost("tenants", "create", "acme", "--json", **settings).stdout)
    assert set(made) == {"tenant_id", "worker_key", "operator_key", "user_jwt"}
    for key in ("worker_key", "operator_key", "user_jwt"):
        answer = jobs(stack, made[key])
        assert (answer.status_code, answer.json()["jobs"]) == (200, [])


def test_elsewhere_than_on_this_machine_there_is_no_local_user(
    milepost: Milepost, settings: dict[str, str]
) -> None:
    del settings["SUPABASE_JWT_SECRET"]
    made = json.loads(milepost("tenants", "create", "acme", "--json", **settings).stdout)
    assert set(made) == {"tenant_id", "worker_key", "operator_key"}


def test_a_key_is_made_listed_and_revoked(
    milepost: Milepost, stack: RunningStack, tenant: Tenant, settings: dict[str, str]
) -> None:
    settings["MILEPOST_TENANT"] = tenant.tenant_id
    made = json.loads(
        milepost("keys", "create", "--scope", "worker", "--name", "ci", "--json", **settings).stdout
    )
    assert made["key"].startswith("mp_")
    assert jobs(stack, made["key"]).status_code == 200
    listed = json.loads(milepost("keys", "list", "--json", **settings).stdout)
    (found,) = [key for key in listed if key["key_id"] == made["key_id"]]
    assert (found["scope"], found["name"], found["revoked_at"]) == ("worker", "ci", None)
    assert made["key"] not in json.dumps(listed)
    assert "ci" in milepost("keys", "list", "--tenant", tenant.tenant_id, **settings).stdout
    assert milepost("keys", "revoke", made["key_id"], **settings).returncode == 0
    assert jobs(stack, made["key"]).status_code == 401


def test_a_key_may_end_by_itself_and_be_for_some_kinds_only(
    milepost: Milepost, stack: RunningStack, tenant: Tenant, settings: dict[str, str]
) -> None:
    settings["MILEPOST_TENANT"] = tenant.tenant_id
    options = ["--days", "90", "--kind", "csv", "--kind", "video"]
    made = json.loads(milepost("keys", "create", "--scope", "worker", *options, "--json", **settings).stdout)
    assert made["kinds"] == ["csv", "video"]
    (row,) = stack.sql(
        "select expires_at > now() + interval '89 days' as is_far from milepost_private.keys where key_id = %s",
        (made["key_id"],),
    )
    assert row["is_far"]
    listed = milepost("keys", "list", **settings).stdout
    assert "csv, video" in " ".join(listed.split())


def test_members_are_added_listed_and_removed(
    milepost: Milepost, stack: RunningStack, tenant: Tenant, settings: dict[str, str]
) -> None:
    settings["MILEPOST_TENANT"] = tenant.tenant_id
    user = tenant.stranger.user_id
    assert milepost("members", "add", "--user", user, "--role", "viewer", **settings).returncode == 0
    listed = json.loads(milepost("members", "list", "--json", **settings).stdout)
    assert {member["user_id"]: member["role"] for member in listed}[user] == "viewer"
    assert user in milepost("members", "list", **settings).stdout
    assert milepost("members", "remove", "--user", user, **settings).returncode == 0
    gone = milepost("members", "remove", "--user", user, **settings)
    assert (gone.returncode, "Expected the id of a member" in gone.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["keys", "create", "--scope", "worker"], 2, "Expected a tenant, found none."),
        (["keys", "create", "--scope", "admin"], 2, "'admin' is not one of"),
        (["keys", "list", "--tenant", "me"], 1, "Error: "),
        (
            ["keys", "create", "--scope", "worker", "--tenant", "00000000-0000-0000-0000-000000000000"],
            1,
            "Expected the id of a tenant",
        ),
        (["keys", "revoke", "00000000-0000-0000-0000-000000000000"], 1, "Expected the id of a key"),
    ],
)
def test_what_cannot_be_is_said(
    milepost: Milepost, settings: dict[str, str], arguments: list[str], code: int, said: str
) -> None:
    done = milepost(*arguments, **settings)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_functions_environment_it_says_so(milepost: Milepost) -> None:
    done = milepost("tenants", "create", "acme")
    assert done.returncode == 2
    assert "Expected SUPABASE_URL and SUPABASE_SECRET_KEY" in done.stderr


def test_a_database_that_is_not_there_is_exit_code_3(milepost: Milepost, settings: dict[str, str]) -> None:
    done = milepost("tenants", "create", "acme", **settings | {"SUPABASE_URL": "http://127.0.0.1:9"})
    assert done.returncode == 3
