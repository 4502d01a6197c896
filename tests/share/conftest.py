"""The local stack, with a tenant of its own for each test."""

from collections.abc import Iterator

import pytest
from running_stack import RunningStack, Tenant
from sharing import Asking


@pytest.fixture
def tenant(stack: RunningStack) -> Tenant:
    return stack.tenant()


@pytest.fixture(scope="session")
def api(stack: RunningStack) -> Iterator[Asking]:
    asking = Asking(stack)
    yield asking
    asking.http.close()
