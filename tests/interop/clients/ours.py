"""Our own client, on whichever version of the official SDK is installed here."""

import os

import anyio
from talk import obey

from lime_agents import LimeAgent

SERVER = os.environ["SERVER_URL"]


async def call():
    async with LimeAgent(
        agent_token=os.environ["CLIENT_SECRET"],
        base_url=os.environ["LIME_API_BASE"],
        allow_private=True,
    ) as agent:
        result = await agent.call_tool(SERVER, "whoami")
    # Version 1 of the SDK writes it in the other way.
    return getattr(result, "structured_content", None) or result.structuredContent


anyio.run(obey, call, lambda: None, lambda: None)
