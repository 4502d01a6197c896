"""A small server that speaks the contract, in memory: for what a real one cannot be made to do on demand.

It keeps lanes by the contract's rules (the greatest seq that named a field wins; completed and bytes never
fall), and it can be told to refuse, to lose an answer after it was committed, or to cut the connection.
"""

import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from pydantic import ValidationError

from milepost.models import Checkpoint, NewJob, describe

COUNTS = ("items_completed", "items_failed", "items_skipped", "items_canceled", "bytes_processed")
GREATEST = ("items_completed", "bytes_processed")
TERMINAL = ("completed", "canceled", "failed")


class Lane:
    def __init__(self, worker: str, attempt: int) -> None:
        self.worker, self.attempt, self.seq = worker, attempt, -1
        self.values: dict[str, Any] = dict.fromkeys(COUNTS, 0)
        self.named: dict[str, int] = {}
        self.seen: set[int] = set()
        self.stages: dict[str, Lane] = {}
        self.cursor: Any = None
        self.at_cursor: dict[str, Any] = dict.fromkeys(COUNTS, 0)

    def hear(self, fields: dict[str, Any], seq: int) -> None:
        for field, value in fields.items():
            if field in GREATEST:
                self.values[field] = max(self.values[field], value)
            elif seq > self.named.get(field, -1):
                self.named[field] = seq
                self.values[field] = value
        if "cursor" in fields and self.named["cursor"] == seq:
            self.cursor = fields["cursor"]
            self.at_cursor = {field: self.values[field] for field in COUNTS}
        self.seq = max(self.seq, seq)
        self.seen.add(seq)

    def begin_attempt(self) -> None:
        """Back to the counts at the last cursor; what came after was not committed."""
        self.seq, self.named, self.seen = -1, {}, set()
        self.values = dict(self.at_cursor)
        for stage in self.stages.values():
            stage.begin_attempt()

    def as_json(self) -> dict[str, Any]:
        stages = [{"name": name, **lane.at_cursor} for name, lane in self.stages.items()]
        return {
            "worker": self.worker,
            "attempt": self.attempt,
            "seq": self.seq,
            "cursor": self.cursor,
            "stages": stages,
            **self.at_cursor,
        }


class Job:
    def __init__(self, number: int, fields: dict[str, Any]) -> None:
        self.job_id = f"00000000-0000-4000-8000-{number:012d}"
        self.fields, self.state, self.attempt = fields, "running", 1
        self.reason: str | None = None
        self.directive = "continue"
        self.lanes: dict[str, Lane] = {}
        self.items: dict[tuple[str | None, str], dict[str, Any]] = {}
        self.entries: list[dict[str, Any]] = []

    def total(self, field: str) -> int:
        return sum(lane.values[field] for lane in self.lanes.values())

    def stage_total(self, stage: str, field: str) -> int:
        return sum(lane.stages[stage].values[field] for lane in self.lanes.values() if stage in lane.stages)

    def hear(self, entry: dict[str, Any]) -> None:
        seq, worker = entry["seq"], entry.get("worker", "main")
        lane = self.lanes.setdefault(worker, Lane(worker, self.attempt))
        self.entries.append(entry)
        stages = entry.get("stage", [])
        for stage in stages if isinstance(stages, list) else [stages]:
            lane.stages.setdefault(stage["name"], Lane(worker, self.attempt)).hear(stage, seq)
        if "cursor" in entry:
            for stage_lane in lane.stages.values():
                stage_lane.at_cursor = {field: stage_lane.values[field] for field in COUNTS}
        for item in entry.get("items", []):
            stage = item.get(
                "stage", stages[0]["name"] if isinstance(stages, list) and len(stages) == 1 else None
            )
            self.items[stage, item["key"]] = item
        lane.hear({field: value for field, value in entry.items() if field not in ("stage", "items")}, seq)
        self._settle(entry)

    def begin_attempt(self) -> None:
        self.state, self.attempt = "running", self.attempt + 1
        for lane in self.lanes.values():
            lane.begin_attempt()

    def _settle(self, entry: dict[str, Any]) -> None:
        said = entry.get("state")
        if self.state in TERMINAL:
            return
        if said in ("failed", "canceled"):
            self.state, self.reason = said, entry.get("reason")
        elif (
            said == "completed"
            and all(lane.values.get("state") == "completed" for lane in self.lanes.values())
        ) or said in ("running", "paused"):
            self.state = said

    def as_json(self) -> dict[str, Any]:
        return {
            "job_id": self.job_id,
            "job": self.fields["job"],
            "state": self.state,
            "attempt": self.attempt,
            "cursor": next((lane.cursor for lane in self.lanes.values() if lane.cursor is not None), None),
            "workers": [lane.as_json() for lane in self.lanes.values()],
        }


class Contract:
    """The server's memory and what it was told to do next."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.pending: deque[Job] = deque()
        self.requests: list[tuple[str, Any]] = []
        self.next_checkpoint_ms = 20
        # What happens to the next requests: (status, headers, body), "cut", "lose" (committed, answer lost) or
        # "tear" (committed, and reset in the middle of the answer).
        self.mishaps: deque[Any] = deque()
        self.away = False
        self.changed = threading.Condition()

    def answer(self, path: str, body: Any) -> tuple[int, Any]:
        if path == "/v1/jobs":
            return self.create(body)
        if path == "/v1/jobs/claim":
            return self.claim()
        if path == "/v1/checkpoints":
            return self.checkpoints(body)
        return 404, {"code": "not_found", "message": f"There is no {path}."}

    def create(self, fields: dict[str, Any]) -> tuple[int, Any]:
        try:
            NewJob.model_validate(fields)
        except ValidationError as error:
            return 422, describe(error)._asdict()
        known = fields["job"] in self.jobs
        job = self.jobs.setdefault(fields["job"], Job(len(self.jobs), fields))
        return 200 if known else 201, job.as_json()

    def claim(self) -> tuple[int, Any]:
        if not self.pending:
            return 204, None
        job = self.pending.popleft()
        self.jobs[job.fields["job"]] = job
        cursors = {lane.worker: lane.cursor for lane in job.lanes.values()}
        return 200, {**job.as_json(), "cursors": cursors}

    def checkpoints(self, entries: list[dict[str, Any]]) -> tuple[int, Any]:
        errors, results = [], {}
        for index, entry in enumerate(entries):
            try:
                Checkpoint.model_validate(entry)
            except ValidationError as error:
                errors.append({"index": index, **describe(error)._asdict()})
                continue
            job = self.jobs.setdefault(entry["job"], Job(len(self.jobs), {"job": entry["job"]}))
            stale = entry.get("attempt", job.attempt) != job.attempt
            if stale:
                errors.append(
                    {"index": index, "code": "stale_attempt", "message": "Expected a newer attempt."}
                )
            elif entry["seq"] not in job.lanes.get(entry["worker"], Lane("", 0)).seen:
                job.hear(entry)
            results[job.job_id] = {
                "job": entry["job"],
                "job_id": job.job_id,
                "attempt": job.attempt,
                "state": job.state,
                "version": 1,
                "directive": "stop" if stale else job.directive,
                "next_checkpoint_ms": self.next_checkpoint_ms,
            }
        return 200 if results else 422, {"results": list(results.values()), "errors": errors}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    contract: Contract

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        contract = self.contract
        with contract.changed:
            mishap = "cut" if contract.away else contract.mishaps.popleft() if contract.mishaps else None
            contract.requests.append((self.path, body))
            if isinstance(mishap, tuple):
                self._send(*mishap)
            elif mishap == "cut":
                self.close_connection = True
            else:
                status, said = contract.answer(unquote(self.path), body)
                if mishap == "lose":
                    self.close_connection = True
                elif mishap == "tear":
                    self._tear(status, said)
                else:
                    self._send(status, {}, said)
            contract.changed.notify_all()

    def _send(self, status: int, headers: dict[str, str], body: Any) -> None:
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _tear(self, status: int, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True


class Server:
    """The contract over HTTP on a free port."""

    def __init__(self, contract: Contract, port: int) -> None:
        self.contract, self.url = contract, f"http://127.0.0.1:{port}"

    def job(self, key: str) -> Job:
        return self.contract.jobs[key]

    def wait_for(self, condition: Any, deadline_s: float = 20.0) -> None:
        """Waits until the condition holds after some request."""
        with self.contract.changed:
            assert self.contract.changed.wait_for(condition, deadline_s), self.contract.requests[-3:]


@contextmanager
def serve() -> Iterator[Server]:
    contract = Contract()
    handler = type("Handler", (_Handler,), {"contract": contract})
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Server(contract, http.server_address[1])
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
