"""How many processes and threads serve the functions best: `python -m benchmarks.serving`, half a minute.

Checkpoints, one a request, from 16 connections at once, through gunicorn to the local stack's PostgREST and
Postgres; each setting in turn, over and over, so that what else runs on the machine meets all of them alike.
"""

import http.client
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

import httpx

from milepost._admin import Admin
from milepost.local import CHECKOUT
from milepost.local.running import running
from milepost.local.stack import Access

SETTINGS = [(1, 1), (1, 4), (1, 8), (1, 32), (2, 4), (2, 8), (4, 4)]
CONNECTIONS = 16
ROUND_S = 1.5
ROUNDS = 3


@contextmanager
def serving(environment: dict[str, str], workers: int, threads: int) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    counts = {"WEB_CONCURRENCY": str(workers), "THREADS": str(threads), "PORT": str(port)}
    command = [str(Path(sys.executable).with_name("gunicorn")), "--config", "deploy/gunicorn.conf.py"]
    command += ["--bind", f"127.0.0.1:{port}", "--log-level", "warning", "functions.wsgi:app"]
    with subprocess.Popen(command, cwd=CHECKOUT, env=os.environ | environment | counts) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            for _ in range(600):
                try:
                    httpx.get(f"{url}/health", timeout=5)
                    break
                except httpx.TransportError:
                    time.sleep(0.05)
            yield url
        finally:
            process.terminate()


def round_of(url: str, key: str, numbers: Iterator[int]) -> tuple[float, list[float]]:
    """Answers a second, and how long each took in ms."""
    end = time.perf_counter() + ROUND_S
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def post(connection: int) -> list[float]:
        took = []
        # http.client, since what the sender spends is missing to the functions on the same machine.
        with closing(http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)) as client:
            while (began := time.perf_counter()) < end:
                body = f'{{"job": "serving-{connection}", "items_completed": {next(numbers)}}}'
                client.request("POST", "/v1/checkpoints", body, headers)
                response = client.getresponse()
                response.read()
                if response.status != 200:
                    raise RuntimeError(f"status {response.status}")
                took.append((time.perf_counter() - began) * 1000)
        return took

    began = time.perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        times = [ms for took in pool.map(post, range(CONNECTIONS)) for ms in took]
    return len(times) / (time.perf_counter() - began), times


def measure(access: Access) -> None:
    environment = {
        "SUPABASE_URL": access.supabase_url,
        "SUPABASE_SECRET_KEY": access.secret_key,
        "SUPABASE_PUBLISHABLE_KEY": access.publishable_key,
        "CRON_SECRET": access.cron_secret,
    }
    os.environ.update(environment)
    admin = Admin()
    key = admin.create_key(admin.create_tenant("serving")["tenant_id"], "worker")["key"]
    admin.close()
    numbers = count(1)
    rates: dict[tuple[int, int], list[float]] = {setting: [] for setting in SETTINGS}
    times: dict[tuple[int, int], list[float]] = {setting: [] for setting in SETTINGS}
    for _ in range(ROUNDS):
        for setting in SETTINGS:
            with serving(environment, *setting) as url:
                rate, took = round_of(url, key, numbers)
            rates[setting].append(rate)
            times[setting] += took
    first = statistics.median(rates[SETTINGS[0]])
    print(
        "| processes | threads each | checkpoints/s | beside 1 x 1 | p50 ms | p99 ms |\n| --- | --- | --- | --- | --- | --- |"
    )
    for setting in SETTINGS:
        rate, cuts = statistics.median(rates[setting]), statistics.quantiles(times[setting], n=100)
        print(
            f"| {setting[0]} | {setting[1]} | {rate:.0f} | {rate / first:.2f} | {cuts[49]:.0f} | {cuts[98]:.0f} |"
        )


if __name__ == "__main__":
    with running() as stack:
        measure(stack)
