"""GET /progress/stream: there is no WebSocket of ours; this says where Supabase's is, and how to join it."""

from typing import NoReturn

from werkzeug.wrappers import Request

from functions import callers
from functions.callers import UserCaller
from functions.events import heard_by
from functions.refusals import Elsewhere
from functions.settings import Settings

_TEMPLATES = ["tenant:<tenant_id>", "job:<job_id>", "user:<user_id>"]


def stream(request: Request) -> NoReturn:
    """GET /progress/stream?job=: always refused, with Realtime's address, the caller's topics and the frame.

    A WebSocket client may be unable to send a key; without one the topics are only their patterns.
    """
    topics = _topics(request) if callers.bearer(request) else _TEMPLATES
    realtime_url = Settings.supabase_url.replace("http", "ws", 1) + "/realtime/v1"
    config = {"private": True, "broadcast": {"replication_ready": True}, "presence": {"enabled": False}}
    raise Elsewhere(
        "upgrade_required",
        "Expected a WebSocket at Supabase Realtime, found a request for one here.",
        "Open details.websocket_url and send details.join for each topic, with a signed-in user's token; "
        "supabase-js does both. With a Milepost key, read GET /progress/events instead.",
        details={
            "realtime_url": realtime_url,
            "websocket_url": f"{realtime_url}/websocket?apikey={Settings.publishable_key}&vsn=1.0.0",
            "topics": topics,
            "join": {
                "topic": f"realtime:{topics[0]}",
                "event": "phx_join",
                "payload": {"config": config, "access_token": "<a signed-in user's token>"},
                "ref": "1",
                "join_ref": "1",
            },
        },
        headers={"Upgrade": "websocket", "Connection": "Upgrade"},
    )


def _topics(request: Request) -> list[str]:
    caller = callers.identify(request)
    tenant_ids, job_id = heard_by(caller, request)
    if job_id is not None:
        return [f"job:{job_id}"]
    own = [f"user:{caller.user_id}"] if isinstance(caller, UserCaller) else []
    return [f"tenant:{tenant_id}" for tenant_id in sorted(tenant_ids)] + own
