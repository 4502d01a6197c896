"""The finish time of jobs as checkpoints make it, through the very path that workers use."""

import random
from typing import Any

import pytest
from tracked import Row, Tracked

Said = tuple[float, Row]
"""Seconds, and what a checkpoint said then."""


def items(done: int, total: int | None = 200, **more: Any) -> Row:
    return {"items_completed": done, "items_total": total} | more


def counted(*said: Said) -> list[Said]:
    return list(said)


STEADY = [(t, items(t)) for t in range(0, 101, 5)]
REVISED = [(t, items(t, 200 if t < 50 else 120)) for t in range(0, 101, 5)]
GROWING = [(t, items(t, 200 + 2 * t)) for t in range(0, 101, 5)]
UNKNOWN = [(t, items(t, None)) for t in range(0, 101, 5)]
FAILING = [(t, items(t - t // 10, items_failed=t // 10)) for t in range(0, 101, 5)]
SKIPPING = [(t, items(t, items_skipped=min(2 * t, 90))) for t in range(0, 101, 5)]
RESUMED = [(t, items(120 + t // 2)) for t in range(0, 101, 5)]
NOISY = [(t + random.Random(t).uniform(0, 4), items(t)) for t in range(5, 101, 5)]  # noqa: S311
BURSTS = [(t, items(t - t % 25)) for t in range(0, 101, 5)]
PAUSED = [
    *((t, items(t)) for t in range(0, 51, 5)),
    (53, items(52, state="paused")),
    (500, items(52, state="running")),
    *((450 + t, items(t)) for t in range(55, 101, 5)),
]


def as_replayed(said: list[Said]) -> list[Row]:
    """The same run as replay takes it: work done, and a total of what is worked on."""
    first = said[0][0]
    entries = []
    for t, words in said:
        total, skipped = words["items_total"], words.get("items_skipped", 0)
        entries.append(
            {
                "t": t - first,
                "done": words["items_completed"] + words.get("items_failed", 0),
                "total": None if total is None else total - skipped,
                "state": words.get("state", "running"),
            }
        )
    return entries


@pytest.mark.parametrize(
    "said",
    [STEADY, REVISED, GROWING, UNKNOWN, FAILING, SKIPPING, RESUMED, NOISY, BURSTS, PAUSED],
    ids=[
        "steady",
        "revised",
        "growing",
        "unknown",
        "failing",
        "skipping",
        "resumed",
        "noisy",
        "bursts",
        "paused",
    ],
)
def test_a_live_job_is_told_what_replay_tells(tracked: Tracked, said: list[Said]) -> None:
    live: list[Row] = []
    asked: list[float] = []
    for place, (t, words) in enumerate(said):
        tracked.record(t, words)
        until = said[place + 1][0] if place + 1 < len(said) else t + 10
        for moment in (t, t + 0.4 * (until - t)):
            shown = tracked.figures(moment)
            if shown["eta_reason"] in ("paused", "stalled"):
                continue
            live.append(shown)
            asked.append(moment - said[0][0])
    replayed = tracked.replay(as_replayed(said), asked)
    for shown, answer in zip(live, replayed, strict=True):
        for name, seconds in (("eta_ms", "remaining_s"), ("eta_low_ms", "low_s"), ("eta_high_ms", "high_s")):
            expected = answer[seconds]
            assert shown[name] == (expected if expected is None else pytest.approx(1000 * expected, abs=1))
    assert (live[-1]["eta_ms"] is None) == (said is UNKNOWN)


def test_a_retry_is_told_what_replay_tells(tracked: Tracked) -> None:
    for t in range(0, 81, 5):
        tracked.record(t, items(t, cursor={"at": t}) if t <= 40 else items(t))
    tracked.record(80, {"state": "failed", "reason": "out of memory"})
    assert tracked.reason(85) == "not_started"
    assert tracked.job()["items_completed"] == 40
    tracked.record(100, items(40, attempt=2))
    for t in range(5, 31, 5):
        tracked.record(100 + t, items(40 + t, attempt=2))
    trace: list[Row] = [{"t": t, "done": t, "total": 200} for t in range(0, 81, 5)]
    trace += [{"t": 80, "done": 40, "total": 200, "state": "retry"}]
    trace += [{"t": 80 + t, "done": 40 + t, "total": 200} for t in range(0, 31, 5)]
    (answer,) = tracked.replay(trace, [112])
    assert tracked.left_s(132) == pytest.approx(answer["remaining_s"], abs=0.001)
    assert tracked.left_s(132) == pytest.approx(128, rel=0.1)


# Honest nulls


def test_work_done_before_tracking_says_nothing_of_speed(tracked: Tracked) -> None:
    answer = tracked.record(0, items(50, 100))
    assert answer["results"][0]["eta_ms"] is None
    for moment in (0, 0.04, 1, 10):
        shown = tracked.figures(moment)
        assert (shown["eta_ms"], shown["eta_reason"]) == (None, "no_progress")
        assert (shown["rate_per_s"], shown["average_duration_ms_per_item"]) == (None, None)
    tracked.record(10, items(60, 100))
    assert tracked.left_s(10) == pytest.approx(40, rel=0.01)
    assert tracked.figures(10)["average_duration_ms_per_item"] == pytest.approx(1000)


def test_without_a_total_the_reason_is_no_total(tracked: Tracked) -> None:
    tracked.record(0, {"items_completed": 0})
    tracked.record(10, {"items_completed": 10})
    assert tracked.reason(10) == "no_total"


def test_before_progress_the_reason_is_no_progress(tracked: Tracked) -> None:
    tracked.record(0, items(0))
    assert tracked.reason(1) == "no_progress"


def test_a_paused_job_has_no_eta_and_goes_on_from_where_it_was(tracked: Tracked) -> None:
    for t in range(0, 51, 5):
        tracked.record(t, items(t))
    before = tracked.left_s(50)
    tracked.move(50, "pausing", "pause")
    tracked.record(50, items(50, state="paused"))
    assert tracked.reason(50) == tracked.reason(5000) == "paused"
    tracked.move(9000, "running", "resume")
    assert tracked.left_s(9000) == before


def test_a_finished_job_has_nothing_left(tracked: Tracked) -> None:
    tracked.record(0, items(0))
    tracked.record(10, items(200))
    assert tracked.reason(10) == "finished"
    tracked.record(11, {"state": "completed"})
    assert tracked.reason(12) == "finished"


def test_a_stalled_job_has_no_eta_and_has_one_again_after_progress(tracked: Tracked) -> None:
    for t in range(0, 51, 5):
        tracked.record(t, items(t))
    assert tracked.reason(50_000) == "stalled"
    tracked.record(50_001, items(55))
    assert tracked.reason(50_001) is None


def test_a_limit_before_any_progress_is_the_reason(tracked: Tracked) -> None:
    tracked.record(0, items(0, rate_limited_until="2026-11-22T12:05:00Z"))
    assert tracked.reason(10) == "rate_limited"
    assert tracked.reason(301) == "no_progress"


# Waits


def test_a_rate_limit_counts_and_is_counted_down(tracked: Tracked) -> None:
    for t in range(0, 101, 5):
        tracked.record(t, items(t))
    free = tracked.left_s(100)
    assert free is not None
    tracked.record(100, {"rate_limited_until": "2026-11-22T12:05:00Z"})
    assert tracked.left_s(100) == pytest.approx(free + 200)
    assert tracked.left_s(180) == pytest.approx(free + 120)
    assert tracked.left_s(299.9) == pytest.approx(free + 0.1, abs=0.01)
    assert tracked.left_s(300.1) == pytest.approx(free - 0.1, abs=0.01)


def test_it_counts_down_smoothly_between_checkpoints(tracked: Tracked) -> None:
    for t in range(0, 101, 10):
        tracked.record(t, items(t))
    said = [tracked.left_s(100 + step / 4) for step in range(40)]
    assert said == [pytest.approx(100 - step / 4, rel=0.01) for step in range(40)]


def test_it_never_jumps_by_orders_between_two_reads(tracked: Tracked) -> None:
    rng = random.Random(5)  # noqa: S311
    t, done, last = 0.0, 0, None
    tracked.record(0, items(0, 300))
    while done < 290:
        step = rng.expovariate(1 / 3)
        for part in (0.3, 0.9):
            now = tracked.left_s(t + part * step)
            if now is not None:
                assert now > 0
                # Two advances are too few to rule anything out.
                if last is not None and done > 15:
                    assert 1 / 3 < now / last < 3, (t, done)
                last = now
        t += step
        done += rng.randint(1, 8)
        tracked.record(t, items(min(done, 299), 300))


# Earlier runs of the kind


def test_a_kind_with_history_has_an_eta_from_the_first_second_even_without_a_total(tracked: Tracked) -> None:
    since = 0.0
    for run in range(4):
        since = tracked.run(f"run {run}", since + 10)
    tracked.record(2000, {"kind": "kind"}, job="blind")
    assert tracked.left_s(2000, "blind") == pytest.approx(100, rel=0.1)
    tracked.record(2000, {"kind": "kind", "items_total": 300}, job="larger")
    assert tracked.left_s(2000.5, "larger") == pytest.approx(300, rel=0.1)
    tracked.record(2000, {"kind": "kind", "items_total": 100, "items_completed": 50}, job="resumed")
    assert tracked.left_s(2000.5, "resumed") == pytest.approx(50, rel=0.1)


def test_runs_that_report_every_third_of_the_way_teach_that_they_are_even(tracked: Tracked) -> None:
    for run in range(3):
        for t in (0, 34, 67, 100):
            said = {"state": "completed"} if t == 100 else {}
            tracked.record(1000 * run + t, {"kind": "kind"} | items(t, 100) | said, job=f"run {run}")
    for t in range(0, 31, 5):
        tracked.record(5000 + t, {"kind": "kind"} | items(t, 100), job="finer")
    assert tracked.left_s(5030, "finer") == pytest.approx(70, rel=0.1)


def test_runs_that_begin_where_others_ended_teach_what_the_rest_costs(tracked: Tracked) -> None:
    for run in range(3):
        for t in range(0, 26, 5):
            said = {"state": "completed"} if t == 25 else {}
            tracked.record(1000 * run + t, {"kind": "kind"} | items(75 + t, 100) | said, job=f"run {run}")
    for t in range(0, 11, 5):
        tracked.record(5000 + t, {"kind": "kind"} | items(75 + t, 100), job="resumed")
        assert tracked.left_s(5000 + t, "resumed") == pytest.approx(25 - t, rel=0.1)
    for t in range(0, 11, 5):
        tracked.record(6000 + t, {"kind": "kind"} | items(t, 100), job="whole")
        assert tracked.left_s(6000 + t, "whole") == pytest.approx(100 - t, rel=0.1)


def test_a_job_that_takes_longer_than_its_kind_is_late_and_never_over(tracked: Tracked) -> None:
    since = 0.0
    for run in range(4):
        since = tracked.run(f"run {run}", since + 10)
    said = []
    for t in range(0, 401, 50):
        tracked.record(2000 + t, {"kind": "kind", "items_completed": t // 10}, job="slow")
        said.append(tracked.left_s(2000 + t, "slow"))
    assert all(left is not None and left > 1 for left in said)
    assert said[-1] > said[2]  # type: ignore[operator]


def test_another_tenants_runs_teach_nothing(tracked: Tracked, stack: Any) -> None:
    Tracked(tracked.connection, stack.tenant().tenant_id).run("run")
    tracked.record(0, {"kind": "kind", "items_total": 100})
    assert tracked.reason(1) == "no_progress"


# Stages


def stage(name: str, done: int, total: int | None = 100, **more: Any) -> Row:
    return {"name": name, "items_completed": done, "items_total": total} | more


def pending(name: str) -> Row:
    return {"name": name, "state": "pending"}


def staged_run(tracked: Tracked, job: str, since: float, *, state: str | None = "completed") -> float:
    """10 s of load, 90 s of fit, named as they begin."""
    for t in range(0, 11, 2):
        said = stage("load", 10 * t, state="completed" if t == 10 else "running")
        tracked.record(since + t, {"kind": "staged", "stage": said}, job=job)
    for t in range(0, 91, 10):
        end = {"state": state} if t == 90 and state else {}
        said = stage("fit", t, 90, state="completed" if end else "running")
        tracked.record(since + 10 + t, {"kind": "staged", "stage": said} | end, job=job)
    return since + 100


def test_stages_whose_totals_are_not_known_yet_count_by_weight(tracked: Tracked) -> None:
    for t in range(0, 31, 5):
        tracked.record(t, {"stage": [stage("load", t), pending("fit")]})
    assert tracked.figures(30)["items_pending"] is None
    assert tracked.left_s(30) == pytest.approx(170, rel=0.02)
    assert tracked.figures(30)["rate_per_s"] == pytest.approx(1, rel=0.01)


def test_what_a_stage_had_done_before_tracking_says_nothing_of_speed(tracked: Tracked) -> None:
    tracked.record(0, {"stage": [stage("load", 50), pending("fit")]})
    assert tracked.reason(0.04) == tracked.reason(5) == "no_progress"
    tracked.record(10, {"stage": stage("load", 60)})
    assert tracked.left_s(10) == pytest.approx(140, rel=0.01)


def test_a_stage_that_runs_without_a_total_leaves_no_eta(tracked: Tracked) -> None:
    for t in range(0, 11, 5):
        tracked.record(t, {"stage": stage("load", 10 * t, state="completed" if t == 10 else "running")})
    tracked.record(12, {"stage": stage("fit", 1, None)})
    assert tracked.reason(12) == "no_total"


def test_weights_say_how_much_of_a_job_a_stage_is(tracked: Tracked) -> None:
    for t in range(0, 31, 5):
        tracked.record(t, {"stage": [stage("load", t, weight=1), pending("fit") | {"weight": 9}]})
    assert tracked.left_s(30) == pytest.approx(970, rel=0.02)


def test_stages_count_by_how_long_they_took_in_earlier_runs(tracked: Tracked) -> None:
    since = 0.0
    for run in range(3):
        since = staged_run(tracked, f"run {run}", since + 10)
    shares = tracked.row(
        "select (k.pace).stages from milepost_private.kinds k where k.tenant_id = %s", tracked.tenant_id
    )["stages"]
    assert shares == {"load": pytest.approx(0.1, abs=0.01), "fit": pytest.approx(0.9, abs=0.01)}
    # The second stage has not even been named.
    for t in range(0, 9, 2):
        tracked.record(1000 + t, {"kind": "staged", "stage": stage("load", 10 * t)}, job="new")
    assert tracked.figures(1008, "new")["percent_complete"] == 80
    assert tracked.left_s(1008, "new") == pytest.approx(92, rel=0.1)
    staged_run(tracked, "next", 2000, state=None)
    assert tracked.reason(2100, "next") == "finished"


def test_a_run_that_paused_teaches_nothing_of_its_stages(tracked: Tracked) -> None:
    tracked.record(0, {"kind": "staged", "stage": stage("load", 0)})
    tracked.record(10, {"kind": "staged", "stage": stage("load", 50)})
    tracked.move(10, "pausing", "pause")
    tracked.record(10, {"state": "paused"})
    tracked.move(1000, "running", "resume")
    tracked.record(1010, {"stage": stage("load", 100, state="completed"), "state": "completed"})
    kind = tracked.row(
        "select k.pace from milepost_private.kinds k where k.tenant_id = %s", tracked.tenant_id
    )
    assert kind["pace"] is not None
    shares = "select (k.pace).stages from milepost_private.kinds k where k.tenant_id = %s"
    assert tracked.row(shares, tracked.tenant_id)["stages"] is None


def test_a_retry_takes_stages_back_in_the_eta(tracked: Tracked) -> None:
    for t in range(0, 81, 5):
        tracked.record(t, {"stage": stage("load", t)})
    tracked.move(80, "retrying", "reset")
    tracked.move(90, "running", "claim")
    left = tracked.left_s(90)
    assert left is not None and left > 80


# Lanes


def share(worker: str, done: int, total: int = 100, **more: Any) -> Row:
    return {"worker": worker, "items_completed": done, "worker_items_total": total} | more


def test_the_slowest_lane_with_a_share_of_its_own_decides(tracked: Tracked) -> None:
    for t in range(0, 41, 4):
        tracked.record(t, share("fast", 2 * t), share("slow", t // 4))
    shown = tracked.figures(40)
    assert shown["eta_ms"] / 1000 == pytest.approx(360, rel=0.15)
    assert shown["eta_low_ms"] < shown["eta_ms"] < shown["eta_high_ms"]
    assert tracked.pulse()["last_lane"]["worker"] == "slow"
    # Its share is named once; what it says later needs not repeat it.
    tracked.record(44, {"worker": "slow", "items_completed": 90})
    tracked.record(44, {"worker": "fast", "items_completed": 82})
    left = tracked.left_s(44)
    assert left is not None and left < 30


def test_a_lane_that_ends_before_its_share_is_used_up_holds_nothing_up(tracked: Tracked) -> None:
    for t in range(0, 41, 4):
        tracked.record(t, share("fast", 2 * t), share("slow", t // 4))
    tracked.record(42, {"worker": "slow", "state": "completed"})
    left = tracked.left_s(42)
    assert left is not None and left < 60


def test_lanes_of_one_queue_are_one_job(tracked: Tracked) -> None:
    for t in range(0, 41, 4):
        tracked.record(t, items(2 * t, worker="fast"), items(t // 4, worker="slow"))
    assert tracked.pulse()["last_lane"] is None
    assert tracked.left_s(40) == pytest.approx((200 - 90) / 2.25, rel=0.05)


def test_a_new_attempt_knows_no_last_lane(tracked: Tracked) -> None:
    for t in range(0, 41, 4):
        tracked.record(t, share("a", 2 * t), share("b", t // 4))
    tracked.record(41, {"worker": "a", "state": "failed"})
    assert tracked.pulse()["last_lane"] is None
