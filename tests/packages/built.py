"""Builds the packages with what the lock pins, and installs them where nothing else is."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).resolve().parents[2]
_UV = str(Path(sys.executable).with_name("uv"))
# Any moment; a release takes the commit's.
_EPOCH = "1795312000"
_NONE: Mapping[str, str] = MappingProxyType({})


def run(*command: str | Path, cwd: Path = ROOT, environment: Mapping[str, str] = _NONE) -> str:
    """Runs a program to its end and returns what it printed; a test fails with what went wrong."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def build(source: Path, into: Path, *formats: str) -> list[Path]:
    """The built files, without network: the build backend is the one in this environment."""
    run(_UV, "build", "--offline", "--no-build-isolation", "--python", sys.executable, "--out-dir", into, *formats, source, environment={"SOURCE_DATE_EPOCH": _EPOCH})  # fmt: skip
    return sorted(into.glob("milepost-*"))


@dataclass(frozen=True)
class Installed:
    """An environment of its own with the built wheel in it."""

    folder: Path

    def python(self, code: str, **environment: str) -> str:
        # From another folder, and without what this process may have on its path: the checkout must not help.
        return run(self.folder / "bin/python", "-I", "-c", code, cwd=self.folder, environment=environment)

    def add(self, *requirements: str) -> None:
        run(_UV, "pip", "install", "--python", self.folder / "bin/python", "--constraint", ROOT / "requirements.lock", *requirements)  # fmt: skip


def install(wheel: Path, folder: Path) -> Installed:
    run(_UV, "venv", "--python", sys.executable, folder)
    installed = Installed(folder)
    installed.add(str(wheel))
    return installed
