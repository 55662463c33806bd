"""The site's part of the demonstration: create a request, take one passport, verify it, leave."""

import asyncio
import json
import time

from lime_sites import LimeSite


def tell(event: str, **about: object) -> None:
    print(json.dumps({"event": event, "at": time.monotonic(), "about": about}), flush=True)


async def main() -> None:
    """Reads LIME_SITE_TOKEN and LIME_API_BASE."""
    arrived: asyncio.Future[tuple[str, str]] = asyncio.get_running_loop().create_future()
    async with LimeSite() as site:

        @site.on_login
        async def handle(request_id: str, passport: str | None) -> None:
            assert passport is not None, "the request expired"
            tell("delivered")
            verified = await site.verify_passport(passport, expected_request_id=request_id)
            tell("verified", claims=verified.claims)
            arrived.set_result((request_id, verified.agent_id))

        tell("listening")
        request = await site.create_login_request()
        tell("created", request_id=request.request_id)
        await arrived


asyncio.run(main())
