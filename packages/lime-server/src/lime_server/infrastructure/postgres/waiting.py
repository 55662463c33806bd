"""Waiting for a PostgreSQL that is not there yet."""

import asyncio
import gc
import logging
import math
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg

from lime_server.core.errors import Unavailable

FIRST_PAUSE = 0.25
"""Seconds until PostgreSQL is asked again; twice as many each time."""
LONGEST_PAUSE = 5.0
"""Seconds: a server starts at most that much later than it could, and asks no more often than
others do whether it is alive."""

_log = logging.getLogger(__name__)

T = TypeVar("T")


async def patiently(attempt: Callable[[], Awaitable[T]], *, at_most: float = math.inf) -> T:
    """What `attempt` returns, as soon as PostgreSQL can be reached; tries for `at_most` seconds.

    Raises `core.errors.Unavailable` after that, and at once whatever else `attempt` raises.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + at_most
    pause = FIRST_PAUSE
    while True:
        try:
            return await attempt()
        except Unavailable as error:
            if loop.time() + pause > deadline:
                raise
            level = logging.ERROR if _is_to_be_mended(error) else logging.WARNING
            _log.log(level, "waiting for PostgreSQL, asked again in %g s: %s", pause, why(error))
        # A start is put together with the collector switched off, and this may go on for hours.
        gc.enable()
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def why(error: Unavailable) -> str:
    """What PostgreSQL's failure means to an operator; shows nothing of the address."""
    if isinstance(error.__cause__, asyncpg.InvalidAuthorizationSpecificationError):
        return "it refuses the user or the password of LIME_DATABASE_URL"
    if isinstance(error.__cause__, asyncpg.InvalidCatalogNameError):
        return "it has no database of the name in LIME_DATABASE_URL"
    return "it cannot be reached with LIME_DATABASE_URL"


def _is_to_be_mended(error: Unavailable) -> bool:
    """Whether waiting alone will hardly help."""
    return isinstance(
        error.__cause__,
        (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError),
    )
