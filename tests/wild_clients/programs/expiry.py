"""Nobody comes: the published site SDK hears of it, and the published agent SDK comes too late."""

import asyncio

from talk import say

from lime_agents import LimeAgent, LimeError
from lime_sites import LimeSite


async def main() -> None:
    handled: asyncio.Queue[tuple[str, str | None]] = asyncio.Queue()
    site = LimeSite()

    @site.on_login
    async def handle(request_id: str, passport: str | None) -> None:
        await handled.put((request_id, passport))

    request = await site.create_login_request()
    request_id, passport = await asyncio.wait_for(handled.get(), timeout=60)
    say(created=request.request_id, request_id=request_id, passport=passport)
    async with LimeAgent() as agent:
        try:
            await agent.login(request.request_id)
        except LimeError as error:
            say(error=type(error).__name__, code=error.code, status=error.http_status)
    await site.aclose()


asyncio.run(main())
