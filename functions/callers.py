"""Who calls: the holder of a Milepost key, or a Supabase user."""

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request

from functions import restraint
from functions.refusals import Invalid, Unauthorized, Unavailable
from functions.settings import Settings

if TYPE_CHECKING:
    from jwt import PyJWKClient

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_LEEWAY_S = 10
# How long public keys are kept: so long a key that was revoked may still prove a token.
_KEYS_KEPT_S = 300
# An unknown key is asked for no more often than this, whatever tokens name: so long a new one may be
# refused, unless it was published before it was used, as Supabase's standby keys are.
_KEYS_ASKED_S = 10
_PUBLIC_KEYS = ["ES256", "RS256", "EdDSA"]
_USE_A_KEY = (
    "Send Authorization: Bearer mp_... (milepost keys create makes one), or a signed-in user's token."
)


@dataclass(frozen=True)
class KeyCaller:
    """The holder of a Milepost key; the database knows the key's hash only."""

    key_hash: str

    def as_json(self) -> dict[str, str | None]:
        """How the database's service functions are told."""
        return {"key_hash": self.key_hash}


@dataclass(frozen=True)
class UserCaller:
    """A Supabase user, proved by a token, acting in a tenant if one was named."""

    token: str
    user_id: str
    tenant_id: str | None

    def as_json(self) -> dict[str, str | None]:
        """How the database's service functions are told."""
        return {"user_id": self.user_id, "tenant_id": self.tenant_id}


Caller = KeyCaller | UserCaller


def is_uuid(text: str) -> bool:
    return _UUID.fullmatch(text) is not None


def identify(request: Request) -> Caller:
    """The caller by its Authorization header. Raises `Unauthorized`; a key is proved in the database.

    Raises `FromDatabase` again for who was told a moment ago to come later.
    """
    restraint.latest.hold(request)
    token = bearer(request)
    if token is None:
        raise Unauthorized(
            "key_required", "Expected the header Authorization: Bearer <key>, found none.", _USE_A_KEY
        )
    if token.startswith("mp_"):
        return key_caller(token)
    if token.startswith("sb_"):
        raise Unauthorized(
            "wrong_key",
            "Expected a Milepost key or a user's token, found an API key of the Supabase project.",
            _USE_A_KEY,
        )
    tenant_id = request.headers.get("X-Milepost-Tenant") or None
    if tenant_id and not is_uuid(tenant_id):
        raise Invalid(
            "invalid_value",
            "X-Milepost-Tenant: expected the uuid of a tenant, found something else.",
            "Send the tenant_id as the API gave it.",
        )
    return UserCaller(token, _verified_user(token), tenant_id)


def bearer(request: Request) -> str | None:
    """The bearer token, if there is one."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def key_caller(key: str) -> KeyCaller:
    """The holder of this key."""
    return KeyCaller(sha256(key))


def sha256(secret: str) -> str:
    """What the database knows of a key or token: its hash, in hex."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _verified_user(token: str) -> str:
    """The user's id by a token that holds. Raises `Unauthorized`."""
    import jwt  # Here, since workers' requests need no cryptography and a cold start would pay for it.

    try:
        algorithm = jwt.get_unverified_header(token)["alg"]
        stated = jwt.decode(token, options={"verify_signature": False})
        if stated.get("role") in ("anon", "service_role"):
            raise Unauthorized(
                "wrong_key",
                f"Expected a Milepost key or a user's token, found the project's {stated['role']} key.",
                _USE_A_KEY,
            )
        # Each kind of key goes with its own algorithms, so that a public key is never taken for a secret.
        secret = Settings.jwt_secret
        key: Any
        if algorithm in _PUBLIC_KEYS:
            key, algorithms = jwks().get_signing_key_from_jwt(token), _PUBLIC_KEYS
        elif algorithm == "HS256" and secret:
            key, algorithms = secret, ["HS256"]
        else:
            raise jwt.InvalidAlgorithmError
        # The issuer is not compared: whose key it is proves that, and a project with a domain of its own has
        # two names.
        claims = jwt.decode(
            token,
            key,
            algorithms=algorithms,
            audience="authenticated",
            leeway=_LEEWAY_S,
            options={"require": ["exp", "sub"]},
        )
    except jwt.PyJWKClientConnectionError as error:
        raise Unavailable("the keys that prove users' tokens cannot be fetched", error=str(error)) from None
    except jwt.ExpiredSignatureError:
        raise Unauthorized(
            "invalid_token", "Expected a valid token, found one that has expired.", "Sign in again."
        ) from None
    except (jwt.PyJWTError, KeyError, ValueError):
        raise Unauthorized(
            "invalid_token", "Expected a Milepost key or a valid user's token; this is neither.", _USE_A_KEY
        ) from None
    user_id: str = claims["sub"]
    if claims.get("role") != "authenticated" or not is_uuid(user_id):
        raise Unauthorized("invalid_token", "Expected the token of a signed-in user.", _USE_A_KEY)
    return user_id


@cache
def jwks() -> "PyJWKClient":
    from jwt import PyJWKClient

    return PyJWKClient(
        Settings.supabase_url + "/auth/v1/.well-known/jwks.json",
        timeout=5,
        lifespan=_KEYS_KEPT_S,
        cooldown_duration=_KEYS_ASKED_S,
    )
