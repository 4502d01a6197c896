"""docs/coming-from/streaming-files.md: 2,000,000 samples in batches of 50,000, killed half way and resumed."""

import json
from collections.abc import Callable
from pathlib import Path

import psycopg
from documents import named, run, settings
from programs import Program, eventually, seen
from running_stack import RunningStack, Tenant
from talking import Api

PAGE = named("docs/coming-from/streaming-files.md")
SAMPLES, BATCH = 2_000_000, 50_000

# What the reader has. Whatever is parsed is a line in a file, as an outside effect would be.
IMU = """
import os
SAMPLE_BYTES = 2

def parse(chunk, first):
    if os.environ.get("STOP_AT") == str(first):
        print("stopped")
        input()
    assert chunk == b"\\1\\2" * 50_000
    with open({parsed!r}, "a") as parsed:
        parsed.write(f"{{first}}\\n")
"""
IMU_JS = """
export const samples = 150_000;
export async function* batches() {
  for (let n = 0; n < 3; n++) yield { size: 50_000, duration_ms: 812 };
}
"""


def let_an_hour_pass(stack: RunningStack, job_id: str) -> None:
    """Moves the job's past back, as if nothing had been heard for an hour."""
    for table, columns in (
        ("milepost.jobs", ("started_at", "attempt_started_at", "last_checkpoint_at", "last_progress_at")),
        ("milepost.lanes", ("first_checkpoint_at", "last_checkpoint_at", "last_progress_at")),
        ("milepost_private.pulses", ("active_at",)),
    ):
        earlier = ", ".join(f"{column} = {column} - interval '1 hour'" for column in columns)
        stack.sql(f"update {table} set {earlier} where job_id = %s", (job_id,))


def test_a_file_whose_process_is_killed_half_way_is_resumed_from_its_cursor(
    api: Api, stack: RunningStack, tenant: Tenant, start: Callable[..., Program], tmp_path: Path
) -> None:
    file, parsed = tmp_path / "walk.bin", tmp_path / "parsed"
    file.write_bytes(b"\1\2" * SAMPLES)
    (tmp_path / "imu.py").write_text(IMU.format(parsed=str(parsed)))
    declared = {"job": "imu/walk.bin", "kind": "imu_file", "start": False, "stall_after_ms": 600_000}
    api.http.post("/v1/jobs", json=declared | {"retry_backoff_ms": 1}).raise_for_status()

    first = start(PAGE["parse"], str(file), STOP_AT="1000000")
    first.hear("stopped")
    eventually(
        lambda: seen(api, "imu/walk.bin").get("cursor") == {"sample": 1_000_000}, "half of it is there"
    )
    first.kill()
    half = api.job("imu/walk.bin")
    assert (half["percent_complete"], half["items_completed"], half["state"]) == (50, 1_000_000, "running")
    assert half["bytes_processed"] == 2_000_000

    environment = settings(stack, tenant, CRON_SECRET=stack.cron_secret)
    with psycopg.connect(stack.database_url) as connection:
        # The stack sweeps by itself, and would be first.
        connection.execute("select from milepost_private.sweeps for update")
        let_an_hour_pass(stack, half["job_id"])
        stuck = run(PAGE["stuck"], environment)
    assert stuck.returncode == 0, stuck.stderr
    (found,) = json.loads(stuck.stdout)
    assert (found["job"], found["liveness"], found["reason"]) == ("imu/walk.bin", "lost", "no_contact")
    swept = run(PAGE["sweep"], environment)
    assert swept.returncode == 0, swept.stderr
    eventually(lambda: seen(api, "imu/walk.bin").get("state") == "retrying", "it is taken from its worker")
    reset = api.job("imu/walk.bin")
    assert (reset["attempt"], reset["items_completed"]) == (2, 1_000_000)

    second = start(PAGE["parse"], str(file))
    assert second.end() == 0, second.said
    done = api.job("imu/walk.bin")
    assert (done["state"], done["attempt"], done["percent_complete"]) == ("completed", 2, 100)
    assert (done["items_completed"], done["bytes_processed"]) == (SAMPLES, 2 * SAMPLES)
    # Each batch was parsed once, and is there once.
    assert [int(line) for line in parsed.read_text().split()] == list(range(0, SAMPLES, BATCH))
    with psycopg.connect(stack.database_url) as connection:
        rows = {
            name: connection.execute(PAGE[name].code.encode()).fetchall()
            for name in ("progress", "parsing", "batches", "performance")
        }
    assert rows["progress"][0][:3] == (100, SAMPLES, SAMPLES) and rows["progress"][0][5] == "finished"
    assert [(row[0], row[2], row[3]) for row in rows["batches"]] == [
        (f"batch {n + 1:03}", BATCH, (n + 1) * BATCH) for n in range(SAMPLES // BATCH)
    ]
    assert all(row[1] > 0 for row in rows["batches"])
    assert rows["parsing"] == [] and ("imu_file", 1, 1) in [row[:3] for row in rows["performance"]]


def test_each_batch_of_a_callback_is_a_row_of_the_log(
    api: Api, start: Callable[..., Program], tmp_path: Path
) -> None:
    # Beside the module that the block imports.
    (tmp_path / "imu.mjs").write_text(IMU_JS)
    (tmp_path / "on-batch.mjs").write_text(PAGE["on-batch"].code)
    program = start(PAGE["on-batch"]._replace(code=f"await import({str(tmp_path / 'on-batch.mjs')!r})"))
    assert program.end() == 0, program.said
    job = api.job("imu/run.bin")
    assert (job["state"], job["items_completed"], job["cursor"]) == (
        "completed",
        150_000,
        {"sample": 150_000},
    )
    log = api.http.get("/v1/jobs/imu/run.bin/checkpoints").json()["checkpoints"]
    assert [(row["items_completed"], row["batch"]["items"], row["batch"]["duration_ms"]) for row in log[1:]] == [
        (n * BATCH, BATCH, 812) for n in (3, 2, 1)
    ]  # fmt: skip
