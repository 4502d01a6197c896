"""Finished jobs on the command line: `milepost history` and `milepost export`, against the real stack."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result
from running_stack import RunningStack, Tenant

import milepost as sdk
from milepost.cli import main
from milepost.cli.export import COLUMNS

Milepost = Callable[..., Result]


@pytest.fixture
def milepost(stack: RunningStack, tenant: Tenant) -> Milepost:
    """`milepost ...` with an operator's key, in this process: a new one for each call would take most of the time."""

    def run(*arguments: str, **more: str) -> Result:
        settings = {"MILEPOST_URL": stack.api_url, "MILEPOST_KEY": tenant.operator_key}
        return CliRunner().invoke(main, arguments, env=settings | more, prog_name="milepost")

    return run


@pytest.fixture
def crawl(stack: RunningStack, tenant: Tenant) -> str:
    """A job that failed, of another kind."""
    lane = sdk.job("crawl", kind="crawl", max_attempts=1, url=stack.api_url, key=tenant.worker_key)
    try:
        with lane as running:
            running.advance(2)
            raise ValueError("row 12 of 'a.csv': no [date]")
    except ValueError:
        pass
    return "crawl"


@pytest.fixture
def many(stack: RunningStack, tenant: Tenant) -> int:
    """More finished jobs than two pages hold."""
    stack.sql(
        "insert into milepost.jobs (tenant_id, key, kind, name, state, finished_at)"
        " select %s, 'old ' || n, 'old', '=1+' || n, 'completed', now() - interval '40 days' - n * interval '1 minute'"
        " from generate_series(1, 450) n",
        (tenant.tenant_id,),
    )
    return 450


def test_history_lists_what_ended_the_last_one_first(milepost: Milepost, job: str, crawl: str) -> None:
    done = milepost("history")
    assert (done.exit_code, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [crawl, job]
    assert "failed" in lines[1]
    assert "no [date]" in lines[1]
    page = json.loads(milepost("history", "--json").stdout)
    assert [found["job"] for found in page["jobs"]] == [crawl, job]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--kind", "crawl"], ["crawl"]),
        (["--kind", "crawl", "--kind", "import"], ["crawl", "import"]),
        (["--state", "completed"], ["import"]),
        (["--state", "completed", "--state", "failed"], ["crawl", "import"]),
        (["-q", "NO [DATE]"], ["crawl"]),
        (["--since", "1h"], ["crawl", "import"]),
        (["--until", "1h"], []),
        (["--since", "2020-01-01", "--until", "2020-01-02T12:00:00Z"], []),
    ],
)
def test_history_narrows(
    milepost: Milepost, job: str, crawl: str, options: list[str], found: list[str]
) -> None:
    page = json.loads(milepost("history", "--json", *options).stdout)
    assert [job["job"] for job in page["jobs"]] == found


def test_history_says_when_there_is_nothing_and_when_there_is_more(milepost: Milepost, many: int) -> None:
    assert milepost("history", "--kind", "nothing").stdout == "No job ended so.\n"
    assert milepost("history", "--by", "day", "--kind", "nothing").stdout == "No job ended so.\n"
    assert "more than 3; milepost export" in milepost("history", "--limit", "3").stdout


def test_figures_come_by_kind_day_and_hour_with_the_errors_they_share(
    milepost: Milepost, job: str, crawl: str
) -> None:
    done = milepost("history", "--by", "kind")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "finish time off by" in done.stdout
    for line in ("crawl  1     100.0 %", "import  1     0.0 %"):
        assert " ".join(line.split()) in " ".join(done.stdout.split())
    assert "row <n> of <text>: no [date]" in done.stdout
    stats = json.loads(milepost("history", "--by", "day", "--json").stdout)
    assert (stats["total"]["runs"], stats["total"]["failure_rate"]) == (2, 0.5)
    assert "day (UTC)" in milepost("history", "--by", "day").stdout
    assert "hour (UTC)" in milepost("history", "--by", "hour", "--since", "2d").stdout


def test_wrong_options_are_usage_and_a_wrong_range_is_refused(milepost: Milepost) -> None:
    for wrong in (["--since", "yesterday"], ["--state", "running"], ["--by", "week"], ["--limit", "0"]):
        done = milepost("history", *wrong)
        assert (done.exit_code, done.stdout) == (2, ""), wrong
    backwards = milepost("history", "--since", "1h", "--until", "2h")
    assert backwards.exit_code == 1
    assert backwards.stderr.startswith("Error: Expected `since` before `until`")
    assert milepost("export", "--format", "xml").exit_code == 2
    assert milepost("export", MILEPOST_URL="http://127.0.0.1:9").exit_code == 3


def test_export_writes_every_job_whole_over_all_pages(
    milepost: Milepost, stack: RunningStack, tenant: Tenant, job: str, many: int
) -> None:
    done = milepost("export")
    assert (done.exit_code, done.stderr) == (0, "")
    jobs = [json.loads(line) for line in done.stdout.splitlines()]
    assert [found["job"] for found in jobs] == [job, *(f"old {n}" for n in range(1, many + 1))]
    key = {"Authorization": f"Bearer {tenant.operator_key}"}
    assert jobs[0] == httpx.get(f"{stack.api_url}/v1/jobs/{job}", headers=key, trust_env=False).json()
    assert set(jobs[0]) == set(COLUMNS["jobs"].split())


def test_csv_has_a_column_for_every_field_and_no_formula(
    milepost: Milepost, many: int, tmp_path: Path
) -> None:
    file = tmp_path / "jobs.csv"
    done = milepost("export", "--format", "csv", "-o", str(file))
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr.endswith(f"450 jobs exported to {file}.\n")
    text = file.read_bytes().decode()
    assert text.count("\r\n") == many + 1
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["job"] for row in rows] == [f"old {n}" for n in range(1, many + 1)]
    assert rows[0]["name"] == "'=1+1"
    assert (rows[0]["items_completed"], rows[0]["started_at"], rows[0]["metadata"]) == ("0", "", "{}")
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("what", ["events", "checkpoints", "items"])
def test_what_is_kept_of_the_jobs_is_exported_too(milepost: Milepost, job: str, what: str) -> None:
    lines = [json.loads(line) for line in milepost("export", "--what", what).stdout.splitlines()]
    assert lines
    assert {line["job"] for line in lines} == {job}
    assert {name for line in lines for name in line} == set(COLUMNS[what].split())
    rows = milepost("export", "--what", what, "--format", "csv").stdout
    assert len(list(csv.DictReader(io.StringIO(rows, newline="")))) == len(lines)


def test_an_export_of_nothing_is_empty_and_csv_still_has_its_heading(milepost: Milepost) -> None:
    assert milepost("export").stdout == ""
    assert milepost("export", "--what", "events", "--format", "csv").stdout.splitlines() == [
        "job_id,job,id,version,type,ts,correlation_id,data"
    ]


def test_a_broken_off_export_leaves_no_file_and_the_old_one_as_it_was(
    milepost: Milepost, tmp_path: Path
) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_text("the last one")
    done = milepost("export", "-o", str(file), MILEPOST_KEY="mp_wrong")
    assert done.exit_code == 1
    assert file.read_text() == "the last one"
    assert list(tmp_path.iterdir()) == [file]
    nowhere = milepost("export", "-o", str(tmp_path / "no/such/folder.jsonl"))
    assert nowhere.exit_code == 1
    assert "No such file or directory" in nowhere.stderr
    assert "Traceback" not in nowhere.stderr
