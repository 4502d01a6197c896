"""One stack for all of these tests, the parts of which they kill; so it is theirs alone, and keeps its data."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from dev_process import eventually, open_to_others
from killed import Site
from loops import Loops
from running_stack import RunningStack, Tenant


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    # Not pytest's folder: each pytest that begins closes that one to the user that Postgres runs as.
    with tempfile.TemporaryDirectory(prefix="milepost-faults-") as folder:
        running = Site(open_to_others(Path(folder)))
        yield running
        running.close()


@pytest.fixture
def stack(site: Site) -> RunningStack:
    """The stack, well again after whatever the test before did to it."""
    eventually(site.is_well, "the stack answers")
    return site.stack


@pytest.fixture
def tenant(stack: RunningStack) -> Tenant:
    return stack.tenant()


@pytest.fixture
def loops(stack: RunningStack, tenant: Tenant) -> Iterator[Loops]:
    """Processes that work on jobs as the test tells them."""
    started = Loops(stack, tenant)
    yield started
    started.end()
