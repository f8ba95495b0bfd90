"""OpenTelemetry: the trace travels in `traceparent` headers and in the outbox; one span per batch.

Without an OTLP endpoint nothing is recorded and nothing is paid for.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanContext, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

LINKS_MAX: Final = 128
# The messaging conventions are being renamed; their names live here alone.
MESSAGING_SYSTEM: Final = "messaging.system"
MESSAGING_BATCH: Final = "messaging.batch.message_count"
MESSAGING_GROUP: Final = "messaging.consumer.group.name"
_propagator = TraceContextTextMapPropagator()
_tracer = trace.get_tracer("shouwang")


def start(service: str, endpoint: str | None) -> None:
    if endpoint is None:
        return
    provider = TracerProvider(resource=Resource.create({"service.name": service, "service.namespace": "shouwang"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces")))
    trace.set_tracer_provider(provider)


def _context(traceparent: str) -> SpanContext | None:
    """The context behind a header, if it is sampled: the flag is looked at before anything is parsed."""
    if not traceparent.endswith("1"):
        return None
    parts = traceparent.split("-")
    if len(parts) != 4:
        return None
    try:
        return SpanContext(int(parts[1], 16), int(parts[2], 16), True, TraceFlags(TraceFlags.SAMPLED))
    except ValueError:
        return None


@contextmanager
def batch_span(consumer: str, traceparents: Iterable[str | None], count: int) -> Iterator[None]:
    """One span for a batch, linked to at most LINKS_MAX sampled messages. `traceparents` are only gone through where
    traces are recorded."""
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        yield
        return
    links = []
    for traceparent in traceparents:
        context = _context(traceparent) if traceparent else None
        if context is not None:
            links.append(Link(context))
            if len(links) == LINKS_MAX:
                break
    attributes: dict[str, str | int] = {MESSAGING_SYSTEM: "kafka", MESSAGING_GROUP: consumer, MESSAGING_BATCH: count}
    with _tracer.start_as_current_span(f"process {consumer}", links=links, attributes=attributes):
        yield


def current_traceparent() -> str | None:
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get("traceparent")
