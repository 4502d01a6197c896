"""The estimator: what a pace remembers, what a kind learns, and what both say of the time that remains."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg.rows import tuple_row
from scratch_database import Database

Connection = psycopg.Connection[tuple[Any, ...]]
Step = tuple[float, float | None, float | None]


@pytest.fixture(scope="module")
def database(new_database: Callable[[], Database]) -> Iterator[Connection]:
    with psycopg.connect(new_database().url, autocommit=True, row_factory=tuple_row) as connection:
        yield connection


def one(database: Connection, query: str, *parameters: Any) -> Any:
    row = database.execute(query.encode(), parameters).fetchone()
    assert row is not None
    return row if len(row) > 1 else row[0]


def pace_after(database: Connection, steps: Sequence[Step]) -> str | None:
    """The pace, as text, after checkpoints of (active_s, done, remaining)."""
    pace = None
    for step in steps:
        pace = one(
            database,
            "select milepost_private.pace_step(%s::milepost_private.pace, %s, %s, %s)::text",
            pace,
            *step,
        )
    return pace


def estimate(
    database: Connection,
    pace: str | None,
    active_s: float,
    remaining: float | None,
    history: str | None = None,
    fraction: float | None = None,
) -> tuple[float | None, float | None, float | None]:
    said: tuple[float | None, float | None, float | None] = one(
        database,
        "select (e).remaining_s, (e).low_s, (e).high_s from milepost_private.pace_estimate("
        "%s::milepost_private.pace, %s, %s, %s::milepost_private.kind_pace, %s) as e",
        pace,
        active_s,
        remaining,
        history,
        fraction,
    )
    return said


def learn(
    database: Connection,
    history: str | None,
    active_s: float,
    work: float | None = None,
    reached_s: Sequence[float | None] | None = None,
    predicted_s: Sequence[float | None] | None = None,
) -> str | None:
    history_after: str | None = one(
        database,
        "select milepost_private.kind_pace_learn("
        "%s::milepost_private.kind_pace, %s, %s, %s::float8[], %s::float8[])::text",
        history,
        active_s,
        work,
        None if reached_s is None else list(reached_s),
        None if predicted_s is None else list(predicted_s),
    )
    return history_after


def history_of(database: Connection, runs: list[tuple[float, float | None]]) -> str | None:
    history = None
    for active_s, work in runs:
        history = learn(database, history, active_s, work)
    return history


def steady(upto: int, total: int, second_per_item: float = 2, every: int = 10) -> list[Step]:
    return [(n * second_per_item, n, total - n) for n in range(0, upto + 1, every)]


def test_a_steady_job_s_remaining_time_is_exact(database: Connection) -> None:
    pace = pace_after(database, steady(400, 1000))
    assert estimate(database, pace, 800, 600)[0] == pytest.approx(1200, rel=0.01)


def test_nothing_is_known_before_the_first_progress(database: Connection) -> None:
    assert estimate(database, None, 10, 100) == (None, None, None)
    assert estimate(database, pace_after(database, [(0, 0, 100), (5, 0, 100)]), 10, 100) == (None, None, None)


def test_nothing_is_known_without_a_total_and_without_history(database: Connection) -> None:
    pace = pace_after(database, [(10, 5, None), (20, 10, None)])
    assert estimate(database, pace, 20, None) == (None, None, None)


def test_a_share_that_was_done_before_tracking_gives_no_estimate(database: Connection) -> None:
    assert estimate(database, pace_after(database, [(0, 50, 50)]), 0.04, 50, None, 0.5) == (None, None, None)
    assert estimate(database, None, 300, None, fraction=0.75) == (None, None, None)


def test_work_done_before_the_first_checkpoint_is_no_speed(database: Connection) -> None:
    pace = pace_after(database, [(0, 900, 100), (20, 910, 90), (40, 920, 80)])
    assert estimate(database, pace, 40, 80)[0] == pytest.approx(160, rel=0.01)


def test_a_jump_over_earlier_work_is_no_speed(database: Connection) -> None:
    pace = pace_after(database, [(0, 0, 1000), (0.5, 900, 100), (20.5, 910, 90), (40.5, 920, 80)])
    assert estimate(database, pace, 40.5, 80)[0] == pytest.approx(160, rel=0.01)


def test_a_job_resumed_at_90_percent_with_half_of_the_rest_skipped_is_within_10_percent(
    database: Connection,
) -> None:
    # Of the last 100 items every second one is skipped: each one worked on takes two from what remains.
    pace = pace_after(database, [(4 * n, 900 + n, 100 - 2 * n) for n in range(26)])
    assert estimate(database, pace, 100, 50)[0] == pytest.approx(25 * 4, rel=0.1)


def test_a_skip_in_one_lump_shortens_what_remains_and_is_no_speed(database: Connection) -> None:
    pace = pace_after(database, [*steady(200, 1000), (420, 210, 290), (440, 220, 280)])
    assert estimate(database, pace, 440, 280)[0] == pytest.approx(560, rel=0.1)


def test_a_retry_that_begins_again_costs_what_the_work_cost_before(database: Connection) -> None:
    pace = pace_after(database, [*steady(500, 1000), (1000, 0, 1000)])
    assert estimate(database, pace, 1000, 1000)[0] == pytest.approx(2000, rel=0.01)


def test_a_job_that_slowed_down_for_good_is_followed(database: Connection) -> None:
    fast = steady(500, 1000, 1)
    pace = pace_after(database, [*fast, *((500 + 5 * n, 500 + n, 500 - n) for n in range(10, 201, 10))])
    remaining, low, high = estimate(database, pace, 1500, 300)
    assert remaining == pytest.approx(1500, rel=0.1)
    assert low is not None and high is not None and low < 1500 < high


def test_the_estimate_counts_down_between_checkpoints_and_a_late_job_s_grows(database: Connection) -> None:
    pace = pace_after(database, steady(400, 1000))
    seconds = [800 + 5 * n for n in range(21)]
    said = [estimate(database, pace, second, 600)[0] or 0 for second in seconds]
    assert said[:5] == pytest.approx([1200, 1195, 1190, 1185, 1180])
    assert said[4:] == sorted(said[4:])
    assert said[-1] > 1200


def test_a_clock_that_goes_back_stands_still(database: Connection) -> None:
    forward = pace_after(database, [(0, 0, 100), (10, 10, 90), (10, 20, 80)])
    assert pace_after(database, [(0, 0, 100), (10, 10, 90), (4, 20, 80)]) == forward


def test_a_checkpoint_without_a_count_changes_nothing(database: Connection) -> None:
    counted: list[Step] = [(0, 0, 100), (10, 10, 90)]
    assert pace_after(database, [*counted, (15, None, None)]) == pace_after(database, counted)


def test_many_items_at_one_moment_do_not_make_the_rest_free(database: Connection) -> None:
    remaining = estimate(database, pace_after(database, [(0, 0, 100), (5, 10, 90), (5, 60, 40)]), 5, 40)[0]
    assert remaining is not None and remaining > 0


def test_a_job_with_nothing_pending_is_not_said_to_be_over(database: Connection) -> None:
    remaining = estimate(database, pace_after(database, steady(100, 100)), 200, 0)[0]
    assert remaining is not None and 0 < remaining <= 1


def test_the_rate_is_the_recent_one_and_sinks_in_silence(database: Connection) -> None:
    def rate(pace: str | None, active_s: float) -> Any:
        return one(
            database, "select milepost_private.pace_rate(%s::milepost_private.pace, %s)", pace, active_s
        )

    pace = pace_after(database, steady(400, 1000))
    assert rate(None, 5) is None
    assert rate(pace_after(database, [(0, 0, 100)]), 5) is None
    assert rate(pace_after(database, [(0, 900, 100)]), 0) is None
    assert rate(pace, 800) == pytest.approx(0.5)
    assert rate(pace, 820) == pytest.approx(0.5)
    assert (rate(pace, 2000) or 1) < 0.05


def test_history_knows_the_finish_from_the_first_second(database: Connection) -> None:
    history = history_of(database, [(100, None)] * 8)
    remaining, low, high = estimate(database, None, 0, None, history)
    assert remaining == pytest.approx(100, rel=0.02)
    assert low is not None and high is not None and 60 < low < 100 < high < 170


def test_history_scales_with_the_items_where_cost_is_steadier_than_duration(database: Connection) -> None:
    history = history_of(database, [(100, 50), (1000, 500), (200, 100), (3000, 1500), (60, 30)])
    assert estimate(database, None, 0, 10_000, history)[0] == pytest.approx(20_000, rel=0.05)
    pace = pace_after(database, [(0, 0, 10_000)])
    assert estimate(database, pace, 0, 10_000, history, 0)[0] == pytest.approx(20_000, rel=0.05)


def test_a_total_that_becomes_known_late_is_no_growth(database: Connection) -> None:
    known = pace_after(database, [(10 * n, 10 * n, 500 - 10 * n) for n in range(11)])
    late = pace_after(database, [(10 * n, 10 * n, 500 - 10 * n if n == 10 else None) for n in range(11)])
    assert estimate(database, late, 100, 400) == estimate(database, known, 100, 400)


def test_a_total_that_grows_all_along_is_expected_to_grow_on(database: Connection) -> None:
    still = pace_after(database, [(10 * n, 10 * n, 400) for n in range(11)])
    growing = estimate(database, still, 100, 400)[0]
    assert growing is not None and 480 < growing < 700


def test_a_kind_that_always_takes_the_same_still_has_a_range(database: Connection) -> None:
    history = history_of(database, [(100, None)] * 400)
    for active_s in (1e-5, 50, 1e6):
        remaining, low, high = estimate(database, None, active_s, None, history)
        assert remaining is not None and low is not None and high is not None
        assert 0 < low < remaining < high < math.inf


def test_a_late_job_is_said_to_go_on_and_never_to_be_over(database: Connection) -> None:
    history = history_of(database, [(100, None)] * 8)
    said = [estimate(database, None, age, None, history)[0] for age in (50, 99, 150, 400, 40_000)]
    assert all(remaining is not None and remaining > 0 for remaining in said)
    assert said[4] > said[3] > said[2]  # type: ignore[operator]


def test_own_evidence_outweighs_history_as_it_grows(database: Connection) -> None:
    history = history_of(database, [(100, 100)] * 8)
    early = estimate(database, pace_after(database, steady(10, 100, 4, 10)), 40, 90, history)[0]
    late = estimate(database, pace_after(database, steady(90, 100, 4, 10)), 360, 10, history)[0]
    assert early is not None and 90 < early < 350
    assert late == pytest.approx(40, rel=0.25)


def test_a_kind_s_shape_is_learnt(database: Connection) -> None:
    # The last tenth takes half of the time.
    reached = [0.0, *(5.5 * n for n in range(1, 9)), 50.0]
    history = None
    for _ in range(10):
        history = learn(database, history, 100, 1000, reached)
    blind = estimate(database, pace_after(database, steady(800, 1000, 0.055)), 44, 200, None, 0.8)[0]
    wise = estimate(database, pace_after(database, steady(800, 1000, 0.055)), 44, 200, history, 0.8)[0]
    assert blind == pytest.approx(11, rel=0.05)
    assert wise is not None and 30 < wise < 75


def shape_of(database: Connection, reached_s: Sequence[float | None]) -> list[float]:
    """What a kind thinks of a run's shape after very many that were at each tenth when this one was."""
    history = None
    for _ in range(150):
        history = learn(database, history, 100, 100, reached_s)
    shape: list[float] = one(
        database, "select (history).shape from (select %s::milepost_private.kind_pace as history) h", history
    )
    return shape


def test_tenths_that_no_checkpoint_showed_were_passed_evenly(database: Connection) -> None:
    shown = shape_of(database, [0, None, None, 60, None, 80, None, None, None, None])
    expected = [0.2, 0.4, 0.6, 0.7, 0.8, 0.84, 0.88, 0.92, 0.96]
    assert shown == pytest.approx(expected, abs=0.01)


def test_what_was_there_at_second_0_leaves_the_shape_to_the_rest(database: Connection) -> None:
    # From 75 % on, in 100 s: a whole run takes 400.
    shown = shape_of(database, [None] * 7 + [0, 20, 60])
    assert shown == pytest.approx([tenth / 10 for tenth in range(1, 10)], abs=0.002)
    uneven = shape_of(database, [None] * 7 + [0, 20, 90])
    assert uneven[8] == pytest.approx(0.975, abs=0.002)


def test_the_range_follows_how_wrong_earlier_predictions_were(database: Connection) -> None:
    reached = [10.0 * n for n in range(10)]

    def width(factor_low: float, factor_high: float) -> float:
        history = None
        for run in range(20):
            factor = factor_low if run % 2 else factor_high
            history = learn(
                database, history, 100, 100, reached, [(100 - second) * factor for second in reached]
            )
        pace = pace_after(database, [(second, second, 100 - second) for second in range(0, 51, 5)])
        _, low, high = estimate(database, pace, 50, 50, history, 0.5)
        assert low is not None and high is not None
        return math.log(high / low)

    assert width(0.99, 1.01) < 0.35
    assert width(0.3, 3) > 1.5


def test_a_run_without_duration_teaches_nothing(database: Connection) -> None:
    history = history_of(database, [(100, 10)])
    assert learn(database, history, 0, 10) == history


def last_lane(
    database: Connection, before: str | None, active_s: float, *reports: tuple[str, float, float, float]
) -> str:
    """After lanes reported their name, seconds at work, items done and items pending."""
    columns = [list(column) for column in zip(*reports, strict=True)]
    text: str = one(
        database,
        "select milepost_private.pace_last_lane(%s::milepost_private.last_lane, %s, %s::text[], %s::float8[],"
        " %s::float8[], %s::float8[])::text",
        before,
        active_s,
        *columns,
    )
    return text


def by_lanes(database: Connection, lane: str | None, active_s: float) -> Any:
    return one(
        database,
        "select (e).remaining_s, (e).low_s, (e).high_s from milepost_private.pace_estimate_lanes("
        "row(50, 40, 60)::milepost_private.estimate, %s::milepost_private.last_lane, %s) as e",
        lane,
        active_s,
    )


def test_the_slowest_lane_decides(database: Connection) -> None:
    lane = last_lane(database, None, 100, ("a", 100, 100, 0), ("b", 100, 100, 0), ("c", 100, 50, 50))
    assert by_lanes(database, lane, 100)[0] == pytest.approx(100, rel=0.05)
    assert by_lanes(database, lane, 130)[0] == pytest.approx(70, rel=0.05)
    assert by_lanes(database, lane, 180) == (50, 40, 60)


def test_lanes_that_end_before_the_job_change_nothing(database: Connection) -> None:
    lane = last_lane(database, None, 100, ("a", 100, 100, 0), ("b", 100, 90, 10))
    assert by_lanes(database, lane, 100) == (50, 40, 60)
    assert by_lanes(database, None, 100) == (50, 40, 60)
    assert by_lanes(database, last_lane(database, None, 100, ("a", 100, 0, 100)), 100) == (50, 40, 60)


def test_another_lane_takes_over_as_the_last_when_it_reports(database: Connection) -> None:
    lane = last_lane(database, None, 100, ("a", 100, 50, 50), ("b", 100, 60, 40))
    lane = last_lane(database, lane, 110, ("a", 110, 100, 0))
    assert by_lanes(database, lane, 110) == (50, 40, 60)
    lane = last_lane(database, lane, 112, ("b", 112, 60, 60))
    assert by_lanes(database, lane, 112)[0] == pytest.approx(112, rel=0.05)


seconds = st.floats(0, 1e8, allow_subnormal=False)
items = st.integers(0, 10**15)
checkpoints = st.lists(st.tuples(seconds, items, st.none() | items), max_size=12)


@given(
    steps=checkpoints,
    active_s=seconds,
    remaining=st.none() | items,
    runs=st.lists(st.tuples(st.floats(1e-3, 1e8), items), max_size=4),
    fraction=st.none() | st.floats(0, 1),
)
def test_an_estimate_is_null_or_finite_and_ordered(
    database: Connection,
    steps: list[Step],
    active_s: float,
    remaining: int | None,
    runs: list[tuple[float, float | None]],
    fraction: float | None,
) -> None:
    said = estimate(
        database, pace_after(database, steps), active_s, remaining, history_of(database, runs), fraction
    )
    if said[0] is None:
        assert said == (None, None, None)
        assert not runs
    else:
        assert 0 < said[1] <= said[0] <= said[2] < math.inf  # type: ignore[operator]


@example(shape=[0.0] * 10, predicted=[None] * 10, active_s=1.0, fraction=5e-324)
@given(
    shape=st.lists(st.floats(0, 1), min_size=10, max_size=10),
    predicted=st.lists(st.none() | st.floats(1e-3, 1e9), min_size=10, max_size=10),
    active_s=st.floats(1e-3, 1e8),
    fraction=st.floats(0, 1),
)
def test_any_run_can_be_learnt_from(
    database: Connection,
    shape: list[float],
    predicted: list[float | None],
    active_s: float,
    fraction: float,
) -> None:
    reached: list[float | None] = [share * active_s for share in sorted(shape)]
    history = learn(database, None, active_s, 10, reached, predicted)
    history = learn(database, history, active_s, 10, [*reached[:5], *[None] * 5], None)
    pace = pace_after(database, [(0.1 * active_s, 1, 9), (0.2 * active_s, 2, 8)])
    for said in (
        estimate(database, None, 0.5 * active_s, None, history, fraction),
        estimate(database, pace, 0.5 * active_s, 8, history, fraction),
    ):
        assert 0 < said[1] <= said[0] <= said[2] < math.inf  # type: ignore[operator]
