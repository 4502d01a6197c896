"""/cron: scheduled work, called by Vercel's cron or anything that can send a request. Safe to repeat."""

import hmac
import os
from collections.abc import Callable

from werkzeug.wrappers import Request, Response

from functions import callers, database, journal
from functions.answers import answer
from functions.refusals import Unauthorized


def _work(rpc: str) -> Callable[[Request], Response]:
    def run(request: Request) -> Response:
        check_secret(request)
        return answer(database.as_service(rpc, {}))

    return run


sweep = _work("sweep")
purge = _work("purge_history")


def check_secret(request: Request) -> None:
    """Raises `Unauthorized` unless the request carries the CRON_SECRET."""
    secret = os.environ.get("CRON_SECRET", "").encode()
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
