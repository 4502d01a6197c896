"""What the SDKs of earlier releases say is taken by today's functions and database, and answered as they know it."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from recording import RELEASES, shape
from running_stack import RunningStack

import milepost
from milepost.local import CHECKOUT


def missing(known: Any, answer: Any, where: str = "answer") -> list[str]:
    """Where an answer lacks what an earlier SDK was answered, or has it as something else. Unknown is null at any time."""
    if known is None or answer is None:
        return []
    if isinstance(known, list):
        if not isinstance(answer, list):
            return [where]
        return missing(known[0], answer[0], f"{where}[0]") if known and answer else []
    if not isinstance(known, dict):
        return [] if known == answer else [where]
    if not isinstance(answer, dict):
        return [where]
    return [
        fault
        for name, value in known.items()
        for fault in (
            missing(value, answer[name], f"{where}.{name}") if name in answer else [f"{where}.{name}"]
        )
    ]


@pytest.mark.parametrize("release", sorted(RELEASES.glob("*.json")), ids=lambda file: file.stem)
def test_an_earlier_sdk_is_understood_and_understands(stack: RunningStack, release: Path) -> None:
    tenant = stack.tenant()
    keys = {"worker": tenant.worker_key, "operator": tenant.operator_key}
    for said in json.loads(release.read_text()):
        answer = httpx.request(
            said["method"],
            stack.api_url + said["path"],
            json=said["body"],
            headers={"Authorization": f"Bearer {keys[said['key']]}"},
            timeout=30,
        )
        where = f"{said['method']} {said['path']}"
        assert answer.status_code == said["status"], where + answer.text
        assert missing(said["answer"], shape(answer.json()) if answer.content else None, where) == []
    ended = {
        job["key"]: job
        for job in stack.sql("select * from milepost.jobs where tenant_id = %s", (tenant.tenant_id,))
    }
    assert {key: job["state"] for key, job in ended.items()} == {
        "nightly import": "completed",
        "tracked": "completed",
        "broken": "retrying",
        "queued": "completed",
    }
    assert ended["nightly import"]["items_completed"] == 70


def test_each_release_is_recorded() -> None:
    version = milepost.__version__
    assert f'version = "{version}"' in (CHECKOUT / "pyproject.toml").read_text()
    assert (RELEASES / f"{version}.json").exists(), (
        f"run .venv/bin/python tests/upgrade/recording.py {version}"
    )


def test_an_answer_that_lost_a_field_is_seen() -> None:
    known = {"jobs": [{"job": "str", "eta_ms": "number", "cursor": None}], "next": None}
    assert (
        missing(
            known, {"jobs": [{"job": "str", "eta_ms": None, "cursor": "str", "new": "str"}], "next": "str"}
        )
        == []
    )
    assert missing(known, {"jobs": [{"job": "str", "cursor": None}], "next": None}) == [
        "answer.jobs[0].eta_ms"
    ]
    assert missing(known, {"jobs": {}, "next": None}) == ["answer.jobs"]
    assert missing(known, {"jobs": [{"job": "number", "eta_ms": None, "cursor": None}], "next": None}) == [
        "answer.jobs[0].job"
    ]
