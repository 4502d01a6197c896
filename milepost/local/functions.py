"""The HTTP functions in a process of their own: functions-framework under gunicorn."""

import os
import subprocess
import sys

from milepost.local import CHECKOUT, LocalStackError
from milepost.local.guardian import Guardian
from milepost.local.ports import HOST, free_port

SOURCE = CHECKOUT / "functions/main.py"
THREADS = 32  # each open stream of events holds one


class Functions:
    """The process, on a free port that changes with each start. `settings` are its SUPABASE_... variables."""

    def __init__(self, guardian: Guardian, settings: dict[str, str]) -> None:
        self._guardian = guardian
        self._settings = settings
        self.port = 0
        self.log = guardian.directory / "functions.log"

    def start(self) -> subprocess.Popen[bytes]:
        """Starts the process and returns at once; it answers a moment later."""
        if not SOURCE.exists():
            raise LocalStackError(f"There is no {SOURCE}: `milepost dev` runs from a checkout of Milepost.")
        self.port = free_port()
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("MILEPOST_", "SUPABASE_"))
        }
        options = [f"--source={SOURCE}", "--target=api", f"--host={HOST}", f"--port={self.port}"]
        return self._guardian.spawn(
            [sys.executable, "-m", "functions_framework", *options],
            env=inherited
            | self._settings
            | {"PYTHONPATH": str(CHECKOUT), "PYTHONUNBUFFERED": "1", "THREADS": str(THREADS), "WORKERS": "1"},
            log=self.log,
        )
