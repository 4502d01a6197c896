"""The world that the doors are asked in, and the functions in this process before its PostgREST."""

from collections.abc import Iterator

import pytest
from cast import SECRET, World
from werkzeug.test import Client

from functions import callers, database, health, wsgi
from functions.connections import Connections
from milepost.local.postgres import Postgres


@pytest.fixture(scope="session")
def world(cluster: Postgres) -> Iterator[World]:
    with World.of(cluster) as world:
        yield world


@pytest.fixture
def api(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """Sends requests to the functions, which ask the world's PostgREST without a gateway between."""
    settings = {
        "SUPABASE_URL": world.url,
        "SUPABASE_SERVICE_ROLE_KEY": world.token("service"),
        "SUPABASE_ANON_KEY": world.token("anonymous"),
        "SUPABASE_JWT_SECRET": SECRET,
        "CRON_SECRET": world.cron_secret,
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    connections = Connections(world.url)
    monkeypatch.setattr(database, "connections", lambda: connections)
    health.answers.clear()
    yield Client(wsgi.app)
    health.answers.clear()
    connections.close()
    callers.jwks.cache_clear()
