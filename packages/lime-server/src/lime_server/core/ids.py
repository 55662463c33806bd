"""Ids: UUIDs whose first bits are the time they were made, so that new rows lie together."""

import re
import secrets
from datetime import datetime
from uuid import UUID

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_VERSION_7 = 0x7 << 76
_VARIANT = 0b10 << 62


def new_id(now: datetime) -> str:
    """A fresh UUID version 7 (RFC 9562 section 5.7) for something made at `now`.

    74 of its bits are random, which is enough not to be guessed while a login request lives.
    """
    milliseconds = int(now.timestamp() * 1000)
    high, low = secrets.randbits(12), secrets.randbits(62)
    return str(UUID(int=(milliseconds << 80) | _VERSION_7 | (high << 64) | _VARIANT | low))


def lowest_id(moment: datetime) -> str:
    """Below the id of everything made at `moment` or later, and above what was made before."""
    return str(UUID(int=int(moment.timestamp() * 1000) << 80))


def parse_id(text: str) -> str | None:
    """`text` in lower case if it is a UUID in its usual spelling, else None.

    The other spellings that exist (braces, `urn:uuid:`, no hyphens) never come from us.
    """
    lowered = text.lower()
    return lowered if _UUID.fullmatch(lowered) else None
