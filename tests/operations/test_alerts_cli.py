"""`milepost alerts`, against the real stack."""

import json
import uuid
from typing import Any

import pytest
from click.testing import CliRunner, Result
from running_stack import RunningStack, Tenant

import milepost
from milepost.cli import main


class Terminal:
    def __init__(self, url: str, key: str) -> None:
        self._env = {"MILEPOST_URL": url, "MILEPOST_KEY": key}

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, ["alerts", *arguments], env=self._env)

    def said(self, *arguments: str) -> str:
        result = self.run(*arguments)
        assert result.exit_code == 0, result.output
        return result.output

    def json(self, *arguments: str) -> Any:
        return json.loads(self.said(*arguments, "--json"))


@pytest.fixture
def terminal(stack: RunningStack, tenant: Tenant) -> Terminal:
    return Terminal(stack.api_url, tenant.operator_key)


def test_alerts_are_listed_open_and_over(stack: RunningStack, tenant: Tenant, terminal: Terminal) -> None:
    assert terminal.said() == "There are no such alerts.\n"
    job = f"job-{uuid.uuid4()}"
    with (
        pytest.raises(RuntimeError),
        milepost.job(job, max_attempts=1, url=stack.api_url, key=tenant.worker_key),
    ):
        raise RuntimeError("disk [full]")
    # The stack may be evaluating at this very moment; then it did so before this one, or will have seen the job.
    for _ in range(100):
        stack.sql("select milepost_private.evaluate_alerts(now())")
        if terminal.json()["alerts"]:
            break
    assert "critical  job_failed" in terminal.said()
    assert "disk [full]" in terminal.said()
    terminal.said("mute", "--job", job, "--for", "2h", "--reason", "known")
    assert "(muted)" in terminal.said()
    assert "known" in terminal.said("rules")
    terminal.said("set", "job_failed", "--off")
    for _ in range(100):
        stack.sql("select milepost_private.evaluate_alerts(now())")
        if not terminal.json()["alerts"]:
            break
    assert terminal.said() == "There are no such alerts.\n"
    assert "job_failed" in terminal.said("--resolved")


def test_rules_are_changed_and_put_back(terminal: Terminal) -> None:
    changed = terminal.json("set", "queue_depth", "--threshold", "200", "--for", "5m")
    assert (changed["threshold"], changed["for_s"], changed["is_default"]) == (200, 300, False)
    assert "200 jobs" in terminal.said("rules")
    assert terminal.said("set", "queue_depth", "--off") == "queue_depth is off.\n"
    assert terminal.json("set", "queue_depth")["threshold"] == 50


def test_channels_come_and_go(terminal: Terminal) -> None:
    assert "nobody is told" in terminal.said("channels")
    quiet = ["--quiet-from", "22:00", "--quiet-until", "06:00", "--time-zone", "Europe/Berlin"]
    added = terminal.json("add", "webhook", "https://hook.example/x", *quiet)
    assert added["secret"].startswith("whsec_")
    assert "shown this once: whsec_" in terminal.said("add", "webhook", "https://hook.example/y")
    assert "22:00 to 06:00" in terminal.said("channels")
    assert terminal.said("remove", added["channel_id"]) == f"{added['channel_id']} is removed.\n"
    assert len(terminal.json("channels")) == 1


def test_a_mute_is_ended(terminal: Terminal) -> None:
    assert "Muted until 2" in terminal.said("mute", "--kind", "csv")
    assert terminal.said("mute", "--kind", "csv", "--for", "0m") == "Not muted any more.\n"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["set", "nothing"], 1, "Expected the name of an alert rule"),
        (["add", "webhook", "nowhere"], 1, "Expected an http or https URL"),
        (["add", "pager", "x"], 2, "'pager' is not one of"),
        (["mute", "--for", "soon"], 2, "expected a duration such as 30m"),
        (["mute", "--job", "nothing"], 1, "Expected the id or key of a job"),
    ],
)
def test_what_cannot_be_is_said(terminal: Terminal, arguments: list[str], code: int, words: str) -> None:
    result = terminal.run(*arguments)
    assert (result.exit_code, words in result.output) == (code, True), result.output
