"""The two clients: the same conversations, asynchronous and blocking."""

from __future__ import annotations

from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

from lime_agents import _flows
from lime_agents._flows import Allow, AsyncAllow
from lime_agents._mcp.facade import BlockingMcpCalls, McpCalls
from lime_agents._pow import DEFAULT_MAX_DIFFICULTY, DEFAULT_POW_TIMEOUT, PowLimits
from lime_agents._types import AgentProfile, ApprovalResult
from lime_agents._version import __version__
from lime_sdk_core import AsyncDriver, Config, Flow, SyncDriver

if TYPE_CHECKING:
    import httpx


def _config(
    agent_token: str | None,
    base_url: str | None,
    timeout: float,
    max_retries: int,
    *,
    allow_insecure_http: bool,
) -> Config:
    # Now, like the HTTP client: the first answer would hold up the event loop for it.
    import_module("lime_agents._wire")
    return Config.resolve(
        product="lime-agents-sdk",
        version=__version__,
        header="X-Agent-Token",
        credential_env="LIME_AGENT_TOKEN",
        credential_argument="agent_token",
        token=agent_token,
        base_url=base_url,
        timeout=timeout,
        max_retries=max_retries,
        allow_insecure_http=allow_insecure_http,
    )


class LimeAgent(McpCalls):
    """A LIME agent, for asyncio. Make one per process and use it for everything.

    Args:
        agent_token: The agent's secret (`at_…`); by default from `LIME_AGENT_TOKEN`.
        base_url: API base such as `https://lime.example.com/api/v1`; by default from
            `LIME_API_BASE`. There is no other default: a secret must not go to a host that nobody
            chose.
        timeout: Seconds for one call to LIME, repetitions and pauses included.
        max_retries: Repetitions of a call that may be repeated.
        pow_timeout: Seconds to search for a proof of work.
        max_difficulty: Highest difficulty, in bits, that is worked on.
        allow_insecure_http: Send the token over plain http to another machine; also
            `LIME_ALLOW_INSECURE_HTTP=1`.
        mcp_token_refresh_skew: Seconds before its end from which on a token for an MCP server is
            renewed.
        mcp_read_timeout: Longest wait for an MCP server's answer, in seconds.
        serialize_mcp_per_url: One call at a time to each MCP server, for servers that need it.
        allow_private: Let MCP servers be on this machine or in a private network, and speak plain
            http there. For development.
        http_client: An `httpx.AsyncClient` to use, for proxies or certificates. It stays open at
            `aclose`.

    Raises:
        AuthenticationError: There is no token, or it is malformed.
        ConfigurationError: There is no API base, or a setting is impossible.
    """

    def __init__(
        self,
        *,
        agent_token: str | None = None,
        base_url: str | None = None,
        timeout: float = 30.0,
        max_retries: int = 3,
        pow_timeout: float = DEFAULT_POW_TIMEOUT,
        max_difficulty: int = DEFAULT_MAX_DIFFICULTY,
        mcp_token_refresh_skew: float = 30.0,
        mcp_read_timeout: float = 300.0,
        serialize_mcp_per_url: bool = False,
        allow_private: bool = False,
        allow_insecure_http: bool = False,
        http_client: httpx.AsyncClient | None = None,
    ) -> None:
        config = _config(
            agent_token, base_url, timeout, max_retries, allow_insecure_http=allow_insecure_http
        )
        self._limits = PowLimits(pow_timeout, max_difficulty)
        self._driver = AsyncDriver(config, http_client)
        super().__init__(
            self._driver.run,
            mcp_token_refresh_skew=mcp_token_refresh_skew,
            mcp_read_timeout=mcp_read_timeout,
            serialize_mcp_per_url=serialize_mcp_per_url,
            allow_private=allow_private,
        )

    async def login(
        self, request_id: str, *, allow: AsyncAllow | None = None, deny_refused: bool = False
    ) -> ApprovalResult:
        """Log in to the site that made `request_id`: solve the puzzle and approve.

        The site gets the passport from LIME, not from here. Cancelling stops the work.

        Args:
            request_id: The login request's id, as the site gave it.
            allow: Called with the `LoginSite` before any work; may be async. Anything but a true
                result refuses.
            deny_refused: Deny at LIME what `allow` refuses, so that nobody else can approve it.

        Raises:
            InvalidRequestIdError: `request_id` cannot be one; nothing was sent.
            LoginNotFoundError: The request is unknown, expired, denied, or another agent's.
            LoginRefusedError: `allow` refused.
            PowTimeoutError: No proof of work within `pow_timeout`.
            PowDifficultyError: More work than `max_difficulty` was asked for.
            AuthenticationError: LIME does not accept the agent.
            RateLimitError: Too many requests; see `retry_after`.
            TransportError: LIME did not answer. Whether the login was approved is then unknown to
                the agent; the site knows.
            LimeError: Anything else.
        """
        key = uuid4().hex if deny_refused else None
        return await self._driver.run(
            _flows.login(request_id, limits=self._limits, allow=allow, deny_key=key)
        )

    async def deny(self, request_id: str) -> None:
        """Refuse the login request for everybody. Raises as `login` does."""
        await self._driver.run(_flows.deny(request_id, key=uuid4().hex))

    async def get_profile(self) -> AgentProfile:
        """Return who this agent is. Raises as `login` does."""
        return await self._driver.run(_flows.profile())

    async def aclose(self) -> None:
        """Close the connections. Safe to call more than once."""
        await self._close_mcp()
        await self._driver.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"LimeAgent(base_url={self._driver.config.base_url!r})"


class LimeAgentSync(BlockingMcpCalls):
    """A LIME agent, blocking. Threads may share one.

    Args:
        agent_token: The agent's secret (`at_…`); by default from `LIME_AGENT_TOKEN`.
        base_url: API base such as `https://lime.example.com/api/v1`; by default from
            `LIME_API_BASE`.
        timeout: Seconds for one call to LIME, repetitions and pauses included.
        max_retries: Repetitions of a call that may be repeated.
        pow_timeout: Seconds to search for a proof of work.
        max_difficulty: Highest difficulty, in bits, that is worked on.
        allow_insecure_http: Send the token over plain http to another machine; also
            `LIME_ALLOW_INSECURE_HTTP=1`.
        mcp_token_refresh_skew: Seconds before its end from which on a token for an MCP server is
            renewed.
        mcp_read_timeout: Longest wait for an MCP server's answer, in seconds.
        serialize_mcp_per_url: One call at a time to each MCP server, for servers that need it.
        allow_private: Let MCP servers be on this machine or in a private network, and speak plain
            http there. For development.
        http_client: An `httpx.Client` to use, for proxies or certificates. It stays open at
            `close`.

    Raises:
        AuthenticationError: There is no token, or it is malformed.
        ConfigurationError: There is no API base, or a setting is impossible.
    """

    def __init__(
        self,
        *,
        agent_token: str | None = None,
        base_url: str | None = None,
        timeout: float = 30.0,
        max_retries: int = 3,
        pow_timeout: float = DEFAULT_POW_TIMEOUT,
        max_difficulty: int = DEFAULT_MAX_DIFFICULTY,
        mcp_token_refresh_skew: float = 30.0,
        mcp_read_timeout: float = 300.0,
        serialize_mcp_per_url: bool = False,
        allow_private: bool = False,
        allow_insecure_http: bool = False,
        http_client: httpx.Client | None = None,
    ) -> None:
        config = _config(
            agent_token, base_url, timeout, max_retries, allow_insecure_http=allow_insecure_http
        )
        self._limits = PowLimits(pow_timeout, max_difficulty)
        self._driver = SyncDriver(config, http_client)
        calls = McpCalls(
            self._run_elsewhere,
            mcp_token_refresh_skew=mcp_token_refresh_skew,
            mcp_read_timeout=mcp_read_timeout,
            serialize_mcp_per_url=serialize_mcp_per_url,
            allow_private=allow_private,
        )
        super().__init__(calls)

    def login(
        self, request_id: str, *, allow: Allow | None = None, deny_refused: bool = False
    ) -> ApprovalResult:
        """Log in to the site that made `request_id`. As `LimeAgent.login`, with a plain `allow`."""
        key = uuid4().hex if deny_refused else None
        return self._driver.run(
            _flows.login(request_id, limits=self._limits, allow=allow, deny_key=key)
        )

    def deny(self, request_id: str) -> None:
        """Refuse the login request for everybody. Raises as `LimeAgent.login` does."""
        self._driver.run(_flows.deny(request_id, key=uuid4().hex))

    def get_profile(self) -> AgentProfile:
        """Return who this agent is. Raises as `LimeAgent.login` does."""
        return self._driver.run(_flows.profile())

    def close(self) -> None:
        """Close the connections. Safe to call more than once."""
        self._close_mcp()
        self._driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    async def _run_elsewhere(self, flow: Flow[Any]) -> Any:
        # The loop that MCP sessions live on must not wait for LIME.
        return await self._background.aside(self._driver.run, flow)

    def __repr__(self) -> str:
        return f"LimeAgentSync(base_url={self._driver.config.base_url!r})"
