"""A real server with its portal, browsers that look at it, and people who use them.

Everything is found by role and name, as a screen reader would find it.
"""

import os
import secrets
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

import lime_server
from tests.portal.people import Mailbox, Person
from tests.portal.watch import Watch
from tests.support.server import DevServer, LimeServer

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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failing test says what its servers said."""
    report = yield
    if report.failed:
        for server in LimeServer.running:
            report.sections.append((f"lime-server {server.name}", server.tail()))
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without Node there is no portal, and without a browser nobody to look at it."""
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
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="; ".join(lacking)))


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    """Debian's Chromium; Playwright's own is never downloaded."""
    return {"executable_path": os.environ["LIME_TEST_CHROMIUM"], "args": ARGUMENTS}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    """A fresh server as a newcomer starts it, by a name that passkeys may be bound to."""
    environment = {
        # Everybody is slowed down per address, and all of our people are on loopback.
        "LIME_TRUSTED_PROXIES": "127.0.0.0/8,::1/128",
        # The page solves it in a worker; how long that takes is not our subject.
        "LIME_CAPTCHA_DIFFICULTY": "10",
        "LIME_DIFFICULTY": "8",
        "LIME_RATE_PER_ADDRESS": "off",
    }
    folder = tmp_path_factory.mktemp("portal")
    with DevServer(folder, host="localhost", environment=environment) as running:
        yield running


@pytest.fixture(scope="session")
def mailbox(server: DevServer) -> Iterator[Mailbox]:
    with Mailbox(server.ready["mailbox_url"]) as box:
        yield box


@pytest.fixture
def new_person(
    browser: Browser, server: DevServer, mailbox: Mailbox
) -> Iterator[Callable[..., Person]]:
    """Makes people with a browser each. After the test, none of their pages may have misbehaved."""
    watches: list[Watch] = []
    contexts: list[BrowserContext] = []

    def make(*, email: str | None = None, **options: Any) -> Person:
        address = f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}::1"
        context = browser.new_context(
            base_url=server.public_url,
            extra_http_headers={"X-Forwarded-For": address},
            viewport={"width": 1280, "height": 800},
            locale="en-GB",
            timezone_id="UTC",
            **options,
        )
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        watches.append(Watch(context, server.public_url, server.api_base))
        return Person(context, mailbox, watches[-1], email=email)

    expect.set_options(timeout=PATIENCE)
    yield make
    for context in contexts:
        context.close()
    for watch in watches:
        watch.assert_nothing_happened()


@pytest.fixture
def visitor(new_person: Callable[..., Person]) -> Person:
    """Somebody without an account, with a browser."""
    return new_person()
