"""Every benchmark that takes minutes at most, each in a process of its own, one after the other: `make bench`."""

import subprocess
import sys

for module in (
    "benchmarks.cold_start",
    "benchmarks.ingest",
    "benchmarks.storage",
    "benchmarks.latency",
    "benchmarks.hops",
    "benchmarks.sweep",
    "benchmarks.sdk",
    "benchmarks.liveness.run",
    "benchmarks.eta.run",
):
    print(f"\n== {module}", flush=True)
    subprocess.run([sys.executable, "-m", module], check=True)
