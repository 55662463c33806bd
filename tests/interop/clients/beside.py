"""Our own client, with calls that fail beside one that goes on."""

import asyncio
import os
from typing import Any

import anyio
from talk import obey

from lime_agents import LimeAgent

SERVER = os.environ["SERVER_URL"]
FAILING = os.environ["FAILING"].split()


async def call() -> dict[str, Any]:
    """What became of each call, by the name of its tool."""
    async with LimeAgent(
        agent_token=os.environ["CLIENT_SECRET"],
        base_url=os.environ["LIME_API_BASE"],
        allow_private=True,
    ) as agent:

        async def ask(tool: str) -> str:
            try:
                [content] = (await agent.call_tool(SERVER, tool)).content
            except Exception as error:  # noqa: BLE001 - whatever it is, the test wants to know
                return f"{type(error).__name__}: {error}"
            assert content.type == "text"
            return content.text

        going_on = asyncio.create_task(ask("wait"))
        became = {tool: await ask(tool) for tool in ["meet", *FAILING, "release"]}
        return {**became, "wait": await going_on}


anyio.run(obey, call, lambda: None, lambda: None)
