"""The questions of sql/dashboards, asked of the seeded week, with the answers that it must have."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from scratch_database import Database
from seeded import DASHBOARDS, answers, questions

README = (DASHBOARDS / "README.md").read_text()


@pytest.mark.parametrize("question", questions(), ids=lambda path: path.stem)
def test_every_question_says_what_it_asks_answers_and_is_shown(seeded: Database, question: Path) -> None:
    asked = question.read_text().splitlines()[0]
    assert asked.startswith("-- ") and "?" in asked
    rows = answers(seeded, question.stem.split("_", 1)[1])
    assert rows
    _, _, shown = README.partition(f"## [{question.name}]({question.name})\n")
    assert shown.split("\n")[1] == asked.removeprefix("-- ")
    assert shown.split("\n")[3] == "| " + " | ".join(rows[0]) + " |"


def test_running_now(seeded: Database) -> None:
    rows = {row["job"]: row for row in answers(seeded, "running_now")}
    assert set(rows) == {
        "nightly-import today", "encode now", "backfill orders", "backfill archive", "reindex products",
        "embeddings lost", "embeddings limited",
    }  # fmt: skip
    late = rows["nightly-import today"]
    assert (float(late["percent"]), late["health"]) == (54.5, "poor")
    assert late["ends_in_min_low"] < late["ends_in_min"] < late["ends_in_min_high"]
    assert (rows["backfill archive"]["ends_in_min"], rows["backfill archive"]["eta_reason"]) == (
        None,
        "paused",
    )


def test_stuck_and_why(seeded: Database) -> None:
    rows = {row["job"]: row for row in answers(seeded, "stuck_and_why")}
    assert {job: (row["liveness"], row["reason"]) for job, row in rows.items()} == {
        "embeddings lost": ("lost", "no_contact"),
        "reindex products": ("stalled", "no_progress"),
    }
    hangs = rows["reindex products"]
    assert hangs["unheard_min"] < hangs["allowed_min"] < hangs["without_progress_min"]
    assert "made no progress" in hangs["in_words"]


def test_queue(seeded: Database) -> None:
    thumbnails, report = answers(seeded, "queue")
    assert (thumbnails["kind"], thumbnails["waiting"], thumbnails["not_yet"]) == ("thumbnails", 4, 0)
    assert thumbnails["next"] == "thumbnails waiting 4", "the one of the greatest priority"
    assert thumbnails["oldest_wait_min"] >= 19
    assert report["kind"] == "daily_report" and report["waiting"] + report["not_yet"] == 1


def test_slowest_kinds_this_week(seeded: Database) -> None:
    rows = answers(seeded, "slowest_kinds_this_week")
    assert [(row["kind"], row["runs"]) for row in rows] == [
        ("video_encode", 21), ("nightly_import", 7), ("embedding_batch", 28), ("daily_report", 6), ("thumbnails", 37),
    ]  # fmt: skip
    # The seed says 50 minutes, more or less by 15 %.
    assert 42.5 < rows[0]["median_min"] < 57.5 and rows[0]["median_min"] <= rows[0]["p95_min"] < 57.5


def test_out_of_the_ordinary(seeded: Database) -> None:
    (row,) = answers(seeded, "out_of_the_ordinary")
    assert row["job"] == "nightly-import today"
    assert row["times_slower"] > 4 and row["spent_min"] == 120
    assert (row["failed_percent"], row["times_larger"]) == (None, None)


def test_error_patterns(seeded: Database) -> None:
    rows = {row["pattern"]: row for row in answers(seeded, "error_patterns")}
    assert {
        pattern: (row["failures"], row["tried_again"], row["kinds"]) for pattern, row in rows.items()
    } == {
        "out of memory": (2, 0, "thumbnails"),
        "no space left on device": (2, 0, "thumbnails"),
        "HTTP # from images.example.com": (2, 1, "daily_report, thumbnails"),
        "connection reset by peer": (1, 1, "nightly_import"),
    }


def test_failures_by_hour(seeded: Database) -> None:
    rows = answers(seeded, "failures_by_hour")
    assert sum(row["failed"] for row in rows) == 5
    assert sum(row["ended"] for row in rows) == 105
    assert all(float(row["failed_percent"]) == round(100 * row["failed"] / row["ended"], 1) for row in rows)


def test_throughput_per_hour(seeded: Database) -> None:
    rows = answers(seeded, "throughput_per_hour")
    assert sum(row["items"] for row in rows if row["kind"] == "reindex") == 280
    # 640,000 every two and a half hours.
    backfilled = [row["items"] for row in rows if row["kind"] == "backfill"]
    assert set(backfilled) == {640_000} and len(backfilled) in (9, 10)


def test_eta_accuracy(seeded: Database) -> None:
    rows = {row["kind"]: row for row in answers(seeded, "eta_accuracy")}
    assert rows["nightly_import"]["runs"] == 7
    assert all(0 <= row["median_error"] < 0.5 and row["within_range_percent"] > 50 for row in rows.values())


def test_message_budget(seeded: Database) -> None:
    (row,) = answers(seeded, "message_budget")
    assert (row["tenant"], row["jobs_at_work"]) == ("Demo", 6)
    events = seeded.one(
        "select sum(2 + (j.owner_id is not null)::int) from milepost.events e join milepost.jobs j using (job_id) "
        "where e.ts > now() - interval '1 day'"
    )
    assert row["sent_last_day"] == events > 0


def test_storage_growth(seeded: Database) -> None:
    rows = answers(seeded, "storage_growth")
    today = datetime.now(UTC).date()
    assert {row["history"] for row in rows} == {"checkpoints", "events"}
    assert all(row["bytes"] > 0 and row["day"] <= today for row in rows)
    assert {(row["dropped_on"] - row["day"]).days for row in rows} == {31}


def test_audit_of_controls(seeded: Database) -> None:
    rows = answers(seeded, "audit_of_controls")
    assert [(row["action"], row["reason"]) for row in rows] == [
        ("pause", "after the migration"),
        ("resume", None),
        ("pause", "the source is being restored"),
        ("cancel", "wrong month"),
        ("add_member", None),
        ("create_tenant", None),
    ]
    assert {row["actor"].partition(":")[0] for row in rows} == {"user", "system"}


def test_late_workers(seeded: Database) -> None:
    rows = answers(seeded, "late_workers")
    assert rows[0]["worker"] == "spot-17" and rows[0]["unheard_min"] >= 284
    assert {r["worker"]: r["percent_of_fastest"] for r in rows if r["job"] == "backfill orders"} == {
        "shard-1": 100, "shard-2": 93, "shard-3": 87, "shard-4": 80,
    }  # fmt: skip


def test_retries(seeded: Database) -> None:
    rows = answers(seeded, "retries")
    assert [(row["kind"], row["attempts"], row["state"], row["why"]) for row in rows] == [
        ("daily_report", 2, "retrying", "HTTP 503 from images.example.com"),
        ("nightly_import", 2, "completed", "connection reset by peer"),
    ]


def test_biggest_jobs(seeded: Database) -> None:
    rows = answers(seeded, "biggest_jobs")
    assert len(rows) == 20
    assert (rows[0]["job"], rows[0]["items"], rows[0]["processed"]) == (
        "backfill orders",
        12_800_000,
        "3662 MB",
    )
    assert rows[0]["hours"] == 50


def test_cost_of_checkpoints(seeded: Database) -> None:
    rows = {row["kind"]: row for row in answers(seeded, "cost_of_checkpoints")}
    assert sum(row["checkpoints"] for row in rows.values()) == seeded.one(
        "select count(*) from milepost.checkpoints"
    )
    assert (rows["reindex"]["jobs"], rows["reindex"]["checkpoints"]) == (1, 23)
    assert rows["video_encode"]["events_a_checkpoint"] > rows["backfill"]["events_a_checkpoint"]
