"""The keys of a local stack: Supabase's two API keys, and the JWTs that they stand for.

`sb_publishable_...` and `sb_secret_...` are opaque to PostgREST. On Supabase the gateway swaps them for a JWT
of the role anon or service_role; so does this one.
"""

import json
import secrets
import time
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import jwt

YEAR_S = 365 * 86_400
USER_TOKEN_LIFE_S = 30 * 86_400
ROLES = ("anon", "authenticated", "service_role")


@dataclass
class Keys:
    """What a stack must keep for its data to stay usable, and nobody else may know."""

    publishable_key: str = field(default_factory=lambda: "sb_publishable_" + secrets.token_urlsafe(24))
    secret_key: str = field(default_factory=lambda: "sb_secret_" + secrets.token_urlsafe(24))
    jwt_secret: str = field(default_factory=lambda: secrets.token_urlsafe(36))
    cron_secret: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    postgres_password: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    authenticator_password: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    user_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    tenant_id: str | None = None
    worker_key: str | None = None
    operator_key: str | None = None

    @classmethod
    def load(cls, path: Path) -> "Keys":
        """The keys that were saved there; new ones when there are none."""
        return cls(**json.loads(path.read_text())) if path.exists() else cls()

    def save(self, path: Path) -> None:
        """Writes them for the owner's eyes only, whole or not at all."""
        draft = path.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(asdict(self), indent=2) + "\n")
        draft.replace(path)

    def sign(self, claims: dict[str, Any]) -> str:
        """A JWT with these claims, signed as Supabase's legacy keys are."""
        return jwt.encode(claims, self.jwt_secret, algorithm="HS256")

    def user_token(self, user_id: str) -> str:
        """A user's access token, as Supabase Auth would issue it, valid for 30 days."""
        now = int(time.time())
        return self.sign(
            {"sub": user_id, "aud": "authenticated", "role": "authenticated"}
            | {"iss": "milepost dev", "iat": now, "exp": now + USER_TOKEN_LIFE_S, "is_anonymous": False}
        )


class KeySwap:
    """What each API key stands for."""

    def __init__(self, keys: Keys) -> None:
        self.publishable_key = keys.publishable_key
        self._secret = keys.jwt_secret
        now = int(time.time())
        self._tokens = {
            key: keys.sign({"iss": "supabase", "role": role, "iat": now, "exp": now + 10 * YEAR_S})
            for key, role in ((keys.publishable_key, "anon"), (keys.secret_key, "service_role"))
        }

    def role_token(self, apikey: str) -> str | None:
        """The role JWT behind an API key: a key of this stack, or a JWT signed with its secret; else None."""
        if apikey in self._tokens:
            return self._tokens[apikey]
        return apikey if self.claims(apikey) is not None else None

    def claims(self, token: str) -> dict[str, Any] | None:
        """The claims of a valid JWT of a known role, of any audience; else None."""
        try:
            claims: dict[str, Any] = jwt.decode(
                token, self._secret, algorithms=["HS256"], options={"verify_aud": False}
            )
        except jwt.InvalidTokenError:
            return None
        return claims if claims.get("role") in ROLES else None
