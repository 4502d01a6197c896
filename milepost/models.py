"""The wire contract as models: what clients may send, and what the API answers.

Requests are strict: an unknown field, a text or a boolean where a number belongs, NaN, and anything the
database could not store are refused. Values are checked and left as they came (timestamps stay text), so a
body that passed can be handed on unchanged. Answers tolerate fields this version does not know.

`describe` turns a refusal into words: expected, found, where, and what to do.
"""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import ErrorDetails, PydanticCustomError, to_json

MAX_COUNT = 2**63 - 1
MAX_MS = 10**12  # 31 years; what an interval of the database takes without overflow
MAX_JSON_BYTES = 16 * 1024
MAX_JSON_DEPTH = 32
MAX_ITEM_KEY_BYTES = 1_500
MAX_ENTRIES = 1_000
MAX_STAGES = 100

JobState: TypeAlias = Literal[
    "pending",
    "running",
    "pausing",
    "paused",
    "completing",
    "completed",
    "canceling",
    "canceled",
    "failed",
    "retrying",
]
WorkerState: TypeAlias = Literal["running", "paused", "completing", "completed", "canceled", "failed"]
StageState: TypeAlias = Literal["pending", "running", "completed", "failed", "skipped", "canceled"]
ItemState: TypeAlias = Literal["pending", "processing", "completed", "failed", "skipped", "canceled"]
Directive: TypeAlias = Literal["continue", "pause", "cancel", "stop"]
Liveness: TypeAlias = Literal["on_time", "late", "stalled", "lost"]
Outcome: TypeAlias = Literal["completed", "failed", "canceled"]
Health: TypeAlias = Literal["excellent", "good", "fair", "poor"]
EtaReason: TypeAlias = Literal[
    "no_total", "no_progress", "paused", "rate_limited", "finished", "not_started", "stalled"
]

# ---------------------------------------------------------------------------------------------- values

_RFC_3339 = (
    r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?"
    r"([Zz]|[+-](0\d|1[0-5]):[0-5]\d)$"
)

# Without control characters; spelled so that every reader of the OpenAPI document can read it.
_ONE_LINE = r"^[^\x00-\x1f\x7f-\x9f]+$"

_TRACEPARENT = r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"


def _check_moment(text: str) -> str:
    try:
        datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise PydanticCustomError("no_such_time", "no such moment in the years 1 to 9999") from None
    return text


def _check_traceparent(text: str) -> str:
    version, trace_id, span_id, _ = text.split("-")
    # https://www.w3.org/TR/trace-context/#traceparent-header
    if version == "ff" or not trace_id.strip("0") or not span_id.strip("0"):
        raise PydanticCustomError("no_traceparent", "a traceparent with a trace and a span in it")
    return text


def _check_no_nul(text: str) -> str:
    if "\0" in text:
        raise PydanticCustomError("nul_character", "text without the character U+0000")
    return text


def _check_key_bytes(key: str) -> str:
    # An index entry of Postgres holds 2,704 bytes; the stage's name and the job's id need theirs.
    size = len(key.encode("utf-8", "surrogatepass"))
    if size > MAX_ITEM_KEY_BYTES:
        raise PydanticCustomError(
            "key_too_large",
            "a key of at most {limit} bytes of UTF-8",
            {"limit": MAX_ITEM_KEY_BYTES, "size": size},
        )
    return key


def _depth(value: object) -> int:
    """How deep lists and objects are nested; a plain value is 0."""
    # Not recursive: the input may be hostile.
    deepest, pending = 0, [(value, 1)]
    while pending:
        node, level = pending.pop()
        if isinstance(node, dict | list):
            deepest = max(deepest, level)
            children: Iterable[object] = node.values() if isinstance(node, dict) else node
            pending.extend((child, level + 1) for child in children)
    return deepest


_MAX_DIGITS = 4_300  # sys.int_info.default_max_str_digits
_MANY_DIGITS = re.compile(rb"\d{%d}" % (_MAX_DIGITS + 1))


def _check_json(value: object) -> object:
    try:
        text = to_json(value, inf_nan_mode="constants")
        # Whether these are numbers, json tells; it takes four times as long. It writes no longer ones either.
        if b"NaN" in text or b"Infinity" in text or (len(text) > _MAX_DIGITS and _MANY_DIGITS.search(text)):
            json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise PydanticCustomError("not_json", "JSON (no NaN, no infinity, complete characters)") from None
    size = len(text)
    if size > MAX_JSON_BYTES:
        raise PydanticCustomError(
            "json_too_large", "at most {limit} bytes of JSON", {"limit": MAX_JSON_BYTES, "size": size}
        )
    # An even number of backslashes before it makes it the text "\u0000", which is harmless.
    if b"\\u0000" in text and re.search(rb"(?<!\\)(\\\\)*\\u0000", text):
        raise PydanticCustomError("nul_character", "text without the character U+0000")
    if text.count(b"[") + text.count(b"{") > MAX_JSON_DEPTH and _depth(value) > MAX_JSON_DEPTH:
        raise PydanticCustomError(
            "json_too_deep", "JSON nested at most {limit} deep", {"limit": MAX_JSON_DEPTH}
        )
    return value


Count: TypeAlias = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Milliseconds: TypeAlias = Annotated[float, Field(ge=0, le=MAX_MS, allow_inf_nan=False)]
WholeMilliseconds: TypeAlias = Annotated[int, Field(ge=1, le=MAX_MS)]
Percent: TypeAlias = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Weight: TypeAlias = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
Name: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_ONE_LINE)]
ItemKey: TypeAlias = Annotated[
    str,
    StringConstraints(min_length=1, max_length=1_000, pattern=_ONE_LINE),
    AfterValidator(_check_key_bytes),
]
Text: TypeAlias = Annotated[str, StringConstraints(max_length=2_000), AfterValidator(_check_no_nul)]
ErrorText: TypeAlias = Annotated[str, StringConstraints(max_length=8_000), AfterValidator(_check_no_nul)]
Uuid: TypeAlias = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$"),
    WithJsonSchema({"type": "string", "format": "uuid"}),
]
Timestamp: TypeAlias = Annotated[
    str,
    StringConstraints(pattern=_RFC_3339),
    AfterValidator(_check_moment),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Traceparent: TypeAlias = Annotated[
    str,
    StringConstraints(pattern=_TRACEPARENT),
    AfterValidator(_check_traceparent),
]
JsonObject: TypeAlias = Annotated[dict[str, Any], AfterValidator(_check_json)]
AnyJson: TypeAlias = Annotated[Any, AfterValidator(_check_json)]


# -------------------------------------------------------------------------------------------- requests


class _Request(BaseModel):
    # Built at first use, so that nobody waits for what is not sent or asked.
    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)


class Batch(_Request):
    """What the worker did since its last checkpoint; from it a better batch size is suggested."""

    items: Count | None = None
    """Items in the batch."""
    duration_ms: Milliseconds | None = None
    """How long the batch took."""
    bytes: Count | None = None
    """Bytes in the batch."""


class StageReport(_Request):
    """What this worker says about one stage. Counts are absolute for this worker and stage."""

    name: Name
    """Names the stage within its job."""
    items_total: Count | None = None
    """Items in the whole stage; null while unknown."""
    items_completed: Count = 0
    """Items this worker has completed in the stage, in total."""
    items_failed: Count = 0
    """Items this worker has given up in the stage, in total."""
    items_skipped: Count = 0
    """Items this worker did not need to process, in total."""
    items_canceled: Count = 0
    """Items this worker canceled, in total."""
    bytes_processed: Count = 0
    """Bytes this worker has processed in the stage, in total."""
    weight: Weight = 1
    """The stage's share of the job's percent, relative to the other stages."""
    state: StageState | None = None
    """The stage's state as this worker sees it."""


class ItemReport(_Request):
    """One item that is tracked by name."""

    key: ItemKey
    """Names the item within its stage or job."""
    state: ItemState
    """The item's state."""
    stage: Name | None = None
    """The stage it belongs to; without one, the checkpoint's only stage, or the job."""
    percent: Percent | None = None
    """How far the item itself is, 0 to 100."""
    duration_ms: Milliseconds | None = None
    """How long the item took."""
    payload: JsonObject | None = None
    """Anything worth keeping beside the item: a JSON object of at most 16 KiB."""
    error: ErrorText | None = None
    """Why the item failed."""


def _stage_shape(value: object) -> str:
    return "many" if isinstance(value, list) else "one"


Stages: TypeAlias = Annotated[
    Annotated[StageReport, Tag("one")]
    | Annotated[list[StageReport], Tag("many"), Field(max_length=MAX_STAGES)],
    Discriminator(_stage_shape),
]


class Checkpoint(_Request):
    """What one worker says about its job at one moment.

    Only `job` is needed; what is left out keeps its value.
    """

    job: Name
    """Your own key for the job, or the uuid of a job that exists. A new key creates the job."""
    kind: Name | None = None
    """Groups runs of the same thing, so that the next run's finish time can be told from earlier ones."""
    name: Name | None = None
    """A title for people."""
    unit: Name | None = None
    """What is counted, for example `rows`."""
    worker: Name = "main"
    """The lane of the job that reports: a process, a shard or a host."""
    attempt: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    """The try at the job that this belongs to; without it, the current one."""
    seq: Count | None = None
    """Orders the checkpoints of one worker and attempt; without it, they are ordered by arrival."""
    at: Timestamp | None = None
    """When this was so by the worker's clock. It only spaces the entries of one request."""
    state: WorkerState | None = None
    """The state this worker causes or acknowledges."""
    reason: Text | None = None
    """Why the state changed; for `failed`, the error."""
    message: Text | None = None
    """A line for people about what is being done now."""
    items_total: Count | None = None
    """Items in the whole job; null while unknown."""
    worker_items_total: Count | None = None
    """Items in this worker's share, when it knows no more than that."""
    items_completed: Count = 0
    """Items this worker has completed, in total."""
    items_failed: Count = 0
    """Items this worker has given up, in total."""
    items_skipped: Count = 0
    """Items this worker did not need to process, in total."""
    items_canceled: Count = 0
    """Items this worker canceled, in total."""
    bytes_processed: Count = 0
    """Bytes this worker has processed, in total."""
    batch: Batch | None = None
    """What was done since the last checkpoint."""
    stage: Stages | None = None
    """The stage this worker is in, or an array of stages."""
    items: list[ItemReport] | None = None
    """Items whose state changed."""
    cursor: AnyJson = None
    """From where this worker could resume: any JSON of at most 16 KiB."""
    rate_limited_until: Timestamp | None = None
    """Until when the worker has to wait for a rate limit; null when it need not."""
    processing_deadline_ms: WholeMilliseconds | None = None
    """How long the job may take."""
    metadata: JsonObject | None = None
    """Anything worth keeping beside the job: a JSON object of at most 16 KiB."""
    traceparent: Traceparent | None = None
    """The span of the worker's that this belongs to, as W3C Trace Context writes it; kept with it."""


class Checkpoints(_Request):
    """Several checkpoints in one request."""

    checkpoints: list[Checkpoint]
    """At most 1,000 entries."""


class NewStage(_Request):
    """A stage that is known before the job starts."""

    name: Name
    """Names the stage within its job."""
    items_total: Count | None = None
    """Items in the stage; null while unknown."""
    weight: Weight = 1
    """The stage's share of the job's percent, relative to the other stages."""


class NewJob(_Request):
    """A job to create; or, where its key exists, to return."""

    job: Name
    """Your own key for the job, unique in the tenant."""
    kind: Name | None = None
    """Groups runs of the same thing, so that the next run's finish time can be told from earlier ones."""
    name: Name | None = None
    """A title for people."""
    unit: Name | None = None
    """What is counted, for example `rows`."""
    items_total: Count | None = None
    """Items in the whole job; null while unknown."""
    priority: Annotated[int, Field(ge=-32_768, le=32_767)] = 0
    """Claims take the highest first."""
    max_attempts: Annotated[int, Field(ge=1, le=1_000)] = 3
    """How often the job is tried before it fails."""
    run_after: Timestamp | None = None
    """Not to be claimed before this moment."""
    owner_id: Uuid | None = None
    """The user it is done for."""
    stages: Annotated[list[NewStage], Field(max_length=MAX_STAGES)] | None = None
    """The job's stages in their order."""
    metadata: JsonObject | None = None
    """Anything worth keeping beside the job: a JSON object of at most 16 KiB."""
    stall_after_ms: WholeMilliseconds | None = None
    """Silence longer than this is a stall; without it, the threshold is learnt from the job's own rhythm."""
    processing_deadline_ms: WholeMilliseconds | None = None
    """How long the job may take."""
    retry_backoff_ms: WholeMilliseconds | None = None
    """The wait before attempt 2 (10,000 without it); doubled for each further one."""
    workers_expected: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """How many workers must say so before the job is completed."""
    start: bool = True
    """True starts it now; false leaves it `pending` for a claim."""


class Claim(_Request):
    """Asks for the next runnable job."""

    kinds: Annotated[list[Name], Field(max_length=100)] | None = None
    """The kinds this worker can do; without it, any."""
    worker: Name | None = None
    """The lane that will report."""


class Control(_Request):
    """Pauses, resumes, cancels or retries a job."""

    reason: Text | None = None
    """Why, for the people who look at the job."""


class Priority(_Request):
    """Moves a job forward or back in the queue."""

    priority: Annotated[int, Field(ge=-32_768, le=32_767)]
    """Claims take the highest first."""
    reason: Text | None = None
    """Why, for the people who look at the job."""


class NewShare(_Request):
    """Makes a link by which anybody may follow one job."""

    expires_in_s: Annotated[int, Field(ge=60, le=366 * 86_400)] = 7 * 86_400
    """How long it holds, in seconds: a minute to 366 days."""


class AlertRule(_Request):
    """Changes an alert rule; what is left out is as by default."""

    is_on: bool = True
    """Whether it is watched at all."""
    threshold: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """More than this is wrong; in the rule's unit."""
    window_s: Annotated[int, Field(ge=60, le=2_592_000)] | None = None
    """How far back is looked."""
    for_s: Annotated[int, Field(ge=0, le=86_400)] | None = None
    """How long it has to be so before anybody is told."""


ClockTime: TypeAlias = Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class AlertChannel(_Request):
    """Where alerts go."""

    type: Literal["webhook", "slack", "email"]
    """How it is told."""
    name: Name
    """What people call it."""
    address: Annotated[Text, StringConstraints(min_length=1)]
    """A URL; for `email` up to 20 addresses with commas between them."""
    quiet_from: ClockTime | None = None
    """From then until `quiet_until` nothing is sent, for example `22:00`."""
    quiet_until: ClockTime | None = None
    """Then what was held back is sent, as it is by then."""
    time_zone: Name | None = None
    """The clock of the quiet hours, for example `Europe/Berlin`; UTC without it."""


class Mute(_Request):
    """What nobody is told of for a while; without rule, kind and job, anything."""

    until: Timestamp
    """Until when; a time that is past ends the mute of the same rule, kind and job."""
    rule: Name | None = None
    """Alerts of this rule."""
    kind: Name | None = None
    """Alerts of this kind."""
    job_id: Name | None = None
    """Alerts of this job: its key or uuid."""
    reason: Text | None = None
    """Why, for the people who look at it."""


_AT_FIRST_USE = ConfigDict(defer_build=True)
one_checkpoint: TypeAdapter[Checkpoint] = TypeAdapter(Checkpoint)
many_checkpoints: TypeAdapter[list[Checkpoint]] = TypeAdapter(list[Checkpoint], config=_AT_FIRST_USE)


# --------------------------------------------------------------------------------------------- answers

if TYPE_CHECKING:
    from milepost.answers import *  # noqa: F403
else:

    def __getattr__(name: str) -> object:
        """The answers, which have a file of their own: a cold function should not pay for them."""
        if name.startswith("_"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from milepost import answers

        return getattr(answers, name)


# -------------------------------------------------------------------------------------------- refusals


class Refusal(NamedTuple):
    """A refusal in words: a stable code, what was expected and found where, and what to do."""

    code: str
    message: str
    hint: str


_TYPES = {  # pydantic's name of a type error: what was expected, in words
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "string_type": "text",
    "string_unicode": "text of complete characters",
    "bool_type": "true or false",
    "dict_type": "a JSON object",
    "model_type": "a JSON object",
    "model_attributes_type": "a JSON object",
    "list_type": "an array",
}


def _found(value: object) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"an array of {len(value)}"
    try:
        text = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode()
    except (TypeError, ValueError):
        return f"a {type(value).__name__} that cannot be shown"
    kind = {str: "the text ", bool: "", type(None): ""}.get(type(value), "the number ")
    return kind + (text if len(text) <= 60 else text[:57] + "...")


def _where(loc: tuple[int | str, ...]) -> str:
    path = ""
    for part in loc:
        if isinstance(part, int):
            path += f"[{part}]"
        # Of a stage that may be one or many, the names of the two alternatives are no part of the path.
        elif not (part in ("one", "many") and path.endswith("stage")):
            path += f".{part}" if path else part
    return path or "here"


def _refusal(error: ErrorDetails, loc: tuple[int | str, ...]) -> Refusal:
    kind, ctx, where, found = error["type"], error.get("ctx", {}), _where(loc), _found(error["input"])

    def refusal(code: str, expected: str, hint: str, what: str = found) -> Refusal:
        return Refusal(code, f"{where}: expected {expected}, found {what}.", hint)

    if kind == "json_invalid":
        # The whole body has no name.
        expected = f"{where}: expected JSON" if loc else "Expected JSON"
        return Refusal(
            "malformed_json", f"{expected}: {ctx.get('error', 'it cannot be read')}.", "Send valid JSON."
        )
    if kind == "missing":
        return Refusal("missing_field", f"{where}: expected a value, found none.", f"Send {where}.")
    if kind == "extra_forbidden":
        return Refusal(
            "unknown_field",
            f"{where}: no field of this name is known here.",
            "Remove it, or correct its name; GET /openapi.json lists the fields.",
        )
    if kind in _TYPES:
        hint = (
            f"Send {_TYPES[kind]} (numbers without quotes)."
            if "number" in _TYPES[kind]
            else f"Send {_TYPES[kind]}."
        )
        return refusal("wrong_type", _TYPES[kind], hint)
    if kind == "finite_number":
        return refusal("out_of_range", "a finite number", "Leave the field out where the value is not known.")
    for limit, word in (("ge", "at least"), ("gt", "more than"), ("le", "at most"), ("lt", "less than")):
        if limit in ctx and "length" not in kind:
            return refusal("out_of_range", f"{word} {ctx[limit]}", "Send a value within the limit.")
    if kind in ("string_too_long", "too_long"):
        unit = "characters" if kind.startswith("string") else "entries"
        size = f"{len(error['input'])} {unit}"
        return refusal("too_long", f"at most {ctx['max_length']} {unit}", "Shorten it.", size)
    if kind == "string_too_short":
        return refusal(
            "too_short", f"at least {ctx['min_length']} character", "Send a text, or leave the field out."
        )
    if kind == "literal_error":
        return refusal("invalid_value", f"one of {ctx['expected']}", "Send one of these.")
    if (kind == "string_pattern_mismatch" and ctx.get("pattern") == _RFC_3339) or kind == "no_such_time":
        return refusal(
            "invalid_timestamp",
            "an RFC 3339 time with its zone",
            'Send for example "2026-11-22T01:02:03.123Z".',
        )
    if kind == "string_pattern_mismatch" and ctx.get("pattern") == _ONE_LINE:
        return refusal(
            "invalid_value", "text without control characters", "Remove line breaks and control characters."
        )
    if (kind == "string_pattern_mismatch" and ctx.get("pattern") == _TRACEPARENT) or kind == "no_traceparent":
        return refusal(
            "invalid_value",
            "a traceparent of W3C Trace Context",
            'Send for example "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".',
        )
    if kind == "string_pattern_mismatch":
        return refusal("invalid_value", "a uuid", "Send the id as the API gave it.")
    if kind == "json_too_large":
        return refusal(
            "too_long",
            error["msg"],
            "Keep large data elsewhere and send a reference.",
            f"{ctx['size']} bytes",
        )
    if kind in ("json_too_deep", "not_json", "nul_character"):
        return refusal("invalid_value", error["msg"], "Send plain JSON values that a database can store.")
    return refusal("invalid_value", error["msg"], "See GET /openapi.json for what is accepted.")


def describe(error: ValidationError) -> Refusal:
    """The first thing that is wrong, in words."""
    first = error.errors(include_url=False)[0]
    return _refusal(first, first["loc"])


def describe_entries(error: ValidationError) -> dict[int, Refusal]:
    """Of a refused list: the first thing that is wrong with each refused entry, by its index.

    Empty where the whole body is refused (no JSON, or no list); then `describe` says why.
    """
    refusals: dict[int, Refusal] = {}
    for detail in error.errors(include_url=False):
        match detail["loc"]:
            case (int(index), *path) if index not in refusals:
                refusals[index] = _refusal(detail, tuple(path))
    return refusals
