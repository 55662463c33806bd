"""Logins through two servers, and what of them arrived."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx

from tests.support.deployment import eventually
from tests.support.events import PATIENCE, EventStream
from tests.support.server import ServeServer
from tests.support.wire import Agent, Site, Wire

AT_ONCE = 8
SOON = 5.0
"""Seconds: far more than a wake-up takes, and far less than the poll that would make up for it."""


def log_in(servers: Sequence[ServeServer], agent: Agent, site: Site, count: int) -> list[str]:
    """`count` logins, several at a time, every other one at the other server; their requests."""
    with ExitStack() as stack, ThreadPoolExecutor(AT_ONCE) as people:
        wires = [stack.enter_context(Wire(server.api_base)) for server in servers]
        return list(
            people.map(lambda number: wires[number % len(wires)].login(agent, site), range(count))
        )


def arrive(stream: EventStream, request_ids: Sequence[str], *, within: float = PATIENCE) -> None:
    """Return when all of them have been heard of.

    Raises:
        TimeoutError: if nothing more of them came for `within` seconds.
    """
    missing = set(request_ids)
    while missing:
        missing.discard(stream.event(timeout=within).request_id)


def arrives(stream: EventStream, request_ids: Sequence[str]) -> bool:
    """Whether all of them are heard of without much delay."""
    try:
        arrive(stream, request_ids, within=SOON)
    except TimeoutError:
        return False
    return True


def engines_of(server: ServeServer) -> tuple[str, dict[str, str]]:
    """What a server says of itself: its status, and each engine's."""
    answer = httpx.get(f"{server.public_url}/health/ready", timeout=20, trust_env=False).json()
    return answer["status"], answer["engines"]


def all_become(servers: Sequence[ServeServer], status: str) -> None:
    """Return when every server says so."""
    eventually(lambda: all(engines_of(server)[0] == status for server in servers), within=60)
