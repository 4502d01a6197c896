"""How figures look."""

from io import StringIO

import pytest
from rich.console import Console

from milepost import models
from milepost.cli import output
from milepost.cli.watch import picture

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
    assert output.eta(job) == "no total"
    job = models.Job.model_validate({**JOB, "eta_ms": 60_000, "eta_low_ms": 50_000, "eta_high_ms": 90_000})
    assert output.eta(job) == "1 min (50 s to 1 min 30 s)"


def test_a_stalled_job_looks_stalled() -> None:
    state = output.state(models.Job.model_validate({**JOB, "liveness": "stalled"}))
    assert (str(state), str(state.style)) == ("running, stalled", "red")


def test_the_picture_of_one_job_has_its_stages_and_takes_names_literally() -> None:
    stages = [{"name": "[red]scan", "state": "running", "items_completed": 2}]
    job = models.Job.model_validate({**JOB, "job": "[b]x", "message": "[i]y", "stages": stages})
    shown = StringIO()
    console = Console(width=200, file=shown)
    console.print(picture([job]))
    text = shown.getvalue()
    assert "[b]x" in text
    assert "[red]scan" in text
    assert "[i]y" in text
    assert "2/?" in text
    console.print(picture([]))
    assert "No job is active." in shown.getvalue()
