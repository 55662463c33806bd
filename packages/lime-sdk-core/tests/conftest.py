"""Both drivers under one face, and flows played by hand."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack

import httpx
import pytest
from hypothesis import settings

from lime_sdk_core import AsyncDriver, Config, Flow, Request, SyncDriver

# No test is timed: others may be using the machine.
settings.register_profile("lime", deadline=None)
settings.load_profile("lime")

TOKEN = "at_very-secret-0123456789"


@pytest.fixture
def config() -> Config:
    return Config.resolve(
        product="lime-test",
        version="4.0.0",
        header="X-Agent-Token",
        credential_env="LIME_AGENT_TOKEN",
        credential_argument="agent_token",
        token=TOKEN,
        base_url="https://lime.example/api/v1",
        environ={},
    )


class Blocking:
    """`SyncDriver`, with no pauses and a clock that stands still unless told otherwise."""

    def __init__(self, config, handler, **options):
        self.sleeps = []
        client = httpx.Client(transport=httpx.MockTransport(handler)) if handler else None
        options = {"clock": lambda: 0.0, "sleep": self.sleeps.append, "draw": lambda: 0.5} | options
        self.driver = SyncDriver(config, client, **options)

    def run(self, flow: Flow):
        return self.driver.run(flow)

    def read(self, request: Request, **options) -> list[bytes]:
        with ExitStack() as stack:
            return list(stack.enter_context(self.driver.stream(request, **options)))

    def close(self):
        self.driver.close()


class Asynchronous:
    """`AsyncDriver` behind the same methods: each call is a loop of its own."""

    def __init__(self, config, handler, **options):
        self.sleeps = []
        client = httpx.AsyncClient(transport=httpx.MockTransport(handler)) if handler else None
        options = {"clock": lambda: 0.0, "sleep": self._pause, "draw": lambda: 0.5} | options
        self.driver = AsyncDriver(config, client, **options)

    async def _pause(self, seconds):
        self.sleeps.append(seconds)

    def run(self, flow: Flow):
        return asyncio.run(self.driver.run(flow))

    def read(self, request: Request, **options) -> list[bytes]:
        async def main():
            async with AsyncExitStack() as stack:
                stream = await stack.enter_async_context(self.driver.stream(request, **options))
                return [chunk async for chunk in stream]

        return asyncio.run(main())

    def close(self):
        asyncio.run(self.driver.aclose())


@pytest.fixture(params=[Blocking, Asynchronous], ids=["blocking", "async"])
def driver(request, config) -> Callable:
    """Makes a driver of either kind over a handler: `driver(handler, **options)`."""

    def make(handler=None, *, config=config, **options):
        return request.param(config, handler, **options)

    return make


@pytest.fixture
def play() -> Callable:
    """Performs a flow with prepared answers and returns its steps and its result."""

    def run(flow: Flow, answers: list):
        steps = [next(flow)]
        for answer in answers:
            try:
                step = flow.throw(answer) if isinstance(answer, Exception) else flow.send(answer)
            except StopIteration as done:
                return steps, done.value
            steps.append(step)
        pytest.fail(f"the flow goes on with {steps[-1]}")

    return run
