"""What tracking costs a loop, as far as it does not depend on the machine; benchmarks/sdk.py has the times."""

import sys
from collections import Counter
from types import FrameType

from contract import Server

import milepost
from benchmarks import sdk


def test_an_iteration_of_track_calls_nothing(server: Server) -> None:
    called: Counter[str] = Counter()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event in ("call", "c_call"):
            called[f"{event} {frame.f_code.co_name}"] += 1

    iterator = milepost.track(range(1_002), job="import")
    next(iterator)
    sys.setprofile(note)
    for _ in range(1_000):
        next(iterator)
    sys.setprofile(None)
    list(iterator)
    # Resuming the generator is a call to the profiler; `next` is this test's own, and so is the last setprofile.
    assert set(called) == {"call _iterate", "c_call test_an_iteration_of_track_calls_nothing"}
    assert server.job("import").total("items_completed") == 1_002


def test_memory_does_not_grow_with_what_was_counted(server: Server) -> None:
    where = sdk.Server(server.url, "mp_test")
    few, _ = sdk.peak_bytes(where, 2_000, 0)
    server.job("bench-memory").state = "running"
    many, _ = sdk.peak_bytes(where, 20_000, 0)
    assert many < few + 100_000


def test_each_loop_of_the_benchmark_is_a_loop(server: Server) -> None:
    least = sdk.nanoseconds(sdk.Server(server.url, "mp_test"), rounds=1, n=100)
    assert list(least) == [
        "bare loop", "bare generator", "milepost.track", "milepost.job, advance()", "tqdm", "rich.track",
    ]  # fmt: skip
