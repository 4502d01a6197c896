"""The embed, shared.html and the sign-in in Chromium: node's test runner drives them, on the local stack's data."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from running_stack import RunningStack

from milepost.local import CHECKOUT

HERE = Path(__file__).parent
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
TENANTS = {"embed": 11, "shared": 6, "signin": 11}


def run_in_chromium(name: str, stage: object) -> None:
    """Runs a file of node's tests; they find `stage` in the environment."""
    options = ("--test", "--test-force-exit", "--test-timeout=120000", "--test-reporter=spec")
    ran = subprocess.run(
        ["node", *options, HERE / f"{name}.test.mjs"],
        cwd=CHECKOUT,
        env=os.environ | {"STAGE": json.dumps(stage), "CHROMIUM": str(CHROMIUM)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium, or set CHROMIUM")
@pytest.mark.parametrize("name", TENANTS)
def test_people_see_and_do_it_in_a_browser(name: str, stack: RunningStack) -> None:
    subprocess.run(["node", "scripts/vendor.mjs"], cwd=CHECKOUT, check=True)
    cast = [
        {
            "tenant_id": tenant.tenant_id,
            "user_id": tenant.owner.user_id,
            "worker_key": tenant.worker_key,
            "operator_key": tenant.operator_key,
            "owner": tenant.owner.jwt,
            "teammate": tenant.teammate.jwt,
            "stranger": tenant.stranger.jwt,
        }
        for tenant in (stack.tenant() for _ in range(TENANTS[name]))
    ]
    stage = {"url": stack.api_url, "publishable_key": stack.publishable_key, "jwt_secret": stack.jwt_secret}
    run_in_chromium(name, stage | {"tenants": cast})
