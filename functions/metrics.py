"""GET /metrics and /health/prometheus: the caller's figures as Prometheus scrapes them.

All of it comes from one call to the database, counters included: they are kept there (29_measurements.sql)
and go on rising whichever instance of the functions answers. Labels are kind and state, never a job.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json
from werkzeug.wrappers import Request, Response

from functions import health

if TYPE_CHECKING:
    from prometheus_client import Metric

# The oldest version, which every Prometheus takes; the newer ones differ in names that are not ASCII.
TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"

# Name, what it is, the field of get_system_metrics, and by what that is divided.
GAUGES = (
    ("items_per_second", "Items a second that running jobs get done.", "total_items_per_second", 1),
    ("queue_depth", "Jobs that wait for a worker or for their time.", "queue_depth", 1),
    ("queue_oldest_wait_seconds", "How long the longest waiting job could have run.", "oldest_wait_s", 1),
    ("jobs_late", "Active jobs that are silent for longer than is usual.", "late_count", 1),
    ("jobs_stuck", "Active jobs that are stalled or lost.", "stuck_count", 1),
    ("failure_ratio", "Share of the runs ended within an hour that failed.", "failure_rate_percent", 100),
    ("alerts_open", "Alerts that are open.", "open_alerts", 1),
    (
        "message_budget_used_ratio",
        "Share of the tenant's Realtime messages a second that the last minute used.",
        "message_budget_used_percent",
        100,
    ),
    ("database_size_bytes", "Size of the database.", "database_bytes", 1),
    ("database_connections", "Connections to the database.", "database_connections", 1),
)


def scrape(request: Request) -> Response:
    """The metrics in Prometheus' text format."""
    # Here, since a worker's cold start should not pay for it.
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(from_json(health.read(request, "get_metrics"))))
    return Response(generate_latest(registry), content_type=TEXT_FORMAT)


class _Collector:
    """What `get_metrics` answered, as families."""

    def __init__(self, said: dict[str, Any]) -> None:
        self._said = said

    def describe(self) -> Iterable["Metric"]:
        # The registry of one request has nobody whose names could collide.
        return ()

    def collect(self) -> Iterator["Metric"]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        said, kinds = self._said, self._said["kinds"]
        jobs = GaugeMetricFamily("milepost_jobs", "Active jobs.", labels=["kind", "state"])
        for active in said["active"]:
            jobs.add_metric([active["name"], active["state"]], active["jobs"])
        yield jobs

        ended = CounterMetricFamily("milepost_jobs_ended", "Jobs that ended.", labels=["kind", "state"])
        items = CounterMetricFamily(
            "milepost_items_processed",
            "Items by what became of them. What an attempt does again counts again.",
            labels=["kind", "state"],
        )
        size = CounterMetricFamily("milepost_bytes_processed", "Bytes processed.", labels=["kind"])
        took = HistogramMetricFamily(
            "milepost_job_duration_seconds",
            "How long jobs took until they ended, without pauses.",
            labels=["kind"],
        )
        for kind in kinds:
            for state, count in kind["jobs"].items():
                ended.add_metric([kind["kind"], state], count)
            for state, count in kind["items"].items():
                items.add_metric([kind["kind"], state], count)
            size.add_metric([kind["kind"]], kind["bytes"])
            if kind["job_buckets"]:
                buckets = _buckets(said["job_bounds_s"], kind["job_buckets"])
                took.add_metric([kind["kind"]], buckets, kind["job_s"])
        yield from (ended, items, size, took)

        yield CounterMetricFamily("milepost_checkpoints", "Checkpoints taken.", value=said["checkpoints"])
        ingest = HistogramMetricFamily(
            "milepost_ingest_duration_seconds",
            "How long the database had requests with checkpoints, until what they changed was sent on.",
        )
        if said["ingest_buckets"]:
            bounds = [bound / 1000 for bound in said["ingest_bounds_ms"]]
            ingest.add_metric([], _buckets(bounds, said["ingest_buckets"]), said["ingest_ms"] / 1000)
        yield ingest

        system = said["system"]
        for name, meaning, field, unit in GAUGES:
            # What is unknown is left out, since 0 would be a claim.
            if system[field] is not None:
                yield GaugeMetricFamily(f"milepost_{name}", meaning, value=system[field] / unit)
        if system["last_sweep_at"]:
            swept = datetime.fromisoformat(system["last_sweep_at"]).timestamp()
            yield GaugeMetricFamily(
                "milepost_last_sweep_timestamp_seconds", "When the last sweep ran.", value=swept
            )


def _buckets(bounds: list[float], counts: list[int]) -> list[tuple[str, float]]:
    return list(zip([*(f"{bound:g}" for bound in bounds), "+Inf"], map(float, counts), strict=True))
