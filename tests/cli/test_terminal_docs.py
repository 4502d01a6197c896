"""Every block of docs/terminal.md runs, and does what the page says."""

import re
from pathlib import Path

import pytest
from documents import named
from running_stack import RunningStack, Tenant
from terminal import Milepost

from milepost._client import Client

PAGE = (Path(__file__).parents[2] / "docs/terminal.md").read_text()
BLOCKS = {name: block.code for name, block in named("docs/terminal.md").items() if block.language == "bash"}
# Exit status, and what is printed on stdout.
DOES = {
    "run": (0, "copied 1/3\ncopied 2/3\ncopied 3/3\n"),
    "run-job": (3, "saving\n"),
    "tqdm": (0, ""),
    "watch": (0, "completed"),
    "watch-json": (0, '"state":"completed"'),
    "look": (0, "nightly-import"),
    "act": (0, "nightly-import: pausing\nnightly-import: running\nnightly-import: priority 10\n"),
    "completion": (0, ""),
}


@pytest.fixture
def client(stack: RunningStack, tenant: Tenant) -> Client:
    return Client(stack.api_url, tenant.worker_key)


def test_every_block_is_run() -> None:
    assert len(re.findall(r"^```\w", PAGE, re.MULTILINE)) == len(BLOCKS)
    assert set(BLOCKS) == set(DOES)


@pytest.mark.parametrize("name", BLOCKS)
def test_the_block_does_what_the_page_says(name: str, milepost: Milepost, client: Client) -> None:
    ends = {"state": "completed"} if name.startswith("watch") else {}
    jobs = ("nightly-import", "thumbnails") if name.startswith(("watch", "look", "act")) else ()
    if jobs:
        client.checkpoints([{"job": job, "items_total": 9, "items_completed": 4, **ends} for job in jobs])
    done = milepost.shell(f"set -eo pipefail\n{BLOCKS[name]}")
    status, said = DOES[name]
    assert (done.returncode, said in done.stdout) == (status, True), done
    if name == "run":
        (job,) = client.jobs(kind="sh").jobs
        assert (job.state, job.items_completed, job.message) == ("completed", 3, "copied 3/3")
    elif name == "run-job":
        assert client.job("nightly-backup").error == "sh ended with exit status 3:\nno space left"
    elif name == "tqdm":
        assert (client.job("load").items_completed, client.job("load").unit) == (1000, "rows")
        (stage,) = client.job("train").stages
        assert (stage.name, stage.items_completed, stage.items_total, stage.state) == (
            "batches",
            300,
            300,
            "completed",
        )
    elif name == "act":
        assert client.job("nightly-import").state == "canceled"
    client.close()
