"""LIME passports: RS256 tokens, signed and verified with every check in one call.

Everything is done in Rust, on AWS-LC, and without the interpreter's lock while RSA works. Nothing
here reads a clock or the network: `now` is an argument, in Unix seconds. All objects are immutable
and may be shared between threads; keys are parsed when they are made, so keep them.
"""

from lime_jwt._native import (
    MAX_JWKS_BYTES,
    MAX_LEEWAY,
    MAX_TOKEN_BYTES,
    TYP_ACCESS,
    TYP_BINDING,
    TYP_LOGIN,
    Expectation,
    JwkSet,
    KeyEncryptionKey,
    SigningKey,
    TokenHasher,
    encode_jwks,
    thumbprint,
    verify,
)
from lime_jwt.errors import (
    DecryptionError,
    ExpiredTokenError,
    InvalidClaimError,
    InvalidKeyError,
    InvalidSignatureError,
    InvalidTokenError,
    LimeJwtError,
    MalformedTokenError,
    UnboundError,
    UnencodableClaimsError,
    UnknownKeyError,
    UnsupportedHeaderError,
)

__all__ = [
    "MAX_JWKS_BYTES",
    "MAX_LEEWAY",
    "MAX_TOKEN_BYTES",
    "TYP_ACCESS",
    "TYP_BINDING",
    "TYP_LOGIN",
    "DecryptionError",
    "Expectation",
    "ExpiredTokenError",
    "InvalidClaimError",
    "InvalidKeyError",
    "InvalidSignatureError",
    "InvalidTokenError",
    "JwkSet",
    "KeyEncryptionKey",
    "LimeJwtError",
    "MalformedTokenError",
    "SigningKey",
    "TokenHasher",
    "UnboundError",
    "UnencodableClaimsError",
    "UnknownKeyError",
    "UnsupportedHeaderError",
    "encode_jwks",
    "thumbprint",
    "verify",
]
