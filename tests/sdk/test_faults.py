"""Answers that are none, names that nobody knows: the loop goes on, it is said once, and nothing is lost."""

import socket
from typing import Any

import pytest
from contract import Server

import milepost

HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
LOGIN = b"<html><form action=/login></form></html>"
GARBAGE: dict[str, Any] = {
    "a gateway's page": (502, {"Content-Type": "text/html"}, HTML),
    "a gateway's page with a wait": (503, {"Content-Type": "text/html", "Retry-After": "0"}, HTML),
    "a gateway that gave up": (504, {}, HTML),
    "a proxy that gave up": (408, {}, HTML),
    "too early": (425, {}, b""),
    "a platform's own page": (520, {}, HTML),
    "a page that is no error": (200, {"Content-Type": "text/html"}, LOGIN),
    "nothing": (200, {}, b""),
    "half of an answer": (200, {}, b'{"results": [{"job": "imp'),
    "another answer": (200, {}, {"ok": True}),
    "another shape": (200, {}, [1, 2]),
    "no text": (200, {}, b"\xff\xfe\x00"),
    "what is said to be compressed": (200, {"Content-Encoding": "gzip"}, b"this is not"),
    "a cut connection": "cut",
    "a lost answer": "lose",
    "a connection that is reset in the middle": "tear",
}


@pytest.mark.parametrize("mishap", GARBAGE.values(), ids=GARBAGE.keys())
@pytest.mark.parametrize("to", ["the greeting", "a report"])
def test_garbage_is_asked_again_and_nothing_is_lost_or_counted_twice(
    server: Server, caplog: pytest.LogCaptureFixture, mishap: Any, to: str
) -> None:
    def happens() -> None:
        with server.contract.changed:
            server.contract.mishaps.append(mishap)

    if to == "the greeting":
        happens()
    with milepost.job("import", items_total=6) as job:
        job.advance(2)
        job.item("a", "completed")
        if to == "a report":
            assert job.flush(30)
            happens()
        job.advance(4, cursor=6)
        job.item("b", "completed")
        assert job.flush(30)
        assert job.dropped == 0
    said = server.job("import")
    assert not server.contract.mishaps
    server.wait_for(lambda: said.state == "completed")
    assert (said.total("items_completed"), said.lanes["main"].cursor) == (6, 6)
    assert set(said.items) == {(None, "a"), (None, "b")}
    assert caplog.text.count("The work goes on; its counts are kept and sent later.") == 1


def test_a_name_that_nobody_knows_holds_nobody_up_and_all_is_sent_when_somebody_does(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    known, is_known = socket.getaddrinfo, False

    def resolve(host: Any, *arguments: Any, **options: Any) -> Any:
        if host != "milepost.test":
            return known(host, *arguments, **options)
        if not is_known:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return known("127.0.0.1", *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setenv("MILEPOST_URL", server.url.replace("127.0.0.1", "milepost.test"))
    with milepost.job("import") as job:
        job.advance(5)
        assert not job.flush(0.1)
        is_known = True
        assert job.flush(30)
    assert (server.job("import").total("items_completed"), server.job("import").state) == (5, "completed")
    assert caplog.text.count("Temporary failure in name resolution") == 1
