"""Settings from the environment: what each variable means, and what is wrong with one.

This is the only place that reads them; docs/configuration.md is the table of all, and a test compares it.
"""

import base64
import binascii
import json
import os
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from milepost.errors import ConfigurationError

T = TypeVar("T")


class Variable(Generic[T]):
    """One setting: an attribute whose value is read from the environment when it is asked for.

    The first of `names` that is set counts. `read` takes the text, and raises ValueError with what it
    expected. Without a `default` the setting is needed: reading it raises ConfigurationError where there is
    none.
    """

    _NEEDED: Any = object()

    def __init__(self, *names: str, read: Callable[[str], T], meaning: str, default: T = _NEEDED) -> None:
        self.names, self.meaning = names, meaning
        self._read, self.default = read, default

    @property
    def is_needed(self) -> bool:
        return self.default is Variable._NEEDED

    def __get__(self, instance: object, owner: type) -> T:
        for name in self.names:
            if text := os.environ.get(name):
                try:
                    return self._read(text)
                except ValueError as error:
                    raise ConfigurationError(
                        f"{name}: {error}",
                        "Correct it in the environment; docs/configuration.md lists all settings.",
                    ) from None
        if self.is_needed:
            raise ConfigurationError(
                f"{self.names[0]}: expected in the environment, found none.",
                f"Set it: {self.meaning} docs/configuration.md lists all settings.",
            )
        return self.default


def variables(settings: type) -> Iterator[tuple[str, Variable[Any]]]:
    """The settings of a class by their names."""
    for name, value in vars(settings).items():
        if isinstance(value, Variable):
            yield name, value


def problems(settings: type) -> list[ConfigurationError]:
    """All that is missing or wrong now."""
    found = []
    for name, _ in variables(settings):
        try:
            getattr(settings, name)
        except ConfigurationError as error:
            found.append(error)
    return found


def text(value: str) -> str:
    return value


def address(value: str) -> str:
    """An http(s) address, without a slash at its end."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(value)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_one = False
    if not is_one or value != value.strip():
        raise ValueError(f"expected an address that begins with http:// or https://, found {value[:100]!r}.")
    return value.rstrip("/")


def project(value: str) -> str:
    """The address of a Supabase project: nothing behind its host."""
    from urllib.parse import urlsplit

    if urlsplit(found := address(value)).path:
        raise ValueError(
            f"expected the project's address alone, such as https://abc.supabase.co, found {value[:100]!r}."
        )
    return found


def is_loopback(host: str) -> bool:
    """Whether a host, by name or address, is this machine."""
    from ipaddress import ip_address

    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def secret_key(value: str) -> str:
    if (kind := kind_of_key(value)) not in ("secret", "legacy secret", "unreadable token"):
        raise ValueError(f"expected a secret key (sb_secret_...) of the Supabase project, found {_A[kind]}.")
    return value


def publishable_key(value: str) -> str:
    if (kind := kind_of_key(value)) not in ("publishable", "legacy publishable", "unreadable token"):
        raise ValueError(
            f"expected a publishable key (sb_publishable_...) of the Supabase project, found {_A[kind]}."
        )
    return value


_A = {
    "secret": "a secret key",
    "publishable": "a publishable key",
    "legacy secret": "a legacy service_role key",
    "legacy publishable": "a legacy anon key",
    "milepost": "a Milepost key",
    "user token": "a user's token",
    "unreadable token": "a token that cannot be read",
    "unknown": "something else",
}


def kind_of_key(key: str) -> str:
    """What a key is by its looks: one of the words above. Nothing is proved."""
    for prefix, kind in (("sb_secret_", "secret"), ("sb_publishable_", "publishable"), ("mp_", "milepost")):
        if key.startswith(prefix) and key == key.strip():
            return kind
    if not key.startswith("eyJ"):
        return "unknown"
    try:
        body = key.split(".")[1]
        role = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))["role"]
    except (IndexError, binascii.Error, ValueError, TypeError, KeyError):
        return "unreadable token"
    return {"service_role": "legacy secret", "anon": "legacy publishable"}.get(role, "user token")


class Settings:
    """What the SDK and the command line read."""

    url = Variable("MILEPOST_URL", read=address, default=None, meaning="The address of the HTTP functions.")
    key = Variable(
        "MILEPOST_KEY", read=text, default=None, meaning="A Milepost key, or a signed-in user's token."
    )
    spool = Variable(
        "MILEPOST_SPOOL",
        read=text,
        default=None,
        meaning="A folder that keeps what could not be sent, beyond the end of the process.",
    )
    supabase_url = Variable(
        "SUPABASE_URL",
        read=project,
        default=None,
        meaning="The Supabase project, for Realtime and for administration.",
    )
    publishable_key = Variable(
        "SUPABASE_PUBLISHABLE_KEY",
        "SUPABASE_ANON_KEY",
        read=publishable_key,
        default=None,
        meaning="The project's publishable key, for Realtime.",
    )
    secret_key = Variable(
        "SUPABASE_SECRET_KEY",
        "SUPABASE_SERVICE_ROLE_KEY",
        read=secret_key,
        default=None,
        meaning="The project's secret key, for `tenants`, `keys`, `members`, `backtest` and `doctor`.",
    )
    jwt_secret = Variable(
        "SUPABASE_JWT_SECRET",
        read=text,
        default=None,
        meaning="On the local stack only: signs the token of a new tenant's user.",
    )
    cron_secret = Variable(
        "CRON_SECRET", read=text, default=None, meaning="With it `doctor` looks at /cron with its secret too."
    )
