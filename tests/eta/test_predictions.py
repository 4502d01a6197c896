"""What was predicted of a job, for the page's chart: milepost.job_predictions."""

from typing import Any

import httpx
import pytest
from psycopg.types.json import Jsonb
from running_stack import RunningStack, Tenant
from tracked import Row, Tracked


def ask(stack: RunningStack, jwt: str, job: str) -> httpx.Response:
    return httpx.post(
        f"{stack.supabase_url}/rest/v1/rpc/job_predictions",
        json={"job_id": job},
        headers={
            "apikey": stack.publishable_key,
            "Authorization": f"Bearer {jwt}",
            "Content-Profile": "milepost",
        },
    )


@pytest.fixture
def course(tracked: Tracked) -> Tracked:
    tracked.run("job", items=100)
    return tracked


def test_a_member_sees_what_was_predicted_at_each_tenth_and_what_came_true(
    stack: RunningStack, tenant: Tenant, course: Tracked
) -> None:
    answer = ask(stack, tenant.teammate.jwt, "job")
    assert answer.status_code == 200
    predictions: list[Row] = answer.json()["predictions"]
    assert [p["tenth"] for p in predictions] == list(range(10))
    assert [p["t"] for p in predictions] == [10 * tenth for tenth in range(10)]
    assert predictions[0]["eta_ms"] is None
    for p in predictions[1:]:
        assert p["true_ms"] == pytest.approx(1000 * (100 - p["t"]))
        assert p["eta_ms"] == pytest.approx(p["true_ms"], rel=0.01)
        assert p["eta_low_ms"] < p["eta_ms"] < p["eta_high_ms"]


def test_a_stranger_learns_no_more_of_it_than_of_a_job_that_is_not_there(
    stack: RunningStack, tenant: Tenant, course: Tracked
) -> None:
    foreign, absent = (ask(stack, tenant.stranger.jwt, job) for job in ("job", "bjo"))
    assert foreign.status_code == absent.status_code == 404
    assert foreign.json()["code"] == absent.json()["code"] == "job_not_found"
    job_id = str(course.job()["job_id"])
    assert ask(stack, tenant.stranger.jwt, job_id).status_code == 404


def test_nobody_who_is_not_signed_in_may_ask(stack: RunningStack, course: Tracked) -> None:
    assert ask(stack, stack.publishable_key, "job").status_code in (401, 403)


def test_the_course_is_thinned_to_200_points_from_first_to_last(
    stack: RunningStack, tenant: Tenant, tracked: Tracked
) -> None:
    tracked.record(0, {"items_total": 1000, "items_completed": 0})
    for t in range(100):
        tracked.record(t + 1, *({"items_completed": 10 * t + n} for n in range(1, 11)))
    course = ask(stack, tenant.owner.jwt, "job").json()["checkpoints"]
    assert 150 < len(course) <= 200
    assert course[0] == {"t": 0, "done": 0, "total": 1000}
    assert course[-1] == {"t": 100, "done": 1000, "total": 1000}
    assert [p["t"] for p in course] == sorted(p["t"] for p in course)


def test_a_total_that_was_unknown_then_is_unknown_in_the_course(
    stack: RunningStack, tenant: Tenant, tracked: Tracked
) -> None:
    tracked.record(0, {"items_completed": 0})
    tracked.record(5, {"items_completed": 5, "items_total": 10})
    assert ask(stack, tenant.owner.jwt, "job").json()["checkpoints"] == [
        {"t": 0, "done": 0, "total": None},
        {"t": 5, "done": 5, "total": 10},
    ]


def test_a_running_job_has_no_truth_yet_and_a_silent_one_no_points(
    stack: RunningStack, tenant: Tenant, tracked: Tracked
) -> None:
    tracked.record(0, {"items_total": 10, "items_completed": 0})
    tracked.record(5, {"items_completed": 5})
    answer: Any = ask(stack, tenant.owner.jwt, "job").json()
    assert [(p["tenth"], p["true_ms"]) for p in answer["predictions"]] == [(0, None), (5, None)]
    caller, job = {"tenant_id": tracked.tenant_id}, {"job": "new"}
    tracked.rows("select milepost.create_job(%s, %s)", Jsonb(caller), Jsonb(job))
    job_id = str(tracked.job("new")["job_id"])
    assert ask(stack, tenant.owner.jwt, "new").json() == {
        "job": "new",
        "job_id": job_id,
        "predictions": [],
        "checkpoints": [],
    }
