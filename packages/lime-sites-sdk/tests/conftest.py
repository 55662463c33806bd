"""Both clients under one interface, and a fake LIME for them."""

import asyncio
import base64
import inspect
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from lime_sites import LimeSite, LimeSiteSync
from lime_sites.testing import FakeLime


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class Either:
    """`LimeSite` or `LimeSiteSync`, each method as a coroutine function."""

    def __init__(self, site: LimeSite | LimeSiteSync) -> None:
        self.site = site
        self.is_async = isinstance(site, LimeSite)
        self.on_login = site.on_login
        self.on_error = site.on_error

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.site, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            if inspect.iscoroutinefunction(method):
                return await method(*args, **kwargs)
            return await asyncio.to_thread(method, *args, **kwargs)

        return call

    async def end(self) -> None:
        if isinstance(self.site, LimeSite):
            await self.site.aclose()
        else:
            await asyncio.to_thread(self.site.close)


Make = Callable[..., Either]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fake() -> FakeLime:
    return FakeLime()


@pytest.fixture(params=["asyncio", "threads"])
async def make(request: pytest.FixtureRequest, fake: FakeLime) -> AsyncIterator[Make]:
    """Make clients of the fake, of the kind that this run of the test is about."""
    made: list[Either] = []

    def make_one(**options: Any) -> Either:
        options = {"sse_backoff_base": 0.001, "max_retries": 0, **options}
        kind = fake.site if request.param == "asyncio" else fake.site_sync
        made.append(Either(kind(**options)))
        return made[-1]

    yield make_one
    for either in made:
        either.site._failure_is_known = True
        await either.end()


@pytest.fixture
def site(make: Make) -> Either:
    return make()


@pytest.fixture
def with_kid() -> Callable[[str, str], str]:
    """The same token under the name of another key, which nobody has."""

    def renamed(token: str, kid: str) -> str:
        header, rest = token.split(".", 1)
        fields = json.loads(base64.urlsafe_b64decode(header + "=="))
        text = json.dumps({**fields, "kid": kid}, separators=(",", ":")).encode()
        return f"{base64.urlsafe_b64encode(text).rstrip(b'=').decode()}.{rest}"

    return renamed


@pytest.fixture
def make_call() -> Callable[..., Any]:
    """Call `work(site)` on a client of either kind, wherever it has to run, and close it."""

    async def call(kind: Any, work: Callable[[Any], Any], **options: Any) -> Any:
        options = {
            "site_token": "st_secret",
            "base_url": "https://lime.example/api/v1",
            **options,
        }

        async def in_loop() -> Any:
            async with LimeSite(**options) as site:
                return await work(site)

        def in_thread() -> Any:
            with LimeSiteSync(**options) as site:
                return work(site)

        return await (in_loop() if kind is LimeSite else asyncio.to_thread(in_thread))

    return call
