"""Claiming jobs, and functions that work on them."""

import os
import time
from collections.abc import Callable, Sequence

from milepost import _job, _words
from milepost._lane import Lane
from milepost._sender import sender_for
from milepost.errors import JobStopped, TransportError, Unavailable


def claim(
    kinds: Sequence[str] | None = None,
    worker: str = "main",
    *,
    url: str | None = None,
    key: str | None = None,
    spool: str | os.PathLike[str] | None = None,
) -> _job.Job | None:
    """Takes the next job of these kinds (or any) that can run, to be entered as a block. None: there is none.

    Asks the server now. `spool` is as for `milepost.job`. Raises ConfigurationError without an address and a
    key, TransportError where it gives no answer, and ApiError where it refuses.
    """
    from milepost._client import Client

    address = _job.settings(url, key)
    client = Client(*address)
    try:
        claimed = client.claim(kinds, worker)
    finally:
        client.close()
    if claimed is None:
        return None
    answer = claimed.model_dump()
    if claimed.cursors and claimed.cursors.get(worker) is not None:
        answer["cursor"] = claimed.cursors[worker]
    lane = Lane(claimed.job, _words.name(worker))
    lane.greeted(answer, int(time.time() * 1000))
    folder = _job.spool_folder(spool)
    return _job.Job(lane, sender_for(*address, folder), (url, key, folder))


class Worker:
    """A function that does one job at a time, of the kinds it is for. Calling it calls the function."""

    def __init__(self, do: Callable[[_job.Job], object], kinds: Sequence[str]) -> None:
        self._do = do
        self.kinds = tuple(kinds)
        self.__doc__ = do.__doc__

    def __call__(self, job: _job.Job) -> object:
        return self._do(job)

    def run_once(self, worker: str = "main") -> bool:
        """Claims one job and does it; false where there was none.

        A job that is canceled or taken over ends here quietly; any other exception fails the job and
        propagates.
        """
        claimed = claim(self.kinds, worker)
        if claimed is None:
            return False
        self._work_on(claimed)
        return True

    def run(self, worker: str = "main", poll_s: float = 5.0) -> None:
        """Does job after job, for ever; where there is none, it asks again after `poll_s` seconds.

        A job whose function raises fails, and the next one is taken; what it raised is logged. Raises what
        `claim` raises where asking again is no use: ConfigurationError, and ApiError but for Unavailable.
        """
        while True:
            try:
                claimed = claim(self.kinds, worker)
            except (TransportError, Unavailable) as error:
                _words.warn_once(
                    "claim", f"Milepost: no job could be claimed. {error.message} It is tried again."
                )
                claimed = None
            if claimed is None:
                time.sleep(poll_s)
                continue
            try:
                self._work_on(claimed)
            except Exception:  # noqa: BLE001 - one job's fault must not keep the next ones from being done
                _words.log.exception("Milepost: the job %s failed.", claimed.key)

    def _work_on(self, claimed: _job.Job) -> None:
        try:
            with claimed:
                self._do(claimed)
        except JobStopped:
            pass


def worker(*kinds: str) -> Callable[[Callable[[_job.Job], object]], Worker]:
    """Makes a function the worker of these kinds: `@milepost.worker("csv_import")`, then `function.run()`."""
    return lambda do: Worker(do, kinds)
