"""Tracks long-running batch jobs on Supabase, with no server of its own.

    import milepost

    for row in milepost.track(rows, job="nightly-import"):
        ...

    with milepost.job("nightly-import", items_total=2_000_000, unit="rows") as job:
        for chunk in chunks(start=job.cursor):
            job.advance(len(chunk), cursor={"offset": chunk.end})

Reads MILEPOST_URL and MILEPOST_KEY. Nothing in a loop does I/O, waits for the network, or raises for it.
"""

from milepost import _version
from milepost._job import Job, Stage, job
from milepost._track import track
from milepost._watch import watch
from milepost._work import Worker, claim, worker
from milepost.errors import (
    ApiError,
    ConfigurationError,
    InvalidRequest,
    JobCanceled,
    JobNotFound,
    JobStopped,
    JobSuperseded,
    MilepostError,
    NotAllowed,
    StateConflict,
    TransportError,
    Unavailable,
)

__version__ = _version.VERSION

__all__ = [
    "ApiError",
    "ConfigurationError",
    "InvalidRequest",
    "Job",
    "JobCanceled",
    "JobNotFound",
    "JobStopped",
    "JobSuperseded",
    "MilepostError",
    "NotAllowed",
    "Stage",
    "StateConflict",
    "TransportError",
    "Unavailable",
    "Worker",
    "claim",
    "job",
    "track",
    "watch",
    "worker",
]
