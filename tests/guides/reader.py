"""Runs snippets of docs/guides as a reader would: in a folder of their own, against the real local stack."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from pages import PAGES
from running_stack import RunningStack, Tenant

from milepost import models
from milepost._client import Client

PATIENCE_S = 60.0
_NONE: Mapping[str, str] = MappingProxyType({})


class Reader:
    """Somebody with a tenant, who follows a guide."""

    def __init__(self, stack: RunningStack, folder: Path) -> None:
        self.stack, self.folder = stack, folder
        self.tenant: Tenant = stack.tenant()
        self.client = Client(stack.api_url, self.tenant.operator_key)
        self.programs = folder / "bin"
        self.programs.mkdir()
        self.settings = {
            "MILEPOST_URL": stack.api_url,
            "MILEPOST_KEY": self.tenant.worker_key,
            "MILEPOST_PING_KEY": self.tenant.ping_key,
            "PATH": f"{self.programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONWARNINGS": "ignore",
        }

    def has(self, name: str, text: str, *, runs: bool = False) -> Path:
        """A file of the reader's own; one that `runs` is a program that is found."""
        file = (self.programs if runs else self.folder) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755 if runs else 0o644)
        return file

    @contextmanager
    def begins(self, *command: str, settings: Mapping[str, str] = _NONE) -> Iterator["subprocess.Popen[str]"]:
        """One that runs meanwhile; it is ended with the block."""
        with subprocess.Popen(
            command, cwd=self.folder, env={**os.environ, **self.settings, **settings},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            try:
                yield process
            finally:
                process.kill()

    def runs(self, *command: str, status: int = 0, settings: Mapping[str, str] = _NONE) -> str:
        """Runs it to its end, which has this exit status; returns what it printed."""
        with self.begins(*command, settings=settings) as process:
            out, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == status, f"{process.returncode}: {out}\n{err}"
        return out

    def runs_block(self, page: str, name: str, settings: Mapping[str, str] = _NONE) -> str:
        """Runs a block of a page, in a file where that is how it is meant."""
        language, code = PAGES[page][name]
        if language == "bash":
            return self.runs("bash", "-euo", "pipefail", "-c", code, settings=settings)
        return self.runs(sys.executable, str(self.has(f"the_{name}_block.py", code)), settings=settings)

    def job(self, kind: str) -> models.Job:
        """The one job of the kind, as it is now."""
        (found,) = self.client.jobs(kind=kind).jobs
        return self.client.job(found.job_id)

    def sees(self, condition: Callable[[], bool], what: str) -> None:
        """Waits until it is so, with a deadline that only a failure meets."""
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, f"after {PATIENCE_S:.0f} s still not: {what}"
            time.sleep(0.05)
