"""replay: a job's estimate and liveness at any moment, from its checkpoints alone."""

import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.rows import namedtuple_row
from scratch_database import Database

Connection = psycopg.Connection[Any]
Entry = dict[str, Any]


@pytest.fixture(scope="module")
def database(new_database: Callable[[], Database]) -> Iterator[Connection]:
    with psycopg.connect(new_database().url, autocommit=True, row_factory=namedtuple_row) as connection:
        yield connection


def replay(database: Connection, checkpoints: list[Entry], at_s: list[float]) -> list[Any]:
    return database.execute(
        "select * from milepost_private.replay(%s::jsonb, %s::float8[])",
        [json.dumps(checkpoints), [float(second) for second in at_s]],
    ).fetchall()


def steady(upto: int, total: int | None, since_s: float = 0, done: int = 0) -> list[Entry]:
    """One item a second, a checkpoint every ten."""
    return [{"t": since_s + n, "done": done + n, "total": total} for n in range(0, upto + 1, 10)]


def test_it_answers_each_asked_second_in_the_order_asked(database: Connection) -> None:
    rows = replay(database, steady(500, 1000), [400, 100, 100, 0])
    assert [row.at_s for row in rows] == [400, 100, 100, 0]
    assert [row.remaining_s for row in rows] == [pytest.approx(600), *[pytest.approx(900)] * 2, None]
    assert rows[0]._fields == ("at_s", "remaining_s", "low_s", "high_s", "liveness")
    assert replay(database, steady(500, 1000), []) == []


def test_a_steady_job_is_predicted_within_one_percent(database: Connection) -> None:
    for row in replay(database, steady(1000, 1000), [15, 99, 333.3, 801, 985]):
        assert row.remaining_s == pytest.approx(1000 - row.at_s, rel=0.01)
        assert row.low_s <= row.remaining_s <= row.high_s
        assert row.liveness == "on_time"


def test_an_answer_has_not_seen_what_came_later(database: Connection) -> None:
    seen = replay(database, steady(200, 1000), [200.0, 203.0])
    assert (
        replay(database, [*steady(200, 1000), {"t": 203.5, "done": 999, "total": 1000}], [200, 203]) == seen
    )


def test_a_checkpoint_at_the_asked_second_is_seen(database: Connection) -> None:
    assert replay(database, [*steady(100, 1000), {"t": 100, "done": 100, "total": 500}], [100])[
        0
    ].remaining_s == pytest.approx(400, rel=0.1)


def test_without_a_total_there_is_liveness_and_no_estimate(database: Connection) -> None:
    row = replay(database, steady(100, None), [100])[0]
    assert (row.remaining_s, row.low_s, row.high_s, row.liveness) == (None, None, None, "on_time")


def test_a_pause_stands_still(database: Connection) -> None:
    paused = [*steady(300, 1000), {"t": 300, "done": 300, "total": 1000, "state": "paused"}]
    during = replay(database, paused, [300, 305, 50_000])
    assert {row.remaining_s for row in during} == {during[0].remaining_s}
    assert {row.liveness for row in during} == {"on_time"}

    resumed = [
        *paused,
        {"t": 50_000, "done": 300, "total": 1000, "state": "running"},
        *steady(100, 1000, 50_010, 310),
    ]
    assert replay(database, resumed, [50_110])[0].remaining_s == pytest.approx(590, rel=0.01)


def test_a_job_paused_while_it_was_silent_is_on_time(database: Connection) -> None:
    silent = [*steady(300, 1000), {"t": 90_000, "done": 300, "total": 1000}]
    paused = [*silent, {"t": 90_000, "done": 300, "total": 1000, "state": "paused"}]
    assert replay(database, silent, [90_010])[0].liveness != "on_time"
    assert replay(database, paused, [90_010])[0].liveness == "on_time"


def test_a_heartbeat_does_not_end_a_pause(database: Connection) -> None:
    paused = [
        *steady(300, 1000),
        {"t": 300, "done": 300, "total": 1000, "state": "paused"},
        {"t": 900, "done": 300, "total": 1000},
    ]
    rows = replay(database, paused, [300, 2000])
    assert rows[0].remaining_s == rows[1].remaining_s


def test_a_retry_does_not_explode(database: Connection) -> None:
    retried = [
        *steady(500, 1000),
        {"t": 510, "done": 0, "total": 1000, "state": "retry"},
        *steady(100, 1000, 510),
    ]
    for row in replay(database, retried, [510, 520, 560, 610]):
        assert row.remaining_s == pytest.approx(1510 - row.at_s, rel=0.1)


def test_a_silent_job_is_found_and_its_estimate_grows(database: Connection) -> None:
    rows = replay(database, steady(300, 1000), [300, 400, 1000, 10_000])
    assert rows[0].liveness == "on_time"
    assert rows[-1].liveness in ("stalled", "lost")
    assert [row.remaining_s for row in rows[1:]] == sorted(row.remaining_s for row in rows[1:])


def test_a_job_that_was_never_heard_from_has_no_estimate(database: Connection) -> None:
    assert replay(database, [], [10])[0].remaining_s is None


def test_it_writes_nothing(database: Connection) -> None:
    with database.transaction():
        database.execute("set transaction read only")
        assert len(replay(database, steady(50, 100), [50])) == 1


times = st.lists(st.floats(0, 1e6, allow_subnormal=False), max_size=15).map(sorted)


@st.composite
def runs(draw: st.DrawFn) -> list[Entry]:
    return [
        {
            "t": t,
            "done": draw(st.integers(0, 10**6)),
            "total": draw(st.none() | st.integers(0, 10**6)),
            "state": draw(st.sampled_from(["running", "running", "paused", "retry"])),
        }
        for t in draw(times)
    ]


@given(checkpoints=runs(), at_s=times)
def test_every_answer_is_null_or_finite_and_ordered(
    database: Connection, checkpoints: list[Entry], at_s: list[float]
) -> None:
    rows = replay(database, checkpoints, at_s)
    assert [row.at_s for row in rows] == at_s
    for row in rows:
        assert row.liveness in ("on_time", "late", "stalled", "lost")
        if row.remaining_s is None:
            assert (row.low_s, row.high_s) == (None, None)
        else:
            assert 0 < row.low_s <= row.remaining_s <= row.high_s < math.inf


@given(
    gaps=st.lists(st.floats(0.5, 100), min_size=2, max_size=12),
    share=st.lists(st.floats(0, 1), min_size=2, max_size=6).map(sorted),
)
def test_it_counts_down_while_the_next_checkpoint_is_not_due(
    database: Connection, gaps: list[float], share: list[float]
) -> None:
    t = 0.0
    checkpoints: list[Entry] = [{"t": t, "done": 0, "total": 100}]
    for place, gap in enumerate(gaps):
        t += gap
        checkpoints.append({"t": t, "done": 2 * place + 2, "total": 100})
    due = min(gaps)
    said = [row.remaining_s for row in replay(database, checkpoints, [t + part * due for part in share])]
    assert said == sorted(said, reverse=True)
