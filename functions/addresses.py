"""What comes in an address: the job in a path, and the query parameters of each list.

The models describe the parameters in the OpenAPI document as well.
"""

from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Json,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import PydanticCustomError
from werkzeug.wrappers import Request

from functions.refusals import Invalid, NotFound
from milepost.models import ItemState, JobState, JsonObject, Liveness, Name, Outcome, Text, Timestamp, Uuid

T = TypeVar("T")


def _the_one(values: list[str]) -> str:
    if len(values) > 1:
        raise PydanticCustomError("repeated", "one value")
    return values[0]


def _each(values: list[str]) -> list[str]:
    return [part for value in values for part in value.split(",") if part]


One: TypeAlias = Annotated[T, BeforeValidator(_the_one)]
Many: TypeAlias = Annotated[list[T], Field(max_length=50), BeforeValidator(_each)]


class Query(BaseModel):
    """No parameters."""

    # Built at first use: a worker's cold start should not pay for lists that people read.
    model_config = ConfigDict(extra="forbid", defer_build=True)


class Page(Query):
    limit: One[Annotated[int, Field(ge=1, le=200)]] = 50
    """How many at most."""
    after: One[Annotated[Text, StringConstraints(max_length=2_000)]] | None = None
    """The `next` of the page before."""


class Jobs(Page):
    state: Many[JobState] | None = None
    """Jobs in one of these states."""
    kind: Many[Name] | None = None
    """Jobs of one of these kinds."""
    q: One[Text] | None = None
    """Jobs with this text in their key, name, kind or error."""
    metadata: One[Json[JsonObject]] | None = None
    """Jobs whose metadata contains this JSON object."""
    owner: One[Uuid] | None = None
    """Jobs of this user."""
    liveness: Many[Liveness] | None = None
    """Jobs that are so at the moment."""
    since: One[Timestamp] | None = None
    """Jobs created at this time or later."""
    until: One[Timestamp] | None = None
    """Jobs created before this time."""
    tenant: One[Uuid] | None = None
    """Jobs of this tenant, for members of several."""
    sort: One[Literal["newest", "finishing", "attention"]] | None = None
    """`newest` first unless said otherwise; `finishing` (least time left first) and `attention` (stuck
    first) list active jobs only, and a job may move between their pages."""


class Finished(Query):
    """Which finished jobs."""

    since: One[Timestamp] | None = None
    """Jobs that ended at this time or later."""
    until: One[Timestamp] | None = None
    """Jobs that ended before this time."""
    kind: Many[Name] | None = None
    """Jobs of one of these kinds."""
    state: Many[Outcome] | None = None
    """Jobs that ended so."""
    q: One[Text] | None = None
    """Jobs with this text in their key, name, kind or error."""


class History(Finished):
    by: One[Literal["hour", "day", "kind", "none"]] = "day"
    """What each group of figures is for; `none` asks for the whole only."""
    zone: One[Annotated[Text, StringConstraints(max_length=100)]] = "UTC"
    """The time zone whose hours and days are meant, such as Europe/Berlin."""


class FinishedJobs(Page, Finished):
    whole: One[bool] = False
    """Whether each job comes with its stages, workers, cursor and metadata."""


class Items(Page):
    state: Many[ItemState] | None = None
    """Items in one of these states."""
    stage: One[Name] | None = None
    """Items of this stage."""
    q: One[Text] | None = None
    """Items with this text in their key."""


class Events(Page):
    type: Many[Name] | None = None
    """Events of one of these types."""


class Audit(Page):
    job: One[Annotated[Text, StringConstraints(max_length=200)]] | None = None
    """What was done to this job: its key, or its uuid, also once it is gone."""
    action: Many[Name] | None = None
    """What was done: pause, cancel, create_key, ..."""


class Shared(Query):
    job: One[Annotated[Text, StringConstraints(max_length=200)]] | None = None
    """The key or uuid of the job that it should be; without it, whichever the link shows."""


class Badge(Query):
    share: One[Annotated[Text, StringConstraints(max_length=200)]] | None = None
    """The token of a share link of this job; then no key is needed."""


class Alerts(Page):
    status: One[Literal["open", "resolved"]] | None = None
    """Alerts that are open, or those that are over."""


class Stream(Query):
    job: One[Annotated[Text, StringConstraints(max_length=200)]] | None = None
    """The key or uuid of the only job to hear of."""


def query(model: type[Query], request: Request) -> dict[str, Any]:
    """The query's parameters as the database takes them; an empty one is none. Raises `Invalid`."""
    given = {name: values for name in request.args if any(values := request.args.getlist(name))}
    try:
        return model.model_validate(given).model_dump(exclude_none=True)
    except ValidationError as error:
        raise Invalid.of(error) from None


def job(name: str) -> str:
    """A job's key or uuid. Raises `NotFound` for what no job can be called."""
    try:
        return _name.validate_python(name)
    except ValidationError:
        raise NotFound(
            "job_not_found",
            "Expected the key or uuid of a job; no job can be called so.",
            "GET /v1/jobs lists them.",
        ) from None


def uuid_of(name: str) -> str | None:
    """The uuid, or None for what is none."""
    try:
        return _uuid.validate_python(name)
    except ValidationError:
        return None


_uuid: TypeAdapter[str] = TypeAdapter(Uuid, config=ConfigDict(defer_build=True))
_name: TypeAdapter[str] = TypeAdapter(Name, config=ConfigDict(defer_build=True))
