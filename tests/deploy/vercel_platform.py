"""What Vercel does with a build: its routes, and a function in a process that answers by HTTP.

The runtime is Vercel's own, from the build; only the proxy before it is played here.
"""

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
FUNCTION = "/api/index.py"


def copy_of_checkout(folder: Path) -> None:
    """What a push would bring: the files that git knows or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    for name in listed.stdout.decode().split("\0"):
        if name and (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)


def build(folder: Path, programs: Path, **environment: str) -> str:
    """Runs `vercel build` in this copy of the checkout and returns what it said."""
    (folder / ".vercel").mkdir()
    project = {"projectId": "prj_local", "orgId": "team_local", "settings": {}}
    (folder / ".vercel/project.json").write_text(json.dumps(project))
    done = subprocess.run(
        [ROOT / ".vercel-cli/node_modules/.bin/vercel", "build", "--yes"],
        cwd=folder,
        env=os.environ
        | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "VERCEL_TELEMETRY_DISABLED": "1"}
        | environment,
        capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


class Built:
    """A folder in which `vercel build` ran."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.output = folder, folder / ".vercel/output"
        self.config: dict[str, Any] = json.loads((self.output / "config.json").read_text())
        self._function = self.output / "functions/api/index.func"
        self.function: dict[str, Any] = json.loads((self._function / ".vc-config.json").read_text())

    def files(self) -> dict[str, Path]:
        """What the function consists of: the path within it, and where the file lies now."""
        own = {
            str(path.relative_to(self._function)): path
            for path in self._function.rglob("*")
            if path.is_file() and path.name != ".vc-config.json"
        }
        return own | {name: self.folder / path for name, path in self.function["filePathMap"].items()}

    def unpack(self, folder: Path) -> None:
        for name, path in self.files().items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, folder / name)

    def leads_to(self, path: str) -> str:
        """Where a request of this path goes: `static/...`, the function, or its status."""
        for route in self.config["routes"]:
            if route.get("handle") == "filesystem":
                name = path.lstrip("/") or "index.html"
                if (self.output / "static" / name).is_file():
                    return f"static/{name}"
            elif "src" in route and not route.get("continue") and re.match(route["src"], path):
                if "status" in route and "dest" not in route:
                    return str(route["status"])
                if "status" not in route:
                    return str(route["dest"])
        return "404"


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Instance:
    """A running function."""

    def __init__(self, port: int, started: dict[str, Any]) -> None:
        self.port = port
        self.init_ms: int = started["initDuration"]
        self.import_ms: int = started["userInitDuration"]
        """What it took to import the function, without the runtime's own beginning."""

    @contextmanager
    def open(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> Iterator[http.client.HTTPResponse]:
        data = b"" if body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json"} if data else {}
        platform = {"x-vercel-internal-invocation-id": "1", "x-vercel-internal-request-id": "1"}
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request(method, path, data, sent | platform | headers)
            yield connection.getresponse()

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        with self.open(method, path, body, **headers) as response:
            return Answer(response.status, dict(response.getheaders()), response.read())


@contextmanager
def started(folder: Path, python: Path, **environment: str) -> Iterator[Instance]:
    """The unpacked function in its process, which says on a socket when it is ready."""
    with (
        tempfile.TemporaryDirectory() as beside,
        closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as listener,
    ):
        path = f"{beside}/ipc"
        listener.bind(path)
        listener.listen()
        listener.settimeout(60)
        with subprocess.Popen(
            [python, "-c", "import vc__handler__python"],
            cwd=folder,
            env={"PYTHONPATH": "_vendor:.", "PYTHONDONTWRITEBYTECODE": "1", "VERCEL_IPC_PATH": str(path)}
            | environment,
        ) as process:
            try:
                connection, _ = listener.accept()
                with connection:
                    said = _until_ready(connection)
                    assert said["type"] == "server-started", said
                    yield Instance(said["payload"]["httpPort"], said["payload"])
            finally:
                process.kill()


def _until_ready(connection: socket.socket) -> dict[str, Any]:
    connection.settimeout(60)
    kept = b""
    while True:
        while b"\0" in kept:
            message, _, kept = kept.partition(b"\0")
            said: dict[str, Any] = json.loads(message)
            if said["type"] in ("server-started", "unrecoverable-error"):
                return said
        more = connection.recv(65536)
        assert more, "the function ended before it was ready"
        kept += more
