"""Every path: methods, unknown addresses, other origins, health, scheduled work and pings."""

import hashlib
import json
import re
import uuid
from pathlib import Path

import pytest
from asking import KEY, assert_refused, token
from fake_postgrest import FakePostgrest, Reply, refusal
from werkzeug.test import Client

from functions import openapi

PATHS = sorted({operation.path for operation in openapi.OPERATIONS})


def address(path: str) -> str:
    some_id = str(uuid.UUID(int=1))
    given = {"key": "mp_ping", "job": "a", "status": "3", "token": "sh_a", "rule": "job_failed"}
    return path.format(**given, share_id=some_id, channel_id=some_id)


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/", "/v1/jobs/", "/health/", "/v2/jobs", "/metrics/", "/V1/jobs", "/cron"]
)
def test_an_unknown_path_is_404(api: Client, path: str) -> None:
    assert_refused(api.get(path, headers=KEY), 404, "path_not_found")


@pytest.mark.parametrize("path", PATHS)
def test_a_wrong_method_is_405_with_the_right_ones(api: Client, fake: FakePostgrest, path: str) -> None:
    response = api.open(address(path), method="DELETE", headers=KEY)
    assert_refused(response, 405, "method_not_allowed")
    right = {operation.method.upper() for operation in openapi.OPERATIONS if operation.path == path}
    assert set(response.headers["Allow"].split(", ")) >= right | {"OPTIONS"}
    assert fake.calls == []


@pytest.mark.parametrize("path", PATHS)
def test_a_page_of_another_origin_may_ask(api: Client, fake: FakePostgrest, path: str) -> None:
    response = api.options(address(path), headers={"Origin": "https://elsewhere.example"})
    assert (response.status_code, response.data) == (204, b"")
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in response.headers
    assert fake.calls == []


def test_a_refusal_can_be_read_from_another_origin(api: Client) -> None:
    assert api.get("/nowhere").headers["Access-Control-Allow-Origin"] == "*"


def test_options_of_an_unknown_path_is_404(api: Client) -> None:
    assert_refused(api.options("/nowhere"), 404, "path_not_found")


def test_head_is_get_without_the_body(api: Client, fake: FakePostgrest) -> None:
    response = api.head("/health")
    assert (response.status_code, response.data) == (200, b"")
    assert response.headers["Content-Length"] == "16"


def test_health_needs_no_key_and_reaches_the_database(api: Client, fake: FakePostgrest) -> None:
    assert api.get("/health").get_json() == {"status": "ok"}
    assert [call.rpc for call in fake.calls] == ["schema_version"]


def test_health_is_503_while_the_database_is_away(api: Client, fake: FakePostgrest) -> None:
    fake.replies["schema_version"] = refusal(503, "PGRST001")
    assert_refused(api.get("/health"), 503, "database_unavailable")


@pytest.mark.parametrize(
    ("path", "rpc", "args"),
    [
        ("/health/jobs", "get_jobs_health", {}),
        ("/health/jobs/a/b", "get_job_health", {"job_id": "a/b"}),
        ("/health/loading-progress", "get_loading_progress", {}),
        ("/health/metrics", "get_system_metrics", {}),
    ],
)
def test_the_jobs_health_is_read_with_the_callers_rights(
    api: Client, fake: FakePostgrest, path: str, rpc: str, args: dict[str, str]
) -> None:
    fake.replies["list_tenants"] = Reply({"tenants": []})
    fake.replies[rpc] = Reply({"overall_status": "Healthy"})
    response = api.get(path, headers={"Authorization": f"Bearer {token()}"})
    assert response.get_json()["overall_status"] == "Healthy"
    assert fake.calls[-1].body == args


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(("work", "rpc"), [("sweep", "sweep"), ("purge", "purge_history")])
def test_scheduled_work_is_done_for_who_knows_the_secret(
    api: Client, fake: FakePostgrest, method: str, work: str, rpc: str
) -> None:
    fake.replies[rpc] = Reply({"done": 1})
    response = api.open(
        f"/cron/{work}", method=method, headers={"Authorization": "Bearer secret of the cron"}
    )
    assert (response.status_code, response.get_json()) == (200, {"done": 1})


def test_retention_goes_on_step_by_step_until_nothing_is_left(api: Client, fake: FakePostgrest) -> None:
    steps = iter([{"jobs_deleted": 1000, "more": True}, {"jobs_deleted": 7, "more": False}])
    fake.replies["purge_history"] = lambda _call: Reply(next(steps))
    response = api.post("/cron/purge", headers={"Authorization": "Bearer secret of the cron"})
    assert response.get_json() == {"jobs_deleted": 1007}


@pytest.mark.parametrize(
    "authorization",
    [None, "Bearer", "Bearer wrong", "Bearer secret of the cro", "secret of the cron", "Bearer é"],
)
def test_scheduled_work_is_refused_to_anybody_else(
    api: Client, fake: FakePostgrest, authorization: str | None
) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    assert_refused(api.post("/cron/sweep", headers=headers), 401, "cron_secret_required")
    assert fake.calls == []


@pytest.mark.parametrize("secret", [None, ""])
@pytest.mark.parametrize("authorization", [None, "Bearer ", "Bearer secret of the cron"])
def test_scheduled_work_is_refused_to_all_where_no_secret_is_set(
    api: Client,
    fake: FakePostgrest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    secret: str | None,
    authorization: str | None,
) -> None:
    if secret is None:
        monkeypatch.delenv("CRON_SECRET")
    else:
        monkeypatch.setenv("CRON_SECRET", secret)
    headers = {"Authorization": authorization} if authorization else {}
    assert_refused(api.post("/cron/sweep", headers=headers), 401, "cron_secret_required")
    assert fake.calls == []
    assert "CRON_SECRET" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "signal", "status"),
    [
        ("", "done", None),
        ("/start", "start", None),
        ("/fail", "fail", None),
        ("/0", "done", 0),
        ("/137", "fail", 137),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_a_ping_tells_how_the_job_is(
    api: Client, fake: FakePostgrest, path: str, signal: str, status: int | None, method: str
) -> None:
    fake.replies["ping_job"] = Reply({"job": "backup"})
    assert api.open(f"/ping/mp_ping/backup{path}", method=method).status_code == 200
    assert fake.calls[0].body == {
        "caller": {"key_hash": hashlib.sha256(b"mp_ping").hexdigest()},
        "job": "backup",
        "signal": signal,
        "exit_status": status,
        "message": None,
    }


def test_the_beginning_of_what_a_job_printed_becomes_its_message(api: Client, fake: FakePostgrest) -> None:
    fake.replies["ping_job"] = Reply({"job": "backup"})
    api.post("/ping/mp_ping/backup/fail", data=b"tar: \xff\x00 " + b"x" * 5000)
    message = fake.calls[0].body["message"]
    assert message.startswith("tar: �� xxx")
    assert len(message) == 2000


def test_a_ping_with_an_unknown_key_is_refused_as_the_database_says(api: Client, fake: FakePostgrest) -> None:
    fake.replies["ping_job"] = refusal(401, "invalid_key")
    body = assert_refused(api.get("/ping/guessed/backup"), 401, "invalid_key")
    assert "guessed" not in json.dumps(body)


def test_vercel_sends_every_path_to_the_functions_and_calls_none_that_is_not_there(api: Client) -> None:
    vercel = json.loads((Path(__file__).parents[2] / "vercel.json").read_text())
    sent = [route["source"] for route in vercel["rewrites"] if route["destination"] == "/api/index.py"]
    for path in PATHS:
        assert any(re.fullmatch(pattern, address(path)) for pattern in sent), path
    assert {cron["path"] for cron in vercel["crons"]} <= set(PATHS)
