"""A real server with its portal, browsers that look at it, and people who use them.

Everything is found by role and name, as a screen reader would find it.
"""

import asyncio
import os
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from playwright.sync_api import BrowserContext, expect

import lime_server
from tests.portal.checks import WIDTHS
from tests.portal.people import PASSWORD, Mailbox, Person
from tests.portal.watch import Watch
from tests.support.server import DevServer

PATIENCE = 15_000
"""Milliseconds for which a page is waited for: generous, because a loaded machine may also be compiling."""

ARGUMENTS = [
    "--headless",
    # Root, in a container without user namespaces; what is shown is our own.
    "--no-sandbox",
    # Containers tend to have 64 MB there.
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


HOST = "localhost"
"""Rather than a number: passkeys are bound to names (WebAuthn, section 5.1.2)."""

OPERATOR = "operator@people.example"
"""The first owner of the shared server, with the password that everybody here has."""

ENVIRONMENT = {
    # All of our people are on loopback, and say where they come from.
    "LIME_TRUSTED_PROXIES": "127.0.0.0/8,::1/128",
    # Both are worked on for real; how long that takes is not our subject.
    "LIME_CAPTCHA_DIFFICULTY": "10",
    "LIME_DIFFICULTY": "8",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """None of these goes without a browser."""
    lacks_browser(items, Path(__file__).parent)


def lacks_browser(items: list[pytest.Item], folder: Path) -> None:
    """Skip the tests in `folder` where there is nothing to look at, or nobody to look. Under CI that
    is a failure."""
    # Without Node there is no portal.
    lacking = []
    if not (Path(lime_server.__file__).parent / "portal").is_dir():
        lacking.append("this build of the server has no portal")
    if "LIME_TEST_CHROMIUM" not in os.environ:
        lacking.append("LIME_TEST_CHROMIUM names no browser; `nox -s portal-browser` finds one")
    if not lacking:
        return
    if os.environ.get("CI"):
        pytest.exit("; ".join(lacking), returncode=1)
    for item in items:
        if folder in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="; ".join(lacking)))


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    """Debian's Chromium; Playwright's own is never downloaded."""
    return {"executable_path": os.environ["LIME_TEST_CHROMIUM"], "args": ARGUMENTS}


@pytest.fixture(scope="session")
def base_url() -> None:
    """None: every person has their own server. Playwright's fixture of this name is one that pytest
    warns of."""


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    """The server that most tests share, on which its operator can sign in."""
    folder = tmp_path_factory.mktemp("portal")
    with DevServer(folder, host=HOST, environment=ENVIRONMENT) as running:
        token = running.ready["first_owner_token"]
        account = {"token": token, "email": OPERATOR, "password": PASSWORD}
        headers = {"Origin": running.public_url, "X-Forwarded-For": some_address()}
        url = f"{running.api_base}/foundation/users/first"
        httpx.post(url, json=account, headers=headers, trust_env=False).raise_for_status()
        yield running


@pytest.fixture
def fresh_server(tmp_path: Path) -> Iterator[DevServer]:
    """A server at its first start, on which nobody can sign in yet."""
    with DevServer(tmp_path, name="fresh", host=HOST, environment=ENVIRONMENT) as running:
        yield running


@pytest.fixture
def new_person(
    new_context: Callable[..., BrowserContext], server: DevServer
) -> Iterator[Callable[..., Person]]:
    """Makes people with a browser each. After the test, none of their pages may have misbehaved."""
    people: list[Person] = []

    def make(*, at: DevServer = server, email: str | None = None, **options: Any) -> Person:
        context = new_context(
            base_url=at.public_url,
            extra_http_headers={"X-Forwarded-For": some_address()},
            viewport={"width": WIDTHS["wide"], "height": 800},
            locale="en-GB",
            timezone_id="UTC",
            **options,
        )
        context.set_default_timeout(PATIENCE)
        watch = Watch(context, at.public_url, at.api_base)
        person = Person(context, Mailbox(at.ready["mailbox_url"]), watch, email=email)
        people.append(person)
        return person

    expect.set_options(timeout=PATIENCE)
    yield make
    for person in people:
        person.context.close()
    for person in people:
        person.watch.assert_nothing_happened()


@pytest.fixture
def visitor(new_person: Callable[..., Person]) -> Person:
    """Somebody without an account, with a browser."""
    return new_person()


@pytest.fixture
def newcomer(visitor: Person) -> Person:
    """Somebody who has registered, and has not signed in."""
    visitor.register()
    return visitor


@pytest.fixture
def owner(newcomer: Person) -> Person:
    """Somebody who has signed in."""
    newcomer.sign_in()
    return newcomer


@pytest.fixture
def operator(new_person: Callable[..., Person]) -> Person:
    """The operator, signed in, in a browser of their own."""
    operator = new_person(email=OPERATOR)
    operator.sign_in()
    return operator


@pytest.fixture
def age_sessions(server: DevServer) -> Callable[[Person], None]:
    """Lets an owner's last proof of who they are be an hour old."""
    statement = (
        "UPDATE foundation.sessions SET proven_at = proven_at - interval '1 hour' "
        "WHERE owner_id = (SELECT owner_id FROM foundation.owners WHERE email = $1)"
    )
    return lambda person: change(server, statement, person.email)


@pytest.fixture
def age_tokens(server: DevServer) -> Callable[[str], None]:
    """Lets the overlaps of an agent's tokens be an hour nearer to their end."""
    statement = (
        "UPDATE core.agent_tokens SET expires_at = expires_at - interval '1 hour' "
        "WHERE agent_id = $1"
    )
    return lambda agent_id: change(server, statement, agent_id)


def change(server: DevServer, statement: str, *values: object) -> None:
    """Change something in the database of a server, as only time does."""

    async def changed() -> None:
        connection = await asyncpg.connect(server.ready["database_url"])
        await connection.execute(statement, *values)
        await connection.close()

    # Playwright has an event loop in this thread.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, changed()).result()


def some_address() -> str:
    """An address that nobody else comes from: everybody is slowed down by theirs."""
    return f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}::1"
