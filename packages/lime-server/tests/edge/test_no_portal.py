"""A server without the portal says so where the portal's pages would be."""

import httpx
import pytest
from fastapi import FastAPI

from lime_server.composition import no_portal


@pytest.mark.parametrize("path", [*no_portal.PATHS, "/connect?id=1&x=<script>"])
async def test_a_browser_is_told_that_there_is_no_portal(path):
    app = FastAPI()
    no_portal.install(app)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://lime.example") as browser:
        answer = await browser.get(path)
        assert (answer.status_code, "portal is not part" in answer.text) == (200, True)
        assert "script" not in answer.text
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert (await browser.head(path)).status_code == 200
