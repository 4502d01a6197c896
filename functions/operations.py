"""GET /v1/operations/{job}: the job as a long-running operation (https://google.aip.dev/151)."""

from typing import Any

from pydantic_core import from_json
from werkzeug.wrappers import Request, Response

from functions import addresses, callers, database
from functions.answers import answer

_STRUCT = "type.googleapis.com/google.protobuf.Struct"
_CANCELLED, _UNKNOWN = 1, 2  # google.rpc.Code


def one(request: Request, job: str) -> Response:
    """The job as a google.longrunning.Operation."""
    caller = callers.identify(request)
    return answer(
        operation(from_json(database.as_caller(caller, "get_job_progress", {"job_id": addresses.job(job)})))
    )


def operation(job: dict[str, Any]) -> dict[str, Any]:
    """The operation that this job is: done once its state is final, then with a response or an error."""
    progress = {"@type": _STRUCT, "value": job}
    view: dict[str, Any] = {"name": f"operations/{job['job_id']}", "metadata": progress, "done": False}
    match job["state"]:
        case "completed":
            view |= {"done": True, "response": progress}
        case "canceled":
            view |= {"done": True, "error": _error(_CANCELLED, job, "The job was canceled.")}
        case "failed":
            view |= {"done": True, "error": _error(_UNKNOWN, job, "The job failed.")}
    return view


def _error(code: int, job: dict[str, Any], otherwise: str) -> dict[str, Any]:
    return {"code": code, "message": job.get("error") or job.get("state_reason") or otherwise, "details": []}
