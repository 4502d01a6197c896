"""Jobs as `milepost.watch` follows them, for the terminal."""

import logging
import threading
from collections.abc import Iterator, Sequence
from queue import SimpleQueue

from milepost import models
from milepost._watch import watch

ACTIVE = frozenset({"pending", "running", "pausing", "paused", "completing", "canceling", "retrying"})

# A job that changed; in words, what is wrong with the way to the server; the end of one that was followed.
_News = models.Job | str | BaseException | None


def follow(
    jobs: Sequence[str] = (), *, url: str | None = None, key: str | None = None
) -> Iterator[models.Job | str]:
    """These jobs now and after each change until all have ended; without any, all active ones for ever.

    A text says what is wrong with the way to the server. Raises what `milepost.watch` raises.
    """
    # Realtime's failures are told as a status; the library would print them as well.
    logging.getLogger("realtime").addHandler(logging.NullHandler())
    news: SimpleQueue[_News] = SimpleQueue()

    def read(job: str | None) -> None:
        def tell(status: object) -> None:
            if getattr(status, "state", None) == "unreachable":
                news.put(f"{getattr(status, 'reason', '')} Trying again.")

        try:
            for picture in watch(job, url=url, key=key, on_status=tell):
                news.put(models.Job.model_validate(picture))
        except BaseException as error:  # noqa: BLE001 - raised where the caller waits
            news.put(error)
        news.put(None)

    # A job with a stream of its own cannot be missed when it ends.
    followed: Sequence[str | None] = tuple(dict.fromkeys(jobs)) or (None,)
    for job in followed:
        threading.Thread(target=read, args=(job,), name="milepost-follow", daemon=True).start()
    left = len(followed)
    while left:
        one = news.get()
        if one is None:
            left -= 1
        elif isinstance(one, BaseException):
            raise one
        else:
            yield one
