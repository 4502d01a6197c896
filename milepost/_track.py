"""`track`: one word around an iterable."""

from collections.abc import Iterable, Iterator, Sized
from itertools import islice
from typing import Any, TypeVar

from milepost import _job
from milepost._words import warn_once

T = TypeVar("T")


def track(
    iterable: Iterable[T],
    *,
    job: str,
    total: int | None = None,
    resume: bool = False,
    **job_fields: Any,  # noqa: ANN401
) -> Iterator[T]:
    """Yields what the iterable yields, and reports how many are done.

    As `for row in milepost.track(rows, job="nightly-import")`.

    `total` is the iterable's length unless given. With `resume`, what an earlier run has done is skipped (the
    iterable has to yield the same things in the same order). Other fields are those of `milepost.job`.

    An item counts as done when the next one is asked for. The job completes at the iterable's end. A loop
    that is left before, by `break` or by an exception in its body, fails the job: an iterator cannot see
    which it was. Use `milepost.job` where leaving early is a success.
    """
    if total is None and isinstance(iterable, Sized):
        total = len(iterable)
    return _iterate(iterable, _job.job(job, items_total=total, **job_fields), total, resume)


def _iterate(iterable: Iterable[T], job: _job.Job, total: int | None, resume: bool) -> Iterator[T]:
    with job:
        lane = job._lane
        start = lane.begin_at(_position(job.cursor, total)) if resume else lane.begin_at(None)
        n = 0
        for thing in islice(iterable, start, None) if start else iterable:
            yield thing
            # No clock, lock or call here: the sender reads `n` when it sends.
            n += 1
            lane.n = n
            if lane.attention:
                job._attend()
        if total is None:
            job.set_total(start + n)


def _position(cursor: object, total: int | None) -> int:
    if cursor is None:
        return 0
    if (
        isinstance(cursor, int)
        and not isinstance(cursor, bool)
        and cursor >= 0
        and (total is None or cursor <= total)
    ):
        return cursor
    warn_once(
        "position", f"Milepost: expected a position to resume from, found the cursor {cursor!r}; begins at 0."
    )
    return 0
