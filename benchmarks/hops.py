"""Each hop's share of the way from POST sent to message received, at 100 jobs that report once a second.

The moments are real ones, of one clock that all processes of the machine share: the client sends; the SQL function
is entered, which is the checkpoint's `received_at`; Postgres commits, as its log says; a reader of that log beside
the stand-in for Realtime sees the message there; the listener's socket has it. How long it takes until the function
is entered is asked at each door in turn: PostgREST itself, PostgREST through the gateway, as the functions reach it,
the functions themselves, and the functions through the gateway, which is the whole way. What a door adds to the one
behind it is its hop's share. How much of the statement's time is the commit is asked of SQL alone.

    python -m benchmarks.hops
"""

import asyncio
import hashlib
import json
import multiprocessing
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Iterable
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import aiohttp
import jwt
import psycopg
from psycopg.types.json import Jsonb

from benchmarks.latency import JOBS, PRO_PLAN_BUDGET, Key, join
from milepost.local.ports import HOST
from milepost.local.realtime.broadcasts import PUBLICATION
from milepost.local.realtime.replication import Change, Stream
from milepost.local.stack import Access, Stack

SECONDS = 60
WARM_UP = 200
STATEMENTS = 400

Moments = dict[Key, float]
"""Seconds since 1970, of the checkpoint with this job's key and count."""


class Ports(NamedTuple):
    functions: int
    postgrest: int


class Heard(NamedTuple):
    """Of each message when Postgres committed it, when a reader of the log saw it, and when the socket had it."""

    committed: Moments
    replicated: Moments
    received: Moments


def serve(pipe: Connection) -> None:
    """The whole stack, in a process of its own."""

    async def main() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().add_reader(pipe.fileno(), stop.set)
        async with Stack() as stack:
            assert stack._functions is not None and stack._postgrest is not None
            pipe.send((stack.access, Ports(stack._functions.port, stack._postgrest.port)))
            await stop.wait()

    asyncio.run(main())


def listen_to(pipe: Connection, stack: Access) -> None:
    """One socket on the tenant's topic, and beside it a reader of the log as the stand-in has one."""
    heard = Heard({}, {}, {})
    topic = f"tenant:{stack.tenant_id}"

    def key_of(message: dict[str, Any]) -> Key | None:
        data = message["data"]
        return (data["job"], data["items_completed"]) if message["type"] == "job.progress" else None

    def replicated(change: Change) -> None:
        at = time.time()
        row = dict(zip((column.name for column in change.relation.columns), change.new or (), strict=True))
        if row["topic"] == topic and (key := key_of(json.loads(str(row["payload"])))):
            heard.committed[key] = change.committed_at.timestamp()
            heard.replicated[key] = at

    async def socket(session: aiohttp.ClientSession) -> None:
        address = stack.realtime_url.replace("http", "ws", 1)
        url = f"{address}/websocket?apikey={stack.publishable_key}&vsn=1.0.0"
        async with session.ws_connect(url, max_msg_size=0) as connection:
            await connection.send_json(join(topic, stack.user_jwt))
            async for message in connection:
                at = time.time()
                said = json.loads(message.data)
                if said["event"] == "broadcast" and (key := key_of(said["payload"]["payload"])):
                    heard.received[key] = at
                elif said["event"] == "system":
                    pipe.send("ready")

    async def main() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().add_reader(pipe.fileno(), stop.set)
        stream = Stream(stack.database_url, PUBLICATION, replicated, asyncio.sleep)
        await stream.start()
        async with aiohttp.ClientSession() as session:
            listening = asyncio.create_task(socket(session))
            await stop.wait()
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        await stream.close()

    asyncio.run(main())
    pipe.recv()
    pipe.send(heard)


class Door(NamedTuple):
    """Where a checkpoint may be handed in, and what opens it there."""

    url: str
    headers: dict[str, str]
    caller: dict[str, str] | None
    """What PostgREST is told that the functions find out."""


def doors(stack: Access, ports: Ports) -> dict[str, Door]:
    """From the innermost one to the whole way."""
    key = {"Authorization": f"Bearer {stack.worker_key}"}
    token = jwt.encode({"role": "service_role"}, stack.jwt_secret)
    service = {"Authorization": f"Bearer {token}", "Content-Profile": "milepost"}
    caller = {"key_hash": hashlib.sha256(stack.worker_key.encode()).hexdigest()}
    rpc = "/rpc/record_checkpoints"
    return {
        "PostgREST": Door(f"http://{HOST}:{ports.postgrest}{rpc}", service, caller),
        "gateway, PostgREST": Door(
            f"{stack.supabase_url}/rest/v1{rpc}",
            {"apikey": stack.secret_key, "Content-Profile": "milepost"},
            caller,
        ),
        "functions": Door(f"http://{HOST}:{ports.functions}/v1/checkpoints", key, None),
        "gateway, functions": Door(f"{stack.api_url}/v1/checkpoints", key, None),
    }


async def post_regularly(doors: Iterable[Door]) -> tuple[list[Moments], Moments]:
    """Each job posts once a second, at each door in turn; when each was sent, by door, and answered."""
    doors = list(doors)
    sent: list[Moments] = [{} for _ in doors]
    answered: Moments = {}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:

        async def one(number: int) -> None:
            await asyncio.sleep(number / JOBS)
            for count in range(1, SECONDS + 1):
                begin = time.monotonic()
                entry = {"job": f"hops-{number}", "items_total": 1_000_000, "items_completed": count}
                place = (number + count) % len(doors)
                door = doors[place]
                body = entry if door.caller is None else {"caller": door.caller, "checkpoints": [entry]}
                sent[place][f"hops-{number}", count] = time.time()
                async with http.post(door.url, json=body, headers=door.headers) as answer:
                    assert answer.status == 200, await answer.text()
                    await answer.read()
                answered[f"hops-{number}", count] = time.time()
                await asyncio.sleep(max(0.0, begin + 1 - time.monotonic()))

        await asyncio.gather(*map(one, range(JOBS)))
    await asyncio.sleep(1)
    return sent, answered


def share_of_commit(database: psycopg.Connection[Any], tenant_id: str) -> tuple[list[float], list[float]]:
    """Of SQL alone the ms of each statement, and of its commit."""
    statement, commit = [], []
    for count in range(1, STATEMENTS + 1):
        entry = {"job": "hops-alone", "items_total": 1_000_000, "items_completed": count}
        body = Jsonb({"caller": {"tenant_id": tenant_id}, "checkpoints": [entry]})
        database.execute("begin")
        begin = time.perf_counter()
        database.execute("select milepost.record_checkpoints(%s)", (body,), prepare=True)
        said = time.perf_counter()
        database.execute("commit")
        statement.append(1000 * (said - begin))
        commit.append(1000 * (time.perf_counter() - said))
    return statement[STATEMENTS // 4 :], commit[STATEMENTS // 4 :]


def row(what: str, took: list[float], whole: float | None = None) -> None:
    share = "" if whole is None else f"{statistics.median(took) / whole:>8.0%}"
    p99 = statistics.quantiles(took, n=100)[98]
    print(f"{what:<52} {statistics.median(took):>8.2f} {p99:>8.2f} {share}", flush=True)


def main() -> None:
    here, there = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(there,))
    server.start()
    stack, ports = here.recv()
    with psycopg.connect(stack.database_url, autocommit=True) as database:
        budget = "update milepost.tenants set messages_per_s = %s where tenant_id = %s"
        database.execute(budget, (PRO_PLAN_BUDGET, stack.tenant_id))
        ear, its_end = multiprocessing.Pipe()
        listener = multiprocessing.Process(target=listen_to, args=(its_end, stack))
        listener.start()
        assert ear.recv() == "ready"
        asked = doors(stack, ports)
        sent, answered = asyncio.run(post_regularly(asked.values()))
        ear.send("stop")
        heard: Heard = ear.recv()
        listener.join()
        entered: Moments = {
            (job, count): at
            for job, count, at in database.execute(
                "select j.key, c.items_completed, extract(epoch from c.received_at)::float8 "
                "from milepost.checkpoints c join milepost.jobs j using (job_id) where j.key like 'hops-%'"
            )
        }
        statement, commit = share_of_commit(database, stack.tenant_id)
    here.send("stop")
    server.join()
    show(dict(zip(asked, sent, strict=True)), answered, entered, heard, statement, commit)


def show(
    sent: dict[str, Moments],
    answered: Moments,
    entered: Moments,
    heard: Heard,
    statement: list[float],
    commit: list[float],
) -> None:
    # A job's first checkpoints create it, or meet a connection that opens.
    whole = [key for key in heard.received if key in heard.committed and key[1] > WARM_UP / JOBS + 1]
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    print(f"{len(whole):,} checkpoints of {JOBS} jobs at 1 Hz, load {load}\n")
    print(f"{'ms':<52} {'p50':>8} {'p99':>8}")
    took: dict[str, list[float]] = defaultdict(list)
    for door, moments in sent.items():
        for key in whole:
            if key in moments:
                took[f"until SQL is entered, from {door}"].append(1000 * (entered[key] - moments[key]))
    way = [key for key in whole if key in sent["gateway, functions"]]
    begun = sent["gateway, functions"]
    took["statement and commit, by PostgREST"] = [
        1000 * (heard.committed[key] - entered[key]) for key in whole
    ]
    took["statement, SQL alone"], took["commit, SQL alone"] = statement, commit
    took["commit to a reader of the log"] = [
        1000 * (heard.replicated[key] - heard.committed[key]) for key in whole
    ]
    took["commit to the socket"] = [1000 * (heard.received[key] - heard.committed[key]) for key in whole]
    took["POST sent to message"] = [1000 * (heard.received[key] - begun[key]) for key in way]
    took["POST sent to answer"] = [1000 * (answered[key] - begun[key]) for key in way]
    for what, these in took.items():
        row(what, these)
    at = {what: statistics.median(these) for what, these in took.items()}
    inner, behind, functions, all_of_it = (at[f"until SQL is entered, from {door}"] for door in sent)
    in_commit = at["commit, SQL alone"]
    hops = {
        "client and gateway": all_of_it - functions,
        "functions": functions - behind,
        "gateway again, since the functions reach PostgREST by it": behind - inner,
        "PostgREST, until the function is entered": inner,
        "statement": at["statement and commit, by PostgREST"] - in_commit,
        "commit": in_commit,
        "the log, until a reader has it": at["commit to a reader of the log"],
        "stand-in for Realtime and socket": at["commit to the socket"] - at["commit to a reader of the log"],
    }
    total = sum(hops.values())
    print(f"\n{'hop (of medians)':<58} {'ms':>6} {'share':>6}")
    for hop, ms in hops.items():
        print(f"{hop:<58} {ms:>6.2f} {ms / total:>6.0%}")
    print(f"{'together':<58} {total:>6.2f}")


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    main()
