"""Every benchmark, one after the other: `make bench`."""

import runpy

for module in (
    "benchmarks.cold_start",
    "benchmarks.ingest",
    "benchmarks.storage",
    "benchmarks.latency",
    "benchmarks.hops",
    "benchmarks.sdk",
    "benchmarks.liveness.run",
    "benchmarks.eta.run",
):
    print(f"\n== {module}")
    runpy.run_module(module, run_name="__main__")
