"""What an agent can do with MCP servers, asynchronously and blocking."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from lime_agents._mcp import generations
from lime_agents._mcp.background import Background
from lime_agents._mcp.generations import Opened, all_pages
from lime_agents._mcp.sessions import Operation, Sessions
from lime_agents._mcp.targets import McpTarget
from lime_agents._mcp.tokens import McpTokens, Run
from lime_agents._types import McpAccessToken
from lime_sdk_core import ClosedError, ConfigurationError

if TYPE_CHECKING:
    from mcp.types import (
        CallToolResult,
        Completion,
        GetPromptResult,
        Prompt,
        PromptReference,
        ReadResourceResult,
        Resource,
        ResourceTemplate,
        ResourceTemplateReference,
        ServerCapabilities,
        Tool,
    )

T = TypeVar("T")

#: Called with what is done, what there is to do (or `None`), and a message (or `None`).
Progress: TypeAlias = Callable[[float, float | None, str | None], object]

LoggingLevel: TypeAlias = Literal[
    "debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"
]


class McpCalls:
    """The calls of `LimeAgent` to MCP servers.

    Every `target` is a URL, or a host name, which means `https://{host}/mcp`. All raise
    `InvalidMcpTargetError` for what cannot be one, `LimeError` where LIME gives no token,
    `McpAuthenticationError` where the server takes none, `TransportError` where it does not answer
    (in time), `ClosedError` where the agent was closed, before or meanwhile, and `mcp.MCPError`
    (`mcp.McpError` of `mcp` 1) for what the server answers instead of a result.
    """

    def __init__(
        self,
        run: Run,
        *,
        mcp_token_refresh_skew: float,
        mcp_read_timeout: float,
        serialize_mcp_per_url: bool,
        allow_private: bool,
    ) -> None:
        if not mcp_token_refresh_skew >= 0 or not mcp_read_timeout > 0:
            raise ConfigurationError("Times of MCP are positive numbers of seconds.")
        self._mcp_tokens = McpTokens(run, skew=mcp_token_refresh_skew)
        self._mcp_read_timeout, self._serialize_mcp = mcp_read_timeout, serialize_mcp_per_url
        self._allow_private = allow_private
        self._mcp_sessions: Sessions | None = None
        self._mcp_closed = False

    async def get_mcp_access_token(
        self, target: str, *, force_refresh: bool = False
    ) -> McpAccessToken:
        """Return the token that calls to `target` carry now, for requests of your own.

        It is for the server's host name, unless the server has asked for tokens of another kind.
        Send it to that server and to nobody else.
        """
        parsed = self._target(target)
        self._refuse_if_closed()
        if force_refresh:
            return await self._mcp_tokens.renewed(parsed)
        return await self._mcp_tokens.get(parsed)

    @asynccontextmanager
    async def mcp_session(self, target: str) -> AsyncIterator[Any]:
        """Lend the official SDK's own session, connected and with tokens.

        It is an `mcp.Client` with `mcp` 2 and an `mcp.ClientSession` with `mcp` 1, shared with all
        other calls to `target`. What it raises goes through, and nothing is repeated.

        With `serialize_mcp_per_url` no other task calls the server meanwhile. The one that borrows
        the session may; tasks that it begins and waits for would wait for ever.
        """
        parsed = self._target(target)
        async with (await self._sessions()).session(parsed) as session:
            yield session

    async def list_tools(self, target: str) -> list[Tool]:
        """Return all tools of a server, over all pages of its list."""
        return await self._mcp_run(target, lambda s: all_pages(s.session.list_tools, "tools"))

    async def call_tool(
        self,
        target: str,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        progress: Progress | None = None,
    ) -> CallToolResult:
        """Call a tool. Cancelling tells the server, where its protocol can say so.

        Args:
            target: The server.
            name: The tool's name.
            arguments: What its input schema asks for.
            progress: Called when the server reports progress; may be async. With
                `serialize_mcp_per_url` it must not wait for another call to `target`, which waits
                for the end of this one.
        """
        listener = _listener(progress) if progress is not None else None

        async def call(opened: Opened) -> CallToolResult:
            found: CallToolResult = await opened.session.call_tool(
                name, dict(arguments or {}), progress_callback=listener
            )
            return found

        return await self._mcp_run(target, call)

    async def list_resources(self, target: str) -> list[Resource]:
        """Return all resources of a server, over all pages of its list."""
        return await self._mcp_run(
            target, lambda s: all_pages(s.session.list_resources, "resources")
        )

    async def list_resource_templates(self, target: str) -> list[ResourceTemplate]:
        """Return all templates of resources, over all pages of the list."""
        return await self._mcp_run(
            target, lambda s: all_pages(s.session.list_resource_templates, "resource_templates")
        )

    async def read_resource(self, target: str, uri: str) -> ReadResourceResult:
        """Read a resource by its URI, as `list_resources` says it."""
        return await self._mcp_run(target, lambda s: s.session.read_resource(uri))

    async def list_prompts(self, target: str) -> list[Prompt]:
        """Return all prompts of a server, over all pages of its list."""
        return await self._mcp_run(target, lambda s: all_pages(s.session.list_prompts, "prompts"))

    async def get_prompt(
        self, target: str, name: str, arguments: Mapping[str, str] | None = None
    ) -> GetPromptResult:
        """Return a prompt, filled in with `arguments`."""
        return await self._mcp_run(
            target, lambda s: s.session.get_prompt(name, dict(arguments or {}))
        )

    async def complete(
        self,
        target: str,
        ref: PromptReference | ResourceTemplateReference,
        argument: Mapping[str, str],
        context_arguments: Mapping[str, str] | None = None,
    ) -> Completion:
        """Return what may stand for an argument of a prompt, or of a template of resources.

        Args:
            target: The server.
            ref: Which prompt or template (`mcp.types`).
            argument: `name`, and the `value` typed so far.
            context_arguments: Arguments that are known already.
        """
        context = dict(context_arguments) if context_arguments is not None else None

        async def complete(opened: Opened) -> Completion:
            found = await opened.session.complete(ref, dict(argument), context)
            return found.completion  # type: ignore[no-any-return]  # either line's type

        return await self._mcp_run(target, complete)

    async def get_server_capabilities(self, target: str) -> ServerCapabilities:
        """Return what a server said that it can do."""

        async def capabilities(opened: Opened) -> ServerCapabilities:
            return opened.capabilities  # type: ignore[no-any-return]  # either line's type

        return await self._mcp_run(target, capabilities)

    async def send_ping(self, target: str) -> None:
        """Ask whether a server is there. The stateless protocol of 2026-07-28 has no ping."""
        await self._mcp_run(target, lambda s: s.protocol.send_ping())

    async def set_logging_level(self, target: str, level: LoggingLevel) -> None:
        """Say which log messages a session wants. Sessions only, and deprecated by MCP."""
        await self._mcp_run(
            target, lambda s: generations.quietly(s.protocol.set_logging_level, level)
        )

    async def send_progress_notification(
        self, target: str, progress_token: str | int, progress: float, total: float | None = None
    ) -> None:
        """Report progress to a server that asked for it. Sessions only, and deprecated by MCP."""
        report = (progress_token, progress, total)
        await self._mcp_run(
            target, lambda s: generations.quietly(s.protocol.send_progress_notification, *report)
        )

    def _target(self, target: str) -> McpTarget:
        return McpTarget.parse(target, allow_private=self._allow_private)

    async def _mcp_run(self, target: str, operation: Operation[T]) -> T:
        parsed = self._target(target)
        return await (await self._sessions()).run(parsed, operation)

    def _refuse_if_closed(self) -> None:
        if self._mcp_closed:
            raise ClosedError("This client is closed.")

    async def _sessions(self) -> Sessions:
        if self._mcp_sessions is None:
            # Importing it takes a second, which must not hold up the loop. Once: the threads that
            # the loop has for this may all be waiting for something slow.
            await asyncio.to_thread(generations.load)
        self._refuse_if_closed()
        # Connections belong to a loop: those of another one ended with it.
        found = self._mcp_sessions
        if found is None or found.loop is not asyncio.get_running_loop():
            found = self._mcp_sessions = Sessions(
                self._mcp_tokens,
                read_timeout=self._mcp_read_timeout,
                serialize=self._serialize_mcp,
            )
        return found

    async def _close_mcp(self) -> None:
        self._mcp_closed = True
        sessions, self._mcp_sessions = self._mcp_sessions, None
        if sessions is not None and sessions.loop is asyncio.get_running_loop():
            await sessions.aclose()


class BlockingMcpCalls:
    """The calls of `LimeAgentSync` to MCP servers: those of `LimeAgent`, waited for.

    Connections live in a thread of their own, which begins at the first call. The SDK's own session
    is asynchronous, so there is no `mcp_session`.
    """

    def __init__(self, calls: McpCalls) -> None:
        self._mcp, self._background = calls, Background()

    def get_mcp_access_token(self, target: str, *, force_refresh: bool = False) -> McpAccessToken:
        """Return the token that calls to `target` carry now. As `LimeAgent`'s."""
        return self._wait(self._mcp.get_mcp_access_token(target, force_refresh=force_refresh))

    def list_tools(self, target: str) -> list[Tool]:
        """Return all tools of a server, over all pages of its list."""
        return self._wait(self._mcp.list_tools(target))

    def call_tool(
        self,
        target: str,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        progress: Progress | None = None,
    ) -> CallToolResult:
        """Call a tool. Ctrl-C cancels the call.

        `progress` is called in the thread of the connections. What it asks of this agent there
        raises `ConfigurationError`, because the answer would have to come to the same thread; the
        official SDK writes that to its log, and the call goes on.
        """
        return self._wait(self._mcp.call_tool(target, name, arguments, progress=progress))

    def list_resources(self, target: str) -> list[Resource]:
        """Return all resources of a server, over all pages of its list."""
        return self._wait(self._mcp.list_resources(target))

    def list_resource_templates(self, target: str) -> list[ResourceTemplate]:
        """Return all templates of resources, over all pages of the list."""
        return self._wait(self._mcp.list_resource_templates(target))

    def read_resource(self, target: str, uri: str) -> ReadResourceResult:
        """Read a resource by its URI, as `list_resources` says it."""
        return self._wait(self._mcp.read_resource(target, uri))

    def list_prompts(self, target: str) -> list[Prompt]:
        """Return all prompts of a server, over all pages of its list."""
        return self._wait(self._mcp.list_prompts(target))

    def get_prompt(
        self, target: str, name: str, arguments: Mapping[str, str] | None = None
    ) -> GetPromptResult:
        """Return a prompt, filled in with `arguments`."""
        return self._wait(self._mcp.get_prompt(target, name, arguments))

    def complete(
        self,
        target: str,
        ref: PromptReference | ResourceTemplateReference,
        argument: Mapping[str, str],
        context_arguments: Mapping[str, str] | None = None,
    ) -> Completion:
        """Return what may stand for an argument. As `LimeAgent.complete`."""
        return self._wait(self._mcp.complete(target, ref, argument, context_arguments))

    def get_server_capabilities(self, target: str) -> ServerCapabilities:
        """Return what a server said that it can do."""
        return self._wait(self._mcp.get_server_capabilities(target))

    def send_ping(self, target: str) -> None:
        """Ask whether a server is there. The stateless protocol of 2026-07-28 has no ping."""
        self._wait(self._mcp.send_ping(target))

    def set_logging_level(self, target: str, level: LoggingLevel) -> None:
        """Say which log messages a session wants. Sessions only, and deprecated by MCP."""
        self._wait(self._mcp.set_logging_level(target, level))

    def send_progress_notification(
        self, target: str, progress_token: str | int, progress: float, total: float | None = None
    ) -> None:
        """Report progress to a server that asked for it. Sessions only, and deprecated by MCP."""
        self._wait(self._mcp.send_progress_notification(target, progress_token, progress, total))

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return self._background.call(work)

    def _close_mcp(self) -> None:
        self._background.close(self._mcp._close_mcp)  # noqa: SLF001 - the other half


def _listener(progress: Progress) -> Callable[..., Awaitable[None]]:
    async def listen(done: float, total: float | None, message: str | None = None) -> None:
        result = progress(done, total, message)
        if inspect.isawaitable(result):
            await result

    return listen
