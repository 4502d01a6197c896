"""From POST answered to message received, what broadcasting costs, and what the budget lets through.

The listeners are a process of their own, with clocks that agree (CLOCK_MONOTONIC is the machine's). A
message may arrive before the answer does, since the answer is sent after the commit: such a latency is
negative.

    python -m benchmarks.latency
"""

import asyncio
import json
import multiprocessing
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from typing import Any

import aiohttp
import httpx
import psycopg
from aiohttp import web
from psycopg.types.json import Jsonb

from milepost.local.ports import HOST, listen
from milepost.local.realtime import Limits, Realtime
from milepost.local.running import running
from milepost.local.stack import Access

JOBS, SECONDS = 100, 20
PRO_PLAN_BUDGET = 400
"""Messages a second: with the free plan's budget, 100 jobs at 1 Hz would be held back, which is no latency."""
LISTENERS, MANY_SECONDS, MANY_PER_S = 1_000, 10, 2
INGESTS, BLOCK = 600, 50
BUSY_JOBS, BUSY_PER_S, BUSY_SECONDS = 500, 10, 15
FREE_PLAN_PER_S, TICK_S = 100, 5

Key = tuple[str, int]
"""A job's key and how many items it has completed."""


@dataclass
class Listening:
    """Sockets in another process, and when each got which message."""

    process: multiprocessing.Process
    pipe: Connection

    def stop(self) -> list[tuple[Key, float]]:
        """What was received by all of them together."""
        self.pipe.send("stop")
        received: list[tuple[Key, float]] = self.pipe.recv()
        self.process.join()
        return received


def listening(url: str, apikey: str, token: str, topic: str, sockets: int) -> Listening:
    """Returns when all sockets have joined and messages flow."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.Process(target=listen_to, args=(there, url, apikey, token, topic, sockets))
    process.start()
    assert here.recv() == "ready"
    return Listening(process, here)


def join(topic: str, token: str) -> dict[str, object]:
    """The frame that joins a private topic, and has it said when messages flow."""
    config = {"private": True, "broadcast": {"replication_ready": True}, "presence": {"enabled": False}}
    payload = {"config": config, "access_token": token}
    return {
        "topic": f"realtime:{topic}",
        "event": "phx_join",
        "payload": payload,
        "ref": "1",
        "join_ref": "1",
    }


def listen_to(pipe: Connection, url: str, apikey: str, token: str, topic: str, sockets: int) -> None:
    received: list[tuple[Key, float]] = []
    waiting = set(range(sockets))
    stop = asyncio.Event()

    async def one(session: aiohttp.ClientSession, number: int) -> None:
        address = f"{url.replace('http', 'ws', 1)}/websocket?apikey={apikey}&vsn=1.0.0"
        async with session.ws_connect(address, max_msg_size=0) as socket:
            await socket.send_json(join(topic, token))
            async for message in socket:
                at = time.monotonic()
                frame = json.loads(message.data)
                if frame["event"] == "broadcast":
                    data = frame["payload"]["payload"]["data"]
                    if frame["payload"]["event"] == "job.progress":
                        received.append(((data["job"], data["items_completed"]), at))
                elif frame["event"] == "system":
                    waiting.discard(number)
                    if not waiting:
                        pipe.send("ready")

    async def main() -> None:
        asyncio.get_running_loop().add_reader(pipe.fileno(), stop.set)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            tasks = []
            for number in range(sockets):
                tasks.append(asyncio.create_task(one(session, number)))
                if number % 20 == 19:
                    await asyncio.sleep(0.25)  # the server takes 100 joins a second
            await stop.wait()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())
    pipe.recv()
    pipe.send(received)


async def post_regularly(
    stack: Access, jobs: int, per_s: float, seconds: float
) -> dict[Key, tuple[float, float]]:
    """Each job posts so often, evenly spread; when each was sent and answered."""
    answered: dict[Key, tuple[float, float]] = {}
    headers = {"Authorization": f"Bearer {stack.worker_key}"}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(stack.api_url, headers=headers, connector=connector) as http:

        async def one(number: int) -> None:
            job = f"latency-{jobs}-{number}"
            await asyncio.sleep(number / jobs / per_s)
            last = round(seconds * per_s)
            for count in range(1, last + 1):
                begin = time.monotonic()
                body: dict[str, object] = {"job": job, "items_total": 1_000_000, "items_completed": count}
                if count == last:
                    body["state"] = "completed"  # or it would share the budget with what comes after it
                async with http.post("/v1/checkpoints", json=body) as answer:
                    assert answer.status == 200, await answer.text()
                    await answer.read()
                answered[job, count] = (begin, time.monotonic())
                await asyncio.sleep(max(0.0, begin + 1 / per_s - time.monotonic()))

        await asyncio.gather(*map(one, range(jobs)))
    await asyncio.sleep(1)
    return answered


def show_latency(
    what: str, received: Iterable[tuple[Key, float]], answered: dict[Key, tuple[float, float]]
) -> None:
    # A job's first checkpoint creates it, which takes its time; it is no regular one.
    heard = [(at, *answered[key]) for key, at in received if key in answered and key[1] > 1]
    for name, latencies in (
        ("POST answered to message", [1000 * (at - end) for at, _, end in heard]),
        ("POST sent to message", [1000 * (at - begin) for at, begin, _ in heard]),
    ):
        p50, p99 = statistics.median(latencies), statistics.quantiles(latencies, n=100)[98]
        print(f"{what:<34} {name:<26} {p50:>8.1f} {p99:>8.1f} {max(latencies):>8.1f} {len(latencies):>9,}")


def hundred_jobs(stack: Access, database: psycopg.Connection[Any]) -> None:
    budget = "update milepost.tenants set messages_per_s = %s where tenant_id = %s"
    database.execute(budget, (PRO_PLAN_BUDGET, stack.tenant_id))
    topic = f"tenant:{stack.tenant_id}"
    listener = listening(stack.realtime_url, stack.publishable_key, stack.user_jwt, topic, 1)
    answered = asyncio.run(post_regularly(stack, JOBS, 1, SECONDS))
    show_latency(f"{JOBS} jobs at 1 Hz, 1 listener", listener.stop(), answered)
    database.execute(budget, (80, stack.tenant_id))


def thousand_listeners(stack: Access) -> None:
    """A stand-in of its own, since a project's 200 connections would not do."""
    here, there = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(there, stack.database_url, stack.jwt_secret))
    server.start()
    listener = listening(here.recv(), stack.user_jwt, stack.user_jwt, f"tenant:{stack.tenant_id}", LISTENERS)
    answered = asyncio.run(post_regularly(stack, 1, MANY_PER_S, MANY_SECONDS))
    show_latency(f"1 job at {MANY_PER_S} Hz, {LISTENERS:,} listeners", listener.stop(), answered)
    here.send("stop")
    server.join()


def serve(pipe: Connection, database_url: str, jwt_secret: str) -> None:
    async def main() -> None:
        realtime = Realtime(
            database_url, jwt_secret, limits=Limits(users=10**6, joins_per_s=10**6, events_per_s=10**6)
        )
        app = web.Application()
        realtime.add_routes(app)
        await realtime.start()
        runner = web.AppRunner(app)
        await runner.setup()
        socket = listen(0)
        await web.SockSite(runner, socket).start()
        pipe.send(f"http://{HOST}:{socket.getsockname()[1]}/realtime/v1")
        stop = asyncio.Event()
        asyncio.get_running_loop().add_reader(pipe.fileno(), stop.set)
        await stop.wait()
        await realtime.close()
        await runner.cleanup()

    asyncio.run(main())


def cost_of_broadcasting(stack: Access, database: psycopg.Connection[Any]) -> None:
    """One checkpoint each, every one of them an event, with the trigger and without, in turns."""
    budget = "update milepost.tenants set messages_per_s = %s, progress_interval_ms = %s where tenant_id = %s"
    database.execute(budget, (1e9, 0, stack.tenant_id))
    body = {"caller": {"tenant_id": stack.tenant_id}, "checkpoints": []}
    took: dict[tuple[str, str], list[float]] = {}
    headers = {"Authorization": f"Bearer {stack.worker_key}"}
    with httpx.Client(base_url=stack.api_url, headers=headers) as http:

        def by_http(checkpoint: dict[str, object]) -> None:
            assert http.post("/v1/checkpoints", json=checkpoint).status_code == 200

        def in_sql(checkpoint: dict[str, object]) -> None:
            database.execute(
                "select milepost.record_checkpoints(%s)",
                (Jsonb(body | {"checkpoints": [checkpoint]}),),
                prepare=True,
            )

        ways: dict[str, Callable[[dict[str, object]], None]] = {"HTTP": by_http, "SQL": in_sql}
        count = 0
        for block in range(INGESTS // BLOCK):
            trigger = ("enable", "disable")[block % 2]
            database.execute(f"alter table milepost.events {trigger} trigger _900_broadcast")
            for way, send in ways.items():
                for _ in range(BLOCK):
                    count += 1
                    checkpoint = {"job": f"cost-{way}", "items_total": 10**9, "items_completed": count}
                    begin = time.perf_counter()
                    send(checkpoint)
                    if block >= 2:  # the first two warm up
                        took.setdefault((way, trigger), []).append(time.perf_counter() - begin)
    database.execute("alter table milepost.events enable trigger _900_broadcast")
    database.execute(budget, (80, 250, stack.tenant_id))
    print(f"\n{'one checkpoint, one event':<34} {'with ms':>10} {'without ms':>11} {'share':>7}")
    for way in ways:
        given, bare = (1000 * statistics.median(took[way, trigger]) for trigger in ("enable", "disable"))
        print(f"{'by ' + way:<34} {given:>10.2f} {bare:>11.2f} {1 - bare / given:>7.0%}")


def busy_jobs(database: psycopg.Connection[Any]) -> None:
    """Simulated: the times of receipt are given, two minutes ahead of the stack's own sweep."""
    (made,) = database.execute("select milepost.create_tenant('busy') ->> 'tenant_id'").fetchone() or ("",)
    begin = datetime.now(UTC) + timedelta(minutes=2)
    for tick in range(1, BUSY_SECONDS * BUSY_PER_S + 1):
        counts = {"seq": tick, "items_total": 100_000, "items_completed": 100 * tick}
        body = {
            "caller": {"tenant_id": made},
            "received_at": (begin + timedelta(seconds=tick / BUSY_PER_S)).isoformat(),
            "checkpoints": [{"job": f"busy-{number}"} | counts for number in range(BUSY_JOBS)],
        }
        database.execute("select milepost.record_checkpoints(%s)", (Jsonb(body),))
    rows = database.execute(
        "select floor(extract(epoch from ts - %s))::int, 2 * count(*) from milepost.events "
        "where tenant_id = %s group by 1",
        (begin, made),
    )
    second = Counter[int](dict(rows.fetchall()))
    ticks = [sum(second[at + n] for n in range(TICK_S)) / TICK_S for at in range(1, BUSY_SECONDS - TICK_S)]
    most = max(second[at] for at in range(1, BUSY_SECONDS))
    print(
        f"\n{BUSY_JOBS} jobs at {BUSY_PER_S} Hz: {second[0]} messages in the first second, then at most "
        f"{max(ticks):.0f}/s over {TICK_S} s ({most} in one second); the free plan has {FREE_PLAN_PER_S}/s"
    )


def main() -> None:
    with running() as stack, psycopg.connect(stack.database_url, autocommit=True) as database:
        print(f"{'':<34} {'ms from':<26} {'p50':>8} {'p99':>8} {'max':>8} {'messages':>9}")
        hundred_jobs(stack, database)
        thousand_listeners(stack)
        cost_of_broadcasting(stack, database)
        busy_jobs(database)


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    main()
