"""A database for the tests of a file, and a tenant for each."""

from collections.abc import Callable

import pytest
from scratch_database import Database


@pytest.fixture(scope="module")
def database(new_database: Callable[[], Database]) -> Database:
    """One for the tests of a file, which keep apart by their tenants or undo what they did."""
    return new_database()


@pytest.fixture
def tenant(database: Database) -> str:
    """A tenant for one test."""
    return database.tenant()
