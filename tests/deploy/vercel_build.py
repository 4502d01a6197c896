"""What `vercel build` makes of this checkout, asked as Vercel would: `make check-vercel`, some 40 s.

No part of `make test`, since the CLI takes half a minute to install and needs a second Python.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_stack import RunningStack, Tenant
from vercel_platform import FUNCTION, ROOT, Built, Instance, build, copy_of_checkout, started

from functions.main import ROUTES

UV = Path(sys.executable).with_name("uv")
COMPILED = {"VERCEL_PYTHON_COMPILEALL": "1"}
TIMED = "import time; began = time.perf_counter(); {}; print(round((time.perf_counter() - began) * 1000))"


@pytest.fixture(scope="module")
def python() -> Path:
    """A Python 3.12: Vercel's default, and one of those that it has."""
    # pyenv's programs on PATH do nothing for a version that is not the chosen one; the version itself does.
    versions = Path("~/.pyenv/versions").expanduser().glob("3.12.*/bin")
    for folder in [*map(Path, os.environ["PATH"].split(os.pathsep)), *versions]:
        candidate = folder / "python3.12"
        if candidate.is_file() and not subprocess.run([candidate, "-c", ""], capture_output=True).returncode:
            return candidate.resolve()
    pytest.fail("Expected python3.12 on PATH beside the checkout's own Python, found none. Install it.")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, python: Path) -> Built:
    folder, programs = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("programs")
    copy_of_checkout(folder)
    (programs / "uv").symlink_to(UV)
    (programs / "python3.12").symlink_to(python)
    build(folder, programs, **COMPILED)
    return Built(folder)


@pytest.fixture(scope="module")
def function(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("function")
    built.unpack(folder)
    return folder


@pytest.fixture(scope="module")
def instance(function: Path, python: Path, stack: RunningStack) -> Iterator[Instance]:
    environment = {
        "SUPABASE_URL": stack.supabase_url,
        "SUPABASE_SECRET_KEY": stack.secret_key,
        "SUPABASE_PUBLISHABLE_KEY": stack.publishable_key,
        "SUPABASE_JWT_SECRET": stack.jwt_secret,
        "CRON_SECRET": stack.cron_secret,
    }
    with started(function, python, **environment) as running:
        yield running


@pytest.fixture(scope="module")
def tenant(stack: RunningStack) -> Tenant:
    return stack.tenant()


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_the_page_is_static_and_whole(built: Built) -> None:
    pushed = {
        str(path.relative_to(ROOT / "public")) for path in (ROOT / "public").rglob("*") if path.is_file()
    }
    for name in pushed | {"vendor/supabase.js", "vendor/uplot.js", "vendor/uplot.css"}:
        assert (built.output / "static" / name).is_file(), name
        assert built.leads_to("/" + name) == f"static/{name}"
    assert built.leads_to("/") == "static/index.html"


def test_every_path_of_the_functions_leads_to_them(built: Built) -> None:
    for rule in ROUTES.iter_rules():
        path = rule.rule.replace("<path:job>", "folder/a%20job").replace("<int(max=255):status>", "3")
        for name in ("key", "share_id", "token", "rule", "channel_id"):
            path = path.replace(f"<{name}>", "abc")
        assert built.leads_to(path) == FUNCTION, path


def test_the_function_may_stream_and_lasts_long_enough(built: Built) -> None:
    assert built.function["supportsResponseStreaming"] is True
    assert built.function["maxDuration"] == 300
    assert [cron["path"] for cron in built.config["crons"]] == ["/cron/sweep", "/cron/purge", "/cron/alerts"]


def test_the_bundle_has_what_it_needs_and_no_more(built: Built) -> None:
    files = built.files()
    ours = {name for name in files if not name.startswith(("_vendor/", "_vc_pycache/"))}
    unwanted = {
        name for name in ours
        if name.startswith(("tests/", "docs/", "benchmarks/", "sql/", "public/", "milepost/local/", "milepost/cli/", ".ci"))
    }  # fmt: skip
    assert unwanted == set()
    assert {"api/index.py", "functions/main.py", "milepost/models.py"} <= ours
    megabytes = sum(path.stat().st_size for path in files.values()) / 1e6
    print(f"\nbundle: {len(files)} files, {megabytes:.1f} MB, of it {len(ours)} files of Milepost's")  # noqa: T201
    assert megabytes < 100  # Vercel takes 250


def test_it_answers_from_the_database(instance: Instance) -> None:
    answer = instance.ask("GET", "/health")
    assert (answer.status, answer.json()) == (200, {"status": "ok"})


def test_it_takes_checkpoints_and_shows_the_job(instance: Instance, tenant: Tenant) -> None:
    # The path arrives as it was sent; a name may have anything in it.
    name, path = "folder/ä 100%", "folder/%C3%A4%20100%25"
    answer = instance.ask(
        "POST",
        "/v1/checkpoints",
        {"job": name, "items_total": 10, "items_completed": 4},
        **bearer(tenant.worker_key),
    )
    assert answer.status == 200, answer.body
    job = instance.ask("GET", f"/v1/jobs/{path}", **bearer(tenant.operator_key))
    assert (job.status, job.json()["percent_complete"]) == (200, 40.0), job.body


def test_it_says_no_in_the_one_shape(instance: Instance) -> None:
    answer = instance.ask("GET", "/v1/jobs")
    assert (answer.status, answer.json()["code"]) == (401, "key_required")
    assert instance.ask("GET", "/nowhere").json()["code"] == "path_not_found"


def test_it_streams_events_as_they_happen(instance: Instance, tenant: Tenant) -> None:
    with instance.open("GET", "/v1/events", **bearer(tenant.operator_key)) as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        lines = (response.readline().decode().strip() for _ in range(100))
        assert "event: snapshot" in lines
        # The stream is still open: what comes now was sent after the snapshot was read.
        poster = threading.Thread(
            target=instance.ask,
            args=("POST", "/v1/checkpoints", {"job": "streamed"}),
            kwargs=bearer(tenant.worker_key),
        )
        poster.start()
        assert any(line.startswith("event: job.") for line in lines)
        poster.join()


@pytest.mark.parametrize("path", ["/cron/sweep", "/cron/purge", "/cron/alerts"])
def test_crons_work_with_the_secret_and_for_nobody_else(
    instance: Instance, stack: RunningStack, path: str
) -> None:
    assert instance.ask("GET", path, **bearer(stack.cron_secret)).status == 200
    assert instance.ask("GET", path).status == 401
    assert instance.ask("GET", path, **bearer("another")).status == 401


def test_crons_are_refused_where_no_secret_is_set(function: Path, python: Path, stack: RunningStack) -> None:
    environment = {
        "SUPABASE_URL": stack.supabase_url,
        "SUPABASE_SECRET_KEY": stack.secret_key,
        "SUPABASE_PUBLISHABLE_KEY": stack.publishable_key,
    }
    with started(function, python, **environment) as running:
        for given in ({}, bearer(""), bearer("anything")):
            assert running.ask("GET", "/cron/sweep", **given).status == 401


def test_it_does_not_start_without_its_settings(function: Path, python: Path) -> None:
    with (
        pytest.raises(AssertionError, match="SUPABASE_URL: expected in the environment"),
        started(function, python),
    ):
        pass


def test_what_a_cold_start_imports(function: Path, python: Path, instance: Instance) -> None:
    """Figures for docs/benchmarks.md: the best of five, beside what two of its packages take by themselves."""

    def milliseconds(statement: str, *options: str) -> int:
        command = [str(python), *options, "-c", TIMED.format(statement)]
        environment = {"PYTHONPATH": "_vendor:.", "PYTHONDONTWRITEBYTECODE": "1"}
        runs = [
            subprocess.run(
                command, cwd=function, env=environment, check=True, capture_output=True, text=True
            ).stdout
            for _ in range(5)
        ]
        return min(int(run) for run in runs)

    base, app = milliseconds("import httpx, pydantic"), milliseconds("import functions.wsgi")
    uncompiled = milliseconds("import functions.wsgi", "-X", "pycache_prefix=/nowhere")
    found = {"httpx_pydantic_ms": base, "app_ms": app, "ratio": round(app / base, 2), "app_uncompiled_ms": uncompiled,
             "in_vercels_runtime_ms": instance.import_ms}  # fmt: skip
    print("\ncold import:", json.dumps(found))  # noqa: T201
    assert app < uncompiled
