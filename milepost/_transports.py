"""The network under `milepost.watch`: reads and server-sent events by the HTTP API, and Supabase Realtime."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar, get_args

import httpx

from milepost import _version
from milepost._client import USER_AGENT, _path, error_of
from milepost._follow import TERMINAL, Json, Sink
from milepost.errors import NotAllowed, TransportError
from milepost.models import JobState

if TYPE_CHECKING:
    from realtime import AsyncRealtimeClient

Answer = TypeVar("Answer")

TIMEOUT_S = 10.0
SILENCE_S = 40.0  # the stream says something every 15 s
EARLY_S = 60.0  # a token is renewed so long before it expires
QUIET_S = 2.5  # a Realtime server that never says that broadcasts flow is trusted after this
CLOSE_S = 1.0
PAGE = 200
STREAMING = "Replication connection established"


def expires_at(token: str) -> float | None:
    """The moment at which a JWT expires, in seconds since 1970; None for what says none."""
    try:
        middle = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
        return float(claims["exp"])
    except (IndexError, ValueError, KeyError, TypeError):
        return None


class Credential:
    """The key or token that requests carry. A callable is asked for another one before the last one
    expires.
    """

    def __init__(self, given: str | Callable[[], str], wall_clock: Callable[[], float] = time.time) -> None:
        self._given, self._wall_clock = given, wall_clock
        self._token: str | None = None

    @property
    def can_renew(self) -> bool:
        return callable(self._given)

    async def token(self) -> str:
        """One that holds, as far as it can be known."""
        if not callable(self._given):
            return self._given
        if self._token is None or self.left_s() < EARLY_S:
            self._token = await asyncio.to_thread(self._given)
        return self._token

    def left_s(self) -> float:
        """Seconds until the token that was given last expires; 0 for one that does not say."""
        at = expires_at(self._token) if self._token is not None else None
        return 0.0 if at is None else at - self._wall_clock()

    def refuse(self) -> None:
        """The last one was refused: the next one is asked for."""
        self._token = None


class Message(NamedTuple):
    """One server-sent event; `name` is `message` where it says none."""

    id: str | None
    name: str
    data: str | None


async def messages(chunks: AsyncIterator[bytes]) -> AsyncIterator[Message]:
    """Server-sent events from their bytes. One without data still moves the id."""
    rest = b""
    fields: dict[str, str] = {}
    async for chunk in chunks:
        # By line feeds only: a text may have the line breaks of Unicode in it.
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            text = line.removesuffix(b"\r").decode()
            if not text:
                if fields:
                    yield Message(fields.get("id"), fields.get("event", "message"), fields.get("data"))
                fields = {}
            elif not text.startswith(":"):
                name, _, value = text.partition(":")
                value = value.removeprefix(" ")
                fields[name] = f"{fields[name]}\n{value}" if name == "data" and name in fields else value


async def _hear_version(response: httpx.Response) -> None:
    _version.heard(response.headers.get(_version.HEADER))


class Api:
    """Reads jobs and streams events. Raises as `milepost._client.Client` does. An async context manager."""

    def __init__(
        self, url: str, credential: Credential, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._url, self._credential = url, credential
        self._http = httpx.AsyncClient(
            base_url=url,
            headers={"User-Agent": USER_AGENT},
            timeout=TIMEOUT_S,
            transport=transport,
            event_hooks={"response": [_hear_version]},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def job(self, job: str) -> Json:
        answer = await self._get(_path(job))
        if not isinstance(answer, dict) or not {"job_id", "version", "state"} <= answer.keys():
            raise self._not_ours()
        return answer

    async def active_jobs(self) -> list[Json]:
        states = ",".join(state for state in get_args(JobState) if state not in TERMINAL)
        jobs: list[Json] = []
        after: str | None = None
        while True:
            query = {"state": states, "limit": str(PAGE)} | ({"after": after} if after else {})
            page = await self._get("/v1/jobs", query)
            if not isinstance(page, dict) or "jobs" not in page:
                raise self._not_ours()
            jobs += page["jobs"]
            after = page.get("next")
            if after is None:
                return jobs

    async def _get(self, path: str, query: dict[str, str] | None = None) -> Any:  # noqa: ANN401 - any JSON
        async def ask(headers: dict[str, str]) -> Any:  # noqa: ANN401
            response = await self._http.get(path, params=query, headers=headers)
            if not response.is_success:
                raise error_of(response)
            try:
                return response.json()
            except ValueError:
                raise self._not_ours() from None

        return await self._authorized(ask)

    async def _authorized(self, ask: Callable[[dict[str, str]], Awaitable[Answer]]) -> Answer:
        """Asks with the credential; once more with another token where the first was refused."""
        tries = 2 if self._credential.can_renew else 1
        while True:
            tries -= 1
            try:
                return await ask({"Authorization": f"Bearer {await self._credential.token()}"})
            except NotAllowed as error:
                if tries == 0 or error.status != 401:
                    raise
                self._credential.refuse()
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise TransportError(
                    f"{self._url} gave no answer: {str(error) or type(error).__name__}.",
                    "Check MILEPOST_URL and the network.",
                ) from error

    def _not_ours(self) -> TransportError:
        return TransportError(
            f"{self._url} gave an answer that is none of Milepost's.", "Check MILEPOST_URL."
        )

    async def events(self, job: str | None, last_id: str | None, take: Callable[[Message], None]) -> None:
        """One GET /v1/events, from where `last_id` was; returns when the server has ended it."""

        async def ask(headers: dict[str, str]) -> None:
            if last_id is not None:
                headers["Last-Event-ID"] = last_id
            query = {} if job is None else {"job": job}
            timeout = httpx.Timeout(TIMEOUT_S, read=SILENCE_S)
            async with self._http.stream(
                "GET", "/v1/events", params=query, headers=headers, timeout=timeout
            ) as response:
                if not response.is_success:
                    await response.aread()
                    raise error_of(response)
                if not response.headers.get("Content-Type", "").startswith("text/event-stream"):
                    raise self._not_ours()
                async for message in messages(response.aiter_bytes()):
                    take(message)

        await self._authorized(ask)


class ServerSentEvents:
    """GET /v1/events, opened again where it left off when the server ends it in time."""

    name = "events"

    def __init__(self, api: Api, job: str | None) -> None:
        self._api, self._job = api, job

    async def run(self, sink: Sink) -> None:
        last_id: str | None = None

        def take(message: Message) -> None:
            nonlocal last_id
            last_id = message.id or last_id
            if message.data is None:
                return
            body = json.loads(message.data)
            if message.name == "error":
                raise TransportError(body["message"], body["hint"])
            # Events flow from the snapshot on. Reading it once more keeps all transports alike.
            if message.name == "snapshot":
                sink.up()
            else:
                sink.message(body)

        while True:
            await self._api.events(self._job, last_id, take)
            await asyncio.sleep(1)


class Project(NamedTuple):
    """The Supabase project behind the API, and who asks it."""

    url: str
    apikey: str
    credential: Credential

    async def tenant_topics(self) -> list[str]:
        """Where Realtime speaks of the user's tenants. Raises TransportError where there is none."""
        headers = {
            "apikey": self.apikey,
            "Authorization": f"Bearer {await self.credential.token()}",
            "Content-Profile": "milepost",
        }
        async with httpx.AsyncClient(timeout=TIMEOUT_S) as http:
            response = await http.post(f"{self.url}/rest/v1/rpc/list_tenants", json={}, headers=headers)
        if not response.is_success:
            raise error_of(response)
        topics = [f"tenant:{tenant['tenant_id']}" for tenant in response.json()]
        if not topics:
            raise TransportError("The user belongs to no tenant.", "Add one: milepost members add.")
        return topics


class Realtime:
    """Private channels of Supabase Realtime.

    It is up when the server says that broadcasts from the database flow; a server that never says so is
    trusted after a while.
    """

    name = "realtime"

    def __init__(self, project: Project, topics: Callable[[], Awaitable[list[str]]]) -> None:
        self._project, self._credential, self._topics = project, project.credential, topics

    async def run(self, sink: Sink) -> None:
        from realtime import AsyncRealtimeClient

        client = AsyncRealtimeClient(
            f"{self._project.url}/realtime/v1", self._project.apikey, auto_reconnect=False
        )
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        timers: list[asyncio.TimerHandle] = []
        topics = await self._topics()
        silent = set(topics)

        def flows(topic: str) -> None:
            if topic in silent:
                silent.discard(topic)
                if not silent:
                    sink.up()

        def said(topic: str, status: Any) -> None:  # noqa: ANN401 - realtime's own
            if status.message == STREAMING:
                flows(topic)

        def changed(topic: str, state: Any, error: Exception | None) -> None:  # noqa: ANN401
            if state == "SUBSCRIBED":
                timers.append(loop.call_later(QUIET_S, flows, topic))
            elif not ended.done():
                ended.set_exception(TransportError(str(error or state.value.lower().replace("_", " "))))

        try:
            await client.connect()
            await client.set_auth(await self._credential.token())
            for topic in topics:
                channel = client.channel(
                    topic,
                    {
                        "config": {
                            "private": True,
                            "broadcast": {"ack": False, "self": False, "replication_ready": True},
                            "presence": {"key": "", "enabled": False},
                        }
                    },
                )
                channel.on_broadcast("*", lambda broadcast: sink.message(broadcast["payload"]))
                channel.on_system(partial(said, topic))
                await channel.subscribe(partial(changed, topic))
            await self._renew_until(ended, client)
        finally:
            for timer in timers:
                timer.cancel()
            if not ended.cancel():
                ended.exception()  # heard: it was raised, or something else has ended this before
            with suppress(Exception):
                async with asyncio.timeout(CLOSE_S):
                    await client.close()

    async def _renew_until(self, ended: "asyncio.Future[None]", client: "AsyncRealtimeClient") -> None:
        """Waits for the end; meanwhile the channels get each new token before the old one expires."""
        while True:
            left_s = self._credential.left_s() if self._credential.can_renew else None
            wait_s = None if left_s is None else max(left_s - EARLY_S, EARLY_S / 2)
            done, _ = await asyncio.wait([ended], timeout=wait_s)
            if done:
                return ended.result()
            await client.set_auth(await self._credential.token())
