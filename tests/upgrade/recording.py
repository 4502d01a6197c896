"""What the SDK says to the server, recorded for each release: .venv/bin/python tests/upgrade/recording.py 0.1.0

A later release replays it against its own functions and database: what a worker with the old SDK sends is taken, and what
it reads is answered.
"""

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from running_stack import RunningStack, Tenant

import milepost
from milepost._client import Client
from milepost.local.running import running

RELEASES = Path(__file__).with_name("releases")


def shape(value: Any) -> Any:
    """A JSON value with its texts, numbers and truths replaced by what they are; a list by what its entries have."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return None if value is None else "number" if type(value) in (int, float) else type(value).__name__


def use_everything(tenant: Tenant, url: str) -> None:
    """A worker's day: all that the SDK has words for."""
    os.environ.update(MILEPOST_URL=url, MILEPOST_KEY=tenant.worker_key)
    client = Client(url, tenant.operator_key)
    with milepost.job(
        "nightly import",
        kind="csv_import",
        name="Nightly import",
        unit="rows",
        items_total=100,
        metadata={"owner": "etl"},
    ) as job:
        with job.stage("load", items_total=2, weight=3) as stage:
            stage.advance(1, bytes=10, batch={"items": 1, "duration_ms": 5, "bytes": 10})
            stage.advance(failed=1)
            job.item("a.wav", "completed", stage="load", duration_ms=8, payload={"gpu": "10.0.0.7"})
            job.item("b.wav", "failed", stage="load", error="unreadable")
        job.message("chunk 1 of 2")
        job.advance(40, cursor={"offset": 40})
        job.flush()
        job.advance(30, skipped=2, canceled=1, cursor={"offset": 73})
    for _ in milepost.track(range(3), job="tracked"):
        pass
    try:
        with milepost.job("broken"):
            raise ValueError("bad row")
    except ValueError:
        pass
    client.create_job({"job": "queued", "kind": "queue", "start": False, "items_total": 2, "priority": 3})
    claimed = milepost.claim(["queue"], "host-1")
    assert claimed is not None
    with claimed as job:
        job.advance(2, cursor=2)
    assert milepost.claim(["queue"], "host-1") is None
    client.jobs(state="completed", limit=2)
    client.job("nightly import")
    client.items("nightly import")
    client.events("nightly import")
    client.finished_jobs(limit=1)
    client.close()


@contextmanager
def listening(heard: Callable[[httpx.Request, httpx.Response], None]) -> Iterator[None]:
    """Lets `heard` see what this process' httpx sends and is answered, in order."""
    lock = threading.Lock()

    class Listening(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            with lock:
                response = super().handle_request(request)
                response.read()
                heard(request, response)
                return response

    with patch.object(httpx, "HTTPTransport", Listening), patch("httpx._client.HTTPTransport", Listening):
        yield


def record(stack: RunningStack) -> list[dict[str, Any]]:
    tenant, exchanges = stack.tenant(), list[dict[str, Any]]()
    keys = {f"Bearer {tenant.worker_key}": "worker", f"Bearer {tenant.operator_key}": "operator"}

    def heard(request: httpx.Request, response: httpx.Response) -> None:
        exchanges.append(
            {
                "key": keys[request.headers["authorization"]],
                "method": request.method,
                "path": request.url.raw_path.decode(),
                "body": json.loads(request.content) if request.content else None,
                "status": response.status_code,
                "answer": shape(response.json()) if response.content else None,
            }
        )

    with listening(heard):
        use_everything(tenant, stack.api_url)
    return exchanges


if __name__ == "__main__":
    (version,) = sys.argv[1:]
    with running() as access:
        found = record(RunningStack(access))
    RELEASES.mkdir(exist_ok=True)
    lines = ",\n".join(json.dumps(exchange, ensure_ascii=False) for exchange in found)
    (RELEASES / f"{version}.json").write_text(f"[\n{lines}\n]\n")
