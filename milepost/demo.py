"""`milepost demo`: a real job, by the same means that any program has.

It computes the checksum of every file of the Python and Node installations on this machine, then reads each
file again to verify it. How many there are is not known until they have been found; several processes share
the work, each as a lane of the job; what cannot be read becomes a failed item.
"""

import hashlib
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path

import click

import milepost
from milepost import models
from milepost._client import Client
from milepost._job import settings
from milepost._settings import Settings
from milepost.cli import output
from milepost.cli.feed import ACTIVE, follow
from milepost.cli.jobs import show_job
from milepost.cli.watch import Shape, draw, print_changes

_KIND = "demo_checksums"
_HASH_AT_MOST_S = 20.0
_VERIFY_AT_MOST_S = 12.0
_PATIENCE_S = 60.0
_FILES_A_BATCH = 100
_WORKERS = 3
_FILES_AT_MOST = 40_000
_SHARED = (Path("/"), Path("/usr"), Path("/usr/local"))
_STAGES = ({"name": "scan", "weight": 1}, {"name": "hash", "weight": 6}, {"name": "verify", "weight": 3})
_CURL = """curl -sS "$MILEPOST_URL/v1/checkpoints" \\
  -H "Authorization: Bearer $MILEPOST_KEY" -H "Content-Type: application/json" \\
  -d '{"job": "my-first-job", "items_total": 3, "items_completed": 1}'"""


@dataclass(frozen=True)
class Place:
    """Where the demo runs: the server, a key, and the page to look at."""

    url: str
    key: str
    page: str


def demo(json: bool) -> int:
    """Runs the demo and returns its exit code: 0 where the job completed, 1 where it did not.

    On a terminal it then waits for Ctrl-C, so that the page can be looked at; with `json` it only prints the
    finished job. Raises ConfigurationError where the local stack does not start.
    """
    with _place() as place:
        client = Client(place.url, place.key)
        try:
            return run(client, place, installations(), json)
        finally:
            client.close()


@contextmanager
def _place() -> Iterator[Place]:
    if Settings.url:
        url, key = settings(None, None)
        yield Place(url, key, url)
        return
    from milepost.local import LocalStackError
    from milepost.local.running import running

    try:
        with running() as access:
            yield Place(access.api_url, access.worker_key, access.dashboard_url)
    except LocalStackError as error:
        raise milepost.ConfigurationError(str(error)) from error


def run(client: Client, place: Place, roots: Sequence[Path], json: bool) -> int:
    """Checksums the files under these roots, shows it, and returns the exit code."""
    terminal = sys.stdout.isatty() and not json
    work = Work(f"demo-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}", place, roots)
    if not json:
        click.echo(f"The page: {place.page}")
        click.echo("Checksums of all files in:\n" + "\n".join(f"  {root}" for root in work.roots))
    work.start()
    try:
        work.known.wait(_PATIENCE_S)
        changes = follow([work.key], url=place.url, key=place.key)
        if terminal:
            draw(output.console(), changes)
        else:
            print_changes(changes, Shape.NOTHING if json else Shape.LINES)
    except KeyboardInterrupt:
        click.echo("Stopping.", err=True)
    finally:
        work.stop.set()
        work.join()
    job = _finished(client, work.key)
    if json:
        output.print_json(job)
    else:
        click.echo()
        show_job(job)
        if work.left_out:
            click.echo(f"\nThere are more files; it took no more than {_FILES_AT_MOST:,}.")
        _try_curl(place)
    if terminal:
        click.echo(f"\nThe page: {place.page}\nCtrl-C ends the demo.")
        _wait_for_ctrl_c()
    return 0 if job.state == "completed" else 1


def installations() -> list[Path]:
    """The Node and Python installations on this machine, none of them inside another."""
    found = [Path(__file__).parents[1] / "node_modules"]
    if node := shutil.which("node"):
        prefix = Path(node).resolve().parents[1]
        # A Node from the system's packages shares its prefix with everything else.
        parts = ("lib/node_modules", "share/nodejs", "include/node")
        found += [prefix / part for part in parts] if prefix in _SHARED else [prefix]
    for prefix in (Path(sys.base_prefix), Path(sys.prefix)):
        found += (prefix / "lib").glob("python3*") if prefix in _SHARED else [prefix]
    found += Path.home().glob(".pyenv/versions/*")
    found += Path("/usr/lib").glob("python3*")
    there = list(dict.fromkeys(root.resolve() for root in found if root.is_dir()))
    return [
        root for root in there if not any(root != other and root.is_relative_to(other) for other in there)
    ]


class Work(threading.Thread):
    """The job itself: finds the files in this process, and has others hash and verify them."""

    def __init__(self, key: str, place: Place, roots: Sequence[Path]) -> None:
        super().__init__(name="milepost-demo")
        self.key, self.place, self.roots = key, place, roots
        self.left_out = False  # there were more files than it takes
        self.known = threading.Event()  # the server knows the job, or the work has ended
        context = multiprocessing.get_context("spawn")  # not forked: this process has threads
        self.stop = context.Event()
        self._files: Queue[list[str] | None] = context.Queue(10_000)
        self._meeting = context.Barrier(_WORKERS + 1)
        arguments = (key, place, self._files, self._meeting, self.stop)
        self._workers = [
            context.Process(target=_work, args=(f"worker-{number}", *arguments))
            for number in range(1, _WORKERS + 1)
        ]

    def run(self) -> None:
        for worker in self._workers:
            worker.start()
        try:
            self._lead()
        except milepost.JobStopped:
            click.echo("The demo was canceled.", err=True)
        finally:
            self.known.set()
            self.stop.set()
            self._meeting.abort()
            for worker in self._workers:
                worker.join()

    def _lead(self) -> None:
        job = milepost.job(
            self.key,
            kind=_KIND,
            name="Checksums of the Python and Node installations",
            unit="files",
            stages=_STAGES,
            worker="scanner",
            workers_expected=_WORKERS + 1,
            url=self.place.url,
            key=self.place.key,
        )
        with job:
            self.known.set()
            with job.stage("scan") as scan:
                total = self._scan(job, scan)
                scan.set_total(total)
            for name in ("hash", "verify"):
                with job.stage(name, items_total=total):
                    job.message(f"To {name}: {total:,} files")
                    _meet(self._meeting, self.stop)
            job.message(None)

    def _scan(self, job: milepost.Job, scan: milepost.Stage) -> int:
        total = 0
        batch: list[str] = []
        for folder, _, names in (found for root in self.roots for found in os.walk(root)):
            if total + len(names) > _FILES_AT_MOST:
                self.left_out = True
                break
            for name in names:
                batch.append(os.path.join(folder, name))  # noqa: PTH118 - tens of thousands of times
                if len(batch) == _FILES_A_BATCH:
                    self._files.put(batch)
                    batch = []
            total += len(names)
            scan.advance(len(names), message=f"Looking into {folder}")
            if self.stop.is_set():
                raise milepost.JobCanceled
        self._files.put(batch)
        for _ in self._workers:
            self._files.put(None)
        return total


def _meet(meeting: Barrier, stop: Event) -> None:
    """Waits until all have done this stage. Raises JobCanceled where one of them was stopped."""
    try:
        meeting.wait(_PATIENCE_S)
    except threading.BrokenBarrierError:
        if stop.is_set():
            raise milepost.JobCanceled from None
        raise


def _work(
    lane: str, key: str, place: Place, files: "Queue[list[str] | None]", meeting: Barrier, stop: Event
) -> None:
    """A worker process: hashes what it is given, then verifies what it has hashed."""
    # Ctrl-C reaches all processes of a terminal; the first one hears it and sets `stop`.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with milepost.job(key, kind=_KIND, worker=lane, url=place.url, key=place.key) as job:
            hashing = Checksums(job, "hash", time.monotonic() + _HASH_AT_MOST_S, stop)
            for batch in iter(files.get, None):
                for path in batch:
                    hashing.check(path)
            _meet(meeting, stop)
            verifying = Checksums(job, "verify", time.monotonic() + _VERIFY_AT_MOST_S, stop)
            verifying.stage.advance(skipped=hashing.without_sum)
            for path, expected in hashing.sums.items():
                verifying.check(path, expected)
            _meet(meeting, stop)
    except milepost.JobStopped:
        stop.set()
        meeting.abort()


class Checksums:
    """One worker's part of one stage. What would take too long is skipped, and counted as such."""

    def __init__(self, job: milepost.Job, stage: str, until: float, stop: Event) -> None:
        self._job, self._until, self._stop = job, until, stop
        self.stage = job.stage(stage)
        self.sums: dict[str, bytes] = {}
        self.without_sum = 0

    def check(self, path: str, expected: bytes | None = None) -> None:
        """Computes the file's checksum; `expected` is what it has to be."""
        if self._stop.is_set():
            raise milepost.JobCanceled
        if time.monotonic() > self._until or not os.path.isfile(path):  # noqa: PTH113 - for speed
            self._skip(path)
            return
        try:
            with open(path, "rb") as file:  # noqa: PTH123 - for speed
                found = hashlib.file_digest(file, "sha256").digest()
                size = file.tell()
        except OSError as error:
            self._fail(path, f"{type(error).__name__}: {error.strerror}")
            return
        if expected is not None and found != expected:
            self._fail(path, f"Expected the checksum {expected.hex()}, found {found.hex()}.")
            return
        self.sums[path] = found
        self.stage.advance(1, bytes=size)

    def _skip(self, path: str) -> None:
        if os.path.islink(path) and not os.path.exists(path):  # noqa: PTH114, PTH110 - for speed
            self._fail(path, f"The link leads nowhere: {os.readlink(path)}")  # noqa: PTH115
            return
        self.without_sum += 1
        self.stage.advance(skipped=1)

    def _fail(self, path: str, why: str) -> None:
        self.without_sum += 1
        self._job.item(path, "failed", stage=self.stage.name, error=why)
        self.stage.advance(failed=1)


def _finished(client: Client, key: str) -> models.Job:
    """The job once it has ended; or as it is, where that takes too long."""
    until = time.monotonic() + 10
    job = client.job(key)
    while job.state in ACTIVE and time.monotonic() < until:
        time.sleep(0.2)
        job = client.job(key)
    return job


def _try_curl(place: Place) -> None:
    """Tracks a job with nothing but curl, and shows how."""
    settings_now = os.environ | {"MILEPOST_URL": place.url, "MILEPOST_KEY": place.key}
    if shutil.which("curl") is None:
        return
    done = subprocess.run(["sh", "-c", _CURL], env=settings_now, capture_output=True, text=True, timeout=30)
    if done.returncode == 0 and '"accepted"' in done.stdout:
        click.echo("\nAny program can do this; one curl makes a job (this one was just sent):\n")
        click.echo(
            f"export MILEPOST_URL={place.url} MILEPOST_KEY={place.key}\n{_CURL}\n\n{done.stdout.strip()}"
        )
    else:
        click.echo(f"\nThe example with curl failed: {done.stdout}{done.stderr}", err=True)


def _wait_for_ctrl_c() -> None:
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        click.echo()
