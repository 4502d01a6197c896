"""Every snippet of docs/sharing.md does what is said of it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from documents import named
from running_stack import RunningStack, Tenant
from sharing import Asking
from test_share_in_browsers import CHROMIUM, run_in_chromium

ROOT = Path(__file__).parents[2]
SNIPPETS = {name: block.code for name, block in named("docs/sharing.md").items()}
PRINTED = {
    "make": r"^http://\S+/shared\.html#sh_[\w-]{43}\n$",
    "manage": r"{share_id}[^$]*\n{share_id} is revoked\.\n$",
    "api": r'"token": ?"sh_[^$]*"shares": ?\[[^$]*"revoked": ?true',
    "read": r'"percent_complete": ?40\b',
}


def test_every_snippet_is_run() -> None:
    assert set(SNIPPETS) == {*PRINTED, "badge", "embed", "signed-in"}


@pytest.mark.parametrize("name", PRINTED)
def test_the_command_prints_what_is_said(api: Asking, stack: RunningStack, tenant: Tenant, name: str) -> None:
    api.checkpoint(tenant, job="nightly-import", items_total=10, items_completed=4)
    share = api.share(tenant, "nightly-import")
    settings = {
        "MILEPOST_URL": stack.api_url,
        "MILEPOST_KEY": tenant.operator_key,
        "SHARE_ID": share["share_id"],
        "SHARE_TOKEN": share["token"],
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    ran = subprocess.run(
        ["bash", "-e"],
        input=SNIPPETS[name],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    assert re.search(PRINTED[name].replace("{share_id}", share["share_id"]), ran.stdout), ran.stdout


def test_the_badges_address_is_an_image(api: Asking, stack: RunningStack, tenant: Tenant) -> None:
    api.checkpoint(tenant, job="nightly-import", items_total=10, items_completed=4)
    address = re.search(r"\((https://milepost\.example/\S+)\)", SNIPPETS["badge"])
    assert address is not None
    path = address[1].removeprefix("https://milepost.example")
    path = path.replace("sh_...", api.share(tenant, "nightly-import")["token"])
    assert api.get(path).headers["Content-Type"].startswith("image/svg+xml")


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium, or set CHROMIUM")
def test_the_embeds_show_the_job(api: Asking, stack: RunningStack, tenant: Tenant) -> None:
    api.checkpoint(tenant, job="nightly-import", items_total=10, items_completed=4)
    token = api.share(tenant, "nightly-import")["token"]
    pages = {
        name: SNIPPETS[name].replace("https://milepost.example", stack.api_url).replace("sh_...", token)
        for name in ("embed", "signed-in")
    }
    run_in_chromium("docs", {"url": stack.api_url, "pages": pages, "token": tenant.teammate.jwt})
    assert json.dumps(pages).count(stack.api_url) == 3


def test_the_sign_in_is_configured_with_the_fields_that_the_page_knows() -> None:
    said = named("docs/signing-in.md")["config"].code
    assert json.loads(said).keys() == json.loads((ROOT / "public/config.json").read_text()).keys()
