"""What every test has that starts a server."""

from collections.abc import Generator

import pytest

from tests.support.server import LimeServer


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """Servers that ended before a test are not part of its story."""
    LimeServer.ended.clear()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failing test says what its servers said, those that it ended itself included."""
    report = yield
    if report.failed:
        for server in dict.fromkeys([*LimeServer.running, *LimeServer.ended]):
            report.sections.append((f"lime-server {server.name}", server.tail()))
    return report
