"""The self-test of the gates needs a copy of the repository, and marks for what takes time."""

import pytest

from tests.gates.scratch import Scratch


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: runs tests, compilers or servers")
    config.addinivalue_line("markers", "long: needs a browser, other environments or minutes")


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Scratch:
    """The copy that the gates of this process share."""
    return Scratch.make(tmp_path_factory.mktemp("gates") / "lime")
