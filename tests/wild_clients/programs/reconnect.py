"""A site that stays: it handles logins before and after its stream was cut, without a word from its author."""

import asyncio

from talk import hear, say

from lime_agents import LimeAgent
from lime_sites import LimeSite


async def main() -> None:
    handled: asyncio.Queue[str] = asyncio.Queue()
    site = LimeSite()

    @site.on_login
    async def handle(request_id: str, passport: str | None) -> None:
        if passport is not None:
            await site.verify_passport(passport, expected_request_id=request_id)
            await handled.put(request_id)

    async def expect(request_id: str) -> None:
        seen = []
        while request_id not in seen:
            seen.append(await asyncio.wait_for(handled.get(), timeout=60))

    while (command := await hear()) != "end":
        request = await site.create_login_request()
        async with LimeAgent() as agent:
            await agent.login(request.request_id)
        if command == "log in":
            await expect(request.request_id)
            say(handled=request.request_id)
        else:
            # The server is killed before it can deliver.
            say(approved=request.request_id)
            await hear()
            await expect(request.request_id)
            say(handled=request.request_id)
    await site.aclose()


asyncio.run(main())
