"""The functions one by one under functions-framework, and in a container's way under gunicorn."""

import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from running_stack import RunningStack, Tenant

from functions import alone, main

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent


@pytest.fixture(scope="module")
def tenant(stack: RunningStack) -> Tenant:
    return stack.tenant()


@pytest.fixture(scope="module")
def environment(stack: RunningStack) -> dict[str, str]:
    return {
        "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
        "SUPABASE_URL": stack.supabase_url,
        "SUPABASE_SECRET_KEY": stack.secret_key,
        "SUPABASE_PUBLISHABLE_KEY": stack.publishable_key,
        "CRON_SECRET": stack.cron_secret,
    }


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def serving(command: list[str], folder: Path, environment: dict[str, str]) -> Iterator[httpx.Client]:
    """The process of this command, once it listens at the PORT that it is given."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    with subprocess.Popen(command, cwd=folder, env=environment | {"PORT": str(port)}) as process:
        try:
            end = time.monotonic() + 60
            while not _listens(port):
                assert process.poll() is None, f"{command} ended with {process.returncode}"
                assert time.monotonic() < end
                time.sleep(0.05)
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
                yield client
        finally:
            process.terminate()


def test_every_path_belongs_to_one_function_and_each_function_has_some() -> None:
    owners = {rule.rule: alone.owner(rule.rule) for rule in main.ROUTES.iter_rules()}
    assert set(owners.values()) == set(alone.PATHS)
    for name in alone.PATHS:
        assert callable(getattr(alone, name))
    assert owners["/v1/checkpoints"] == "checkpoints"
    assert owners["/v1/jobs/<path:job>/events"] == "jobs"
    assert owners["/cron/alerts"] == "cron"


def test_a_function_alone_answers_its_own_paths_and_no_other(
    environment: dict[str, str], tenant: Tenant
) -> None:
    command = ["functions-framework", "--source", "functions/alone.py", "--target", "checkpoints"]
    with serving(command, ROOT, environment) as client:
        headers = {"Authorization": f"Bearer {tenant.worker_key}"}
        assert client.post("/v1/checkpoints", json={"job": "alone"}, headers=headers).status_code == 200
        for path in ("/v1/jobs", "/health", "/cron/sweep", "/nowhere"):
            refused = client.get(path, headers=headers)
            assert (refused.status_code, refused.json()["code"]) == (404, "path_not_found")


def test_what_the_container_runs_serves(environment: dict[str, str], tenant: Tenant, tmp_path: Path) -> None:
    """Its steps by plain shell, with this checkout's packages in place of the image and of `pip install`."""
    steps = [
        line.split(" ", 1)
        for line in (ROOT / "deploy/Containerfile").read_text().splitlines()
        if line and line[0] != "#"
    ]
    assert [word for word, _ in steps].count("CMD") == 1
    inside = dict(environment)
    for word, rest in steps:
        if word == "COPY":
            *sources, target = rest.split()
            for source in sources:
                if (ROOT / source).is_dir():
                    shutil.copytree(
                        ROOT / source, tmp_path / target, ignore=shutil.ignore_patterns("__pycache__")
                    )
                else:
                    (tmp_path / target).mkdir(parents=True, exist_ok=True)
                    shutil.copy(ROOT / source, tmp_path / target)
        elif word == "RUN" and not rest.startswith("pip install"):
            subprocess.run(rest, shell=True, check=True, cwd=tmp_path, env=inside)  # noqa: S602 - the recipe's own
        elif word == "ENV":
            inside |= dict(pair.split("=", 1) for pair in shlex.split(rest))
        elif word == "CMD":
            with serving(json.loads(rest), tmp_path, inside) as client:
                assert client.get("/health").json() == {"status": "ok"}
                headers = {"Authorization": f"Bearer {tenant.worker_key}"}
                assert (
                    client.post("/v1/checkpoints", json={"job": "contained"}, headers=headers).status_code
                    == 200
                )


def test_gunicorn_does_not_start_with_settings_that_cannot_be(environment: dict[str, str]) -> None:
    done = subprocess.run(
        ["gunicorn", "--config", "deploy/gunicorn.conf.py", "--bind", "127.0.0.1:0", "functions.wsgi:app"],
        cwd=ROOT, env=environment | {"SUPABASE_SECRET_KEY": "sb_publishable_a"}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode != 0
    assert "found a publishable key" in done.stderr


def test_the_packages_of_the_container_are_those_of_the_lock() -> None:
    from test_vercel_files import pins

    locked, installed = pins("requirements.lock"), pins("deploy/requirements.txt")
    assert {"gunicorn", "functions-framework", "werkzeug", "httpx"} <= installed.keys()
    assert installed.items() <= locked.items(), "run scripts/lock"
