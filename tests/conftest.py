"""Fixtures that every part's tests share."""

import os
from collections.abc import Iterator

import pytest
from running_stack import RunningStack

from milepost.local.running import running


def pytest_configure() -> None:
    # A test must not reach a project that the developer happens to be signed in to.
    for name in tuple(os.environ):
        if name.startswith(("MILEPOST_", "SUPABASE_")):
            del os.environ[name]


@pytest.fixture(scope="session")
def stack() -> Iterator[RunningStack]:
    """The whole local stack, started once for the session."""
    with running(allow_misbehaviour=True) as access:
        yield RunningStack(access)
