"""Every door, enumerated from what is there, and what is asked at each so that who may gets an answer."""

import json
import re
from typing import Any

from cast import World, code_of
from werkzeug.test import Client

from functions.main import ROUTES

LATER = "2099-01-01T00:00:00Z"
# Which rows a write would change: none, so that only the permission decides.
NOTHING = "tenant_id=eq.00000000-0000-0000-0000-000000000000"
WRITES = ("POST", "PATCH", "DELETE")
# What answers without a name of anybody: what is done for the whole system, and why a job is as it is (whose stranger gets 404).
WITHOUT_NAMES = frozenset(
    {
        "rpc explain_job", "GET /v1/jobs/{job}/explain",
        "rpc backtest", "rpc create_tenant", "rpc ping", "rpc purge_history", "rpc reset_stuck_jobs", "rpc send_alerts",
        "rpc sweep", "GET /health", "GET /openapi.json", "GET /cron/sweep", "POST /cron/sweep", "GET /cron/purge",
        "POST /cron/purge", "GET /cron/alerts", "POST /cron/alerts",
    }
)  # fmt: skip


def relations(world: World) -> list[str]:
    """Tables and views of the schema that PostgREST exposes."""
    rows = world.database.rows(
        "select c.relname from pg_class c where c.relnamespace = 'milepost'::regnamespace "
        "and c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition order by 1"
    )
    return [row["relname"] for row in rows]


def rpcs(world: World) -> dict[str, list[str]]:
    """Functions of the exposed schema, each with the arguments that it has to be given."""
    rows = world.database.rows(
        "select p.proname, coalesce(p.proargnames[1:p.pronargs - p.pronargdefaults], '{}') as needed "
        "from pg_proc p where p.pronamespace = 'milepost'::regnamespace order by 1"
    )
    return {row["proname"]: [name for name in row["needed"] if name] for row in rows}


def routes() -> list[str]:
    """`METHOD path` of every route of the functions."""
    return [
        f"{method} {_readable(rule.rule)}"
        for rule in ROUTES.iter_rules()
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]


def _readable(rule: str) -> str:
    return re.sub(r"<(?:[a-z]+(?:\([^)]*\))?:)?(\w+)>", r"{\1}", rule)


def arguments(world: World, rpc: str, needed: list[str]) -> object:
    """What an RPC is called with: what it needs, about what is ours. A new argument's name is to be added here."""
    caller = {"user_id": world.users["operator"], "tenant_id": world.tenant}
    known = {
        "job_id": "sesame job", "share_id": world.share, "tenant_id": world.tenant, "priority": 5,
        "key_id": world.keys["worker key"][1], "user_id": world.users["viewer"], "scope": "worker",
        "keep_days": 5, "rule": "job_failed", "type": "email", "address": "sesame@example.org",
        "name": "sesame", "channel_id": world.channel, "until": LATER, "caller": caller,
        "job": {"job": "sesame new", "kind": "sesame"}, "token_hash": _share_hash(world),
        "signal": "done", "tenant_ids": [world.tenant], "key_hash": world.key_hash("operator key"), "rpc": "list_tenants",
    }  # fmt: skip
    more: dict[str, dict[str, object]] = {
        # Those that take no tenant for granted, so that the stranger asks for ours.
        "add_alert_channel": {"tenant_id": world.tenant},
        "mute_alerts": {"tenant_id": world.tenant},
        "set_alert_rule": {"tenant_id": world.tenant},
        "list_alerts": {"tenant_id": world.tenant},
        "list_alert_rules": {"tenant_id": world.tenant},
        "list_alert_channels": {"tenant_id": world.tenant},
        "job_counts": {"tenant": world.tenant},
        "search_jobs": {"q": "sesame"},
        "ping_job": {"caller": {"key_hash": world.key_hash("ping key")}, "job": "sesame job"},
        "resume_job": {"job_id": "sesame paused"},
        "retry_job": {"job_id": "sesame failed"},
        "stream_events": {"after": 0},
        "send_alerts": {"hand_out": False},
    }
    if rpc == "record_checkpoints":
        return {"caller": caller, "checkpoints": [{"job": "sesame job", "message": "sesame"}]}
    unknown = set(needed) - set(known)
    assert not unknown, f"say in tests/security/doors.py what {rpc} is to be called with as {unknown}"
    return {name: known[name] for name in needed} | more.get(rpc, {})


def _share_hash(world: World) -> str:
    rows = world.database.rows(
        "select token_hash from milepost_private.shares where share_id = %s", world.share
    )
    return str(rows[0]["token_hash"])


BODIES: dict[str, object] = {
    "POST /v1/checkpoints": {"job": "sesame job", "message": "sesame"},
    "POST /v1/jobs": {"job": "sesame new", "kind": "sesame"},
    "POST /v1/jobs/claim": {},
    "POST /v1/jobs/{job}/priority": {"priority": 5},
    "POST /v1/alerts/rules/{rule}": {"is_on": True},
    "POST /v1/alerts/channels": {"type": "email", "name": "sesame", "address": "sesame@example.org"},
    "POST /v1/alerts/mute": {"until": LATER},
}


def at_route(
    world: World,
    api: Client,
    actor: str,
    route: str,
    tenant: str | None = None,
    body: object = None,
    **changed: str,
) -> Any:
    """The answer to an actor at a route: about us, but for what is given otherwise."""
    method, path = route.split(" ", 1)
    verb = path.rsplit("/", 1)[-1]
    job = {"resume": "sesame paused", "retry": "sesame failed"}.get(verb, "sesame job")
    parts = {
        "job": job, "share_id": world.share, "token": world.share_token, "channel_id": world.channel,
        "rule": "job_failed", "status": "0", "key": world.token(actor), **changed,
    }  # fmt: skip
    headers = world.headers(actor)
    if actor in world.users:
        headers["X-Milepost-Tenant"] = tenant or world.tenant
    if actor == "scheduler":
        headers = {"Authorization": f"Bearer {world.cron_secret}"}
    query = {"q": "sesame"} if route == "GET /v1/jobs" else None
    if body is None and method == "POST" and not path.startswith(("/ping", "/cron")):
        body = BODIES.get(route, {})
    return api.open(path.format(**parts), method=method, headers=headers, json=body, query_string=query)


def first_words(response: Any) -> str:
    """The body; of a stream its beginning, after which it is closed."""
    if (response.content_type or "").startswith("text/event-stream"):
        text = ""
        for chunk in response.response:
            text += chunk.decode() if isinstance(chunk, bytes) else chunk
            # The stream says `retry:` first, and the snapshot next.
            if "event: snapshot" in text and text.endswith("\n\n"):
                break
        response.close()
        return text
    return str(response.get_data(as_text=True))


def outcome(world: World, door: str, status: int, text: str) -> str:
    """In a word what an actor got: `yes`, `nothing` (an answer without anything of ours), or the refusal's status.

    Each refusal has to be one that a role explains: a conflict, or a value that is wrong, is a mistake in
    what these tests asked.
    """
    if status < 300 or code_of(text) == "upgrade_required":  # which is all the answer that there is
        if door in WITHOUT_NAMES or world.mentions_us(text) or _counts_us(door, text):
            return "yes"
        return "nothing"
    code = code_of(text)
    expected = {
        401: ("42501", "PGRST301", "key_required", "invalid_key", "invalid_token", "wrong_key", "cron_secret_required"),
        403: ("42501", "not_allowed"),
        404: ("42883", "job_not_found", "share_not_found", "channel_not_found"),
    }  # fmt: skip
    assert code in expected.get(status, ()), f"{door}: {status} {text[:300]}"
    return str(status)


def _counts_us(door: str, text: str) -> bool:
    """Figures have no names: that there is work shows that they are ours, since the stranger's tenant is not asked for."""
    if door in ("rpc get_system_metrics", "GET /health/metrics"):
        return bool(json.loads(text)["queue_depth"])
    return False
