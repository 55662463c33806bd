"""Programs written for version 2 of the SDK run unchanged, but for the API base in the environment.

They use the names, arguments, attributes and exceptions that the documentation of version 2 uses.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI

from lime_sites import InvalidPassportError, LimeSite, PassportVerificationResult
from lime_sites.testing import FakeLime


async def test_the_canonical_site_in_a_lifespan(fake_lime_for_sites: FakeLime) -> None:
    pending: dict[str, Any] = {}
    handled: list[LimeSite] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        site = LimeSite()
        handled.append(site)

        @site.on_login
        async def handle_login(request_id: str, passport: str | None) -> None:
            if passport is None:
                pending.pop(request_id, None)
                return
            try:
                verified = await site.verify_passport(passport, expected_request_id=request_id)
            except InvalidPassportError:
                pending.pop(request_id, None)
                return
            pending[request_id] = verified.claims

        yield
        await site.aclose()

    async with lifespan(FastAPI()):
        req = await handled[0].create_login_request()
        assert (req.status, req.expires_at.tzinfo is not None) == ("PENDING", True)
        await fake_lime_for_sites.approve(req.request_id, agent_id="agent-7").handled()
        claims = pending[req.request_id]
        assert claims["sub"] == claims["agent_id"] == "agent-7"
        assert claims["user_id"] == "owner-1"
        other = await handled[0].create_login_request()
        pending[other.request_id] = "waiting"
        await fake_lime_for_sites.expire(other.request_id).handled()
        assert other.request_id not in pending


async def test_the_whole_loop_in_one_program(fake_lime_for_sites: FakeLime) -> None:
    received = asyncio.Event()
    box: dict[str, str] = {}
    site = LimeSite()

    @site.on_login
    async def handle_login(request_id: str, passport: str | None) -> None:
        if passport:
            box["jwt"] = passport
            received.set()

    req = await site.create_login_request()
    fake_lime_for_sites.approve(req.request_id)
    await asyncio.wait_for(received.wait(), timeout=120)
    verified = await site.verify_passport(box["jwt"], expected_request_id=req.request_id)
    assert isinstance(verified, PassportVerificationResult)
    assert verified.valid is True
    assert verified.claims["request_id"] == req.request_id
    await site.aclose()


async def test_every_argument_of_version_2_is_taken(fake: FakeLime) -> None:
    site = LimeSite(
        site_token="st_x",
        base_url="https://lime.example/api/v1",
        timeout=30.0,
        max_retries=3,
        sse_backoff_base=0.5,
        http_client=None,
    )
    async with site:
        with pytest.raises(InvalidPassportError):
            raise InvalidPassportError("no", code=None, http_status=None, detail=None)
