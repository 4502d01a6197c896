"""Real runs, recorded as they happen on this machine; no two are the same."""

from __future__ import annotations

import compileall
import hashlib
import sysconfig
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from benchmarks.eta.traces import Checkpoint, Trace

LIBRARY = Path(sysconfig.get_paths()["stdlib"])
LONGEST_S = 12.0


def _record(name: str, work: Iterable[float]) -> Trace:
    """Runs `work`, which yields what it has settled so far, with a checkpoint at most every 20 ms.

    A run that takes too long is cut short, and had only as much to do.
    """
    start = time.perf_counter()
    seen = [(0.0, 0.0)]
    end_s = done = 0.0
    for done in work:
        end_s = time.perf_counter() - start
        if end_s - seen[-1][0] >= 0.02:
            seen.append((end_s, done))
        if end_s > LONGEST_S:
            break
    return Trace(name, 0, [Checkpoint(t, count, done) for t, count in seen if count < done], end_s, [])


def _each(files: list[Path], act: Callable[[Path], object], by_bytes: bool) -> Iterator[float]:
    settled = 0.0
    for file in files:
        act(file)
        settled += file.stat().st_size if by_bytes else 1
        yield settled


def _files(folder: Path, pattern: str = "*") -> list[Path]:
    return sorted(file for file in folder.rglob(pattern) if file.is_file() and not file.is_symlink())


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _deflate(file: Path) -> int:
    return len(zlib.compress(file.read_bytes(), 6))


def recorded() -> Iterator[Trace]:
    """A file walk with hashes, compression and byte-compilation, counted by files and by bytes."""
    library, programs = _files(LIBRARY), _files(Path("/usr/lib"), "*.so*")
    largest_last = sorted(library, key=lambda file: file.stat().st_size)
    sources = _files(LIBRARY, "*.py")[:600]
    for by_bytes in (False, True):
        unit = "bytes" if by_bytes else "files"

        yield _record(f"hash the library, {unit}", _each(library, _hash, by_bytes))
        yield _record(f"deflate the library, {unit}", _each(library, _deflate, by_bytes))
        yield _record(f"largest last, {unit}", _each(largest_last, _deflate, by_bytes))
        yield _record(f"deflate programs, {unit}", _each(programs, _deflate, by_bytes))
        with tempfile.TemporaryDirectory() as folder:

            def compile_one(file: Path, folder: str = folder) -> object:
                return compileall.compile_file(file, ddir=folder, quiet=2, force=True, stripdir=None)

            copies = []
            for place, file in enumerate(sources):
                copy = Path(folder, f"m{place}.py")
                copy.write_bytes(file.read_bytes())
                copies.append(copy)
            yield _record(f"compile sources, {unit}", _each(copies, compile_one, by_bytes))
