"""/v1/jobs: creating, claiming, listing, reading and controlling jobs."""

import json
from collections.abc import Callable
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from werkzeug.wrappers import Request, Response

from functions import addresses, callers, database
from functions.answers import answer, nothing
from functions.bodies import read_json
from functions.refusals import Invalid
from milepost.models import Claim, Control, NewJob, Priority

Model = TypeVar("Model", bound=BaseModel)


def create(request: Request) -> Response:
    """POST /v1/jobs: a new job (201), or the one that has this key (200)."""
    caller = callers.identify(request)
    body = read_json(request)
    _check(NewJob, body.value)
    who = json.dumps(caller.as_json()).encode()
    made = from_json(database.as_service("create_job", b'{"caller":' + who + b',"job":' + body.raw + b"}"))
    job = made["job"]
    if not made["created"]:
        return answer(job)
    return answer(job, 201, {"Location": f"/v1/jobs/{job['job_id']}"})


def claim(request: Request) -> Response:
    """POST /v1/jobs/claim: the next runnable job, or 204."""
    caller = callers.identify(request)
    wanted = _check(Claim, read_json(request, may_be_empty=True).value)
    claimed = database.as_service("claim_job", {"caller": caller.as_json(), **wanted.model_dump()})
    return nothing() if claimed == b"null" else answer(claimed)


def search(request: Request) -> Response:
    """GET /v1/jobs: one page of jobs, newest first unless sorted otherwise."""
    caller = callers.identify(request)
    return answer(database.as_caller(caller, "search_jobs", addresses.query(addresses.Jobs, request)))


def one(request: Request, job: str) -> Response:
    """GET /v1/jobs/{job}: the job with its progress."""
    return _read(request, "get_job_progress", job)


def items(request: Request, job: str) -> Response:
    """GET /v1/jobs/{job}/items."""
    return _read(request, "list_items", job, addresses.Items)


def checkpoints(request: Request, job: str) -> Response:
    """GET /v1/jobs/{job}/checkpoints."""
    return _read(request, "list_checkpoints", job, addresses.Page)


def events(request: Request, job: str) -> Response:
    """GET /v1/jobs/{job}/events."""
    return _read(request, "list_events", job, addresses.Events)


def explain(request: Request, job: str) -> Response:
    """GET /v1/jobs/{job}/explain: why it is stalled, slow, waiting or without a finish time."""
    return _read(request, "explain_job", job)


def control(rpc: str, model: type[BaseModel] = Control) -> Callable[..., Response]:
    """The function that serves POST /v1/jobs/{job}/<control> by this RPC."""

    def post(request: Request, job: str) -> Response:
        caller = callers.identify(request)
        asked = _check(model, read_json(request, may_be_empty=True).value)
        args = {"job_id": addresses.job(job), **asked.model_dump(exclude_none=True)}
        return answer(database.as_caller(caller, rpc, args))

    return post


pause = control("pause_job")
resume = control("resume_job")
cancel = control("cancel_job")
retry = control("retry_job")
set_priority = control("set_job_priority", Priority)


def _read(request: Request, rpc: str, job: str, query: type[addresses.Query] = addresses.Query) -> Response:
    caller = callers.identify(request)
    args = {"job_id": addresses.job(job), **addresses.query(query, request)}
    return answer(database.as_caller(caller, rpc, args))


def _check(model: type[Model], value: object) -> Model:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise Invalid.of(error) from None
