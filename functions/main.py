"""The HTTP functions behind one address: `functions-framework --source functions/main.py --target api`."""

import sys
from pathlib import Path
from types import ModuleType

# functions-framework loads this file by its path and adds only its folder to sys.path; the packages
# `functions` and `milepost` are one level up.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from werkzeug.exceptions import MethodNotAllowed
from werkzeug.exceptions import NotFound as NoSuchPath
from werkzeug.routing import Map, MapAdapter, WebsocketMismatch
from werkzeug.wrappers import Request, Response

from functions import bodies, journal, restraint, settings, tracing
from functions.answers import nothing
from functions.refusals import Broken, NotFound, Refused, WrongMethod
from functions.rules import Rule, function
from milepost._version import HEADER, VERSION

if __name__ != "functions.main":  # functions-framework executes this file as it starts to serve
    settings.check()

# A job's key may contain slashes, so it matches as a path; the longer addresses are found first.
ROUTES = Map(
    [
        Rule("/v1/checkpoints", methods=["POST"], endpoint="checkpoints.post"),
        Rule("/v1/jobs", methods=["POST"], endpoint="jobs.create"),
        Rule("/v1/jobs", methods=["GET"], endpoint="jobs.search"),
        Rule("/v1/jobs/claim", methods=["POST"], endpoint="jobs.claim"),
        Rule("/v1/jobs/<path:job>", methods=["GET"], endpoint="jobs.one"),
        Rule("/v1/jobs/<path:job>/items", methods=["GET"], endpoint="jobs.items"),
        Rule("/v1/jobs/<path:job>/checkpoints", methods=["GET"], endpoint="jobs.checkpoints"),
        Rule("/v1/jobs/<path:job>/events", methods=["GET"], endpoint="jobs.events"),
        Rule("/v1/jobs/<path:job>/explain", methods=["GET"], endpoint="jobs.explain"),
        Rule("/v1/jobs/<path:job>/pause", methods=["POST"], endpoint="jobs.pause"),
        Rule("/v1/jobs/<path:job>/resume", methods=["POST"], endpoint="jobs.resume"),
        Rule("/v1/jobs/<path:job>/cancel", methods=["POST"], endpoint="jobs.cancel"),
        Rule("/v1/jobs/<path:job>/retry", methods=["POST"], endpoint="jobs.retry"),
        Rule("/v1/jobs/<path:job>/priority", methods=["POST"], endpoint="jobs.set_priority"),
        Rule("/v1/audit", methods=["GET"], endpoint="audit.entries"),
        Rule("/v1/jobs/<path:job>/badge.svg", methods=["GET"], endpoint="badge.one"),
        Rule("/v1/jobs/<path:job>/shares", methods=["GET"], endpoint="shares.of_job"),
        Rule("/v1/jobs/<path:job>/shares", methods=["POST"], endpoint="shares.create"),
        Rule("/v1/shares/<share_id>/revoke", methods=["POST"], endpoint="shares.revoke"),
        Rule("/v1/shared/<token>", methods=["GET"], endpoint="shares.shared"),
        Rule("/v1/events", methods=["GET"], endpoint="events.stream"),
        Rule("/v1/history", methods=["GET"], endpoint="history.stats"),
        Rule("/v1/history/jobs", methods=["GET"], endpoint="history.jobs"),
        Rule("/v1/operations/<path:job>", methods=["GET"], endpoint="operations.one"),
        Rule("/v1/alerts", methods=["GET"], endpoint="alerts.search"),
        Rule("/v1/alerts/rules", methods=["GET"], endpoint="alerts.rules"),
        Rule("/v1/alerts/rules/<rule>", methods=["POST"], endpoint="alerts.set_rule"),
        Rule("/v1/alerts/channels", methods=["GET"], endpoint="alerts.channels"),
        Rule("/v1/alerts/channels", methods=["POST"], endpoint="alerts.add_channel"),
        Rule("/v1/alerts/channels/<channel_id>/remove", methods=["POST"], endpoint="alerts.remove_channel"),
        Rule("/v1/alerts/mute", methods=["POST"], endpoint="alerts.mute"),
        Rule("/health", methods=["GET"], endpoint="health.up"),
        Rule("/health/jobs", methods=["GET"], endpoint="health.jobs"),
        Rule("/health/jobs/<path:job>", methods=["GET"], endpoint="health.job"),
        Rule("/health/loading-progress", methods=["GET"], endpoint="health.loading_progress"),
        Rule("/health/metrics", methods=["GET"], endpoint="health.metrics"),
        Rule("/health/prometheus", methods=["GET"], endpoint="metrics.scrape"),
        Rule("/metrics", methods=["GET"], endpoint="metrics.scrape"),
        Rule("/ping/<key>/<path:job>", methods=["GET", "POST"], endpoint="pings.done"),
        Rule("/ping/<key>/<path:job>/start", methods=["GET", "POST"], endpoint="pings.start"),
        Rule("/ping/<key>/<path:job>/fail", methods=["GET", "POST"], endpoint="pings.fail"),
        Rule(
            "/ping/<key>/<path:job>/<int(max=255):status>",
            methods=["GET", "POST"],
            endpoint="pings.exit_status",
        ),
        Rule("/cron/sweep", methods=["GET", "POST"], endpoint="cron.sweep"),
        Rule("/cron/purge", methods=["GET", "POST"], endpoint="cron.purge"),
        Rule("/cron/alerts", methods=["GET", "POST"], endpoint="alerts.send"),
        Rule("/openapi.json", methods=["GET"], endpoint="openapi.document"),
        # The names that users of other progress monitors know; docs/coming-from/ says whose.
        Rule("/health/tables", methods=["GET"], endpoint="health.jobs"),
        Rule("/health/tables/<path:job>", methods=["GET"], endpoint="health.job"),
        Rule("/progress/events", methods=["GET"], endpoint="events.stream"),
        Rule("/progress/stream", methods=["GET"], endpoint="websocket.stream"),
    ],
    strict_slashes=True,
    merge_slashes=False,
)

# Any page may ask; what it may see is decided by the key it sends, and cookies are never looked at.
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Retry-After, Location, X-Correlation-Id, Milepost-Version",
}
PREFLIGHT = {
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Last-Event-ID, X-Milepost-Tenant, "
    "X-Correlation-Id",
    "Access-Control-Max-Age": "86400",
}


def api(request: Request) -> Response:
    """Answers one request. Never raises; every refusal has the one error shape."""
    correlation_id = journal.begin(request.headers.get("X-Correlation-Id"))
    with tracing.serving(request.method, request.headers):
        try:
            response = _routed(request)
        except Refused as refused:
            restraint.latest.learn(request, refused)
            response = refused.response()
        except Exception as error:  # noqa: BLE001 - the last resort: said in the journal, and never to the caller
            response = Broken("unexpected", error=journal.traceback_of(error)).response()
        tracing.served(response.status_code)
    bodies.discard(request)
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["X-Correlation-Id"] = correlation_id
    response.headers[HEADER] = VERSION
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.update(CORS)
    return response


def _routed(request: Request) -> Response:
    address = ROUTES.bind("api", path_info=request.path, default_method=request.method)
    if request.method == "OPTIONS" and (methods := _methods(address)):
        return nothing({"Allow": methods, "Access-Control-Allow-Methods": methods, **PREFLIGHT})
    try:
        rule, arguments = address.match(return_rule=True)
    except NoSuchPath:
        raise NotFound(
            "path_not_found", f"No such path: {request.path[:200]}.", "GET /openapi.json lists the paths."
        ) from None
    except MethodNotAllowed:
        methods = _methods(address)
        raise WrongMethod(
            "method_not_allowed",
            f"Expected {methods} here, found {request.method[:20]}.",
            "Use one of the methods in Allow.",
            headers={"Allow": methods},
        ) from None
    tracing.matched(request.method, rule.rule)
    return function(rule.endpoint)(request, **arguments)


def _methods(address: MapAdapter) -> str:
    known = set(address.allowed_methods())
    return ", ".join(sorted(known | {"OPTIONS"})) if known else ""


def _take_all_of(framework: ModuleType) -> None:
    """What functions-framework answers by itself, in HTML: a path with a line feed, /robots.txt, a WebSocket."""
    for refusal in (404, WebsocketMismatch):
        framework.errorhandler(refusal)(lambda _: api(framework.flask.request._get_current_object()))


# It executes this file inside the app that it makes; elsewhere there is none.
if (framework := sys.modules.get("functions_framework")) and framework.flask.has_app_context():
    _take_all_of(framework)
