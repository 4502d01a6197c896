"""tqdm that also reports: `from milepost.tqdm import tqdm` instead of `from tqdm import tqdm`.

    for row in tqdm(rows, desc="load"):
        ...

The bar is tqdm's own, with all its arguments; beside it there is a job. Needs the extra `tqdm`.

- `job=` and `kind=` name the job; without them it is called as the bar's description, else as the script.
- A bar that begins while another of its thread is open is a stage of that bar's job, called as its
  description without numbers. A stage counts on from one such bar to the next.
- Description and postfix are the job's message; `initial` counts as skipped, since it was not done now.
- A loop that is left early, and a bar that is closed while an exception passes, fail the job; `close()` and
  the iterable's end complete it.
- `disable=True` hides the bar and tracks nothing. `disable=None` hides it where there is no terminal; the job
  is there all the same.

The loop pays what it pays for tqdm: all this happens where tqdm looks at its clock (every 0.1 s). There a
paused job waits, and milepost.JobCanceled or milepost.JobSuperseded is raised where the loop is to end.
"""

import atexit
import re
import sys
import threading
from io import TextIOBase
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakValueDictionary

from typing_extensions import TypeVar

try:
    from tqdm.auto import tqdm as _Bar
except ImportError as error:
    raise ImportError(
        "milepost.tqdm needs the package tqdm. Install it: pip install 'milepost[tqdm]'"
    ) from error

from milepost import _job, _words

__all__ = ["tqdm", "trange"]

T = TypeVar("T", default=Any)

# Nobody starts such a loop again, and a bar around others may rest for hours while they move.
_STALL_AFTER_MS = 24 * 3_600_000
_MAX_STAGES = 20
_ENDS_OF_ITERATION = (StopIteration, StopAsyncIteration)
_NUMBERS = re.compile(r"[\d.,:/%#-]+")

# The bars that are open, in the order in which they began.
_open: "WeakValueDictionary[int, tqdm[Any]]" = WeakValueDictionary()
_numbers = count()


if not TYPE_CHECKING:
    # Generic in tqdm's stubs, but not in tqdm.
    _Bar = {T: _Bar}


class tqdm(_Bar[T]):
    """tqdm's bar, and a job that tells of it."""

    _reports: "_Report | None" = None

    def __init__(self, *args: Any, job: str | None = None, kind: str | None = None, **kwargs: Any) -> None:  # noqa: ANN401
        if "disable" in kwargs and kwargs["disable"] is None and not _is_terminal(kwargs.get("file")):
            kwargs |= {"disable": False, "file": _Nowhere()}
        super().__init__(*args, **kwargs)
        if self.disable:
            return
        outer = next(
            (
                bar
                for bar in reversed(list(_open.values()))
                if bar._reports and bar._reports.is_of_this_thread()
            ),
            None,
        )
        if outer is None or outer._reports is None:
            self._reports = _Report(_begin(job, kind, self.desc.removesuffix(": ")), None)
        else:
            self._reports = outer._reports.within(self.desc)
        self._number = next(_numbers)
        _open[self._number] = self
        self._report()

    def refresh(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as tqdm's own
        shown = super().refresh(*args, **kwargs)
        self._report()
        return shown

    def update(self, n: float | None = 1) -> bool | None:
        shown = super().update(n)
        # Not in refresh(), which holds tqdm's lock and is called by its monitor, too.
        if shown and self._reports is not None and self._reports.attend():
            self.unpause()
        return shown

    def reset(self, total: float | None = None) -> None:
        if self._reports is not None:
            self._report()
            self._reports.begin_anew()
        super().reset(total)

    def close(self) -> None:
        error = sys.exc_info()[1]
        super().close()
        self._end(error, is_left=False)

    def __del__(self) -> None:
        error = sys.exc_info()[1]
        super().close()
        self._end(error, is_left=True)

    def _report(self) -> None:
        if self._reports is not None:
            unit = None if self.unit in ("it", "") else self.unit
            self._reports.say(self.n, self.initial, self.total, unit=unit, message=self._message())

    def _message(self) -> str | None:
        return ", ".join(filter(None, (self.desc.removesuffix(": "), str(self.postfix or "")))) or None

    def _end(self, error: BaseException | None, *, is_left: bool) -> None:
        if self._reports is None:
            return
        self._report()
        reports, self._reports = self._reports, None
        _open.pop(self._number, None)
        is_unfinished = self.total is not None and self.n < self.total
        reports.end(
            error, f"The bar was left at {self.n} of {self.total}." if is_left and is_unfinished else None
        )


def trange(*args: int, **kwargs: Any) -> "tqdm[int]":  # noqa: ANN401
    """`tqdm(range(*args), **kwargs)`."""
    return tqdm(range(*args), **kwargs)


class _Report:
    """What a bar tells its job: of all of it, or of one stage. A stage goes from one bar to the next."""

    def __init__(self, job: _job.Job, stage: str | None) -> None:
        self._job, self._stage = job, stage
        self._thread = threading.get_ident()
        # A bar that lives within an `except` block is not failed by what is handled there.
        self._handled = sys.exc_info()[1]
        self._stages: dict[str, _Report] = {}
        self._before = self._now = _Counts()
        self._said: dict[str, object] = {}

    def is_of_this_thread(self) -> bool:
        return self._thread == threading.get_ident()

    def within(self, description: str) -> "_Report":
        """Of the stage that a bar within this one is."""
        name = _words.name(_NUMBERS.sub("", description).strip() or "within")
        if name not in self._stages and len(self._stages) < _MAX_STAGES:
            stage = _Report(self._job, self._job.stage(name).name)
            stage._stages = self._stages
            self._stages[name] = stage
            self._job._say(name, state="running")
        stage = self._stages.get(name) or next(reversed(self._stages.values()))
        stage.begin_anew()
        stage._handled = sys.exc_info()[1]
        return stage

    def begin_anew(self) -> None:
        """What comes next is counted on top."""
        self._before = self._now

    def say(self, n: float, initial: float, total: float | None, **facts: object) -> None:
        if self._job._lane.ended:
            return
        was, before = self._now, self._before
        done = max(before.done + int(n) - int(initial), was.done)
        skipped = max(before.skipped + int(initial), was.skipped)
        whole = None if total is None else (before.total or before.done + before.skipped) + int(total)
        self._now = _Counts(done, skipped, whole)
        if (done, skipped) != (was.done, was.skipped):
            # Not advance(), which waits and raises: attend() does, where the loop's thread comes by.
            self._job._lane.add(self._stage, (done - was.done, 0, skipped - was.skipped, 0, 0))
        if self._stage is None:
            self._say(facts)
        self._say({"items_total": whole})

    def attend(self) -> bool:
        """Waits while the job is paused; returns whether it did. Raises JobStopped where the loop ends."""
        if not self._job._lane.attention:
            return False
        self._job._attend()
        return True

    def end(self, error: BaseException | None, left: str | None) -> None:
        """A bar within another ends nothing: its stage may go on with the next one."""
        if self._stage is not None or self._job._lane.ended:
            return
        is_news = error is not self._handled and not isinstance(error, _ENDS_OF_ITERATION)
        if error is not None and is_news:
            self._job.__exit__(type(error), error, None)
        elif left is not None:
            self._job._end("failed", left)
        else:
            for name in self._stages:
                self._job._say(name, state="completed")
            self._job.__exit__(None, None, None)

    def _say(self, facts: dict[str, object]) -> None:
        news = {name: value for name, value in facts.items() if self._said.get(name) != value}
        if news:
            self._said |= news
            self._job._say(self._stage, **news)


class _Counts(NamedTuple):
    done: int = 0
    skipped: int = 0
    total: int | None = None


class _Nowhere(TextIOBase):
    """Where a bar is drawn that nobody sees."""

    def write(self, text: str, /) -> int:
        return len(text)


def _begin(job: str | None, kind: str | None, description: str) -> _job.Job:
    called = job or description or Path(sys.argv[0]).name.removesuffix(".py") or "tqdm"
    begun = _job.job(called, kind=kind, max_attempts=1, stall_after_ms=_STALL_AFTER_MS)._begin(waits=False)
    # After the sender has asked for the same: what is asked for last is called first.
    atexit.unregister(_end_all)
    atexit.register(_end_all)
    return begun


def _end_all() -> None:
    """Bars that are open when the process ends were not closed; an exception may be why."""
    error = getattr(sys, "last_value", None)
    for bar in reversed(list(_open.values())):
        bar._end(error, is_left=True)


def _is_terminal(file: Any) -> bool:  # noqa: ANN401
    file = sys.stderr if file is None else file
    return bool(hasattr(file, "isatty") and file.isatty())
