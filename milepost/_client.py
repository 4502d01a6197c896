"""A small synchronous client of the HTTP API, used by the SDK's sender and by the command line."""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from milepost import _version, models
from milepost._words import dumps
from milepost.errors import (
    ApiError,
    InvalidRequest,
    JobNotFound,
    NotAllowed,
    StateConflict,
    TransportError,
    Unavailable,
)

Answer = TypeVar("Answer", bound=BaseModel)
Plain = TypeVar("Plain")

MAX_RETRY_AFTER_S = 300.0
# Longer than the functions wait for the database: they say better than a broken connection what is wrong.
TIMEOUT_S = 20.0
USER_AGENT = f"milepost-python/{_version.VERSION}"

_CLASSES: dict[int, type[ApiError]] = {
    400: InvalidRequest,
    401: NotAllowed,
    403: NotAllowed,
    404: JobNotFound,
    # What proxies say of a request that took too long, or came too early, is no word on what is in it.
    408: Unavailable,
    409: StateConflict,
    413: InvalidRequest,
    415: InvalidRequest,
    422: InvalidRequest,
    425: Unavailable,
    429: Unavailable,
}


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """Seconds until a Retry-After header's moment, at most five minutes.

    `value` is the header: seconds or an HTTP date. None for anything else.
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - now).total_seconds()
        except (TypeError, ValueError):  # no date, or one without its zone
            return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S) if math.isfinite(seconds) else None


def error_of(response: httpx.Response) -> ApiError:
    """The exception that an answer without success becomes."""
    status = response.status_code
    try:
        body = models.ErrorBody.model_validate_json(response.content)
    except ValidationError:
        # Something in between answered: a proxy, a platform, a wrong address.
        body = models.ErrorBody(
            code=f"http_{status}", message=f"The server answered {status} without a reason."
        )
    kind = _CLASSES.get(status, Unavailable if status >= 500 else ApiError)
    error = kind(body.message, body.hint, code=body.code, status=status, details=body.details)
    if isinstance(error, Unavailable):
        error.retry_after_s = retry_after_s(response.headers.get("retry-after"), datetime.now(UTC))
    return error


class Client:
    """Calls the API at `url` with `key` (a Milepost key or a user's JWT).

    Every method raises TransportError where no answer came, and an ApiError where the answer says no.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout_s: float = TIMEOUT_S,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._http = httpx.Client(
            base_url=url.rstrip("/"),
            headers={"Authorization": f"Bearer {key}", "User-Agent": USER_AGENT},
            timeout=timeout_s,
            transport=transport,
        )

    def close(self) -> None:
        self._http.close()

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        try:
            response = self._http.request(method, path, **arguments)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise TransportError(
                f"{self._http.base_url} gave no answer: {str(error) or type(error).__name__}.",
                "Check MILEPOST_URL and the network.",
            ) from error
        _version.heard(response.headers.get(_version.HEADER))
        return response

    def _read(self, answer: type[Answer], response: httpx.Response) -> Answer:
        if not response.is_success:
            raise error_of(response)
        try:
            return answer.model_validate_json(response.content)
        except ValidationError as error:
            raise TransportError(
                f"{response.url} gave an answer that is none of Milepost's.", "Check MILEPOST_URL."
            ) from error

    def _json(self, answer: type[Plain], method: str, path: str, **arguments: Any) -> Plain:  # noqa: ANN401
        response = self._send(method, path, **arguments)
        if not response.is_success:
            raise error_of(response)
        try:
            return TypeAdapter(answer).validate_json(response.content)
        except ValidationError as error:
            raise TransportError(
                f"{response.url} gave an answer that is none of Milepost's.", "Check MILEPOST_URL."
            ) from error

    def _ask(self, answer: type[Answer], method: str, path: str, **arguments: Any) -> Answer:  # noqa: ANN401
        return self._read(answer, self._send(method, path, **arguments))

    def create_job(self, fields: Mapping[str, Any]) -> models.Job:
        """Creates the job, or returns the one with that key. `fields` are those of `models.NewJob`."""
        return self._ask(models.Job, "POST", "/v1/jobs", json=dict(fields))

    def claim(self, kinds: Sequence[str] | None = None, worker: str | None = None) -> models.Job | None:
        """The next runnable job, now running, or None."""
        body = {"kinds": list(kinds) if kinds is not None else None, "worker": worker}
        body = {name: value for name, value in body.items() if value is not None}
        response = self._send("POST", "/v1/jobs/claim", json=body)
        return None if response.status_code == 204 else self._read(models.Job, response)

    def checkpoints(self, entries: Sequence[Mapping[str, Any]]) -> models.CheckpointsAnswer:
        """Posts checkpoints. Entries that were refused are in the answer's `errors`, also where all were."""
        body, headers = dumps(entries).encode(), {"Content-Type": "application/json"}
        response = self._send("POST", "/v1/checkpoints", content=body, headers=headers)
        if response.status_code != 422:
            return self._read(models.CheckpointsAnswer, response)
        try:
            answer = models.CheckpointsAnswer.model_validate_json(response.content)
        except ValidationError:
            raise error_of(response) from None
        if not answer.errors:  # no entry, or none that could be read
            raise error_of(response)
        return answer

    def jobs(self, **filters: str | int | None) -> models.JobList:
        """One page of jobs, newest first.

        Filters: state, kind, q, owner, liveness, since, until, limit, after.
        """
        return self._ask(models.JobList, "GET", "/v1/jobs", params=_given(filters))

    def job(self, job: str) -> models.Job:
        return self._ask(models.Job, "GET", _path(job))

    def items(self, job: str, after: str | None = None) -> models.ItemList:
        return self._ask(models.ItemList, "GET", _path(job, "items"), params=_after(after))

    def events(self, job: str, after: str | None = None) -> models.EventList:
        return self._ask(models.EventList, "GET", _path(job, "events"), params=_after(after))

    def finished_jobs(self, **filters: str | int | Sequence[str] | None) -> models.JobList:
        """One page of finished jobs, the last one to end first.

        Filters: since, until, kind, state, q, limit, after.
        """
        return self._ask(models.JobList, "GET", "/v1/history/jobs", params=_given(filters))

    def history(self, **filters: str | Sequence[str] | None) -> models.HistoryStats:
        """How finished jobs went. Filters: since, until, kind, state, q, by (hour, day, kind, none), zone."""
        return self._ask(models.HistoryStats, "GET", "/v1/history", params=_given(filters))

    def all_finished_jobs(self, **filters: str | Sequence[str] | None) -> Iterator[dict[str, Any]]:
        """Every finished job with all its fields, as the API gives them, the last one to end first.

        Reads page by page. Filters: since, until, kind, state, q.
        """
        yield from self._all("/v1/history/jobs", "jobs", whole="true", **filters)

    def all_of_job(self, job_id: str, what: str) -> Iterator[dict[str, Any]]:
        """Every one of a job's `events`, `checkpoints` or `items`, as the API gives them."""
        yield from self._all(_path(job_id, what), what)

    def _all(self, path: str, rows: str, **filters: str | Sequence[str] | None) -> Iterator[dict[str, Any]]:
        after: str | None = None
        while True:
            page = self._ask(
                models.AnyPage, "GET", path, params=_given({**filters, "limit": 200, "after": after})
            )
            yield from (page.model_extra or {}).get(rows, [])
            if page.next is None:
                return
            after = page.next

    def explain(self, job: str) -> models.Explanation:
        return self._ask(models.Explanation, "GET", _path(job, "explain"))

    def control(self, action: str, job: str, reason: str | None = None) -> models.Job:
        """Asks for `pause`, `resume`, `cancel` or `retry`; the answer is the job as it is then."""
        body = {} if reason is None else {"reason": reason}
        return self._ask(models.Job, "POST", _path(job, action), json=body)

    def set_priority(self, job: str, priority: int, reason: str | None = None) -> models.Job:
        """Moves a job forward (greater) or back in the queue; the answer is the job as it is then."""
        body = {"priority": priority} | ({} if reason is None else {"reason": reason})
        return self._ask(models.Job, "POST", _path(job, "priority"), json=body)

    def share(self, job: str, expires_in_s: int) -> models.Share:
        """Makes a link by which anybody may follow this job; its token is in this answer only."""
        return self._ask(models.Share, "POST", _path(job, "shares"), json={"expires_in_s": expires_in_s})

    def shares(self, job: str) -> models.ShareList:
        """The job's share links that hold, newest first, without their tokens."""
        return self._ask(models.ShareList, "GET", _path(job, "shares"))

    def revoke_share(self, share_id: str) -> models.RevokedShare:
        return self._ask(models.RevokedShare, "POST", f"/v1/shares/{quote(share_id, safe='')}/revoke")

    def alerts(self, status: str | None = None) -> dict[str, Any]:
        """`{"alerts": [...], "next"}`, newest first; `status` is open, resolved, or None for both."""
        return self._json(dict[str, Any], "GET", "/v1/alerts", params={"status": status} if status else {})

    def alert_rules(self) -> dict[str, Any]:
        """`{"rules": [...], "mutes": [...]}`"""
        return self._json(dict[str, Any], "GET", "/v1/alerts/rules")

    def set_alert_rule(self, rule: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The rule as it is then. `fields` are those of `models.AlertRule`."""
        return self._json(
            dict[str, Any], "POST", f"/v1/alerts/rules/{quote(rule, safe='')}", json=dict(fields)
        )

    def alert_channels(self) -> list[dict[str, Any]]:
        return self._json(list[dict[str, Any]], "GET", "/v1/alerts/channels")

    def add_alert_channel(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The channel; a webhook's `secret` is shown this once. `fields`: `models.AlertChannel`."""
        return self._json(dict[str, Any], "POST", "/v1/alerts/channels", json=dict(fields))

    def remove_alert_channel(self, channel_id: str) -> dict[str, Any]:
        path = f"/v1/alerts/channels/{quote(channel_id, safe='')}/remove"
        return self._json(dict[str, Any], "POST", path)

    def mute_alerts(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """What is muted until when. `fields` are those of `models.Mute`."""
        return self._json(dict[str, Any], "POST", "/v1/alerts/mute", json=dict(fields))


def _given(filters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in filters.items() if value is not None}


def _path(job: str, what: str | None = None) -> str:
    return f"/v1/jobs/{quote(job, safe='')}" + (f"/{what}" if what else "")


def _after(after: str | None) -> dict[str, str]:
    return {} if after is None else {"after": after}
