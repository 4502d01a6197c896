"""`watch` looks again at once when Realtime hints at a change."""

import pytest
from running_stack import RunningStack, Tenant

import milepost
from milepost._client import Client
from milepost.cli.feed import Hints


def test_a_realtime_message_wakes_it_before_its_next_poll(
    stack: RunningStack, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPABASE_URL", stack.supabase_url)
    monkeypatch.setenv("SUPABASE_PUBLISHABLE_KEY", stack.publishable_key)
    monkeypatch.setenv("MILEPOST_KEY", tenant.owner.jwt)
    operator = Client(stack.api_url, tenant.operator_key)
    with (
        milepost.job("import", url=stack.api_url, key=tenant.worker_key) as job,
        Hints(f"job:{job.job_id}", poll_s=0.2) as hints,
    ):
        # Changes until the channel has been joined, for which there is no other sign.
        for _ in range(100):
            operator.control("pause", "import")
            operator.control("resume", "import")
            if hints.wait():
                break
        else:
            pytest.fail("No message came from Realtime.")
    operator.close()


def test_without_a_user_s_token_it_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPABASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("SUPABASE_PUBLISHABLE_KEY", "sb_publishable_x")
    monkeypatch.setenv("MILEPOST_KEY", "mp_worker")
    with Hints("job:1", poll_s=0.01) as hints:
        assert hints.wait() is False
