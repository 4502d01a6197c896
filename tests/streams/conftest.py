"""The local stack, with a tenant of its own for each test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest
from running_stack import RunningStack, Tenant
from talking import Api


@pytest.fixture
def tenant(stack: RunningStack) -> Tenant:
    return stack.tenant()


@pytest.fixture
def api(stack: RunningStack) -> Iterator[Callable[[str], Api]]:
    """The API as the holder of a key or token calls it."""
    with ExitStack() as opened:
        yield lambda key: opened.enter_context(closing(Api(stack, key)))


@pytest.fixture
def worker(api: Callable[[str], Api], tenant: Tenant) -> Api:
    return api(tenant.worker_key)
