"""The tokens an agent has: one for each server, fetched once, and renewed before they end."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from lime_agents import _flows
from lime_agents._mcp import flows
from lime_agents._mcp.flows import Wanted
from lime_agents._mcp.targets import McpTarget
from lime_agents._types import McpAccessToken
from lime_sdk_core import Flow

if TYPE_CHECKING:
    from lime_agents._mcp import wire

T = TypeVar("T")

#: Performs a flow at LIME.
Run = Callable[[Flow[Any]], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class _Kept:
    token: McpAccessToken
    renew_at: float
    """Reading of the monotonic clock from which on it is not handed out."""


class McpTokens:
    """Keeps tokens, and asks LIME for new ones, one request at a time for each server.

    Args:
        run: Performs a flow at LIME.
        skew: Seconds before its end from which on a token is renewed; up to twice that, at random,
            so that the workers of a fleet that began together do not ask together.
        clock: Monotonic seconds.
        wall: Unix time.
        draw: Returns a number in [0, 1).
    """

    def __init__(
        self,
        run: Run,
        *,
        skew: float,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._run, self._skew = run, skew
        self._clock, self._wall, self._draw = clock, wall, draw
        self._kept: dict[Wanted, _Kept] = {}
        self._resources: dict[str, str] = {}
        self._locks: dict[Wanted, asyncio.Lock] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._agent_id: str | None = None
        self._issuer: str | None = None

    def learn(self, target: McpTarget, resource: str) -> None:
        """From now on ask for tokens for `resource` where `target` is meant."""
        self._resources[target.url] = resource

    def forget(self, target: McpTarget) -> None:
        """Take back what was learned about `target`, and drop its token."""
        self._kept.pop(self._wanted(target), None)
        self._resources.pop(target.url, None)

    def knows(self, target: McpTarget) -> bool:
        """Was something learned about `target`?"""
        return target.url in self._resources

    async def get(self, target: McpTarget, *, instead_of: str | None = None) -> McpAccessToken:
        """Return a token for `target`, another than `instead_of`.

        Raises:
            LimeError: What LIME says instead.
        """
        wanted = self._wanted(target)
        # 1. One that still works costs nothing.
        if (found := self._find(wanted, instead_of)) is not None:
            return found
        # 2. One asks LIME; the others wait for it, and look again.
        async with self._lock(wanted):
            if (found := self._find(wanted, instead_of)) is not None:
                return found
            return self._keep(wanted, await self._ask(wanted))

    async def renewed(self, target: McpTarget) -> McpAccessToken:
        """Return a new token for `target`, whatever there is."""
        wanted = self._wanted(target)
        found = self._find(wanted, None)
        return await self.get(target, instead_of=found.access_token if found else None)

    async def issuer(self) -> str:
        """Return LIME's name as an authorization server."""
        if self._issuer is None:
            self._issuer = await self._run(flows.issuer())
        return self._issuer

    def _wanted(self, target: McpTarget) -> Wanted:
        if target.url in self._resources:
            return Wanted(resource=self._resources[target.url])
        # The short form knows host names only.
        return Wanted(domain=target.domain) if target.named else Wanted(resource=target.url)

    def _find(self, wanted: Wanted, unwanted: str | None) -> McpAccessToken | None:
        kept = self._kept.get(wanted)
        if kept is None or self._clock() >= kept.renew_at or kept.token.access_token == unwanted:
            return None
        return kept.token

    async def _ask(self, wanted: Wanted) -> tuple[float, wire.TokenAnswer]:
        # Counted from before the question: the answer may have taken its time.
        asked_at = self._clock()
        if wanted.domain is not None:
            return asked_at, await self._run(flows.short_token(wanted.domain))
        if self._agent_id is None:
            self._agent_id = (await self._run(_flows.profile())).agent_id
        flow = flows.resource_token(self._agent_id, wanted.resource or "")
        return asked_at, await self._run(flow)

    def _keep(self, wanted: Wanted, asked: tuple[float, wire.TokenAnswer]) -> McpAccessToken:
        asked_at, answer = asked
        token = McpAccessToken(
            access_token=answer.access_token,
            token_type="Bearer",  # noqa: S106 - a kind, not a secret
            expires_in=answer.expires_in,
            issued_at=self._wall(),
            resource=wanted.resource,
        )
        # At least half of a short life is used: otherwise every call would ask for a new one.
        early = min(self._skew * (1 + self._draw()), answer.expires_in / 2)
        now = self._clock()
        # What ended goes, so that a long life among many servers does not fill the memory.
        self._kept = {key: kept for key, kept in self._kept.items() if kept.renew_at > now}
        self._kept[wanted] = _Kept(token, asked_at + answer.expires_in - early)
        return token

    def _lock(self, wanted: Wanted) -> asyncio.Lock:
        # Locks belong to a loop, tokens do not: a program may call `asyncio.run` again and again.
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._locks = loop, {}
        return self._locks.setdefault(wanted, asyncio.Lock())
