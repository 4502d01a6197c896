"""/v1/audit: who paused, canceled, retried, made keys."""

from werkzeug.wrappers import Request, Response

from functions import addresses, callers, database
from functions.answers import answer


def entries(request: Request) -> Response:
    """GET /v1/audit: one page, newest first."""
    caller = callers.identify(request)
    asked = addresses.query(addresses.Audit, request)
    if job := asked.pop("job", None):
        asked["job_id"] = job
    return answer(database.as_caller(caller, "list_audit", asked))
