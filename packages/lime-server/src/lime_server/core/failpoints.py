"""Places at which a test can end a server, hold it up or let it fail.

Chance rarely hits a window of microseconds, so each window in which something could get lost has a
name here. What happens at a point is not in this package: it comes from the module `TEST_BUILD`,
which no wheel contains and only this repository's tests put on a server's path. An environment
variable alone therefore arms nothing, and is refused.
"""

from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from typing import Protocol, cast

TEST_BUILD = "lime_server_test_build"
"""The module that makes a server a test build."""

VARIABLES = ("LIME_TEST_FAILPOINT", "LIME_TEST_MIGRATION")
"""What a test build obeys, and any other refuses to start with."""

POINTS: Mapping[str, str] = {
    "create.after_commit": "a request is written, and its site not answered",
    "approve.before_commit": "a decision is made, and not written",
    "approve.after_commit": "a decision is written, and nobody was woken",
    "approve.after_wakeup": "a decision is written and rung for, and its agent not answered",
    "expire.after_commit": "requests have expired, and nobody was woken",
    "events.after_lease": "events are leased, and no stream has them",
    "events.before_write": "a passport is signed, and not sent",
    "events.after_write": "a passport is sent, and nobody knows whether it arrived",
    "ack.before_commit": "a site has said that it handled events, and it is not written",
    "ack.after_commit": "it is written, and the site not answered",
    "migrate.before_commit": "a migration is done, and not committed",
    "migrate.between": "a migration is committed, and there are more to come",
    "keys.between_rotation": "one key of a rotation is written, and nothing is committed",
    "keys.after_commit": "a rotation is committed, and the other servers do not know",
}
"""Every point, and what is true there."""

Act = Callable[[str], Awaitable[None]]

_act: Act | None = None


class NotATestBuildError(Exception):
    """Somebody tries to arm a server that is no test build, or arms a point that there is not."""


class TestBuild(Protocol):
    """What the module `TEST_BUILD` is."""

    def arm(self, environ: Mapping[str, str], points: Mapping[str, str]) -> Act:
        """What to do at each point. Raises ValueError for what cannot be obeyed."""
        ...


async def reach(point: str) -> None:
    """Do nothing, unless a test wants something to happen here. `point` is one of `POINTS`."""
    if _act is not None:
        await _act(point)


def arm(environ: Mapping[str, str]) -> None:
    """Obey the test variables in `environ`, of which there are none outside of tests.

    Raises NotATestBuildError.
    """
    global _act  # noqa: PLW0603 - one process, one start
    asked = [name for name in VARIABLES if name in environ]
    if not asked:
        return
    try:
        build = cast("TestBuild", import_module(TEST_BUILD))
        _act = build.arm(environ, POINTS)
    except ModuleNotFoundError:
        raise NotATestBuildError(f"{asked[0]} is for test builds, and this is none") from None
    except ValueError as error:
        raise NotATestBuildError(f"{asked[0]}: {error}") from None
