"""The local stack: starts its parts in order, looks after them, and stops them all together."""

import asyncio
import fcntl
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import aiohttp
import psycopg
from aiohttp import web
from psycopg import sql

from milepost.local import CHECKOUT, LocalStackError, schema
from milepost.local.functions import Functions
from milepost.local.gateway import Gateway
from milepost.local.guardian import Guardian
from milepost.local.keys import Keys, KeySwap
from milepost.local.ports import HOST, listen
from milepost.local.postgres import Postgres
from milepost.local.postgrest import PostgREST
from milepost.local.realtime import Limits, Realtime

HERE = Path(__file__).parent
DISK_NEEDED_BYTES = 300_000_000
FUNCTIONS_PATIENCE_S = 20.0
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
STEADY_S = 10.0  # a part that ran for this long had started well
SCHEDULE_S = {"sweep": 5.0, "alerts": 60.0, "purge": 86_400.0}


@dataclass(frozen=True)
class Access:
    """Where the stack is and what opens it: the fields that `milepost dev --json` prints."""

    api_url: str
    supabase_url: str
    realtime_url: str
    dashboard_url: str
    database_url: str
    publishable_key: str
    secret_key: str
    jwt_secret: str
    worker_key: str
    operator_key: str
    tenant_id: str
    cron_secret: str
    user_jwt: str
    env_file: str


class Stack:
    """The whole stack behind one port, as an async context manager: inside it everything serves.

    Args:
        port: the gateway's; 0 for a free one. All else takes free ports.
        data: a folder that keeps data and keys; None for a temporary one.
        say: receives a sentence when a part ends and when it is back.
        allow_misbehaviour: whether the Realtime stand-in takes POST /realtime/v1/misbehave.

    Entering raises LocalStackError when something is missing, taken or broken. However the process ends, all
    that was started ends with it, and so does a temporary folder.
    """

    access: Access

    def __init__(
        self,
        port: int = 0,
        data: Path | None = None,
        *,
        say: Callable[[str], None] | None = None,
        allow_misbehaviour: bool = False,
    ) -> None:
        self._port = port
        self._data = data.resolve() if data is not None else None
        self._say = say or _say_on_stderr
        self._allow_misbehaviour = allow_misbehaviour
        self._tasks: list[asyncio.Task[None]] = []
        self._listener: socket.socket | None = None
        self._lock: TextIO | None = None
        self._guardian: Guardian | None = None
        self._realtime: Realtime | None = None
        self._runner: web.AppRunner | None = None
        self._site: web.SockSite | None = None

    async def __aenter__(self) -> "Stack":
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stop()

    async def _start(self) -> None:
        self._listener = listen(self._port)
        self._url = f"http://{HOST}:{self._listener.getsockname()[1]}"
        self._prepare_folder()
        self._guardian = guardian = Guardian(self._data)
        self._folder = guardian.directory
        self._keys_file, self._env_file = self._folder / "keys.json", self._folder / "env"
        self._keys = Keys.load(self._keys_file)
        self._keys.save(self._keys_file)

        self._postgres = Postgres(
            guardian, password=self._keys.postgres_password, durable=self._data is not None
        )
        self._postgrest = PostgREST(guardian, jwt_secret=self._keys.jwt_secret)
        self._functions = Functions(guardian, self._function_settings())
        # The slowest to come up, and it needs none of the others for that.
        functions = await asyncio.to_thread(self._functions.start)
        self._look_after("Postgres", await asyncio.to_thread(self._postgres.start), self._postgres.start)
        await asyncio.to_thread(self._apply_schema)
        postgrest = await asyncio.to_thread(self._start_postgrest)
        self._look_after("PostgREST", postgrest, self._start_postgrest)
        await self._serve(self._listener)
        await asyncio.to_thread(self._make_tenant)
        self.access = self._describe()
        self._write_env_file()
        await self._wait_for_functions(functions)
        self._look_after("The functions' process", functions, self._functions.start)
        for call, interval_s in SCHEDULE_S.items():
            self._tasks.append(asyncio.create_task(self._call_every(call, interval_s)))

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._realtime is not None:
            await self._realtime.close()
        # Nobody new comes in, but what the functions are asking is still answered, or they would wait for it.
        if self._site is not None:
            await self._site.stop()
        if self._guardian is not None:
            await asyncio.to_thread(self._guardian.close)
        if self._runner is not None:
            await self._runner.cleanup()
        if self._listener is not None:
            self._listener.close()
        if self._lock is not None:
            self._lock.close()

    def _prepare_folder(self) -> None:
        if self._data is not None:
            try:
                self._data.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._lock = (self._data / "lock").open("a")
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise LocalStackError(
                    f"Another stack runs on the data in {self._data}. Stop it, or give another --data DIR."
                ) from error
            except OSError as error:
                raise LocalStackError(
                    f"The folder {self._data} cannot be used ({error.strerror}). Give another --data DIR."
                ) from error
        folder = self._data or Path(tempfile.gettempdir())
        free = shutil.disk_usage(folder).free
        if free < DISK_NEEDED_BYTES:
            raise LocalStackError(
                f"The local stack needs {DISK_NEEDED_BYTES // 1_000_000} MB of disk space, and {folder} has "
                f"{free // 1_000_000} MB. Make room there, or name a folder on another disk with --data DIR."
            )

    def _function_settings(self) -> dict[str, str]:
        return {
            "SUPABASE_URL": self._url,
            "SUPABASE_SECRET_KEY": self._keys.secret_key,
            "SUPABASE_PUBLISHABLE_KEY": self._keys.publishable_key,
            "SUPABASE_JWT_SECRET": self._keys.jwt_secret,
            "CRON_SECRET": self._keys.cron_secret,
        }

    def _apply_schema(self) -> None:
        """Brings the database up to what the sources say now; each of them may be applied again."""
        sources = {
            "milepost/local/supabase.sql": (HERE / "supabase.sql").read_text(),
            "milepost/local/realtime/schema.sql": (HERE / "realtime/schema.sql").read_text(),
            "sql/schema": schema.build(),
        }
        with self._postgres.connect() as connection:
            for name, source in sources.items():
                try:
                    connection.execute(source.encode())
                except psycopg.Error as error:
                    raise LocalStackError(f"{name} cannot be applied to the database: {error}") from error
            password = sql.Literal(self._keys.authenticator_password)
            connection.execute(sql.SQL("alter role authenticator password {}").format(password))

    def _start_postgrest(self) -> subprocess.Popen[bytes]:
        return self._postgrest.start(
            self._postgres.url(user="authenticator", password=self._keys.authenticator_password)
        )

    async def _serve(self, listener: socket.socket) -> None:
        swap = KeySwap(self._keys)
        gateway = Gateway(
            swap, CHECKOUT / "public", lambda: self._postgrest.port, lambda: self._functions.port
        )
        realtime = Realtime(
            self._postgres.url(),
            self._keys.jwt_secret,
            role_token=swap.role_token,
            # A developer's machine pays for no plan; milepost.message_budget tells what messages would cost.
            limits=Limits(users=10**6, joins_per_s=10**6, events_per_s=10**9),
            allow_misbehaviour=self._allow_misbehaviour,
        )
        await realtime.start()
        self._realtime = realtime
        app = web.Application()
        realtime.add_routes(app)
        gateway.add_routes(app)
        # A client that hangs up ends the request behind the gateway as well.
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=0.2,
            # A gateway hands bodies on as they came; what is packed too well would fill this process.
            auto_decompress=False,
        )
        await self._runner.setup()
        self._site = web.SockSite(self._runner, listener)
        await self._site.start()

    def _make_tenant(self) -> None:
        """On the first start: a tenant, its keys, and a user who may do everything in it."""
        if self._keys.tenant_id is not None:
            return
        with self._postgres.connect() as connection, connection.transaction():
            tenant = _call(connection, "milepost.create_tenant", "local")
            tenant_id = tenant["tenant_id"]
            worker = _call(connection, "milepost.create_key", tenant_id, "worker", "milepost dev")
            operator = _call(connection, "milepost.create_key", tenant_id, "operator", "milepost dev")
            connection.execute(
                "insert into auth.users (id, aud, role, email) values (%s, 'authenticated', %s, %s)",
                (self._keys.user_id, "authenticated", "local@milepost.invalid"),
            )
            _call(connection, "milepost.add_member", tenant_id, self._keys.user_id, "admin")
        self._keys.tenant_id = tenant_id
        self._keys.worker_key = worker["key"]
        self._keys.operator_key = operator["key"]
        self._keys.save(self._keys_file)

    def _describe(self) -> Access:
        keys = self._keys
        user_jwt = keys.user_token(keys.user_id)
        return Access(
            api_url=self._url,
            supabase_url=self._url,
            realtime_url=self._url.replace("http", "ws", 1) + "/realtime/v1",
            dashboard_url=f"{self._url}/#access_token={user_jwt}",
            database_url=self._postgres.url(),
            publishable_key=keys.publishable_key,
            secret_key=keys.secret_key,
            jwt_secret=keys.jwt_secret,
            worker_key=keys.worker_key or "",
            operator_key=keys.operator_key or "",
            tenant_id=keys.tenant_id or "",
            cron_secret=keys.cron_secret,
            user_jwt=user_jwt,
            env_file=str(self._env_file),
        )

    def _write_env_file(self) -> None:
        access = self.access
        settings = self._function_settings() | {
            "MILEPOST_URL": access.api_url,
            "MILEPOST_KEY": access.operator_key,
            "MILEPOST_TENANT": access.tenant_id,
            "MILEPOST_DATABASE_URL": access.database_url,
        }
        self._env_file.touch(mode=0o600)
        self._env_file.write_text(
            "".join(f"{name}={shlex.quote(value)}\n" for name, value in settings.items())
        )

    async def _wait_for_functions(self, process: subprocess.Popen[bytes]) -> None:
        """Until they answer anything; a source that cannot be loaded does not keep the rest from serving."""
        end = time.monotonic() + FUNCTIONS_PATIENCE_S
        async with aiohttp.ClientSession() as session:
            while process.poll() is None and time.monotonic() < end:
                with suppress(aiohttp.ClientError):
                    async with session.get(f"http://{HOST}:{self._functions.port}/health"):
                        return
                await asyncio.sleep(0.02)

    def _look_after(
        self, name: str, process: subprocess.Popen[bytes], start: Callable[[], subprocess.Popen[bytes]]
    ) -> None:
        self._tasks.append(asyncio.create_task(self._keep_running(name, process, start)))

    async def _keep_running(
        self, name: str, process: subprocess.Popen[bytes], start: Callable[[], subprocess.Popen[bytes]]
    ) -> None:
        """Starts a part again whenever it ends, after a pause that grows while it keeps failing."""
        pause_s, said = SHORTEST_PAUSE_S, ""
        while True:
            began = time.monotonic()
            status = await asyncio.to_thread(process.wait)
            if time.monotonic() - began > STEADY_S:
                pause_s, said = SHORTEST_PAUSE_S, ""
            trouble = f"{name} ended ({_ending(status)})"
            while True:
                # A part that fails in the same way again and again is reported once.
                if trouble != said:
                    self._say(f"{trouble}; starting it again. Its log is in {self._folder}.")
                    said = trouble
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                try:
                    process = await asyncio.to_thread(start)
                    break
                except (LocalStackError, OSError) as error:
                    trouble = str(error)

    async def _call_every(self, call: str, interval_s: float) -> None:
        """What pg_cron or Vercel does where Milepost is deployed."""
        said: set[int] = set()
        headers = {"Authorization": f"Bearer {self._keys.cron_secret}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            while True:
                with suppress(aiohttp.ClientError):
                    async with session.post(f"{self._url}/cron/{call}") as answer:
                        # 503: a part is away, which has been said already.
                        if answer.status >= 400 and answer.status != 503 and answer.status not in said:
                            said.add(answer.status)
                            self._say(f"/cron/{call} answered {answer.status}: {(await answer.text())[:300]}")
                await asyncio.sleep(interval_s)


def _call(connection: psycopg.Connection[Any], function: str, *arguments: str) -> dict[str, Any]:
    """What a function of the schema milepost answers."""
    query = sql.SQL("select {}({})").format(
        sql.Identifier(*function.split(".")), sql.SQL(", ").join(map(sql.Literal, arguments))
    )
    answer: dict[str, Any] = connection.execute(query).fetchall()[0][0]
    return answer


def _ending(status: int) -> str:
    return f"exit code {status}" if status >= 0 else signal.Signals(-status).name


def _say_on_stderr(sentence: str) -> None:
    sys.stderr.write(f"milepost: {sentence}\n")
    sys.stderr.flush()
