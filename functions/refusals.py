"""The ways to say no. Each is an exception that carries its answer in the one error shape.

Refused
├── Malformed         400  the body is no JSON
├── Unauthorized      401  nobody, or nobody we know
├── NotFound          404
├── WrongMethod       405
├── TooLarge          413
├── WrongMediaType    415
├── Invalid           422  JSON, with values that cannot be
├── Elsewhere         426  served, by another protocol and at another address
├── Broken            500  our fault; the reason is in the journal, not in the answer
├── Unavailable       503  the database is away; try again
├── Outdated          503  the database's schema and these functions do not fit
├── Busy              503  this process has as many streams as it takes
└── FromDatabase           what the database itself refused, with its own status
"""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import ValidationError
from werkzeug.wrappers import Response

from functions import journal
from functions.answers import answer
from milepost.models import describe


class Refused(Exception):
    """The request is answered with a refusal."""

    status: ClassVar[int]

    def __init__(
        self,
        code: str,
        message: str,
        hint: str | None = None,
        *,
        details: object = None,
        headers: Mapping[str, str] | None = None,
        beside: Mapping[str, object] | None = None,
    ) -> None:
        """`code` is listed in ERRORS.md; `beside` are fields that the answer has next to the error's own."""
        super().__init__(message)
        self.code = code
        self.body = {"code": code, "message": message, "details": details, "hint": hint, **(beside or {})}
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """The answer."""
        return answer(self.body, self.status, self.headers)


class Malformed(Refused):
    status = 400


class Unauthorized(Refused):
    status = 401

    def response(self) -> Response:
        response = super().response()
        response.headers["WWW-Authenticate"] = 'Bearer realm="milepost"'
        return response


class NotFound(Refused):
    status = 404


class WrongMethod(Refused):
    status = 405


class TooLarge(Refused):
    status = 413


class WrongMediaType(Refused):
    status = 415


class Invalid(Refused):
    status = 422

    @classmethod
    def of(cls, error: ValidationError) -> "Invalid":
        """The first thing that is wrong, in words."""
        return cls(*describe(error))


class Elsewhere(Refused):
    status = 426


class Broken(Refused):
    status = 500

    def __init__(self, event: str, **facts: object) -> None:
        """`event` and `facts` go to the journal; the answer only says where to look."""
        journal.record("ERROR", event, **facts)
        super().__init__(
            "internal_error",
            "Something went wrong on our side; nothing of this request was kept.",
            "Try again; if it stays so, tell the operator the correlation id.",
            details={"correlation_id": journal.correlation_id.get()},
        )


class Unavailable(Refused):
    status = 503

    def __init__(self, event: str, *, retry_after_s: int = 2, **facts: object) -> None:
        """`event` and `facts` go to the journal."""
        journal.record("WARNING", event, **facts)
        super().__init__(
            "database_unavailable",
            "The database cannot be reached or is too busy at the moment.",
            "Send the same request again after the seconds in Retry-After; repeating is safe.",
            headers={"Retry-After": str(retry_after_s)},
        )


class Outdated(Refused):
    status = 503

    def __init__(self, functions: str, schema: str | None) -> None:
        """The versions of both; None for a schema that says none."""
        found = f"{schema}, which does not fit" if schema else "an older one, or none"
        journal.record("ERROR", "the schema does not fit", functions=functions, schema=schema)
        super().__init__(
            "schema_mismatch",
            f"Expected a database with Milepost's schema for functions {functions}; found {found}.",
            "Apply the newer version's migrations (`supabase db push`, or sql/complete-schema.sql), and "
            "deploy the functions of the same version.",
            headers={"Retry-After": "60"},
        )


class Busy(Refused):
    status = 503

    def __init__(self, streams: int) -> None:
        super().__init__(
            "too_many_streams",
            f"Expected at most {streams} streams of events at a time here; there are as many already.",
            "Come again after the seconds in Retry-After, or ask GET /v1/jobs now and then.",
            headers={"Retry-After": "10"},
        )


class FromDatabase(Refused):
    def __init__(self, status: int, body: Mapping[str, object], headers: Mapping[str, str]) -> None:
        """`body` is in the error shape already."""
        super().__init__(
            str(body["code"]),
            str(body.get("message")),
            None if body.get("hint") is None else str(body["hint"]),
            details=body.get("details"),
            headers=headers,
        )
        self.answered = status

    def response(self) -> Response:
        return answer(self.body, self.answered, self.headers)
