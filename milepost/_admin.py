"""Tenants, keys and members: functions of the database that only the service may call, through PostgREST."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError

from milepost._client import error_of
from milepost._settings import Settings
from milepost.errors import ConfigurationError, TransportError

Answer = TypeVar("Answer")


class Admin:
    """Calls the database with SUPABASE_URL and SUPABASE_SECRET_KEY (or SUPABASE_SERVICE_ROLE_KEY).

    Raises ConfigurationError where they are missing; each call raises TransportError where no answer came,
    and an ApiError where the database refuses.
    """

    def __init__(self) -> None:
        url, key = Settings.supabase_url, Settings.secret_key
        if not url or not key:
            raise ConfigurationError(
                "Expected SUPABASE_URL and SUPABASE_SECRET_KEY in the environment; one of them is missing.",
                "Use the functions' environment; `milepost dev` leaves it in the file that it names.",
            )
        self.url = url
        headers = {"apikey": key, "Content-Profile": "milepost"}
        if not key.startswith("sb_"):  # a legacy key is a token; a new one is swapped for one by the gateway
            headers["Authorization"] = f"Bearer {key}"
        self._http = httpx.Client(base_url=f"{url}/rest/v1/rpc/", headers=headers, timeout=10)

    def close(self) -> None:
        self._http.close()

    def create_tenant(self, name: str, admin: str | None = None) -> dict[str, Any]:
        """`{"tenant_id", "name"}`; `admin` is the user who manages it from then on."""
        return self._call(dict[str, Any], "create_tenant", {"name": name, "admin": admin})

    def create_key(
        self,
        tenant_id: str,
        scope: str,
        name: str | None = None,
        expires_at: datetime | None = None,
        kinds: Sequence[str] = (),
    ) -> dict[str, Any]:
        """`{"key", "key_id", ...}`; the key is shown this once. Without `kinds` it is for all of them."""
        arguments = {
            "tenant_id": tenant_id,
            "scope": scope,
            "name": name,
            "expires_at": expires_at.isoformat() if expires_at else None,
            "kinds": list(kinds) or None,
        }
        return self._call(dict[str, Any], "create_key", arguments)

    def list_keys(self, tenant_id: str) -> list[dict[str, Any]]:
        return self._call(list[dict[str, Any]], "list_keys", {"tenant_id": tenant_id})

    def revoke_key(self, key_id: str) -> dict[str, Any]:
        return self._call(dict[str, Any], "revoke_key", {"key_id": key_id})

    def add_member(self, tenant_id: str, user_id: str, role: str) -> dict[str, Any]:
        """Adds the user, or changes the role."""
        return self._call(
            dict[str, Any], "add_member", {"tenant_id": tenant_id, "user_id": user_id, "role": role}
        )

    def list_members(self, tenant_id: str) -> list[dict[str, Any]]:
        """`[{"user_id", "role", "created_at"}, ...]`, oldest first."""
        return self._call(list[dict[str, Any]], "list_members", {"tenant_id": tenant_id})

    def remove_member(self, tenant_id: str, user_id: str) -> dict[str, Any]:
        return self._call(dict[str, Any], "remove_member", {"tenant_id": tenant_id, "user_id": user_id})

    def backtest(self, kind: str | None, limit: int) -> dict[str, Any]:
        """`{"jobs", "left_out", "questions", "compared", "rules"}`, of the newest completed jobs."""
        return self._call(dict[str, Any], "backtest", {"kind": kind, "limit": limit})

    def _call(self, answer: type[Answer], rpc: str, arguments: Mapping[str, Any]) -> Answer:
        try:
            response = self._http.post(rpc, json=dict(arguments))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise TransportError(
                f"{self.url} gave no answer: {str(error) or type(error).__name__}.", "Check SUPABASE_URL."
            ) from error
        if not response.is_success:
            raise error_of(response)
        try:
            return TypeAdapter(answer).validate_json(response.content)
        except ValidationError as error:
            raise TransportError(
                f"{response.url} gave an answer that is none of Milepost's.", "Check SUPABASE_URL."
            ) from error
