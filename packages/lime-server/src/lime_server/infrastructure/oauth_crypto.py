"""What clients sign and what we signed: assertions, public keys and access tokens of OAuth."""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

import lime_jwt
from lime_server.core.errors import InvalidInput
from lime_server.core.keyring import KeyRing
from lime_server.modules.mcp_oauth.model import Jwk
from lime_server.modules.mcp_oauth.ports import Assertion, AssertionRefused

MAX_ASSERTION = 8192
"""Characters of a client assertion: a dozen claims and a signature by RSA-4096, twice over."""
LEEWAY = timedelta(seconds=30)
"""By how much a client's clock may be wrong (protocol section 10)."""
MAX_LIFETIME = timedelta(minutes=5)
"""How far ahead an assertion may expire: for as long its `jti` has to be remembered."""
MAX_JTI = 256
"""Characters: a UUID, or a hash, with room for whatever a library puts before it."""
MIN_RSA, MAX_RSA = 2048, 4096
"""Bits: below is forgeable (NIST SP 800-131A), and above makes us work for whoever asks."""
_KID = re.compile(r"[!-~]{1,128}")
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})  # RFC 7518, section 6


@dataclass(frozen=True, slots=True)
class _Fit:
    """A public key that may verify assertions, and with what."""

    key: RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey
    jwk: dict[str, Any]
    algorithms: tuple[str, ...]


class PyJwtKeys:
    """Knows which public keys are fit."""

    def clean(self, unverified_jwk: Mapping[str, object]) -> Jwk:
        """The public members of a key that is fit, with `kid`. Raises InvalidInput."""
        # 1. Public? Somebody who sends us a private key must hear of it, and we must not have it.
        if _PRIVATE & unverified_jwk.keys():
            raise _unfit("it holds private members: send the public key only")
        # 2. Fit?
        fit = _fit(unverified_jwk)
        # 3. For signatures, with an algorithm of ours, if it says for what.
        if unverified_jwk.get("use", "sig") != "sig":
            raise _unfit("its use is not sig")
        if unverified_jwk.get("alg", fit.algorithms[0]) not in fit.algorithms:
            raise _unfit(f"its alg is not one of {', '.join(fit.algorithms)}")
        # 4. With a name.
        kid = unverified_jwk.get("kid", _thumbprint(fit.jwk))
        if not isinstance(kid, str) or not _KID.fullmatch(kid):
            raise _unfit("kid is 1 to 128 visible ASCII characters")
        named = {"kid": kid, "use": "sig"}
        if "alg" in unverified_jwk:
            named["alg"] = str(unverified_jwk["alg"])
        return fit.jwk | named


class PyJwtAssertions:
    """Verifies client assertions (RFC 7523, section 3)."""

    def unverified_subject(self, unverified_assertion: str) -> str:
        """Whose it says it is; proves nothing."""
        subject = _text(_read(unverified_assertion)[1], "sub")
        if subject is None:
            raise AssertionRefused("no sub")
        return subject

    def verify(
        self,
        unverified_assertion: str,
        *,
        client_id: str,
        keys: Sequence[Jwk],
        audiences: Collection[str],
        now: datetime,
    ) -> Assertion:
        """The assertion, made by `client_id` with one of `keys`, for one of `audiences`."""
        # 1. What it says of itself, which only chooses among the client's own keys.
        header, _ = _read(unverified_assertion)
        algorithm, kid = header.get("alg"), header.get("kid")
        fitting = _fitting(keys, algorithm, kid)
        # 2. The signature, by one of them.
        claims = _signed(unverified_assertion, str(algorithm), fitting)
        # 3. From the client, about itself (RFC 7523, section 3, items 1 and 2).
        if claims.get("iss") != client_id or claims.get("sub") != client_id:
            raise AssertionRefused("iss and sub are not the client's id")
        # 4. For us (item 3).
        audience = claims.get("aud")
        named = audience if isinstance(audience, list) else [audience]
        if not any(one in audiences for one in named if isinstance(one, str)):
            raise AssertionRefused("another audience")
        # 5. Now, and not for long (items 4 to 6).
        expires_at = _check_times(claims, now)
        # 6. To be used once (item 7).
        jti = _text(claims, "jti")
        if jti is None or len(jti) > MAX_JTI:
            raise AssertionRefused("no jti")
        return Assertion(jti, expires_at + LEEWAY)


class RingAccessTokens:
    """Reads access tokens that were signed with a key of ours."""

    def __init__(self, ring: KeyRing, issuer: str) -> None:
        """`issuer` is the OAuth issuer."""
        self._ring = ring
        self._issuer = issuer

    def read(self, unverified_token: str, now: datetime) -> Mapping[str, object] | None:
        """The claims of one that is ours and valid at `now`, else None."""
        try:
            # The domain is what a resource server knows of itself. We want to know of them all, so
            # the token may choose; it must still have one.
            domain = _text(_payload(unverified_token), "domain")
            if domain is None:
                return None
            expect = lime_jwt.Expectation.access_token(domain=domain, leeway=0)
            keys = lime_jwt.JwkSet.parse(self._ring.jwks.body, issuer=self._issuer)
            return lime_jwt.verify(
                unverified_token, keys=keys, expect=expect, now=int(now.timestamp())
            )
        except (AssertionRefused, lime_jwt.LimeJwtError):
            return None


def _read(unverified: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and payload, neither of them proven."""
    if len(unverified) > MAX_ASSERTION:
        raise AssertionRefused("too long")
    try:
        header = jwt.get_unverified_header(unverified)
    except (jwt.PyJWTError, RecursionError) as error:
        raise AssertionRefused(f"not a JWS: {type(error).__name__}") from None
    if "crit" in header:
        raise AssertionRefused("a critical extension")
    return header, _payload(unverified)


def _payload(unverified: str) -> dict[str, Any]:
    parts = unverified.split(".")
    if len(parts) != 3:
        raise AssertionRefused("not three parts")
    try:
        text = base64.b64decode(parts[1] + "=" * (-len(parts[1]) % 4), b"-_", validate=True)
        payload = json.loads(text, object_pairs_hook=_distinct)
    except (binascii.Error, ValueError, RecursionError):
        raise AssertionRefused("not JSON") from None
    if not isinstance(payload, dict):
        raise AssertionRefused("not an object")
    return payload


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    """A claim that is text, and not empty. Half a surrogate pair is none: nothing can hash it."""
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        return None
    return None if any("\ud800" <= one <= "\udfff" for one in value) else value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate member")
    return found


def _fitting(keys: Sequence[Jwk], algorithm: object, kid: object) -> list[_Fit]:
    """The keys that may have signed this; what is no key, in somebody's document, did not."""
    found = []
    for jwk in keys:
        if kid not in {None, jwk.get("kid")} or jwk.get("alg", algorithm) != algorithm:
            continue
        try:
            fit = _fit(jwk)
        except InvalidInput:
            continue
        if algorithm in fit.algorithms:
            found.append(fit)
    return found


def _signed(unverified: str, algorithm: str, fitting: Sequence[_Fit]) -> dict[str, Any]:
    for fit in fitting:
        try:
            jwt.api_jws.decode_complete(unverified, fit.key, algorithms=[algorithm])
        except jwt.PyJWTError:
            continue
        return _payload(unverified)
    raise AssertionRefused("signed with none of the client's keys")


def _check_times(claims: Mapping[str, Any], now: datetime) -> datetime:
    expires_at = _moment(claims, "exp")
    if expires_at is None:
        raise AssertionRefused("no exp")
    if now - LEEWAY >= expires_at:
        raise AssertionRefused("expired")
    if expires_at > now + MAX_LIFETIME + LEEWAY:
        raise AssertionRefused("valid for longer than five minutes")
    for name in ("iat", "nbf"):
        moment = _moment(claims, name)
        if moment is not None and moment > now + LEEWAY:
            raise AssertionRefused(f"{name} is in the future")
    return expires_at


def _moment(claims: Mapping[str, Any], name: str) -> datetime | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise AssertionRefused(f"{name} is not a time")
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, OSError, ValueError):
        raise AssertionRefused(f"{name} is not a time") from None


def _fit(jwk: Mapping[str, object]) -> _Fit:
    """`jwk` as a key that may verify assertions. Raises InvalidInput."""
    try:
        text = json.dumps(dict(jwk))
        if jwk.get("kty") == "RSA":
            return _rsa(RSAAlgorithm.from_jwk(text))
        if jwk.get("kty") == "EC":
            return _ec(ECAlgorithm.from_jwk(text))
        if (jwk.get("kty"), jwk.get("crv")) == ("OKP", "Ed25519"):
            return _okp(OKPAlgorithm.from_jwk(text))
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise _unfit("it cannot be read") from None
    raise _unfit("its kty is none of RSA, EC and OKP with Ed25519")


def _rsa(key: Any) -> _Fit:
    if not MIN_RSA <= key.key_size <= MAX_RSA or key.public_numbers().e != 65537:
        raise _unfit(f"an RSA key has {MIN_RSA} to {MAX_RSA} bits and the exponent 65537")
    return _Fit(key, _members(RSAAlgorithm.to_jwk(key), "kty", "n", "e"), ("RS256", "PS256"))


def _ec(key: Any) -> _Fit:
    algorithm = {"secp256r1": "ES256", "secp384r1": "ES384"}.get(key.curve.name)
    if algorithm is None:
        raise _unfit("its curve is none of P-256 and P-384")
    return _Fit(key, _members(ECAlgorithm.to_jwk(key), "kty", "crv", "x", "y"), (algorithm,))


def _okp(key: Any) -> _Fit:
    return _Fit(key, _members(OKPAlgorithm.to_jwk(key), "kty", "crv", "x"), ("EdDSA",))


def _members(text: str, *names: str) -> dict[str, Any]:
    jwk = json.loads(text)
    return {name: jwk[name] for name in names}


def _thumbprint(jwk: Mapping[str, Any]) -> str:
    """RFC 7638: over the required members alone, sorted."""
    canonical = json.dumps(dict(jwk), sort_keys=True, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(hashlib.sha256(canonical).digest()).rstrip(b"=").decode()


def _unfit(why: str) -> InvalidInput:
    return InvalidInput(f"A key cannot be used: {why}.", detail={"field": "keys"})
