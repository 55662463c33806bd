"""The site, in this process, with the fake LIME."""

import re

import httpx

from examples.fastapi_site.app import create_app
from lime_sites.testing import FakeLime


async def test_an_agent_becomes_a_member(fake_lime_for_sites: FakeLime) -> None:
    app = create_app()
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="https://shop.example") as browser,
    ):
        assert "Log in with an agent" in (await browser.get("/")).text
        assert (await browser.get("/members")).status_code == 401
        begun = await browser.post("/login/begin", data={"next": "/members"})
        page = begun.request.url.join(begun.headers["location"])
        waiting = (await browser.get(page)).text
        (request_id,) = re.findall(r'id="request">([^<]+)<', waiting)
        fake_lime_for_sites.approve(request_id, agent_id="agent-7")
        told = (await browser.get("/login/events")).text
        assert 'data: {"status": "APPROVED"}' in told
        assert (await browser.get(page)).headers["location"] == "/members"
        assert (await browser.get("/members")).json() == {"welcome": "agent-7"}
