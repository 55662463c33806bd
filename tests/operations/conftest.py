"""What operators do, with real servers on real engines."""

from pathlib import Path

import pytest

from tests.support.deployment import Deployment, Engines
from tests.support.engines import Databases


@pytest.fixture
def deployment(
    tmp_path: Path, postgres_url: str, redis_url: str, databases: Databases
) -> Deployment:
    """A database and a Redis of this test's own, migrated."""
    return Deployment(tmp_path, Engines(postgres_url, redis_url), databases)
