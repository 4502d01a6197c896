"""What a sender has in its spool: what it could not send itself, and what processes before it left there.

Only the sender's thread works here, so that no loop waits for a disk. Where the spool cannot be written,
reports stay in memory as if there were none.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from milepost._lane import Entry, Lane
from milepost._spool import Batch, Folder, KeptLane, owner
from milepost._words import log, warn_once
from milepost.errors import MilepostError, NotAllowed, TransportError, Unavailable

if TYPE_CHECKING:
    from milepost.models import CheckpointsAnswer, Job

Waiting = list[tuple[Lane, list[Entry]]]


def unsent_items(waiting: Waiting, lane: Lane) -> int:
    return sum(len(entry.get("items", ())) for one, entries in waiting if one is lane for entry in entries)


class Backlog:
    def __init__(self, spool: str, url: str, key: str) -> None:
        self._root, self._owner = Path(spool), owner(url, key)
        self._own: Folder | None = None
        self._lanes: dict[Lane, KeptLane] = {}
        self._refused: set[Lane] = set()
        self._inherited: list[Folder] | None = None
        # Whether all counts that were kept are on the disk; if not, no more are to be taken from memory.
        self.is_written = True

    # -------------------------------------------------------------------------------- to keep

    def keep(self, waiting: Waiting) -> Waiting:
        """Writes down what waits to be sent. Returns what could not be written."""
        if not waiting and self.is_written:
            return waiting
        is_known = self.is_written and all(lane in self._lanes for lane, _ in waiting)
        self.is_written = False
        try:
            if self._own is None:
                self._own = Folder.create(self._root, self._owner)
            for lane, _ in waiting:
                self._know(self._own, lane)
            if not is_known:
                self._own.write_lanes()
            # Items before the cursor behind them, since nobody does again what lies before a cursor.
            left = self._keep_items(self._own, waiting)
            for lane, entries in waiting:
                for entry in entries:
                    if "items" not in entry:
                        self._lanes[lane].keep(entry)
            for lane, kept in self._lanes.items():
                kept.missing = lane.unsent_items + unsent_items(left, lane)
            waiting = left
            self._own.write_lanes()
            self.is_written = True
        except OSError as error:
            self._warn_of_disk(error)
        return waiting

    def _keep_items(self, folder: Folder, waiting: Waiting) -> Waiting:
        """Returns what there is no room for."""
        left = [(lane, [entry for entry in entries if "items" in entry]) for lane, entries in waiting]
        try:
            for lane, entries in left:
                while entries:
                    folder.add_items(self._lanes[lane].number, entries[0])
                    entries.pop(0)
        except OSError as error:
            self._warn_of_disk(error)
        return [(lane, entries) for lane, entries in left if entries]

    def _know(self, folder: Folder, lane: Lane) -> None:
        if lane not in self._lanes:
            number = len(folder.lanes)
            kept = KeptLane(number, lane.job, lane.worker, lane.attempt, lane.greeting)
            folder.lanes[number] = self._lanes[lane] = kept

    def _warn_of_disk(self, error: OSError) -> None:
        warn_once(
            "spool",
            f"Milepost: the spool {self._root} cannot be used ({error.strerror or error}). "
            "What cannot be sent is kept in memory only.",
        )

    def drop(self, lane: Lane) -> None:
        """Nobody is to hear this lane any more."""
        if lane in self._lanes:
            self._lanes[lane].dropped = True

    def leave(self) -> None:
        """After a fork: this is the parent's."""
        for folder in (self._own, *(self._inherited or ())):
            if folder is not None:
                folder.leave()

    # -------------------------------------------------------------------------------- to send

    def inherit(self) -> None:
        """Takes over, once, what processes that have ended left behind."""
        if self._inherited is None:
            self._inherited = []
            try:
                self._inherited += Folder.inherited(self._root, self._owner)
            except OSError as error:
                self._warn_of_disk(error)

    def inherited_counts(self, create: Callable[[Entry], "tuple[str, Job]"]) -> Iterator[Batch]:
        """The last counts of earlier processes, with their cursors: jobs are to go on from there."""
        for folder in self._inherited or ():
            for kept in folder.lanes.values():
                if kept.attempt is None and not kept.dropped:
                    self._identify(folder, kept, create)
            while (batch := folder.counts()) is not None:
                yield batch

    def inherited_items(self) -> Iterator[Batch]:
        while self._inherited:
            folder = self._inherited[0]
            while (batch := folder.items()) is not None:
                yield batch
            for kept in folder.lanes.values():
                if kept.missing and not kept.dropped:
                    log.warning(
                        "Milepost: %d reports on items of %r did not fit into the spool and are lost.",
                        kept.missing,
                        kept.job,
                    )
            self._remove(folder)
            del self._inherited[0]

    def own(self) -> Iterator[Batch]:
        """What this process could not send, counts and items."""
        if self._own is None:
            return
        for lane, kept in self._lanes.items():
            if kept.attempt is None and lane.attempt is not None:
                kept.job, kept.attempt, kept.first_seq = lane.job, lane.attempt, lane.first_seq
                self._write(self._own)
        while (batch := self._own.counts() or self._own.items()) is not None:
            yield batch

    def _identify(self, folder: Folder, kept: KeptLane, create: Callable[[Entry], "tuple[str, Job]"]) -> None:
        """Finds the attempt of a lane that the server has never heard of.

        It can only have been the first one, and the server knows nothing newer if it knows no such lane.
        """
        if kept.greeting is None:
            return self._drop(folder, kept, "nobody knows of which attempt it was")
        try:
            job, found = create(kept.greeting)
        except (TransportError, Unavailable, NotAllowed):
            raise
        except MilepostError as error:
            return self._drop(folder, kept, error.message)
        if found.attempt != 1 or any(lane.worker == kept.worker for lane in found.workers):
            return self._drop(folder, kept, "others have worked on this job since")
        kept.job, kept.attempt = job, 1
        self._write(folder)
        return None

    def settle(
        self,
        batch: Batch,
        answer: "CheckpointsAnswer | None",
        hear: "Callable[[Lane, set[int], CheckpointsAnswer], bool]",
    ) -> None:
        """The batch was answered, or, without an answer, refused.

        `hear` tells a lane of this process what was answered to its entries; false if one was refused.
        """
        folder = batch.folder
        errors = {error.index: error for error in answer.errors} if answer is not None else {}
        indexes: dict[KeptLane, set[int]] = {}
        for index, (kept, _) in enumerate(batch.entries):
            indexes.setdefault(kept, set()).add(index)
        live = {kept: lane for lane, kept in self._lanes.items()}
        for kept, those in indexes.items():
            refusals = [errors[index] for index in those if index in errors]
            if kept in live and (answer is None or not hear(live[kept], those, answer)):
                self._refused.add(live[kept])
            if any(error.code == "stale_attempt" for error in refusals):
                self._drop(folder, kept, "a newer attempt has taken over")
            elif refusals and kept not in live:
                warn_once(
                    f"refused {refusals[0].code}",
                    f"Milepost: a report of an earlier process on {kept.job!r} was refused. "
                    f"{refusals[0].message}",
                )
        folder.settle(batch)

    def finish(self) -> Iterator[tuple[Lane, bool]]:
        """All of this process's own is sent: whose it was, and whether all of it arrived."""
        if self._own is None:
            return
        lanes, refused, folder = self._lanes, self._refused, self._own
        self._own, self._lanes, self._refused, self.is_written = None, {}, set(), True
        self._remove(folder)
        for lane in lanes:
            yield lane, lane not in refused

    def _drop(self, folder: Folder, kept: KeptLane, why: str) -> None:
        if not kept.dropped and (reports := folder.drop(kept)):
            log.warning(
                "Milepost: dropped %d reports on %r (worker %s, attempt %s) from the spool: %s.",
                reports,
                kept.job,
                kept.worker,
                kept.attempt or "unknown",
                why,
            )

    def _remove(self, folder: Folder) -> None:
        if folder.torn:
            log.warning(
                "Milepost: dropped %d lines of the spool's %s that could not be read.",
                len(folder.torn),
                folder.path.name,
            )
        try:
            folder.remove()
        except OSError as error:
            self._warn_of_disk(error)

    def _write(self, folder: Folder) -> None:
        try:
            folder.write_lanes()
        except OSError as error:
            self._warn_of_disk(error)
