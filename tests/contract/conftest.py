"""The servers that the contract suite talks to, and the people who use them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.deployment import ONLY_THE_BELL, Deployment, Engines
from tests.support.engines import Databases
from tests.support.server import DevServer, ServeServer
from tests.support.wire import Agent, Site, Wire


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "promise(*ids): the promises of the manifest that this test checks"
    )


@pytest.fixture(scope="session")
def contract_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the suite's servers keep their logs."""
    return tmp_path_factory.mktemp("contract")


@pytest.fixture(scope="session")
def deployment(
    contract_folder: Path, databases: Databases, session_redis_url: str
) -> Iterator[Deployment]:
    """The database and Redis that most tests share."""
    with databases.fresh() as database_url:
        yield Deployment(contract_folder, Engines(database_url, session_redis_url), databases)


@pytest.fixture
def own_deployment(
    tmp_path: Path, postgres_url: str, redis_url: str, databases: Databases
) -> Deployment:
    """A database and a Redis of this test's own."""
    return Deployment(tmp_path, Engines(postgres_url, redis_url), databases)


@pytest.fixture(scope="session")
def server(deployment: Deployment) -> Iterator[ServeServer]:
    """A server with the usual lives and windows, on which nothing but the bell brings an event.

    A short heartbeat or poll would hide a wake-up that was missed.
    """
    with deployment.server("usual", **ONLY_THE_BELL) as server:
        yield server


@pytest.fixture(scope="session")
def wire(server: ServeServer) -> Iterator[Wire]:
    """The wire to it."""
    with Wire(server.api_base) as wire:
        yield wire


@pytest.fixture(scope="session")
def plain_wire(deployment: Deployment) -> Iterator[Wire]:
    """The wire to a server on which nothing was set that need not be."""
    with deployment.plain_server("plain") as server, Wire(server.api_base) as wire:
        yield wire


@pytest.fixture(scope="session")
def brisk_wire(deployment: Deployment) -> Iterator[Wire]:
    """The wire to a server whose heartbeats and leases take no patience."""
    settings = {
        "LIME_KEEPALIVE_INTERVAL": "0.2",
        "LIME_DELIVERY_LEASE": "0.5",
        "LIME_POLL_INTERVAL": "0.1",
        "LIME_SWEEP_INTERVAL": "0.2",
    }
    with deployment.server("brisk", **settings) as server, Wire(server.api_base) as wire:
        yield wire


@pytest.fixture(scope="session")
def hasty_wire(deployment: Deployment) -> Iterator[Wire]:
    """The wire to a server whose requests expire after two seconds."""
    settings = {"LIME_LOGIN_LIFETIME": "2", "LIME_SWEEP_INTERVAL": "0.1"}
    with deployment.server("hasty", **settings) as server, Wire(server.api_base) as wire:
        yield wire


@pytest.fixture(scope="session")
def dev(contract_folder: Path) -> Iterator[DevServer]:
    """`lime-server dev`, with its own engines, as a newcomer starts it."""
    with DevServer(contract_folder) as server:
        yield server


@pytest.fixture
def agent(deployment: Deployment) -> Agent:
    """An agent."""
    return deployment.agent()


@pytest.fixture
def other_agent(deployment: Deployment) -> Agent:
    """Another one."""
    return deployment.agent()


@pytest.fixture
def site(deployment: Deployment) -> Site:
    """A site that nobody else uses, so that every event on its streams is this test's."""
    return deployment.site()


@pytest.fixture
def other_site(deployment: Deployment) -> Site:
    """Another one."""
    return deployment.site()
