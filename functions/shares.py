"""Share links: who may control a job makes them, and whoever holds one may follow that job."""

import hashlib
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json
from werkzeug.wrappers import Request, Response

from functions import addresses, callers, database
from functions.answers import answer, kept
from functions.bodies import read_json
from functions.refusals import Invalid, NotFound
from milepost.models import NewShare

# Many may look at one link; what stands between them and the database may answer for this long. So much later
# may such a cache still show a link that was revoked.
MAX_AGE_S = 2


def create(request: Request, job: str) -> Response:
    """POST /v1/jobs/{job}/shares: a new link, with its token this once (201)."""
    caller = callers.identify(request)
    try:
        asked = NewShare.model_validate(read_json(request, may_be_empty=True).value)
    except ValidationError as error:
        raise Invalid.of(error) from None
    args = {"job_id": addresses.job(job), "expires_in_s": asked.expires_in_s}
    return answer(database.as_caller(caller, "share_job", args), 201)


def of_job(request: Request, job: str) -> Response:
    """GET /v1/jobs/{job}/shares: the links that hold, without their tokens."""
    caller = callers.identify(request)
    args = {"job_id": addresses.job(job), **addresses.query(addresses.Query, request)}
    return answer(database.as_caller(caller, "list_shares", args))


def revoke(request: Request, share_id: str) -> Response:
    """POST /v1/shares/{share_id}/revoke: ends a link."""
    caller = callers.identify(request)
    uuid = addresses.uuid_of(share_id)
    if uuid is None:
        raise NotFound(
            "share_not_found",
            "Expected the id of a share link that you can see; there is none.",
            "List them with GET /v1/jobs/{job}/shares.",
        )
    return answer(database.as_caller(caller, "revoke_share", {"share_id": uuid}))


def shared(request: Request, token: str) -> Response:
    """GET /v1/shared/{token}: the link's job, as a stranger may see it. Needs no key."""
    raw = read(token, addresses.query(addresses.Shared, request).get("job"))
    job = from_json(raw)
    return kept(request, answer(raw), etag=_etag(job), cache_control=f"public, max-age={MAX_AGE_S}")


def read(token: str, job: str | None) -> bytes:
    """The JSON of the job that this token opens; if `job` is named, only that one.

    Raises what the database refuses: one answer for what is unknown, expired, revoked or of another job.
    """
    return database.as_service("shared_job", {"token_hash": callers.sha256(token), "job": job})


def _etag(job: dict[str, Any]) -> str:
    # The time left differs at every look; to the reader it is the same while its first two digits are.
    eta = [
        None if job[name] is None else f"{job[name]:.2g}" for name in ("eta_ms", "eta_low_ms", "eta_high_ms")
    ]
    seen = [job[name] for name in ("version", "state", "liveness", "last_checkpoint_at", "eta_reason")]
    return hashlib.sha256(repr([seen, eta, job["expires_at"]]).encode()).hexdigest()[:24]
