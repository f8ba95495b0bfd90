"""No span contains personal data."""

import importlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from shell import telemetry
from shell.access.auth import issue_token
from shouwang.runtime.processes import free_port
from shouwang.runtime.services import SERVICES
from starlette.routing import Mount

PERSON = "6f1d0c55-2a4e-8c3b-9d27-0f5b8e7a1c42"
SECRETS = (PERSON, "110101194001010014", "13800000000")
METHODS = ("GET", "POST", "PUT")
PROBES = ("/healthz", "/readyz", "/metrics")


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """The spans that the collector receives. A process can set its provider only once, so the look-up is replaced."""
    found = InMemorySpanExporter()
    provider = telemetry.tracer_provider("test", found, SimpleSpanProcessor)
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    return found


def app_of(service: str) -> FastAPI:
    found: FastAPI = importlib.import_module(f"{service}.main").app
    return found


def paths(routes: Any) -> Iterator[str]:
    """The pattern of every route, including those outside the OpenAPI."""
    for route in routes:
        if (inner := getattr(route, "original_router", None)) is not None:  # an included router
            yield from paths(inner.routes)
        elif isinstance(route, Mount):
            yield f"{route.path}/{{path}}"
        else:
            yield route.path


def texts(span: ReadableSpan) -> Iterator[str]:
    """Every text of a span that a collector receives."""
    yield span.name
    yield str(span.status.description)
    for holder in (span, *span.events, *span.links):
        yield from (f"{name}={value}" for name, value in (holder.attributes or {}).items())
    for context in (span.context, span.parent, *(link.context for link in span.links)):
        yield str(context and context.trace_state)


def filled(path: str, secret: str) -> str:
    parts = [secret if part.startswith("{") else part for part in path.split("/")]
    return f"{'/'.join(parts)}?person_id={secret}&after={secret}&phone={secret}"


def headers_with(secret: str) -> dict[str, str]:
    return {
        "user-agent": secret,
        "tracestate": f"a={secret}",
        "x-request-id": secret,
        "host": f"{secret}.cn",
        "traceparent": f"00-{'1' * 32}-{'2' * 16}-01",
    }


@pytest.mark.parametrize("service", SERVICES)
async def test_no_span_of_any_route_contains_personal_data(
    service: str, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each route gets each secret in its path, query and headers. Without a database most requests fail, and the text
    of the error must not be in the span either."""
    for peer in ("SUPERVISION", "IDENTIFICATION"):  # the console calls them; no process listens there
        monkeypatch.setenv(f"SHOUWANG_URL_{peer}", f"http://127.0.0.1:{free_port()}")
    app = app_of(service)
    known = sorted({path for path in paths(app.routes) if path not in PROBES})
    assert set(app.openapi()["paths"]) - set(PROBES) <= set(known)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        client.headers["authorization"] = f"Bearer {issue_token('officer', division='530302')}"
        for secret in SECRETS:
            headers = headers_with(secret)
            for path in known:
                for method in METHODS:
                    if not path.endswith("/stream"):
                        await client.request(method, filled(path, secret), headers=headers, json={"person_id": secret})
    spans = exporter.get_finished_spans()
    assert {str((span.attributes or {}).get("http.route")) for span in spans} >= {
        path for path in app.openapi()["paths"] if path not in PROBES and not path.endswith("/stream")
    }
    held = [text for span in spans for text in texts(span) if any(secret in text for secret in SECRETS)]
    assert held == []


@pytest.mark.parametrize("service", SERVICES)
async def test_a_probe_makes_no_span(service: str, exporter: InMemorySpanExporter) -> None:
    transport = httpx.ASGITransport(app_of(service), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        for path in PROBES:
            await client.get(path)
        assert exporter.get_finished_spans() == ()
        await client.get("/openapi.json")
    assert len(exporter.get_finished_spans()) == 1


def test_a_failed_batch_reports_the_class_of_its_error_and_not_its_text(exporter: InMemorySpanExporter) -> None:
    provider = trace.get_tracer_provider()
    assert isinstance(provider, TracerProvider)
    with (
        pytest.raises(ValueError),
        provider.get_tracer("shouwang").start_as_current_span("process dispatch", attributes={"person": PERSON}),
    ):
        raise ValueError(f"no such person: {PERSON}")
    (span,) = exporter.get_finished_spans()
    assert [dict(event.attributes or {}) for event in span.events] == [{"exception.type": "ValueError"}]
    assert not any(PERSON in text for text in texts(span))


def test_a_span_of_an_unknown_library_is_named_after_the_library(exporter: InMemorySpanExporter) -> None:
    """A library that is added later may write a statement or an address into the names of its spans."""
    tracer = trace.get_tracer_provider().get_tracer("opentelemetry.instrumentation.httpx")
    with tracer.start_as_current_span(f"GET /v1/persons/{PERSON}", attributes={"url.full": f"http://x/{PERSON}"}):
        pass
    (span,) = exporter.get_finished_spans()
    assert (span.name, dict(span.attributes or {})) == ("opentelemetry.instrumentation.httpx", {})


async def test_every_sampled_message_of_a_batch_is_linked(exporter: InMemorySpanExporter) -> None:
    """Newer libraries also set bit 1 of the flags: the trace id is random."""
    flags = ("00", "01", "02", "03")
    with telemetry.batch_span("dispatch", [f"00-{'1' * 32}-{'2' * 16}-{flag}" for flag in flags], 4):
        pass
    assert [len(span.links) for span in exporter.get_finished_spans()] == [2]


async def test_a_broken_traceparent_creates_no_link(exporter: InMemorySpanExporter) -> None:
    good, bad = f"00-{'1' * 32}-{'2' * 16}-01", f"00-{'f' * 40}-{'2' * 16}-01"
    with telemetry.batch_span("dispatch", [good, bad, f"00-{PERSON}-x-01"], 3):
        pass
    assert [len(span.links) for span in exporter.get_finished_spans()] == [1]
