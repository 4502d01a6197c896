"""How figures look."""

from io import StringIO

import pytest
from rich.console import Console

from milepost import models
from milepost.cli import output
from milepost.cli.jobs import _list as listed
from milepost.cli.watch import news, picture

JOB = {"job_id": "1", "job": "import", "state": "running", "attempt": 1}


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (None, "-"),
        (0, "0 ms"),
        (850, "850 ms"),
        (12_400, "12 s"),
        (200_000, "3 min 20 s"),
        (7_200_000, "2 h"),
        (7_500_000, "2 h 5 min"),
        (180_000_000, "2 d 2 h"),
    ],
)
def test_durations(ms: float | None, text: str) -> None:
    assert output.duration(ms) == text


@pytest.mark.parametrize(
    ("count", "text"), [(None, "-"), (999, "999 B"), (1_500, "1.5 kB"), (3.2e12, "3.2 TB")]
)
def test_sizes(count: float | None, text: str) -> None:
    assert output.size(count) == text


def test_an_unknown_finish_time_says_why() -> None:
    job = models.Job.model_validate({**JOB, "eta_reason": "no_total"})
    assert output.eta(job) == "total unknown"
    job = models.Job.model_validate({**JOB, "eta_ms": 60_000, "eta_low_ms": 50_000, "eta_high_ms": 90_000})
    assert output.eta(job) == "1 min (50 s to 1 min 30 s)"


def test_a_stalled_job_looks_stalled() -> None:
    state = output.state(models.Job.model_validate({**JOB, "liveness": "stalled"}))
    assert (str(state), str(state.style)) == ("running, stalled", "red")


def drawn(jobs: list[models.Job], columns: int, lines: int = 24) -> str:
    shown = StringIO()
    Console(width=columns, file=shown).print(picture(jobs, columns, lines))
    return shown.getvalue()


def test_the_picture_of_one_job_has_its_stages_and_takes_names_literally() -> None:
    stages = [{"name": "[red]scan", "state": "running", "items_completed": 2}]
    job = models.Job.model_validate({**JOB, "job": "[b]x", "message": "[i]y", "stages": stages})
    text = drawn([job], 200)
    for part in ("[b]x", "[red]scan", "[i]y", "2/?"):
        assert part in text
    assert drawn([], 200) == "Waiting for active jobs.\n"


LONG = {**JOB, "job": "import-customers-from-the-old-system-every-night", "percent_complete": 42.5, "items_total": 2_000_000, "items_completed": 850_000, "rate_per_s": 2210.4, "eta_ms": 512_000, "eta_low_ms": 430_000, "eta_high_ms": 690_000, "unit": "rows", "message": "chunk 17 of 40 " * 20}  # fmt: skip


@pytest.mark.parametrize("columns", [40, 60, 80, 140, 200])
def test_a_job_is_a_line_at_any_width(columns: int) -> None:
    job, message = drawn([models.Job.model_validate(LONG)], columns).splitlines()
    assert len(job) <= columns
    assert len(message) <= columns
    for part in ("import", "running", "42.5 %", "8 min 32 s"):
        assert part in job
    assert ("850,000/2,000,000" in job) == (columns >= 80)
    assert ("7 min 10 s to 11 min 30 s" in job) == ("rows/s" in job) == (columns >= 140)


def test_more_jobs_than_lines_are_counted() -> None:
    jobs = [models.Job.model_validate({**JOB, "job": f"job {n}"}) for n in range(30)]
    lines = drawn(jobs, 80, lines=10).splitlines()
    assert (len(lines), lines[-1]) == (9, "and 22 more")


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_list_folds_nothing_but_the_keys(columns: int) -> None:
    jobs = [models.Job.model_validate(LONG), models.Job.model_validate({**JOB, "job": "short"})]
    shown = StringIO()
    Console(width=columns, file=shown).print(listed(jobs, columns))
    lines = shown.getvalue().splitlines()
    assert max(map(len, lines)) <= columns
    assert [line for line in lines if line.startswith("short") and "running" in line]
    # In pieces, one below the other, the key is whole.
    key = "".join(line.split("  ")[0].strip() for line in lines[1:-1])
    assert key == LONG["job"]


def test_what_happened_is_said_once_and_in_words() -> None:
    before = models.Job.model_validate({**LONG, "stages": [{"name": "load", "state": "running"}]})
    stages = [{"name": "load", "state": "completed"}, {"name": "index", "state": "running"}]
    after = before.model_copy(
        update={"items_failed": 3, "stages": models.Job.model_validate({**LONG, "stages": stages}).stages}
    )
    assert [str(line) for line in news(before, after)] == ["3 more failed", "load completed", "index running"]
    assert list(news(after, after)) == []
    assert list(news(None, after)) == []
    late = after.model_copy(update={"liveness": "late"})
    assert [str(line) for line in news(after, late)] == ["running, late"]
    failed = late.model_copy(
        update={"state": "failed", "liveness": None, "error": "no [date]", "time_processing_ms": 90_000}
    )
    assert [str(line) for line in news(late, failed)] == [
        "failed after 1 min 30 s, 850,000/2,000,000, 3 failed: no [date]"
    ]
