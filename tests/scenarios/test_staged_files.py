"""docs/coming-from/staged-files.md: 500 files in a denoise stage, 495 good and 5 bad."""

import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psycopg
from documents import named, run, settings
from programs import Program, eventually, seen
from running_stack import RunningStack, Tenant
from talking import Api, Said

PAGE = named("docs/coming-from/staged-files.md")

# What the reader has: 500 files, every twentieth of the first hundred is bad. It stops once 100 are good.
PIPELINE = """
files = [f"audio{n:03}.wav" for n in range(1, 501)]

def denoise(file):
    n = int(file[5:8])
    if n in (20, 40, 60, 80, 100):
        raise RuntimeError(f"{file}: no audio")
    if n == 106:
        print("100 are good")
        input()
    return "10.0.0.7", {"status": "success"}
"""


def stage(job: dict[str, Any]) -> dict[str, Any]:
    (one,) = job["stages"]
    assert one["name"] == "denoise"
    return {
        name: one[name] for name in ("items_total", "items_completed", "items_failed", "percent_complete")
    }


def test_500_files_are_followed_to_99_percent(
    api: Api, tenant: Tenant, stack: RunningStack, start: Callable[..., Program], tmp_path: Path
) -> None:
    api.post({"job": "batch-123", "kind": "audio_batch"})
    heard: list[Said] = []

    def listen() -> None:
        with closing(api.events("batch-123", path="/progress/events")) as events:
            for said in events:
                heard.append(said)
                # What the last request said of files comes with it, in any order.
                names = [one.name for one in heard]
                if "job.completed" in names and names.count("item.changed") == 500:
                    return

    listener = threading.Thread(target=listen)
    listener.start()
    eventually(lambda: any(said.name == "snapshot" for said in heard), "the stream has begun")
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    with start(PAGE["denoise"]) as worker:
        worker.hear("100 are good")
        eventually(lambda: seen(api, "batch-123").get("items_failed") == 5, "what was done is there")
        half = api.job("batch-123")
        assert (half["percent_complete"], half["unit"], half["current_stage"]) == (20, "files", "denoise")
        assert stage(half) == {
            "items_total": 500, "items_completed": 100, "items_failed": 5, "percent_complete": 20,
        }  # fmt: skip
        worker.go_on()
        assert worker.end() == 0, worker.said
    listener.join()

    done = api.job("batch-123")
    assert (done["state"], done["percent_complete"], done["items_pending"]) == ("completed", 99, 0)
    assert stage(done) == {
        "items_total": 500, "items_completed": 495, "items_failed": 5, "percent_complete": 99,
    }  # fmt: skip
    # Each file was one event, each event one version, and the stage began and ended.
    files = {said.body["data"]["key"]: said.body["data"] for said in heard if said.name == "item.changed"}
    assert len(files) == 500
    assert files["audio007.wav"]["payload"] == {"gpu": "10.0.0.7", "response": {"status": "success"}}
    assert (files["audio040.wav"]["state"], files["audio040.wav"]["error"]) == (
        "failed", "audio040.wav: no audio",
    )  # fmt: skip
    stages = [said.body["data"]["state"] for said in heard if said.name == "stage.changed"]
    assert stages == ["running", "completed"]
    versions = [said.body["version"] for said in heard if said.body and said.name != "snapshot"]
    assert versions == list(range(versions[0], versions[0] + len(versions)))
    bad = api.http.get("/v1/jobs/batch-123/items", params={"stage": "denoise", "state": "failed"}).json()
    assert len(bad["items"]) == 5
    recent = api.http.get("/v1/jobs/batch-123/events", params={"limit": 20}).json()["events"]
    assert len(recent) == 20

    # The same in SQL, and for a user who asks PostgREST.
    with psycopg.connect(stack.database_url) as connection:
        rows = connection.execute(PAGE["events"].code.encode()).fetchall()
        assert [row[1] for row in rows].count("item.changed") == 500
        assert connection.execute(PAGE["completed"].code.encode()).fetchone() == (495,)
        assert connection.execute(PAGE["progress"].code.encode()).fetchone() == (495, 500, 5, 99)
    headers = {
        "apikey": stack.publishable_key,
        "Authorization": f"Bearer {tenant.teammate.jwt}",
        "Accept-Profile": "milepost",
    }
    (row,) = httpx.get(f"{stack.supabase_url}/rest/v1/stage_progress", headers=headers).json()
    assert (row["stage"], row["items_completed"], row["percent_complete"]) == ("denoise", 495, 99)


def test_each_call_of_the_logger_is_one_request(api: Api, stack: RunningStack, tenant: Tenant) -> None:
    done = run(PAGE["log"], settings(stack, tenant))
    assert done.returncode == 0, done.stderr
    percents = [part.split(",")[0].rstrip("}]") for part in done.stdout.split('"percent_complete":')[1:]]
    # A reported count stands, whether or not every file was named.
    assert [float(percent) for percent in percents] == [0, 0.2, 20, 99, 99]
    job = api.job("batch-124")
    assert (job["state"], stage(job)["percent_complete"]) == ("completed", 99)
    (item,) = api.http.get("/v1/jobs/batch-124/items").json()["items"]
    assert item["payload"]["response"] == {"status": "success"}
