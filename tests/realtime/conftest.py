"""One Postgres with a project in it for all tests of the stand-in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from milepost.local import CHECKOUT
from milepost.local.postgres import Postgres

LOCAL = CHECKOUT / "milepost/local"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Postgres]:
    with Postgres() as postgres:
        with postgres.connect() as connection:
            for file in (
                LOCAL / "supabase.sql",
                LOCAL / "realtime/schema.sql",
                Path(__file__).with_name("project.sql"),
            ):
                connection.execute(file.read_text())
        yield postgres
