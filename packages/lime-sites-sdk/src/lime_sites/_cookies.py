"""Values that a browser keeps for us and cannot change. Needs the extra `fastapi`."""

import hashlib
import time
from collections.abc import Callable
from typing import Any, Final

from itsdangerous import BadData, TimestampSigner, URLSafeTimedSerializer

from lime_sites._passports import LEEWAY

MIN_SECRET_CHARS: Final = 32
"""Least length of the secret: 128 bits, were it written in hexadecimal digits."""


class SignedValue:
    """Makes and reads signed values of one kind.

    Args:
        secret: what signs; anybody who knows it can sign in as anybody.
        kind: keeps the values of one cookie from being taken for another's.
        max_age: seconds for which a value is accepted.
        wall_clock: Unix seconds.

    Raises:
        ValueError: the secret is too short.
    """

    def __init__(
        self,
        secret: str,
        *,
        kind: str,
        max_age: int,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        if len(secret) < MIN_SECRET_CHARS:
            raise ValueError(f"the secret needs at least {MIN_SECRET_CHARS} characters")
        self.max_age = max_age
        self._wall_clock = wall_clock

        class Signer(TimestampSigner):
            def get_timestamp(self) -> int:
                return int(wall_clock())

        self._serializer = URLSafeTimedSerializer(
            secret,
            salt=f"lime-sites.{kind}",
            signer=Signer,
            signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"},
        )

    def dump(self, value: object) -> str:
        """Return `value` signed, as text for a cookie."""
        return str(self._serializer.dumps(value))

    def load(self, text: str | None) -> Any:
        """Return the value, or None if there is none, it is not ours, or it is too old.

        It may come from up to 30 s in the future: clocks differ.
        """
        if text is None:
            return None
        try:
            # Without `max_age`, which would refuse what was signed a second from now: by another
            # host of the site, whose clock is ahead of ours.
            value, signed_at = self._serializer.loads(text, return_timestamp=True)
        except BadData:
            return None
        age = int(self._wall_clock()) - signed_at.timestamp()
        return value if -LEEWAY <= age <= self.max_age else None
