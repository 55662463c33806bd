"""A thousand sites in one process, each with an SDK client of its own.

    crowd.py LEDGER TOKENS COUNT      (LIME_API_BASE in the environment)

TOKENS holds one site token per line. COUNT is kept up to date: how many of them have a stream open.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx

from lime_sites import LimeSite

PAUSE = 0.2


class Counting(httpx.AsyncBaseTransport):
    """The network, and how many streams are open in it."""

    def __init__(self) -> None:
        self.open = 0
        limits = httpx.Limits(max_connections=None)
        self._network = httpx.AsyncHTTPTransport(limits=limits)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass the request on."""
        response = await self._network.handle_async_request(request)
        if response.status_code == httpx.codes.OK and request.url.path.endswith("/events"):
            stream = response.stream
            assert isinstance(stream, httpx.AsyncByteStream)
            response.stream = _Counted(stream, self)
            self.open += 1
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self._network.aclose()


class _Counted(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, counter: Counting) -> None:
        self._stream = stream
        self._counter = counter
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            yield chunk

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._counter.open -= 1
        await self._stream.aclose()


async def main(tokens: list[str], count: Path) -> None:
    """Listen until killed."""
    network = Counting()
    async with httpx.AsyncClient(transport=network) as shared, AsyncExitStack() as stack:
        for token in tokens:
            site = LimeSite(site_token=token, http_client=shared)
            site.on_login(_ignore)
            await stack.enter_async_context(site)
        while True:
            count.with_suffix(".new").write_text(str(network.open))
            count.with_suffix(".new").rename(count)
            await asyncio.sleep(PAUSE)


async def _ignore(_request_id: str, _passport: str | None) -> None:
    """Nobody logs in here."""


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[2]).read_text().split(), Path(sys.argv[3])))
