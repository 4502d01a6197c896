"""A database for the tests of a file, a tenant for each, and a database with a week of jobs."""

from collections.abc import Callable

import pytest
from scratch_database import Database
from seeded import SEED


@pytest.fixture(scope="module")
def database(new_database: Callable[[], Database]) -> Database:
    """One for the tests of a file, which keep apart by their tenants or undo what they did."""
    return new_database()


@pytest.fixture
def tenant(database: Database) -> str:
    """A tenant for one test."""
    return database.tenant()


@pytest.fixture(scope="session")
def seeded(new_database: Callable[[], Database]) -> Database:
    """One with the week of supabase/seed.sql; tests of it only read."""
    database = new_database()
    database.connection.execute(SEED.read_bytes())
    return database
