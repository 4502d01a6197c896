"""Guides whose snippets are for Python and JavaScript."""

import importlib
import json
import sys
from types import SimpleNamespace

import pytest
from documents import ROOT
from pages import PAGES
from reader import Reader


@pytest.mark.parametrize("name", ["pandas", "polars"])
def test_chunks_of_a_file_are_read_and_the_next_run_goes_on(reader: Reader, name: str) -> None:
    reader.has("orders.csv", "id,city\n" + "".join(f"{n},Oslo\n" for n in range(2_500)))
    # An earlier run got so far.
    client = reader.client
    client.create_job({"job": "load-orders", "kind": "load-orders"})
    client.checkpoints(
        [{"job": "load-orders", "seq": 1, "items_completed": 1_000, "cursor": {"rows": 1_000}}]
    )
    reader.runs_block("dataframes", name)
    job = reader.job("load-orders")
    assert (job.state, job.items_completed, job.items_total) == ("completed", 2_500, 2_500)
    assert job.cursor == {"rows": 2_500}
    written = sorted(reader.folder.glob("loaded-*.csv"))
    assert [file.name for file in written] == ["loaded-00001000.csv", "loaded-00002000.csv"]
    rows = [line.split(",")[0] for file in written for line in file.read_text().splitlines()[1:]]
    assert rows == [str(n) for n in range(1_000, 2_500)]


WORKER = """
from celery.contrib.testing.worker import start_worker
from tasks import app, resize

with start_worker(app, pool="threads", perform_ping_check=False, shutdown_timeout=30):
    good, bad = resize.delay(["1.jpg", "2.jpg"]), resize.delay(["1.jpg", "notes.txt", "2.jpg"])
    print(good.id, bad.id, good.get(timeout=50), repr(bad.get(timeout=50, propagate=False)))
"""


def test_a_celery_task_is_a_job(reader: Reader) -> None:
    reader.has("tasks.py", PAGES["celery"]["tasks"][1])
    said = reader.runs(
        sys.executable,
        "-c",
        WORKER,
        settings={"CELERY_BROKER_URL": "memory://", "CELERY_RESULT_BACKEND": "cache+memory://"},
    )
    good, bad, *results = said.split(maxsplit=2)
    assert results == ["2 ValueError('notes.txt is no photo')\n"]
    done, failed = reader.client.job(f"tasks.resize/{good}"), reader.client.job(f"tasks.resize/{bad}")
    assert (done.kind, done.state, done.items_completed, done.items_total) == (
        "tasks.resize",
        "completed",
        2,
        2,
    )
    assert (failed.state, failed.error, failed.items_completed) == (
        "failed",
        "ValueError: notes.txt is no photo",
        1,
    )


def test_dask_s_driver_counts_its_parts(reader: Reader) -> None:
    assert reader.runs_block("dask-pyspark", "dask") == f"{sum(n * n for n in range(20))}\n"
    job = reader.job("square-parts")
    assert (job.state, job.items_completed, job.items_total, job.unit) == ("completed", 20, 20, "parts")


def test_spark_s_driver_counts_its_days(reader: Reader) -> None:
    # Spark itself needs a JVM: it was run by hand, and here its calls lead nowhere.
    reader.has("pyspark/__init__.py", "")
    reader.has("pyspark/sql.py", "from unittest.mock import MagicMock\nSparkSession = MagicMock()\n")
    reader.runs_block("dask-pyspark", "pyspark")
    job = reader.job("rollup")
    assert (job.state, job.items_completed, job.items_total, job.unit) == ("completed", 7, 7, "days")


@pytest.mark.parametrize("lost", ["page 3", "done"])
@pytest.mark.parametrize("product", ["inngest", "trigger"])
def test_steps_that_are_done_again_change_nothing(reader: Reader, product: str, lost: str) -> None:
    file = reader.has("steps.mjs", PAGES["step-functions"]["steps"][1])
    ran = json.loads(reader.runs("node", str(ROOT / "tests/guides/steps.mjs"), str(file), product, lost))
    assert ran["entered"] > 1
    assert set(ran["loaded"]) == {1, 2, 3, 4, 5}
    assert len(ran["loaded"]) > 5 or (lost == "done" and product == "inngest")
    job = reader.job("import-orders")
    assert (job.job, job.state, job.items_completed, job.items_total) == (
        f"import-{product}",
        "completed",
        5,
        5,
    )


def test_a_step_that_hears_of_the_cancel_acknowledges_it(reader: Reader) -> None:
    reader.client.create_job({"job": "import-trigger", "kind": "import-orders"})
    reader.client.control("cancel", "import-trigger")
    file = reader.has("steps.mjs", PAGES["step-functions"]["steps"][1])
    ran = json.loads(reader.runs("node", str(ROOT / "tests/guides/steps.mjs"), str(file), "trigger", ""))
    assert ran["loaded"] == [1]
    assert reader.job("import-orders").state == "canceled"


def test_airflow_s_callbacks_tell_of_each_try(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """Called with the context that Airflow documents; Airflow itself was run by hand."""
    reader.has("milepost_callbacks.py", PAGES["airflow"]["callbacks"][1])
    monkeypatch.syspath_prepend(str(reader.folder))
    for name in ("MILEPOST_URL", "MILEPOST_KEY"):
        monkeypatch.setenv(name, reader.settings[name])
    callbacks = importlib.import_module("milepost_callbacks").MILEPOST

    def call(name: str, try_number: int, map_index: int = -1, **more: object) -> None:
        ti = SimpleNamespace(
            dag_id="nightly", task_id="load", run_id="manual__1", try_number=try_number, map_index=map_index
        )
        callbacks[name]({"ti": ti, "run_id": "manual__1", **more})

    call("on_execute_callback", 1)
    assert reader.client.job("nightly/load/manual__1/1").state == "running"
    call("on_retry_callback", 1, exception=ValueError("no rows"))
    call("on_execute_callback", 2)
    call("on_success_callback", 2)
    call("on_execute_callback", 1, map_index=3)
    call("on_failure_callback", 1, map_index=3, exception=ValueError("bad file"))
    tries = {job.job: (job.state, job.error) for job in reader.client.jobs(kind="nightly/load").jobs}
    assert tries == {
        "nightly/load/manual__1/1": ("failed", "no rows"),
        "nightly/load/manual__1/2": ("completed", None),
    }
    mapped = reader.job("nightly/load/3")
    assert (mapped.job, mapped.state, mapped.error) == ("nightly/load/3/manual__1/1", "failed", "bad file")
    compile(PAGES["airflow"]["dag"][1], "dag.py", "exec")


# Where each block is run: this file and test_guides_shell.py.
RUN = {
    "airflow": {"callbacks", "dag"},
    "celery": {"tasks"},
    "dask-pyspark": {"dask", "pyspark"},
    "dataframes": {"pandas", "polars"},
    "github-actions": {"workflow"},
    "kubernetes": {"job", "indexed", "load"},
    "long-running-operations": {"poll"},
    "shell": {"count", "ping", "line"},
    "step-functions": {"steps"},
}


def test_every_block_of_every_guide_is_run() -> None:
    assert {page: set(blocks) for page, blocks in PAGES.items()} == RUN
