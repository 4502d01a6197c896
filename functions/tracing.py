"""Traces of what the functions do, where OTEL_EXPORTER_OTLP_ENDPOINT names a collector; else nothing at all.

The environment is OpenTelemetry's own: OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER and so on.
Spans wait in the instance's memory and go out in batches: those of an instance that ends meanwhile are lost.
No span has a key, a body, or an address with a key in it.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from werkzeug.datastructures import Headers

from functions import journal
from functions.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

MOST_LINKS = 32


@contextmanager
def serving(method: str, headers: Headers) -> Iterator[None]:
    """The span of a request; it goes on the caller's trace, where the request has a traceparent."""
    tracer = _tracer()
    if tracer is None:
        yield
        return
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    named = {name: headers[name] for name in ("traceparent", "tracestate") if name in headers}
    context = TraceContextTextMapPropagator().extract(named)
    attributes = {
        "http.request.method": method,
        "milepost.correlation_id": journal.correlation_id.get(),
    }
    with tracer.start_as_current_span(method, context, SpanKind.SERVER, attributes):
        yield


def matched(method: str, route: str) -> None:
    """Names the request's span by its route's pattern: an address itself may have a key in it."""
    if _tracer() is None:
        return
    from opentelemetry.trace import get_current_span

    get_current_span().update_name(f"{method} {route}")
    get_current_span().set_attribute("http.route", route)


def served(status: int) -> None:
    """Says how the request ended."""
    if _tracer() is None:
        return
    from opentelemetry.trace import Status, StatusCode, get_current_span

    get_current_span().set_attribute("http.response.status_code", status)
    if status >= 500:
        get_current_span().set_status(Status(StatusCode.ERROR))


@contextmanager
def calling(rpc: str) -> Iterator[None]:
    """The span of a call of the database."""
    tracer = _tracer()
    if tracer is None:
        yield
        return
    from opentelemetry.trace import SpanKind

    attributes = {"db.system.name": "postgresql", "db.operation.name": rpc}
    with tracer.start_as_current_span(f"milepost.{rpc}", kind=SpanKind.CLIENT, attributes=attributes):
        yield


def link(traceparents: Iterable[str]) -> None:
    """Links the request's span to those of the workers that its checkpoints belong to."""
    if _tracer() is None:
        return
    from opentelemetry.trace import get_current_span
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    for traceparent in list(dict.fromkeys(traceparents))[:MOST_LINKS]:
        context = TraceContextTextMapPropagator().extract({"traceparent": traceparent})
        get_current_span().add_link(get_current_span(context).get_span_context())


@cache
def _tracer() -> "Tracer | None":
    if not Settings.otlp_endpoint:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        journal.record("WARNING", "an OTLP endpoint is set, but the packages of the extra `otel` are missing")
        return None
    named = {} if Settings.otel_service_name else {"service.name": "milepost"}
    provider = TracerProvider(resource=Resource.create(named))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider.get_tracer("milepost")
