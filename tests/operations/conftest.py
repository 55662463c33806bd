"""What operators do, with real servers on real engines."""

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support.deployment import Deployment, Engines
from tests.support.engines import Databases
from tests.support.server import LimeServer


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failing test says what its servers said."""
    report = yield
    if report.failed:
        for server in LimeServer.running:
            report.sections.append((f"lime-server {server.name}", server.tail()))
    return report


@pytest.fixture
def deployment(
    tmp_path: Path, postgres_url: str, redis_url: str, databases: Databases
) -> Deployment:
    """A database and a Redis of this test's own, migrated."""
    return Deployment(tmp_path, Engines(postgres_url, redis_url), databases)
