"""Slowing down who guesses: per account and per address, and never for good.

A bucket that fills again by itself (generic cell rate algorithm) instead of a lock: a lock would
let anybody keep an owner out. A browser in which the owner has signed in before has a bucket of its
own, so that somebody who guesses all day from elsewhere does not even slow them down. All these
together have a bucket as well: whoever once had the account could have collected browsers.

The code of an authenticator has so few digits that this alone would let it be guessed within months
by whoever has the password. In browsers that are new it has a bucket that is much smaller.
"""

import hmac
import re
import secrets

from lime_server.core.errors import RateLimited
from lime_server.core.origin import asking_network
from lime_server.core.ports import Limit, RateLimiter, TokenHash

PER_ACCOUNT = Limit(rate=1 / 30, burst=10)
"""Ten slips of a person at once, then 2,880 guesses a day against a password that `new_password`
let pass."""
FACTOR = Limit(rate=1 / 3600, burst=10)
"""Codes of an authenticator in browsers that are new. Six digits, of which three codes are right at
any moment (`infrastructure.totp`): the 8,770 tries of a year guess one with a chance of one in 38.
With `PER_ACCOUNT` it would be nearly certain, and one in two after 80 days."""
SLIPS = Limit(rate=1 / 86400, burst=9)
"""Wrong codes behind a right password that are taken for slips: nine, and one a day. Who guesses as
slowly as that is right with a chance of one in 900 a year."""
WARNINGS = Limit(rate=1 / 86400, burst=1)
"""Mails about the codes that are more than slips, to one owner."""
PER_ADDRESS = Limit(rate=1 / 3, burst=60)
"""An office behind one address signs in on a Monday morning."""
MAILS = Limit(rate=1 / 600, burst=5)
"""Mails to one addressee: who asked for five and got none does not need a sixth at once."""
DEVICES = 5
"""Browsers that one person guesses in at once; together they may do as much as so many."""

_DEVICE = re.compile(r"([A-Za-z0-9_-]{22})\.([0-9a-f]{64})")


class Slowing:
    """Counts attempts. Keys hold hashes: a limiter's store must not tell who signs in."""

    def __init__(self, limiter: RateLimiter, tokens: TokenHash) -> None:
        """Count with `limiter`."""
        self._limiter = limiter
        self._tokens = tokens

    async def attempt(
        self, what: str, account: str, *, unverified_device: str | None = None
    ) -> None:
        """Count an attempt on `account`, whether or not there is one. Raises RateLimited."""
        await self._limiter.take(f"{what}:from:{asking_network()}", PER_ADDRESS)
        await self._take(f"{what}:on:", account, unverified_device, PER_ACCOUNT)

    async def factor(self, account: str, *, unverified_device: str | None = None) -> None:
        """Count a code of an authenticator. Raises RateLimited."""
        await self._limiter.take(f"factor:from:{asking_network()}", PER_ADDRESS)
        await self._take("factor:on:", account, unverified_device, PER_ACCOUNT, stranger=FACTOR)

    async def is_alarming(self, account: str) -> bool:
        """Count a wrong code behind a right password; True if its owner should hear of it now."""
        who = self._short(account)
        if await self._is_counted(f"factor:slips:{who}", SLIPS):
            return False
        return await self._is_counted(f"factor:warned:{who}", WARNINGS)

    async def mail(self, addressee: str, *, unverified_device: str | None = None) -> None:
        """Count a mail. Raises RateLimited."""
        await self._limiter.take(f"mail:from:{asking_network()}", PER_ADDRESS)
        await self._take("mail:to:", addressee, unverified_device, MAILS)

    def new_device(self, account: str) -> str:
        """What a browser keeps that has signed in to `account`. It opens nothing."""
        name = secrets.token_urlsafe(16)
        return f"{name}.{self._seal(name, account)}"

    async def _is_counted(self, key: str, limit: Limit) -> bool:
        """Count one use of `key`; False if it is one too many."""
        try:
            await self._limiter.take(key, limit)
        except RateLimited:
            return False
        return True

    async def _take(
        self,
        prefix: str,
        account: str,
        unverified_device: str | None,
        limit: Limit,
        *,
        stranger: Limit | None = None,
    ) -> None:
        """Count with `limit` in a browser that is known, and with `stranger` in any other."""
        device = self._device(unverified_device, account)
        if device is None:
            await self._limiter.take(f"{prefix}{self._short(account)}", stranger or limit)
        else:
            await self._limiter.take(f"{prefix}{self._short(account)}:{device}", limit)
            together = f"{prefix}{self._short(account)}:devices"
            await self._limiter.take(together, limit.times(DEVICES))

    def _device(self, unverified: str | None, account: str) -> str | None:
        match = _DEVICE.fullmatch(unverified or "")
        if match is None or not hmac.compare_digest(match[2], self._seal(match[1], account)):
            return None
        return match[1]

    def _seal(self, name: str, account: str) -> str:
        return self._tokens.hash(f"device\n{name}\n{account}").hex()

    def _short(self, text: str) -> str:
        return self._tokens.hash(f"slow\n{text}")[:16].hex()
