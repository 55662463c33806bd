"""An agent is bound, as the published SDK's documentation has it: the code is exchanged by hand."""

import asyncio
import os

import httpx
from talk import hear, say

import lime_sites


async def main() -> None:
    site = lime_sites.LimeSite()
    req = await site.create_binding_request(redirect_uri=os.environ["CALLBACK"])
    say(
        binding_id=req.binding_id,
        connect_url=req.connect_url,
        status=req.status,
        aware=req.expires_at.tzinfo is not None,
    )
    code = await hear()
    async with httpx.AsyncClient(base_url=os.environ["LIME_API_BASE"]) as client:
        answer = await client.post(
            "/modules/bindings/exchange",
            headers={"X-Site-Token": os.environ["LIME_SITE_TOKEN"]},
            json={"binding_code": code},
        )
    verified = await site.verify_binding_passport(answer.json()["data"]["passport"])
    say(valid=verified.valid, claims=verified.claims)
    try:
        await site.create_binding_request(redirect_uri="https://evil.example/")
    except lime_sites.ApiError as error:
        say(code=error.code, status=error.http_status)
    await site.aclose()


asyncio.run(main())
