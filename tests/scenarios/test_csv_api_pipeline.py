"""docs/coming-from/csv-api-pipeline.md: 100 CSV jobs at once, with a queue that their owner controls."""

import csv
from collections.abc import Callable
from pathlib import Path

from documents import named, run, settings
from programs import Program, eventually, seen
from running_stack import Person, RunningStack, Tenant
from talking import Api

PAGE = named("docs/coming-from/csv-api-pipeline.md")
ROWS = 20

# What the reader has: files of twenty rows, of which one has no price. All wait for each other in the middle.
CSV_JS = """
export const userId = {owner!r};
export const files = Array.from({{ length: 102 }}, (_, n) => `orders-${{String(n).padStart(3, "0")}}.csv`);
"""
MAPPING = """
import csv
import threading
from pathlib import Path

FOLDER = Path({folder!r})
together = threading.Barrier(100)

def read(name):
    with (FOLDER / name).open() as file:
        return list(csv.DictReader(file))

def headers(rows):
    return list(rows[0])

def store(names, row):
    if row["id"] == "10":
        if together.wait(250) == 0:
            print("all are half way")
            input()
        together.wait(250)
    return row["price"] != ""

def check(name):
    pass

def save(name):
    pass
"""


def states(api: Api, state: str) -> list[str]:
    page = api.http.get("/v1/jobs", params={"kind": "csv_processing", "state": state, "limit": 200}).json()
    return sorted(job["job"] for job in page["jobs"])


def test_a_hundred_csv_jobs_at_once(
    api: Api, stack: RunningStack, tenant: Tenant, start: Callable[..., Program], tmp_path: Path
) -> None:
    owner: Person = tenant.teammate
    for n in range(102):
        with (tmp_path / f"orders-{n:03}.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["id", "price"])
            rows.writerows([row, "" if row == 15 else row * n] for row in range(ROWS))
    (tmp_path / "csv.mjs").write_text(CSV_JS.format(owner=owner.user_id))
    (tmp_path / "mapping.py").write_text(MAPPING.format(folder=str(tmp_path)))

    listener = start(PAGE["listen"], USER_JWT=owner.jwt, USER_ID=owner.user_id)
    listener.hear("Replication connection established")
    (tmp_path / "create.mjs").write_text(PAGE["create"].code)
    creator = start(PAGE["create"]._replace(code=f"await import({str(tmp_path / 'create.mjs')!r})"))
    creator.hear("102 pending")

    # The queue is its owner's: one waits, one is not to be done at all, and neither is claimed.
    as_owner = {"Authorization": f"Bearer {owner.jwt}"}
    for verb, waiting, state in (
        ("pause", "orders-100.csv", "paused"),
        ("cancel", "orders-101.csv", "canceled"),
    ):
        asked = api.http.post(f"/v1/jobs/{waiting}/{verb}", headers=as_owner)
        assert (asked.status_code, asked.json()["state"]) == (200, state), asked.text

    worker = start(PAGE["work"])
    worker.hear("all are half way")
    # Two of five steps are done, and half of the third.
    eventually(lambda: seen(api, "orders-042.csv").get("percent_complete") == 50, "what was done is there")
    assert len(states(api, "running")) == 100
    job = api.job("orders-042.csv")
    assert (job["current_stage"], job["owner_id"], job["metadata"]) == (
        "Processing data", owner.user_id, {"file": "orders-042.csv"},
    )  # fmt: skip
    assert [stage["position"] for stage in job["stages"]] == [1, 2, 3, 4, 5]
    listener.hear("100 running")
    looked = run(PAGE["history"], settings(stack, tenant))
    assert looked.returncode == 0, looked.stderr

    worker.go_on()
    worker.hear("100 jobs")
    assert worker.end() == 0
    assert states(api, "completed") == [f"orders-{n:03}.csv" for n in range(100)]
    assert (states(api, "paused"), states(api, "canceled")) == (["orders-100.csv"], ["orders-101.csv"])
    # One row of each had no price: it is counted, and nothing pretends that all is well.
    done = api.job("orders-042.csv")
    (data,) = [stage for stage in done["stages"] if stage["name"] == "Processing data"]
    assert (data["items_completed"], data["items_failed"], data["percent_complete"]) == (ROWS - 1, 1, 95)
    assert (done["percent_complete"], done["items_failed"], done["items_pending"]) == (99, 1, 0)
    listener.hear("100 completed")

    resumed = api.http.post("/v1/jobs/orders-100.csv/resume", headers=as_owner).json()
    assert resumed["state"] == "pending"
    (kind,) = api.http.get("/v1/history", params={"by": "kind", "kind": "csv_processing"}).json()["groups"]
    assert (kind["kind"], kind["runs"], kind["success_rate"]) == ("csv_processing", 101, 0.9901)
