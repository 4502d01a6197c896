"""docs/coming-from/progress-monitor.md: a bulk job under its owner's control, and out of others' reach."""

from collections.abc import Callable
from pathlib import Path

import httpx
from documents import named
from programs import Program, eventually, seen
from running_stack import Person, RunningStack, Tenant
from talking import Api

PAGE = named("docs/coming-from/progress-monitor.md")

# What the reader has: a hundred videos of which two fail, and one meets a quota. It does as many as it is told to.
VIDEOS = """
owner_id = {owner!r}
rows = [{{"id": f"vid_{{n:03}}", "row_index": n, "title": f"Video {{n}}"}} for n in range(1, 101)]

class QuotaExceeded(Exception):
    retry_after_s = 3600

def make(row):
    n = row["row_index"]
    if n in (10, 20):
        raise RuntimeError("no script")
    if n == 30:
        raise QuotaExceeded
    if n >= 54:
        print("makes", n)
        input()
"""


def test_a_bulk_job_is_its_owners_to_pause_resume_and_cancel(
    api: Api, stack: RunningStack, tenant: Tenant, start: Callable[..., Program], tmp_path: Path
) -> None:
    # A viewer who owns the job, and one who does not.
    owner, other = tenant.teammate, stack.person()
    stack.sql("select milepost.add_member(%s, %s, 'viewer')", (tenant.tenant_id, other.user_id))
    (tmp_path / "videos.py").write_text(VIDEOS.format(owner=owner.user_id))

    def ask(action: str) -> str:
        asked = start(PAGE["control"], action, USER_JWT=owner.jwt)
        assert asked.end() == 0, asked.said
        return asked.said[-1]

    def refused(action: str, person: Person) -> tuple[int, str]:
        headers = {"apikey": stack.publishable_key, "Authorization": f"Bearer {person.jwt}"}
        answer = httpx.post(
            f"{stack.supabase_url}/rest/v1/rpc/{action}",
            headers=headers | {"Content-Profile": "milepost"},
            json={"job_id": "job_123"},
        )
        return answer.status_code, answer.json()["code"]

    def work_until(state: str) -> None:
        """A worker hears what it is told with the answer to its next report, so it does a video, and another."""
        while (job := api.job("job_123"))["state"] != state:
            worker.go_on()

            def has_moved(before: int = job["items_completed"]) -> bool:
                now = seen(api, "job_123")
                return bool(now.get("items_completed", 0) > before or now.get("state") == state)

            eventually(has_moved, "another video is made")

    created = api.http.post("/v1/jobs", json={"job": "job_123", "owner_id": owner.user_id, "start": False})
    listener = start(PAGE["listen"], JOB_ID=created.json()["job_id"], USER_JWT=owner.jwt)
    listener.hear("Replication connection established")
    worker = start(PAGE["worker"])
    worker.hear("makes 54")
    eventually(lambda: seen(api, "job_123").get("items_completed") == 50, "fifty are made")
    job = api.job("job_123")
    counts = ("items_total", "items_completed", "items_failed", "items_skipped", "items_pending")
    assert [job[name] for name in counts] == [100, 50, 2, 1, 47]
    assert (job["percent_complete"], job["rate_limited"], job["eta_reason"]) == (51, True, None)
    assert job["processing_deadline_ms"] == 3_600_000
    listener.hear("pending -> running", "download Video 1")

    assert refused("pause_job", other) == (403, "not_allowed")
    assert refused("pause_job", tenant.stranger) == (404, "job_not_found")
    assert ask("pause_job") == "pausing"
    work_until("paused")
    listener.hear("running -> pausing (lunch)", "pausing -> paused (lunch)")
    paused = api.job("job_123")
    assert (paused["state"], paused["eta_ms"], paused["eta_reason"]) == ("paused", None, "paused")

    assert refused("resume_job", other) == (403, "not_allowed")
    assert ask("resume_job") == "running"
    listener.hear("paused -> running (lunch)")

    assert refused("cancel_job", other) == (403, "not_allowed")
    assert ask("cancel_job") == "canceling"
    work_until("canceled")
    listener.hear("running -> canceling (lunch)", "canceling -> canceled (lunch)")
    assert worker.end() == 1
    assert "JobCanceled" in worker.said[-1]
    assert refused("resume_job", owner) == (409, "invalid_transition")
    assert api.job("job_123")["state"] == "canceled"

    items = api.http.get("/v1/jobs/job_123/items", params={"limit": 200}).json()["items"]
    states = [item["state"] for item in items]
    assert (states.count("failed"), states.count("skipped")) == (2, 1)
    assert 50 < states.count("completed") == api.job("job_123")["items_completed"] < 97
    assert items[0]["payload"] == {"row_index": 1, "title": "Video 1"}
    # The stranger's token opens nothing by PostgREST either.
    headers = {
        "apikey": stack.publishable_key,
        "Authorization": f"Bearer {tenant.stranger.jwt}",
        "Accept-Profile": "milepost",
    }
    assert httpx.get(f"{stack.supabase_url}/rest/v1/job_progress", headers=headers).json() == []
