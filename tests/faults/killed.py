"""A stack of which a test may kill any part."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
from dev_process import Dev, eventually
from running_stack import RunningStack


class Site:
    """The stack's processes."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._dev = Dev("--data", str(data))
        try:
            self.stack = RunningStack(self._dev.ready())
        except BaseException:
            self.close()
            raise

    def kill(self, part: str, said: str) -> None:
        """Kills a part with -9; what runs the stack has to say so, and to start it again."""
        self._dev.kill(part)
        assert "starting it again" in self.hear(said)

    def hear(self, words: str) -> str:
        """The next thing with these words that it says."""
        return self._dev.said(words)

    def pids(self, part: str) -> list[int]:
        return self._dev.pids(part)

    def kill_all(self) -> None:
        """Kills the process that runs the stack, the gateway and Realtime's stand-in; the rest goes too."""
        family = self._dev.family()
        self._dev.end(signal.SIGKILL)
        eventually(lambda: not [pid for pid in family if Path(f"/proc/{pid}").exists()], "all of it is gone")
        self.close()

    def start_again(self) -> None:
        port = self.stack.api_url.rsplit(":", 1)[1]
        self._dev = Dev("--data", str(self._data), "--port", port)
        self.stack.access = self._dev.ready()

    def is_well(self) -> bool:
        try:
            return httpx.get(f"{self.stack.api_url}/health", timeout=30).status_code == 200
        except httpx.TransportError:
            return False

    @contextmanager
    def holding(self, job_id: str) -> Iterator[Callable[[], int]]:
        """Inside the block a checkpoint of this job has to wait in the middle of its transaction.

        Yields what waits until one does, and returns the id of the database's process in which it does.
        """
        holder = psycopg.connect(self.stack.database_url)
        try:
            holder.execute("select from milepost.jobs where job_id = %s for update", (job_id,))
            yield self._waiting
        finally:
            holder.close()

    def _waiting(self) -> int:
        query = (
            "select pid from pg_stat_activity where wait_event_type = 'Lock' "
            "and query like '%record_checkpoints%' and pid <> pg_backend_pid()"
        )
        found: list[int] = []

        def look() -> bool:
            found[:] = [row["pid"] for row in self.stack.sql(query)]
            return bool(found)

        eventually(look, "a checkpoint waits for the job's row")
        return found[0]

    def close(self) -> None:
        process = self._dev.process
        if process.poll() is None:
            process.terminate()
        process.wait()
        self._dev.stdout.close()
        self._dev.stderr.close()
