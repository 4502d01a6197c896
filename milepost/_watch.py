"""`milepost.watch`: jobs as they change, as an iterator.

Following runs in a thread with an event loop of its own, so that the picture stays right and connections
stay open while the caller's loop is busy.
"""

import random
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from milepost._job import settings
from milepost._settings import Settings

if TYPE_CHECKING:  # the real ones cost 100 ms, which `import milepost` does not pay
    from milepost._follow import Status

Job = dict[str, Any]

_CLOSE_WAIT_S = 2.0


def watch(
    job: str | None = None,
    *,
    url: str | None = None,
    key: str | None = None,
    token: str | Callable[[], str] | None = None,
    supabase_url: str | None = None,
    publishable_key: str | None = None,
    on_state_change: Callable[[Job, str | None], object] | None = None,
    on_progress: Callable[[Job], object] | None = None,
    on_status: Callable[["Status"], object] | None = None,
) -> Generator[Job, None, None]:
    """Follows a job until it ends, or all active ones for ever.

    Yields each job now and whenever it changed, as a dict: one job as GET /v1/jobs/{job} shows it, all jobs
    as GET /v1/jobs lists them. A caller that is slow gets the newest picture, and each state it missed on
    the way. No loss, doubling, delay or reordering of messages, and no broken connection, leaves a picture
    wrong for long.

    Messages come by Supabase Realtime, else by GET /v1/events, else the jobs are read every two seconds; a
    better way is tried again while a worse one is in use. Realtime needs the extra `cli`, a user's token and
    the project's address and publishable key.

    Args:
        job: the job's key or uuid; None for all active jobs that the caller may see, and those that end
            meanwhile.
        url, key: the API's address and a Milepost key (or a user's token); MILEPOST_URL and MILEPOST_KEY by
            default.
        token: a user's token instead of a key, or what gives one: it is called again before the last one
            expires.
        supabase_url, publishable_key: for Realtime; SUPABASE_URL and SUPABASE_PUBLISHABLE_KEY by default.
        on_state_change: called with the job and its prior state; None where the job is seen for the first
            time.
        on_progress: called with the job after every other change.
        on_status: called with how following goes: `state` is connecting, live, polling or unreachable.

    The callbacks are called while the caller waits for the next job, before it is yielded. Leaving the loop
    ends all.

    Raises ConfigurationError at once; while iterating NotAllowed, JobNotFound, or another ApiError that
    waiting does not change.
    """
    address, given = settings(url, key or ("a token" if token is not None else None))
    supabase = supabase_url or Settings.supabase_url
    apikey = publishable_key or Settings.publishable_key

    async def follow(news: "_News") -> None:
        from milepost import _transports as transports
        from milepost._follow import AllJobs, Follow, OneJob, Polling, Transport

        credential = transports.Credential(given if token is None else token)
        async with transports.Api(address, credential) as api:
            subject = AllJobs(api, news.job) if job is None else OneJob(api, job, news.job)
            ladder: list[Transport] = [transports.ServerSentEvents(api, job), Polling()]
            is_user = token is not None or not given.startswith("mp_")
            if is_user and supabase and apikey and find_spec("realtime"):
                project = transports.Project(supabase, apikey, credential)
                topics = project.tenant_topics if isinstance(subject, AllJobs) else subject.topics
                ladder.insert(0, transports.Realtime(project, topics))
            await Follow(subject, ladder, random.random, news.status).run()

    return _pictures(_News(follow), on_state_change, on_progress, on_status)


def _pictures(
    news: "_News",
    on_state_change: Callable[[Job, str | None], object] | None,
    on_progress: Callable[[Job], object] | None,
    on_status: Callable[["Status"], object] | None,
) -> Generator[Job, None, None]:
    states: dict[str, str] = {}
    news.start()
    try:
        while (one := news.take()) is not None:
            if not isinstance(one, dict):
                if on_status is not None:
                    on_status(one)
                continue
            prior, state = states.get(one["job_id"]), one["state"]
            states[one["job_id"]] = state
            if state != prior:
                if on_state_change is not None:
                    on_state_change(one, prior)
            elif on_progress is not None:
                on_progress(one)
            yield one
    finally:
        news.close()


class _News:
    """A thread that follows, and what it has seen and nobody has taken yet."""

    def __init__(self, follow: Callable[["_News"], Awaitable[None]]) -> None:
        self._follow = follow
        self._changed = threading.Condition()
        self._waiting: deque[list[Job] | Status] = deque()
        self._newest: dict[str, list[Job]] = {}  # of each job what waits last, in a list of one
        self._is_over = False
        self._error: BaseException | None = None
        self._stop: Callable[[], object] | None = None
        self._thread = threading.Thread(target=self._run, name="milepost-watch", daemon=True)

    # ------------------------------------------------------------------------------ the caller's side

    def start(self) -> None:
        self._thread.start()

    def take(self) -> "Job | Status | None":
        """Waits for what is next; None at the end. Raises what ended it."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_over)
            if not self._waiting:
                if self._error is not None:
                    raise self._error
                return None
            one = self._waiting.popleft()
            if not isinstance(one, list):
                return one
            (job,) = one
            if self._newest[job["job_id"]] is one:
                del self._newest[job["job_id"]]
            return job

    def close(self) -> None:
        """Ends the thread, and waits for it a moment."""
        with self._changed:
            self._is_over = True
            if self._stop is not None:
                self._stop()
        self._thread.join(_CLOSE_WAIT_S)

    # ------------------------------------------------------------------------------ the thread's side

    def job(self, job: Job) -> None:
        """A job that changed. It replaces one that waits in the same state, so that nothing piles up."""
        with self._changed:
            newest = self._newest.get(job["job_id"])
            if newest is not None and newest[0]["state"] == job["state"]:
                newest[0] = job
            else:
                self._newest[job["job_id"]] = one = [job]
                self._waiting.append(one)
            self._changed.notify()

    def status(self, status: "Status") -> None:
        with self._changed:
            if self._waiting and not isinstance(self._waiting[-1], list):
                self._waiting.pop()
            self._waiting.append(status)
            self._changed.notify()

    def _run(self) -> None:
        import asyncio

        try:
            asyncio.run(self._main())
        except asyncio.CancelledError:
            pass  # close()
        except BaseException as error:  # noqa: BLE001 - raised again where the caller waits
            self._error = error
        with self._changed:
            self._is_over = True
            self._stop = None
            self._changed.notify()

    async def _main(self) -> None:
        import asyncio

        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        with self._changed:
            if self._is_over or task is None:
                return
            self._stop = lambda: loop.call_soon_threadsafe(task.cancel)
        await self._follow(self)
