"""What can be wrong with a token, a key or a secret.

    LimeJwtError (ValueError)
    ├── InvalidTokenError
    │   ├── MalformedTokenError         not a compact JWS with one meaning
    │   ├── UnsupportedHeaderError      asks for what a LIME passport never has
    │   ├── UnknownKeyError             .kid: the issuer may have published it since
    │   ├── InvalidSignatureError
    │   └── InvalidClaimError           .claim: genuine, but does not say what it must
    │       └── ExpiredTokenError
    ├── InvalidKeyError                 no key, or one that must not be used
    ├── UnboundError                    an expectation that would bind a passport to nothing
    ├── UnencodableClaimsError          claims that cannot become a token
    └── DecryptionError                 not sealed by this key in this context

The messages name the check that failed, for a log; they never repeat what the token, the key or the
secret said. A service that answers strangers should make all `InvalidTokenError`s look the same.
"""

from __future__ import annotations


class LimeJwtError(ValueError):
    """Anything that `lime_jwt` refuses. Raised itself for an argument outside its range."""


class InvalidTokenError(LimeJwtError):
    """The token must not be trusted, for whatever reason."""


class MalformedTokenError(InvalidTokenError):
    """Not three canonical base64url segments of JSON with unique member names, or too large."""


class UnsupportedHeaderError(InvalidTokenError):
    """Another algorithm, no key id, an extension, a key of its own, or another kind's `typ`."""


class UnknownKeyError(InvalidTokenError):
    """The key set has no usable key of this id: fetch the issuer's keys once, then try again.

    `kid` is the id as the **unproven** header gave it, at most 256 bytes long.
    """

    def __init__(self, message: str, kid: str) -> None:
        super().__init__(message)
        self.kid = kid

    def __reduce__(self) -> tuple[type[UnknownKeyError], tuple[str, str]]:
        return type(self), (str(self), self.kid)


class InvalidSignatureError(InvalidTokenError):
    """The key of this id did not sign this text."""


class InvalidClaimError(InvalidTokenError):
    """A genuine token that does not say what it must. `claim` is the name of the claim."""

    # Message and claim. There is no `__init__` that would keep them apart: this is what a refusal
    # costs after a good signature, and it must not cost more than an acceptance.
    args: tuple[str, str]

    def __str__(self) -> str:
        return self.args[0]

    @property
    def claim(self) -> str:
        """The name of the claim."""
        return self.args[1]


class ExpiredTokenError(InvalidClaimError):
    """A genuine token whose time has passed. `claim` is `exp`."""


class InvalidKeyError(LimeJwtError):
    """No key or key set, or one that is too weak, too large, ambiguous or not in canonical form."""


class UnboundError(LimeJwtError):
    """Nothing was given that binds the passport to this verifier."""


class UnencodableClaimsError(LimeJwtError):
    """Claims with a value that is no JSON we verify again, or too many of them for one token."""


class DecryptionError(LimeJwtError):
    """A sealed value that this key did not seal in this context, or that was changed since."""
