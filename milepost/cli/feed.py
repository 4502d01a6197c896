"""Jobs as `milepost.watch` follows them, for the terminal."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

from milepost import models
from milepost._watch import watch

ACTIVE = frozenset({"pending", "running", "pausing", "paused", "completing", "canceling", "retrying"})


def follow(
    job: str | None = None,
    *,
    url: str | None = None,
    key: str | None = None,
    on_status: Callable[[Any], object] | None = None,
) -> Iterator[list[models.Job]]:
    """The job now and after each change until it ends; or all active ones and those that ended, for ever."""
    # Realtime's failures are told as a status; the library would print them as well.
    logging.getLogger("realtime").addHandler(logging.NullHandler())
    followed: dict[str, models.Job] = {}
    if job is None:
        yield []
    for picture in watch(job, url=url, key=key, on_status=on_status):
        followed[picture["job_id"]] = models.Job.model_validate(picture)
        yield list(followed.values())
