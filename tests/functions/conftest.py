"""The functions in this process, before a small server in PostgREST's place."""

from collections.abc import Iterator

import pytest
from asking import JWT_SECRET
from fake_postgrest import FakePostgrest
from werkzeug.test import Client

from functions import callers, database, health, restraint, wsgi


@pytest.fixture(scope="session")
def running_fake() -> Iterator[FakePostgrest]:
    with FakePostgrest() as fake:
        yield fake


@pytest.fixture
def fake(running_fake: FakePostgrest, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePostgrest]:
    """PostgREST's place, with nothing asked yet, and the functions' environment pointing to it."""
    for name in ("SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_ANON_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SUPABASE_URL", running_fake.url)
    monkeypatch.setenv("SUPABASE_SECRET_KEY", "sb_secret_of_the_project")
    monkeypatch.setenv("SUPABASE_PUBLISHABLE_KEY", "sb_publishable_of_the_project")
    monkeypatch.setenv("SUPABASE_JWT_SECRET", JWT_SECRET)
    monkeypatch.setenv("CRON_SECRET", "secret of the cron")
    running_fake.reset()
    health.answers.clear()
    restraint.latest.clear()
    yield running_fake
    database.connections().close()
    for cached in (database.connections, callers.jwks):
        cached.cache_clear()


@pytest.fixture
def api(fake: FakePostgrest) -> Client:
    """Sends requests to the functions."""
    return Client(wsgi.app)
