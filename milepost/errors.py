"""What can go wrong, drawn as a tree.

    MilepostError
    ├── ConfigurationError      nothing was sent: a setting is missing or wrong
    ├── TransportError          no answer that can be understood: safe to try again
    ├── ApiError                an answer that says no: code, status, details, hint
    │   ├── NotAllowed          401, 403
    │   ├── JobNotFound         404
    │   ├── StateConflict       409
    │   ├── InvalidRequest      400, 413, 415, 422
    │   └── Unavailable         429, 5xx: safe to try again, after `retry_after_s`
    └── JobStopped              the loop is to end; raised by `advance()` and `track`
        ├── JobCanceled         somebody canceled the job
        └── JobSuperseded       a newer attempt has taken the job over

A class without a message of its own says its docstring.
"""

from typing import Any


class MilepostError(Exception):
    """Something went wrong in Milepost."""

    def __init__(self, message: str | None = None, hint: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").split("\n")[0]
        self.hint = hint
        super().__init__(self.message)


class ConfigurationError(MilepostError):
    """A setting is missing or wrong; nothing was sent."""


class TransportError(MilepostError):
    """The server gave no answer that can be understood."""


class ApiError(MilepostError):
    """The server refused.

    `code` is the stable word of the refusal, `status` the HTTP status, `details` facts for programs.
    """

    def __init__(
        self,
        message: str | None = None,
        hint: str | None = None,
        *,
        code: str = "unknown",
        status: int = 0,
        details: Any = None,  # noqa: ANN401 - whatever JSON the server says
    ) -> None:
        super().__init__(message, hint)
        self.code = code
        self.status = status
        self.details = details


class NotAllowed(ApiError):
    """The key is missing, unknown, revoked, or may not do this."""


class JobNotFound(ApiError):
    """There is no such job that this key may see."""


class StateConflict(ApiError):
    """The job's state does not permit this."""


class InvalidRequest(ApiError):
    """The request does not fit the contract."""


class Unavailable(ApiError):
    """The server is overloaded or away for a while; `retry_after_s` says how long, where it is known."""

    retry_after_s: float | None = None


class JobStopped(MilepostError):
    """The loop is to end."""


class JobCanceled(JobStopped):
    """The job was canceled."""


class JobSuperseded(JobStopped):
    """A newer attempt has taken this job over; nothing this one says counts any more."""
