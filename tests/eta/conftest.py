"""Jobs in the database of the local stack, each test with a tenant of its own."""

from collections.abc import Iterator

import psycopg
import pytest
from running_stack import RunningStack, Tenant
from tracked import Row, Tracked, connect


@pytest.fixture(scope="session")
def connection(stack: RunningStack) -> Iterator[psycopg.Connection[Row]]:
    with connect(stack.database_url) as connection:
        yield connection


@pytest.fixture
def tenant(stack: RunningStack) -> Tenant:
    return stack.tenant()


@pytest.fixture
def tracked(connection: psycopg.Connection[Row], tenant: Tenant) -> Tracked:
    return Tracked(connection, tenant.tenant_id)
