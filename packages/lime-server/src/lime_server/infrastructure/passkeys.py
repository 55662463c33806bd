"""Passkeys: the cryptography of WebAuthn, by the `webauthn` library."""

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from typing import Any

import webauthn
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from lime_server.core.errors import InvalidPasskey
from lime_server.core.urls import PublicUrl
from lime_server.foundation.owners import Owner
from lime_server.foundation.second_factor import Claim, NewPasskey, Passkey

NAME = "LIME"
TIMEOUT = 300_000
"""Milliseconds, as long as the challenge is good."""
LONGEST = 16384
"""Bytes of an answer that are looked at; a real one has a tenth of it."""

_VERIFIED = UserVerificationRequirement.REQUIRED
_WRONG = (
    WebAuthnException,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RecursionError,
)
"""What the library raises for answers that no browser makes, beside its own exceptions."""


class WebAuthn:
    """Makes options and verifies answers for one origin."""

    def __init__(self, public_url: PublicUrl) -> None:
        """Passkeys are bound to the host of `public_url`: changing it voids them."""
        self._host = public_url.host
        self._origin = str(public_url)

    def creation_options(
        self, owner: Owner, challenge: bytes, known: Sequence[bytes]
    ) -> Mapping[str, object]:
        """What `navigator.credentials.create` takes: a passkey that knows whose it is."""
        options = webauthn.generate_registration_options(
            rp_id=self._host,
            rp_name=NAME,
            user_id=owner.owner_id.encode(),
            user_name=owner.email,
            challenge=challenge,
            timeout=TIMEOUT,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED, user_verification=_VERIFIED
            ),
            exclude_credentials=[PublicKeyCredentialDescriptor(id=one) for one in known],
        )
        return _json(options)

    def created(self, unverified: Mapping[str, object], challenge: bytes) -> NewPasskey:
        """The passkey that answers `challenge`. Raises InvalidPasskey."""
        try:
            made = webauthn.verify_registration_response(
                credential=dict(unverified),
                expected_challenge=challenge,
                expected_rp_id=self._host,
                expected_origin=self._origin,
                require_user_verification=True,
            )
        except _WRONG as error:
            raise InvalidPasskey from error
        return NewPasskey(made.credential_id, made.credential_public_key, made.sign_count)

    def request_options(
        self, challenge: bytes, allowed: Sequence[bytes] = ()
    ) -> Mapping[str, object]:
        """What `navigator.credentials.get` takes: one of `allowed`, or any of this server."""
        options = webauthn.generate_authentication_options(
            rp_id=self._host,
            challenge=challenge,
            timeout=TIMEOUT,
            user_verification=_VERIFIED,
            allow_credentials=[PublicKeyCredentialDescriptor(id=one) for one in allowed],
        )
        return _json(options)

    def claimed(self, unverified: Mapping[str, object]) -> Claim:
        """Whose the answer says it is, unverified. Raises InvalidPasskey."""
        try:
            response: Any = unverified["response"]
            client: Any = json.loads(_decoded(response["clientDataJSON"]))
            handle = response.get("userHandle")
            return Claim(
                challenge=_decoded(client["challenge"]),
                credential_id=_decoded(unverified["rawId"]),
                user_handle=_decoded(handle) if handle else None,
            )
        except _WRONG as error:
            raise InvalidPasskey from error

    def used(self, unverified: Mapping[str, object], challenge: bytes, passkey: Passkey) -> int:
        """The new sign count of `passkey`, which answers `challenge`. Raises InvalidPasskey."""
        try:
            verified = webauthn.verify_authentication_response(
                credential=dict(unverified),
                expected_challenge=challenge,
                expected_rp_id=self._host,
                expected_origin=self._origin,
                credential_public_key=passkey.public_key,
                credential_current_sign_count=passkey.sign_count,
                require_user_verification=True,
            )
        except _WRONG as error:
            raise InvalidPasskey from error
        return verified.new_sign_count


def _json(options: Any) -> dict[str, object]:
    made: dict[str, object] = json.loads(webauthn.options_to_json(options))
    return made


def _decoded(text: Any) -> bytes:
    if not isinstance(text, str) or len(text) > LONGEST:
        raise ValueError("not base64url of a sensible length")
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
