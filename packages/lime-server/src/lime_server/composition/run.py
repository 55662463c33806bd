"""A whole server: parts, application, socket."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from logging import getLogger

from starlette.types import ASGIApp

from lime_server.composition.build import build
from lime_server.composition.parts import Parts, open_parts
from lime_server.infrastructure.postgres.waiting import patiently
from lime_server.infrastructure.serve import bind, on_signals, serve
from lime_server.infrastructure.web.portal_export import PACKAGED, read_export
from lime_server.settings import Settings, SettingsError

_log = getLogger(__name__)


async def run(
    settings: Settings,
    *,
    sock: socket.socket | None = None,
    on_ready: Callable[[], None] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT arrives, or `stop` is set; waits for PostgreSQL first.

    `sock` is a listening socket from `serve.bind`, for whoever needs its port before there are
    settings; without it one is made from them, and it is closed in either case. `on_ready` is
    called when connections are accepted. Logging is the caller's to configure, once per process
    (`lime_server.logging.configure`). Raises what `open_parts` and `bind` raise, but for
    `core.errors.Unavailable`.
    """
    sock = sock or bind(settings.host, settings.port)
    stop = stop or asyncio.Event()
    # From here on, because a signal would otherwise be ignored by a container's first process.
    with sock, on_signals(stop.set):
        async with contextlib.AsyncExitStack() as stack:
            await _open_and_serve(stack, settings, sock, on_ready, stop)


async def _open_and_serve(
    stack: contextlib.AsyncExitStack,
    settings: Settings,
    sock: socket.socket,
    on_ready: Callable[[], None] | None,
    stop: asyncio.Event,
) -> None:
    scope = asyncio.timeout(None)
    try:
        async with scope:
            watching = asyncio.create_task(_leave_when(stop, scope))
            try:
                parts = await patiently(
                    lambda: stack.enter_async_context(open_parts(settings, first_start=True))
                )
            finally:
                watching.cancel()
    except TimeoutError:
        if not scope.expired():
            raise
        _log.info("told to end before there was anything to serve with")
        return
    await serve_parts(parts, sock, on_ready=on_ready, stop=stop)


async def _leave_when(stop: asyncio.Event, scope: asyncio.Timeout) -> None:
    await stop.wait()
    # In the middle of whatever is being waited for: an address that swallows everything, say.
    scope.reschedule(0)


async def serve_parts(
    parts: Parts,
    sock: socket.socket,
    *,
    on_ready: Callable[[], None] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """The same, with parts that are open already, for whoever needs them before."""
    app = build(parts, read_export(PACKAGED))
    with _traced(app, parts.settings.traces) as watched:
        await serve(
            watched,
            sock,
            parts.settings,
            tally=parts.metrics,
            drain=app.state.drain,
            leave=app.state.leave,
            on_ready=on_ready,
            stop=stop,
        )


@contextlib.contextmanager
def _traced(app: ASGIApp, share: float) -> Iterator[ASGIApp]:
    """`app`, with spans for this share of all traces around it; with 0, nothing."""
    if not share:
        yield app
        return
    try:
        from lime_server.infrastructure import telemetry  # noqa: PLC0415 - an extra, and dear
    except ImportError:
        raise SettingsError(
            "LIME_TRACES needs OpenTelemetry: pip install 'lime-server[otel]'"
        ) from None
    with telemetry.recording(share) as tracer:
        yield telemetry.Telemetry(app, tracer)
