"""Scenarios of other progress monitors, on the local stack, each with a tenant of its own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from documents import Block, settings
from programs import Program
from running_stack import RunningStack, Tenant
from talking import Api


@pytest.fixture
def tenant(stack: RunningStack) -> Tenant:
    return stack.tenant()


@pytest.fixture
def api(stack: RunningStack, tenant: Tenant) -> Iterator[Api]:
    """The API as an operator's program calls it."""
    asking = Api(stack, tenant.operator_key)
    yield asking
    asking.close()


@pytest.fixture
def start(stack: RunningStack, tenant: Tenant, tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Starts a block of a page as a program with a worker's key, beside the modules that a reader would have."""
    with ExitStack() as running:

        def run(block: Block, *arguments: str, **environment: str) -> Program:
            said = {"MILEPOST_KEY": tenant.worker_key, "PYTHONPATH": str(tmp_path)} | environment
            return running.enter_context(
                Program(block, tmp_path, settings(stack, tenant, **said), *arguments)
            )

        yield run
