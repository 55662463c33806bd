"""Both clients under one face, in front of a fake LIME."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import settings

from lime_agents.testing import FakeLime

# No test is timed: others may be using the machine.
settings.register_profile("lime", deadline=None)
settings.load_profile("lime")


@pytest.fixture
def fake(monkeypatch) -> FakeLime:
    # A developer's own settings must not reach a test.
    monkeypatch.delenv("LIME_AGENT_TOKEN", raising=False)
    monkeypatch.delenv("LIME_API_BASE", raising=False)
    return FakeLime()


class Blocking:
    """`LimeAgentSync` without pauses."""

    def __init__(self, fake, **options):
        self.agent = fake.agent_sync(**options)
        self.agent._driver._sleep = lambda seconds: None

    def do(self, method, *args, **options):
        return getattr(self.agent, method)(*args, **options)


class Asynchronous:
    """`LimeAgent` without pauses; each call is an event loop of its own."""

    def __init__(self, fake, **options):
        self.agent = fake.agent(**options)

        async def no_pause(seconds):
            await asyncio.sleep(0)

        self.agent._driver._sleep = no_pause

    def do(self, method, *args, **options):
        return asyncio.run(getattr(self.agent, method)(*args, **options))


KINDS = {"blocking": Blocking, "async": Asynchronous}


@pytest.fixture
def clients() -> dict:
    """Both kinds, by name."""
    return KINDS


@pytest.fixture(params=list(KINDS))
def client(request, fake) -> Callable:
    """Makes a client of either kind: `client(**options)`."""

    def make(**options):
        return KINDS[request.param](fake, **options)

    return make
