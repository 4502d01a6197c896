"""Request bodies: plain JSON in UTF-8 of at most 1 MiB, and no two readings of it."""

import gzip
import io
from typing import Any

import pytest
from asking import KEY, assert_refused
from fake_postgrest import FakePostgrest
from werkzeug.datastructures import Headers
from werkzeug.test import Client, EnvironBuilder, TestResponse, run_wsgi_app
from werkzeug.wrappers import Request, Response

from functions import main, wsgi


def post(api: Client, data: bytes, **more: Any) -> TestResponse:
    headers = {**KEY, **more.pop("headers", {})}
    return api.post(
        "/v1/checkpoints", data=data, headers=headers, **{"content_type": "application/json", **more}
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"job": }',
        b"{'job': 1}",
        b'{"job": "a"} {}',
        b"\xef\xbb\xbf{}",
        b'{"job": "a\x01"}',
        b"\x00",
    ],
    ids=repr,
)
def test_what_is_no_json_is_malformed(api: Client, data: bytes) -> None:
    assert_refused(post(api, data), 400, "malformed_json")


def test_invalid_utf_8_is_malformed_and_its_place_is_told(api: Client) -> None:
    body = assert_refused(post(api, b'{"job": "\xff"}'), 400, "malformed_json")
    assert "offset 9" in body["message"]


def test_utf_16_is_malformed(api: Client) -> None:
    assert_refused(post(api, '{"job": "a"}'.encode("utf-16")), 400, "malformed_json")


def test_a_name_that_appears_twice_is_refused_by_its_name(api: Client) -> None:
    body = assert_refused(
        post(api, b'{"job": "a", "metadata": {"x": 1, "y": 2, "x": 3}}'), 400, "duplicate_name"
    )
    assert '"x"' in body["message"]


def test_the_same_name_in_two_objects_is_no_repetition(api: Client) -> None:
    assert post(api, b'[{"job": "a", "metadata": {"job": 1}}, {"job": "b"}]').status_code == 200


def test_json_of_a_hundred_thousand_levels_is_malformed(api: Client) -> None:
    assert_refused(post(api, b"[" * 100_000 + b"]" * 100_000), 400, "malformed_json")


def test_a_number_of_thousands_of_digits_is_malformed(api: Client) -> None:
    assert_refused(post(api, b'{"job": "a", "items_total": ' + b"9" * 5000 + b"}"), 400, "malformed_json")


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=latin-1",
        "multipart/form-data",
    ],
)
def test_another_content_type_is_refused(api: Client, content_type: str) -> None:
    assert_refused(post(api, b'{"job": "a"}', content_type=content_type), 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "Application/JSON;charset=UTF-8"]
)
def test_utf_8_may_be_said(api: Client, content_type: str) -> None:
    assert post(api, b'{"job": "a"}', content_type=content_type).status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "br", "gzip, identity"])
def test_a_compressed_body_is_refused_unread(api: Client, encoding: str) -> None:
    data = gzip.compress(b'{"job": "a"}')
    assert_refused(post(api, data, headers={"Content-Encoding": encoding}), 415, "unsupported_encoding")


def test_a_body_of_one_mebibyte_is_taken(api: Client) -> None:
    data = b'{"job": "a"}'
    assert post(api, data + b" " * (1024 * 1024 - len(data))).status_code == 200


def test_a_byte_more_is_too_large(api: Client, fake: FakePostgrest) -> None:
    data = b'{"job": "a"}'
    assert_refused(post(api, data + b" " * (1024 * 1024 + 1 - len(data))), 413, "too_large")
    assert fake.calls == []


def streamed(data: bytes, **environ: Any) -> Response:
    """Sends this body with an environment that says something else about it."""
    headers = Headers({**KEY, "Content-Type": "application/json"})
    builder = EnvironBuilder("/v1/checkpoints", method="POST", headers=headers)
    whole = {**builder.get_environ(), "wsgi.input": io.BytesIO(data), **environ}
    return Response(*run_wsgi_app(wsgi.app, whole, buffered=True))


def test_a_body_without_a_length_is_measured_as_it_comes(fake: FakePostgrest) -> None:
    terminated = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}
    assert streamed(b'{"job": "a"}', **terminated).status_code == 200
    assert_refused(streamed(b" " * 2_000_000, **terminated), 413, "too_large")


def test_a_body_shorter_than_it_was_announced_is_incomplete(fake: FakePostgrest) -> None:
    assert_refused(streamed(b'{"job": "a"}', CONTENT_LENGTH="500"), 400, "incomplete_body")


def test_a_body_that_nobody_wants_is_thrown_away(fake: FakePostgrest) -> None:
    given = io.BytesIO(b"x" * 3_000_000)
    response = streamed(b"", PATH_INFO="/nowhere", CONTENT_LENGTH="3000000", **{"wsgi.input": given})
    assert_refused(response, 404, "path_not_found")
    assert given.tell() == 3_000_000


def test_functions_framework_is_left_nothing_to_read_into_memory(fake: FakePostgrest) -> None:
    builder = EnvironBuilder("/nowhere", method="POST", input_stream=io.BytesIO(b"x" * 20_000_000))
    request = Request({**builder.get_environ(), "CONTENT_LENGTH": "20000000"})
    assert_refused(main.api(request), 404, "path_not_found")
    assert request.get_data() == b""


def test_who_asks_comes_before_what_is_asked(api: Client) -> None:
    assert_refused(api.post("/v1/checkpoints", data=b"{"), 401, "key_required")
