"""The pytest plugin of lime-sites-sdk: the fixture `fake_lime_for_sites`.

A package of its own, and almost empty, because pytest imports it at every start, also for test
suites that never use it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from lime_sites.testing import FakeLime


@pytest.fixture
def fake_lime_for_sites(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeLime]:
    """A fake LIME that sites made during this test talk to.

    `LIME_API_BASE` and `LIME_SITE_TOKEN` name it: a program's own `LimeSite()` works as it is.
    """
    # Late, as the package's docstring says.
    from lime_sites.testing import FakeLime  # noqa: PLC0415 - the reason is above

    fake = FakeLime()
    monkeypatch.setenv("LIME_API_BASE", fake.base_url)
    monkeypatch.setenv("LIME_SITE_TOKEN", fake.site_token)
    with fake.mounted():
        yield fake
