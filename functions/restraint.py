"""Who was told to come later is told so again for a second, without asking the database.

A client that does not wait costs the others a connection to the database for each refusal. What is kept here
is a help and no rule: the limit itself is counted in the database, and an instance that forgets asks again.
"""

import hashlib
import threading
import time
from collections.abc import Callable

from werkzeug.wrappers import Request

from functions.refusals import FromDatabase

SECONDS, MOST = 1.0, 1_000


class Restraint:
    """The latest refusals, each by the key that was refused."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._refused: dict[bytes, tuple[FromDatabase, float]] = {}

    def hold(self, request: Request) -> None:
        """Raises what this key was refused with, within the second after it was."""
        if not self._refused:
            return
        refusal, until = self._refused.get(_holder(request), (None, 0.0))
        if refusal is not None and self._clock() < until:
            raise refusal.with_traceback(None)  # each raise would make it longer

    def learn(self, request: Request, refusal: Exception) -> None:
        """Keeps a refusal for too many requests; others say nothing of the next request."""
        if not isinstance(refusal, FromDatabase) or refusal.body["code"] != "too_many_requests":
            return
        if "Authorization" not in request.headers:
            return  # a ping has its key in the path
        now, holder = self._clock(), _holder(request)
        with self._lock:
            if self._refused.get(holder, (refusal, 0.0))[1] > now:
                return  # it was held back with it: that is no new one
            self._refused = {key: kept for key, kept in self._refused.items() if kept[1] > now}
            if len(self._refused) < MOST:
                self._refused[holder] = refusal, now + SECONDS

    def clear(self) -> None:
        with self._lock:
            self._refused = {}


latest = Restraint()


def _holder(request: Request) -> bytes:
    # A user's requests may be of several tenants, each with a limit of its own.
    who = "\n".join(request.headers.get(name, "") for name in ("Authorization", "X-Milepost-Tenant"))
    return hashlib.sha256(who.encode()).digest()
