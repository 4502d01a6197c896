"""Is this run slower, more erroneous or larger than its kind's runs were at the same progress?"""

from collections.abc import Iterator
from typing import Any

import pytest
from scratch_database import Database, at


@pytest.fixture(autouse=True)
def _undone(database: Database) -> Iterator[None]:
    with database.undone():
        yield


def run(
    database: Database,
    tenant: str,
    job: str = "job",
    *,
    items: int = 100,
    failed: float = 0,
    seconds_an_item: float = 1,
    until: float = 1,
    since: float = 0,
    kind: str = "import",
) -> float:
    """A run that reports each tenth, up to this share of its work; returns the second in which it was heard last."""
    second = since
    for done in range(0, int(items * until) + 1, items // 10):
        second = since + done * seconds_an_item
        database.record(
            tenant,
            {
                "job": job, "kind": kind, "items_total": items, "unit": "rows",
                "items_completed": done - round(done * failed), "items_failed": round(done * failed),
                "state": "completed" if done == items else "running",
            },
            seconds=second,
        )  # fmt: skip
    return second


def learn(database: Database, tenant: str, runs: int = 4, **how: Any) -> None:
    for number in range(runs):
        run(database, tenant, f"past {number}", **how)


def explained(database: Database, tenant: str, second: float, job: str = "job") -> dict[str, str]:
    """The reasons why the job is as it is then, by their codes."""
    job_id = database.job(tenant, job)["job_id"]
    answer = database.one("select milepost_private.explain(%s, %s::timestamptz)", job_id, at(second))
    return {reason["code"]: reason["message"] for reason in answer["reasons"]}


TRENDS = {"slower_than_usual", "more_errors_than_usual", "larger_than_usual"}


def trends(database: Database, tenant: str, second: float) -> set[str]:
    return TRENDS & explained(database, tenant, second).keys()


def health(database: Database, tenant: str, second: float) -> str:
    word: str = database.figures(tenant, second)["health"]
    return word


def test_a_run_like_the_others_is_excellent(database: Database, tenant: str) -> None:
    learn(database, tenant)
    second = run(database, tenant, until=0.5)
    assert trends(database, tenant, second) == set()
    assert health(database, tenant, second) == "excellent"


def test_a_run_that_takes_far_longer_to_get_as_far_is_fair_and_the_numbers_are_said(
    database: Database, tenant: str
) -> None:
    learn(database, tenant, runs=10)
    second = run(database, tenant, seconds_an_item=3, until=0.5)
    assert health(database, tenant, second) == "fair"
    assert explained(database, tenant, second)["slower_than_usual"] == (
        "It took 2 min to get this far; 50 s is usual for import after 10 runs: 3.0 times as long."
    )


def test_one_that_is_slower_by_four_times_is_poor(database: Database, tenant: str) -> None:
    learn(database, tenant, runs=10)
    second = run(database, tenant, seconds_an_item=5, until=0.5)
    assert health(database, tenant, second) == "poor"


def test_a_kind_whose_first_half_is_slow_is_compared_at_the_same_progress(
    database: Database, tenant: str
) -> None:
    def uneven(job: str, tenths: int) -> float:
        """Nine tenths of the time go to the first half."""
        second = 0.0
        for tenth in range(tenths + 1):
            second = min(tenth, 5) * 180 + max(tenth - 5, 0) * 20
            state = "completed" if tenth == 10 else "running"
            said = {"job": job, "kind": "uneven", "items_total": 100, "items_completed": 10 * tenth}
            database.record(tenant, said | {"state": state}, seconds=second)
        return second

    for number in range(20):
        uneven(f"past {number}", 10)
    # By its average cost it would be twice as slow as usual here.
    second = uneven("job", 4)
    assert trends(database, tenant, second) == set()


def test_silence_is_no_slowness(database: Database, tenant: str) -> None:
    learn(database, tenant, runs=10)
    second = run(database, tenant, until=0.5)
    assert "slower_than_usual" not in explained(database, tenant, second + 3000)


def test_what_was_done_before_it_was_tracked_does_not_hide_that_it_is_slow(
    database: Database, tenant: str
) -> None:
    learn(database, tenant, runs=10)
    for second, done in ((0, 50), (60, 60), (120, 70), (180, 80)):
        said = {"job": "job", "kind": "import", "items_total": 100, "items_completed": done}
        database.record(tenant, said, seconds=second)
    assert trends(database, tenant, 180) == {"slower_than_usual"}


def test_unusually_many_failures_are_fair_before_they_are_five_percent(
    database: Database, tenant: str
) -> None:
    learn(database, tenant, items=1000)
    second = run(database, tenant, items=1000, failed=0.02, until=0.5)
    assert health(database, tenant, second) == "fair"
    assert explained(database, tenant, second)["more_errors_than_usual"] == (
        "2.0 % of its items failed; 0.0 % is usual for import."
    )


def test_failures_that_are_usual_for_the_kind_are_good(database: Database, tenant: str) -> None:
    learn(database, tenant, items=1000, failed=0.02)
    second = run(database, tenant, items=1000, failed=0.02, until=0.5)
    assert trends(database, tenant, second) == set()
    assert health(database, tenant, second) == "good"


def test_a_larger_run_is_said_to_be_larger_and_is_no_worse_for_it(database: Database, tenant: str) -> None:
    learn(database, tenant, runs=10)
    second = run(database, tenant, items=1000, until=0.5)
    assert health(database, tenant, second) == "excellent"
    assert explained(database, tenant, second)["larger_than_usual"] == (
        "It has 1000 rows; 100 is usual for import."
    )


@pytest.mark.parametrize("runs", [0, 2])
def test_with_less_than_three_runs_a_job_is_judged_by_its_errors_alone(
    database: Database, tenant: str, runs: int
) -> None:
    learn(database, tenant, runs=runs)
    second = run(database, tenant, items=1000, seconds_an_item=9, failed=0.02, until=0.5)
    assert trends(database, tenant, second) == set()
    assert health(database, tenant, second) == "good"


def test_jobs_without_a_kind_have_nothing_in_common(database: Database, tenant: str) -> None:
    learn(database, tenant, kind="default")
    second = run(database, tenant, seconds_an_item=9, until=0.5, kind="default")
    assert trends(database, tenant, second) == set()


def test_a_kind_with_a_wide_spread_makes_no_run_slow(database: Database, tenant: str) -> None:
    for number in range(10):
        run(database, tenant, f"past {number}", seconds_an_item=1 if number % 2 else 9)
    second = run(database, tenant, seconds_an_item=9, until=0.5)
    assert trends(database, tenant, second) == set()


def test_a_job_of_stages_is_compared_by_its_percent(database: Database, tenant: str) -> None:
    def staged(job: str, slowness: float, percent: int) -> float:
        for done in range(0, percent + 1, 10):
            stage = {"name": "load", "items_total": 100, "items_completed": done}
            stage["state"] = "completed" if done == 100 else "running"
            said = {"job": job, "kind": "staged", "stage": stage}
            database.record(
                tenant, said | {"state": "completed" if done == 100 else "running"}, seconds=done * slowness
            )
        return percent * slowness

    for number in range(10):
        staged(f"past {number}", 1, 100)
    assert trends(database, tenant, staged("job", 3, 50)) == {"slower_than_usual"}
