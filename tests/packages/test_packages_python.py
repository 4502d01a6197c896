"""The wheel and the sdist: the same bytes each time, and all that a user needs without a checkout."""

import ast
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from built import ROOT, Installed, build, install, run
from running_stack import RunningStack

from milepost._client import Client
from milepost._version import VERSION
from milepost.cli import _COMMANDS

WHEEL, SDIST = f"milepost-{VERSION}-py3-none-any.whl", f"milepost-{VERSION}.tar.gz"


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    assert {file.name for file in build(ROOT, folder)} == {WHEEL, SDIST}
    return folder


@pytest.fixture(scope="module")
def installed(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(packages / WHEEL, tmp_path_factory.mktemp("installed") / "venv")


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_they_are_the_same_bytes_wherever_and_whenever_they_are_built(packages: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "another checkout"
    elsewhere.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", ".gitignore"):
        shutil.copy(ROOT / name, elsewhere)
    # Files of now and of other rights, beside those of the checkout.
    shutil.copytree(ROOT / "milepost", elsewhere / "milepost", copy_function=shutil.copyfile)
    for again in build(elsewhere, tmp_path / "again"):
        assert digest(again) == digest(packages / again.name), again.name


def test_the_sdist_builds_the_same_wheel(packages: Path, tmp_path: Path) -> None:
    with tarfile.open(packages / SDIST) as sdist:
        sdist.extractall(tmp_path, filter="data")
    (wheel,) = build(tmp_path / f"milepost-{VERSION}", tmp_path / "wheel", "--wheel")
    assert digest(wheel) == digest(packages / WHEEL)


def test_the_wheel_has_the_sdk_and_the_command_line_and_not_the_local_stack(packages: Path) -> None:
    with zipfile.ZipFile(packages / WHEEL) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    ours = {str(path.relative_to(ROOT)) for path in (ROOT / "milepost").rglob("*.py")} | {"milepost/py.typed"}
    assert names == {name for name in ours if not name.startswith("milepost/local/")}


def test_importing_it_loads_nothing_heavy(installed: Installed) -> None:
    loaded = set(ast.literal_eval(installed.python("import sys, milepost; print(sorted(sys.modules))")))
    # What came with the interpreter's start, and a standard library that costs little.
    foreign = (
        {name.split(".")[0] for name in loaded} - set(sys.stdlib_module_names) - {"__main__", "sitecustomize"}
    )
    foreign -= {
        name for name in foreign if name.startswith(("_distutils_hack", "_virtualenv", "__editable__"))
    }
    assert foreign == {"milepost"}
    heavy = {
        "asyncio",
        "ssl",
        "http",
        "http.client",
        "email",
        "urllib.request",
        "multiprocessing",
        "inspect",
        "secrets",
    }
    assert not loaded & heavy


def test_only_what_the_sdk_needs_is_installed_with_it(installed: Installed) -> None:
    names = installed.python(
        "import importlib.metadata as m; print(*sorted({d.name.lower() for d in m.distributions()}))"
    ).split()
    assert {"milepost", "httpx", "pydantic"} <= set(names)
    assert not {"click", "rich", "realtime", "aiohttp", "psycopg", "functions-framework", "numpy"} & set(
        names
    )
    assert len(names) < 20, names


def test_a_loop_is_tracked_without_a_checkout(installed: Installed, stack: RunningStack) -> None:
    tenant = stack.tenant()
    said = installed.python(
        "import milepost; print(sum(milepost.track(range(10), job='import')), milepost.__file__)",
        MILEPOST_URL=stack.api_url,
        MILEPOST_KEY=tenant.worker_key,
    )
    assert said.startswith("45 ") and str(installed.folder) in said
    client = Client(stack.api_url, tenant.worker_key)
    assert client.job("import").state == "completed"
    client.close()


@pytest.fixture(scope="module")
def milepost(packages: Path, installed: Installed) -> Path:
    """`pip install milepost[cli]`, after the SDK alone has said that it is missing."""
    said = run_it(installed.folder / "bin/milepost")
    assert said.returncode == 1
    assert "pip install 'milepost[cli]'" in said.stderr
    installed.add(f"milepost[cli] @ file://{packages / WHEEL}")
    return installed.folder / "bin/milepost"


def run_it(milepost: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [milepost, *arguments], cwd=milepost.parent, capture_output=True, text=True, timeout=60
    )


def test_the_command_line_says_the_version(milepost: Path) -> None:
    assert run_it(milepost, "--version").stdout.endswith(f" {VERSION}\n")


def test_every_command_can_be_asked_for_help(installed: Installed, milepost: Path) -> None:
    installed.python(
        "from click.testing import CliRunner; from milepost.cli import main\n"
        f"for name in {list(_COMMANDS)}:\n"
        "    done = CliRunner().invoke(main, [name, '--help']); assert done.exit_code == 0, (name, done)\n"
    )


def test_it_administers_runs_and_looks_without_a_checkout(milepost: Path, stack: RunningStack) -> None:
    functions = {
        "SUPABASE_URL": stack.supabase_url,
        "SUPABASE_SECRET_KEY": stack.secret_key,
        "SUPABASE_JWT_SECRET": stack.jwt_secret,
    }
    made = json.loads(run(milepost, "tenants", "create", "from the wheel", "--json", environment=functions))
    assert made["user_jwt"]
    caller = {"MILEPOST_URL": stack.api_url, "MILEPOST_KEY": made["operator_key"]}
    run(milepost, "run", "--job", "backup", "--", "sh", "-c", "echo 3/3", environment=caller)
    (listed,) = json.loads(run(milepost, "ls", "--json", environment=caller))["jobs"]
    assert (listed["job"], listed["state"], listed["items_completed"]) == ("backup", "completed", 3)
    assert '"state":"completed"' in run(milepost, "watch", "backup", "--json", environment=caller)


@pytest.mark.parametrize("command", ["dev", "demo"])
def test_what_needs_a_checkout_says_so(milepost: Path, command: str) -> None:
    said = run_it(milepost, command)
    assert said.returncode == 2
    assert "Clone the repository and run" in re.sub(r"\s+", " ", said.stderr)
