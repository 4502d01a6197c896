"""When the database is away, busy or surprising."""

import json
import select
import socket
import threading

import pytest
from asking import KEY, assert_refused
from fake_postgrest import Call, FakePostgrest, Reply, recorded, refusal
from werkzeug.test import Client, TestResponse

from functions import connections, database


def post(api: Client) -> TestResponse:
    return api.post("/v1/checkpoints", json={"job": "a"}, headers=KEY)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (503, "PGRST000"),
        (503, "PGRST001"),
        (503, "PGRST002"),
        (504, "PGRST003"),
        (500, "57014"),
        (503, "53300"),
        (503, "57P01"),
        (503, "08006"),
    ],
)
def test_a_database_that_is_away_is_503_with_a_wait(
    api: Client, fake: FakePostgrest, status: int, code: str
) -> None:
    fake.replies["record_checkpoints"] = refusal(status, code)
    response = post(api)
    assert_refused(response, 503, "database_unavailable")
    assert int(response.headers["Retry-After"]) > 0


@pytest.mark.parametrize("status", [429, 502, 503, 504, 521])
def test_a_gateway_that_refuses_is_503(api: Client, fake: FakePostgrest, status: int) -> None:
    fake.replies["record_checkpoints"] = Reply("<html>away</html>", status)
    assert_refused(post(api), 503, "database_unavailable")


def test_a_refused_connection_is_503(
    api: Client, fake: FakePostgrest, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("SUPABASE_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
        assert_refused(post(api), 503, "database_unavailable")


class Cut(Exception):
    """The fake hangs up instead of answering."""


def hang_up(_: Call) -> Reply:
    raise Cut


def test_a_connection_that_breaks_is_503(
    api: Client, fake: FakePostgrest, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.replies["record_checkpoints"] = hang_up
    assert_refused(post(api), 503, "database_unavailable")
    assert "RemoteDisconnected" in capsys.readouterr().err


def test_a_connection_that_ends_in_the_middle_of_an_answer_is_503(api: Client, fake: FakePostgrest) -> None:
    fake.replies["record_checkpoints"] = Reply("{}", headers={"Content-Length": "99", "Connection": "close"})
    assert_refused(post(api), 503, "database_unavailable")


def test_a_database_that_says_nothing_is_503(
    api: Client, fake: FakePostgrest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_ANSWER_S", 0.05)
    told = threading.Event()

    def silent(_: Call) -> Reply:
        told.wait(20)
        raise Cut

    fake.replies["record_checkpoints"] = silent
    assert_refused(post(api), 503, "database_unavailable")
    told.set()


def test_a_connection_that_was_closed_meanwhile_is_not_used_again(api: Client, fake: FakePostgrest) -> None:
    def leave(call: Call) -> Reply:
        return recorded(call)._replace(closes=True)

    fake.replies["record_checkpoints"] = leave
    for _ in range(2):
        assert post(api).status_code == 200
        (idle,) = database.connections().idle
        assert select.select([idle.sock], [], [], 20)[0], "the fake hangs up"


def test_a_setting_that_no_header_may_have_is_told_nowhere(
    api: Client, fake: FakePostgrest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SUPABASE_SECRET_KEY", "sb_secret_\nof the project")
    assert_refused(post(api), 500, "internal_error")
    assert "sb_secret" not in capsys.readouterr().err


@pytest.mark.parametrize("code", ["40001", "40P01", "55P03"])
def test_a_transaction_that_met_another_is_tried_again_at_once(
    api: Client, fake: FakePostgrest, code: str
) -> None:
    def meets_once(call: Call) -> Reply:
        return refusal(500, code) if len(fake.calls) == 1 else recorded(call)

    fake.replies["record_checkpoints"] = meets_once
    assert post(api).status_code == 200
    assert [call.raw for call in fake.calls] == [fake.calls[0].raw] * 2


def test_a_row_whose_partition_was_made_meanwhile_is_sent_again(api: Client, fake: FakePostgrest) -> None:
    said = 'new row for relation "checkpoints_default" violates partition constraint'

    def moves_once(call: Call) -> Reply:
        return Reply({"code": "23514", "message": said}, 400) if len(fake.calls) == 1 else recorded(call)

    fake.replies["record_checkpoints"] = moves_once
    assert post(api).status_code == 200


@pytest.mark.parametrize("code", ["40001", "40P01", "55P03"])
def test_a_transaction_that_keeps_meeting_others_is_503_after_two(
    api: Client, fake: FakePostgrest, code: str
) -> None:
    fake.replies["record_checkpoints"] = refusal(500, code)
    assert_refused(post(api), 503, "database_unavailable")
    assert len(fake.calls) == 2


@pytest.mark.parametrize(
    "reply",
    [
        refusal(404, "PGRST202"),
        refusal(400, "22P02"),
        refusal(403, "42501"),
        refusal(500, "XX000"),
        Reply("<html>", 500),
        Reply([1], 400),
        Reply({"message": "Invalid API key"}, 401),
        Reply("{"),
        Reply({"neither": "results", "nor": "errors"}),
    ],
    ids=str,
)
def test_anything_unexpected_is_500_and_tells_nothing_but_where_to_look(
    api: Client, fake: FakePostgrest, reply: Reply, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.replies["record_checkpoints"] = reply
    response = post(api)
    body = assert_refused(response, 500, "internal_error")
    line = json.loads(capsys.readouterr().err)
    assert line["severity"] == "ERROR"
    assert line["correlation_id"] == body["details"]["correlation_id"] == response.headers["X-Correlation-Id"]
    for inside in ("record_checkpoints", "sb_secret", "Traceback", "PGRST", "mp_worker", "42501"):
        assert inside not in response.text


@pytest.mark.parametrize("name", ["SUPABASE_URL", "SUPABASE_SECRET_KEY"])
def test_a_setting_that_is_missing_is_told_in_the_journal_only(
    api: Client,
    fake: FakePostgrest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    monkeypatch.delenv(name)
    assert name not in json.dumps(assert_refused(post(api), 500, "internal_error"))
    assert name in capsys.readouterr().err
    monkeypatch.setenv("SUPABASE_URL", fake.url)


def test_the_journal_never_holds_a_key(
    api: Client, fake: FakePostgrest, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.replies["record_checkpoints"] = refusal(500, "XX000")
    post(api)
    written = capsys.readouterr().err
    assert written
    assert "mp_worker" not in written
    assert "sb_secret" not in written


def test_a_correlation_id_goes_all_the_way(api: Client, fake: FakePostgrest) -> None:
    given = "5f0c4a43-6f0e-4d0f-9a55-0a6b0b0c0d0e"
    response = api.post("/v1/checkpoints", json={"job": "a"}, headers={**KEY, "X-Correlation-Id": given})
    assert response.headers["X-Correlation-Id"] == given
    assert fake.calls[0].headers["x-correlation-id"] == given


def test_a_correlation_id_that_is_no_uuid_is_replaced(api: Client, fake: FakePostgrest) -> None:
    response = api.post("/v1/checkpoints", json={"job": "a"}, headers={**KEY, "X-Correlation-Id": "x" * 500})
    assert len(response.headers["X-Correlation-Id"]) == 36


def test_requests_share_a_connection(api: Client, fake: FakePostgrest) -> None:
    before = fake.connections
    for _ in range(5):
        post(api)
    assert fake.connections == before + 1
