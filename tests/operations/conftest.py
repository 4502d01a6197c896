"""The local stack, with a tenant of its own for each test."""

import pytest
from running_stack import RunningStack, Tenant


@pytest.fixture
def tenant(stack: RunningStack) -> Tenant:
    return stack.tenant()
