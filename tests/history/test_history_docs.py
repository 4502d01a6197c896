"""Every snippet of docs/history.md runs, and says what the text says."""

import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from documents import blocks
from past import Past
from running_stack import RunningStack, Tenant

ROOT = Path(__file__).parents[2]
SNIPPETS = {block.name: (block.language, block.code) for block in blocks("docs/history.md")}
PROGRAMS = {"sh": ["bash", "-euo", "pipefail", "-s"], "js": ["node", "--input-type=module", "-"]}
SAID = {
    "list": r"(?s)job +kind.*nightly.*crawl.*crawl",
    "figures": r"(?s)crawl +1 +100\.0 %.*day \(UTC\).*row <n>: no date.*\"by\":\"hour\"",
    "export": r"^$",
    "curl": r"(?s)\"eta_accuracy\".*\"crawl\"",
    "rpc": r"^\S+Z 1 60000$",
}


def test_every_snippet_is_run() -> None:
    assert set(SNIPPETS) == set(SAID)


@pytest.mark.parametrize("name", SAID)
def test_the_snippet_does_what_it_says(
    name: str, stack: RunningStack, tenant: Tenant, past: Past, tmp_path: Path
) -> None:
    ended = datetime.now(UTC) - timedelta(minutes=5)
    past.run("nightly", ended.isoformat(), kind="csv_import")
    past.run("crawl", ended.isoformat(), kind="crawl", state="failed", error="row 12: no date")
    language, code = SNIPPETS[name]
    settings = {
        "MILEPOST_URL": stack.api_url,
        "MILEPOST_KEY": tenant.operator_key,
        "SUPABASE_URL": stack.supabase_url,
        "SUPABASE_PUBLISHABLE_KEY": stack.publishable_key,
        "USER_JWT": tenant.owner.jwt,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    # Modules are found from the checkout, files are left elsewhere.
    done = subprocess.run(
        PROGRAMS[language],
        input=code,
        env=os.environ | settings,
        cwd=ROOT if language == "js" else tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(SAID[name], done.stdout), done.stdout
    if name == "export":
        lines = {file.name: len(file.read_text().splitlines()) for file in tmp_path.iterdir()}
        assert (lines["jobs.jsonl"], lines["failed.csv"]) == (2, 2)
        assert lines["events.jsonl"] > 1
