"""supabase/seed.sql: a week of jobs that contradicts neither itself nor the clock."""

from scratch_database import Database
from seeded import SEED, TENANT


def test_a_second_time_it_changes_nothing(seeded: Database) -> None:
    before = seeded.everything()
    assert all(
        before[f"milepost.{name}"] for name in ("jobs", "lanes", "stages", "items", "checkpoints", "audit")
    )
    seeded.connection.execute(SEED.read_bytes())
    assert seeded.everything() == before


def test_every_state_that_lasts_is_there(seeded: Database) -> None:
    states = {row["state"] for row in seeded.rows("select distinct state from milepost.jobs")}
    assert states == {"pending", "running", "paused", "retrying", "completed", "failed", "canceled"}


def test_it_is_of_the_last_week_and_nothing_lies_ahead(seeded: Database) -> None:
    history = seeded.row(
        "select min(received_at) > now() - interval '8 days' and max(received_at) <= now() as in_time, "
        "count(distinct (received_at at time zone 'utc')::date) as days, "
        "bool_and(tableoid::regclass::text !~ 'default') as in_its_day from milepost.checkpoints"
    )
    assert history["in_time"] and history["in_its_day"] and history["days"] >= 7
    assert seeded.one("select count(*) from milepost.jobs where finished_at > now()") == 0
    assert seeded.one("select count(*) from milepost.audit where at > now()") == 0


def test_versions_have_no_gap_and_counts_are_the_sums_of_the_lanes(seeded: Database) -> None:
    assert (
        seeded.rows(
            "select job_id from milepost.events group by job_id having max(version) <> count(*) or min(version) <> 1"
        )
        == []
    )
    assert (
        seeded.rows(
            "select j.key from milepost.jobs j join milepost.lanes l using (job_id) where j.counts_reported "
            "group by j.job_id having sum(l.items_completed) <> j.items_completed"
        )
        == []
    )


def test_what_ran_through_is_done_and_its_kinds_have_learnt(seeded: Database) -> None:
    assert (
        seeded.rows(
            "select job from milepost.job_progress where state = 'completed' and items_pending <> 0 and items_failed = 0"
        )
        == []
    )
    learnt = {
        row["kind"]: row["runs"]
        for row in seeded.rows("select kind, (pace).runs as runs from milepost_private.kinds")
    }
    assert learnt == {
        "nightly_import": 7,
        "video_encode": 21,
        "embedding_batch": 28,
        "daily_report": 6,
        "thumbnails": 37,
    }


def test_it_is_one_tenants(seeded: Database) -> None:
    assert [str(r["tenant_id"]) for r in seeded.rows("select distinct tenant_id from milepost.jobs")] == [
        TENANT
    ]
