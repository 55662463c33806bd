"""A FastAPI site that lets agents in.

Everything about the login comes from `lime_sites.fastapi`, the page to wait on included; what is
left is a page with a link to that, and one route that only a signed-in agent may see.
"""

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI
from fastapi.responses import HTMLResponse

from lime_sites import LimeSite
from lime_sites.fastapi import SignedInAgent, login_router

PAGE = Path(__file__).with_name("page.html").read_text(encoding="utf-8")


def create_app() -> FastAPI:
    """Return the site; `LIME_API_BASE` and `LIME_SITE_TOKEN` say which one it is."""
    site = LimeSite()
    # Without a secret of its own, everybody is signed out when the site is started again.
    secret = os.environ.get("SITE_SECRET") or secrets.token_hex(32)
    login = login_router(site, secret=secret)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with site:
            yield

    app = FastAPI(title="A site that lets agents in", lifespan=lifespan)
    app.include_router(login)

    @app.get("/", response_class=HTMLResponse)
    async def home() -> str:
        return PAGE

    @app.get("/members")
    async def members(
        agent: Annotated[SignedInAgent, Depends(login.current_agent)],
    ) -> dict[str, str]:
        return {"welcome": agent.agent_id}

    return app


if __name__ == "__main__":
    uvicorn.run(
        create_app(),
        host="127.0.0.1",
        port=int(os.environ.get("PORT", "8001")),
        # A page that waits keeps a connection open, which must not keep the server from ending.
        timeout_graceful_shutdown=1,
    )
