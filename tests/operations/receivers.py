"""Real servers on the loopback that receive messages, and ones that misbehave."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Received(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """Answers as it is told, and keeps what came."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.received: list[Received] = []
        self.status = 204
        self.headers: dict[str, str] = {}


@contextmanager
def receiver() -> Iterator[Receiver]:
    """An HTTP server on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            made.received.append(Received(self.path, headers, body))
            self.send_response(made.status)
            for name, value in made.headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        made = Receiver(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def misbehaving(behave: Callable[[socket.socket, threading.Event], None]) -> Iterator[int]:
    """A port whose connections are handed to `behave`, which ends when the event is set."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)

        def serve() -> None:
            with suppress(OSError):
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    behave(connection, over)

        thread = threading.Thread(target=serve)
        thread.start()
        port: int = listener.getsockname()[1]
        try:
            yield port
        finally:
            over.set()
            # Where nobody came, accept is still waiting.
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
            thread.join()


def hang(connection: socket.socket, over: threading.Event) -> None:
    """Says nothing."""
    over.wait(30)


def drip(connection: socket.socket, over: threading.Event) -> None:
    """Sends a header without end, a byte at a time, so that no single read takes long."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not over.wait(0.01):
        connection.sendall(b"x")


def flood(connection: socket.socket, over: threading.Event) -> None:
    """Answers at once, with a body that never ends."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
    while not over.is_set():
        connection.sendall(b"x" * 65536)


def babble(connection: socket.socket, over: threading.Event) -> None:
    """Is no HTTP server."""
    connection.recv(65536)
    connection.sendall(b"220 mail.example ESMTP\r\n")
