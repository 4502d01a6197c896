"""The API client: its answers, and what it makes of refusals, garbage and silence."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import respx
from contract import Server
from httpx import ConnectTimeout, ReadError, Response

from milepost import errors
from milepost._client import Client, retry_after_s

JOB = {"job_id": "1", "job": "a/b", "state": "running", "attempt": 1}


Api = tuple[Client, respx.Router]


@pytest.fixture
def api() -> Iterator[Api]:
    with respx.mock(base_url="http://milepost.test", assert_all_called=False) as router:
        client = Client("http://milepost.test/", "mp_secret")
        yield client, router
        client.close()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.InvalidRequest),
        (401, errors.NotAllowed),
        (403, errors.NotAllowed),
        (404, errors.JobNotFound),
        (409, errors.StateConflict),
        (413, errors.InvalidRequest),
        (422, errors.InvalidRequest),
        (429, errors.Unavailable),
        (500, errors.Unavailable),
        (503, errors.Unavailable),
        (302, errors.ApiError),
        (418, errors.ApiError),
    ],
)
def test_a_refusal_becomes_its_exception(api: Api, status: int, kind: type[errors.ApiError]) -> None:
    client, router = api
    body = {
        "code": "some_code",
        "message": "Expected this.",
        "hint": "Do that.",
        "details": {"allowed": ["x"]},
    }
    router.get("/v1/jobs/a").mock(return_value=Response(status, json=body))
    with pytest.raises(kind) as raised:
        client.job("a")
    error = raised.value
    assert type(error) is kind
    assert (error.code, error.status, error.hint, str(error)) == (
        "some_code",
        status,
        "Do that.",
        "Expected this.",
    )
    assert error.details == {"allowed": ["x"]}


@pytest.mark.parametrize("content", [b"<html>Bad gateway</html>", b"", b"[]", b'{"error": "x"}'])
def test_a_refusal_that_is_not_milepost_s_is_still_a_refusal(api: Api, content: bytes) -> None:
    client, router = api
    router.post("/v1/checkpoints").mock(return_value=Response(502, content=content))
    with pytest.raises(errors.Unavailable, match="502 without a reason") as raised:
        client.checkpoints([{"job": "a"}])
    assert raised.value.code == "http_502"


@pytest.mark.parametrize(
    "content", [b"<html>Sign in to this wifi</html>", b"", b"[]", b'"ok"', b'{"results": 3}', b"{}"]
)
def test_a_success_that_is_not_milepost_s_is_no_answer(api: Api, content: bytes) -> None:
    client, router = api
    router.route().mock(return_value=Response(200, content=content))
    with pytest.raises(errors.TransportError):
        client.checkpoints([{"job": "a"}])
    with pytest.raises(errors.TransportError):
        client.create_job({"job": "a"})


@pytest.mark.parametrize("problem", [ConnectTimeout(""), ReadError("reset")])
def test_silence_is_no_answer(api: Api, problem: Exception) -> None:
    client, router = api
    router.route().mock(side_effect=problem)
    with pytest.raises(errors.TransportError, match="gave no answer"):
        client.jobs()


def test_a_connection_that_is_cut_is_no_answer(server: Server) -> None:
    server.contract.mishaps.append("cut")
    client = Client(server.url, "mp_test")
    with pytest.raises(errors.TransportError):
        client.checkpoints([{"job": "a", "seq": 1, "worker": "main"}])
    assert client.checkpoints([{"job": "a", "seq": 1, "worker": "main"}]).results[0].job == "a"
    client.close()


def test_where_every_entry_is_refused_each_reason_is_there(api: Api) -> None:
    client, router = api
    refusal = {"index": 0, "code": "wrong_type", "message": "seq: ..."}
    router.post("/v1/checkpoints").mock(return_value=Response(422, json={"results": [], "errors": [refusal]}))
    assert client.checkpoints([{"job": "a"}]).errors[0].code == "wrong_type"


@pytest.mark.parametrize("beside", [{}, {"results": [], "errors": []}])
def test_where_the_request_as_a_whole_is_refused_it_raises(api: Api, beside: dict[str, list[str]]) -> None:
    client, router = api
    refusal = {"code": "no_entries", "message": "Expected at least one.", **beside}
    router.post("/v1/checkpoints").mock(return_value=Response(422, json=refusal))
    with pytest.raises(errors.InvalidRequest, match="Expected at least one"):
        client.checkpoints([])


def test_a_job_s_name_is_quoted_and_the_key_goes_along(api: Api) -> None:
    client, router = api
    route = router.get(url="http://milepost.test/v1/jobs/a%2Fb%3F").mock(return_value=Response(200, json=JOB))
    assert client.job("a/b?").job == "a/b"
    assert route.calls[0].request.headers["authorization"] == "Bearer mp_secret"


def test_no_message_tells_the_key(api: Api) -> None:
    client, router = api
    router.route().mock(side_effect=ReadError("reset"))
    with pytest.raises(errors.TransportError) as raised:
        client.jobs()
    assert "mp_secret" not in f"{raised.value!r} {raised.value.hint}"


NOW = datetime(2026, 11, 22, 1, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("7", 7),
        ("0.5", 0.5),
        ("-3", 0),
        ("99999", 300),
        ("Sun, 22 Nov 2026 01:00:20 GMT", 20),
        ("Sun, 22 Nov 2026 00:00:00 GMT", 0),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_bounded(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value, NOW) == seconds
