"""Spans of calls to LIME, and none where nobody asked for them."""

import subprocess
import sys

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from lime_sdk_core import Request, TransportError, call, otel

PATH = "/auth/requests/0190-secret"


def ask(**options):
    return (yield from call(Request("GET", PATH, **options), lambda found: found))


@pytest.fixture
def spans():
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    otel.instrument(provider)
    yield exporter
    otel.uninstrument()
    provider.shutdown()


@pytest.fixture
def seen():
    return []


@pytest.fixture
def answering(seen):
    def handler(request):
        seen.append(request)
        return httpx.Response(200, json={"ok": True, "data": {"a": 1}})

    return handler


def test_a_call_is_a_span_and_carries_its_trace_along(driver, spans, seen, answering):
    lime = driver(answering)
    assert lime.run(ask()) == {"a": 1}
    (span,) = spans.get_finished_spans()
    assert (span.name, span.kind) == ("GET", SpanKind.CLIENT)
    assert dict(span.attributes) == {
        "http.request.method": "GET",
        "server.address": "lime.example",
        "server.port": 443,
        "http.response.status_code": 200,
    }
    context = span.get_span_context()
    sent = seen[0].headers["traceparent"]
    flags = f"{context.trace_flags:02x}"
    assert sent == f"00-{context.trace_id:032x}-{context.span_id:016x}-{flags}"


def test_a_stream_is_a_span_until_it_has_begun(driver, spans, seen):
    def handler(request):
        seen.append(request)
        return httpx.Response(200, content=b"data: {}\n\n")

    lime = driver(handler)
    assert lime.read(Request("GET", "/events")) == [b"data: {}\n\n"]
    (span,) = spans.get_finished_spans()
    assert f"{span.get_span_context().trace_id:032x}" in seen[0].headers["traceparent"]


def test_each_try_is_a_span_and_says_what_went_wrong(driver, spans):
    answers = [httpx.Response(503), httpx.Response(200, json={"ok": True, "data": {}})]
    lime = driver(lambda request: answers.pop(0))
    lime.run(ask())
    first, second = spans.get_finished_spans()
    assert first.status.status_code is StatusCode.ERROR
    assert first.attributes["error.type"] == "503"
    assert second.status.status_code is StatusCode.UNSET


def test_a_failed_connection_is_a_kind_and_no_message(driver, spans):
    def fail(request):
        raise httpx.ReadError("what was sent", request=request)

    lime = driver(fail)
    with pytest.raises(TransportError):
        lime.run(ask(idempotent=False))
    (span,) = spans.get_finished_spans()
    assert span.attributes["error.type"] == "ReadError"
    assert span.events == ()
    assert span.status.description is None


def test_neither_the_token_nor_the_path_is_in_a_span(driver, spans, answering):
    lime = driver(answering)
    lime.run(ask(params={"code": "secret-code"}))
    (span,) = spans.get_finished_spans()
    assert "secret" not in span.to_json()


def test_nothing_is_added_before_or_after(driver, spans, seen, answering):
    otel.uninstrument()
    lime = driver(answering)
    lime.run(ask())
    assert "traceparent" not in seen[0].headers
    assert spans.get_finished_spans() == ()


def test_nothing_is_imported_where_nobody_asked():
    code = (
        "import lime_sdk_core, lime_sdk_core._http, sys; "
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
