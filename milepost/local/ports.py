"""Free TCP ports on the loopback address."""

import errno
import socket

from milepost.local import LocalStackError

HOST = "127.0.0.1"


def listen(port: int) -> socket.socket:
    """A bound socket on `port`, or on a free one for 0. Raises LocalStackError when it cannot be had."""
    if not 0 <= port <= 65_535:
        raise LocalStackError(f"Expected a port from 0 (a free one) to 65535, found {port}.")
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        reason = {
            errno.EADDRINUSE: "is taken by another process",
            errno.EACCES: "is not open to this user",
        }.get(error.errno or 0, f"cannot be used ({error.strerror})")
        raise LocalStackError(
            f"Port {port} on {HOST} {reason}. Choose another one with --port N, or a free one with --port 0."
        ) from error
    return listener


def free_port() -> int:
    """A port that nothing listens on at the moment, for programs that can only be told a number."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        number: int = probe.getsockname()[1]
        return number
