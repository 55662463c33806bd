"""The agent's part of the demonstration: log in with the request id it was handed."""

import asyncio
import json
import sys
import time

import httpx

from lime_agents import LimeAgent


def tell(event: str) -> None:
    print(json.dumps({"event": event, "at": time.monotonic(), "about": {}}), flush=True)


async def on_request(request: httpx.Request) -> None:
    tell("asked" if request.method == "GET" else "solved")


async def on_response(response: httpx.Response) -> None:
    tell("challenge" if response.request.method == "GET" else "approved")


async def main(request_id: str) -> None:
    """Reads LIME_AGENT_TOKEN and LIME_API_BASE."""
    async with httpx.AsyncClient() as client, LimeAgent(http_client=client) as agent:
        client.event_hooks = {"request": [on_request], "response": [on_response]}
        await agent.login(request_id)


asyncio.run(main(sys.argv[1]))
