"""/v1/history: finished jobs, and what they have in common."""

from collections.abc import Callable

from werkzeug.wrappers import Request, Response

from functions import addresses, callers, database
from functions.answers import answer


def _of(rpc: str, query: type[addresses.Query]) -> Callable[[Request], Response]:
    def get(request: Request) -> Response:
        caller = callers.identify(request)
        args = addresses.query(query, request)
        if isinstance(caller, callers.UserCaller) and caller.tenant_id:
            args["tenant_id"] = caller.tenant_id
        return answer(database.as_caller(caller, rpc, args))

    return get


stats = _of("job_history_stats", addresses.History)
jobs = _of("list_finished_jobs", addresses.FinishedJobs)
