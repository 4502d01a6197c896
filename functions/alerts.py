"""/v1/alerts: alerts, their rules and channels; and /cron/alerts, which finds and sends them."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pydantic import BaseModel, ValidationError
from werkzeug.wrappers import Request, Response

from functions import addresses, callers, cron, database, deliveries, journal
from functions.answers import answer
from functions.bodies import read_json
from functions.callers import Caller, UserCaller
from functions.outbound import Undeliverable
from functions.refusals import Invalid, NotFound
from milepost.models import AlertChannel, AlertRule, Mute

BUDGET_S = 20.0
"""No new messages are begun after this; one may take `outbound.TIMEOUT_S` longer."""
_AT_ONCE = 8


def search(request: Request) -> Response:
    """GET /v1/alerts: open and resolved alerts, newest first."""
    return _read(request, "list_alerts", addresses.Alerts)


def rules(request: Request) -> Response:
    """GET /v1/alerts/rules: the rules and what is muted."""
    return _read(request, "list_alert_rules")


def set_rule(request: Request, rule: str) -> Response:
    """POST /v1/alerts/rules/{rule}: turns it on or off, or changes its figures."""
    return _write(request, "set_alert_rule", AlertRule, rule=rule)


def channels(request: Request) -> Response:
    """GET /v1/alerts/channels."""
    return _read(request, "list_alert_channels")


def add_channel(request: Request) -> Response:
    """POST /v1/alerts/channels."""
    response = _write(request, "add_alert_channel", AlertChannel)
    response.status_code = 201
    return response


def remove_channel(request: Request, channel_id: str) -> Response:
    """POST /v1/alerts/channels/{channel_id}/remove."""
    caller = callers.identify(request)
    if not callers.is_uuid(channel_id):
        raise NotFound(
            "channel_not_found",
            "Expected the uuid of a channel, found something else.",
            "GET /v1/alerts/channels lists them.",
        )
    return answer(database.as_caller(caller, "remove_alert_channel", {"channel_id": channel_id}))


def mute(request: Request) -> Response:
    """POST /v1/alerts/mute: nobody is told of a rule, a kind, a job, or of anything, until then."""
    return _write(request, "mute_alerts", Mute)


def send(request: Request) -> Response:
    """/cron/alerts: evaluates the rules, and sends what is due until nothing is or the time is over."""
    cron.check_secret(request)
    return answer(send_all())


def send_all(
    *,
    deliver: Callable[[dict[str, Any]], None] = deliveries.deliver,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """One round: `{"opened", "resolved", "queued", "delivered", "failed"}`."""
    ends = clock() + BUDGET_S
    handed = json.loads(database.as_service("send_alerts", {}))
    counts = {**handed["evaluated"], "delivered": 0, "failed": 0}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        while handed["deliveries"]:
            results = list(pool.map(lambda delivery: _result(delivery, deliver), handed["deliveries"]))
            failed = sum(result["error"] is not None for result in results)
            counts["failed"] += failed
            counts["delivered"] += len(results) - failed
            # Told in any case; what is handed out after the time is over would wait for its lease to end.
            in_time = clock() < ends
            handed = json.loads(database.as_service("send_alerts", {"results": results, "hand_out": in_time}))
    return counts


def _result(delivery: dict[str, Any], deliver: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    error = None
    try:
        deliver(delivery)
    except Undeliverable as undeliverable:
        error = str(undeliverable)
    except Exception as unexpected:  # noqa: BLE001 - one message must not keep the others, and their results, back
        journal.record("ERROR", "a message failed", error=journal.traceback_of(unexpected))
        error = "something went wrong on our side"
    return {"delivery_id": delivery["delivery_id"], "lease_id": delivery["lease_id"], "error": error}


def _read(request: Request, rpc: str, query: type[addresses.Query] = addresses.Query) -> Response:
    caller = callers.identify(request)
    return answer(database.as_caller(caller, rpc, addresses.query(query, request) | _tenant(caller)))


def _write(request: Request, rpc: str, model: type[BaseModel], **more: str) -> Response:
    caller = callers.identify(request)
    try:
        asked = model.model_validate(read_json(request).value)
    except ValidationError as error:
        raise Invalid.of(error) from None
    args = {**more, **asked.model_dump(exclude_none=True), **_tenant(caller)}
    return answer(database.as_caller(caller, rpc, args))


def _tenant(caller: Caller) -> dict[str, str]:
    named = caller.tenant_id if isinstance(caller, UserCaller) else None
    return {"tenant_id": named} if named else {}
