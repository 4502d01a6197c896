"""One Postgres for these tests: a template with the schema, and copies of it."""

import itertools
from collections.abc import Callable, Iterator

import pytest
from scratch_database import Database, install
from seeded import SEED

from milepost.local.postgres import Postgres

TEMPLATE = "milepost_template"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Postgres]:
    with Postgres() as postgres:
        install(postgres.create_database(TEMPLATE))
        yield postgres


@pytest.fixture(scope="session")
def new_database(cluster: Postgres) -> Iterator[Callable[[], Database]]:
    """Makes a database with the schema that nobody else uses."""
    numbers, opened = itertools.count(1), []

    def make() -> Database:
        database = Database(cluster.create_database(f"scratch_{next(numbers)}", template=TEMPLATE))
        opened.append(database)
        return database

    yield make
    for database in opened:
        database.close()


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
