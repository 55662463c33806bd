"""Time-based one-time passwords (RFC 6238), as authenticator applications make them."""

import hmac
import re
from datetime import datetime

import pyotp

STEP = 30
"""Seconds that a code lasts: what every authenticator assumes."""
WINDOW = (0, -1, 1)
"""Steps accepted beside the current one: clocks differ, and people type (RFC 6238 section 5.2)."""

_CODE = re.compile(r"[0-9]{6}")


class Authenticators:
    """SHA-1, six digits, thirty seconds: the only kind that all of them support."""

    def new_secret(self) -> str:
        """160 fresh bits in base32."""
        return pyotp.random_base32(32)

    def uri(self, secret: str, account: str) -> str:
        """The `otpauth:` address that authenticators read from a QR code."""
        return pyotp.TOTP(secret).provisioning_uri(name=account, issuer_name="LIME")

    def step_of(self, secret: str, code: str, now: datetime) -> int | None:
        """The time step whose code this is, if that is at most one step from now."""
        plain = "".join(code.split())
        if not _CODE.fullmatch(plain):
            return None
        totp, current = pyotp.TOTP(secret), int(now.timestamp()) // STEP
        steps = [current + offset for offset in WINDOW]
        # All are compared, always.
        right = [step for step in steps if hmac.compare_digest(totp.generate_otp(step), plain)]
        return right[0] if right else None
