"""The command line against the real local stack, with a tenant of its own for each test."""

import pytest
from running_stack import RunningStack, Tenant
from terminal import Milepost


@pytest.fixture
def tenant(stack: RunningStack) -> Tenant:
    return stack.tenant()


@pytest.fixture
def milepost(stack: RunningStack, tenant: Tenant) -> Milepost:
    """`milepost ...` with an operator's key."""
    return Milepost({"MILEPOST_URL": stack.api_url, "MILEPOST_KEY": tenant.operator_key})


@pytest.fixture
def job(stack: RunningStack, tenant: Tenant) -> str:
    """A job that has been tracked to its end, with stages and a failed item."""
    import milepost

    lane = milepost.job("import", items_total=4, unit="rows", url=stack.api_url, key=tenant.worker_key)
    with lane as running:
        running.advance(3, bytes=2_000_000, message="three of [four]")
        running.advance(failed=1)
        running.item("row 4", "failed", error="no date")
    return "import"
