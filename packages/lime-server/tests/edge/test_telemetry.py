"""Spans of requests: what they say, what they never say, and whose trace they are in."""

import asyncio
import subprocess
import sys
import threading

import httpx
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from lime_server.composition import run as composed
from lime_server.core.origin import current_trace
from lime_server.infrastructure import telemetry as subject
from lime_server.infrastructure.telemetry import Telemetry, recording
from lime_server.settings import SettingsError

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


async def item(request):
    headers = {"X-Request-Id": "request-1"}
    return JSONResponse({"trace": current_trace()}, headers=headers)


async def broken(request):
    return JSONResponse({}, 503)


async def failing(request):
    raise ValueError("a secret value")


async def stream(request):
    async def frames():
        yield b"data: {}\n\n"

    return StreamingResponse(frames(), media_type="text/event-stream")


async def breaking(request):
    async def frames():
        yield b"data: {}\n\n"
        raise ValueError("a secret value")

    return StreamingResponse(frames(), media_type="text/event-stream")


def application():
    names = {
        "/items/{id}": item,
        "/broken": broken,
        "/failing": failing,
        "/stream": stream,
        "/breaking": breaking,
    }
    return Starlette(
        routes=[Route(path, work, methods=["GET", "POST"]) for path, work in names.items()]
        + [Route("/health/live", item), Route("/metrics", item)]
    )


@pytest.fixture
def ask():
    async def ask(path, *, method="GET", share=1.0, **headers):
        exporter = InMemorySpanExporter()
        with recording(share, exporter=exporter, environ={}) as tracer:
            transport = httpx.ASGITransport(
                Telemetry(application(), tracer), raise_app_exceptions=False
            )
            async with httpx.AsyncClient(transport=transport, base_url="http://lime") as client:
                answer = await client.request(method, path, headers=headers)
        return answer, exporter.get_finished_spans()

    return ask


async def test_a_request_is_a_span_with_the_pattern_of_its_route(ask):
    answer, (span,) = await ask("/items/0190-secret?code=secret", authorization="secret")
    assert (span.name, span.kind) == ("GET /items/{id}", SpanKind.SERVER)
    assert dict(span.attributes) == {
        "http.request.method": "GET",
        "http.route": "/items/{id}",
        "http.response.status_code": 200,
        "lime.request_id": "request-1",
    }
    assert "secret" not in span.to_json()
    assert span.resource.attributes["service.name"] == "lime-server"
    # Lines in the log can be found by it.
    assert answer.json()["trace"] == f"{span.get_span_context().trace_id:032x}"


async def test_the_callers_trace_goes_on(ask):
    _, (span,) = await ask("/items/1", traceparent=f"00-{TRACE}-{PARENT}-01")
    assert f"{span.get_span_context().trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == PARENT


@pytest.mark.parametrize("given", ["", "00-0-0-01", f"00-{'0' * 32}-{PARENT}-01", "ff" * 40, "é"])
async def test_what_is_no_trace_begins_a_new_one(ask, given):
    _, (span,) = await ask("/items/1", traceparent=given.encode())
    assert span.parent is None


@pytest.mark.parametrize("flags", ["00", "01"])
async def test_callers_do_not_decide_what_is_recorded(ask, flags):
    # Half of all ids are in a share of one half: the first of these is not, the second is.
    high, low = "f" * 32, f"{'f' * 16}{'0' * 15}1"
    for trace, recorded in ((high, 0), (low, 1)):
        _, spans = await ask("/items/1", share=0.5, traceparent=f"00-{trace}-{PARENT}-{flags}")
        assert len(spans) == recorded


async def test_a_failure_is_marked(ask):
    _, (span,) = await ask("/broken")
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "503"


async def test_an_exception_is_its_kind_and_nothing_more(ask):
    _, (span,) = await ask("/failing")
    assert span.attributes["error.type"] == "ValueError"
    assert "secret" not in span.to_json()


async def test_what_has_no_route_or_no_known_method_says_so(ask):
    _, (span,) = await ask("/no/such/secret")
    assert span.name == "GET unmatched"
    _, (span,) = await ask("/items/1", method="SECRET")
    assert span.name == "HTTP"
    assert span.attributes["http.request.method"] == "_OTHER"
    assert "SECRET" not in span.to_json()


async def test_a_stream_ends_its_span_when_it_has_begun(ask):
    _, (span,) = await ask("/stream")
    assert span.attributes["http.response.status_code"] == 200
    assert span.status.status_code is not StatusCode.ERROR


async def test_a_stream_that_breaks_later_says_nothing_of_its_span(ask, caplog):
    _, (span,) = await ask("/breaking")
    assert span.status.status_code is not StatusCode.ERROR
    # OpenTelemetry warns of a span that is ended or written to after its end.
    assert caplog.records == []


@pytest.mark.parametrize("path", ["/health/live", "/metrics"])
async def test_what_is_asked_every_few_seconds_is_not_recorded(ask, path):
    assert (await ask(path))[1] == ()


async def test_a_caller_who_left_is_marked():
    async def silent(scope, receive, send):
        pass

    exporter = InMemorySpanExporter()
    with recording(1, exporter=exporter, environ={"OTEL_SERVICE_NAME": "x"}) as tracer:
        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        await Telemetry(silent, tracer)(scope, None, None)
        await Telemetry(silent, tracer)({"type": "lifespan"}, None, None)
    (span,) = exporter.get_finished_spans()
    assert span.attributes["error.type"] == "no_answer"
    assert span.resource.attributes["service.name"] != "lime-server"


def test_a_collector_that_is_away_is_not_waited_for(monkeypatch):
    released = threading.Event()

    class Away(InMemorySpanExporter):
        def shutdown(self):
            released.wait()

    monkeypatch.setattr(subject, "LAST_SPANS", 0.001)
    try:
        with recording(1, exporter=Away(), environ={}):
            pass
    finally:
        released.set()


def test_spans_go_where_opentelemetry_says(monkeypatch):
    made = []
    monkeypatch.setattr(
        subject, "OTLPSpanExporter", lambda: made.append(InMemorySpanExporter()) or made[0]
    )
    with composed._traced(application(), 1) as watched:
        assert isinstance(watched, Telemetry)
        transport = httpx.ASGITransport(watched)

        async def once():
            async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
                await client.get("/items/1")

        asyncio.run(once())
    assert [span.name for span in made[0].get_finished_spans()] == ["GET /items/{id}"]


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.delattr("lime_server.infrastructure.telemetry")
    monkeypatch.setitem(sys.modules, "lime_server.infrastructure.telemetry", None)
    with (
        pytest.raises(SettingsError, match=r"lime-server\[otel\]"),
        composed._traced(application(), 1),
    ):
        pass


def test_without_traces_nothing_is_around_the_application_and_nothing_imported():
    app = application()
    with composed._traced(app, 0) as watched:
        assert watched is app
    # FastAPI and redis look for OpenTelemetry by themselves; without an exporter that is nothing.
    code = (
        "import lime_server.composition.run, lime_server.cli, sys; "
        "dear = ('opentelemetry.exporter', 'google.protobuf', 'lime_server.infrastructure.telemetry'); "
        "sys.exit(any(name.startswith(dear) for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
