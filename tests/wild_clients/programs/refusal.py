"""Every refusal that the published SDKs know: bad tokens, a denied request, a request taken by somebody else."""

import asyncio
import os
from collections.abc import Awaitable

from talk import hear, say

import lime_agents
import lime_sites


async def refused(what: str, attempt: Awaitable[object]) -> None:
    try:
        await attempt
    except (lime_agents.LimeError, lime_sites.LimeError) as error:
        say(what=what, error=type(error).__name__, code=error.code, status=error.http_status)
    else:
        say(what=what, error=None)


async def main() -> None:
    nobody = "A" * 43
    handled: asyncio.Queue[tuple[str, str | None]] = asyncio.Queue()
    bad_site = lime_sites.LimeSite(site_token=f"st_{nobody}")
    await refused("site token", bad_site.create_login_request())
    await bad_site.aclose()

    site = lime_sites.LimeSite()

    @site.on_login
    async def handle(request_id: str, passport: str | None) -> None:
        await handled.put((request_id, passport))

    denied = await site.create_login_request()
    async with lime_agents.LimeAgent(agent_token=f"at_{nobody}") as agent:
        await refused("agent token", agent.login(denied.request_id))
    say(denied=denied.request_id)
    await hear()
    async with lime_agents.LimeAgent() as agent:
        await refused("denied", agent.login(denied.request_id))
        await refused("unknown", agent.login("00000000-0000-4000-8000-000000000000"))
        taken = await site.create_login_request()
        await agent.login(taken.request_id)
    request_id, passport = await asyncio.wait_for(handled.get(), timeout=60)
    # The frame about the denial came first on this stream, of a type that this client has never heard of.
    say(first_handled=request_id, taken=taken.request_id)
    async with lime_agents.LimeAgent(agent_token=os.environ["OTHER_AGENT_TOKEN"]) as other:
        await refused("taken", other.login(taken.request_id))
    await refused(
        "wrong request", site.verify_passport(passport or "", expected_request_id=denied.request_id)
    )
    await refused(
        "forged",
        site.verify_passport((passport or "")[:-8] + "AAAAAAAA", expected_request_id=request_id),
    )
    await site.aclose()


asyncio.run(main())
