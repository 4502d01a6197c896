"""Finished jobs in the database of the local stack, each test with a tenant of its own."""

from collections.abc import Callable, Iterator

import httpx
import pytest
from past import Past
from running_stack import RunningStack, Tenant


@pytest.fixture
def tenant(stack: RunningStack) -> Tenant:
    return stack.tenant()


@pytest.fixture
def past(stack: RunningStack, tenant: Tenant) -> Past:
    return Past(stack, tenant.tenant_id)


@pytest.fixture(scope="session")
def api(stack: RunningStack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.api_url, timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture
def ask(api: httpx.Client, tenant: Tenant) -> Callable[..., dict[str, object]]:
    """GET /v1/history with an operator's key; parameters as given."""

    def get(path: str = "/v1/history", **query: str) -> dict[str, object]:
        headers = {"Authorization": f"Bearer {tenant.operator_key}"}
        answer = api.get(path, params=query, headers=headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, object] = answer.json()
        return found

    return get
