"""Reads progress from what a program prints: percent, `17/40`, `1,234 of 5,678`, tqdm's bars.

Pure: bytes go in, in whatever pieces; what was read comes out. Nothing that a program prints raises here.

Of several things that look like progress the surest counts: a bar before `n/m`, `n/m` before a percentage. Of
several counters the first is followed until it is full; what comes after it is added to it. A bar that is
drawn below another one (tqdm's `position`) is left out, since the one above it counts the same work.
"""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

PERCENT, COUNT, BAR = 1, 2, 3

_MAX_LINE_BYTES = 4_096
_MAX_MESSAGE = 500
_TAIL_LINES = 20
_MAX_COUNT = 10**15

# A program goes back over a line with a carriage return, or with backspaces.
_END = re.compile(rb"[\r\n\b\f\v]")
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\|$)|[@-Z\\-_]|$)")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_CURSOR_UP = "\x1b[A"

_SCALES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
_AMOUNT = r"\d[\d,_]{0,20}(?:\.\d{1,6})?[kMGTP]?"
_BAR = re.compile(rf"(\d{{1,3}})%\|[^|]*\|\s*({_AMOUNT})/({_AMOUNT})\s+\[[^\]]*\]?")
_BAR_WITHOUT_TOTAL = re.compile(rf"(?<![\w.,])({_AMOUNT})\s?[^\W\d]\w{{0,20}} \[\d[\d:]+, ")
_BAR_UNIT = re.compile(r"[\d.?]+[kMGTP]?([^\W\d]\w{0,20})/s|[\d.]s/([^\W\d]\w{0,20})")
# Neither dates (2026/11/22, 11/22 07:10) nor paths, ranges and ratios of times.
_COUNT = re.compile(
    r"(?<![\w/.,:=%+-])(\d[\d,_]{0,20}(?:\.\d{1,6})?)(?:\s?/\s?|\s+of\s+)(\d[\d,_]{0,20}(?:\.\d{1,6})?)"
    r"(?![\w/%]|[.,:-]\d|-\w|\s+\d{1,2}:\d\d)"
)
_PERCENT = re.compile(r"(?<![\w.,/:=+-])(\d{1,3}(?:[.,]\d{1,6})?)\s?%(?![\w%])")
_DIGITS = re.compile(r"\d+")


class Progress(NamedTuple):
    """How far a program says it is. `total` is None where it does not say; `unit` where it names none."""

    completed: int
    total: int | None
    unit: str | None


class _Reading(NamedTuple):
    rank: int
    n: int
    total: int | None
    label: str
    unit: str | None


@dataclass(frozen=True, slots=True)
class _Counters:
    """The counter that is followed, and the sums of those that are full."""

    rank: int = 0
    n: int = 0
    total: int | None = None
    label: str = ""
    unit: str | None = None
    before_n: int = 0
    before_total: int = 0

    def after(self, read: _Reading) -> "_Counters":
        if read.rank < self.rank:
            return self
        if read.rank > self.rank:
            return _Counters(read.rank, read.n, read.total, read.label, read.unit)
        is_same = read.total == self.total if self.total is not None else read.label == self.label
        is_resized = read.label == self.label and read.total is not None
        if read.n >= self.n and (is_same or (is_resized and not self._is_full())):
            return replace(self, n=read.n, total=read.total, unit=read.unit or self.unit)
        if not self._is_full() or (is_same and read.n == self.n):
            return self
        return _Counters(
            read.rank,
            read.n,
            read.total,
            read.label,
            read.unit,
            before_n=self.before_n + self.n,
            before_total=self.before_total + (self.n if self.total is None else self.total),
        )

    def _is_full(self) -> bool:
        return self.total is None or self.n >= self.total

    def progress(self) -> Progress | None:
        if not self.rank:
            return None
        total = None if self.total is None else self.before_total + self.total
        return Progress(self.before_n + self.n, total, self.unit)


class ProgressText:
    """What one stream of a program's output says.

    `message` is the last line that is no bar; of a bar, its description. `tail` are the last lines.
    """

    def __init__(self) -> None:
        self.message: str | None = None
        self.tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._counters = _Counters()
        self._line = b""

    @property
    def rank(self) -> int:
        """How sure the progress is: PERCENT, COUNT or BAR; 0 where there is none."""
        return self._counters.rank

    @property
    def progress(self) -> Progress | None:
        """What the lines that have ended say."""
        return self._counters.progress()

    def feed(self, data: bytes) -> None:
        """Takes the next piece."""
        *lines, rest = _END.split(self._line + data)
        self._line = rest[-_MAX_LINE_BYTES:]
        for line in lines:
            self._take(line[-_MAX_LINE_BYTES:])

    def settle(self) -> None:
        """Reads the line that has not ended, because nothing more has come for a while."""
        text = _text(self._line)
        # A number at its very end may have only begun.
        if text and not text[-1].isdigit():
            self._read(text)

    def end(self) -> None:
        """Takes the line that has not ended, because nothing more will come."""
        self.feed(b"\n")

    def _take(self, line: bytes) -> None:
        text = _text(line)
        if text.strip() and not self._read(text):
            shown = _plain(text)
            if any(character.isalnum() for character in shown):
                self.tail.append(shown)

    def _read(self, text: str) -> bool:
        """Takes progress and message of the text; returns whether it is a bar."""
        read = next(_readings(text), None)
        is_bar = read is not None and read.rank == BAR
        if read is not None and not (is_bar and _CURSOR_UP in text):
            self._counters = self._counters.after(read)
        said = (read.label if is_bar and read is not None else _plain(text)).strip()
        if any(character.isalnum() for character in said):
            self.message = said[:_MAX_MESSAGE]
        return is_bar


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace")


def _plain(text: str) -> str:
    return _CONTROL.sub("", _ESCAPE.sub("", text)).expandtabs(4).strip()


def _readings(text: str) -> Iterator[_Reading]:
    """What looks like progress in a line, the surest first."""
    text = _plain(text)
    if found := _BAR.search(text):
        percent, n, total = found.groups()
        unit = _BAR_UNIT.search(text, found.end(3))
        named = next(filter(None, unit.groups()), None) if unit else None
        counts = _counts(BAR, n, total, _label(text[: found.start()]), None if named == "it" else named)
        yield counts or _Reading(BAR, min(int(percent), 100), 100, _label(text[: found.start()]), "%")
    elif found := _BAR_WITHOUT_TOTAL.search(text):
        n_only = _amount(found[1])
        yield _Reading(BAR, min(int(n_only), _MAX_COUNT), None, _label(text[: found.start()]), None)
    percents = [float(one[1].replace(",", ".")) for one in _PERCENT.finditer(text)]
    percents = [value for value in percents if value <= 100]
    for found in _COUNT.finditer(text):
        counts = _counts(COUNT, found[1], found[2], _label(text[: found.start()]), None)
        # Beside a percentage, two numbers that disagree with it count something else.
        if counts and counts.total and (
            not percents or any(abs(100 * counts.n / counts.total - value) <= 1 for value in percents)
        ):  # fmt: skip
            yield counts
    if percents:
        yield _Reading(PERCENT, int(percents[-1]), 100, "", "%")


def _counts(rank: int, n: str, total: str, label: str, unit: str | None) -> _Reading | None:
    """Two numbers as a reading; of those with a fraction (1.2/3.4 MB), the percentage."""
    done, whole = _amount(n), _amount(total)
    if not 0 < whole <= _MAX_COUNT or done > whole:
        return None
    if done != int(done) or whole != int(whole):
        return _Reading(rank, int(100 * done / whole), 100, label, "%")
    return _Reading(rank, int(done), int(whole), label, unit)


def _amount(text: str) -> float:
    scale = text[-1] if text[-1] in _SCALES else ""
    return float(text.removesuffix(scale).replace(",", "").replace("_", "").rstrip(".")) * _SCALES[scale]


def _label(text: str) -> str:
    """What stands before a counter, without the numbers that change with it."""
    return _DIGITS.sub("#", text).strip(" \t:-([|")
