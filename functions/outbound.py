"""Requests to addresses that tenants chose: never into the private network, never for long.

A host's name is resolved once; every address it has must be public, and the connection goes to the very
address that was looked at, so that a name which changes its mind in between (DNS rebinding) gains nothing.
Redirects are not followed, proxies of the environment not used, and what an answer says is not read.
"""

import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from functools import cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

import httpcore

from functions.settings import Settings

TIMEOUT_S = 10.0


class Undeliverable(Exception):
    """Why a message could not be delivered, in words for the channel's owner; without its URL, a secret."""


def post(
    url: str,
    content: bytes,
    headers: Mapping[str, str],
    *,
    guarded: bool = True,
    timeout_s: float = TIMEOUT_S,
) -> None:
    """Posts and returns where the answer is 2xx; raises `Undeliverable` otherwise.

    `guarded` refuses private addresses, unless MILEPOST_ALLOW_PRIVATE_WEBHOOKS=1. `timeout_s` bounds all of
    it but the resolver, which has its own limits.
    """
    backend = _Backend(guarded and not Settings.allows_private_webhooks, time.monotonic() + timeout_s)
    try:
        with (
            httpcore.ConnectionPool(ssl_context=_tls(), network_backend=backend) as pool,
            pool.stream("POST", url, headers=list(headers.items()), content=content) as response,
        ):
            status = response.status
    except httpcore.TimeoutException:
        raise Undeliverable(f"it did not answer within {timeout_s:g} s") from None
    except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError) as error:
        raise Undeliverable(f"no answer: {type(error).__name__}: {error}"[:300]) from None
    except (httpcore.UnsupportedProtocol, ValueError, UnicodeError):
        raise Undeliverable("its address is no http or https URL") from None
    if 300 <= status < 400:
        raise Undeliverable(f"it answered {status}, a redirect, and those are not followed")
    if not 200 <= status < 300:
        raise Undeliverable(f"it answered {status}")


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet: not private, loopback, link-local, multicast, ..."""
    ip = ip_address(address)
    if isinstance(ip, IPv6Address):
        # All that is given out lies in 2000::/3; elsewhere, and in 6to4, an address of IPv4 may be written.
        return ip.is_global and ip in _GIVEN_OUT and ip not in _6TO4
    return ip.is_global and not ip.is_multicast and ip != _AZURE


_GIVEN_OUT, _6TO4 = IPv6Network("2000::/3"), IPv6Network("2002::/16")
_AZURE = IPv4Address("168.63.129.16")  # Azure's metadata and DNS, at an address that is public elsewhere


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


class _Backend(httpcore.SyncBackend):
    """Connects to a host's address that was looked at; what it opens ends with the deadline."""

    def __init__(self, guarded: bool, deadline: float) -> None:
        self._guarded, self._deadline = guarded, deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise Undeliverable("its host has no address") from None
        addresses = [str(entry[4][0]) for entry in found]
        if self._guarded and not all(is_public(address) for address in addresses):
            raise Undeliverable("its host is in a private network, which is refused")
        # Its name stays in the request and in the certificate's check.
        opened = super().connect_tcp(addresses[0], port, _left(self._deadline), local_address, socket_options)
        return _Stream(opened, self._deadline)


class _Stream(httpcore.NetworkStream):
    """A connection whose every step has only what is left until the deadline."""

    def __init__(self, opened: httpcore.NetworkStream, deadline: float) -> None:
        self._opened, self._deadline = opened, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._opened.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._opened.write(buffer, _left(self._deadline))

    def close(self) -> None:
        self._opened.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        opened = self._opened.start_tls(ssl_context, server_hostname, _left(self._deadline))
        return _Stream(opened, self._deadline)

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - httpcore's own
        return self._opened.get_extra_info(info)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout
    return left
