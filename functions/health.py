"""/health: is the service up, and how are the jobs."""

from collections.abc import Callable

from werkzeug.wrappers import Request, Response

from functions import addresses, callers, database
from functions.answers import answer


def up(request: Request) -> Response:
    """GET /health: whether the database answers. Needs no key and tells nothing else."""
    database.as_service("ping", {})
    return answer({"status": "ok"})


def _of(rpc: str) -> Callable[[Request], Response]:
    def get(request: Request) -> Response:
        return answer(database.as_caller(callers.identify(request), rpc, {}))

    return get


jobs = _of("get_jobs_health")
loading_progress = _of("get_loading_progress")
metrics = _of("get_system_metrics")


def job(request: Request, job: str) -> Response:
    """GET /health/jobs/{job}: one job's health, with its error and explanation."""
    caller = callers.identify(request)
    return answer(database.as_caller(caller, "get_job_health", {"job_id": addresses.job(job)}))
