"""How jobs are, counted, and why not better."""

from collections.abc import Iterator

import psycopg
import pytest
from alerting import Alerting, Row
from running_stack import RunningStack, Tenant


@pytest.fixture
def alerting(stack: RunningStack, tenant: Tenant) -> Iterator[Alerting]:
    with psycopg.connect(stack.database_url) as connection:
        yield Alerting(connection, tenant)
        connection.rollback()


def now_s(alerting: Alerting) -> float:
    """The transaction's time, which health goes by, in seconds after the noon that `alerting` counts from."""
    return float(alerting.one("select extract(epoch from now() - '2026-01-22T12:00:00Z'::timestamptz)"))


def health(alerting: Alerting, tenant: Tenant) -> Row:
    with alerting.acting(tenant.teammate):
        found: Row = alerting.call("get_jobs_health")
    assert found["healthy_count"] + found["warning_count"] + found["critical_count"] == found["total_jobs"]
    return found


def test_no_job_is_healthy(alerting: Alerting, tenant: Tenant) -> None:
    found = health(alerting, tenant)
    assert (found["overall_status"], found["total_jobs"], found["reasons"]) == ("Healthy", 0, [])


def test_many_errors_and_a_rate_limit_are_a_warning(alerting: Alerting, tenant: Tenant) -> None:
    now = now_s(alerting)
    alerting.report("fine", now - 5, 100)
    alerting.report("torn", now - 5, 90, items_failed=10)
    alerting.report("held", now - 5, 1, rate_limited_until="2099-01-01T00:00:00Z")
    found = health(alerting, tenant)
    assert (found["overall_status"], found["healthy_count"], found["warning_count"]) == ("Warning", 1, 2)
    assert {reason["code"]: reason["jobs"] for reason in found["reasons"]} == {
        "many_errors": ["torn"], "rate_limited": ["held"],
    }  # fmt: skip


def test_what_failed_or_is_silent_is_critical_and_named(alerting: Alerting, tenant: Tenant) -> None:
    now = now_s(alerting)
    for n in range(7):
        alerting.run(f"run-{n}", now - 100, "csv", "failed")
    alerting.create("silent", now - 1000, stall_after_ms=60_000)
    alerting.report("silent", now - 900, 1)
    alerting.report("silent", now - 890, 2)
    found = health(alerting, tenant)
    assert (found["overall_status"], found["critical_count"]) == ("Critical", 8)
    failed, lost = found["reasons"]
    assert (failed["code"], failed["count"], failed["message"]) == (
        "failed",
        7,
        "7 jobs failed within a day.",
    )
    assert failed["jobs"] == [f"run-{n}" for n in range(5)], "five examples"
    assert (lost["code"], lost["jobs"]) == ("lost", ["silent"])
    with alerting.acting(tenant.teammate):
        metrics = alerting.call("get_system_metrics")
    assert (metrics["active_jobs"], metrics["stuck_count"], metrics["late_count"]) == (1, 1, 0)
    assert (metrics["failed_last_hour"], metrics["failure_rate_percent"]) == (7, 100)


def test_a_failure_of_the_day_before_is_forgotten(alerting: Alerting, tenant: Tenant) -> None:
    alerting.run("import", now_s(alerting) - 90_000, "csv", "failed")
    assert health(alerting, tenant)["total_jobs"] == 0


def test_the_queue_is_measured_by_who_could_run(alerting: Alerting, tenant: Tenant) -> None:
    now = now_s(alerting)
    alerting.create("waits", now - 600, start=False)
    alerting.create("later", now - 9000, start=False, run_after="2099-01-01T00:00:00Z")
    with alerting.acting(tenant.teammate):
        metrics = alerting.call("get_system_metrics")
    assert metrics["queue_depth"] == 2
    assert metrics["oldest_wait_s"] == pytest.approx(600, abs=1)


def test_figures_without_a_source_are_unknown_and_not_zero(alerting: Alerting, tenant: Tenant) -> None:
    with alerting.acting(tenant.teammate):
        metrics = alerting.call("get_system_metrics")
    for unknown in ("ingest_p50_ms", "ingest_p99_ms", "failure_rate_percent", "oldest_wait_s"):
        assert metrics[unknown] is None
    assert metrics["database_bytes"] > 1_000_000
    assert metrics["messages_last_minute"] == 0
    alerting.report("import", now_s(alerting), 1)
    with alerting.acting(tenant.teammate):
        metrics = alerting.call("get_system_metrics")
    assert metrics["ingest_p50_ms"] > 0
    assert metrics["ingest_requests_5min"] == 1
    # job.started, state_changed and job.progress, each on two topics.
    assert metrics["messages_last_minute"] == 6
    assert metrics["message_budget_used_percent"] == pytest.approx(100 * 6 / 60 / 80)


def test_a_stranger_sees_none_of_it(alerting: Alerting, tenant: Tenant) -> None:
    alerting.run("import", now_s(alerting) - 100, "csv", "failed")
    with alerting.acting(tenant.stranger):
        assert alerting.call("get_jobs_health")["total_jobs"] == 0
        assert alerting.call("get_system_metrics")["failed_last_hour"] == 0
        assert alerting.call("get_loading_progress")["jobs"] == {}
