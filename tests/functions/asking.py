"""Who asks, and what every refusal has."""

import time
from typing import Any

import jwt
from werkzeug.wrappers import Response

KEY = {"Authorization": "Bearer mp_worker"}
JWT_SECRET = "a secret that is long enough for HS256"
USER = "0d8f7c1e-2b3a-4c5d-8e9f-0a1b2c3d4e5f"
TENANT = "7b1c2d3e-4f50-4162-8738-495a6b7c8d9e"


def token(**changes: Any) -> str:
    """A user's token; a claim given as None is left out."""
    claims = {
        "sub": USER,
        "aud": "authenticated",
        "role": "authenticated",
        "exp": int(time.time()) + 3600,
        **changes,
    }
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, JWT_SECRET)


def assert_refused(response: Response, status: int, code: str) -> dict[str, Any]:
    """Checks a refusal and its shape, and returns its body."""
    body: dict[str, Any] = response.get_json()
    assert (response.status_code, body["code"]) == (status, code), body
    assert {"code", "message", "details", "hint"} <= body.keys()
    assert body["message"]
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Correlation-Id"]
    return body
