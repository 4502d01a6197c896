"""What could not be sent, in files: a folder for each process, which outlives it.

    <spool>/<owner>.<random>/lock         held by the process that writes or sends the rest
                             lanes.json   of each lane: whose it is, its last counts, its last cursor
                             items.jsonl  a line for each report on items

`owner` is a hash of the server's address and the key, since what one key could not say is no other's to say.
A process may die at any moment: `lanes.json` is replaced as a whole, and before lines of a new lane are
added, and of the lines the last one may be torn. Nothing is synced to the disk: this survives a process, not
a power failure.
"""

import errno
import fcntl
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from milepost._words import dumps

MAX_BYTES = 64 * 1024 * 1024
# What only items may not fill, so that there is room for counts and cursors.
_RESERVED_BYTES = 4 * 1024 * 1024
_MAX_BODY_BYTES = 900_000
_MAX_ENTRIES = 900
_LOCK, _LANES, _ITEMS = "lock", "lanes.json", "items.jsonl"

Entry = dict[str, Any]


def owner(url: str, key: str) -> str:
    return sha256(f"{url}\n{key}".encode()).hexdigest()[:16]


@dataclass(eq=False)
class KeptLane:
    """What a lane could not say. `entries` are its counts: of the last cursor, and the last ones."""

    number: int
    job: str
    worker: str
    attempt: int | None
    # POST /v1/jobs' body, where the lane began while the server was away. Its first entries name no attempt
    # then and count their `seq` from 0, which is `first_seq` once the server has said where the lane stands.
    greeting: Entry | None
    first_seq: int = 0
    entries: list[Entry] = field(default_factory=list)
    # How many reports on items did not fit, and were in memory only.
    missing: int = 0
    # Nobody is to hear it any more.
    dropped: bool = False

    def keep(self, entry: Entry) -> None:
        """Folds the entry into those before it: by the contract's rules, the server ends with the same."""
        while self.entries and ("cursor" in entry or "cursor" not in self.entries[-1]):
            entry = _folded(self.entries.pop(), entry)
        self.entries.append(entry)

    def spoken(self, entry: Entry) -> Entry:
        """The entry as the server is to hear it."""
        if "attempt" in entry or self.attempt is None:
            return entry
        return entry | {"job": self.job, "attempt": self.attempt, "seq": entry["seq"] + self.first_seq}


def _folded(older: Entry, newer: Entry) -> Entry:
    stages: dict[str, Entry] = {}
    for stage in (*older.get("stage", ()), *newer.get("stage", ())):
        stages[stage["name"]] = stages.get(stage["name"], {}) | stage
    return older | newer | ({"stage": list(stages.values())} if stages else {})


class Batch(NamedTuple):
    """Entries for one request; `read_to` is where items end that were read, None for counts."""

    folder: "Folder"
    entries: list[tuple[KeptLane, Entry]]
    read_to: int | None

    def body(self) -> list[Entry]:
        return [lane.spoken(entry) for lane, entry in self.entries]


class Folder:
    """One process's folder, locked by this one. Methods that write raise OSError."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path, self._lock = path, lock
        self.lanes: dict[int, KeptLane] = {}
        # Where what could not be read ends.
        self.torn: set[int] = set()
        self._read_to = 0

    @classmethod
    def create(cls, root: Path, owner: str) -> "Folder":
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            path = root / f"{owner}.{secrets.token_hex(8)}"
            path.mkdir(mode=0o700)
            # Somebody who inherits may be faster, and takes it for one that nobody needs any more.
            if (lock := _locked(path / _LOCK, os.O_CREAT)) is not None:
                return cls(path, lock)

    @classmethod
    def inherited(cls, root: Path, owner: str) -> Iterator["Folder"]:
        """The folders of processes that have ended, which are this one's from now on."""
        for path in sorted(root.glob(f"{owner}.*")):
            if (lock := _locked(path / _LOCK)) is not None:
                folder = cls(path, lock)
                folder._load()
                yield folder

    def _load(self) -> None:
        try:
            said = json.loads((self.path / _LANES).read_bytes())
            self.lanes = {lane["number"]: KeptLane(**lane) for lane in said}
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            if (self.path / _LANES).exists():
                self.torn.add(0)
        # Whoever goes on with a lane takes the `seq` after its greatest, which the counts have to show.
        for lane, entry, _ in self._lines():
            if not lane.entries or lane.entries[-1]["seq"] < entry["seq"]:
                lane.keep({**entry, "seq": entry["seq"] + 1, "items": []})

    def write_lanes(self) -> None:
        written = dumps([asdict(lane) for lane in self.lanes.values()]).encode()
        self._make_room(len(written), MAX_BYTES)
        new = self.path / f"{_LANES}.new"
        new.write_bytes(written)
        new.replace(self.path / _LANES)

    def add_items(self, number: int, entry: Entry) -> None:
        line = dumps([number, entry]).encode() + b"\n"
        self._make_room(len(line), MAX_BYTES - _RESERVED_BYTES)
        with (self.path / _ITEMS).open("ab", buffering=0) as file:
            end = file.tell()
            try:
                if file.write(line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                file.truncate(end)
                raise

    def counts(self) -> Batch | None:
        """As many of the lanes' counts as go into a request."""
        return self._batch(
            (lane, entry, None) for lane in self.lanes.values() if not lane.dropped for entry in lane.entries
        )

    def items(self) -> Batch | None:
        """As many of the items' lines as go into a request."""
        return self._batch((lane, entry, end) for lane, entry, end in self._lines() if not lane.dropped)

    def settle(self, batch: Batch) -> None:
        """The batch arrived, or was refused."""
        if batch.read_to is not None:
            self._read_to = batch.read_to
        for lane, settled in batch.entries:
            lane.entries = [entry for entry in lane.entries if entry is not settled]

    def drop(self, lane: KeptLane) -> int:
        """Drops what is left of the lane. Returns how many reports that were."""
        lane.dropped = True
        left = sum(len(entry["items"]) for one, entry, _ in self._lines() if one is lane)
        return left + len(lane.entries)

    def remove(self) -> None:
        # The lock last: a folder without one is nobody's.
        for name in (f"{_LANES}.new", _ITEMS, _LANES, _LOCK):
            (self.path / name).unlink(missing_ok=True)
        self.path.rmdir()
        self.leave()

    def leave(self) -> None:
        """Lets another process have it; in a forked child, which shares the lock, its parent keeps it."""
        os.close(self._lock)

    def _lines(self) -> Iterator[tuple[KeptLane, Entry, int]]:
        try:
            file = (self.path / _ITEMS).open("rb")
        except FileNotFoundError:
            return
        with file:
            end = file.seek(self._read_to)
            for line in file:
                end += len(line)
                try:
                    number, entry = json.loads(line)
                    yield self.lanes[number], entry, end
                except (ValueError, TypeError, KeyError):
                    self.torn.add(end)

    def _batch(self, lines: Iterable[tuple[KeptLane, Entry, int | None]]) -> Batch | None:
        entries: list[tuple[KeptLane, Entry]] = []
        room_bytes, read_to = _MAX_BODY_BYTES, None
        attempts: dict[str, int | None] = {}
        for lane, entry, end in lines:
            room_bytes -= len(dumps(lane.spoken(entry)).encode())
            # An answer has one directive for each job: what stops an old attempt must not stop its successor.
            is_another = attempts.setdefault(lane.job, lane.attempt) != lane.attempt
            if entries and (room_bytes < 0 or is_another or len(entries) >= _MAX_ENTRIES):
                break
            entries.append((lane, entry))
            read_to = end
        return Batch(self, entries, read_to) if entries else None

    def _make_room(self, size: int, limit: int) -> None:
        kept = 0
        for file in self.path.parent.glob("*/*"):
            with suppress(FileNotFoundError):  # another process has removed it just now
                kept += file.stat().st_size
        if kept + size > limit:
            raise OSError(errno.EDQUOT, f"the spool is full with {kept:,} bytes")


def _locked(path: Path, flags: int = 0) -> int | None:
    """The file, opened and locked; None where it is not there or another process has it."""
    try:
        lock = os.open(path, os.O_RDWR | flags, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever had it before may have removed it.
        if os.fstat(lock).st_nlink:
            return lock
    except BlockingIOError:
        pass
    os.close(lock)
    return None
