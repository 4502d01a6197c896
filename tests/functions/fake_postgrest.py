"""A small real HTTP server in PostgREST's place: keeps what it was asked, answers what a test tells it to."""

import json
import socket
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any, NamedTuple, Self

from milepost._version import VERSION


class Call(NamedTuple):
    """One request that arrived."""

    rpc: str
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)


class Reply(NamedTuple):
    """What to answer: a text is sent as it is, anything else as JSON."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = MappingProxyType({})
    closes: bool = False
    """Whether the connection is closed after it, though it does not say so."""


def refusal(status: int, code: str, **headers: str) -> Reply:
    """An error as PostgREST gives it."""
    return Reply({"code": code, "message": "no", "details": None, "hint": "another"}, status, headers)


def recorded(call: Call) -> Reply:
    """What record_checkpoints answers when it takes every entry."""
    columns = call.body.get("columns")
    jobs = set(columns["jobs"]) if columns else {entry["job"] for entry in call.body["checkpoints"]}
    return Reply({"errors": [], "results": [{"job": job, "accepted": 1} for job in sorted(jobs)]})


class FakePostgrest:
    """Serves on a free port of the loopback between `with` and its end."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.connections = 0
        self.replies: dict[str, Reply | Callable[[Call], Reply]] = {}
        self.reset()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # One packet for head and body: two would wait for each other.

            def setup(self) -> None:
                super().setup()
                fake.connections += 1

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                self._send(fake.answer(Call(self.path.rsplit("/", 1)[-1], headers, raw)))

            def do_GET(self) -> None:
                self._send(fake.answer(Call(self.path.rsplit("/", 1)[-1], {}, b"")))

            def _send(self, reply: Reply) -> None:
                body = (reply.body if isinstance(reply.body, str) else json.dumps(reply.body)).encode()
                self.send_response(reply.status)
                for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                if "Content-Length" not in reply.headers:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                if reply.closes:
                    self.wfile.flush()
                    self.connection.shutdown(socket.SHUT_WR)
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False  # Kept connections end with the process.

            def handle_error(self, request: object, client_address: object) -> None:
                """A reply that raises hangs up; the test knows."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def reset(self) -> None:
        """Forgets what was asked and told."""
        self.calls.clear()
        self.replies = {"record_checkpoints": recorded, "schema_version": Reply(f'"{VERSION}"')}

    def answer(self, call: Call) -> Reply:
        """Keeps the call and answers it; without a reply, as PostgREST answers an unknown function."""
        self.calls.append(call)
        reply = self.replies.get(call.rpc, refusal(404, "PGRST202"))
        return reply(call) if callable(reply) else reply

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
