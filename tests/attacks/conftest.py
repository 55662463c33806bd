"""A real server, its mail, and browsers that are not to be trusted."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from email import message_from_bytes
from email.message import Message
from typing import Any

import httpx
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.attacks.household import API, Household
from tests.attacks.intruder import PASSWORD, Person, sign_in
from tests.support.deployment import Deployment, Engines, eventually
from tests.support.engines import Databases
from tests.support.server import ServeServer
from tests.support.wire import data


class Letterbox:
    """An SMTP server that keeps what it is given."""

    def __init__(self) -> None:
        self._letters: list[tuple[str, bytes]] = []
        self._lock = threading.Lock()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        # Read when somebody asks: some tests measure how long answers take, in this very process.
        with self._lock:
            self._letters += [(to, bytes(envelope.content or b"")) for to in envelope.rcpt_tos]
        return "250 OK"

    def to(self, address: str) -> list[str]:
        """The subjects of what came for this address."""
        return [str(message["Subject"]) for to, message in self._messages() if to == address]

    @property
    def kinds(self) -> set[str]:
        """The content types of everything that came."""
        return {message.get_content_type() for _, message in self._messages()}

    def _messages(self) -> list[tuple[str, Message]]:
        with self._lock:
            letters = list(self._letters)
        return [(to, message_from_bytes(letter)) for to, letter in letters]

    def code_for(self, address: str) -> str:
        """The code in the newest letter; it is awaited."""
        eventually(lambda: self.to(address))
        found = re.match(r"\d{6}", self.to(address)[-1])
        assert found is not None, self.to(address)
        return found[0]


@pytest.fixture(scope="session")
def letterbox() -> Letterbox:
    return Letterbox()


@pytest.fixture(scope="session")
def smtp_url(letterbox: Letterbox) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    controller = Controller(letterbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield f"smtp://127.0.0.1:{port}"
    finally:
        with suppress(AssertionError):
            controller.stop()


@pytest.fixture(scope="session")
def deployment(
    tmp_path_factory: pytest.TempPathFactory, databases: Databases, session_redis_url: str
) -> Iterator[Deployment]:
    with databases.fresh() as database_url:
        folder = tmp_path_factory.mktemp("attacks")
        yield Deployment(folder, Engines(database_url, session_redis_url), databases)


@pytest.fixture(scope="session")
def server(deployment: Deployment, smtp_url: str) -> Iterator[ServeServer]:
    settings = {"LIME_CAPTCHA": "none", "LIME_TRUSTED_PROXIES": "127.0.0.0/8"}
    with deployment.server("attacked", LIME_SMTP_URL=smtp_url, **settings) as server:
        yield server


@pytest.fixture
def person(server: ServeServer) -> Iterator[Person]:
    """Somebody without an account yet, with a browser of their own."""
    with Person(server.public_url) as person:
        yield person


@pytest.fixture
def resident(person: Person, letterbox: Letterbox) -> Person:
    """Somebody who has registered, and has not signed in."""
    register(person, letterbox)
    return person


def register(person: Person, letterbox: Letterbox) -> None:
    """Make an account with this person's address."""
    data(person.post("/foundation/users/register", email=person.email, password=PASSWORD), 201)
    code = letterbox.code_for(person.email)
    data(person.post("/foundation/users/register/verify", email=person.email, code=code))


@pytest.fixture
def victim(resident: Person) -> Person:
    """Somebody who has signed in."""
    sign_in(resident)
    return resident


@pytest.fixture
def stranger(server: ServeServer, letterbox: Letterbox) -> Iterator[Person]:
    """Somebody else who has signed in."""
    with Person(server.public_url) as person:
        register(person, letterbox)
        sign_in(person)
        yield person


@pytest.fixture(scope="module")
def household(deployment: Deployment, server: ServeServer) -> Iterator[Household]:
    made = Household(deployment, server)
    yield made
    made.close()


@pytest.fixture(scope="module")
def neighbour(deployment: Deployment, server: ServeServer) -> Iterator[Household]:
    """Somebody else, who has just proven who they are, and so lacks nothing but the right."""
    made = Household(deployment, server)
    yield made
    made.close()


@pytest.fixture(scope="module")
def operations(server: ServeServer) -> list[tuple[str, str, dict[str, Any]]]:
    """Every operation that the document names: method, path below the API base, and what it says."""
    document = httpx.get(f"{server.public_url}/openapi.json", trust_env=False).json()
    return [
        (method, path.removeprefix(API), operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
