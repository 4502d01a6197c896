"""Each test of the SDK has a server of its own, and a process that has not warned of anything yet."""

from collections.abc import Iterator

import pytest
from contract import Server, serve

from milepost import _job, _sender, _words


@pytest.fixture
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No sender, no warning said; waits for an absent server are short, since no test needs them long."""
    monkeypatch.setattr(_words, "_warned", set())
    monkeypatch.setattr(_sender, "_senders", {})
    monkeypatch.setattr(_job, "_here", {})
    monkeypatch.setattr(_job, "START_WAIT_S", 0.3)
    monkeypatch.setattr(_sender, "EXIT_WAIT_S", 0.3)
    yield
    for sender in _sender._senders.values():
        sender.close()


@pytest.fixture
def server(fresh_process: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that speaks the contract, which MILEPOST_URL and MILEPOST_KEY name."""
    with serve() as running:
        monkeypatch.setenv("MILEPOST_URL", running.url)
        monkeypatch.setenv("MILEPOST_KEY", "mp_test")
        yield running
        for sender in _sender._senders.values():
            sender.close()
