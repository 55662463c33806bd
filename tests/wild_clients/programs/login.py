"""A login from end to end with the published SDKs: settings from the environment, nothing else."""

import asyncio

from talk import hear, say

from lime_agents import LimeAgent
from lime_sites import LimeSite


async def main() -> None:
    passports: asyncio.Queue[tuple[str, str | None]] = asyncio.Queue()
    site = LimeSite()

    @site.on_login
    async def handle(request_id: str, passport: str | None) -> None:
        await passports.put((request_id, passport))

    request = await site.create_login_request()
    async with LimeAgent() as agent:
        profile = await agent.get_profile()
        approval = await agent.login(request.request_id)
    request_id, passport = await asyncio.wait_for(passports.get(), timeout=60)
    assert passport is not None
    verified = await site.verify_passport(passport, expected_request_id=request.request_id)
    say(
        request_id=request_id,
        created=request.request_id,
        created_status=request.status,
        status=approval.status,
        approved_agent_id=approval.approved_agent_id,
        site_id=approval.site_id,
        profile_agent_id=profile.agent_id,
        owner_id=profile.owner_id,
        display_name=profile.display_name,
        valid=verified.valid,
        claims=verified.claims,
    )
    # These clients never acknowledge: they stay connected, and that counts.
    await hear()
    say(repeats=passports.qsize())
    await site.aclose()


asyncio.run(main())
