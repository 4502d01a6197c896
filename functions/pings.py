"""/ping/{key}/{job}: one address to call at the start and the end of a shell or cron job."""

from werkzeug.wrappers import Request, Response

from functions import addresses, callers, database
from functions.answers import answer
from functions.bodies import take

_MESSAGE_CHARACTERS = 2_000


def done(request: Request, key: str, job: str) -> Response:
    """/ping/{key}/{job}: the job is done."""
    return _ping(request, key, job, "done")


def start(request: Request, key: str, job: str) -> Response:
    """/ping/{key}/{job}/start: the job has started."""
    return _ping(request, key, job, "start")


def fail(request: Request, key: str, job: str) -> Response:
    """/ping/{key}/{job}/fail: the job has failed."""
    return _ping(request, key, job, "fail")


def exit_status(request: Request, key: str, job: str, status: int) -> Response:
    """/ping/{key}/{job}/{exit status}: the job ended so; 0 is done, anything else failed."""
    return _ping(request, key, job, "fail" if status else "done", status)


def _ping(request: Request, key: str, job: str, signal: str, status: int | None = None) -> Response:
    # A body may be any output of the job; its beginning becomes the message.
    text = take(request)[: 4 * _MESSAGE_CHARACTERS].decode(errors="replace").replace("\0", "�")
    args = {
        "caller": callers.key_caller(key).as_json(),
        "job": addresses.job(job),
        "signal": signal,
        "exit_status": status,
        "message": text[:_MESSAGE_CHARACTERS] or None,
    }
    return answer(database.as_service("ping_job", args))
