"""The network between every pair, as a TCP proxy of the rig's own: it can be cut, go deaf, swallow everything, or be slow.

All links live on one event loop in a thread of their own; their methods may be called from any
thread. Nothing here looks at what passes.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

Address = str | tuple[str, int]
"""A Unix socket's path, or host and port."""

CHUNK = 65536


@dataclass(eq=False)
class _Pair:
    """One connection through a link: who called, and who answers."""

    caller: asyncio.StreamWriter
    answerer: asyncio.StreamWriter
    half_open: bool = False
    """Whether one side is gone, and the other does not know."""


class Network:
    """The event loop that all links share."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._links: list[Link] = []
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` on the loop, and wait for its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def link(self, *upstream: Address) -> Link:
        """A new link to the first of `upstream` that answers, beginning with another one each time."""
        made = self.run(Link.opened(self, upstream))
        self._links.append(made)
        return made

    def close(self) -> None:
        """Cut everything."""
        for link in self._links:
            link.end()
        self.run(self._end_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end_tasks(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


class Link:
    """One port on loopback, and what is behind it."""

    def __init__(self, network: Network, upstream: Sequence[Address]) -> None:
        """Use `Network.link`."""
        self._network = network
        self._upstream = list(upstream)
        # Bound, and never listening: the port stays ours while the link is cut.
        self._reserved = _bound(0)
        self.port: int = self._reserved.getsockname()[1]
        self._pairs: set[_Pair] = set()
        self._server: asyncio.Server | None = None
        self._turn = 0
        self._flows = asyncio.Event()
        self._flows.set()
        self._delay = 0.0

    @classmethod
    async def opened(cls, network: Network, upstream: Sequence[Address]) -> Link:
        """A link that listens."""
        link = cls(network, upstream)
        await link._listen()
        return link

    # What a scenario does to it

    def cut(self) -> None:
        """Reset every connection, and refuse new ones until `mend`."""
        self._network.run(self._cut())

    def swallow(self) -> None:
        """A black hole: nothing arrives and nothing is refused, until `mend`, when it all arrives."""
        self._network.run(self._set(flows=False))

    def slow_down(self, seconds: float) -> None:
        """Let every piece travel for so long, until `mend`."""
        self._network.run(self._set(delay=seconds))

    def mend(self) -> None:
        """A good network again."""
        self._network.run(self._mend())

    def forget_callers(self) -> None:
        """Half-open: those who called believe to be connected, those who answer know better."""
        self._network.run(self._drop(lambda pair: pair.answerer))

    def forget_answerers(self) -> None:
        """Half-open, the other way round: those who called are told, those who answer are not."""
        self._network.run(self._drop(lambda pair: pair.caller))

    def reset(self) -> None:
        """Reset every connection; new ones are welcome."""
        self._network.run(self._reset())

    def end(self) -> None:
        """Cut it for good, and give the port back."""
        self.cut()
        self._reserved.close()

    def lead_to(self, *upstream: Address) -> None:
        """From now on, connect to these instead; connections that exist stay."""
        self._upstream = list(upstream)

    @property
    def connections(self) -> int:
        """How many there are now."""
        return len(self._pairs)

    # How it is done, on the loop

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(
            self._pass_on, sock=_bound(self.port), backlog=2048
        )

    async def _cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._reset()

    async def _mend(self) -> None:
        await self._set(flows=True, delay=0.0)
        if self._server is None:
            await self._listen()

    async def _set(self, *, flows: bool | None = None, delay: float | None = None) -> None:
        if flows is not None:
            self._flows.set() if flows else self._flows.clear()
        if delay is not None:
            self._delay = delay

    async def _drop(self, side: Callable[[_Pair], asyncio.StreamWriter]) -> None:
        for pair in list(self._pairs):
            pair.half_open = True
            side(pair).transport.abort()

    async def _reset(self) -> None:
        for pair in list(self._pairs):
            pair.caller.transport.abort()
            pair.answerer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, caller: asyncio.StreamWriter) -> None:
        try:
            back, answerer = await self._call()
        except OSError:
            caller.transport.abort()
            return
        pair = _Pair(caller, answerer)
        self._pairs.add(pair)
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._carry(pair, reader, answerer))
                ways.create_task(self._carry(pair, back, caller))
        except* OSError:
            pass
        finally:
            self._pairs.discard(pair)
            caller.transport.abort()
            answerer.transport.abort()

    async def _call(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Whoever of those behind answers, in turn."""
        self._turn += 1
        failure: OSError = ConnectionRefusedError()
        for number in range(len(self._upstream)):
            address = self._upstream[(self._turn + number) % len(self._upstream)]
            try:
                if isinstance(address, str):
                    return await asyncio.open_unix_connection(address)
                return await asyncio.open_connection(*address)
            except OSError as error:
                failure = error
        raise failure

    async def _carry(
        self, pair: _Pair, source: asyncio.StreamReader, target: asyncio.StreamWriter
    ) -> None:
        while piece := await source.read(CHUNK):
            if self._delay:
                await asyncio.sleep(self._delay)
            await self._flows.wait()
            # Whoever does not know that the other side is gone speaks on, until it gives up.
            if not pair.half_open:
                target.write(piece)
                await target.drain()
        await self._flows.wait()
        if not pair.half_open:
            target.write_eof()


def _bound(port: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("127.0.0.1", port))
    return made


@contextlib.contextmanager
def network() -> Iterator[Network]:
    """A network that is gone afterwards."""
    made = Network()
    try:
        yield made
    finally:
        made.close()
