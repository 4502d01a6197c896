"""Answers: JSON in UTF-8, and nothing that a cache may keep unless it is said."""

import json
from collections.abc import Mapping

from werkzeug.wrappers import Request, Response

JSON_TYPE = "application/json; charset=utf-8"


def answer(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer of this body: bytes are JSON already and go out as they are, anything else is made JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    return Response(content, status, dict(headers or {}), content_type=JSON_TYPE)


def nothing(headers: Mapping[str, str] | None = None) -> Response:
    """204."""
    response = Response(status=204, headers=dict(headers or {}))
    del response.headers["Content-Type"]
    return response


def kept(request: Request, response: Response, *, etag: str, cache_control: str) -> Response:
    """The answer as caches may keep it; 304 where the asker has it already. `etag` is weak."""
    response.headers["Cache-Control"] = cache_control
    response.set_etag(etag, weak=True)
    return response.make_conditional(request)
