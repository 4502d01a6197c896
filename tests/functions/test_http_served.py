"""The same functions as a real process: under functions-framework as it is started anywhere."""

import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from asking import KEY
from fake_postgrest import FakePostgrest

ROOT = Path(__file__).parents[2]
JSON = {**KEY, "Content-Type": "application/json"}


@pytest.fixture(scope="module")
def port(running_fake: FakePostgrest) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
    running_fake.reset()
    environment = {
        **os.environ,
        "SUPABASE_URL": running_fake.url,
        "SUPABASE_SECRET_KEY": "sb_secret_of_the_project",
        "SUPABASE_PUBLISHABLE_KEY": "sb_publishable_of_the_project",
        "PORT": str(number),
    }
    command = ["functions-framework", "--source", "functions/main.py", "--target", "api"]
    command[0] = str(Path(sys.executable).with_name(command[0]))
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_until_it_listens(number, process)
            yield number
        finally:
            process.terminate()


def _wait_until_it_listens(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        with socket.socket() as probe:
            probe.settimeout(0.1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.05)
    pytest.fail("functions-framework does not listen")


def ask(
    port: int, method: str, path: str, body: Any = None, headers: dict[str, str] = KEY
) -> tuple[int, dict[str, Any]]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        assert response.headers["Content-Type"] == "application/json; charset=utf-8"
        return response.status, json.loads(response.read())


def test_a_checkpoint_is_recorded(port: int) -> None:
    assert ask(port, "POST", "/v1/checkpoints", b'{"job": "a"}', JSON)[0] == 200


def test_it_answers_about_its_health(port: int) -> None:
    assert ask(port, "GET", "/health") == (200, {"status": "ok"})


@pytest.mark.parametrize("size", [1_100_000, 12_000_000])
@pytest.mark.parametrize("path", ["/v1/checkpoints", "/nowhere"])
def test_a_body_that_is_far_too_large_still_gets_its_answer(port: int, path: str, size: int) -> None:
    status, body = ask(port, "POST", path, b" " * size, JSON)
    assert (status, body["code"]) == ((404, "path_not_found") if path == "/nowhere" else (413, "too_large"))


def test_a_chunked_body_is_measured_as_it_comes(port: int) -> None:
    status, body = ask(port, "POST", "/v1/checkpoints", iter([b" " * 100_000] * 30), JSON)
    assert (status, body["code"]) == (413, "too_large")
    assert ask(port, "POST", "/v1/checkpoints", iter([b'{"job"', b': "a"}']), JSON)[0] == 200


def test_a_connection_serves_again_after_a_refusal(port: int) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        for body, status in ((b"{", 400), (b" " * 2_000_000, 413), (b'{"job": "a"}', 200)):
            connection.request("POST", "/v1/checkpoints", body, JSON)
            response = connection.getresponse()
            response.read()
            assert response.status == status


def test_a_websocket_is_refused_with_the_protocol_that_it_asked_for(port: int) -> None:
    asked = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request("GET", "/progress/stream", headers=asked)
        response = connection.getresponse()
        assert (response.status, response.headers["Upgrade"]) == (426, "websocket")
        assert response.headers["Connection"].lower() == "upgrade"
        assert json.loads(response.read())["code"] == "upgrade_required"


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 500\r\n\r\n{",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{",
    ],
)
def test_a_sender_that_hangs_up_harms_nobody(port: int, head: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as sender:
        sender.sendall(
            b"POST /v1/checkpoints HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer mp_worker\r\n"
            b"Content-Type: application/json\r\n" + head
        )
        sender.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: sender.recv(65536), b""))
    assert not answer or b"incomplete_body" in answer
    assert ask(port, "GET", "/health")[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/v1/jobs/%00",
        "/v1/jobs/%ff%fe",
        "//v1/jobs",
        "/v1/jobs/a//items",
        "/%2e%2e/etc/passwd",
        "/v1/jobs/a%0ab",
        "/v1/jobs/a%0d%0aSet-Cookie:%20a=b",
        "/robots.txt",
    ],
)
def test_a_strange_path_is_answered_in_the_one_shape(port: int, path: str) -> None:
    status, body = ask(port, "GET", path)
    assert status in (404, 500)  # The fake knows no reading function, which is a fault of ours.
    assert body["code"] in ("path_not_found", "job_not_found", "internal_error")
