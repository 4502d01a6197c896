"""`milepost.watch` against the real stack: what it shows in the end is what the API says."""

import asyncio
import base64
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
from running_stack import RunningStack, Tenant
from talking import Api

import milepost
from milepost import _follow, _transports
from milepost._follow import Status
from milepost._transports import Credential, expires_at, messages
from milepost._watch import _News, _pictures

STEPS = 40
FAULTS = {"drop": 0.3, "double": 0.3, "delay_s": 0.05, "reorder": 0.3, "seed": 11}


@pytest.fixture
def misbehave(stack: RunningStack) -> Iterator[Callable[..., None]]:
    """Makes the Realtime stand-in misbehave until the test is over."""

    def ask(**how: Any) -> None:
        httpx.post(f"{stack.realtime_url}/misbehave", json=how, timeout=10).raise_for_status()

    yield ask
    ask()


def as_user(stack: RunningStack, tenant: Tenant) -> dict[str, Any]:
    """How a user with Realtime watches."""
    return {
        "url": stack.api_url, "token": tenant.owner.jwt, "supabase_url": stack.supabase_url,
        "publishable_key": stack.publishable_key,
    }  # fmt: skip


def as_key(stack: RunningStack, tenant: Tenant) -> dict[str, Any]:
    """How the holder of a Milepost key watches."""
    return {"url": stack.api_url, "key": tenant.operator_key}


def work(stack: RunningStack, tenant: Tenant, job: str, began: Callable[[int], object]) -> threading.Thread:
    """A worker with stages and items, which ends its job; `began` hears of each step."""

    def run() -> None:
        with closing(Api(stack, tenant.worker_key)) as api:
            for step in range(1, STEPS + 1):
                began(step)
                stage = {
                    "name": "load" if step < STEPS // 2 else "check",
                    "items_total": STEPS,
                    "items_completed": step,
                }
                items = [{"key": f"file-{step}", "state": "failed" if step % 7 == 0 else "completed"}]
                state = {"state": "completed"} if step == STEPS else {}
                api.post({"job": job, "message": f"at {step}", "stage": stage, "items": items, **state})

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.parametrize(("who", "via"), [(as_user, "realtime"), (as_key, "events")])
def test_its_last_picture_is_what_the_api_says_also_on_a_bad_network(
    stack: RunningStack,
    tenant: Tenant,
    worker: Api,
    misbehave: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    who: Any,
    via: str,
) -> None:
    # What heals a lost last message, sooner than for users.
    monkeypatch.setattr(_follow, "REFRESH_S", 2.0)
    worker.post({"job": "import"})
    said: list[Status] = []
    cuts = {STEPS // 3, 2 * STEPS // 3}
    writer: threading.Thread | None = None
    pictures = []
    watched = milepost.watch("import", on_status=said.append, **who(stack, tenant))
    for picture in watched:
        pictures.append(picture)
        if writer is None and said[-1].via == via:
            misbehave(**FAULTS)
            writer = work(
                stack, tenant, "import", lambda step: misbehave(**FAULTS, cut=True) if step in cuts else None
            )
    assert writer is not None
    writer.join()
    assert pictures[-1] == worker.job("import")
    assert pictures[-1]["state"] == "completed"
    versions = [picture["version"] for picture in pictures]
    assert versions == sorted(versions)
    assert Status("live", via) in said


def test_all_jobs_end_as_the_api_says_on_a_bad_network(
    stack: RunningStack, tenant: Tenant, worker: Api, misbehave: Callable[..., None]
) -> None:
    worker.post({"job": "job-0"})
    said: list[Status] = []
    writers: list[threading.Thread] = []
    shown: dict[str, Any] = {}
    with closing(milepost.watch(on_status=said.append, **as_user(stack, tenant))) as watched:
        for picture in watched:
            shown[picture["job"]] = picture
            if not writers and said[-1].via == "realtime":
                misbehave(**FAULTS)
                writers = [work(stack, tenant, f"job-{number}", lambda _: None) for number in range(4)]
            if len(shown) == 4 and all(job["state"] == "completed" for job in shown.values()):
                for writer in writers:
                    writer.join()
                # A job as it is listed has less than the whole job.
                if all(seen.items() <= worker.job(job).items() for job, seen in shown.items()):
                    break
    assert Status("live", "realtime") in said


def test_a_stranger_s_jobs_are_not_seen_and_a_job_that_is_not_there_is_said(
    stack: RunningStack, tenant: Tenant, worker: Api
) -> None:
    worker.post({"job": "import"})
    with pytest.raises(milepost.JobNotFound):
        next(milepost.watch("import", url=stack.api_url, token=tenant.stranger.jwt))


def test_a_wrong_key_is_said(stack: RunningStack) -> None:
    with pytest.raises(milepost.NotAllowed):
        next(milepost.watch("import", url=stack.api_url, key="mp_wrong"))


def test_missing_settings_are_said_at_once() -> None:
    with pytest.raises(milepost.ConfigurationError, match="MILEPOST_KEY"):
        milepost.watch("import", url="http://127.0.0.1:9")


def test_a_key_revoked_meanwhile_ends_it(stack: RunningStack, tenant: Tenant, worker: Api) -> None:
    worker.post({"job": "import"})
    watched = milepost.watch("import", **as_key(stack, tenant))
    next(watched)
    stack.sql(
        "select milepost.revoke_key(key_id) from milepost_private.keys where tenant_id = %s and scope = 'operator'",
        (tenant.tenant_id,),
    )
    with pytest.raises(milepost.NotAllowed):
        for _ in watched:
            worker.post({"job": "import", "stage": {"name": str(time.monotonic_ns())}})


def test_a_token_that_has_expired_is_renewed(stack: RunningStack, tenant: Tenant, worker: Api) -> None:
    worker.post({"job": "import", "state": "completed"})
    tokens = iter([stack.jwt(tenant.owner.user_id, exp=int(time.time()) - 60), tenant.owner.jwt])
    pictures = list(milepost.watch("import", url=stack.api_url, token=lambda: next(tokens)))
    assert pictures[-1] == worker.job("import")


def test_the_callbacks_hear_of_states_and_of_progress(
    stack: RunningStack, tenant: Tenant, worker: Api
) -> None:
    heard: list[Any] = []
    worker.post({"job": "import", "items_total": 3})
    watched = milepost.watch(
        "import",
        on_state_change=lambda job, prior: heard.append((prior, job["state"])),
        on_progress=lambda job: heard.append(job["items_completed"]),
        **as_key(stack, tenant),
    )
    for picture in watched:
        if picture["items_completed"] == 0:
            worker.post({"job": "import", "items_completed": 2})
        elif picture["items_completed"] == 2 and picture["state"] == "running":
            worker.post({"job": "import", "items_completed": 3, "state": "completed"})
    states = [each for each in heard if isinstance(each, tuple)]
    assert states == [(None, "running"), ("running", "completed")]
    assert 2 in heard


def test_leaving_the_loop_ends_its_thread_and_connections(
    stack: RunningStack, tenant: Tenant, worker: Api
) -> None:
    worker.post({"job": "import"})
    for _ in milepost.watch("import", **as_user(stack, tenant)):
        break
    assert "milepost-watch" not in {thread.name for thread in threading.enumerate()}


def test_the_command_line_follows_a_job_live_and_tells_its_outcome(
    stack: RunningStack, tenant: Tenant, worker: Api
) -> None:
    worker.post({"job": "import", "items_total": 2})
    settings = {"MILEPOST_URL": stack.api_url, "MILEPOST_KEY": tenant.operator_key, "PATH": ""}
    program = [sys.executable, "-c", "from milepost.cli import main; main()", "watch", "import", "--json"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=settings) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        assert (first["state"], first["items_completed"]) == ("running", 0)
        worker.post({"job": "import", "items_completed": 1})
        worker.post({"job": "import", "items_completed": 2, "state": "completed"})
        last = [json.loads(line) for line in process.stdout][-1]
    assert (process.returncode, last["state"], last["items_completed"]) == (0, "completed", 2)


# ------------------------------------------------------------------------------------------------ without a stack


def token(**claims: Any) -> str:
    middle = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"x.{middle}.x"


def test_a_slow_caller_gets_the_newest_picture_and_each_state_on_the_way() -> None:
    async def follow(news: _News) -> None:
        with news._changed:  # the caller is busy meanwhile
            for version, state in enumerate(
                ["running", "running", "paused", "running", "running", "completed"]
            ):
                news.job({"job_id": "1", "version": version, "state": state})
                news.job({"job_id": "2", "version": version, "state": "running"})
            news.status(Status("live"))
            news.status(Status("polling"))

    heard: list[Any] = []

    def change(job: dict[str, Any], prior: str | None) -> None:
        heard.append((job["job_id"], prior, job["state"]))

    pictures = list(_pictures(_News(follow), change, None, heard.append))
    shown = [(job["job_id"], job["version"]) for job in pictures]
    assert shown == [("1", 1), ("2", 5), ("1", 2), ("1", 4), ("1", 5)]
    assert heard == [
        ("1", None, "running"), ("2", None, "running"), ("1", "running", "paused"), ("1", "paused", "running"),
        ("1", "running", "completed"), Status("polling"),
    ]  # fmt: skip


def test_what_ends_it_is_raised_after_what_was_seen_before() -> None:
    async def follow(news: _News) -> None:
        news.job({"job_id": "1", "version": 1, "state": "running"})
        raise milepost.NotAllowed

    pictures = _pictures(_News(follow), None, None, None)
    assert next(pictures)["version"] == 1
    with pytest.raises(milepost.NotAllowed):
        next(pictures)


def test_a_token_is_asked_for_again_before_it_expires() -> None:
    asked: list[str] = []

    def give() -> str:
        asked.append(token(exp=1000 * (len(asked) + 1)))
        return asked[-1]

    now = 0.0
    credential = Credential(give, lambda: now)

    async def story() -> None:
        nonlocal now
        assert await credential.token() == await credential.token() == asked[0]
        now = 1000 - _transports.EARLY_S + 1
        assert await credential.token() == asked[1]
        credential.refuse()
        assert await credential.token() == asked[2]

    asyncio.run(story())
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (token(exp=17), 17.0),
        (token(), None),
        ("mp_key", None),
        ("a.b.c", None),
        ("a.\xe4.c", None),
        (token(exp="x"), None),
    ],
)
def test_the_end_of_a_token_is_read_where_it_says_one(text: str, expected: float | None) -> None:
    assert expires_at(text) == expected


def test_server_sent_events_are_read_from_any_chunks() -> None:
    text = 'retry: 5\n\nid: 1-2\nevent: a\ndata: {"x":\ndata: "\u2028\x85"}\n\n: still\nid: 3-4\n\ndata: last\r\n\r\nid: cut'
    expected = [
        (None, "message", None),
        ("1-2", "a", '{"x":\n"\u2028\x85"}'),
        ("3-4", "message", None),
        (None, "message", "last"),
    ]

    async def read(size: int) -> list[Any]:
        async def chunks() -> Any:
            whole = text.encode()
            for start in range(0, len(whole), size):
                yield whole[start : start + size]

        return [tuple(message) async for message in messages(chunks())]

    for size in (1, 2, 7, 1000):
        assert asyncio.run(read(size)) == expected


def test_what_is_none_of_milepost_s_is_not_taken_for_it() -> None:
    answer = httpx.MockTransport(lambda _: httpx.Response(200, text="<html>"))

    async def listen() -> None:
        async with _transports.Api("http://proxy", Credential("x"), answer) as api:
            with pytest.raises(milepost.TransportError, match="none of Milepost's"):
                await api.events(None, None, lambda _: None)
            with pytest.raises(milepost.TransportError, match="none of Milepost's"):
                await api.job("x")

    asyncio.run(listen())
