"""Connections to PostgREST that stay open between requests.

With the standard library: httpx would take more of a worker's request than all else that the functions do.
"""

import http.client
import select
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import ssl

_CONNECT_S, _ANSWER_S = 3, 10
_MOST_IDLE = 20


class NoAnswer(Exception):
    """Nobody is there, or the connection broke or took too long; the cause says which."""


class Answer(NamedTuple):
    """What PostgREST said."""

    status: int
    headers: http.client.HTTPMessage
    content: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


class Connections:
    """Connections to one address that stay open between requests; each serves one request at a time."""

    def __init__(self, url: str) -> None:
        self._at = urlsplit(url)
        self.idle: list[http.client.HTTPConnection] = []

    def post(self, path: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        """Asks once. Raises `NoAnswer`, and ValueError for a header that cannot be sent."""
        connection = None
        answer = None
        try:
            connection = self._taken()
            connection.request("POST", self._at.path + path, content, headers)
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswer from error
        finally:
            if connection is not None:
                if answer is None or response.will_close or len(self.idle) >= _MOST_IDLE:
                    connection.close()
                else:
                    self.idle.append(connection)
        return answer

    def close(self) -> None:
        """Closes those that nobody uses."""
        while self.idle:
            self.idle.pop().close()

    def _taken(self) -> http.client.HTTPConnection:
        with suppress(IndexError):
            while True:
                connection = self.idle.pop()
                # What can be read before anything was asked is the other end's goodbye.
                if not _readable(connection):
                    return connection
                connection.close()
        return self._opened()

    def _opened(self) -> http.client.HTTPConnection:
        host, port = self._at.hostname or "", self._at.port
        if self._at.scheme == "https":
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, timeout=_CONNECT_S, context=_trusted()
            )
        else:
            connection = http.client.HTTPConnection(host, port, timeout=_CONNECT_S)
        connection.connect()
        connection.sock.settimeout(_ANSWER_S)
        return connection


def _readable(connection: http.client.HTTPConnection) -> bool:
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))


@cache
def _trusted() -> "ssl.SSLContext":
    import ssl

    import certifi  # Rather than the machine's: a function's image may have none.

    return ssl.create_default_context(cafile=certifi.where())
