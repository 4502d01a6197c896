"""Jobs as they change: read from the API, again every second, and at once when Realtime hints at a change.

The API's answer is the truth. A message only says that it is time to look again: a lost one delays, and never
misleads.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from typing import Self

from milepost import models
from milepost._client import Client
from milepost._words import log

ACTIVE = frozenset({"pending", "running", "pausing", "paused", "completing", "canceling", "retrying"})
_EVENTS = (
    "job.started",
    "job.progress",
    "job.state_changed",
    "job.completed",
    "job.failed",
    "job.stalled",
    "job.recovered",
    "stage.changed",
    "item.changed",
)


class Hints:
    """Waits for a Realtime message on a topic, or for the next second, whichever comes first.

    Realtime is used where SUPABASE_URL, SUPABASE_PUBLISHABLE_KEY and a user's token (as MILEPOST_KEY) are
    known; a Milepost key opens no channel.
    """

    def __init__(self, topic: str | None, poll_s: float = 1.0) -> None:
        self._topic, self._poll_s = topic, poll_s
        self._hinted = threading.Event()
        self._thread: threading.Thread | None = None
        self._close: Callable[[], object] | None = None

    def __enter__(self) -> Self:
        url, apikey = os.environ.get("SUPABASE_URL"), os.environ.get("SUPABASE_PUBLISHABLE_KEY")
        token = os.environ.get("MILEPOST_KEY", "")
        topic = self._topic
        if topic and url and apikey and token and not token.startswith("mp_"):
            self._thread = threading.Thread(
                target=lambda: asyncio.run(self._listen(topic, url, apikey, token)),
                name="milepost-hints",
                daemon=True,
            )
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._close is not None and self._thread is not None:
            self._close()
            self._thread.join(2)

    def wait(self) -> bool:
        """Returns whether it was a message."""
        hinted = self._hinted.wait(self._poll_s)
        self._hinted.clear()
        return hinted

    async def _listen(self, topic: str, url: str, apikey: str, token: str) -> None:
        from realtime import AsyncRealtimeClient
        from realtime.types import RealtimeChannelConfig

        closed, loop = asyncio.Event(), asyncio.get_running_loop()
        self._close = lambda: loop.call_soon_threadsafe(closed.set)
        client = AsyncRealtimeClient(f"{url.rstrip('/')}/realtime/v1", apikey)
        try:
            await client.connect()
            await client.set_auth(token)
            config: RealtimeChannelConfig = {"broadcast": None, "presence": None, "private": True}
            channel = client.channel(topic, {"config": config})
            for event in _EVENTS:
                channel.on_broadcast(event, lambda _: self._hinted.set())
            await channel.subscribe()
            await closed.wait()
            await client.close()
        except Exception:  # noqa: BLE001 - polling goes on without hints, whatever is wrong with Realtime
            log.debug("No hints from Realtime.", exc_info=True)


def follow_job(client: Client, key: str) -> Iterator[list[models.Job]]:
    """The job now and after each change, until it has ended."""
    job = client.job(key)
    yield [job]
    with Hints(f"job:{job.job_id}") as hints:
        while job.state in ACTIVE:
            hints.wait()
            job = client.job(job.job_id)
            yield [job]


def follow_all(client: Client) -> Iterator[list[models.Job]]:
    """The active jobs, and those that ended while they were followed, for ever."""
    followed: dict[str, models.Job] = {}
    jobs = client.jobs(limit=100).jobs
    tenant = next((job.tenant_id for job in jobs), None)
    with Hints(f"tenant:{tenant}" if tenant else None) as hints:
        while True:
            followed |= {job.job_id: job for job in jobs if job.state in ACTIVE or job.job_id in followed}
            yield list(followed.values())
            hints.wait()
            jobs = client.jobs(limit=100).jobs
