"""A server whose owners have browsers, and the clients of one library (`LIME_INTEROP`) beside it."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.interop.rig import (
    CALLBACK,
    CLIENT_NAME,
    Agent,
    Documents,
    Generation,
    Household,
    Program,
    generations,
    issuer,
    make_household,
    our_packages,
    serving,
)
from tests.portal.conftest import (
    ENVIRONMENT,
    HOST,
    base_url,
    browser_type_launch_args,
    lacks_browser,
    new_person,
    newcomer,
    owner,
    visitor,
)
from tests.portal.people import Person
from tests.support.server import DevServer

__all__ = [
    "base_url", "browser_type_launch_args", "new_person", "newcomer", "owner", "visitor",
]  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """These need a browser, as the portal's tests do."""
    lacks_browser(items, Path(__file__).parent)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    """Takes clients whose documents are on this machine, and as many registrations as come."""
    environment = {
        **ENVIRONMENT,
        "LIME_MCP_LOOPBACK_DOCUMENTS": "true",
        "LIME_MCP_REGISTRATION_RATE": "off",
    }
    folder = tmp_path_factory.mktemp("interop")
    with DevServer(folder, host=HOST, environment=environment) as running:
        yield running


@pytest.fixture(scope="session")
def generation() -> Generation:
    """The client library of this run."""
    return generations()[os.environ.get("LIME_INTEROP", "mcp-2")]


@pytest.fixture(scope="session")
def python_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our SDKs, for whatever environment."""
    return our_packages(tmp_path_factory.mktemp("path") / "ours")


@pytest.fixture(scope="session")
def mcp_server(generation: Generation, server: DevServer, python_path: Path) -> Iterator[str]:
    """The URL of an MCP server that trusts our LIME."""
    with serving(generation.server, server.api_base, python_path) as url:
        yield url


@pytest.fixture(scope="session")
def documents() -> Iterator[Documents]:
    """Where clients publish what they are."""
    with Documents() as documents:
        yield documents


@pytest.fixture(scope="session")
def agent(server: DevServer) -> Agent:
    """The server's first agent, for tests that have no question for its owner."""
    return Agent(server.ready["agent_id"], server.ready["agent_token"])


@pytest.fixture
def household(owner: Person) -> Household:
    """An owner, signed in, with an agent that may open MCP servers."""
    return make_household(owner)


@pytest.fixture
def start(
    generation: Generation, server: DevServer, mcp_server: str, python_path: Path
) -> Iterator[Callable[..., Program]]:
    """Starts client programs, and ends them after the test."""
    with contextlib.ExitStack() as programs:

        def start(how: str, command: list[str] | None = None, **more: str) -> Program:
            environment = {
                "HOW": how,
                "SERVER_URL": mcp_server,
                "ISSUER": issuer(server),
                "LIME_API_BASE": server.api_base,
                "CLIENT_NAME": CLIENT_NAME,
                "REDIRECT_URI": CALLBACK,
                "PYTHONPATH": str(python_path),
                **more,
            }
            program = Program(command or generation.client, environment)
            programs.callback(program.close)
            return program

        yield start
