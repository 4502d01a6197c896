"""What a new instance of the functions loads before it answers a worker."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from functions import main
from functions.rules import function

ROOT = Path(__file__).parents[2]

ROUND = """
import json, sys
from werkzeug.test import Client
from functions import checkpoints, database, wsgi
database.as_service = lambda rpc, args: b'{"results": [{"job": "a"}], "errors": []}'
answer = Client(wsgi.app).post("/v1/checkpoints", json={"job": "a"}, headers={"Authorization": "Bearer mp_a"})
assert answer.status_code == 200, answer.text
print(json.dumps(sorted(sys.modules)))
"""


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", ROUND], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("package", "wanted_by"),
    [
        ("cryptography", "tokens of users"),
        ("jwt", "tokens of users"),
        ("prometheus_client", "GET /metrics"),
        ("opentelemetry", "traces"),
        ("smtplib", "e-mail"),
        ("flask", "functions-framework"),
        ("functions.field_texts", "GET /openapi.json"),
        ("milepost.answers", "clients, and GET /openapi.json"),
        ("functions.alerts", "GET /cron/alerts"),
        ("functions.events", "streams"),
        ("functions.openapi", "GET /openapi.json"),
    ],
)
def test_a_worker_waits_for_nothing_that_others_want(package: str, wanted_by: str, loaded: set[str]) -> None:
    found = {name for name in loaded if name == package or name.startswith(package + ".")}
    assert not found, f"a checkpoint loads {package}, which only {wanted_by} needs"


def test_what_is_imported_when_asked_for_is_there() -> None:
    for rule in main.ROUTES.iter_rules():
        assert callable(function(rule.endpoint)), rule


def test_no_rule_compiles_what_builds_addresses() -> None:
    """It relies on a method of werkzeug's that is not public: a release without it would only be slower."""
    with pytest.raises(NotImplementedError):
        main.ROUTES.bind("api").build("checkpoints.post")
