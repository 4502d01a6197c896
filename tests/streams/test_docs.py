"""Every snippet of docs/realtime.md runs, and hears what it promises."""

import json
import os
import queue
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

import pytest
from documents import named, settings
from running_stack import RunningStack, Tenant
from talking import Api

ROOT = Path(__file__).parents[2]
PATIENCE_S = 40.0

PROGRAMS = {
    "python": [sys.executable, "-u", "-"],
    "js": ["node", "--input-type=module", "-"],
    "bash": ["bash", "-s"],
}
SNIPPETS = {
    name: (block.language, block.code)
    for name, block in named("docs/realtime.md").items()
    if block.language != "json"
}
# What each says once the job moves while it listens.
HEARD = {
    "watch": r"running \d+(\.\d+)? ",
    "watch-job": r"running [1-9]\d* ",
    "supabase-js": r"job\.progress \d+ \d",
    "realtime-py": r"job\.progress .*items_completed",
    "curl": r"event: job\.progress",
    "curl-resume": r"event: job\.progress",
    "postgres-changes": r"changed running [1-9]\d*",
}
# And what it says before that.
FIRST = {
    "watch": r"running 0",
    "watch-job": r"live realtime",
    "supabase-js": r"snapshot",
    "realtime-py": r"Replication connection established",
    "curl": r"event: snapshot",
    "curl-resume": r"retry: 1000",
    "postgres-changes": r"Subscribed to PostgreSQL",
}


def test_every_snippet_that_can_run_is_run() -> None:
    fences = re.findall(r"^```(\w+)", (ROOT / "docs/realtime.md").read_text(), re.MULTILINE)
    runnable = [language for language in fences if language not in ("json", "text")]
    assert len(runnable) == len(SNIPPETS)
    assert set(SNIPPETS) == set(HEARD) == set(FIRST)


def test_the_message_has_the_fields_that_messages_have(stack: RunningStack, worker: Api) -> None:
    shown = json.loads(named("docs/realtime.md")["message"].code)
    worker.post({"job": "nightly-import", "items_total": 10}, {"job": "nightly-import", "items_completed": 1})
    (sent,) = stack.sql(
        "select payload from realtime.messages where topic = %s and event = 'job.progress' limit 1",
        (f"job:{worker.job('nightly-import')['job_id']}",),
    )
    # Realtime adds an id of its own.
    assert shown.keys() == sent["payload"].keys() - {"id"}
    assert shown["data"].keys() - {"..."} <= sent["payload"]["data"].keys()


@pytest.mark.timeout(90)
@pytest.mark.parametrize("name", SNIPPETS)
def test_the_snippet_hears_the_job_move(name: str, stack: RunningStack, tenant: Tenant, worker: Api) -> None:
    language, code = SNIPPETS[name]
    worker.post({"job": "nightly-import", "items_total": 100_000, "items_completed": 0})
    environment = settings(stack, tenant, JOB_ID=worker.job("nightly-import")["job_id"])
    with subprocess.Popen(
        PROGRAMS[language], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        cwd=ROOT, env=environment, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(code)
        process.stdin.close()
        said: queue.Queue[str] = queue.Queue()

        def read(stdout: IO[str]) -> None:
            for line in stdout:
                said.put(line)

        reader = threading.Thread(target=read, args=(process.stdout,))
        reader.start()
        try:
            heard, until, moves = "", time.monotonic() + PATIENCE_S, 0
            while not re.search(FIRST[name], heard) or not re.search(HEARD[name], heard):
                assert time.monotonic() < until, heard
                if re.search(FIRST[name], heard):
                    moves += 1
                    worker.post({"job": "nightly-import", "items_completed": 1000 * moves})
                try:
                    heard += said.get(timeout=0.3)
                except queue.Empty:
                    assert process.poll() is None, heard
        finally:
            os.killpg(process.pid, 9)
            reader.join()
