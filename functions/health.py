"""/health: is the service up, and how are the jobs. Many may poll: answers are kept for a second."""

import os
import resource
import threading
import time
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from pydantic_core import from_json
from werkzeug.wrappers import Request, Response

from functions import addresses, callers, database
from functions.answers import answer

_STARTED = time.monotonic()


class Cache:
    """Answers of the last second, each for who asked. Who asks meanwhile waits for the same answer."""

    def __init__(
        self, kept_s: float = 1.0, size: int = 256, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._kept_s, self._size, self._clock = kept_s, size, clock
        self._lock = threading.Lock()
        # Until when each holds; None while it is being asked for.
        self._answers: dict[Hashable, tuple[Future[bytes], float | None]] = {}

    def get(self, key: Hashable, ask: Callable[[], bytes]) -> bytes:
        """The answer to `key`, kept or else asked for. Raises what `ask` raises, which is not kept."""
        with self._lock:
            found = self._answers.get(key)
            if found and (found[1] is None or found[1] > self._clock()):
                future, is_mine = found[0], False
            else:
                future, is_mine = Future[bytes](), True
                self._make_room()
                self._answers[key] = future, None
        if not is_mine:
            return future.result()
        try:
            given = ask()
        except BaseException as error:
            with self._lock:
                self._answers.pop(key, None)
            future.set_exception(error)
            raise
        with self._lock:
            self._answers[key] = future, self._clock() + self._kept_s
        future.set_result(given)
        return given

    def clear(self) -> None:
        with self._lock:
            self._answers.clear()

    def _make_room(self) -> None:
        now = self._clock()
        for key in [key for key, (_, until) in self._answers.items() if until is not None and until <= now]:
            del self._answers[key]
        while len(self._answers) >= self._size:
            del self._answers[next(iter(self._answers))]


answers = Cache()


def read(request: Request, rpc: str, args: Mapping[str, str] | None = None) -> bytes:
    """What the function of the database answers this caller, as of the last second.

    Which tenants the caller has is asked each time, so that a key that was revoked and a member who was
    removed get nothing of what is kept.
    """
    caller, given = callers.identify(request), dict(args or {})
    tenants = database.as_caller(caller, "list_tenants", {})
    key = (caller, tenants, rpc, tuple(given.items()))
    return answers.get(key, lambda: database.as_caller(caller, rpc, given))


def up(request: Request) -> Response:
    """GET /health: whether a database answers that fits. Needs no key and tells nothing else."""
    database.check_schema()
    return answer({"status": "ok"})


def jobs(request: Request) -> Response:
    """GET /health/jobs: Healthy, Warning or Critical, with counts and reasons."""
    return answer(read(request, "get_jobs_health"))


def loading_progress(request: Request) -> Response:
    """GET /health/loading-progress: how far every job is."""
    return answer(read(request, "get_loading_progress"))


def metrics(request: Request) -> Response:
    """GET /health/metrics: figures of the whole system, and of the instance that answers."""
    return answer({**from_json(read(request, "get_system_metrics")), "instance": _instance()})


def job(request: Request, job: str) -> Response:
    """GET /health/jobs/{job}: one job's health, with its error and explanation."""
    return answer(read(request, "get_job_health", {"job_id": addresses.job(job)}))


def _instance() -> dict[str, Any]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "memory_bytes": _memory_bytes(),
        "cpu_s": round(used.ru_utime + used.ru_stime, 3),
        "uptime_s": round(time.monotonic() - _STARTED, 3),
        "threads": threading.active_count(),
    }


def _memory_bytes() -> int | None:
    try:
        resident = Path("/proc/self/statm").read_text().split()[1]
    except OSError:  # no Linux: unknown
        return None
    return int(resident) * os.sysconf("SC_PAGE_SIZE")
