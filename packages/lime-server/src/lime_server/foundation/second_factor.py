"""The second factor: time-based codes, codes for when the phone is gone, and passkeys."""

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Protocol

from lime_server.core.clock import Clock
from lime_server.core.errors import Conflict, InvalidCode, InvalidPasskey, NotFound
from lime_server.core.ids import new_id, parse_id
from lime_server.core.names import display_name
from lime_server.core.ports import TokenHash, Transactions
from lime_server.foundation.audit import Actor, Audit, Target
from lime_server.foundation.challenges import Challenges
from lime_server.foundation.owners import Owner
from lime_server.foundation.tickets import Ticket, TicketStore

Method = Literal["totp", "passkey", "recovery_code"]
"""How a sign-in that has begun with a password is completed."""

RECOVERY_CODES = 10
"""Codes in one list."""
MOST_PASSKEYS = 20
"""Passkeys of one owner: more than anyone has devices."""
CEREMONY = timedelta(minutes=5)
"""How long a browser may take over a passkey: the time-out that browsers use, and no less."""

_RECOVERY = re.compile(r"[a-z2-7]{16}")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


@dataclass(frozen=True, slots=True)
class Totp:
    """A secret shared with an authenticator. It counts once a code of it was shown."""

    secret: str = field(repr=False)
    """Base32, 160 bits (RFC 4226 section 4)."""
    confirmed: bool
    last_step: int
    """The last time step whose code was used."""
    kept: bytes = field(repr=False)
    """The secret as its store keeps it, so that the store knows whether it is still the same."""


@dataclass(frozen=True, slots=True)
class NewPasskey:
    """What a browser made."""

    credential_id: bytes
    public_key: bytes = field(repr=False)
    sign_count: int


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey of an owner."""

    passkey_id: str
    owner_id: str
    credential_id: bytes
    public_key: bytes = field(repr=False)
    sign_count: int
    name: str
    created_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Factors:
    """What an owner has beside a password."""

    totp: bool
    recovery_codes_left: int
    passkeys: Sequence[Passkey]

    @property
    def methods(self) -> list[Method]:
        """How a sign-in can be completed; empty if the password is enough."""
        ways: list[Method] = ["totp"] if self.totp else []
        if self.passkeys:
            ways.append("passkey")
        if ways and self.recovery_codes_left:
            ways.append("recovery_code")
        return ways


class FactorStore(Protocol):
    """Where second factors are kept."""

    async def totp(self, owner_id: str) -> Totp | None:
        """The owner's authenticator, confirmed or not."""
        ...

    async def put_totp(self, owner_id: str, secret: str) -> bool:
        """Keep an unconfirmed secret in place of another one; False if one is confirmed."""
        ...

    async def use_step(
        self, owner_id: str, totp: Totp, step: int, *, confirm: bool = False
    ) -> bool:
        """Note that the code of `step` was used; False if it, or a later one, was used before.

        Also False if the secret is no longer the one of `totp`, whose code it was.
        With `confirm` the secret counts from now on; without, only a confirmed one is looked at.
        """
        ...

    async def remove_totp(self, owner_id: str) -> bool:
        """Forget the owner's authenticator; False if there was none that counted."""
        ...

    async def replace_codes(self, owner_id: str, hashes: Sequence[bytes]) -> None:
        """Keep these recovery codes and no others."""
        ...

    async def use_code(self, owner_id: str, code_hash: bytes) -> bool:
        """Remove a recovery code; False if it is none. Of many at once, one succeeds."""
        ...

    async def codes_left(self, owner_id: str) -> int:
        """How many recovery codes there are."""
        ...

    async def add_passkey(self, passkey: Passkey) -> None:
        """Keep a passkey. Raises `core.errors.Conflict` if it is known."""
        ...

    async def passkeys(self, owner_id: str) -> Sequence[Passkey]:
        """The owner's passkeys, the oldest first."""
        ...

    async def passkey(self, credential_id: bytes) -> Passkey | None:
        """The passkey with this credential id, whoever owns it."""
        ...

    async def use_passkey(self, passkey: Passkey, sign_count: int, now: datetime) -> bool:
        """Note a use; False if it was used meanwhile or is gone."""
        ...

    async def remove_passkey(self, owner_id: str, passkey_id: str) -> bool:
        """Forget a passkey; False if this owner has no such one."""
        ...


class TotpCodes(Protocol):
    """Time-based one-time passwords (RFC 6238)."""

    def new_secret(self) -> str:
        """A fresh secret in base32."""
        ...

    def uri(self, secret: str, account: str) -> str:
        """The `otpauth:` address that authenticators read from a QR code."""
        ...

    def step_of(self, secret: str, code: str, now: datetime) -> int | None:
        """The time step whose code this is, if that is at most one step from now."""
        ...


class PasskeyCeremonies(Protocol):
    """WebAuthn, as far as it is cryptography (Web Authentication Level 3, section 7)."""

    def creation_options(
        self, owner: Owner, challenge: bytes, known: Sequence[bytes]
    ) -> Mapping[str, object]:
        """What `navigator.credentials.create` takes. `known` credentials are not made again."""
        ...

    def created(self, unverified: Mapping[str, object], challenge: bytes) -> NewPasskey:
        """The passkey that answers `challenge`. Raises InvalidPasskey."""
        ...

    def request_options(
        self, challenge: bytes, allowed: Sequence[bytes] = ()
    ) -> Mapping[str, object]:
        """What `navigator.credentials.get` takes: one of `allowed`, or any of this server."""
        ...

    def claimed(self, unverified: Mapping[str, object]) -> "Claim":
        """Whose the answer says it is, unverified. Raises InvalidPasskey."""
        ...

    def used(self, unverified: Mapping[str, object], challenge: bytes, passkey: Passkey) -> int:
        """The new sign count of `passkey`, which answers `challenge`. Raises InvalidPasskey."""
        ...


@dataclass(frozen=True, slots=True)
class Claim:
    """What an answer says about itself; nothing of it is verified."""

    challenge: bytes
    credential_id: bytes
    user_handle: bytes | None


class SecondFactors:
    """Adds, checks and removes them."""

    def __init__(
        self,
        *,
        store: FactorStore,
        tickets: TicketStore,
        codes: TotpCodes,
        ceremonies: PasskeyCeremonies,
        tokens: TokenHash,
        transactions: Transactions,
        audit: Audit,
        clock: Clock,
    ) -> None:
        """Keep them in `store`."""
        self._store = store
        self._tickets = tickets
        self._codes = codes
        self._ceremonies = ceremonies
        self._tokens = tokens
        self._transactions = transactions
        self._audit = audit
        self._clock = clock
        self._challenges = Challenges(
            "passkey-challenge", tokens=tokens, clock=clock, life=CEREMONY
        )

    async def of(self, owner_id: str) -> Factors:
        """What this owner has."""
        totp = await self._store.totp(owner_id)
        return Factors(
            totp=totp is not None and totp.confirmed,
            recovery_codes_left=await self._store.codes_left(owner_id),
            passkeys=await self._store.passkeys(owner_id),
        )

    # Authenticators

    async def start_totp(self, owner: Owner) -> tuple[str, str]:
        """A new secret and its `otpauth:` address. Raises Conflict while another one counts."""
        secret = self._codes.new_secret()
        if not await self._store.put_totp(owner.owner_id, secret):
            raise Conflict("There is an authenticator already; remove it first.")
        return secret, self._codes.uri(secret, owner.email)

    async def confirm_totp(self, owner: Owner, code: str) -> list[str]:
        """Let the authenticator count, now that it has shown a code; returns recovery codes.

        Raises InvalidCode.
        """
        totp = await self._store.totp(owner.owner_id)
        if totp is None or totp.confirmed:
            raise InvalidCode
        step = self._codes.step_of(totp.secret, code, self._clock.now())
        if step is None:
            raise InvalidCode
        async with self._transactions.transaction():
            # Another tab may have begun anew meanwhile: its secret has shown no code yet.
            if not await self._store.use_step(owner.owner_id, totp, step, confirm=True):
                raise InvalidCode
            recovery = await self._new_recovery_codes(owner.owner_id)
            await self._record("owner.factor.added", owner, "totp")
        return recovery

    async def remove_totp(self, owner: Owner) -> None:
        """Forget the authenticator. Raises NotFound if there is none."""
        async with self._transactions.transaction():
            if not await self._store.remove_totp(owner.owner_id):
                raise NotFound
            await self._tidy(owner.owner_id)
            await self._record("owner.factor.removed", owner, "totp")

    async def check_code(self, owner_id: str, code: str) -> None:
        """Return if this is the authenticator's code, for the first time. Raises InvalidCode."""
        totp = await self._store.totp(owner_id)
        if totp is None or not totp.confirmed:
            raise InvalidCode
        step = self._codes.step_of(totp.secret, code, self._clock.now())
        if step is None or not await self._store.use_step(owner_id, totp, step):
            raise InvalidCode

    # Recovery codes

    async def new_recovery_codes(self, owner: Owner) -> list[str]:
        """A new list; the old one is void. Raises Conflict if there is no second factor."""
        if not (await self.of(owner.owner_id)).methods:
            raise Conflict("Recovery codes stand in for a second factor; add one first.")
        async with self._transactions.transaction():
            recovery = await self._new_recovery_codes(owner.owner_id)
            await self._record("owner.factor.added", owner, "recovery-codes")
        return recovery

    async def check_recovery_code(self, owner: Owner, code: str) -> None:
        """Return if this is one of the list, which it then no longer is. Raises InvalidCode."""
        plain = re.sub(r"[\s-]", "", code).lower()
        async with self._transactions.transaction():
            hashed = self._recovery_hash(owner.owner_id, plain)
            if not _RECOVERY.fullmatch(plain) or not await self._store.use_code(
                owner.owner_id, hashed
            ):
                raise InvalidCode
            await self._record("owner.recovery-code.used", owner, "recovery-codes")

    async def _new_recovery_codes(self, owner_id: str) -> list[str]:
        plain = [
            "".join(secrets.choice(_ALPHABET) for _ in range(16)) for _ in range(RECOVERY_CODES)
        ]
        hashes = [self._recovery_hash(owner_id, one) for one in plain]
        await self._store.replace_codes(owner_id, hashes)
        return ["-".join(one[i : i + 4] for i in range(0, 16, 4)) for one in plain]

    def _recovery_hash(self, owner_id: str, plain: str) -> bytes:
        return self._tokens.hash(f"recovery\n{owner_id}\n{plain}")

    async def _tidy(self, owner_id: str) -> None:
        """Without a second factor there is nothing that recovery codes could stand in for."""
        if not (await self.of(owner_id)).methods:
            await self._store.replace_codes(owner_id, [])

    # Passkeys

    async def passkey_options(self, owner: Owner) -> Mapping[str, object]:
        """What the browser needs to make a passkey for this owner."""
        known = [one.credential_id for one in await self._store.passkeys(owner.owner_id)]
        challenge = await self._challenge("passkey-new", owner)
        return self._ceremonies.creation_options(owner, challenge, known)

    async def add_passkey(
        self, owner: Owner, name: str, unverified: Mapping[str, object]
    ) -> tuple[Passkey, list[str] | None]:
        """Keep what the browser made; the first factor comes with recovery codes.

        Raises InvalidPasskey, InvalidInput for a name that is none, Conflict for one too many.
        """
        # 1. Is it an answer to what we asked this owner?
        name, now = display_name(name), self._clock.now()
        challenge = self._ceremonies.claimed(unverified).challenge
        ticket = await self._tickets.take(self._key("passkey-new", challenge), "passkey-new", now)
        if ticket is None or ticket.owner_id != owner.owner_id:
            raise InvalidPasskey
        # 2. Is it well made?
        made = self._ceremonies.created(unverified, challenge)
        # 3. Keep it.
        passkey = Passkey(
            passkey_id=new_id(now),
            owner_id=owner.owner_id,
            credential_id=made.credential_id,
            public_key=made.public_key,
            sign_count=made.sign_count,
            name=name,
            created_at=now,
            last_used_at=None,
        )
        async with self._transactions.transaction():
            if len(await self._store.passkeys(owner.owner_id)) >= MOST_PASSKEYS:
                raise Conflict(f"At most {MOST_PASSKEYS} passkeys.")
            await self._store.add_passkey(passkey)
            recovery = None
            if not await self._store.codes_left(owner.owner_id):
                recovery = await self._new_recovery_codes(owner.owner_id)
            await self._record("owner.factor.added", owner, "passkey", passkey.passkey_id)
        return passkey, recovery

    async def remove_passkey(self, owner: Owner, passkey_id: str) -> None:
        """Forget a passkey. Raises NotFound if this owner has no such one."""
        parsed = parse_id(passkey_id)
        async with self._transactions.transaction():
            if parsed is None or not await self._store.remove_passkey(owner.owner_id, parsed):
                raise NotFound
            await self._tidy(owner.owner_id)
            await self._record("owner.factor.removed", owner, "passkey", parsed)

    def sign_in_options(self) -> Mapping[str, object]:
        """What the browser needs to sign in with a passkey, whoever it is. Nothing is kept."""
        challenge, _ = self._challenges.new()
        return self._ceremonies.request_options(challenge)

    async def check_passkey(self, unverified: Mapping[str, object]) -> str:
        """The id of the owner whose passkey answered. Raises InvalidPasskey.

        A passkey is two factors in one: the device, and its owner's finger or PIN.
        """
        # 1. Is it an answer to a challenge of ours, in time?
        claim = self._ceremonies.claimed(unverified)
        expires_at = self._challenges.expiry(claim.challenge)
        if expires_at is None:
            raise InvalidPasskey
        # 2. Whose passkey would it be?
        passkey = await self._store.passkey(claim.credential_id)
        if passkey is None:
            raise InvalidPasskey
        # 3. Is it?
        sign_count = self._answered(unverified, claim, passkey)
        # 4. For the first time? Remembered for as long as it would be accepted, and of right
        # answers alone: nobody else leaves anything behind.
        key = self._key("passkey-use", claim.challenge)
        spent = Ticket(key=key, kind="passkey-use", expires_at=expires_at)
        if not await self._tickets.put_new(spent):
            raise InvalidPasskey
        await self._note_use(passkey, sign_count)
        return passkey.owner_id

    async def step_up_options(self, owner: Owner, session_id: str) -> Mapping[str, object]:
        """What the browser needs to prove, in this session, that `owner` is there.

        Raises Conflict if the owner has no passkey.
        """
        allowed = [one.credential_id for one in await self._store.passkeys(owner.owner_id)]
        if not allowed:
            raise Conflict("There is no passkey that could prove it.")
        challenge = await self._challenge("passkey-step-up", owner, session_id)
        return self._ceremonies.request_options(challenge, allowed)

    async def check_own_passkey(
        self, owner: Owner, session_id: str, unverified: Mapping[str, object]
    ) -> None:
        """Return if a passkey of `owner` answered what this session was asked.

        Raises InvalidPasskey.
        """
        # 1. Is it an answer to a challenge of this session, for the first time?
        claim = self._ceremonies.claimed(unverified)
        key = self._key("passkey-step-up", claim.challenge, session_id)
        if await self._tickets.take(key, "passkey-step-up", self._clock.now()) is None:
            raise InvalidPasskey
        # 2. Would it be a passkey of this owner?
        passkey = await self._store.passkey(claim.credential_id)
        if passkey is None or passkey.owner_id != owner.owner_id:
            raise InvalidPasskey
        # 3. Is it?
        await self._note_use(passkey, self._answered(unverified, claim, passkey))

    def _answered(self, unverified: Mapping[str, object], claim: Claim, passkey: Passkey) -> int:
        """The new count of signatures, if it was `passkey` that answered."""
        if claim.user_handle not in {None, passkey.owner_id.encode()}:
            raise InvalidPasskey
        return self._ceremonies.used(unverified, claim.challenge, passkey)

    async def _note_use(self, passkey: Passkey, sign_count: int) -> None:
        # If its counter was used meanwhile, there may be two of it.
        if not await self._store.use_passkey(passkey, sign_count, self._clock.now()):
            raise InvalidPasskey

    async def _challenge(self, kind: str, owner: Owner, bound_to: str = "") -> bytes:
        """A challenge for `owner` that is good once, where the same `bound_to` is given again."""
        challenge = secrets.token_bytes(32)
        ticket = Ticket(
            key=self._key(kind, challenge, bound_to),
            kind=kind,
            owner_id=owner.owner_id,
            expires_at=self._clock.now() + CEREMONY,
        )
        await self._tickets.put(ticket)
        return challenge

    def _key(self, kind: str, challenge: bytes, bound_to: str = "") -> bytes:
        return self._tokens.hash(f"{kind}\n{challenge.hex()}\n{bound_to}")

    async def _record(
        self, action: str, owner: Owner, kind: str, target_id: str | None = None
    ) -> None:
        await self._audit.record(
            action,
            owner_id=owner.owner_id,
            actor=Actor("owner", owner.owner_id),
            target=Target("passkey", target_id) if target_id else None,
            detail={"factor": kind},
        )
