"""Fixtures that every part's tests share."""

import itertools
import os
import signal
from collections.abc import Callable, Iterator

import pytest
from hypothesis import settings
from running_stack import RunningStack
from scratch_database import Database, install

from milepost.local.postgres import Postgres
from milepost.local.running import running

TEMPLATE = "milepost_template"


# How long an example takes is the machine's business.
settings.register_profile("milepost", deadline=None)
settings.load_profile("milepost")


def pytest_configure() -> None:
    # A shell begins what runs in the background deaf to Ctrl-C, and so would be all that tests start.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # A test must not reach a project that the developer happens to be signed in to.
    for name in tuple(os.environ):
        if name.startswith(("MILEPOST_", "SUPABASE_")):
            del os.environ[name]


@pytest.fixture(scope="session")
def stack() -> Iterator[RunningStack]:
    """The whole local stack, started once for the session."""
    with running(allow_misbehaviour=True) as access:
        yield RunningStack(access)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Postgres]:
    """A Postgres with a template that has the schema, built once, of which databases are copies."""
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
