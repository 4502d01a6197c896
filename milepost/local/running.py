"""A local stack in a process of its own, for whatever needs one for a while: the demo, tests, benchmarks."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from milepost.local import CHECKOUT, LocalStackError
from milepost.local.stack import Access


@contextmanager
def running(port: int = 0, data: Path | None = None, *, allow_misbehaviour: bool = False) -> Iterator[Access]:
    """A stack that serves inside the block and is gone after it, or when this process dies.

    What it has to say goes to stderr. Raises LocalStackError when it does not start; stderr says why.
    """
    options = [f"--port={port}", *([] if data is None else [f"--data={data}"])]
    options += ["--allow-misbehaviour"] if allow_misbehaviour else []
    with subprocess.Popen(
        [sys.executable, "-m", "milepost.local.dev", "--json", "--until-stdin-ends", *options],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        # Leaving this block closes the pipe, which stops the stack, and waits for it.
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        first_line = process.stdout.readline()
        if not first_line:
            raise LocalStackError("The local stack did not start; the lines above say why.")
        yield Access(**json.loads(first_line))
