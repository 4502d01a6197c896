"""/cron: scheduled work, called by Vercel's cron or anything that can send a request. Safe to repeat."""

import hmac
import json
from collections.abc import Callable

from werkzeug.wrappers import Request, Response

from functions import callers, database, journal
from functions.answers import answer
from functions.refusals import Unauthorized
from functions.settings import Settings

MOST_STEPS = 100  # of 1,000 jobs each: some seconds


def _work(rpc: str) -> Callable[[Request], Response]:
    def run(request: Request) -> Response:
        check_secret(request)
        return answer(database.as_service(rpc, {}))

    return run


sweep = _work("sweep")


def purge(request: Request) -> Response:
    """Retention, step by step until nothing is left; each is a transaction, so that nobody waits long."""
    check_secret(request)
    done: dict[str, int] = {}
    for _ in range(MOST_STEPS):
        step = json.loads(database.as_service("purge_history", {}))
        more = step.pop("more", False)
        done = {name: done.get(name, 0) + count for name, count in step.items()}
        if not more:
            break
    return answer(done)


def check_secret(request: Request) -> None:
    """Raises `Unauthorized` unless the request carries the CRON_SECRET."""
    secret = (Settings.cron_secret or "").encode()
    if not secret:
        journal.record("ERROR", "CRON_SECRET is not set, so scheduled work is refused")
    given = (callers.bearer(request) or "").encode("utf-8", "surrogatepass")
    # The same answer whether the secret is wrong or unset: the journal tells its owner, not the stranger.
    if not hmac.compare_digest(given, secret) or not secret:
        raise Unauthorized(
            "cron_secret_required",
            "Expected Authorization: Bearer <CRON_SECRET>, found none or another.",
            "Send the CRON_SECRET of the functions' environment.",
        )
