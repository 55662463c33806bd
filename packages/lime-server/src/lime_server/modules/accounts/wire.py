"""What travels: strict in, complete out."""

from typing import Annotated, Any, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from lime_server.foundation.captcha import Captcha, Kind, Proof
from lime_server.foundation.captcha import Puzzle as CaptchaPuzzle
from lime_server.foundation.second_factor import Factors, Method, Passkey
from lime_server.foundation.sessions import Session
from lime_server.modules.http import Id, Timestamp

Email = Annotated[
    str,
    Field(
        min_length=3,
        max_length=254,
        description="RFC 5321: 254 at most. Letters beyond ASCII are allowed.",
        json_schema_extra={"format": "email"},
    ),
]
Password = Annotated[
    str, Field(min_length=1, max_length=1024, description="At least 12 bytes when it is new.")
]
Code = Annotated[
    str, Field(min_length=1, max_length=32, description="Digits, as they were shown or mailed.")
]
RecoveryCode = Annotated[str, Field(min_length=1, max_length=64)]
Credential = Annotated[
    dict[str, Any],
    Field(
        description="What the browser's `PublicKeyCredential.toJSON()` gives.",
        json_schema_extra={
            "required": ["id", "rawId", "response", "type"],
            "properties": {
                "id": {"type": "string"},
                "rawId": {"type": "string"},
                "response": {"type": "object"},
                "type": {"const": "public-key"},
            },
        },
    ),
]


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        """None: most of what comes in is secret."""
        return []


class PowProof(_Input):
    """A solved puzzle of `GET users/captcha`."""

    challenge: Annotated[str, Field(max_length=64)]
    nonce: Annotated[str, Field(max_length=64)]


class _WithProof(_Input):
    turnstile_token: Annotated[str | None, Field(max_length=2048)] = None
    pow: PowProof | None = None

    def proof(self) -> Proof:
        """What it paid for the registration, unverified."""
        if self.pow is None:
            return Proof(self.turnstile_token)
        return Proof(self.turnstile_token, self.pow.challenge, self.pow.nonce)


class RegisterBody(_WithProof):
    """Who wants to be an owner."""

    email: Email
    password: Password


class VerifyBody(_Input):
    """The code from the mail."""

    email: Email
    code: Code


class FirstBody(_Input):
    """The first owner of a fresh server."""

    token: Annotated[str, Field(max_length=64, description="From the link that `dev` prints.")]
    email: Email
    password: Password


class LoginBody(_Input):
    """Who wants in."""

    email: Email
    password: Password


def _one_of(schema: JsonDict) -> None:
    """Say in `schema` what `_OneOf` checks: one is there, and the others are null or absent."""
    fields = cast("dict[str, dict[str, list[JsonDict]]]", schema["properties"])
    # Each is declared as something or null, in this order.
    types = {name: field["anyOf"][0]["type"] for name, field in fields.items()}
    schema["oneOf"] = [
        {
            "required": [name],
            "properties": {one: {"type": types[one] if one == name else "null"} for one in fields},
        }
        for name in fields
    ]


class _OneOf(_Input):
    model_config = ConfigDict(json_schema_extra=_one_of)

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(value is not None for value in self.__dict__.values()) != 1:
            raise ValueError(f"send exactly one of {', '.join(type(self).model_fields)}")
        return self


class SecondFactorBody(_OneOf):
    """One of the two."""

    code: Code | None = None
    recovery_code: RecoveryCode | None = None


class StepUpBody(_OneOf):
    """One of the three; `credential` is a passkey's answer."""

    password: Password | None = None
    code: Code | None = None
    credential: Credential | None = None


class PasskeyBody(_Input):
    """A passkey's answer."""

    credential: Credential


class NewPasskeyBody(_Input):
    """A passkey that the browser made, and what its owner calls it."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    credential: Credential


class PasswordBody(_Input):
    """The password, and the next one."""

    current_password: Password
    new_password: Password


class ResetBody(_WithProof):
    """Who has lost their password."""

    email: Email


class ConfirmResetBody(_Input):
    """The code from the mail, and the next password."""

    email: Email
    code: Code
    new_password: Password


class CodeBody(_Input):
    """A code of the authenticator."""

    code: Code


class _Said(BaseModel):
    """Always says the same, and always says it."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


class Sent(_Said):
    """A mail is on its way, or not: the answer is the same."""

    status: Literal["VERIFICATION_SENT"] = "VERIFICATION_SENT"


class ResetSent(_Said):
    """A mail is on its way, or not: the answer is the same."""

    status: Literal["CODE_SENT"] = "CODE_SENT"


class Verified(BaseModel):
    """There is an owner now."""

    user_id: Id


class LoginState(BaseModel):
    """How far the sign-in has come."""

    status: Literal["SIGNED_IN", "SECOND_FACTOR_REQUIRED"]
    methods: list[Method]


class Done(_Said):
    """It is done."""

    status: Literal["DONE"] = "DONE"


class Ended(BaseModel):
    """How many sessions ended."""

    ended: int


class KnownPasskey(BaseModel):
    """A passkey in a list."""

    id: Id
    name: str
    created_at: Timestamp
    last_used_at: Timestamp | None

    @classmethod
    def of(cls, passkey: Passkey) -> Self:
        """As its owner sees it."""
        return cls(
            id=passkey.passkey_id,
            name=passkey.name,
            created_at=passkey.created_at,
            last_used_at=passkey.last_used_at,
        )


class AddedPasskey(KnownPasskey):
    """A passkey that was just added."""

    recovery_codes: Annotated[
        list[str] | None, Field(description="Shown once, with the first second factor.")
    ]

    @classmethod
    def with_codes(cls, passkey: Passkey, recovery_codes: list[str] | None) -> Self:
        """The passkey, and the codes that came with it."""
        known = KnownPasskey.of(passkey).model_dump()
        return cls(**known, recovery_codes=recovery_codes)


class SecondFactor(BaseModel):
    """What an owner has beside the password."""

    totp: bool
    recovery_codes_left: int
    passkeys: list[KnownPasskey]


class Me(BaseModel):
    """The owner who is signed in."""

    user_id: Id
    email: str
    kyc_level: int
    operator: bool
    suspended: bool
    second_factor: SecondFactor

    @classmethod
    def of(cls, session: Session, factors: Factors) -> Self:
        """Who this session is of."""
        owner = session.owner
        return cls(
            user_id=owner.owner_id,
            email=owner.email,
            kyc_level=owner.kyc_level,
            operator=owner.operator,
            suspended=owner.suspended,
            second_factor=SecondFactor(
                totp=factors.totp,
                recovery_codes_left=factors.recovery_codes_left,
                passkeys=[KnownPasskey.of(one) for one in factors.passkeys],
            ),
        )


class OwnSession(BaseModel):
    """One of the owner's sessions."""

    session_id: Id
    current: bool
    created_at: Timestamp
    last_seen_at: Timestamp
    address: str
    user_agent: str

    @classmethod
    def of(cls, session: Session, current: Session) -> Self:
        """As its owner sees it from `current`."""
        return cls(
            session_id=session.session_id,
            current=session.session_id == current.session_id,
            created_at=session.created_at,
            last_seen_at=session.last_seen_at,
            address=session.address,
            user_agent=session.user_agent,
        )


class TotpSecret(BaseModel):
    """What the authenticator needs; shown once."""

    secret: str
    otpauth_uri: str


class RecoveryCodes(BaseModel):
    """Each works once; shown once."""

    recovery_codes: list[str]


class PasskeyOptions(BaseModel):
    """What `PublicKeyCredential.parse…OptionsFromJSON()` takes."""

    options: dict[str, Any]


class Puzzle(BaseModel):
    """A proof of work to be done before registering."""

    challenge: str
    difficulty: int
    expires_at: Timestamp

    @classmethod
    def of(cls, puzzle: CaptchaPuzzle) -> Self:
        """As the page solves it."""
        return cls(
            challenge=puzzle.challenge, difficulty=puzzle.difficulty, expires_at=puzzle.expires_at
        )


class CaptchaKind(BaseModel):
    """What a registration costs: nothing, a puzzle, or a widget of a third party."""

    kind: Kind
    site_key: str | None


class PortalConfig(BaseModel):
    """What the pages must know before anybody is signed in."""

    captcha: CaptchaKind
    first_owner: Annotated[bool, Field(description="Whether nobody can sign in yet.")]

    @classmethod
    def of(cls, captcha: Captcha, *, first_owner: bool) -> Self:
        """The configuration of this server."""
        kind = CaptchaKind(kind=captcha.kind, site_key=captcha.site_key)
        return cls(captcha=kind, first_owner=first_owner)
