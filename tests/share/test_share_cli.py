"""`milepost share`: a link on stdout, what is said about it beside it."""

import json
import re

import pytest
from click.testing import CliRunner, Result
from running_stack import RunningStack, Tenant
from sharing import Asking

from milepost.cli import main


@pytest.fixture
def milepost(stack: RunningStack, tenant: Tenant) -> "Milepost":
    return Milepost({"MILEPOST_URL": stack.api_url, "MILEPOST_KEY": tenant.operator_key})


class Milepost:
    def __init__(self, settings: dict[str, str]) -> None:
        self.settings = settings

    def __call__(self, *arguments: str, **more: str) -> Result:
        return CliRunner().invoke(main, arguments, env=self.settings | more)


def test_a_link_is_printed_listed_and_revoked(
    api: Asking, stack: RunningStack, tenant: Tenant, milepost: Milepost
) -> None:
    api.checkpoint(tenant, job="import", items_total=10, items_completed=4)
    made = milepost("share", "import", "--for", "12h")
    assert made.exit_code == 0, made.output
    link = re.fullmatch(re.escape(stack.api_url) + r"/shared\.html#(sh_[\w-]{43})\n", made.stdout)
    assert link is not None
    assert "Holds until" in made.stderr
    assert api.get(f"/v1/shared/{link[1]}").status_code == 200
    (listed,) = json.loads(milepost("share", "import", "--list", "--json").stdout)["shares"]
    assert listed["share_id"] in milepost("share", "import", "--list").stdout
    ended = milepost("share", "--revoke", listed["share_id"])
    assert (ended.exit_code, ended.stdout) == (0, f"{listed['share_id']} is revoked.\n")
    assert api.get(f"/v1/shared/{link[1]}").status_code == 404
    assert milepost("share", "import", "--list").stdout == "There are no links to this job.\n"


def test_as_json_it_is_the_answer_with_the_link(api: Asking, tenant: Tenant, milepost: Milepost) -> None:
    api.checkpoint(tenant, job="import")
    made = json.loads(milepost("share", "import", "--json").stdout)
    assert made["link"].endswith(f"/shared.html#{made['token']}")
    assert {"share_id", "expires_at", "job_id"} <= made.keys()
    ended = json.loads(milepost("share", "--revoke", made["share_id"], "--json").stdout)
    assert ended == {"share_id": made["share_id"], "revoked": True}


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("import", "--for", "1s"),
        ("import", "--for", "0m"),
        ("import", "--for", "367d"),
        ("import", "--for", "week"),
        ("import", "--revoke", "x"),
        ("--list",),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(milepost: Milepost, arguments: tuple[str, ...]) -> None:
    said = milepost("share", *arguments)
    assert (said.exit_code, said.stdout) == (2, "")
    assert "xpected" in said.stderr or "--revoke takes" in said.stderr


def test_a_worker_key_may_not_share(api: Asking, tenant: Tenant, milepost: Milepost) -> None:
    api.checkpoint(tenant, job="import")
    said = milepost("share", "import", MILEPOST_KEY=tenant.worker_key)
    assert (said.exit_code, said.stdout) == (1, "")
    assert "operator key" in said.stderr
