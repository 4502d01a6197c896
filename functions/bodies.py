"""Request bodies: taken from the connection within a limit, and read as strict JSON."""

import contextlib
import io
import json
import math
import sys
from typing import Any, NamedTuple

from werkzeug.wrappers import Request

from functions.refusals import Malformed, TooLarge, WrongMediaType

MAX_BYTES = 1024 * 1024

# What is read and thrown away of a body that nobody wants, so that its sender is ready to hear the answer.
_MAX_DISCARDED = 16 * 1024 * 1024


class Body(NamedTuple):
    """A JSON body: the bytes as they came, and what they say."""

    raw: bytes
    value: Any
    is_exact: bool = True
    """Whether `value` holds each number as it was written, and none had more digits than a float does."""


def read_json(request: Request, *, may_be_empty: bool = False) -> Body:
    """The request's JSON.

    Raises `WrongMediaType` for anything but plain JSON, `TooLarge` beyond 1 MiB, and `Malformed` for what is
    no JSON: also for a name that appears twice in an object, since readers disagree about which one counts.
    """
    raw = take(request) if may_be_empty else None
    if raw == b"":
        return Body(b"{}", {})
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise WrongMediaType(
            "unsupported_encoding",
            f"Expected a body without Content-Encoding, found {encoding[:40]!r}.",
            "Send the JSON uncompressed; it may have up to 1 MiB.",
        )
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if request.mimetype != "application/json" or charset not in ("utf-8", "utf8"):
        found = request.headers.get("Content-Type", "")[:80]
        raise WrongMediaType(
            "unsupported_media_type",
            f"Expected Content-Type: application/json in UTF-8, found {found!r}.",
            "Send the header Content-Type: application/json.",
        )
    raw = take(request) if raw is None else raw
    rounded: list[str] = []
    return Body(raw, _parse(raw, rounded), not rounded)


def take(request: Request) -> bytes:
    """The body's bytes, by what arrives and not by what is announced. Raises `TooLarge`, `Malformed`."""
    content, broken = bytearray(), False
    try:
        while len(content) <= MAX_BYTES and (chunk := request.stream.read(MAX_BYTES + 1 - len(content))):
            content += chunk
    except Exception:  # noqa: BLE001 - each server has its own for a body that breaks off or is framed wrongly
        broken = True
    discard(request)
    if len(content) > MAX_BYTES:
        raise TooLarge(
            "too_large",
            f"Expected a body of at most {MAX_BYTES:,} bytes, found more.",
            "Send fewer entries in each request.",
        )
    if broken or len(content) < (request.content_length or 0):
        raise Malformed("incomplete_body", "Expected the whole body, found less.", "Send it again.")
    return bytes(content)


def discard(request: Request) -> None:
    """Throws away what is left of the body, within reason.

    functions-framework reads the rest of every request into memory, however long, before it answers; so the
    request is left with an empty body.
    """
    left = _MAX_DISCARDED
    with contextlib.suppress(Exception):  # What a broken body leaves needs no reading.
        while left > 0 and (chunk := request.stream.read(min(left, 64 * 1024))):
            left -= len(chunk)
    request.stream = io.BytesIO()


def _parse(raw: bytes, rounded: list[str]) -> object:
    def number(text: str) -> float:
        value = _number(text)
        if len(text) > sys.float_info.dig and repr(value) != text:
            rounded.append(text)
        return value

    try:
        return json.loads(raw.decode(), object_pairs_hook=_object, parse_float=number)
    except UnicodeDecodeError as error:
        raise Malformed(
            "malformed_json",
            f"Expected text in UTF-8, found a byte that is none at offset {error.start}.",
            "Encode the JSON in UTF-8.",
        ) from None
    except json.JSONDecodeError as error:
        raise Malformed(
            "malformed_json",
            f"Expected JSON; at line {error.lineno}, column {error.colno}: {error.msg}.",
            "Send valid JSON.",
        ) from None
    except _RepeatedName as error:
        raise Malformed(
            "duplicate_name",
            f"Expected each name once in an object, found {json.dumps(error.name[:60])} twice.",
            "Send it once.",
        ) from None
    except RecursionError:
        raise Malformed(
            "malformed_json", "Expected JSON that is not nested so deep.", "Send flatter JSON."
        ) from None
    except ValueError:  # Python reads no number of more than 4,300 digits.
        raise Malformed(
            "malformed_json",
            "Expected numbers of a sensible length, found thousands of digits.",
            "Shorten them.",
        ) from None


def _number(text: str) -> float:
    exponent = text.lower().partition("e")[2]
    # Postgres keeps a number's decimals as written, and fails beyond 16,383 of them; the models refuse NaN.
    if len(text) > 1_000 or (exponent and int(exponent) < -400):
        return math.nan
    return float(text)


class _RepeatedName(Exception):
    def __init__(self, name: str) -> None:
        self.name = name


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        names = [name for name, _ in pairs]
        raise _RepeatedName(next(name for name in names if names.count(name) > 1))
    return value
