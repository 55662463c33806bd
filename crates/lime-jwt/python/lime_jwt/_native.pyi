from collections.abc import Iterable, Mapping
from typing import Any, Final, final

__all__ = [
    "MAX_JWKS_BYTES",
    "MAX_LEEWAY",
    "MAX_TOKEN_BYTES",
    "TYP_ACCESS",
    "TYP_BINDING",
    "TYP_LOGIN",
    "Expectation",
    "JwkSet",
    "KeyEncryptionKey",
    "SigningKey",
    "TokenHasher",
    "encode_jwks",
    "thumbprint",
    "verify",
]

TYP_LOGIN: Final[str]
"""`typ` of a site login's passport."""
TYP_BINDING: Final[str]
"""`typ` of an agent binding's passport."""
TYP_ACCESS: Final[str]
"""`typ` of an MCP access token."""
MAX_TOKEN_BYTES: Final[int]
"""Longest token that is looked at, in bytes (protocol section 6)."""
MAX_JWKS_BYTES: Final[int]
"""Longest key set document that is looked at, in bytes."""
MAX_LEEWAY: Final[int]
"""Most leeway that an `Expectation` takes, in seconds."""

@final
class SigningKey:
    """An RSA private key that signs passports. Parse or make it once and keep it.

    Its `repr` shows the key id and nothing else.
    """

    @staticmethod
    def generate(bits: int = 2048) -> SigningKey:
        """A new key of 2048, 3072 or 4096 bits. Takes from 20 ms to some seconds.

        Raises `LimeJwtError` for another size.
        """

    @staticmethod
    def from_pkcs8(der: bytes) -> SigningKey:
        """The key in an unencrypted PKCS#8 document (DER).

        Raises `InvalidKeyError` if it is no RSA private key, or one that no `JwkSet` would take:
        2048 to 4096 bits, exponent 65537 or a larger odd one of at most 32 bits.
        """

    def to_pkcs8(self) -> bytes:
        """The key as an unencrypted PKCS#8 document (DER). Seal it before it is stored."""

    @property
    def kid(self) -> str:
        """The key's RFC 7638 SHA-256 thumbprint, as 43 base64url characters."""

    def public_jwk(self) -> dict[str, str]:
        """The half to publish: `kty`, `n`, `e`, `kid`, `alg` and `use`."""

    def sign(self, claims: Mapping[str, object], *, typ: str) -> str:
        """A compact JWS with the header `{alg, kid, typ}`. The claims are signed as they are.

        Values are `str`, `int` of at most 64 bits, `bool`, `None`, and lists and mappings of these.
        Raises `UnencodableClaimsError` for anything else, floats included, and if the token would
        be longer than `MAX_TOKEN_BYTES`; `LimeJwtError` if `typ` is not a media type.
        """

@final
class JwkSet:
    """The keys of **one** issuer, ready to verify."""

    @staticmethod
    def parse(document: bytes | str, *, issuer: str) -> JwkSet:
        """The usable keys of a document that came from `issuer` (RFC 7517).

        Usable is an RSA key for RS256 signatures with an id, 2048 to 4096 bits and an odd exponent
        from 65537 to 32 bits, that does not give away its private half. Every other member is
        passed over, as RFC 7517 section 5 wants it, and so are members that share an id.

        Raises `InvalidKeyError` if the document is no key set, is longer than `MAX_JWKS_BYTES` or
        has more than 256 members, or if `issuer` is empty.
        """

    @property
    def issuer(self) -> str:
        """Whose keys these are, as given."""

    @property
    def kids(self) -> tuple[str, ...]:
        """The ids of the usable keys, in the order of the document."""

    def __len__(self) -> int: ...
    def __contains__(self, kid: object, /) -> bool: ...

@final
class Expectation:
    """What one verification insists on. Cheap: make one for each.

    `leeway` is for clocks that differ, in seconds from 0 to `MAX_LEEWAY`; `LimeJwtError` is raised
    outside of it. `UnboundError` is raised where nothing, or an empty string, would bind the
    passport to whoever verifies it.
    """

    @staticmethod
    def login(
        *, request_id: str | None = None, site_id: str | None = None, leeway: int = 30
    ) -> Expectation:
        """A site login for this request, for this site, or both. One is needed."""

    @staticmethod
    def binding(*, site_id: str, binding_id: str | None = None, leeway: int = 30) -> Expectation:
        """An agent binding for this site, and for this binding if one is given."""

    @staticmethod
    def access_token(
        *, domain: str | None = None, resource: str | None = None, leeway: int = 30
    ) -> Expectation:
        """An MCP access token for this domain, for this resource, or both. One is needed."""

    def __eq__(self, other: object, /) -> bool: ...

def verify(token: str, *, keys: JwkSet, expect: Expectation, now: int) -> dict[str, Any]:
    """The claims of a token that `keys` signed and that says what `expect` wants.

    All of protocol section 6, in its order: size, form, header, key by (issuer, kid), signature,
    issuer, audience, times at `now` (Unix seconds), subject and token id, binding.

    Raises the `InvalidTokenError` of the first check that failed. `UnknownKeyError` comes after all
    checks of the header and before all that need the key: fetch the keys once and try again.
    """

def encode_jwks(keys: Iterable[SigningKey | Mapping[str, object]]) -> bytes:
    """The document that publishes these keys: `{"keys": [...]}`, public members only.

    Raises `InvalidKeyError` for a mapping that no verifier would use (one with private members
    among them), and if two keys have the same id.
    """

def thumbprint(jwk: Mapping[str, object]) -> str:
    """The RFC 7638 SHA-256 thumbprint of a public RSA key, as 43 base64url characters.

    Raises `InvalidKeyError` for a key that no verifier would use.
    """

@final
class TokenHasher:
    """The keyed hash (HMAC-SHA-256) under which an opaque token is stored and looked up."""

    def __new__(cls, key: bytes) -> TokenHasher:
        """Raises `InvalidKeyError` if the key has less than 32 bytes."""

    @staticmethod
    def derive(master: bytes, purpose: str) -> bytes:
        """A key of 32 bytes for one purpose from a master key (HKDF-SHA-256, RFC 5869).

        Raises `InvalidKeyError` if the master key has less than 32 bytes, `LimeJwtError` if the
        purpose is empty.
        """

    def hash(self, token: str) -> bytes:
        """The 32 bytes to store for this token."""

    def matches(self, token: str, expected: bytes) -> bool:
        """Whether `expected` is the whole hash of `token`; constant-time in where they differ."""

@final
class KeyEncryptionKey:
    """Seals private keys for storage, with AES-256-GCM under random nonces."""

    def __new__(cls, key: bytes) -> KeyEncryptionKey:
        """Raises `InvalidKeyError` if the key has not exactly 32 bytes."""

    def seal(self, plaintext: bytes, *, context: bytes) -> bytes:
        """The plaintext and 29 bytes. It opens only in the same context, say the id of its row."""

    def open(self, sealed: bytes, *, context: bytes) -> bytes:
        """What this key sealed in this context. Raises `DecryptionError` for anything else."""
