"""Joining Realtime topics as anybody, with the frames of its protocol."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from running_stack import Person, RunningStack, Tenant

# How long something that must happen may take before the test fails.
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Hall:
    """A tenant with a running job of a member's, and who might listen to it."""

    stack: RunningStack
    tenant: Tenant
    job_id: str
    job_owner: Person
    operator: Person

    @classmethod
    def of(cls, stack: RunningStack) -> "Hall":
        tenant, job_owner, operator = stack.tenant(), stack.person(), stack.person()
        for person, role in ((job_owner, "viewer"), (operator, "operator")):
            stack.sql("select milepost.add_member(%s, %s, %s)", (tenant.tenant_id, person.user_id, role))
        job_id = start_job(stack, tenant.tenant_id, job_owner.user_id)
        return cls(stack, tenant, job_id, job_owner, operator)

    def topics(self) -> dict[str, str]:
        return {
            "job:{job}": f"job:{self.job_id}",
            "tenant:{tenant}": f"tenant:{self.tenant.tenant_id}",
            "user:{job owner}": f"user:{self.job_owner.user_id}",
        }

    def token(self, actor: str) -> str | None:
        """What the actor joins with; None where the socket's API key is all it has."""
        people = {
            "stranger": self.tenant.stranger, "viewer": self.tenant.teammate, "job owner": self.job_owner,
            "operator": self.operator, "admin": self.tenant.owner,
        }  # fmt: skip
        if actor in people:
            return people[actor].jwt
        if actor.endswith(" key"):
            key: str = getattr(self.tenant, actor.replace(" ", "_"))
            return key
        return None

    @asynccontextmanager
    async def socket(self, actor: str) -> AsyncIterator["Socket"]:
        apikey = self.stack.secret_key if actor == "service" else self.stack.publishable_key
        address = f"{self.stack.realtime_url}/websocket?apikey={apikey}&vsn=1.0.0"
        async with aiohttp.ClientSession() as session, session.ws_connect(address) as socket:
            yield Socket(socket, self.token(actor))


class Socket:
    """A connection of one actor's."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, token: str | None) -> None:
        self._socket, self._token, self._ref = socket, token, 0
        self.heard: list[dict[str, Any]] = []

    async def join(self, topic: str, **config: Any) -> dict[str, Any]:
        """The reply to joining: `{"status", "response"}`."""
        self._ref += 1
        payload: dict[str, Any] = {"config": {"private": True, **config}}
        if self._token is not None:
            payload["access_token"] = self._token
        frame = {"topic": f"realtime:{topic}", "event": "phx_join", "payload": payload}
        await self._socket.send_str(json.dumps({**frame, "ref": str(self._ref), "join_ref": str(self._ref)}))
        while True:
            await self.hear()
            if self.heard[-1]["event"] == "phx_reply" and self.heard[-1]["ref"] == str(self._ref):
                reply: dict[str, Any] = self.heard[-1]["payload"]
                return reply

    async def hear(self) -> None:
        """Waits for the next message. Fails where none comes."""
        message = await self._socket.receive(timeout=PATIENCE_S)
        assert message.type == aiohttp.WSMsgType.TEXT, f"the socket closed: {message}; heard {self.heard}"
        self.heard.append(json.loads(message.data))

    async def hear_of(self, text: str) -> str:
        """All that was heard, once this is in it."""
        while text not in str(self.heard):
            await self.hear()
        return str(self.heard)


def start_job(stack: RunningStack, tenant_id: str, owner_id: str | None = None) -> str:
    """A running job; its id."""
    made = stack.sql(
        "select milepost.create_job(jsonb_build_object('tenant_id', %s::text), "
        "jsonb_build_object('job', gen_random_uuid() || ' sesame', 'owner_id', %s::text)) as answer",
        (tenant_id, owner_id),
    )
    job_id: str = made[0]["answer"]["job"]["job_id"]
    return job_id
