"""A stand-in for a LIME server as its verifiers see it: published keys that can sign anything at all."""

import json
import time
from typing import Any

from tests.support.stub import Says, Stub, ok
from tests.support.tokens import ForgingKey, b64

JWKS = "/core/.well-known/jwks.json"


class Issuer(Stub):
    """A stand-in for a LIME server: one published key, which can sign anything, and one site."""

    SITE = "6f1f6c7e-54d2-4f0c-8a55-2d3f0f6a9b01"
    REQUEST = "3b0d9a1e-5f47-4d0e-9d5b-0a4c1a8f2f10"

    def __init__(self, key: ForgingKey) -> None:
        self.key = key
        self.keys = [key.jwk()]
        self.status = 200
        super().__init__(
            {
                ("GET", JWKS): lambda _: Says({"keys": self.keys}, self.status),
                ("GET", "/foundation/sites/me"): lambda _: ok(
                    {
                        "site_id": self.SITE,
                        "display_name": "Corner Shop",
                        "domain": None,
                        "domain_verified": False,
                    }
                ),
            }
        )

    def claims(self, **changes: Any) -> dict[str, Any]:
        """What a good passport of this issuer says; `...` removes a claim."""
        now = int(time.time())
        good = {
            "iss": self.public_url,
            "aud": "lime-site-login",
            "sub": "0b7e7a52-54c3-4d3e-a1c3-9c6a5d1c7b11",
            "iat": now,
            "exp": now + 60,
            "jti": "c2d5c9b0-7a30-4d43-8f3b-0d5f6f3f3c33",
            "request_id": self.REQUEST,
            "user_id": "5f0c3a6d-6f0b-4b7e-9a55-1f7c2f8f4d44",
            "passport_version": 1,
            "site_id": self.SITE,
            "azp": self.SITE,
            "kyc_level": 0,
        }
        return {key: value for key, value in {**good, **changes}.items() if value is not ...}

    def passport(self, header: dict[str, Any] | None = None, /, **changes: Any) -> str:
        """Signed by the published key; `header` is added to the usual one, and `...` removes."""
        usual = {"alg": "RS256", "kid": self.key.kid, "typ": "lime-passport+jwt", **(header or {})}
        return self.key.sign(
            self.claims(**changes), {key: value for key, value in usual.items() if value is not ...}
        )

    def header(self, **changes: Any) -> str:
        """The first segment of a passport, with these changes."""
        return b64(
            json.dumps(
                {"alg": "RS256", "kid": self.key.kid, "typ": "lime-passport+jwt", **changes}
            ).encode()
        )
