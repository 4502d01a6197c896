"""The page and its JavaScript client: node's test runner drives them, on the local stack's data."""

import json
import os
import shutil
import subprocess
import time
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from running_stack import RunningStack, Tenant

from milepost.local import CHECKOUT

HERE = Path(__file__).parent
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
VERBS = "import { VERBS } from './public/controls.js'; console.log(JSON.stringify(VERBS))"


def node(*arguments: str, stage: object = None, timeout_s: float = 200) -> str:
    ran = subprocess.run(
        ["node", *arguments],
        cwd=CHECKOUT,
        env=os.environ | {"STAGE": json.dumps(stage)} | ({"CHROMIUM": CHROMIUM} if CHROMIUM else {}),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def run_tests(file: str, stage: object = None) -> None:
    # A watch that a failed test left open must not keep node from ending.
    options = ("--test", "--test-force-exit", "--test-timeout=180000", "--test-reporter=spec")
    node(*options, str(HERE / file), stage=stage)


def stage(stack: RunningStack, tenants: int) -> dict[str, object]:
    """What stage.mjs hands to the tests, a tenant of its own for each."""

    def described(tenant: Tenant, other: Tenant) -> dict[str, str]:
        both = stack.person()
        stack.sql(
            "insert into milepost.members (tenant_id, user_id, role) values (%s, %s, 'admin'), (%s, %s, 'viewer')",
            (tenant.tenant_id, both.user_id, other.tenant_id, both.user_id),
        )
        expired = stack.jwt(tenant.owner.user_id, exp=int(time.time()) - 60)
        return {
            "tenant_id": tenant.tenant_id,
            "worker_key": tenant.worker_key,
            "operator_key": tenant.operator_key,
            "owner": tenant.owner.jwt,
            "teammate": tenant.teammate.jwt,
            "stranger": tenant.stranger.jwt,
            "expired": expired,
            # Of this tenant an admin, of the next one a viewer.
            "both": both.jwt,
        }

    cast = [stack.tenant() for _ in range(tenants)]
    # No message is held back for economy: the tests lose enough of them.
    stack.sql(
        "update milepost.tenants set progress_interval_ms = 0, messages_per_s = 100000"
        " where tenant_id = any (%s::uuid[])",
        ([tenant.tenant_id for tenant in cast],),
    )
    return {
        "url": stack.api_url,
        "publishable_key": stack.publishable_key,
        "tenants": [described(*pair) for pair in pairwise([*cast, cast[0]])],
    }


def test_a_course_is_what_the_checkpoints_told() -> None:
    run_tests("course.test.mjs")


def test_the_client_is_right_in_a_world_that_misbehaves() -> None:
    run_tests("milepost.test.mjs")


def test_the_client_is_right_with_supabase_js_and_a_realtime_that_misbehaves(stack: RunningStack) -> None:
    run_tests("standin.test.mjs", stage(stack, tenants=6))


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium, or set CHROMIUM")
@pytest.mark.parametrize("part", ["page", "list", "job", "access"])
def test_the_page_does_what_people_do_and_shows_what_they_need(stack: RunningStack, part: str) -> None:
    node("scripts/vendor.mjs")
    run_tests(f"{part}.test.mjs", stage(stack, tenants=20))


def test_the_page_learns_from_the_gateway_where_it_is(stack: RunningStack) -> None:
    assert httpx.get(f"{stack.api_url}/config.json").json() == {
        "supabase_url": stack.api_url,
        "publishable_key": stack.publishable_key,
        "api_url": stack.api_url,
    }


def test_the_page_offers_the_controls_that_the_state_machine_permits(stack: RunningStack) -> None:
    rows = stack.sql(
        "select verb, array_agg(distinct prior_state) as states from milepost_private.transitions"
        " where verb in ('pause', 'resume', 'cancel', 'retry') group by verb"
    )
    offered = json.loads(node("--input-type=module", "-e", VERBS))
    assert {verb: sorted(said["from"]) for verb, said in offered.items()} == {
        row["verb"]: sorted(row["states"]) for row in rows
    }
