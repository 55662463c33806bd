"""A real server, and somebody of every kind who may call it."""

import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink

from tests.schema.callers import Callers
from tests.support.deployment import Deployment, Engines
from tests.support.engines import Databases
from tests.support.server import ServeServer


@pytest.fixture(scope="session")
def smtp_url() -> Iterator[str]:
    """A mail server that swallows everything: registrations send mails to invented addresses."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    controller = Controller(Sink(), hostname="127.0.0.1", port=port)
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
        folder = tmp_path_factory.mktemp("schema")
        yield Deployment(folder, Engines(database_url, session_redis_url), databases)


@pytest.fixture(scope="session")
def server(deployment: Deployment, smtp_url: str) -> Iterator[ServeServer]:
    with deployment.server(
        "described",
        LIME_SMTP_URL=smtp_url,
        LIME_CAPTCHA="none",
        # Every request comes from another client: see `hooks`.
        LIME_TRUSTED_PROXIES="127.0.0.0/8",
        # A stream on which nothing happens says so soon: its first frame is awaited.
        LIME_KEEPALIVE_INTERVAL="0.05",
    ) as server:
        yield server


@pytest.fixture(scope="session")
def callers(deployment: Deployment, server: ServeServer) -> Callers:
    return Callers(deployment, server.api_base)
