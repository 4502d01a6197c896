"""Items that wait to be sent: the last word on each, within a bounded memory."""

import json
from typing import Any

MAX_ITEMS = 50_000
MAX_BYTES = 16 * 1024 * 1024

_SETTLED = frozenset({"completed", "failed", "skipped", "canceled"})
_OVERHEAD = 200  # bytes of Python objects around each waiting item, roughly


class Items:
    """Keeps the last report of each item until it is taken. Not thread-safe: its lane's lock guards it.

    Over the bound, the oldest unsettled item is dropped first (a later report will supersede it), then the
    oldest settled.
    """

    def __init__(self, max_items: int = MAX_ITEMS, max_bytes: int = MAX_BYTES) -> None:
        self._max_items, self._max_bytes = max_items, max_bytes
        self._unsettled: dict[tuple[str | None, str], str] = {}
        self._settled: dict[tuple[str | None, str], str] = {}
        self._bytes = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._unsettled) + len(self._settled)

    def put(self, stage: str | None, key: str, state: str, report: str) -> None:
        """`report` is the item's JSON."""
        place = (stage, key)
        self._forget(place)
        (self._settled if state in _SETTLED else self._unsettled)[place] = report
        self._bytes += len(report) + _OVERHEAD
        while len(self) > self._max_items or self._bytes > self._max_bytes:
            self._forget(next(iter(self._unsettled or self._settled)))
            self.dropped += 1

    def take(self, max_items: int, max_bytes: int) -> list[dict[str, Any]]:
        """The oldest ones, settled first, which are no longer kept then."""
        taken: list[dict[str, Any]] = []
        for kept in (self._settled, self._unsettled):
            while kept and len(taken) < max_items and max_bytes > 0:
                place = next(iter(kept))
                max_bytes -= len(kept[place])
                taken.append(json.loads(kept[place]))
                self._forget(place)
        return taken

    def clear(self) -> None:
        self._unsettled.clear()
        self._settled.clear()
        self._bytes = 0

    def _forget(self, place: tuple[str | None, str]) -> None:
        report = self._unsettled.pop(place, None) or self._settled.pop(place, None)
        if report is not None:
            self._bytes -= len(report) + _OVERHEAD
