"""Each rule: when it opens an alert, when it does not, and how the alert ends."""

from collections.abc import Iterator

import psycopg
import pytest
from alerting import DAY, HOUR, Alerting, Refused, moment
from running_stack import RunningStack, Tenant


@pytest.fixture
def alerting(stack: RunningStack, tenant: Tenant) -> Iterator[Alerting]:
    with psycopg.connect(stack.database_url) as connection:
        yield Alerting(connection, tenant)
        connection.rollback()


def test_a_failed_job_opens_an_alert_with_no_configuration(alerting: Alerting) -> None:
    alerting.run("import", 0, "csv", "failed")
    assert alerting.evaluate(90)["opened"] == 1
    (alert,) = alerting.open()
    assert (alert["rule"], alert["severity"], alert["job"], alert["kind"]) == (
        "job_failed", "critical", "import", "csv",
    )  # fmt: skip
    assert alert["message"] == "import failed in attempt 1 of 1: it broke"


def test_evaluating_again_changes_nothing(alerting: Alerting) -> None:
    alerting.run("import", 0, "csv", "failed")
    alerting.evaluate(90)
    before = alerting.alerts()
    assert alerting.evaluate(90) == {"opened": 0, "resolved": 0, "queued": 0}
    assert alerting.evaluate(150) == {"opened": 0, "resolved": 0, "queued": 0}
    assert alerting.alerts() == before


def test_a_retry_recovers_a_failed_job(alerting: Alerting) -> None:
    alerting.run("import", 0, "csv", "failed")
    alerting.evaluate(90)
    alerting.retry("import", 100)
    alerting.evaluate(150)
    (alert,) = alerting.alerts("job_failed")
    assert alert["resolution"] == "recovered"
    assert alert["message"].startswith("import is retrying now. It was: import failed")


def test_a_job_that_stays_failed_is_forgotten_after_a_day(alerting: Alerting) -> None:
    alerting.run("import", 0, "csv", "failed")
    alerting.evaluate(90)
    alerting.evaluate(DAY + 120)
    assert [alert["resolution"] for alert in alerting.alerts()] == ["expired"]


def test_a_job_that_fails_again_opens_a_second_alert(alerting: Alerting) -> None:
    alerting.run("import", 0, "csv", "failed")
    alerting.evaluate(90)
    alerting.retry("import", 100)
    alerting.evaluate(150)
    alerting.report("import", 200, state="running")
    alerting.report("import", 210, state="failed")
    alerting.evaluate(220)
    assert [alert["resolution"] for alert in alerting.alerts("job_failed")] == ["recovered", None]


def steady(alerting: Alerting, job: str, until: int) -> None:
    for second in range(0, until + 1, 5):
        alerting.report(job, second, second, items_total=100_000)


def test_a_silent_job_is_late_then_stuck_and_recovers_by_progress(alerting: Alerting) -> None:
    alerting.create("import", 0, items_total=100_000, stall_after_ms=600_000)
    steady(alerting, "import", 60)
    alerting.evaluate(70)
    assert alerting.open() == []
    alerting.evaluate(60 + 400)
    assert alerting.open() == [], "it has to be late for two minutes"
    alerting.evaluate(60 + 530)
    assert [alert["rule"] for alert in alerting.open()] == ["job_late"]
    alerting.evaluate(60 + 700)
    (stuck,) = alerting.open()
    assert stuck["rule"] == "job_stuck"
    assert "is lost: nothing was heard of it for 12 min" in stuck["message"]
    alerting.report("import", 60 + 705, 200)
    alerting.evaluate(60 + 710)
    assert alerting.open() == []
    assert [alert["resolution"] for alert in alerting.alerts()] == ["recovered", "recovered"]


def test_what_was_wrong_for_a_moment_only_leaves_no_trace(alerting: Alerting) -> None:
    alerting.create("import", 0, items_total=100_000, stall_after_ms=600_000)
    steady(alerting, "import", 60)
    alerting.evaluate(60 + 400)
    alerting.report("import", 60 + 410, 200)
    alerting.evaluate(60 + 420)
    alerting.evaluate(60 + 600)
    assert alerting.alerts() == []


def test_a_job_that_was_reset_is_stuck_until_it_makes_progress(alerting: Alerting) -> None:
    alerting.create("import", 0, items_total=100_000, stall_after_ms=30_000)
    steady(alerting, "import", 30)
    alerting.rows("select milepost.sweep(%s)", moment(120))
    alerting.evaluate(121)
    (stuck,) = alerting.open()
    assert stuck["rule"] == "job_stuck"
    assert stuck["message"].startswith("import is retrying after a reset")


def test_a_kind_fails_too_often_from_five_runs_on(alerting: Alerting) -> None:
    for n in range(4):
        alerting.run(f"run-{n}", n * 100, "csv", "failed" if n == 0 else "completed")
    alerting.evaluate(500)
    assert alerting.alerts("failure_rate") == []
    alerting.run("run-4", 500, "csv")
    alerting.evaluate(600)
    (alert,) = alerting.open("failure_rate")
    assert (alert["kind"], alert["value"], alert["threshold"]) == ("csv", 20, 10)
    assert alert["message"] == "1 of 5 runs of csv failed within 60 min: 20 %, more than 10 %."


def test_one_failure_of_ten_is_not_more_than_a_tenth(alerting: Alerting) -> None:
    for n in range(10):
        alerting.run(f"run-{n}", n * 100, "csv", "failed" if n == 5 else "completed")
    alerting.evaluate(1100)
    assert alerting.alerts("failure_rate") == []


def test_failures_of_one_kind_are_not_those_of_another(alerting: Alerting) -> None:
    for n in range(5):
        alerting.run(f"good-{n}", n * 100, "good")
        alerting.run(f"bad-{n}", n * 100, "bad", "failed")
    alerting.evaluate(600)
    assert [alert["kind"] for alert in alerting.open("failure_rate")] == ["bad"]


def test_a_failure_rate_recovers_as_the_window_moves_on(alerting: Alerting) -> None:
    for n in range(5):
        alerting.run(f"run-{n}", n * 100, "csv", "failed")
    alerting.evaluate(600)
    alerting.evaluate(600 + HOUR)
    assert [alert["resolution"] for alert in alerting.alerts("failure_rate")] == ["recovered"]


def measure(alerting: Alerting, seconds: float, *durations_ms: float) -> None:
    for duration_ms in durations_ms:
        alerting.rows(
            "insert into milepost_private.measurements (tenant_id, measured_at, checkpoints, duration_ms) "
            "values (%s, %s, 1, %s)",
            alerting.tenant_id, moment(seconds), duration_ms,
        )  # fmt: skip


def test_slow_updates_open_an_alert_after_a_minute(alerting: Alerting) -> None:
    measure(alerting, 0, *[20] * 18, *[900] * 2)
    alerting.evaluate(10)
    assert alerting.alerts() == []
    alerting.evaluate(70)
    (alert,) = alerting.open("update_delay")
    assert alert["value"] > 500
    alerting.evaluate(400)
    assert [alert["resolution"] for alert in alerting.alerts()] == ["recovered"]


def test_fast_updates_and_few_slow_ones_open_none(alerting: Alerting) -> None:
    measure(alerting, 0, *[900] * 19)
    alerting.evaluate(10)
    alerting.evaluate(70)
    measure(alerting, 60, *[20] * 400)
    alerting.evaluate(80)
    assert alerting.alerts() == []


def test_a_queue_deeper_than_fifty_opens_an_alert(alerting: Alerting) -> None:
    for n in range(50):
        alerting.create(f"job-{n}", 0, start=False)
    alerting.create("later", 0, start=False, run_after="2026-02-01T00:00:00Z")
    alerting.evaluate(10)
    alerting.evaluate(80)
    assert alerting.alerts() == []
    alerting.create("job-50", 80, start=False)
    alerting.evaluate(90)
    alerting.evaluate(150)
    (alert,) = alerting.open("queue_depth")
    assert alert["message"] == "51 jobs wait for a worker, more than 50."


def test_a_finish_time_past_the_deadline_opens_an_alert(alerting: Alerting) -> None:
    alerting.create("import", 0, items_total=10_000, processing_deadline_ms=600_000)
    alerting.create("export", 0, items_total=100, processing_deadline_ms=600_000)
    for second in range(0, 61, 5):
        alerting.report("import", second, second)
        alerting.report("export", second, second)
    alerting.evaluate(61)
    (alert,) = alerting.open("past_deadline")
    assert alert["job"] == "import"
    assert "of the 10 min it may" in alert["message"]


def test_a_regular_kind_that_does_not_run_is_missed(alerting: Alerting) -> None:
    for day in range(6):
        alerting.run(f"night-{day}", day * DAY, "nightly")
        alerting.run(f"odd-{day}", day * day * DAY, "irregular")
    due = 6 * DAY
    alerting.evaluate(due + 4 * HOUR)
    assert alerting.alerts("missed_run") == []
    alerting.evaluate(due + 5 * HOUR)
    (alert,) = alerting.open("missed_run")
    assert alert["kind"] == "nightly"
    assert alert["message"].startswith("nightly runs about every 24 h, but did not since")
    alerting.create("night-6", due + 6 * HOUR, kind="nightly")
    alerting.evaluate(due + 6 * HOUR + 10)
    assert [alert["resolution"] for alert in alerting.alerts("missed_run")] == ["recovered"]


def test_a_kind_that_still_runs_or_was_given_up_is_not_missed(alerting: Alerting) -> None:
    for day in range(6):
        alerting.run(f"night-{day}", day * DAY, "nightly")
    alerting.evaluate(6 * DAY + 6 * HOUR)
    alerting.evaluate(16 * DAY)
    assert [alert["resolution"] for alert in alerting.alerts("missed_run")] == ["expired"]
    alerting.create("night-6", 16 * DAY, kind="nightly")
    alerting.evaluate(18 * DAY)
    assert alerting.open("missed_run") == []


def test_a_rule_can_be_turned_off_and_changed(alerting: Alerting, tenant: Tenant) -> None:
    alerting.run("import", 0, "csv", "failed")
    alerting.evaluate(90)
    with alerting.acting(tenant.owner):
        rule = alerting.call("set_alert_rule", rule="job_failed", is_on=False)
        assert (rule["is_on"], rule["is_default"]) == (False, False)
    alerting.evaluate(100)
    assert [alert["resolution"] for alert in alerting.alerts()] == ["turned_off"]
    with alerting.acting(tenant.owner):
        alerting.call("set_alert_rule", rule="queue_depth", threshold=1.0, for_s=0)
    for n in range(2):
        alerting.create(f"job-{n}", 0, start=False)
    alerting.evaluate(110)
    assert [alert["rule"] for alert in alerting.open()] == ["queue_depth"]


def test_only_admins_change_rules_and_members_read_them(alerting: Alerting, tenant: Tenant) -> None:
    with alerting.acting(tenant.teammate):
        assert len(alerting.call("list_alert_rules")["rules"]) == 8
        with pytest.raises(Refused, match="not_allowed"):
            alerting.call("set_alert_rule", rule="job_failed", is_on=False)
    with alerting.acting(tenant.owner):
        with pytest.raises(Refused, match="invalid_value"):
            alerting.call("set_alert_rule", rule="job_vanished")
        with pytest.raises(Refused, match="out_of_range"):
            alerting.call("set_alert_rule", rule="queue_depth", threshold=-1.0)
        with pytest.raises(Refused, match="out_of_range"):
            alerting.call("set_alert_rule", rule="queue_depth", window_s=5)
    with alerting.acting(tenant.stranger):
        rules = alerting.call("list_alert_rules")["rules"]
        assert {rule["tenant_id"] for rule in rules}.isdisjoint({tenant.tenant_id})
        with pytest.raises(Refused, match="not_allowed"):
            alerting.one(
                "select milepost.set_alert_rule('job_failed', false, tenant_id => %s)", tenant.tenant_id
            )


def test_members_see_their_alerts_and_strangers_none(alerting: Alerting, tenant: Tenant) -> None:
    for n in range(3):
        alerting.run(f"run-{n}", n, "csv", "failed")
    alerting.evaluate(90)
    with alerting.acting(tenant.teammate):
        first = alerting.one('select milepost.list_alerts("limit" => 2)')
        rest = alerting.one('select milepost.list_alerts("limit" => 2, after => %s)', first["next"])
        assert [len(first["alerts"]), len(rest["alerts"]), rest["next"]] == [2, 1, None]
        assert {a["job"] for a in first["alerts"] + rest["alerts"]} == {"run-0", "run-1", "run-2"}
        assert alerting.call("list_alerts", status="resolved")["alerts"] == []
    with alerting.acting(tenant.stranger):
        assert alerting.call("list_alerts")["alerts"] == []
