"""Broadcasts by HTTP: many in one body, or one whose body is the payload."""

import json
from collections.abc import Callable
from urllib.parse import unquote

from aiohttp import web

from milepost.local.realtime.authorize import Authorizer, Claims, Refused
from milepost.local.realtime.hub import Hub
from milepost.local.realtime.limits import Limits
from milepost.local.realtime.protocol import UserBroadcast, broadcast, dumps

BLANK = "can't be blank"


class HttpBroadcasts:
    """The two calls; `token` gives the token that an API key stands for."""

    def __init__(self, authorizer: Authorizer, hub: Hub, limits: Limits, token: Callable[[str], str]) -> None:
        self._authorizer, self._hub, self._limits, self._token = authorizer, hub, limits, token

    def add_routes(self, app: web.Application) -> None:
        app.router.add_post("/realtime/v1/api/broadcast", self._batch)
        app.router.add_post("/realtime/v1/api/broadcast/{topic}/events/{event}", self._single)

    def _claims(self, request: web.Request) -> Claims | None:
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        key = bearer if scheme.lower() == "bearer" and bearer else request.headers.get("apikey", "")
        try:
            return self._authorizer.claims(self._token(key))
        except Refused:
            return None

    def _too_many(self, messages: int) -> web.Response | None:
        """The answer where the project is, or would come, over its limit."""
        rate = self._hub.events.per_s
        if rate > self._limits.events_per_s:
            message = "You have exceeded your rate limit"
        elif rate + messages > self._limits.events_per_s:
            message = "Too many messages to broadcast, please reduce the batch size"
        else:
            return None
        return web.json_response({"message": message}, status=429, dumps=dumps)

    async def _batch(self, request: web.Request) -> web.Response:
        claims = self._claims(request)
        if claims is None:
            return web.json_response({"message": "Unauthorized"}, status=401, dumps=dumps)
        try:
            body = await request.json()
        except json.JSONDecodeError:
            return web.json_response({"message": "expected a JSON object"}, status=400, dumps=dumps)
        messages = body.get("messages") if isinstance(body, dict) else None
        if not isinstance(messages, list) or not messages:
            return web.json_response({"errors": {"messages": [BLANK]}}, status=422, dumps=dumps)
        problems = [self._problems(message) for message in messages]
        if any(problems):
            return web.json_response({"errors": {"messages": problems}}, status=422, dumps=dumps)
        if too_many := self._too_many(len(messages)):
            return too_many
        may_write: dict[str, bool] = {}
        for message in messages:
            name, private = message["topic"], bool(message.get("private"))
            if private and name not in may_write:
                may_write[name] = await self._authorizer.may_write(name, claims, "broadcast")
            # What may not be sent is left out, and the answer does not tell.
            if not private or may_write[name]:
                payload = {"event": message["event"], "payload": message["payload"], "type": "broadcast"}
                self._hub.from_client(name, private, broadcast(f"realtime:{name}", payload))
        return web.Response(status=202)

    def _problems(self, message: object) -> dict[str, list[str]]:
        if not isinstance(message, dict):
            return {"topic": [BLANK], "event": [BLANK], "payload": [BLANK]}
        problems = {
            name: [BLANK] for name in ("topic", "event", "payload") if message.get(name) in (None, "")
        }
        if "payload" not in problems and len(dumps(message["payload"])) > self._limits.payload_bytes:
            problems["payload"] = ["Payload size exceeds tenant limit"]
        return problems

    async def _single(self, request: web.Request) -> web.Response:
        claims = self._claims(request)
        if claims is None:
            return web.json_response({"message": "Unauthorized"}, status=401, dumps=dumps)
        name, event = unquote(request.match_info["topic"]), unquote(request.match_info["event"])
        private = request.query.get("private") == "true"
        if private and not await self._authorizer.may_write(name, claims, "broadcast"):
            return web.json_response({"message": "Unauthorized"}, status=403, dumps=dumps)
        if too_many := self._too_many(1):
            return too_many
        is_json = request.content_type == "application/json"
        payload = await request.read()
        if is_json:
            try:
                payload = dumps(json.loads(payload)).encode()
            except json.JSONDecodeError:
                return web.json_response({"message": "expected JSON"}, status=400, dumps=dumps)
        self._hub.from_client(
            name, private, UserBroadcast(f"realtime:{name}", event, payload, is_json=is_json)
        )
        return web.Response(status=202)
