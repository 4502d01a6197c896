"""What comes in an address: the job in a path, and the query parameters of each list.

The models describe the parameters in the OpenAPI document as well.
"""

from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import PydanticCustomError
from werkzeug.wrappers import Request

from functions.refusals import Invalid, NotFound
from milepost.models import ItemState, JobState, Liveness, Name, Text, Timestamp, Uuid

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
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, defer_build=True)


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
    """Jobs with this text in their key or name."""
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


_name: TypeAdapter[str] = TypeAdapter(Name, config=ConfigDict(defer_build=True))
