"""docs/coming-from/table-load-monitor.md: tables with and without a known total, their health, and live."""

from collections.abc import Callable
from pathlib import Path

from documents import named, run, settings
from programs import Program, eventually, seen
from running_stack import RunningStack, Tenant
from talking import Api

PAGE = named("docs/coming-from/table-load-monitor.md")

# What the reader has: a source of batches of 1,000 records of 10 bytes. It stops where it is told to.
SOURCE = """
table, total = {table!r}, 4000

def batches():
    for n in range(4):
        if n == {stop_at}:
            print("stopped")
            input()
        yield ["record " + 3 * "x"] * 1000

def load(batch):
    if {table!r} == "orders":
        raise RuntimeError("no such partition")
"""
NUMBERS = ("percent_complete", "items_total", "items_pending", "eta_ms", "estimated_completion_at")


def source(folder: Path, table: str = "user_profiles", stop_at: int | None = None) -> None:
    (folder / "source.py").write_text(SOURCE.format(table=table, stop_at=stop_at))


def test_a_table_without_a_known_total_has_null_with_a_reason_and_never_0(
    api: Api, start: Callable[..., Program], tmp_path: Path
) -> None:
    source(tmp_path, stop_at=3)
    loader = start(PAGE["load-unknown"])
    loader.hear("stopped")
    eventually(lambda: seen(api, "streaming_data").get("items_completed") == 3000, "three batches are loaded")
    for path in ("/health/tables/streaming_data", "/v1/jobs/streaming_data"):
        table = api.http.get(path).json()
        assert {name: table[name] for name in NUMBERS} == dict.fromkeys(NUMBERS)
        assert (table["state"], table["eta_reason"]) == ("running", "no_total")
        assert (table["bytes_processed"], table["error"]) == (30_000, None)
        assert table["rate_per_s"] is None or table["rate_per_s"] > 0
    loading = api.http.get("/health/loading-progress").json()
    assert loading["summary"] == {
        "total_jobs": 1, "loading": 1, "completed": 0, "failed": 0, "total_records_loaded": 3000, "left_out": 0,
    }  # fmt: skip
    assert loading["jobs"]["streaming_data"]["percent_complete"] is None
    loader.go_on()
    assert loader.end() == 0, loader.said
    done = api.job("streaming_data")
    assert (done["state"], done["items_completed"], done["eta_reason"]) == ("completed", 4000, "finished")
    assert done["rate_per_s"] > 0


def test_tables_are_followed_live_and_a_probe_sees_the_one_that_failed(
    api: Api, stack: RunningStack, tenant: Tenant, start: Callable[..., Program], tmp_path: Path
) -> None:
    api.http.post("/v1/jobs", json={"job": "orders", "max_attempts": 1, "start": False}).raise_for_status()
    api.http.post("/v1/jobs", json={"job": "user_profiles", "start": False}).raise_for_status()
    environment = settings(stack, tenant)
    healthy = run(PAGE["alert"], environment)
    assert (healthy.returncode, healthy.stdout) == (0, ""), healthy
    events, stream, subscriber = start(PAGE["events"]), start(PAGE["stream"]), start(PAGE["subscribe"])
    events.hear("event: snapshot")
    stream.hear("Replication connection established")
    subscriber.hear("complete, pending")

    source(tmp_path, stop_at=2)
    loader = start(PAGE["load"])
    loader.hear("stopped")
    eventually(lambda: seen(api, "user_profiles").get("percent_complete") == 50, "half of it is loaded")
    half = api.http.get("/health/tables/user_profiles").json()
    assert (half["items_completed"], half["items_total"], half["bytes_processed"]) == (2000, 4000, 20_000)
    assert half["error_message"] is None and half["explanation"]["summary"]
    loader.go_on()
    assert loader.end() == 0, loader.said
    source(tmp_path, table="orders")
    assert start(PAGE["load"]).end() == 1

    events.hear("event: job.started", "event: job.completed", "event: job.failed")
    stream.hear("Table user_profiles started loading", "Table user_profiles loaded successfully")
    stream.hear("Table orders failed: RuntimeError: no such partition")
    subscriber.hear("User profiles: 100 % complete, completed")
    assert subscriber.end() == 0

    looked = run(PAGE["look"], environment)
    assert looked.returncode == 0, looked.stderr
    for found in (
        '"overall_status": "Critical"', '"total_records_loaded": 4000', '"error_message": null',
        '"total_items_per_second"', "milepost_jobs_ended_total", '"memory_bytes"',
    ):  # fmt: skip
        assert found in looked.stdout, found
    table = api.http.get("/health/tables/orders").json()
    assert (table["state"], table["error_message"]) == ("failed", "RuntimeError: no such partition")
    alerted = run(PAGE["alert"], environment)
    assert alerted.stdout.startswith("ALERT: ") and '"critical_count": 1' in alerted.stdout
