"""The two lines of the official SDK: `mcp` 1 with sessions, `mcp` 2 which can do without.

They spell fields differently (`nextCursor`, `next_cursor`) and bring different HTTP libraries. All
that knows the difference is here.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import ModuleType
from typing import Any

from lime_sdk_core import ConfigurationError

#: Pages of a list that are read: a server whose pages never end must not keep an agent for ever.
MAX_PAGES = 100

#: The specification of JSON-RPC leaves -32000 to implementations; both lines say it when the
#: connection ended under a request.
CONNECTION_CLOSED = -32000

#: The specification of JSON-RPC: what a request is answered with that cannot be taken as it is, and
#: one that something went wrong with. Both lines say the first when a session was forgotten.
INVALID_REQUEST, INTERNAL_ERROR = -32600, -32603

#: What `mcp` 1 and `mcp` 2 say when an answer took too long. A server may say either, too.
TIMED_OUT = frozenset({408, -32001})


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection that has agreed on a version.

    Attributes:
        session: `mcp.Client` (2) or `mcp.ClientSession` (1).
        capabilities: What the server said that it can do.
    """

    session: Any
    capabilities: Any

    @property
    def protocol(self) -> Any:
        """The `ClientSession` below, which both lines have."""
        return getattr(self.session, "session", self.session)


def load() -> ModuleType:
    """Return the official SDK.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        return importlib.import_module("mcp")
    except ImportError:
        failure = ConfigurationError("MCP needs the extra: pip install 'lime-agents-sdk[mcp]'.")
    raise failure


def types() -> ModuleType:
    """Return the official SDK's types. Raises `ConfigurationError` where it is not installed."""
    load()
    return importlib.import_module("mcp.types")


def http_library(mcp: ModuleType) -> ModuleType:
    """Return the HTTP library that `mcp` speaks through."""
    return importlib.import_module("httpx2" if hasattr(mcp, "Client") else "httpx")


def error_types(mcp: ModuleType) -> tuple[type[Exception], ...]:
    """Return the classes of what a server answers instead of a result."""
    return tuple(getattr(mcp, name) for name in ("MCPError", "McpError") if hasattr(mcp, name))


def timed_out(error: BaseException) -> bool:
    """Did the official SDK itself give up waiting for an answer?"""
    code = getattr(getattr(error, "error", None), "code", None)
    # Both lines raise it while they handle their clock's error, and a server's own words without.
    return code in TIMED_OUT and isinstance(error.__context__, TimeoutError)


@asynccontextmanager
async def open_session(
    mcp: ModuleType, url: str, client: Any, read_timeout: float
) -> AsyncIterator[Opened]:
    """Connect to `url` through `client`, which is closed at the end."""
    transport = importlib.import_module("mcp.client.streamable_http")
    if hasattr(mcp, "Client"):
        # Asks whether the server speaks the stateless protocol, and begins a session otherwise.
        async with (
            client,
            mcp.Client(
                transport.streamable_http_client(url, http_client=client),
                read_timeout_seconds=read_timeout,
            ) as opened,
        ):
            yield Opened(opened, opened.server_capabilities)
        return
    async with (
        _first_line(transport, url, client) as streams,
        mcp.ClientSession(
            streams[0], streams[1], read_timeout_seconds=timedelta(seconds=read_timeout)
        ) as session,
    ):
        answer = await session.initialize()
        yield Opened(session, answer.capabilities)


@asynccontextmanager
async def _first_line(transport: ModuleType, url: str, client: Any) -> AsyncIterator[Any]:
    if hasattr(transport, "streamable_http_client"):
        async with client, transport.streamable_http_client(url, http_client=client) as streams:
            yield streams
    else:  # before 1.24
        make = transport.streamablehttp_client
        async with make(url, httpx_client_factory=lambda **_: client) as streams:
            yield streams


async def all_pages(page: Callable[..., Any], field: str) -> list[Any]:
    """Return what `page(cursor=…)` lists as `field`, over all pages."""
    found: list[Any] = []
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        answer = await (page(cursor=cursor) if cursor else page())
        found += of(answer, field)
        cursor = of(answer, "next_cursor")
        if not cursor:
            break
    return found


def of(thing: Any, field: str) -> Any:
    """Return the field `snake_case` of `thing`, which may spell it in camelCase."""
    if hasattr(thing, field):
        return getattr(thing, field)
    first, *others = field.split("_")
    return getattr(thing, first + "".join(map(str.capitalize, others)))


def quietly(method: Callable[..., Any], *arguments: Any) -> Any:
    """Call a method of the protocol that its newest version deprecates; returns an awaitable."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return method(*arguments)
