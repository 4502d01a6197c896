"""Each test of a guide has a reader with a tenant of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from reader import Reader
from running_stack import RunningStack


@pytest.fixture
def reader(stack: RunningStack, tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(stack, tmp_path)
    yield reader
    reader.client.close()
