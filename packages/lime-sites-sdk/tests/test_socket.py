"""The event stream over a real connection on loopback: silence, cuts, and closing while it is read."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from lime_sites import LimeSite, LimeSiteSync, _listen

HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
    b"connection: close\r\n\r\n"
)
OK = b'HTTP/1.1 200 OK\r\ncontent-length: 21\r\nconnection: close\r\n\r\n{"ok":true,"data":{}}'
DENIED = {"type": "denied", "login_request_id": "login-1"}

Behave = Callable[[int, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Serves event streams that behave as a function says, given how many came before."""

    def __init__(self, behave: Behave) -> None:
        self._behave = behave
        self.streams = 0
        self.acknowledged: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/api/v1"

    async def stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"POST"):
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                self.acknowledged += json.loads(await reader.readexactly(length))["ids"]
                writer.write(OK)
            else:
                self.streams += 1
                writer.write(HEAD)
                await self._behave(self.streams, writer)
            await writer.drain()
        finally:
            self._tasks.discard(task)
            writer.close()


def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(b"%x\r\n%s\r\n" % (len(data), data))


def _event(frame: dict[str, str]) -> bytes:
    return f"id: e1\ndata: {json.dumps(frame)}\n\n".encode()


async def _stay_silent(writer: asyncio.StreamWriter) -> None:
    await writer.drain()
    await asyncio.Event().wait()


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Behave], Awaitable[tuple[Server, str]]]]:
    servers: list[Server] = []

    async def start(behave: Behave) -> tuple[Server, str]:
        servers.append(Server(behave))
        return servers[-1], await servers[-1].start()

    yield start
    for server in servers:
        await server.stop()


async def _login(kind: Any, base_url: str, server: Server) -> list[Any]:
    """Wait for one login and close; return what the handler saw."""
    seen: list[Any] = []
    site = kind(site_token="st_x", base_url=base_url, sse_backoff_base=0.001, max_retries=0)
    site.on_login(lambda *event: seen.append(event))
    while not server.acknowledged:  # noqa: ASYNC110 - it happens in the server
        await asyncio.sleep(0.001)
    await _close(site)
    return seen


async def _close(site: LimeSite | LimeSiteSync) -> None:
    if isinstance(site, LimeSite):
        await site.aclose()
    else:
        await asyncio.to_thread(site.close)


KINDS = pytest.mark.parametrize("kind", [LimeSite, LimeSiteSync])


@KINDS
async def test_a_stream_that_has_fallen_silent_is_opened_again(
    kind: Any, serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_listen, "SILENCE", 0.05)

    async def behave(count: int, writer: asyncio.StreamWriter) -> None:
        if count > 1:
            _write(writer, _event(DENIED))
        await _stay_silent(writer)

    server, base_url = await serve(behave)
    assert await _login(kind, base_url, server) == [("login-1", None)]
    assert server.streams >= 2


@KINDS
async def test_a_connection_that_is_cut_in_an_event_loses_nothing(kind: Any, serve: Any) -> None:
    async def behave(count: int, writer: asyncio.StreamWriter) -> None:
        event = _event(DENIED)
        _write(writer, event[: 20 * count])
        if count * 20 >= len(event):
            await _stay_silent(writer)

    server, base_url = await serve(behave)
    assert await _login(kind, base_url, server) == [("login-1", None)]
    assert server.acknowledged == ["e1"]


@KINDS
async def test_closing_does_not_wait_for_the_next_byte(
    kind: Any, serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def behave(count: int, writer: asyncio.StreamWriter) -> None:
        _write(writer, _event(DENIED))
        await _stay_silent(writer)

    server, base_url = await serve(behave)
    began = time.monotonic()
    await _login(kind, base_url, server)
    # Not a measurement: only less than the 5 s after which a blocking close gives up.
    assert time.monotonic() - began < 5
