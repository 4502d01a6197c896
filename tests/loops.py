"""Processes that work on jobs as a test tells them, and the server that they report to."""

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import httpx
from dev_process import PATIENCE_S
from running_stack import RunningStack, Tenant

Row = dict[str, Any]

HERE = Path(__file__).parent
KIND = "recovery"


class Loop:
    """One process of loop.py."""

    def __init__(self, environment: dict[str, str], facts: Row, log: Path) -> None:
        self._log = log
        with log.open("w") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "loop.py"), json.dumps(facts)],
                env=os.environ | environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                bufsize=1,
            )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.strip())
        self._lines.put("ended")

    def tell(self, *orders: str) -> None:
        assert self.process.stdin is not None
        for order in orders:
            self.process.stdin.write(f"{order}\n")

    def hear(self) -> str:
        """The next thing it says."""
        return self._lines.get(timeout=PATIENCE_S)

    def logged(self) -> str:
        """What it has written to stderr."""
        return self._log.read_text()

    def is_silent(self) -> bool:
        return self._lines.empty()

    def do(self, items: int) -> None:
        """Has it do so many items, and waits until they are done."""
        self.tell(*["item"] * items)
        for _ in range(items):
            assert self.hear().startswith("did ")

    def deliver(self) -> None:
        self.tell("flush")
        assert self.hear() == "flushed True"

    def deliver_all(self) -> None:
        """Has it deliver, after whatever else it was told to do."""
        self.tell("flush")
        while not (heard := self.hear()).startswith("flushed"):
            assert heard.startswith("did "), heard
        assert heard == "flushed True"

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        if self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.kill()
        self._reader.join()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):  # orders that it did not read any more
                pipe.close()


class Loops:
    """Loops on one tenant's jobs, and people who look at them."""

    def __init__(self, stack: RunningStack, tenant: Tenant) -> None:
        self.stack, self.tenant = stack, tenant
        self.api = httpx.Client(base_url=stack.api_url, timeout=60)
        self._folder = tempfile.TemporaryDirectory()
        self.done_file = Path(self._folder.name, "done")
        self._loops: list[Loop] = []

    def start(
        self,
        job: str | None = "job",
        items: int = 40,
        *,
        in_stage: bool = False,
        skew_s: float = 0,
        named: bool = False,
        patience_s: float = PATIENCE_S,
        url: str | None = None,
        **fields: object,
    ) -> Loop:
        """A process that works on the job, or without one on what it can claim."""
        fields |= {"kind": KIND, "retry_backoff_ms": 1}
        if not in_stage:
            fields["items_total"] = items
        facts = {
            "job": job, "claims": job is None, "kind": KIND, "fields": fields,
            "items": items, "in_stage": in_stage, "skew_s": skew_s, "named": named, "patience_s": patience_s,
            "done": str(self.done_file),
        }  # fmt: skip
        environment = {"MILEPOST_URL": url or self.stack.api_url, "MILEPOST_KEY": self.tenant.worker_key}
        self._loops.append(Loop(environment, facts, Path(self._folder.name, f"log-{len(self._loops)}")))
        return self._loops[-1]

    def begun(self, *arguments: Any, **options: Any) -> Loop:
        """A process that has begun its job."""
        loop = self.start(*arguments, **options)
        assert loop.hear().startswith("begins at ")
        return loop

    def done(self) -> list[int]:
        """Each item that was done, as often as it was."""
        return [int(line) for line in self.done_file.read_text().split()]

    def job(self, job: str = "job") -> Row:
        return self._asked(self.api.get(f"/v1/jobs/{job}", headers=self._key()))

    def control(self, verb: str, job: str = "job", **body: object) -> Row:
        return self._asked(self.api.post(f"/v1/jobs/{job}/{verb}", headers=self._key(), json=body))

    def create(self, job: str, **fields: object) -> Row:
        body = {"job": job, "kind": KIND, "start": False, "retry_backoff_ms": 1} | fields
        return self._asked(self.api.post("/v1/jobs", headers=self._key(), json=body))

    def report(self, **entry: object) -> Row:
        return self._asked(self.api.post("/v1/checkpoints", headers=self._key(), json=entry))

    def events(self, *types: str, job: str = "job") -> list[Row]:
        rows = self.stack.sql(
            "select e.type, e.data from milepost.events e join milepost.jobs j using (job_id) "
            "where j.tenant_id = %s and j.key = %s order by e.version",
            (self.tenant.tenant_id, job),
        )
        return [row for row in rows if row["type"] in types]

    def pass_time(self, seconds: float, job: str = "job", *, heard: bool = False) -> None:
        """Moves the job's past back, as if so much time had passed without a word.

        If it was heard meanwhile, with heartbeats only.
        """
        shifts = ["milepost_private.pulses: active_at progress_event_at"]
        if not heard:
            shifts += [
                "milepost.jobs: created_at started_at attempt_started_at state_changed_at last_checkpoint_at "
                "last_progress_at run_after",
                "milepost.lanes: first_checkpoint_at last_checkpoint_at last_progress_at",
            ]
        job_id = self.job(job)["job_id"]
        for table, columns in (shift.split(": ") for shift in shifts):
            moved = ", ".join(f"{one} = {one} - %(by)s * interval '1 second'" for one in columns.split())
            self.stack.sql(
                f"update {table} set {moved} where job_id = %(job)s", {"by": seconds, "job": job_id}
            )

    def sweep(self) -> Row:
        """What a scheduler asks for."""
        headers = {"Authorization": f"Bearer {self.stack.cron_secret}"}
        return self._asked(self.api.post("/cron/sweep", headers=headers))

    def end_loops(self) -> None:
        for loop in self._loops:
            loop.end()

    def end(self) -> None:
        self.end_loops()
        self.api.close()
        self._folder.cleanup()

    def _key(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tenant.operator_key}"}

    @staticmethod
    def _asked(response: httpx.Response) -> Row:
        assert response.is_success, response.text
        answer: Row = response.json()
        return answer


class Wire:
    """A way to the server that can be cut: what goes over it is lost, and so is what was open."""

    def __init__(self, url: str) -> None:
        parts = httpx.URL(url)
        self._server = (parts.host, parts.port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._is_cut = False
        self.tries_while_cut = 0
        self._ends: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def cut(self) -> None:
        self._is_cut = True
        for end in self._ends:
            _hang_up(end)

    def mend(self) -> None:
        self._is_cut = False

    def close(self) -> None:
        self.cut()
        # Wakes the thread that waits for a connection.
        _hang_up(self._listener)
        for thread in self._threads:
            thread.join()
        for end in (self._listener, *self._ends):
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            self._ends.append(client)
            if self._is_cut:
                self.tries_while_cut += 1
                _hang_up(client)
                continue
            server = socket.create_connection(self._server)
            self._ends.append(server)
            for source, target in ((client, server), (server, client)):
                self._threads.append(threading.Thread(target=self._carry, args=(source, target)))
                self._threads[-1].start()

    @staticmethod
    def _carry(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:  # cut
            pass
        for end in (source, target):
            _hang_up(end)


def _hang_up(end: socket.socket) -> None:
    # The other side may have been first.
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
