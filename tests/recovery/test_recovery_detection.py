"""What a sweep finds, what it leaves alone, and what it makes of both; at moments of the test's choosing."""

import psycopg
import pytest
from clocked import Clocked
from psycopg.types.json import Jsonb


def test_a_steady_job_that_falls_silent_is_stalled_first_and_reset_later(clocked: Clocked) -> None:
    clocked.steady("job", until=60)
    answers = clocked.sweep_until(120)
    assert [answer["stuck"] for answer in answers] == [0, 0, 0, 0]
    assert clocked.sweep_until(150)[-1]["reset"] == 0
    (stalled,) = clocked.events("job", "job.stalled")
    assert (stalled["data"]["liveness"], stalled["data"]["threshold_s"]) == ("lost", 60)
    assert clocked.sweep_until(180)[-1]["reset"] == 1
    job = clocked.job("job")
    assert (job["state"], job["attempt"], job["state_actor"]) == ("retrying", 2, "system")
    wait_s = (job["run_after"] - job["state_changed_at"]).total_seconds()
    assert 8 <= wait_s <= 12


def test_the_wait_doubles_with_each_attempt(clocked: Clocked) -> None:
    clocked.create("job", max_attempts=10, stall_after_ms=1000, retry_backoff_ms=60_000)
    clocked.report("job", 1, 1)
    waits = []
    for attempt in range(2, 8):
        clocked.sweep(attempt * 2000)
        job = clocked.job("job")
        waits.append((job["run_after"] - job["state_changed_at"]).total_seconds())
        clocked.report("job", attempt * 2000 + 1000, 1, attempt=attempt)
    for wait_s, expected_s in zip(waits, [60, 120, 240, 480, 900, 900], strict=True):
        assert 0.8 * expected_s <= wait_s <= 1.2 * expected_s


def test_half_a_minute_without_network_is_no_stall(clocked: Clocked) -> None:
    clocked.steady("job", until=60)
    clocked.sweep_until(90)
    clocked.steady("job", since=90, until=120)
    clocked.sweep_until(120)
    assert (clocked.job("job")["attempt"], clocked.job("job")["items_completed"]) == (1, 120)
    assert clocked.events("job", "job.stalled") == []


def test_what_is_heard_again_before_the_reset_has_recovered(clocked: Clocked) -> None:
    clocked.steady("job", until=60)
    clocked.sweep(130)
    assert clocked.figures("job", 130)["liveness"] == "lost"
    clocked.report("job", 135, 60)
    assert clocked.events("job", "job.recovered") == []
    clocked.report("job", 140, 61)
    (recovered,) = clocked.events("job", "job.recovered")
    assert recovered["data"]["stalled_at"].startswith("2026-01-22T12:02:10")
    assert (clocked.figures("job", 141)["liveness"], clocked.job("job")["attempt"]) == ("on_time", 1)
    clocked.report("job", 142, 62)
    assert len(clocked.events("job", "job.recovered")) == 1


def test_the_first_item_after_a_reset_is_a_recovery(clocked: Clocked) -> None:
    clocked.steady("job", until=60)
    clocked.report("job", 61, 80)
    clocked.sweep_until(210)
    assert clocked.job("job")["items_completed"] == 60
    claimed = clocked.claim(300)
    assert claimed is not None and claimed["cursor"] == 60
    clocked.report("job", 301, 61, attempt=2)
    assert len(clocked.events("job", "job.recovered")) == 1


def test_a_worker_that_died_before_its_first_word_is_found(clocked: Clocked) -> None:
    clocked.create("job")
    clocked.sweep_until(1500)
    (stalled,) = clocked.events("job", "job.stalled")
    assert stalled["data"]["reason"] == "never_started"
    assert clocked.job("job")["attempt"] == 2
    assert clocked.explain("job", 1500)["summary"].startswith("Waiting for attempt 2 of 3")


def test_a_heartbeat_alone_keeps_no_job_alive(clocked: Clocked) -> None:
    clocked.steady("job", until=60)
    for second in range(75, 300, 15):
        clocked.report("job", second)
        clocked.sweep_until(second)
    assert clocked.job("job")["attempt"] == 2
    (stalled,) = clocked.events("job", "job.stalled")
    assert (stalled["data"]["liveness"], stalled["data"]["reason"]) == ("stalled", "no_progress")


def test_a_livelock_is_found_though_its_count_climbs(clocked: Clocked) -> None:
    clocked.create("job", items_total=100)
    clocked.steady("job", until=60)
    second = 60
    while clocked.job("job")["attempt"] == 1 and second < 3600:
        # The same items fail and are taken back, over and over.
        second += 5
        clocked.report("job", second, items_failed=second % 4)
        clocked.sweep_until(second)
    (stalled,) = clocked.events("job", "job.stalled")
    assert stalled["data"]["reason"] == "no_net_progress"
    assert clocked.job("job")["attempt"] == 2


def test_what_the_author_declares_overrides_what_was_learnt(clocked: Clocked) -> None:
    clocked.create("job", stall_after_ms=5000)
    clocked.create("patient", stall_after_ms=3_600_000)
    clocked.steady("job", "patient", until=60)
    answer = clocked.sweep(66)
    assert (answer["reset"], clocked.job("job")["attempt"], clocked.job("patient")["attempt"]) == (1, 2, 1)
    clocked.sweep_until(1800)
    assert clocked.job("patient")["attempt"] == 1


def test_a_rate_limit_is_not_held_against_the_job_when_it_ends(clocked: Clocked) -> None:
    clocked.steady("job", until=60)
    clocked.report("job", 61, 61, rate_limited_until="2026-01-22T12:20:00Z")
    assert clocked.figures("job", 600)["liveness"] == "on_time"
    # A limit of 19 minutes, then 50 s to get going again.
    clocked.sweep_until(1250)
    assert clocked.figures("job", 1250)["liveness"] in ("on_time", "late")
    assert clocked.events("job", "job.stalled") == []
    clocked.report("job", 1251, 62)
    before = clocked.one(
        "select (p.rhythm).longest_s from milepost_private.pulses p where job_id = %s",
        clocked.job("job")["job_id"],
    )
    assert before < 10


def test_silence_after_a_rate_limit_is_found(clocked: Clocked) -> None:
    clocked.steady("job", until=60)
    clocked.report("job", 61, 61, rate_limited_until="2026-01-22T12:20:00Z")
    clocked.sweep_until(2400)
    assert clocked.job("job")["attempt"] == 2


def test_a_job_past_its_deadline_is_late_and_not_reset(clocked: Clocked) -> None:
    clocked.report("job", 0, 0, processing_deadline_ms=100_000)
    clocked.steady("job", until=95)
    assert clocked.figures("job", 99)["liveness"] == "on_time"
    clocked.steady("job", since=100, until=120)
    clocked.sweep(120)
    late = clocked.figures("job", 120)
    assert (late["liveness"], late["liveness_reason"]) == ("late", "past_deadline")
    explained = clocked.explain("job", 120)
    assert explained["summary"] == "Late: it has taken 2 min of its 100 s."
    assert [reason["code"] for reason in explained["reasons"]].count("past_deadline") == 1
    assert (clocked.job("job")["attempt"], clocked.events("job", "job.stalled")) == (1, [])


def test_jobs_that_fall_silent_together_are_held(clocked: Clocked) -> None:
    # One that died long before is no reason to think that the others did.
    clocked.steady("dead", until=20)
    clocked.steady("a", "b", "c", until=300)
    clocked.sweep_until(300)
    assert clocked.job("dead")["attempt"] == 2
    answers = clocked.sweep_until(900)
    assert answers[-1] == answers[-1] | {"held": True, "stuck": 3, "reset": 0}
    # Milepost is reached again, by one after the other.
    for number, job in enumerate("abc"):
        clocked.report(job, 910 + 30 * number, 301)
        clocked.sweep_until(910 + 30 * number)
    assert [clocked.job(job)["attempt"] for job in "abc"] == [1, 1, 1]
    assert [len(clocked.events(job, "job.recovered")) for job in "abc"] == [1, 1, 1]


def test_jobs_that_fall_silent_together_are_not_held_where_somebody_else_is_heard(clocked: Clocked) -> None:
    clocked.steady("a", "b", "c", until=60)
    clocked.rows("update milepost_private.keys set last_used_at = '2026-01-22T12:05:00Z'")
    clocked.sweep_until(300)
    assert [clocked.job(job)["attempt"] for job in "abc"] == [2, 2, 2]


def test_jobs_that_fell_silent_one_after_the_other_are_not_held(clocked: Clocked) -> None:
    for number, job in enumerate("abc"):
        clocked.report(job, 70 * number, 1)
    clocked.sweep_until(1600)
    assert [clocked.job(job)["attempt"] for job in "abc"] == [2, 2, 2]


def test_one_silent_job_among_lively_ones_is_reset(clocked: Clocked) -> None:
    clocked.steady("a", "b", "c", until=60)
    for second in range(65, 240, 5):
        clocked.report("a", second, second)
        clocked.report("b", second, second)
        clocked.sweep_until(second)
    assert [clocked.job(job)["attempt"] for job in "abc"] == [1, 1, 2]


def test_after_milepost_itself_was_away_workers_have_time_to_come_back(clocked: Clocked) -> None:
    clocked.steady("job", until=60)
    clocked.sweep(60)
    # No sweep and no checkpoint for ten minutes.
    assert clocked.sweep(660) == clocked.sweep(660) | {"held": True, "reset": 0}
    clocked.sweep_until(720)
    clocked.report("job", 740, 61)
    clocked.sweep_until(840)
    assert clocked.job("job")["attempt"] == 1


def test_a_scheduler_that_comes_seldom_resets_all_the_same(clocked: Clocked) -> None:
    clocked.steady("job", until=60)
    assert [clocked.sweep(600 * turn)["reset"] for turn in (1, 2, 3)] == [0, 1, 0]


def test_a_worker_heard_during_the_sweep_keeps_its_job(clocked: Clocked) -> None:
    clocked.steady("a", "b", until=60)
    clocked.sweep(90)
    # What the first reset sets off stands in for a checkpoint that commits while the sweep runs.
    clocked.rows(
        "create function milepost_private.hear_the_other() returns trigger language plpgsql as $$ begin "
        "update milepost.jobs set last_checkpoint_at = '2026-01-22T12:02:59Z' where job_id <> new.job_id; "
        "return null; end $$"
    )
    clocked.rows(
        "create trigger hear_the_other after update of attempt on milepost.jobs for each row "
        "execute function milepost_private.hear_the_other()"
    )
    clocked.sweep_until(150)
    assert clocked.job("a")["attempt"] == clocked.job("b")["attempt"] == 1
    assert clocked.sweep(180)["reset"] == 1
    assert sorted(clocked.job(job)["attempt"] for job in "ab") == [1, 2]


def test_a_pause_waits_for_those_that_are_heard_only(clocked: Clocked) -> None:
    for worker in ("live", "dead"):
        clocked.report("job", 0, 1, worker=worker, cursor=1)
    clocked.move("job", "pausing", "pause", 10)
    for second in range(11, 100):
        clocked.report("job", second, worker="live", state="paused")
        clocked.sweep_until(second)
    job = clocked.job("job")
    assert (job["state"], job["state_actor"], job["attempt"]) == ("paused", "user:1", 1)
    assert (
        clocked.figures("job", 500)["time_processing_ms"]
        == clocked.figures("job", 5000)["time_processing_ms"]
    )


def test_a_cancel_waits_for_a_worker_that_is_heard(clocked: Clocked) -> None:
    clocked.report("job", 0, 1, state="running")
    clocked.move("job", "canceling", "cancel", 10)
    for second in range(20, 200, 15):
        assert clocked.report("job", second)["directive"] == "cancel"
        clocked.sweep_until(second)
    assert clocked.job("job")["state"] == "canceling"
    clocked.report("job", 201, state="canceled")
    assert clocked.job("job")["state"] == "canceled"


def test_an_item_that_was_being_processed_is_done_again(clocked: Clocked) -> None:
    clocked.steady("job", until=20)
    clocked.report(
        "job", 21, 20, items=[{"key": "a", "state": "completed"}, {"key": "b", "state": "processing"}]
    )
    clocked.sweep_until(900)
    rows = clocked.rows(
        "select key, state from milepost.items where job_id = %s", clocked.job("job")["job_id"]
    )
    assert {row["key"]: row["state"] for row in rows} == {"a": "completed", "b": "pending"}


def test_a_worker_clock_a_day_off_changes_nothing(clocked: Clocked) -> None:
    for second in range(0, 61, 5):
        clocked.report("ahead", second, second, at=f"2026-01-23T12:{second // 60:02}:{second % 60:02}Z")
        clocked.report("behind", second, second, at=f"2026-01-21T12:{second // 60:02}:{second % 60:02}Z")
        clocked.report("right", second, second)
    figures = [clocked.figures(job, 95) for job in ("ahead", "behind", "right")]
    assert figures[0] == figures[1] == figures[2]
    assert figures[0]["liveness"] == "late"


def test_a_pinged_job_that_never_says_done_is_stalled_and_a_later_ping_is_a_new_run(clocked: Clocked) -> None:
    def ping(signal: str, seconds: int) -> dict[str, object]:
        caller = {
            "tenant_id": clocked.tenant_id,
            "received_at": f"2026-01-22T{12 + seconds // 3600:02}:00:00Z",
        }
        answer: dict[str, object] = clocked.one(
            "select milepost.ping_job(%s, 'backup', %s)", Jsonb(caller), signal
        )
        return answer

    assert ping("start", 0)["state"] == "running"
    clocked.sweep_until(3000)
    assert clocked.job("backup")["state"] == "failed"
    assert len(clocked.events("backup", "job.stalled")) == 1
    again = ping("start", 3600)
    assert (again["state"], again["job"]) == ("running", "backup 2026-01-22T13:00:00.000Z")
    assert ping("done", 3600)["state"] == "completed"


@pytest.mark.parametrize(
    ("batch", "advice"),
    [
        ({"items": 50_000, "duration_ms": 812}, 61_576),
        ({"items": 10, "duration_ms": 20_000}, 1),
        ({"items": 10}, None),
        ({"items": 10, "duration_ms": 0}, None),
        ({"duration_ms": 812}, None),
    ],
)
def test_the_answer_advises_a_batch_of_about_a_second(
    clocked: Clocked, batch: dict[str, int], advice: int | None
) -> None:
    assert clocked.report("job", 0, 10, batch=batch)["suggested_batch_items"] == advice


def test_explain_tells_a_job_in_the_queue_how_long_it_waits_and_behind_how_many(clocked: Clocked) -> None:
    for second, job in enumerate(("first", "second", "third", "later")):
        clocked.create(job, second, start=False, kind="k", priority=9 if job == "third" else 0)
    clocked.create("other", 0, start=False, kind="other")
    clocked.rows("update milepost.jobs set run_after = '2026-01-22T13:00:00Z' where key = 'later'")
    said = {job: clocked.explain(job, 300)["summary"] for job in ("first", "second", "third", "later")}
    assert said == {
        "first": "Waiting for a worker to claim it, for 5 min now; 1 of its kind is before it.",
        "second": "Waiting for a worker to claim it, for 5 min now; 2 of its kind are before it.",
        "third": "Waiting for a worker to claim it, for 5 min now; 0 of its kind are before it.",
        "later": "Waiting for its time, in 55 min.",
    }


def test_explain_says_that_a_job_is_slower_than_it_was(clocked: Clocked) -> None:
    clocked.create("job", items_total=10_000)
    clocked.steady("job", until=300)
    assert "slow" not in [reason["code"] for reason in clocked.explain("job", 300)["reasons"]]
    for step in range(1, 40):
        clocked.report("job", 300 + 10 * step, 300 + step)
    reasons = {reason["code"]: reason["message"] for reason in clocked.explain("job", 690)["reasons"]}
    assert reasons["slow"].startswith("It does 0.1")


def test_a_state_cannot_be_written_past_the_state_machine(clocked: Clocked) -> None:
    clocked.report("job", 0, state="completed")
    with pytest.raises(psycopg.Error, match="cannot become running"):
        clocked.rows("update milepost.jobs set state = 'running', finished_at = null where key = 'job'")
