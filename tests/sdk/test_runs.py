"""The same key, night after night."""

import httpx
import pytest
from running_stack import RunningStack, Tenant

import milepost


@pytest.fixture
def tenant(stack: RunningStack, monkeypatch: pytest.MonkeyPatch) -> Tenant:
    tenant = stack.tenant()
    monkeypatch.setenv("MILEPOST_URL", stack.api_url)
    monkeypatch.setenv("MILEPOST_KEY", tenant.worker_key)
    return tenant


def runs(stack: RunningStack, tenant: Tenant) -> list[dict[str, object]]:
    """The tenant's jobs, oldest first."""
    headers = {"Authorization": f"Bearer {tenant.worker_key}"}
    jobs: list[dict[str, object]] = httpx.get(f"{stack.api_url}/v1/jobs", headers=headers).json()["jobs"]
    return jobs[::-1]


def test_a_key_whose_job_has_ended_begins_a_new_run_of_the_same_kind(
    stack: RunningStack, tenant: Tenant
) -> None:
    for night in range(3):
        with milepost.job("nightly-import", items_total=3 + night) as job:
            job.advance(3 + night)
    first, second, third = runs(stack, tenant)
    assert [run["items_completed"] for run in (first, second, third)] == [3, 4, 5]
    assert {run["state"] for run in (first, second, third)} == {"completed"}
    assert {run["kind"] for run in (first, second, third)} == {"nightly-import"}
    assert first["job"] == "nightly-import"
    assert str(second["job"]).startswith("nightly-import after ") and second["job"] != third["job"]


def test_a_run_that_has_not_ended_is_gone_on_with(stack: RunningStack, tenant: Tenant) -> None:
    with milepost.job("nightly-import", items_total=1) as job:
        job.advance()
    with pytest.raises(ZeroDivisionError), milepost.job("nightly-import", items_total=9) as job:
        job.advance(4, cursor=4)
        raise ZeroDivisionError
    with milepost.job("nightly-import", items_total=9) as job:
        assert (job.cursor, job.attempt) == (4, 2)
        job.advance(5)
    first, second = runs(stack, tenant)
    assert (first["items_completed"], second["items_completed"], second["attempt"]) == (1, 9, 2)


def test_a_run_entered_again_in_the_same_attempt_counts_on_from_its_cursor(
    stack: RunningStack, tenant: Tenant
) -> None:
    headers = {"Authorization": f"Bearer {tenant.worker_key}"}
    # A process that was killed: its last word came after its cursor, and two items are done again.
    for entry in ({"items_completed": 5, "cursor": 5, "seq": 0}, {"items_completed": 7, "seq": 1}):
        body = {"job": "big", "items_total": 10, **entry}
        assert httpx.post(f"{stack.api_url}/v1/checkpoints", headers=headers, json=body).status_code == 200
    with milepost.job("big", items_total=10) as job:
        assert job.cursor == 5
        job.advance(5)
    (run,) = runs(stack, tenant)
    assert (run["items_completed"], run["state"], run["percent_complete"]) == (10, "completed", 100)
