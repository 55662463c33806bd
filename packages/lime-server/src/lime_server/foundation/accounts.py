"""Accounts: how somebody becomes an owner, signs in, and keeps that to themselves."""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from lime_server.core.clock import Clock
from lime_server.core.errors import (
    Conflict,
    InvalidCode,
    InvalidCredentials,
    InvalidPasskey,
    NotFound,
    NotSignedIn,
)
from lime_server.core.ids import new_id
from lime_server.core.ports import TokenHash, Transactions
from lime_server.core.tokens import Token, TokenKind
from lime_server.foundation.audit import SYSTEM, Actor, Audit, Target
from lime_server.foundation.captcha import Captcha, Proof
from lime_server.foundation.later import Later
from lime_server.foundation.letters import Letters
from lime_server.foundation.mail import Mail, Post
from lime_server.foundation.owners import Owner, email_address
from lime_server.foundation.passwords import PasswordHasher, new_password, normal
from lime_server.foundation.second_factor import Method, SecondFactors
from lime_server.foundation.sessions import Session, Sessions, SignedIn
from lime_server.foundation.slowing import Slowing
from lime_server.foundation.tickets import Ticket, TicketStore

CODE_DIGITS = 6
"""Of a code that proves an address: whoever guesses it has an account that is new and empty."""
RESET_DIGITS = 8
"""Of a code that replaces a password. The mails that `slowing.MAILS` lets out in a year allow
260,000 tries: one in four to guess six digits, one in 400 to guess eight."""
CODE_LIFE = timedelta(minutes=15)
"""How long a code from a mail is good: mail takes minutes at times."""
CODE_TRIES = 5
"""Tries per code."""
HALF_LIFE = timedelta(minutes=5)
"""How long a sign-in waits for its second factor."""
HALF_TRIES = 5
"""Tries at the second factor before the password is asked for again."""
FIRST_LIFE = timedelta(days=1)
"""How long the link to the first account of a fresh server is good."""
FIRST_TRIES = 30_000
"""Tries at that link. It cannot be guessed; one address does not use them up in that day."""


@dataclass(frozen=True, slots=True)
class Account:
    """An owner and what they sign in with. A password hash of None: they cannot, yet."""

    owner: Owner
    password_hash: str | None = field(repr=False)


class AccountStore(Protocol):
    """Where owners' passwords are kept, beside the owners."""

    async def add(self, account: Account) -> None:
        """Keep a new account. Raises `core.errors.Conflict` if the address is taken."""
        ...

    async def by_email(self, email: str) -> Account | None:
        """The account with this address, in lower case."""
        ...

    async def by_id(self, owner_id: str) -> Account | None:
        """The account of this owner."""
        ...

    async def set_password(self, owner_id: str, password_hash: str) -> None:
        """Replace the password; whoever set it has read our mail, or knew the old one."""
        ...

    async def rehash(self, owner_id: str, old: str, new: str) -> bool:
        """Replace `old` by another hash of the same password; False if it was changed meanwhile."""
        ...

    async def hold_password(self, owner_id: str, password_hash: str | None) -> bool:
        """Whether the password still has this hash; it stays so until the transaction ends."""
        ...

    async def claim(self, owner_id: str, email: str, password_hash: str) -> None:
        """Give an owner without a password this address and password, and make them operator.

        Raises Conflict if the address is taken, or if somebody has a password already.
        """
        ...

    async def any_password(self) -> bool:
        """Whether anybody can sign in."""
        ...


@dataclass(frozen=True, slots=True)
class Half:
    """A sign-in whose password was right and whose second factor is still to come."""

    token: Token
    methods: list[Method]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountTools:
    """What accounts are made of."""

    store: AccountStore
    tickets: TicketStore
    sessions: Sessions
    factors: SecondFactors
    hasher: PasswordHasher
    captcha: Captcha
    slowing: Slowing
    post: Post
    letters: Letters
    later: Later
    tokens: TokenHash
    transactions: Transactions
    audit: Audit
    clock: Clock


class Accounts:
    """Registration, sign-in and passwords."""

    def __init__(self, tools: AccountTools) -> None:
        """Use these tools."""
        self._tools = tools

    # Registration

    async def register(self, email: str, password: str, proof: Proof) -> Token:
        """Send a code to `email`; returns what the browser keeps until it is typed in.

        Nothing about the answer depends on whether the address is known: the same look-up, hash,
        rows and mail. The code works only together with the returned token, so that nobody can
        have an account verified by its victim under a password of their own.
        Raises CaptchaFailed, InvalidInput, WeakPassword, RateLimited.
        """
        tools = self._tools
        # 1. Is it well-formed, and is somebody behind it?
        address = email_address(email)
        chosen = new_password(password, email=address)
        await tools.captcha.check(proof)
        await tools.slowing.mail(address)
        # 2. The same work for everybody.
        known = await tools.store.by_email(address)
        password_hash = await tools.hasher.hash(chosen)
        token, code = Token.new(TokenKind.TICKET), _code(CODE_DIGITS)
        key = self._key("register", token.text)
        ticket = Ticket(
            key=key,
            kind="register",
            expires_at=tools.clock.now() + CODE_LIFE,
            tries_left=CODE_TRIES,
            email=address,
            code_hash=self._code_hash(key, code),
            password_hash=password_hash,
        )
        letter = tools.letters.already(address) if known else tools.letters.welcome(address, code)
        # 3. Only the mail says which it was.
        await self._write(ticket, letter)
        return token

    async def verify(self, unverified_ticket: str | None, email: str, code: str) -> Owner:
        """Make the owner who has read the code. Raises InvalidCode, InvalidInput, RateLimited."""
        tools = self._tools
        address = email_address(email)
        # Counted for this registration: for the address, anybody could keep its owner out.
        await tools.slowing.attempt("verify", unverified_ticket or "")
        key = self._key("register", unverified_ticket or "")
        ticket = await self._right_code(key, "register", code)
        if ticket.email != address:
            raise InvalidCode
        now = tools.clock.now()
        owner = Owner(
            new_id(now), address, kyc_level=0, suspended=False, created_at=now, email_verified=True
        )
        async with tools.transactions.transaction():
            if await tools.tickets.take(key, "register", now) is None:
                raise InvalidCode
            try:
                await tools.store.add(Account(owner, ticket.password_hash))
            except Conflict:
                raise InvalidCode from None
            await self._record("owner.registered", owner)
        return owner

    # The first owner of a fresh server

    async def first_owner_missing(self) -> bool:
        """Whether nobody can sign in yet."""
        return not await self._tools.store.any_password()

    async def first_token(self, owner_id: str) -> Token | None:
        """What opens `first` once, for whoever runs the server; None when somebody can sign in.

        The newest one is the only one.
        """
        tools = self._tools
        if not await self.first_owner_missing():
            return None
        token = Token.new(TokenKind.TICKET)
        ticket = Ticket(
            key=self._key("first", "owner"),
            kind="first",
            owner_id=owner_id,
            code_hash=self._key("first-token", token.text),
            tries_left=FIRST_TRIES,
            expires_at=tools.clock.now() + FIRST_LIFE,
        )
        await tools.tickets.put(ticket)
        return token

    async def first(self, unverified_token: str, email: str, password: str) -> SignedIn:
        """Give the first owner an address and a password, make them operator, and sign them in.

        Raises InvalidCode, InvalidInput, WeakPassword.
        """
        tools = self._tools
        address = email_address(email)
        chosen = new_password(password, email=address)
        # Counted for what was given, so that strangers do not slow down who has the link.
        await tools.slowing.attempt("first", unverified_token)
        key, given = self._key("first", "owner"), self._key("first-token", unverified_token)
        ticket = await tools.tickets.attempt(key, "first", tools.clock.now())
        if ticket is None or not hmac.compare_digest(ticket.code_hash or b"", given):
            raise InvalidCode
        password_hash = await tools.hasher.hash(chosen)
        async with tools.transactions.transaction():
            if await tools.tickets.take(key, "first", tools.clock.now()) is None:
                raise InvalidCode
            await tools.store.claim(ticket.owner_id or "", address, password_hash)
            owner = await self._owner(ticket.owner_id or "")
            signed_in = await tools.sessions.begin(owner)
            await self._record("owner.first.claimed", owner, actor=SYSTEM)
        return signed_in

    # Signing in

    async def sign_in(
        self, email: str, password: str, *, unverified_device: str | None = None
    ) -> SignedIn | Half:
        """A session, or half of one where a second factor is needed.

        Raises InvalidCredentials whether or not there is such an account, after the same work;
        RateLimited.
        """
        tools = self._tools
        address = email.strip().lower()
        if not address.isprintable():
            address = ""  # Nobody's; and no engine stores what could be meant.
        # 1. Not too often.
        await tools.slowing.attempt("sign-in", address, unverified_device=unverified_device)
        # 2. The same look-up and the same hash for everybody.
        account = await tools.store.by_email(address)
        stored = account.password_hash if account else None
        right = await tools.hasher.verify(stored, normal(password))
        if account is None or stored is None or not right:
            if account is not None:
                self._failed_later(account.owner, "password")
            raise InvalidCredentials
        # 3. A hash of the past becomes one of today, while the password is at hand.
        if tools.hasher.is_outdated(stored):
            new = await tools.hasher.hash(normal(password))
            if not await tools.store.rehash(account.owner.owner_id, stored, new):
                # Somebody was faster: is it still this password?
                return await self.sign_in(email, password, unverified_device=unverified_device)
            stored = new
        # 4. Is the password enough?
        methods = (await tools.factors.of(account.owner.owner_id)).methods
        if not methods:
            signed_in = await self._begin(account.owner, "password", stored)
            if signed_in is None:
                raise InvalidCredentials
            return signed_in
        token = Token.new(TokenKind.TICKET)
        half = Ticket(
            key=self._key("half", token.text),
            kind="half",
            owner_id=account.owner.owner_id,
            password_hash=stored,
            tries_left=HALF_TRIES,
            expires_at=tools.clock.now() + HALF_LIFE,
        )
        await tools.tickets.put(half)
        return Half(token, methods)

    async def complete(
        self,
        unverified_half: str | None,
        *,
        code: str | None,
        recovery_code: str | None,
        unverified_device: str | None = None,
    ) -> SignedIn:
        """The other half: a code of the authenticator, or one of the recovery list.

        Raises NotSignedIn if there is no such half, InvalidCode, RateLimited.
        """
        tools = self._tools
        key = self._key("half", unverified_half or "")
        ticket = await tools.tickets.attempt(key, "half", tools.clock.now())
        if ticket is None or ticket.owner_id is None:
            raise NotSignedIn
        owner = await self._owner(ticket.owner_id)
        try:
            await self._check_factor(
                owner, code, recovery_code, unverified_device=unverified_device
            )
        except InvalidCode:
            self._warn_later(owner)
            raise
        if await tools.tickets.take(key, "half", tools.clock.now()) is None:
            raise NotSignedIn
        method = "totp" if recovery_code is None else "recovery-code"
        signed_in = await self._begin(owner, method, ticket.password_hash)
        if signed_in is None:
            raise NotSignedIn
        return signed_in

    async def sign_in_with_passkey(self, unverified: Mapping[str, object]) -> SignedIn:
        """A session for the owner of this passkey. Raises InvalidPasskey, RateLimited."""
        await self._tools.slowing.attempt("passkey", secrets.token_hex(8))
        owner_id = await self._tools.factors.check_passkey(unverified)
        owner = await self._owner(owner_id)
        async with self._tools.transactions.transaction():
            return await self._begun(owner, "passkey")

    async def sign_out(self, session: Session) -> None:
        """End this session."""
        async with self._tools.transactions.transaction():
            await self._tools.sessions.end(session.owner.owner_id, session.session_id)
            await self._record("owner.signed-out", session.owner, session_id=session.session_id)

    async def end_session(self, session: Session, session_id: str) -> None:
        """End one of the owner's sessions. Raises NotFound."""
        async with self._tools.transactions.transaction():
            await self._tools.sessions.end(session.owner.owner_id, session_id)
            await self._record("owner.session.ended", session.owner, session_id=session_id.lower())

    async def end_others(self, session: Session) -> int:
        """End all the owner's sessions but this one; returns how many."""
        async with self._tools.transactions.transaction():
            owner = session.owner
            count = await self._tools.sessions.end_all(owner.owner_id, keep=session.session_id)
            await self._record("owner.session.ended", owner, detail={"others": count})
        return count

    async def step_up(
        self,
        session: Session,
        *,
        password: str | None,
        code: str | None,
        unverified_passkey: Mapping[str, object] | None,
        unverified_device: str | None = None,
    ) -> SignedIn:
        """Prove password or second factor again; the session gets a new secret.

        Raises InvalidCredentials, InvalidCode, InvalidPasskey, RateLimited.
        """
        owner, device = session.owner, unverified_device
        if password is not None:
            await self._check_password(owner, password, unverified_device=device)
        elif unverified_passkey is not None:
            await self._check_passkey(session, unverified_passkey, unverified_device=device)
        else:
            await self._check_factor(owner, code, None, unverified_device=device)
        async with self._tools.transactions.transaction():
            signed_in = await self._tools.sessions.renew(session)
            await self._record("owner.stepped-up", session.owner, session_id=session.session_id)
        return signed_in

    # Passwords

    async def change_password(
        self, session: Session, current: str, new: str, *, unverified_device: str | None = None
    ) -> SignedIn:
        """Another password, a new secret for this session, and the end of all others.

        Raises InvalidCredentials, WeakPassword, RateLimited.
        """
        tools, owner = self._tools, session.owner
        chosen = new_password(new, email=owner.email)
        await self._check_password(owner, current, unverified_device=unverified_device)
        password_hash = await tools.hasher.hash(chosen)
        async with tools.transactions.transaction():
            await tools.store.set_password(owner.owner_id, password_hash)
            await tools.sessions.end_all(owner.owner_id, keep=session.session_id)
            signed_in = await tools.sessions.renew(session)
            await self._told(owner)
            await self._record("owner.password.changed", owner)
        await tools.post.hurry()
        return signed_in

    async def ask_reset(
        self, email: str, proof: Proof, *, unverified_device: str | None = None
    ) -> Token:
        """Send a code to `email`, if it is an owner's; to everybody else, work of the same cost.

        Returns what the browser keeps until the code is typed in: nobody else can use up its
        tries, or make it void by asking for another one.
        Raises CaptchaFailed, InvalidInput, RateLimited.
        """
        tools = self._tools
        address = email_address(email)
        await tools.captcha.check(proof)
        await tools.slowing.mail(address, unverified_device=unverified_device)
        account = await tools.store.by_email(address)
        token, code = Token.new(TokenKind.TICKET), _code(RESET_DIGITS)
        key = self._key("reset", token.text)
        ticket = Ticket(
            key=key,
            kind="reset",
            expires_at=tools.clock.now() + CODE_LIFE,
            tries_left=CODE_TRIES,
            email=address,
            # Of a stranger not even a guessed code is right.
            code_hash=self._code_hash(key, code if account else secrets.token_hex(16)),
            # Void as soon as the password is another one.
            password_hash=account.password_hash if account else None,
        )
        await self._write(ticket, tools.letters.reset(address if account else None, code))
        return token

    async def reset(self, unverified_ticket: str | None, email: str, code: str, new: str) -> None:
        """Set another password with the code, and end all sessions.

        A second factor stays: the mailbox alone opens no account that has one.
        Raises InvalidCode, InvalidInput, WeakPassword, RateLimited.
        """
        tools = self._tools
        address = email_address(email)
        chosen = new_password(new, email=address)
        await tools.slowing.attempt("reset", unverified_ticket or "")
        key = self._key("reset", unverified_ticket or "")
        ticket = await self._right_code(key, "reset", code)
        account = await tools.store.by_email(address)
        if account is None or ticket.email != address:
            raise InvalidCode
        password_hash = await tools.hasher.hash(chosen)
        owner = account.owner
        async with tools.transactions.transaction():
            if await tools.tickets.take(key, "reset", tools.clock.now()) is None:
                raise InvalidCode
            if not await tools.store.hold_password(owner.owner_id, ticket.password_hash):
                raise InvalidCode
            await tools.store.set_password(owner.owner_id, password_hash)
            await tools.sessions.end_all(owner.owner_id)
            await self._told(owner)
            await self._record("owner.password.reset", owner)
        await tools.post.hurry()

    # Steps that several share

    async def _begin(self, owner: Owner, method: str, password_hash: str | None) -> SignedIn | None:
        """A session, unless the password that was right is another one by now.

        Whoever changes it ends all sessions, and that includes those which are about to begin.
        """
        async with self._tools.transactions.transaction():
            if not await self._tools.store.hold_password(owner.owner_id, password_hash):
                return None
            return await self._begun(owner, method)

    async def _begun(self, owner: Owner, method: str) -> SignedIn:
        signed_in = await self._tools.sessions.begin(owner)
        session_id = signed_in.session.session_id
        detail = {"method": method}
        await self._record("owner.signed-in", owner, session_id=session_id, detail=detail)
        return signed_in

    async def _check_password(
        self, owner: Owner, password: str, *, unverified_device: str | None
    ) -> None:
        # The browser is signed in; whoever holds a stolen session must not guess from it either,
        # nor keep the owner from ending that.
        await self._tools.slowing.attempt(
            "password", owner.email, unverified_device=unverified_device
        )
        account = await self._tools.store.by_id(owner.owner_id)
        stored = account.password_hash if account else None
        if not await self._tools.hasher.verify(stored, normal(password)):
            self._failed_later(owner, "password")
            raise InvalidCredentials("The password is wrong.")

    async def _check_factor(
        self,
        owner: Owner,
        code: str | None,
        recovery_code: str | None,
        *,
        unverified_device: str | None = None,
    ) -> None:
        # Whoever has the password must neither guess the few digits of a code, nor keep the owner
        # out by trying. A recovery code has 80 bits, which nobody guesses: it is counted apart, so
        # that it still lets the owner in where codes have become scarce.
        slowing, email = self._tools.slowing, owner.email
        if recovery_code is not None:
            await slowing.attempt("recovery", email, unverified_device=unverified_device)
        else:
            await slowing.factor(email, unverified_device=unverified_device)
        try:
            if recovery_code is not None:
                await self._tools.factors.check_recovery_code(owner, recovery_code)
            else:
                await self._tools.factors.check_code(owner.owner_id, code or "")
        except InvalidCode:
            self._failed_later(owner, "second-factor")
            raise

    async def _check_passkey(
        self,
        session: Session,
        unverified: Mapping[str, object],
        *,
        unverified_device: str | None,
    ) -> None:
        # Counted apart from codes: nobody guesses a signature, and whoever guesses codes must not
        # keep the owner's passkey out.
        await self._tools.slowing.attempt(
            "passkey", session.owner.email, unverified_device=unverified_device
        )
        try:
            await self._tools.factors.check_own_passkey(
                session.owner, session.session_id, unverified
            )
        except InvalidPasskey:
            self._failed_later(session.owner, "second-factor")
            raise

    async def _right_code(self, key: bytes, kind: str, code: str) -> Ticket:
        ticket = await self._tools.tickets.attempt(key, kind, self._tools.clock.now())
        given = self._code_hash(key, "".join(code.split()))
        if ticket is None or not hmac.compare_digest(ticket.code_hash or b"", given):
            raise InvalidCode
        return ticket

    async def _owner(self, owner_id: str) -> Owner:
        account = await self._tools.store.by_id(owner_id)
        if account is None:
            raise NotFound
        return account.owner

    async def _write(self, ticket: Ticket, letter: Mail) -> None:
        async with self._tools.transactions.transaction():
            await self._tools.tickets.put(ticket)
            await self._tools.post.write(letter, life=CODE_LIFE)
        await self._tools.post.hurry()

    async def _told(self, owner: Owner) -> None:
        letter = self._tools.letters.changed(owner.email)
        await self._tools.post.write(letter, life=timedelta(days=1))

    def _failed_later(self, owner: Owner, what: str) -> None:
        # Not now: an answer that takes longer would say that there is such an account.
        async def record() -> None:
            await self._record("owner.sign-in.failed", owner, detail={"wrong": what}, actor=SYSTEM)

        self._tools.later.soon(record)

    def _warn_later(self, owner: Owner) -> None:
        # They got the password right: the owner alone can change it, and has to hear of it.
        async def warn() -> None:
            if await self._tools.slowing.is_alarming(owner.email):
                letter = self._tools.letters.guessed(owner.email)
                await self._tools.post.write(letter, life=timedelta(days=1))
                await self._tools.post.hurry()

        self._tools.later.soon(warn)

    async def _record(
        self,
        action: str,
        owner: Owner,
        *,
        session_id: str | None = None,
        detail: Mapping[str, object] | None = None,
        actor: Actor | None = None,
    ) -> None:
        await self._tools.audit.record(
            action,
            owner_id=owner.owner_id,
            actor=actor or Actor("owner", owner.owner_id),
            target=Target("session", session_id) if session_id else None,
            detail=detail or {},
        )

    def _key(self, kind: str, text: str) -> bytes:
        return self._tools.tokens.hash(f"{kind}\n{text}")

    def _code_hash(self, key: bytes, code: str) -> bytes:
        return self._tools.tokens.hash(f"code\n{key.hex()}\n{code}")


def _code(digits: int) -> str:
    """As many digits, all equally likely."""
    return f"{secrets.randbelow(10**digits):0{digits}d}"
