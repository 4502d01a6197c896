"""These tests turn clocks and sweep, so they have a stack of their own and leave no job at work."""

from collections.abc import Iterator

import psycopg
import pytest
from clocked import Clocked
from loops import Loops
from running_stack import RunningStack, Tenant

from milepost.local.running import running


@pytest.fixture(scope="session")
def stack() -> Iterator[RunningStack]:
    with running() as access:
        yield RunningStack(access)


@pytest.fixture
def tenant(stack: RunningStack) -> Tenant:
    """A tenant whose jobs are the only ones."""
    stack.sql("delete from milepost.jobs")
    return stack.tenant()


@pytest.fixture
def clocked(stack: RunningStack, tenant: Tenant) -> Iterator[Clocked]:
    """The database at moments of the test's choosing, in a transaction that is undone."""
    with psycopg.connect(stack.database_url) as connection:
        yield Clocked(connection, tenant)
        connection.rollback()


@pytest.fixture
def loops(stack: RunningStack, tenant: Tenant) -> Iterator[Loops]:
    """Processes that work on jobs as the test tells them."""
    started = Loops(stack, tenant)
    yield started
    started.end()
