"""README.md: what a newcomer copies from it runs."""

import subprocess

import pytest
from documents import ROOT, named, run, settings
from running_stack import RunningStack, Tenant
from talking import Api

PAGE = named("README.md")
# What the reader has.
THEIRS = """
rows = range(40)
def load(row): pass
class Chunk:
    def __init__(self, begin): self.end = begin + 500_000
    def __len__(self): return 500_000
def chunks(start):
    return [Chunk(begin) for begin in range(start["offset"] if start else 0, 2_000_000, 500_000)]
"""


@pytest.mark.parametrize(
    ("name", "job", "completed", "unit"),
    [("track", "nightly-import", 40, "rows"), ("resume", "big-import", 2_000_000, "rows")],
)
def test_the_loop_is_tracked(
    api: Api, stack: RunningStack, tenant: Tenant, name: str, job: str, completed: int, unit: str
) -> None:
    block = PAGE[name]
    done = run(block._replace(code=THEIRS + block.code), settings(stack, tenant))
    assert (done.returncode, done.stderr) == (0, ""), done
    found = api.job(job)
    assert (found["state"], found["items_completed"], found["percent_complete"], found["unit"]) == (
        "completed", completed, 100, unit,
    )  # fmt: skip
    assert found["cursor"] == ({"offset": 2_000_000} if name == "resume" else None)


def test_one_request_is_enough_and_the_commands_show_it(
    api: Api, stack: RunningStack, tenant: Tenant
) -> None:
    environment = settings(stack, tenant)
    assert run(PAGE["curl"], environment).returncode == 0
    assert api.job("other-import")["percent_complete"] == 42.5
    api.post({"job": "nightly-import", "items_total": 4, "items_completed": 1})
    looked = run(PAGE["look"], environment)
    assert looked.returncode == 0, looked.stderr
    assert "other-import" in looked.stdout and "nightly-import" in looked.stdout


def test_the_two_commands_are_there_and_run_what_is_said() -> None:
    # Run for real by CI (make test) and by tests/cli/test_cli_demo.py; here only what they would run.
    for command, program in zip(PAGE["try"].code.split("\n"), ("milepost demo", "pytest"), strict=False):
        shown = subprocess.run(
            [*command.split(), "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert f".venv/bin/{program}" in shown.stdout
