"""Traces for OpenTelemetry: one span for each request, continuing the caller's trace.

The only module that imports it, and itself imported only where `LIME_TRACES` asks for it
(`lime-server[otel]`). Where spans go, and under which service name, is told by OpenTelemetry's own
variables (`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`).
"""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, format_trace_id
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lime_server import __version__
from lime_server.core.origin import in_trace
from lime_server.infrastructure.web.asgi import header
from lime_server.infrastructure.web.trace import route_of

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_UNWATCHED = ("/health/", "/metrics")
"""What is asked every few seconds, by nobody who has a trace."""
LAST_SPANS = 3.0
"""Seconds in which the last spans can be sent when the server ends."""
_FIELDS = ("traceparent", "tracestate")
"""W3C Trace Context. Baggage is not taken from anybody: it would go on to whomever we call."""


@contextmanager
def recording(
    share: float,
    *,
    exporter: SpanExporter | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Iterator[Tracer]:
    """A tracer that records `share` (0 to 1) of all traces; what is left is sent at the end.

    Whether a request is recorded is decided here by its trace's id, and not by whether its caller
    says that the trace is: otherwise anybody could make us record everything.
    """
    sampler = TraceIdRatioBased(share)
    named = {} if "OTEL_SERVICE_NAME" in environ else {"service.name": "lime-server"}
    provider = TracerProvider(
        sampler=ParentBased(
            sampler, remote_parent_sampled=sampler, remote_parent_not_sampled=sampler
        ),
        resource=Resource.create({**named, "service.version": __version__}),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
    try:
        yield provider.get_tracer("lime_server", __version__)
    finally:
        # A collector that is away is not waited for as long as its client would.
        closing = threading.Thread(target=provider.shutdown, daemon=True)
        closing.start()
        closing.join(LAST_SPANS)


class Telemetry:
    """Pure ASGI middleware around the whole application.

    A span names the route's pattern, the method and the status. It holds no path, query, address,
    header or message: ids, codes and tokens may be in them.
    """

    def __init__(self, app: ASGIApp, tracer: Tracer) -> None:
        """Spans are begun by `tracer`."""
        self._app = app
        self._tracer = tracer
        self._propagator = TraceContextTextMapPropagator()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"].startswith(_UNWATCHED):
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        carrier = {name: value for name in _FIELDS if (value := header(scope, name.encode()))}
        with self._tracer.start_as_current_span(
            method if method != "_OTHER" else "HTTP",
            context=self._propagator.extract(carrier),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method},
            # A message may hold a value.
            record_exception=False,
            set_status_on_exception=False,
            # That of a stream ends when it has begun.
            end_on_exit=False,
        ) as span:
            try:
                with in_trace(format_trace_id(span.get_span_context().trace_id)):
                    await self._serve(span, scope, receive, send)
            finally:
                if span.is_recording():
                    span.end()

    async def _serve(self, span: Span, scope: Scope, receive: Receive, send: Send) -> None:
        answered = False

        async def watched(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                _describe(span, scope, message)
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            _failed(span, type(error).__name__)
            raise
        if not answered:
            # The caller left before there was an answer.
            _failed(span, "no_answer")


def _describe(span: Span, scope: Scope, message: Message) -> None:
    route, status = route_of(scope), message["status"]
    span.update_name(f"{scope['method']} {route}" if scope["method"] in _METHODS else "HTTP")
    span.set_attribute("http.route", route)
    span.set_attribute("http.response.status_code", status)
    headers = dict(message.get("headers", ()))
    if (request_id := headers.get(b"x-request-id")) is not None:
        span.set_attribute("lime.request_id", request_id.decode("latin-1"))
    if status >= 500:
        _failed(span, str(status))
    if headers.get(b"content-type", b"").startswith(b"text/event-stream"):
        # It has begun: how long it then stays open says nothing.
        span.end()


def _failed(span: Span, kind: str) -> None:
    if span.is_recording():
        span.set_attribute("error.type", kind)
        span.set_status(StatusCode.ERROR)
