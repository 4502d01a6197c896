"""POST /v1/checkpoints: what workers say about their jobs."""

import json
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json, to_json
from werkzeug.wrappers import Request, Response

from functions import callers, database, tracing
from functions.answers import answer
from functions.bodies import Body, read_json
from functions.columns import columns
from functions.refusals import Invalid, TooLarge
from milepost.models import MAX_ENTRIES, Refusal, describe_entries, many_checkpoints

# From so many entries on, columns save the database more than they cost here.
MANY = 10


def post(request: Request) -> Response:
    """Records what is valid and names what is not, entry by entry."""
    caller = callers.identify(request)
    body = read_json(request)
    entries = _entries(body.value)
    if len(entries) > MAX_ENTRIES:
        raise TooLarge(
            "too_many_entries",
            f"Expected at most {MAX_ENTRIES:,} checkpoints in a request, found {len(entries):,}.",
            "Send them in several requests.",
        )
    refused = _refused(entries)
    if len(refused) == len(entries):
        raise _nothing_valid([], refused)

    tracing.link(
        entry["traceparent"]
        for index, entry in enumerate(entries)
        if index not in refused and entry.get("traceparent")
    )
    who = json.dumps(caller.as_json()).encode()
    answered = database.as_service("record_checkpoints", _call(who, body, entries, refused))
    said = from_json(answered)
    errors = sorted([*_errors(refused), *said["errors"]], key=lambda error: error["index"])
    if not said["results"]:
        raise _nothing_valid(said["errors"], refused)
    return answer({**said, "errors": errors} if refused else answered)


def _entries(value: object) -> list[Any]:
    if isinstance(value, dict) and "checkpoints" in value:
        if unknown := sorted(value.keys() - {"checkpoints"}):
            raise _invalid(
                Refusal(
                    "unknown_field",
                    f"{unknown[0][:60]}: no field of this name is known beside checkpoints.",
                    "Remove it, or put it into each checkpoint it is meant for.",
                )
            )
        value = value["checkpoints"]
        if not isinstance(value, list):
            raise _invalid(
                Refusal("wrong_type", "checkpoints: expected an array, found none.", "Send an array.")
            )
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        raise _invalid(
            Refusal(
                "wrong_type",
                'Expected a checkpoint, an array of them, or {"checkpoints": [...]}; found neither.',
                'Send for example {"job": "nightly-import", "items_completed": 1}.',
            )
        )
    if not value:
        raise _invalid(Refusal("no_entries", "Expected at least one checkpoint, found none.", "Send one."))
    return value


def _refused(entries: list[Any]) -> dict[int, Refusal]:
    try:
        many_checkpoints.validate_python(entries)
    except ValidationError as error:
        return describe_entries(error)
    return {}


def _call(who: bytes, body: Body, entries: list[Any], refused: dict[int, Refusal]) -> bytes:
    """The database call's body: of a few checkpoints the request's own bytes, where all of it is valid."""
    if len(entries) >= MANY and body.is_exact:
        valid = [index for index in range(len(entries)) if index not in refused]
        indexes = b',"indexes":' + to_json(valid) if refused else b""
        return (
            b'{"caller":'
            + who
            + b',"columns":'
            + columns([entries[index] for index in valid])
            + indexes
            + b"}"
        )
    if refused:
        valid = [index for index in range(len(entries)) if index not in refused]
        rest = {"checkpoints": [entries[index] for index in valid], "indexes": valid}
        return b'{"caller":' + who + b"," + json.dumps(rest).encode()[1:]
    if isinstance(body.value, list):
        return b'{"caller":' + who + b',"checkpoints":' + body.raw + b"}"
    if "checkpoints" in body.value:
        return b'{"caller":' + who + b"," + body.raw.lstrip()[1:]
    return b'{"caller":' + who + b',"checkpoints":[' + body.raw + b"]}"


def _errors(refused: dict[int, Refusal]) -> list[dict[str, Any]]:
    return [{"index": index, **refusal._asdict()} for index, refusal in refused.items()]


def _invalid(refusal: Refusal) -> Invalid:
    return Invalid(*refusal, beside={"results": [], "errors": []})


def _nothing_valid(errors: list[dict[str, Any]], refused: dict[int, Refusal]) -> Invalid:
    """422: a success's fields beside the first entry's error, so that one checkpoint reads like any error."""
    errors = sorted([*_errors(refused), *errors], key=lambda error: error["index"])
    first = errors[0]
    return Invalid(
        first["code"], first["message"], first.get("hint"), beside={"results": [], "errors": errors}
    )
