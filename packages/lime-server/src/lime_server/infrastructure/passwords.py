"""Password hashes by argon2id, off the event loop and few at a time."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from lime_server.core.errors import Unavailable

T = TypeVar("T")

TIME_COST, MEMORY_COST, PARALLELISM = 2, 19456, 1
"""Two passes over 19 MiB in one lane: the first choice of OWASP's Password Storage Cheat Sheet."""
MOST_AT_ONCE = 2
"""Hashes computed at once by one process: each keeps a core busy and takes 19 MiB, so that more of
them would only take memory from each other. The others wait in line."""
MOST_IN_LINE = 200
"""Hashes in line, the ones at work included: some seconds' worth. Who comes then is told to try
again, rather than to wait for so long that nobody is there any more when their turn has come."""
RETRY_AFTER = 5
"""Seconds, until when most of the line has passed."""


class Argon2Hasher:
    """Makes and checks hashes. Close it to end its threads."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        """With the parameters above, unless a test brings cheaper ones."""
        self._hasher = hasher or PasswordHasher(TIME_COST, MEMORY_COST, PARALLELISM)
        self._in_line = 0
        self._pool = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="lime-argon2")
        # What is verified for an unknown address: as much work as for a known one.
        self._nobodys = self._hasher.hash("nobody's password")

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False)

    async def hash(self, password: str) -> str:
        """A new hash, with its salt and parameters in it. Raises Unavailable."""
        return await self._run(lambda: self._hasher.hash(_bytes(password)))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether they belong together. With None the same work is done in vain.

        Raises Unavailable.
        """
        stored = self._nobodys if password_hash is None else password_hash
        right = await self._run(lambda: self._verify(stored, password))
        return right and password_hash is not None

    def is_outdated(self, password_hash: str) -> bool:
        """Whether it was made with other parameters than new ones are."""
        return self._hasher.check_needs_rehash(password_hash)

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, _bytes(password))
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if self._in_line >= MOST_IN_LINE:
            raise Unavailable(retry_after=RETRY_AFTER)
        self._in_line += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._in_line -= 1


def _bytes(password: str) -> bytes:
    # A lone surrogate is in nobody's password, and must not be an error of ours.
    return password.encode("utf-8", "surrogatepass")
