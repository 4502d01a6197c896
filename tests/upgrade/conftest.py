"""A database for each test: it changes what others would share."""

from collections.abc import Callable

import pytest
from scratch_database import Database


@pytest.fixture
def database(new_database: Callable[[], Database]) -> Database:
    return new_database()
