"""Liveness by progress: sql/schema/20_rhythm*.sql in a real Postgres. Time is an argument throughout."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from milepost.local.postgres import Postgres

SCHEMA = Path(__file__).resolve().parents[2] / "sql" / "schema"
SEVERITY = {"on_time": 0, "late": 1, "stalled": 2, "lost": 3}

PREPARATION = """
create role anon; create role authenticated; create role service_role;
create schema milepost_private;
grant usage on schema milepost_private to anon, authenticated, service_role;
"""

# verdicts[i] is the verdict on the silence that the i-th contact ends, asked just before it.
DRIVER = """
create function pg_temp.feed(
  active_s float8[], done float8[], event text[], history milepost_private.kind_rhythm,
  out rhythm milepost_private.rhythm, out liveness text[]
) language plpgsql as $$
begin
  for i in 1..cardinality(active_s) loop
    liveness[i] := (milepost_private.rhythm_liveness(rhythm, active_s[i], 0, null, history)).liveness;
    rhythm := milepost_private.rhythm_step(rhythm, active_s[i], done[i], event[i]);
  end loop;
end;
$$;
"""


class Contact(NamedTuple):
    active_s: float
    done: float
    event: str = "checkpoint"


class Verdict(NamedTuple):
    liveness: str
    threshold_s: float
    silence_s: float
    reason: str | None


class Rhythms:
    """The functions under test, a rhythm and a history being the text of their composite value."""

    def __init__(self, database: psycopg.Connection[Any]) -> None:
        self.database = database

    def one(self, query: str, *values: object) -> Any:
        row = self.database.execute(query, values).fetchone()
        assert row is not None
        return row[0] if len(row) == 1 else row

    def feed(self, contacts: Sequence[Contact], history: str | None = None) -> tuple[str, list[str]]:
        """The rhythm after these contacts, and the liveness just before each."""
        rhythm, before = self.one(
            "select rhythm::text, liveness from pg_temp.feed("
            "%s::float8[], %s::float8[], %s, %s::milepost_private.kind_rhythm)",
            [float(contact.active_s) for contact in contacts],
            [float(contact.done) for contact in contacts],
            [contact.event for contact in contacts],
            history,
        )
        return rhythm, before

    def after(self, contacts: Sequence[Contact]) -> str:
        return self.feed(contacts)[0]

    def field(self, rhythm: str, name: str) -> Any:
        return self.one(f"select (%s::milepost_private.rhythm).{name}", rhythm)

    def verdict(
        self,
        rhythm: str | None,
        active_s: float,
        contact_age_s: float | None = 0,
        stall_after_s: float | None = None,
        history: str | None = None,
    ) -> Verdict:
        return Verdict(
            *self.one(
                "select * from milepost_private.rhythm_liveness("
                "%s::milepost_private.rhythm, %s, %s, %s, %s::milepost_private.kind_rhythm)",
                rhythm,
                active_s,
                contact_age_s,
                stall_after_s,
                history,
            )
        )

    def stalls_in_s(self, rhythm: str | None, active_s: float, history: str | None = None) -> float:
        answer: float = self.one(
            "select milepost_private.rhythm_stalls_in_s("
            "%s::milepost_private.rhythm, %s, null, %s::milepost_private.kind_rhythm)",
            rhythm,
            active_s,
            history,
        )
        return answer

    def learn(self, *runs: Sequence[Contact]) -> str:
        history: str | None = None
        for contacts in runs:
            history = self.one(
                "select milepost_private.kind_rhythm_learn("
                "%s::milepost_private.kind_rhythm, %s::milepost_private.rhythm)::text",
                history,
                self.after(contacts),
            )
        assert history is not None
        return history


@pytest.fixture(scope="module")
def rhythms() -> Iterator[Rhythms]:
    with Postgres() as postgres, postgres.connect() as database:
        database.execute(PREPARATION)
        for _ in ("first", "again"):
            for file in sorted(SCHEMA.glob("20_rhythm*.sql")):
                database.execute(file.read_bytes())
        database.execute(DRIVER.encode())
        yield Rhythms(database)


def steady(count: int, gap_s: float = 1, step: float = 10, start: Contact = Contact(0, 0)) -> list[Contact]:  # noqa: B008
    """A start and `count` rises, each by `step` and `gap_s` seconds after the one before."""
    return [start] + [
        Contact(start.active_s + number * gap_s, start.done + number * step) for number in range(1, count + 1)
    ]


def gaps(*seconds: float, step: float = 10) -> list[Contact]:
    """A start and a rise after each of these gaps."""
    contacts = [Contact(0, 0)]
    for gap_s in seconds:
        contacts.append(Contact(contacts[-1].active_s + gap_s, contacts[-1].done + step))
    return contacts


def heartbeats(after: Contact, count: int, every_s: float = 10) -> list[Contact]:
    return [Contact(after.active_s + number * every_s, after.done) for number in range(1, count + 1)]


# --- golden cases


def test_a_job_with_a_quick_rhythm_stalls_after_a_minute_of_silence(rhythms: Rhythms) -> None:
    rhythm = rhythms.after(steady(100))
    assert rhythms.verdict(rhythm, 101) == ("on_time", 60, 1, None)
    assert rhythms.verdict(rhythm, 130.5) == ("late", 60, 30.5, "no_progress")
    assert rhythms.verdict(rhythm, 160) == ("late", 60, 60, "no_progress")
    assert rhythms.verdict(rhythm, 160.5, contact_age_s=60.5) == ("lost", 60, 60.5, "no_contact")


def test_a_regular_slow_job_stalls_after_ten_of_its_gaps(rhythms: Rhythms) -> None:
    rhythm = rhythms.after(steady(101, gap_s=300))
    assert rhythms.verdict(rhythm, 101 * 300).threshold_s == pytest.approx(10 * 300 * 1.01)


@pytest.mark.parametrize(
    ("gap_s", "longest_s", "threshold_s"), [(10, 40, 10 * 10 * 4**0.7), (1, 1000, 2 * 1000)]
)
def test_long_gaps_of_the_past_lengthen_the_threshold(
    rhythms: Rhythms, gap_s: float, longest_s: float, threshold_s: float
) -> None:
    rhythm = rhythms.after(gaps(*[gap_s] * 100, longest_s, *[gap_s] * 3))
    assert rhythms.verdict(rhythm, 3000).threshold_s == pytest.approx(threshold_s, rel=0.05)


def test_a_long_gap_is_forgotten_after_two_hundred_times_its_length(rhythms: Rhythms) -> None:
    rhythm = rhythms.after(gaps(*[1] * 20, 100, *[1] * 20_000))
    assert rhythms.verdict(rhythm, 20_120).threshold_s == 60


def test_a_job_that_never_starts_stalls_after_fifteen_minutes(rhythms: Rhythms) -> None:
    rhythm = rhythms.after([Contact(0, 0), *heartbeats(Contact(0, 0), 100)])
    assert rhythms.verdict(rhythm, 450).liveness == "on_time"
    assert rhythms.verdict(rhythm, 451) == ("late", 900, 451, "never_started")
    assert rhythms.verdict(rhythm, 1001) == ("stalled", 900, 1001, "never_started")


def test_a_job_that_was_never_heard_from_is_lost_and_not_forgotten(rhythms: Rhythms) -> None:
    assert rhythms.verdict(None, 900, contact_age_s=None).liveness == "late"
    assert rhythms.verdict(None, 901, contact_age_s=None) == ("lost", 900, 901, "never_started")


def test_a_slow_first_item_allows_the_second_three_times_as_long(rhythms: Rhythms) -> None:
    rhythm = rhythms.after(gaps(600))
    assert rhythms.verdict(rhythm, 600).threshold_s == 1800


# --- what counts as progress


def test_heartbeats_without_progress_do_not_count(rhythms: Rhythms) -> None:
    worked = steady(50)
    rhythm = rhythms.after([*worked, *heartbeats(worked[-1], 20)])
    assert rhythms.verdict(rhythm, 250, contact_age_s=0) == ("stalled", 60, 200, "no_progress")


def test_a_crawl_is_silence(rhythms: Rhythms) -> None:
    worked = steady(50, gap_s=10, step=1000)
    rhythm = rhythms.after([*worked, *steady(30, gap_s=10, step=1, start=worked[-1])[1:]])
    assert rhythms.verdict(rhythm, 800).liveness == "stalled"


@pytest.mark.parametrize(("gap_s", "step"), [(100, 1000), (10, 100)], ids=["rarer", "smaller"])
def test_a_job_that_becomes_ten_times_slower_is_not_stalled(
    rhythms: Rhythms, gap_s: float, step: float
) -> None:
    worked = gaps(*[9, 10, 11] * 20, step=1000)
    _, before = rhythms.feed([*worked, *steady(100, gap_s, step, start=worked[-1])[1:]])
    assert not {"stalled", "lost"} & set(before)


def test_small_rises_add_up_to_a_counted_one(rhythms: Rhythms) -> None:
    worked = steady(50, step=100)
    crawling = steady(2, step=7.6, start=worked[-1])[1:]
    assert rhythms.field(rhythms.after([*worked, crawling[0]]), "risen_s") == 50
    assert rhythms.field(rhythms.after([*worked, *crawling]), "risen_s") == 52


def test_work_skipped_at_once_does_not_make_later_steps_small(rhythms: Rhythms) -> None:
    skipped = [Contact(0, 0), Contact(1, 1), Contact(2, 1_000_000)]
    _, before = rhythms.feed([*skipped, *steady(500, start=skipped[-1], step=1)[1:]])
    assert set(before) == {"on_time"}


def test_entries_that_were_held_back_and_come_at_once_do_not_spoil_the_rhythm(rhythms: Rhythms) -> None:
    worked = steady(100, gap_s=30)
    held_back = [Contact(3030 + 0.001 * number, 1000 + 10 * number) for number in range(200)]
    rhythm = rhythms.after([*worked, *held_back])
    assert rhythms.verdict(rhythm, 3031).threshold_s == pytest.approx(300, rel=0.02)


def test_a_network_cut_of_thirty_seconds_is_no_stall(rhythms: Rhythms) -> None:
    worked = steady(200, gap_s=0.2)
    back = [Contact(worked[-1].active_s + 45, worked[-1].done + 10 * number) for number in range(150)]
    _, before = rhythms.feed([*worked, *back])
    assert not {"stalled", "lost"} & set(before)


# --- falls, retries, stages, pauses


def livelock(rounds: int, best: Contact) -> list[Contact]:
    """Falls by 50 and climbs back to the best, by 10 a second."""
    contacts: list[Contact] = []
    for number in range(rounds):
        since = best.active_s + 6 * number
        contacts += [Contact(since + 1 + climb, best.done - 50 + 10 * climb) for climb in range(6)]
    return contacts


def test_a_livelock_is_found_however_lively_it_is(rhythms: Rhythms) -> None:
    worked = steady(50)
    lively = [*worked, *livelock(20, worked[-1])]
    rhythm = rhythms.after(lively)
    assert rhythms.verdict(rhythm, lively[-1].active_s) == ("stalled", 60, 120, "no_net_progress")


def test_three_falls_are_no_livelock(rhythms: Rhythms) -> None:
    worked = steady(50)
    rhythm = rhythms.after([*worked, *livelock(3, worked[-1]), Contact(200, worked[-1].done)])
    assert rhythms.verdict(rhythm, 200).reason != "no_net_progress"


def test_a_new_high_ends_a_livelock(rhythms: Rhythms) -> None:
    worked = steady(50)
    lively = [*worked, *livelock(20, worked[-1])]
    rhythm = rhythms.after([*lively, Contact(lively[-1].active_s + 1, worked[-1].done + 1)])
    assert rhythms.verdict(rhythm, lively[-1].active_s + 1).liveness == "on_time"


def test_attempts_that_never_pass_the_best_are_a_livelock(rhythms: Rhythms) -> None:
    contacts = steady(50)
    for _ in range(4):
        contacts += steady(40, start=Contact(contacts[-1].active_s + 1, 0, "retry"))
    rhythm = rhythms.after(contacts)
    assert rhythms.verdict(rhythm, contacts[-1].active_s).reason == "no_net_progress"


def test_a_new_attempt_is_given_a_chance_after_a_livelock(rhythms: Rhythms) -> None:
    worked = steady(50)
    lively = [*worked, *livelock(200, worked[-1])]
    now_s = lively[-1].active_s
    assert rhythms.verdict(rhythms.after(lively), now_s).liveness == "stalled"
    assert (
        rhythms.verdict(rhythms.after([*lively, Contact(now_s, 0, "retry")]), now_s + 30).liveness
        == "on_time"
    )


def test_a_retry_whose_count_falls_is_one_fall(rhythms: Rhythms) -> None:
    rhythm = rhythms.after([*steady(50), Contact(60, 100, "retry")])
    assert (rhythms.field(rhythm, "falls"), rhythms.field(rhythm, "retries")) == (0, 1)


@pytest.mark.parametrize("event", ["retry", "resume", "stage"])
def test_silence_begins_anew_and_what_starting_takes_is_no_sample(rhythms: Rhythms, event: str) -> None:
    worked = steady(50)
    again = [*worked, Contact(100, 500, event)]
    assert rhythms.verdict(rhythms.after(again), 110) == ("on_time", 300, 10, None)
    started = rhythms.after([*again, Contact(350, 510)])
    assert rhythms.field(started, "longest_s") == 1
    assert rhythms.field(started, "first_s") == 250


def test_a_stage_with_rarer_and_larger_steps_is_not_stalled(rhythms: Rhythms) -> None:
    worked = steady(50, gap_s=0.5, step=10_000)
    stage = Contact(worked[-1].active_s, worked[-1].done, "stage")
    _, before = rhythms.feed([*worked, *steady(30, gap_s=120, step=1, start=stage)])
    assert not {"stalled", "lost"} & set(before)


def test_a_job_hung_in_its_new_stage_is_found(rhythms: Rhythms) -> None:
    worked = steady(50)
    rhythm = rhythms.after([*worked, Contact(50, 500, "stage"), *heartbeats(worked[-1], 40)])
    assert rhythms.verdict(rhythm, 450).liveness == "stalled"


def test_an_unknown_event_is_refused_by_name(rhythms: Rhythms) -> None:
    with pytest.raises(
        psycopg.errors.InvalidParameterValue,
        match="must be checkpoint, retry, resume or stage, found heartbeat",
    ):
        rhythms.after([Contact(0, 0, "heartbeat")])


@pytest.mark.parametrize("event", ["checkpoint", "retry", "resume", "stage"])
def test_a_clock_that_goes_back_stands_still(rhythms: Rhythms, event: str) -> None:
    rhythm = rhythms.after([*steady(50), Contact(20, 600, event)])
    assert (rhythms.field(rhythm, "seen_s"), rhythms.field(rhythm, "risen_s")) == (50, 50)


# --- the two clocks, and what the author declares


def test_contact_tells_stalled_from_lost(rhythms: Rhythms) -> None:
    worked = steady(50)
    rhythm = rhythms.after([*worked, *heartbeats(worked[-1], 20)])
    assert rhythms.verdict(rhythm, 255, contact_age_s=5).liveness == "stalled"
    assert rhythms.verdict(rhythm, 400, contact_age_s=150) == ("lost", 60, 350, "no_contact")


def test_a_slow_job_whose_heartbeat_ends_is_late_before_its_silence_is(rhythms: Rhythms) -> None:
    contacts = [
        Contact(10 * number, number // 30) for number in range(30 * 20)
    ]  # an item in five minutes, a heartbeat in ten seconds
    rhythm = rhythms.after(contacts)
    now_s = contacts[-1].active_s
    assert rhythms.verdict(rhythm, now_s + 60, contact_age_s=60).liveness == "on_time"
    verdict = rhythms.verdict(rhythm, now_s + 70, contact_age_s=70)
    assert (verdict.liveness, verdict.reason) == ("late", "no_contact")


def test_missing_contact_says_nothing_before_a_rhythm_is_known(rhythms: Rhythms) -> None:
    rhythm = rhythms.after([Contact(0, 0), Contact(0, 0), Contact(1, 0)])
    assert rhythms.verdict(rhythm, 300, contact_age_s=299).liveness == "on_time"


def test_a_declared_limit_overrides_the_learnt_one_both_ways(rhythms: Rhythms) -> None:
    rhythm = rhythms.after(steady(50))
    assert rhythms.verdict(rhythm, 53, contact_age_s=3, stall_after_s=2) == ("lost", 2, 3, "no_contact")
    assert rhythms.verdict(rhythm, 1850, stall_after_s=3600) == ("on_time", 3600, 1800, None)
    assert rhythms.verdict(None, 11, contact_age_s=1, stall_after_s=10).liveness == "stalled"


# --- earlier runs of the kind


def test_earlier_runs_tell_how_long_starting_takes(rhythms: Rhythms) -> None:
    quick, slow = (rhythms.learn(*[gaps(first_s, *[1] * 50)] * 5) for first_s in (10, 1200))
    assert rhythms.verdict(None, 0, history=quick).threshold_s == 60
    assert rhythms.verdict(None, 0, history=slow).threshold_s == 3600


def test_a_long_gap_that_earlier_runs_had_is_no_stall(rhythms: Rhythms) -> None:
    run = gaps(5, *[1] * 200, 600, *[1] * 20)
    assert "stalled" in rhythms.feed(run)[1]
    assert not {"stalled", "lost"} & set(rhythms.feed(run, history=rhythms.learn(run))[1])


def test_earlier_runs_count_less_the_more_this_run_has_shown(rhythms: Rhythms) -> None:
    history = rhythms.learn(*[steady(50, gap_s=100)] * 3)
    thresholds = [
        rhythms.verdict(rhythms.after(steady(count, gap_s=10)), count * 10, history=history).threshold_s
        for count in (3, 10, 100, 1000)
    ]
    assert thresholds == sorted(thresholds, reverse=True)
    assert thresholds[0] > 300
    assert thresholds[-1] == pytest.approx(100, rel=0.05)


def test_earlier_runs_never_make_a_slower_run_stall_sooner(rhythms: Rhythms) -> None:
    history = rhythms.learn(*[steady(50)] * 5)
    rhythm = rhythms.after(steady(5, gap_s=60))
    assert rhythms.verdict(rhythm, 300, history=history) == rhythms.verdict(rhythm, 300)


def test_a_kind_that_counts_nothing_is_judged_by_how_long_its_runs_took(rhythms: Rhythms) -> None:
    history = rhythms.learn([Contact(0, 0), Contact(7200, 0)])
    assert rhythms.verdict(None, 7200, history=history) == ("on_time", 21_600, 7200, None)


def test_the_silence_before_completing_is_learnt_as_a_gap(rhythms: Rhythms) -> None:
    worked = steady(50)
    history = rhythms.learn([*worked, Contact(650, 500)])
    assert rhythms.verdict(rhythms.after(worked), 650, history=history).liveness in {"on_time", "late"}


def test_falls_that_earlier_runs_recovered_from_are_no_livelock(rhythms: Rhythms) -> None:
    worked = steady(50)
    falling = [*worked, *livelock(20, worked[-1])]
    history = rhythms.learn([*falling, Contact(171, 600)])
    assert rhythms.verdict(rhythms.after(falling), 170).reason == "no_net_progress"
    assert rhythms.verdict(rhythms.after(falling), 170, history=history).liveness == "on_time"


def test_a_run_that_was_never_heard_from_teaches_nothing(rhythms: Rhythms) -> None:
    history = rhythms.learn(steady(50))
    assert history == rhythms.one(
        "select milepost_private.kind_rhythm_learn(%s::milepost_private.kind_rhythm, null)::text", history
    )


def test_a_kind_forgets_one_odd_run(rhythms: Rhythms) -> None:
    odd, usual = gaps(3600, *[1] * 50, 3600, *[1] * 5), steady(50)
    history = rhythms.learn(odd, *[usual] * 100)
    assert rhythms.verdict(rhythms.after(usual), 50, history=history).threshold_s == 60
    assert rhythms.verdict(None, 0, history=history).threshold_s == 60


# --- properties

any_gap_s = st.one_of(
    st.sampled_from([0.0, 5e-324, 1e-9, 0.1, 1.0, 300.0, 1e6, 1e12]), st.floats(0, 1e4, allow_nan=False)
)
any_done = st.one_of(st.sampled_from([0.0, 5e-324, 1.0, 1e15, 1e307]), st.integers(0, 10_000).map(float))
any_event = st.sampled_from(["checkpoint"] * 12 + ["retry", "resume", "stage"])


@st.composite
def any_contacts(draw: st.DrawFn) -> list[Contact]:
    contacts, active_s = [], 0.0
    for gap_s, done, event in draw(
        st.lists(st.tuples(any_gap_s, any_done, any_event), min_size=1, max_size=40)
    ):
        active_s += gap_s
        contacts.append(Contact(active_s, done, event))
    return contacts


def checked(function: Any) -> Any:
    return settings(
        max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )(function)


@checked
@given(contacts=any_contacts(), silence_s=any_gap_s)
@example(contacts=[Contact(0, 1.7e308), Contact(1.7e308, 0), Contact(1.7e308, 1.7e308)], silence_s=0)
@example(contacts=[Contact(5e-324, 5e-324 * number) for number in range(5)], silence_s=5e-324)
@example(contacts=[Contact(number * 1e300, number * 1e300) for number in range(9)], silence_s=1e308)
def test_no_numbers_are_too_large_or_too_small(
    rhythms: Rhythms, contacts: list[Contact], silence_s: float
) -> None:
    history = rhythms.learn(contacts)
    for known in (None, history, rhythms.learn(contacts, contacts)):
        verdict = rhythms.verdict(
            rhythms.after(contacts), contacts[-1].active_s + silence_s, silence_s, None, known
        )
        assert verdict.liveness in SEVERITY
        assert 60 <= verdict.threshold_s < float("inf")
        assert 0 <= verdict.silence_s < float("inf")
        assert (verdict.reason is None) == (verdict.liveness == "on_time")


@checked
@given(contacts=any_contacts(), silences_s=st.lists(any_gap_s, min_size=2, max_size=6).map(sorted))
def test_silence_only_makes_it_worse(
    rhythms: Rhythms, contacts: list[Contact], silences_s: list[float]
) -> None:
    rhythm = rhythms.after(contacts)
    severities = [
        SEVERITY[rhythms.verdict(rhythm, contacts[-1].active_s + silence_s, silence_s).liveness]
        for silence_s in silences_s
    ]
    assert severities == sorted(severities)


@checked
@given(contacts=any_contacts(), gap_s=st.floats(0, 1e6))
def test_a_new_high_makes_it_on_time_again(rhythms: Rhythms, contacts: list[Contact], gap_s: float) -> None:
    high = Contact(contacts[-1].active_s + gap_s, 2 * max(contact.done for contact in contacts) + 10_000)
    assert rhythms.verdict(rhythms.after([*contacts, high]), high.active_s).liveness == "on_time"


@checked
@given(
    worked=st.integers(1, 50),
    gap_s=st.floats(0.1, 300),
    polls=st.integers(0, 20),
    away_s=st.floats(0, 1e7),
)
def test_a_paused_job_never_stalls(
    rhythms: Rhythms, worked: int, gap_s: float, polls: int, away_s: float
) -> None:
    contacts = steady(worked, gap_s)
    now_s = contacts[-1].active_s
    while_paused = [Contact(now_s, contacts[-1].done)] * polls
    paused = rhythms.after([*contacts, *while_paused])
    resumed = rhythms.after([*contacts, *while_paused, Contact(now_s, contacts[-1].done, "resume")])
    for rhythm in (paused, resumed):
        assert rhythms.verdict(rhythm, now_s, contact_age_s=away_s).liveness == "on_time"


@checked
@given(
    shortest_s=st.floats(0.01, 30),
    factors=st.lists(st.floats(1, 10), min_size=1, max_size=60),
    step=st.integers(1, 10_000),
)
def test_a_healthy_job_whose_gaps_vary_tenfold_is_never_stalled(
    rhythms: Rhythms, shortest_s: float, factors: list[float], step: int
) -> None:
    _, before = rhythms.feed(gaps(*(shortest_s * factor for factor in factors), step=step))
    assert not {"stalled", "lost"} & set(before)


@checked
@given(contacts=any_contacts(), with_history=st.booleans())
def test_a_sweep_may_wait_as_long_as_it_is_told(
    rhythms: Rhythms, contacts: list[Contact], with_history: bool
) -> None:
    rhythm, now_s = rhythms.after(contacts), contacts[-1].active_s
    history = rhythms.learn(contacts) if with_history else None
    in_s = rhythms.stalls_in_s(rhythm, now_s, history)
    margin_s = 1e-6 * (1 + now_s + in_s)
    later = rhythms.verdict(rhythm, now_s + in_s + margin_s, 0, None, history)
    assert later.liveness in {"stalled", "lost"}
    if in_s > margin_s:
        sooner = rhythms.verdict(rhythm, now_s + in_s - margin_s, 0, None, history)
        assert sooner.liveness in {"on_time", "late"}


# --- who may call


@pytest.mark.parametrize(
    ("function", "callers"),
    [
        ("rhythm_liveness", {"authenticated", "service_role"}),
        ("rhythm_stalls_in_s", {"authenticated", "service_role"}),
        ("rhythm_silence_s", {"authenticated", "service_role"}),
        ("rhythm_threshold_s", {"authenticated", "service_role"}),
        ("rhythm_step", {"service_role"}),
        ("kind_rhythm_learn", {"service_role"}),
    ],
)
def test_only_those_who_need_a_function_may_call_it(
    rhythms: Rhythms, function: str, callers: set[str]
) -> None:
    allowed = rhythms.database.execute(
        "select role from unnest(array['anon', 'authenticated', 'service_role']) role, pg_proc "
        "where pronamespace = 'milepost_private'::regnamespace and proname = %s "
        "and has_function_privilege(role, pg_proc.oid, 'execute')",
        [function],
    )
    assert {role for (role,) in allowed} == callers


def test_every_function_is_immutable_safe_and_documented(rhythms: Rhythms) -> None:
    careless = rhythms.database.execute(
        "select proname from pg_proc where pronamespace = 'milepost_private'::regnamespace "
        "and (provolatile <> 'i' or prosecdef or proconfig is distinct from array['search_path=\"\"'] "
        "or obj_description(oid, 'pg_proc') is null)"
    ).fetchall()
    assert careless == []
