"""Tokens for MCP servers, as the published SDK asks for them: it checks the answer to the letter."""

import asyncio
import os

from talk import say

import lime_agents


async def refused(what: str, agent: lime_agents.LimeAgent, target: str) -> None:
    try:
        await agent.get_mcp_access_token(target)
    except lime_agents.LimeError as error:
        say(what=what, error=type(error).__name__, code=error.code, status=error.http_status)
    else:
        say(what=what, error=None)


async def main() -> None:
    async with lime_agents.LimeAgent() as agent:
        token = await agent.get_mcp_access_token("https://mcp.shop.com/mcp")
        again = await agent.get_mcp_access_token("mcp.shop.com")
        say(
            access_token=token.access_token,
            token_type=token.token_type,
            expires_in=token.expires_in,
            cached=again.access_token == token.access_token,
        )
        await refused("special use", agent, "mcp.test")
    async with lime_agents.LimeAgent(agent_token="at_" + "A" * 43) as agent:
        await refused("unknown", agent, "mcp.shop.com")
    async with lime_agents.LimeAgent(agent_token=os.environ["OTHER_AGENT_TOKEN"]) as agent:
        await refused("not allowed", agent, "mcp.shop.com")


asyncio.run(main())
