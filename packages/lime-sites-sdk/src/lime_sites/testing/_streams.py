"""The fake's end of an event stream, for blocking and asynchronous clients."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from queue import SimpleQueue
from typing import Any

import httpx


class End:
    """How a stream ends."""

    CLEAN: bytes | Exception = b""
    BROKEN: bytes | Exception = httpx.ReadError("the connection was cut")


class BlockingStream(httpx.SyncByteStream):
    """A body that is written while it is read, by threads."""

    def __init__(self) -> None:
        self.is_open = True
        self._items: SimpleQueue[bytes | Exception] = SimpleQueue()

    def put(self, item: bytes | Exception) -> None:
        """Write some bytes, or an end."""
        self._items.put(item)

    def __iter__(self) -> Iterator[bytes]:
        while chunk := _chunk(self._items.get()):
            yield chunk

    def close(self) -> None:
        """Record that the client has gone."""
        self.is_open = False

    # What the SDK looks for to wake up a reader: a network stream with a socket.

    def get_extra_info(self, _name: str) -> Any:
        """Return the socket."""
        return self

    def shutdown(self, _how: int) -> None:
        """End the stream from the client's side."""
        self.put(End.CLEAN)


class AsyncStream(httpx.AsyncByteStream):
    """A body that is written while it is read, on an event loop."""

    def __init__(self) -> None:
        self.is_open = True
        self._loop = asyncio.get_running_loop()
        self._items: asyncio.Queue[bytes | Exception] = asyncio.Queue()

    def put(self, item: bytes | Exception) -> None:
        """Write some bytes, or an end; from any thread."""
        self._loop.call_soon_threadsafe(self._items.put_nowait, item)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while chunk := _chunk(await self._items.get()):
            yield chunk

    async def aclose(self) -> None:
        """Record that the client has gone."""
        self.is_open = False


Stream = BlockingStream | AsyncStream


def _chunk(item: bytes | Exception) -> bytes:
    if isinstance(item, Exception):
        raise item
    return item
