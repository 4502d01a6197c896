"""What tracking costs the loop: nanoseconds an iteration, memory, and the import.

The loops are empty, and run in turn in one process, so that what else the machine does meets all of them alike; the
least of many rounds counts. `milepost.track` reports to a local stack meanwhile; tqdm and rich draw to nowhere.

    python -m benchmarks.sdk
"""

import logging
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from io import StringIO
from itertools import islice
from typing import NamedTuple

import rich.console
import rich.progress
from tqdm import tqdm

import milepost
from milepost.local.running import running

ROUNDS, ITERATIONS = 15, 200_000
ADVANCES, ITEMS = 10_000_000, 100_000


class Server(NamedTuple):
    """Where to report to."""

    url: str
    key: str


NOBODY = Server("http://127.0.0.1:9", "mp_none")


def generator(n: int) -> Iterator[int]:
    for i in range(n):  # noqa: UP028 - what is measured is a frame that is resumed for each item
        yield i


def loops(server: Server) -> dict[str, Callable[[int], Iterator[int]]]:
    """Each makes an iterator of n numbers."""
    nowhere = rich.console.Console(file=StringIO(), force_terminal=True)
    return {
        "bare loop": lambda n: iter(range(n)),
        "bare generator": generator,
        "milepost.track": lambda n: iter(
            milepost.track(range(n), job="bench-track", url=server.url, key=server.key)
        ),
        "milepost.job, advance()": lambda n: advancing(n, server),
        "tqdm": lambda n: iter(tqdm(range(n), file=StringIO())),
        "rich.track": lambda n: iter(rich.progress.track(range(n), console=nowhere)),
    }


def advancing(n: int, server: Server) -> Iterator[int]:
    with milepost.job("bench-advance", items_total=n, url=server.url, key=server.key) as job:
        for i in range(n):
            yield i
            job.advance()


def nanoseconds(server: Server, rounds: int, n: int) -> dict[str, float]:
    """Of one iteration of each loop, the least of the rounds.

    Its first and last item do not count: there a job begins and waits for its delivery, and a bar is drawn.
    """
    least: dict[str, float] = {}
    for _round in range(rounds):
        for name, make in loops(server).items():
            iterator = make(n)
            next(iterator)
            middle = islice(iterator, n - 2)
            begin = time.perf_counter_ns()
            for _ in middle:
                pass
            taken = (time.perf_counter_ns() - begin) / n
            least[name] = min(least.get(name, taken), taken)
            for _ in iterator:
                pass
    return least


def peak_bytes(server: Server, advances: int, items: int) -> tuple[int, int]:
    """What Python's objects of the loop and the sender take at the most, and how many items were dropped."""
    with milepost.job("bench-memory", url=server.url, key=server.key) as job:
        # Everything is there by now: the sender, its client, its connection.
        job.advance()
        job.flush(5)
        tracemalloc.start()
        try:
            for _ in range(advances):
                job.advance()
            for number in range(items):
                job.item(f"file-{number:06}.wav", "completed", duration_ms=812)
            return tracemalloc.get_traced_memory()[1], job.dropped
        finally:
            tracemalloc.stop()


def import_ms(times: int) -> float:
    """`import milepost` in a fresh interpreter, the least; of CPU, since a busy machine lets it wait."""
    code = "import time; t = time.process_time(); import milepost; print(time.process_time() - t)"
    return min(
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout) * 1000
        for _ in range(times)
    )


def main() -> None:
    logging.disable()  # of the server that is away on purpose
    print(f"import milepost: {import_ms(15):.1f} ms of CPU")
    with running() as access:
        server = Server(access.api_url, access.worker_key)
        least = nanoseconds(server, ROUNDS, ITERATIONS)
        print("\n| loop | ns an iteration | of tqdm's |\n| --- | --- | --- |")
        for name, taken in least.items():
            print(f"| {name} | {taken:.0f} | {taken / least['tqdm']:.2f} |")
        print("\n| server | advances | items | peak MB | items dropped |\n| --- | --- | --- | --- | --- |")
        for name, where, advances in (("answers", server, ADVANCES), ("away", NOBODY, ADVANCES // 10)):
            peak, dropped = peak_bytes(where, advances, ITEMS)
            print(f"| {name} | {advances:,} | {ITEMS:,} | {peak / 1e6:.1f} | {dropped:,} |")


if __name__ == "__main__":
    main()
