"""Passports read and forged without any code of ours: PyJWT reads, `cryptography` signs whatever it is given."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa


def b64(data: bytes) -> str:
    """Base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """The bytes behind one segment."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, proven by nobody."""
    header, claims, _ = token.split(".")
    return json.loads(unb64(header)), json.loads(unb64(claims))


def read(token: str, jwks: Mapping[str, Any]) -> dict[str, Any]:
    """The claims of a login passport, checked by PyJWT against this key set.

    Raises:
        jwt.PyJWTError: if the signature, `aud`, `exp` or `iat` is wrong, or the key is not there.
    """
    key = jwt.PyJWKSet.from_dict(dict(jwks))[jwt.get_unverified_header(token)["kid"]]
    claims: dict[str, Any] = jwt.decode(
        token, key.key, algorithms=["RS256"], audience="lime-site-login", leeway=30
    )
    return claims


class ForgingKey:
    """An RSA key that signs any bytes under any header."""

    def __init__(self, kid: str, *, bits: int = 2048, exponent: int = 65537) -> None:
        self.kid = kid
        self._key = rsa.generate_private_key(public_exponent=exponent, key_size=bits)

    def jwk(self) -> dict[str, str]:
        """Its public half (RFC 7517)."""
        public = self._key.public_key().public_numbers()
        numbers = {
            name: b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))
            for name, value in (("n", public.n), ("e", public.e))
        }
        return {"kty": "RSA", "kid": self.kid, "alg": "RS256", "use": "sig", **numbers}

    def sign(
        self, claims: Mapping[str, Any] | bytes, header: Mapping[str, Any] | bytes | None = None
    ) -> str:
        """A token with exactly this header (default: a login passport's own) and exactly these claims."""
        own = {"alg": "RS256", "kid": self.kid, "typ": "lime-passport+jwt"}
        first = (
            header
            if isinstance(header, bytes)
            else json.dumps(own if header is None else dict(header)).encode()
        )
        second = claims if isinstance(claims, bytes) else json.dumps(dict(claims)).encode()
        message = f"{b64(first)}.{b64(second)}"
        return f"{message}.{b64(self._key.sign(message.encode(), padding.PKCS1v15(), hashes.SHA256()))}"
