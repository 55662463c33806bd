"""Runs an application: uvicorn with uvloop and httptools, limits, and an end that keeps nobody."""

import asyncio
import contextlib
import math
import signal
import socket
from collections.abc import Callable, Iterator
from functools import partial

import uvicorn
from starlette.types import ASGIApp

from lime_server.infrastructure.descriptors import raise_limit
from lime_server.infrastructure.protocol import ConnectionTally, guarded
from lime_server.settings import Settings, SettingsError

KEEP_ALIVE = 75
"""Seconds an idle connection is kept: longer than balancers keep theirs (60), so that they, and not
we, close a connection on which a request may just be under way."""
BACKLOG = 2048
"""Connections that wait to be accepted."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; with port 0 the system chooses, and `getsockname()` tells.

    Raises SettingsError when the address cannot be had.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _type, _protocol, _name, address = found[0]
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        raise SettingsError(f"cannot listen on {host} port {port}: {error.strerror}") from None


def new_event_loop() -> asyncio.AbstractEventLoop:
    """The fastest event loop there is: uvloop, where it exists."""
    try:
        import uvloop  # noqa: PLC0415 - not made for every platform
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


async def serve(
    app: ASGIApp,
    sock: socket.socket,
    settings: Settings,
    *,
    tally: ConnectionTally,
    drain: Callable[[], None],
    leave: Callable[[], None] = lambda: None,
    on_ready: Callable[[], None] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Serve `app` on `sock` until SIGTERM or SIGINT arrives or `stop` is set; closes `sock`.

    How it ends:

    1. `leave` is called, which must make readiness fail, and for `settings.shutdown_delay` seconds
       everything goes on, so that whoever sends requests here can notice.
    2. No connection is accepted any more, and `drain` is called, which must make open streams end
       by themselves; other requests get `settings.shutdown_timeout` seconds.

    The process gets to open as many files as it may, because each connection is one.

    Each further signal ends what is being waited for: first the delay, then the requests.
    `on_ready` is called when connections are accepted; `tally` counts them. Returns in an orderly
    way in each case, so that the caller can close what it opened.
    """
    raise_limit()
    config = uvicorn.Config(
        app,
        http=guarded(
            max_header_bytes=settings.max_header_bytes,
            header_timeout=settings.header_timeout,
            max_connections=settings.max_connections,
            tally=tally,
        ),
        ws="none",
        lifespan="on",
        # Both are ours: logs are structured, and a forwarding header is believed only as far as
        # `trusted_proxies` says.
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=math.ceil(settings.shutdown_timeout),
    )
    server = _Server(config, drain=drain, on_ready=on_ready)
    stop = stop or asyncio.Event()
    watching = asyncio.create_task(_end_when(stop, server, leave, settings.shutdown_delay))
    try:
        with on_signals(partial(_caught, stop, server)):
            await server.run_on(sock)
    finally:
        watching.cancel()
        sock.close()


class _Server(uvicorn.Server):
    """Without uvicorn's signal handling, which ends the process before its caller can close."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        drain: Callable[[], None],
        on_ready: Callable[[], None] | None,
    ) -> None:
        super().__init__(config)
        self._drain = drain
        self._on_ready = on_ready

    async def run_on(self, sock: socket.socket) -> None:
        await self._serve([sock])

    def hurry(self) -> None:
        """End the delay; after it, cut off what is still being answered."""
        if not self.should_exit:
            self.should_exit = True
            return
        for task in list(self.server_state.tasks):
            task.cancel()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._on_ready is not None:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Before uvicorn waits for connections: a stream would keep it for minutes.
        self._drain()
        await super().shutdown(sockets)


async def _end_when(
    stop: asyncio.Event, server: _Server, leave: Callable[[], None], delay: float
) -> None:
    await stop.wait()
    leave()
    if delay:
        await asyncio.sleep(delay)
    server.should_exit = True


def _caught(stop: asyncio.Event, server: _Server) -> None:
    if stop.is_set():
        server.hurry()
    stop.set()


@contextlib.contextmanager
def on_signals(act: Callable[[], None]) -> Iterator[None]:
    """Within the block SIGTERM and SIGINT call `act`, and end nothing by themselves."""
    loop = asyncio.get_running_loop()
    caught_here = []
    for number in (signal.SIGTERM, signal.SIGINT):
        # Not in a thread other than the main one, and not on Windows: there `stop` is the way.
        with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):
            loop.add_signal_handler(number, act)
            caught_here.append(number)
    try:
        yield
    finally:
        for number in caught_here:
            loop.remove_signal_handler(number)
