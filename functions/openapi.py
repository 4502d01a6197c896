"""GET /openapi.json: the API described for programs, made from the very models that check it."""

from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from pydantic_core import to_json
from werkzeug.wrappers import Request, Response

from functions import addresses
from functions.answers import answer
from functions.field_texts import Explained
from milepost import __version__, models


class Operation(NamedTuple):
    """What the document says of one method of one path."""

    method: str
    path: str
    summary: str
    answer: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    body_required: bool = True
    query: type[addresses.Query] = addresses.Query
    security: str = "caller"
    others: Mapping[int, str] = MappingProxyType({})
    """Further answers: their status and meaning."""
    media_type: str | None = None
    """Of an answer that is no JSON."""
    is_array: bool = False
    """Whether an answer without a model is an array."""
    succeeds: bool = True
    """Whether there is an answer that is no refusal."""


_CREATED = {201: "The job is new."}
_CONFLICT = {409: "The job's state does not permit it; the message lists what is allowed."}
_NOT_MODIFIED = {304: "Nothing has changed since the ETag in If-None-Match."}
_NONE_VALID = {
    422: "No entry is valid, or there is none; with `results` and `errors` beside the error's own fields."
}

OPERATIONS = [
    Operation(
        "post",
        "/v1/checkpoints",
        'Report progress: one checkpoint, an array, or `{"checkpoints": [...]}`',
        models.CheckpointsAnswer,
        models.Checkpoint,
        others=_NONE_VALID,
    ),
    Operation(
        "post",
        "/v1/jobs",
        "Create a job, or get the one with this key",
        models.Job,
        models.NewJob,
        others=_CREATED,
    ),
    Operation("get", "/v1/jobs", "List jobs, newest first or sorted", models.JobList, query=addresses.Jobs),
    Operation(
        "post",
        "/v1/jobs/claim",
        "Take the next runnable job",
        models.Job,
        models.Claim,
        body_required=False,
        others={204: "There is none."},
    ),
    Operation("get", "/v1/jobs/{job}", "One job with its progress", models.Job),
    Operation("get", "/v1/jobs/{job}/items", "The job's items", models.ItemList, query=addresses.Items),
    Operation(
        "get",
        "/v1/jobs/{job}/checkpoints",
        "The job's checkpoints",
        models.CheckpointList,
        query=addresses.Page,
    ),
    Operation("get", "/v1/jobs/{job}/events", "The job's history", models.EventList, query=addresses.Events),
    Operation("get", "/v1/jobs/{job}/explain", "Why the job is as it is, in words", models.Explanation),
    *(
        Operation(
            "post",
            f"/v1/jobs/{{job}}/{verb}",
            f"{verb.capitalize()} the job",
            models.Job,
            models.Control,
            body_required=False,
            others=_CONFLICT,
        )
        for verb in ("pause", "resume", "cancel", "retry")
    ),
    Operation(
        "post",
        "/v1/jobs/{job}/priority",
        "Move the job forward or back in the queue",
        models.Job,
        models.Priority,
        others=_CONFLICT,
    ),
    Operation(
        "get",
        "/v1/audit",
        "Who paused, canceled, retried, made keys; for operators and admins",
        models.AuditList,
        query=addresses.Audit,
        others={404: "There is no such job among those you may see, and none that was."},
    ),
    Operation(
        "get",
        "/v1/jobs/{job}/badge.svg",
        "The job as a small image, for a README or a wiki",
        query=addresses.Badge,
        media_type="image/svg+xml",
        others=_NOT_MODIFIED,
    ),
    Operation("get", "/v1/jobs/{job}/shares", "The job's share links", models.ShareList),
    Operation(
        "post",
        "/v1/jobs/{job}/shares",
        "Make a link by which anybody may follow this job",
        models.Share,
        models.NewShare,
        body_required=False,
        others={201: "The link, with its token: shown this once.", 409: "The job has 100 of them already."},
    ),
    Operation(
        "post",
        "/v1/shares/{share_id}/revoke",
        "Revoke a share link",
        models.RevokedShare,
        others={404: "There is no such link among those you may see."},
    ),
    Operation(
        "get",
        "/v1/shared/{token}",
        "The job of a share link, without a key",
        models.SharedJob,
        query=addresses.Shared,
        security="none",
        others=_NOT_MODIFIED | {404: "The link is unknown, has expired, was revoked, or is of another job."},
    ),
    *(
        Operation(
            "get",
            path,
            f"Server-sent events: a snapshot, then every event; resumed by Last-Event-ID{also}",
            query=addresses.Stream,
            media_type="text/event-stream",
            others={404: "There is no such job among those you may see."},
        )
        for path, also in (("/v1/events", ""), ("/progress/events", "; the same as /v1/events"))
    ),
    Operation(
        "get",
        "/progress/stream",
        "Where the WebSocket is: Supabase Realtime's address, the topics to join, and how",
        query=addresses.Stream,
        security="optional",
        others={
            404: "There is no such job among those you may see.",
            426: "Always: `details` has `realtime_url`, `websocket_url`, `topics` and `join`.",
        },
        succeeds=False,
    ),
    Operation(
        "get",
        "/v1/history",
        "How finished jobs went, by hour, day or kind, and what their errors have in common",
        models.HistoryStats,
        query=addresses.History,
    ),
    Operation(
        "get",
        "/v1/history/jobs",
        "List finished jobs, the last one to end first",
        models.JobList,
        query=addresses.FinishedJobs,
    ),
    Operation("get", "/v1/operations/{job}", "The job as a google.longrunning.Operation (AIP-151)"),
    Operation("get", "/v1/alerts", "Alerts, open and resolved, newest first", query=addresses.Alerts),
    Operation("get", "/v1/alerts/rules", "The alert rules, and what is muted"),
    Operation(
        "post",
        "/v1/alerts/rules/{rule}",
        "Turn a rule on or off, or change its figures",
        body=models.AlertRule,
    ),
    Operation(
        "get",
        "/v1/alerts/channels",
        "Where alerts go, and how the last message went",
        is_array=True,
    ),
    Operation(
        "post",
        "/v1/alerts/channels",
        "Add a channel; a webhook's secret is shown this once",
        body=models.AlertChannel,
        others={201: "The channel is there."},
    ),
    Operation(
        "post",
        "/v1/alerts/channels/{channel_id}/remove",
        "Remove a channel",
        others={404: "There is no such channel among those you manage."},
    ),
    Operation(
        "post",
        "/v1/alerts/mute",
        "Tell nobody of such alerts for a while",
        body=models.Mute,
        others={404: "There is no such job among those you may see."},
    ),
    Operation("get", "/health", "Whether the service reaches its database", security="none"),
    Operation("get", "/health/jobs", "How the jobs are, counted"),
    Operation("get", "/health/tables", "How the jobs are, counted; the same as /health/jobs"),
    Operation("get", "/health/jobs/{job}", "One job's health, with its error and explanation"),
    Operation(
        "get",
        "/health/tables/{job}",
        "One job's health, with its error and explanation; the same as /health/jobs/{job}",
    ),
    Operation("get", "/health/loading-progress", "How far every job is"),
    Operation("get", "/health/metrics", "Figures of the whole system"),
    *(
        Operation("get", path, "The figures and counters as Prometheus scrapes them", media_type="text/plain")
        for path in ("/metrics", "/health/prometheus")
    ),
    *(
        Operation(method, path, summary, models.Job, security="none")
        for method in ("get", "post")
        for path, summary in (
            ("/ping/{key}/{job}", "Say that the job is done"),
            ("/ping/{key}/{job}/start", "Say that the job has started"),
            ("/ping/{key}/{job}/fail", "Say that the job has failed"),
            ("/ping/{key}/{job}/{status}", "Say with which exit status the job ended"),
        )
    ),
    *(
        Operation(method, f"/cron/{work}", summary, security="cron")
        for method in ("get", "post")
        for work, summary in (
            ("sweep", "Find stuck jobs and send what was held back"),
            ("purge", "Drop history that is past its time"),
            ("alerts", "Evaluate the alert rules and send what channels are to be told"),
        )
    ),
    Operation("get", "/openapi.json", "This document", security="none"),
]

_SECURITY: dict[str, list[dict[str, list[str]]]] = {
    "caller": [{"milepost_key": []}, {"user_token": []}],
    "optional": [{}, {"milepost_key": []}, {"user_token": []}],
    "cron": [{"cron_secret": []}],
    "none": [],
}
_REFUSALS = {
    "Malformed": (400, "The body is no JSON."),
    "Unauthorized": (401, "No key, or one that does not hold."),
    "NotAllowed": (403, "The key or user may not do this."),
    "NotFound": (404, "There is no such job among those you may see."),
    "TooLarge": (413, "More than 1 MiB or 1,000 entries."),
    "WrongMediaType": (415, "The body is not plain application/json."),
    "Invalid": (422, "Values that cannot be."),
    "Limited": (429, "Too many requests; Retry-After says when to come again."),
    "Broken": (500, "A fault on our side; `details.correlation_id` names it."),
    "Unavailable": (
        503,
        "The database is away, or of a version that does not fit; Retry-After says when to come again.",
    ),
}


def document(request: Request) -> Response:
    """The document; it changes with a release only, so it may be kept for a while."""
    return answer(_document(), headers={"Cache-Control": "public, max-age=300"})


@cache
def _document() -> bytes:
    used: list[type[BaseModel]] = [models.ErrorBody, models.Checkpoints]
    used += [model for operation in OPERATIONS for model in (operation.answer, operation.body) if model]
    _, definitions = models_json_schema(
        [(model, "validation") for model in dict.fromkeys(used)],
        ref_template="#/components/schemas/{model}",
        schema_generator=Explained,
    )
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _described(operation)
    return to_json(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "Milepost",
                "version": __version__,
                "description": "Tracks long-running batch jobs on Supabase, with no server of its own.",
                "license": {"name": "MIT", "identifier": "MIT"},
            },
            "servers": [{"url": "/"}],
            "paths": paths,
            "components": {
                "schemas": definitions["$defs"],
                "responses": {
                    name: {"description": meaning, "content": _json(_ref(models.ErrorBody))}
                    for name, (_, meaning) in _REFUSALS.items()
                },
                "securitySchemes": {
                    "milepost_key": {
                        "type": "http",
                        "scheme": "bearer",
                        "description": "A Milepost key: mp_...",
                    },
                    "user_token": {
                        "type": "http",
                        "scheme": "bearer",
                        "bearerFormat": "JWT",
                        "description": "A signed-in Supabase user's. Members of several tenants name the one "
                        "to act in by X-Milepost-Tenant.",
                    },
                    "cron_secret": {"type": "http", "scheme": "bearer", "description": "CRON_SECRET."},
                },
            },
        }
    )


def _described(operation: Operation) -> dict[str, Any]:
    success = {
        "description": "Success.",
        # Without a schema: OpenAPI 3.1 has no words for what is in a stream or an image.
        "content": {operation.media_type: {}}
        if operation.media_type
        else _json(
            _ref(operation.answer)
            if operation.answer
            else {"type": "array" if operation.is_array else "object"}
        ),
    }
    described: dict[str, Any] = {
        "operationId": f"{operation.method} {operation.path}",
        "summary": operation.summary,
        "security": _SECURITY[operation.security],
        "parameters": [*_path_parameters(operation.path), *_query_parameters(operation.query)],
        "responses": ({"200": success} if operation.succeeds else {}) | _refusals(operation),
    }
    if operation.body:
        described["requestBody"] = {
            "required": operation.body_required,
            "content": _json(_CHECKPOINTS if operation.body is models.Checkpoint else _ref(operation.body)),
        }
    for status, meaning in operation.others.items():
        content = success["content"] if status < 300 else _json(_ref(models.ErrorBody))
        described["responses"][str(status)] = {"description": meaning} | (
            {} if status in (204, 304) else {"content": content}
        )
    return described


def _refusals(operation: Operation) -> dict[str, Any]:
    possible = {"Broken", "Unavailable"}
    if operation.security != "none" or "{key}" in operation.path:
        possible |= {"Unauthorized", "NotAllowed", "Limited"}
    if "{job}" in operation.path:
        possible.add("NotFound")
    if operation.body:
        possible |= {"Malformed", "TooLarge", "WrongMediaType", "Invalid"}
    if operation.query.model_fields:
        possible.add("Invalid")
    return {
        str(status): {"$ref": f"#/components/responses/{name}"}
        for name, (status, _) in _REFUSALS.items()
        if name in possible
    }


def _path_parameters(path: str) -> Iterator[dict[str, Any]]:
    described = {
        "job": ("The job's key or uuid.", {"type": "string", "minLength": 1, "maxLength": 200}),
        "key": ("A Milepost key of scope `ping`.", {"type": "string"}),
        "share_id": ("The id of a share link.", {"type": "string", "format": "uuid"}),
        "token": ("The token of a share link, `sh_...`.", {"type": "string"}),
        "rule": ("An alert rule's name.", {"type": "string"}),
        "channel_id": ("A channel's id.", {"type": "string", "format": "uuid"}),
        "status": ("The exit status; 0 is success.", {"type": "integer", "minimum": 0, "maximum": 255}),
    }
    for name, (meaning, schema) in described.items():
        if f"{{{name}}}" in path:
            yield {"name": name, "in": "path", "required": True, "description": meaning, "schema": schema}


def _query_parameters(query: type[addresses.Query]) -> Iterator[dict[str, Any]]:
    for name, schema in query.model_json_schema(schema_generator=Explained).get("properties", {}).items():
        # A parameter that is not there is no null.
        given = next((choice for choice in schema.get("anyOf", []) if choice.get("type") != "null"), schema)
        yield {
            "name": name,
            "in": "query",
            "allowEmptyValue": True,
            "description": schema["description"],
            "schema": {key: value for key, value in given.items() if key not in ("title", "description")},
        }


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _ref(model: type[BaseModel]) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


_CHECKPOINTS = {
    "anyOf": [
        _ref(models.Checkpoint),
        {"type": "array", "items": _ref(models.Checkpoint), "minItems": 1, "maxItems": models.MAX_ENTRIES},
        _ref(models.Checkpoints),
    ]
}
