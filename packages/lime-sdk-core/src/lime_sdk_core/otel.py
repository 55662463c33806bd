"""Traces of calls to LIME for OpenTelemetry (`pip install 'lime-sites-sdk[otel]'`).

`instrument()` once, at the start of a program that has configured OpenTelemetry; from then on each
request to LIME is a client span in the current trace and carries it along (W3C `traceparent`), so
that it goes on in LIME. Without that call nothing of OpenTelemetry is imported.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from opentelemetry.trace import (
    SpanKind,
    StatusCode,
    Tracer,
    TracerProvider,
    get_tracer,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from lime_sdk_core import _trace
from lime_sdk_core._trace import Seen

__all__ = ["instrument", "uninstrument"]

_PORTS = {"http": 80, "https": 443}


def instrument(tracer_provider: TracerProvider | None = None) -> None:
    """Make a span of each request to LIME, in this process, from now on.

    A span names method, host and status. It holds no path, query, header or message: ids and codes
    may be in them. Each try of a request that is repeated is a span.

    Args:
        tracer_provider: Where spans go; by default OpenTelemetry's global one.
    """
    _trace.use(_Spans(get_tracer("lime_sdk", tracer_provider=tracer_provider)).follow)


def uninstrument() -> None:
    """Stop it."""
    _trace.use(None)


class _Spans:
    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def follow(self, method: str, base_url: str, headers: dict[str, str]) -> Iterator[Seen]:
        url = urlsplit(base_url)
        with self._tracer.start_as_current_span(
            method,
            kind=SpanKind.CLIENT,
            attributes={
                "http.request.method": method,
                "server.address": url.hostname or "",
                "server.port": url.port or _PORTS[url.scheme],
            },
            # A message may hold what the request held.
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            self._propagator.inject(headers)

            def seen(status: int) -> None:
                span.set_attribute("http.response.status_code", status)
                if status >= 400:
                    span.set_attribute("error.type", str(status))
                    span.set_status(StatusCode.ERROR)

            try:
                yield seen
            except BaseException as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(StatusCode.ERROR)
                raise
