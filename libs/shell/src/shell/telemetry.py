"""Record traces with OpenTelemetry: one span per batch and per request.

The header `traceparent` links them, and the outbox keeps it. Without an OTLP endpoint nothing is recorded, at no cost.
A span leaves the process only with the attributes of `ATTRIBUTES_KEPT`. A path, a query or the text of an exception may
hold a person id, an ID number or a phone number.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final

from fastapi.telemetry import TelemetryConfig
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, SpanContext, Status, TraceFlags

LINKS_MAX: Final = 128
# The messaging conventions are being renamed, so their names are only here.
MESSAGING_SYSTEM: Final = "messaging.system"
MESSAGING_BATCH: Final = "messaging.batch.message_count"
MESSAGING_GROUP: Final = "messaging.consumer.group.name"
PROBES: Final = frozenset({"/healthz", "/readyz", "/metrics"})
# Each holds a value of a closed set, a number or a name from the code. `http.route` is the pattern of the path.
ATTRIBUTES_KEPT: Final = frozenset(
    {
        "error.type",
        "exception.type",
        "http.request.method",
        "http.response.status_code",
        "http.route",
        "network.protocol.version",
        "url.scheme",
        MESSAGING_BATCH,
        MESSAGING_GROUP,
        MESSAGING_SYSTEM,
    }
)
_OWN: Final = "shouwang"
_NAMED_WELL: Final = frozenset({"fastapi", _OWN})  # tracers whose span names hold no value of a request
_SAMPLED_ENDS: Final = frozenset("13579bdf")  # bit 1 of the flags may be set as well (W3C Trace Context, level 2)
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")


def _is_probe(scope: MutableMapping[str, Any]) -> bool:
    return scope["path"] in PROBES


# FastAPI records one span per request. Its logs would hold the values that a caller sent.
REQUEST_SPANS: Final[TelemetryConfig] = {
    "exclude": _is_probe,
    "operation_spans": False,
    "metrics": False,
    "logs": False,
    "auto_configure": False,
}


class KnownAttributesOnly(SpanExporter):
    """Gives spans to `exporter` with the attributes of `ATTRIBUTES_KEPT` and without any text of a request."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export([_reduced(span) for span in spans])

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def _reduced(span: ReadableSpan) -> ReadableSpan:
    scope = span.instrumentation_scope
    named_by = scope.name if scope is not None else ""
    return ReadableSpan(
        name=span.name if named_by in _NAMED_WELL else named_by,
        context=_without_state(span.context),
        parent=_without_state(span.parent),
        resource=span.resource,
        attributes=_kept(span.attributes),
        events=[Event(event.name, _kept(event.attributes), event.timestamp) for event in span.events],
        links=[Link(context) for link in span.links if (context := _without_state(link.context)) is not None],
        kind=span.kind,
        status=Status(span.status.status_code),  # its description is the text of an exception
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=scope,
    )


def _kept(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (attributes or {}).items() if name in ATTRIBUTES_KEPT}


def _without_state(context: SpanContext | None) -> SpanContext | None:
    """Return the context without `tracestate`, whose text the caller chooses."""
    if context is None:
        return None
    return SpanContext(context.trace_id, context.span_id, context.is_remote, context.trace_flags)


def tracer_provider(
    service: str, exporter: SpanExporter, processor: type[SpanProcessor] = BatchSpanProcessor
) -> TracerProvider:
    """Return a provider that records the spans of a service. `processor` gives them to `exporter`, reduced to known
    attributes."""
    provider = TracerProvider(resource=Resource.create({"service.name": service, "service.namespace": "shouwang"}))
    provider.add_span_processor(processor(KnownAttributesOnly(exporter)))  # type: ignore[call-arg]
    return provider


def start(service: str, endpoint: str | None) -> None:
    """Send spans to the collector at `endpoint`, e.g. `http://otel-collector:4318`; without one, record none."""
    if endpoint is not None:
        trace.set_tracer_provider(tracer_provider(service, OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces")))


def _context(traceparent: str) -> SpanContext | None:
    """Return the span context of a header; None if it is malformed or not sampled. The flag `sampled` (bit 0) is read
    before the header is parsed."""
    if traceparent[-1:] not in _SAMPLED_ENDS:
        return None
    parts = _TRACEPARENT.fullmatch(traceparent)
    if parts is None:
        return None
    return SpanContext(int(parts[1], 16), int(parts[2], 16), True, TraceFlags(TraceFlags.SAMPLED))


def _links(traceparents: Iterable[str | None]) -> Iterator[Link]:
    for traceparent in traceparents:
        context = _context(traceparent) if traceparent else None
        if context is not None:
            yield Link(context)


@contextmanager
def batch_span(consumer: str, traceparents: Iterable[str | None], count: int) -> Iterator[None]:
    """One span for a batch, linked to at most LINKS_MAX sampled messages. `traceparents` are read only if traces are
    recorded."""
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        yield
        return
    links = list(islice(_links(traceparents), LINKS_MAX))
    attributes: dict[str, str | int] = {MESSAGING_SYSTEM: "kafka", MESSAGING_GROUP: consumer, MESSAGING_BATCH: count}
    with provider.get_tracer(_OWN).start_as_current_span(f"process {consumer}", links=links, attributes=attributes):
        yield
