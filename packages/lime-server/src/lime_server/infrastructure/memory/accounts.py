"""Accounts, sessions, tickets, second factors and mails in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from lime_server.core.errors import Conflict
from lime_server.foundation.accounts import Account
from lime_server.foundation.mail import Mail, Queued
from lime_server.foundation.second_factor import Passkey, Totp
from lime_server.foundation.sessions import Session
from lime_server.foundation.tickets import Ticket
from lime_server.infrastructure.memory.identities import MemoryIdentities, MemoryOwners


class MemoryAccounts:
    """Keeps passwords beside the owners of `identities`."""

    def __init__(self, identities: MemoryIdentities) -> None:
        """Nobody has a password."""
        self._identities = identities
        self._owners = MemoryOwners(identities)
        self.hashes: dict[str, str] = {}

    async def add(self, account: Account) -> None:
        """Keep a new account. Raises `core.errors.Conflict` if the address is taken."""
        await self._owners.add(account.owner)
        if account.password_hash is not None:
            self.hashes[account.owner.owner_id] = account.password_hash

    async def by_email(self, email: str) -> Account | None:
        """The account with this address, in lower case."""
        owner = await self._owners.by_email(email)
        return None if owner is None else Account(owner, self.hashes.get(owner.owner_id))

    async def by_id(self, owner_id: str) -> Account | None:
        """The account of this owner."""
        owner = await self._owners.by_id(owner_id)
        return None if owner is None else Account(owner, self.hashes.get(owner_id))

    async def set_password(self, owner_id: str, password_hash: str) -> None:
        """Replace the password."""
        self.hashes[owner_id] = password_hash
        owner = self._identities.owners[owner_id]
        self._identities.owners[owner_id] = replace(owner, email_verified=True)

    async def rehash(self, owner_id: str, old: str, new: str) -> bool:
        """Replace `old` by another hash of the same password; False if it was changed meanwhile."""
        if self.hashes.get(owner_id) != old:
            return False
        self.hashes[owner_id] = new
        return True

    async def hold_password(self, owner_id: str, password_hash: str | None) -> bool:
        """Whether the password still has this hash; transactions are one at a time here."""
        return self.hashes.get(owner_id) == password_hash

    async def claim(self, owner_id: str, email: str, password_hash: str) -> None:
        """Give an owner address and password, and make them operator. Raises Conflict."""
        taken = await self._owners.by_email(email)
        if self.hashes or (taken is not None and taken.owner_id != owner_id):
            raise Conflict("The address is taken, or there is a first owner already.")
        owner = self._identities.owners[owner_id]
        self._identities.owners[owner_id] = replace(
            owner, email=email, email_verified=True, operator=True
        )
        self.hashes[owner_id] = password_hash

    async def any_password(self) -> bool:
        """Whether anybody can sign in."""
        return bool(self.hashes)


class MemorySessions:
    """Keeps sessions."""

    def __init__(self, identities: MemoryIdentities) -> None:
        """Their owners are those of `identities`."""
        self._identities = identities
        self.sessions: dict[str, Session] = {}
        self.tokens: dict[bytes, str] = {}

    async def add(self, session: Session, token_hash: bytes) -> None:
        """Keep a new session."""
        self.sessions[session.session_id] = session
        self.tokens[token_hash] = session.session_id

    async def by_token(self, token_hash: bytes) -> Session | None:
        """The session whose token has this hash, with its owner as they are now."""
        session = self.sessions.get(self.tokens.get(token_hash, ""))
        return None if session is None else self._now(session)

    async def seen(self, session_id: str, now: datetime) -> None:
        """Note that it was used."""
        if session_id in self.sessions:
            self.sessions[session_id] = replace(self.sessions[session_id], last_seen_at=now)

    async def renew(self, session: Session, token_hash: bytes, *, proven_at: datetime) -> bool:
        """Give it another token; False if it has ended, or was proven since `session` was read."""
        session_id = session.session_id
        kept = self.sessions.get(session_id)
        if kept is None or kept.proven_at != session.proven_at:
            return False
        for old in [key for key, value in self.tokens.items() if value == session_id]:
            del self.tokens[old]
        self.tokens[token_hash] = session_id
        self.sessions[session_id] = replace(kept, proven_at=proven_at)
        return True

    async def of_owner(self, owner_id: str) -> Sequence[Session]:
        """All sessions of an owner, the newest first."""
        theirs = [one for one in self.sessions.values() if one.owner.owner_id == owner_id]
        return sorted(map(self._now, theirs), key=lambda one: one.session_id, reverse=True)

    async def end(self, owner_id: str, session_id: str) -> bool:
        """End one session of this owner; False if they have no such session."""
        session = self.sessions.get(session_id)
        if session is None or session.owner.owner_id != owner_id:
            return False
        del self.sessions[session_id]
        return True

    async def end_all(self, owner_id: str, *, keep: str | None = None) -> int:
        """End the owner's sessions but `keep`; returns how many."""
        doomed = [one.session_id for one in await self.of_owner(owner_id)]
        doomed = [session_id for session_id in doomed if session_id != keep]
        for session_id in doomed:
            del self.sessions[session_id]
        return len(doomed)

    async def sweep(self, *, created_before: datetime, seen_before: datetime) -> int:
        """Forget sessions that have ended by themselves; returns how many."""
        dead = [
            one.session_id
            for one in self.sessions.values()
            if one.created_at <= created_before or one.last_seen_at <= seen_before
        ]
        for session_id in dead:
            del self.sessions[session_id]
        return len(dead)

    def _now(self, session: Session) -> Session:
        return replace(session, owner=self._identities.owners[session.owner.owner_id])


class MemoryTickets:
    """Keeps tickets."""

    def __init__(self) -> None:
        """None yet."""
        self.tickets: dict[bytes, Ticket] = {}

    async def put(self, ticket: Ticket) -> None:
        """Keep a ticket in place of any with the same key."""
        self.tickets[ticket.key] = ticket

    async def put_new(self, ticket: Ticket) -> bool:
        """Keep a ticket; False if there is one with this key, spent or not."""
        return self.tickets.setdefault(ticket.key, ticket) is ticket

    async def attempt(self, key: bytes, kind: str, now: datetime) -> Ticket | None:
        """Use up one try; None if there is nothing to try."""
        ticket = self._good(key, kind, now)
        if ticket is None or ticket.tries_left < 1:
            return None
        self.tickets[key] = replace(ticket, tries_left=ticket.tries_left - 1)
        return self.tickets[key]

    async def take(self, key: bytes, kind: str, now: datetime) -> Ticket | None:
        """Remove the ticket and return it, if it was still good."""
        ticket = self._good(key, kind, now)
        return None if ticket is None else self.tickets.pop(key)

    async def sweep(self, now: datetime) -> int:
        """Forget what has expired; returns how many."""
        dead = [key for key, ticket in self.tickets.items() if ticket.expires_at <= now]
        for key in dead:
            del self.tickets[key]
        return len(dead)

    def _good(self, key: bytes, kind: str, now: datetime) -> Ticket | None:
        ticket = self.tickets.get(key)
        if ticket is None or ticket.kind != kind or ticket.expires_at <= now:
            return None
        return ticket


class MemoryFactors:
    """Keeps second factors."""

    def __init__(self) -> None:
        """None yet."""
        self.totps: dict[str, Totp] = {}
        self.codes: dict[str, frozenset[bytes]] = {}
        self.keys: dict[str, Passkey] = {}

    async def totp(self, owner_id: str) -> Totp | None:
        """The owner's authenticator, confirmed or not."""
        return self.totps.get(owner_id)

    async def put_totp(self, owner_id: str, secret: str) -> bool:
        """Keep an unconfirmed secret in place of another one; False if one is confirmed."""
        old = self.totps.get(owner_id)
        if old is not None and old.confirmed:
            return False
        self.totps[owner_id] = Totp(secret, confirmed=False, last_step=0, kept=secret.encode())
        return True

    async def use_step(
        self, owner_id: str, totp: Totp, step: int, *, confirm: bool = False
    ) -> bool:
        """Note that the code of `step` was used; False if it, or a later one, was used before.

        Also False if the secret is no longer the one of `totp`.
        """
        now = self.totps.get(owner_id)
        if now is None or now.kept != totp.kept:
            return False
        if step <= now.last_step or now.confirmed is confirm:
            return False
        self.totps[owner_id] = replace(now, confirmed=True, last_step=step)
        return True

    async def remove_totp(self, owner_id: str) -> bool:
        """Forget the owner's authenticator; False if there was none that counted."""
        totp = self.totps.pop(owner_id, None)
        return totp is not None and totp.confirmed

    async def replace_codes(self, owner_id: str, hashes: Sequence[bytes]) -> None:
        """Keep these recovery codes and no others."""
        self.codes[owner_id] = frozenset(hashes)

    async def use_code(self, owner_id: str, code_hash: bytes) -> bool:
        """Remove a recovery code; False if it is none."""
        left = self.codes.get(owner_id, frozenset())
        self.codes[owner_id] = left - {code_hash}
        return code_hash in left

    async def codes_left(self, owner_id: str) -> int:
        """How many recovery codes there are."""
        return len(self.codes.get(owner_id, ()))

    async def add_passkey(self, passkey: Passkey) -> None:
        """Keep a passkey. Raises `core.errors.Conflict` if it is known."""
        if await self.passkey(passkey.credential_id):
            raise Conflict("This passkey is known already.")
        self.keys[passkey.passkey_id] = passkey

    async def passkeys(self, owner_id: str) -> Sequence[Passkey]:
        """The owner's passkeys, the oldest first."""
        return [one for one in self.keys.values() if one.owner_id == owner_id]

    async def passkey(self, credential_id: bytes) -> Passkey | None:
        """The passkey with this credential id, whoever owns it."""
        keys = self.keys.values()
        return next((one for one in keys if one.credential_id == credential_id), None)

    async def use_passkey(self, passkey: Passkey, sign_count: int, now: datetime) -> bool:
        """Note a use; False if it was used meanwhile or is gone."""
        current = self.keys.get(passkey.passkey_id)
        if current is None or current.sign_count != passkey.sign_count:
            return False
        self.keys[passkey.passkey_id] = replace(current, sign_count=sign_count, last_used_at=now)
        return True

    async def remove_passkey(self, owner_id: str, passkey_id: str) -> bool:
        """Forget a passkey; False if this owner has no such one."""
        passkey = self.keys.get(passkey_id)
        if passkey is None or passkey.owner_id != owner_id:
            return False
        del self.keys[passkey_id]
        return True


class MemoryOutbox:
    """Keeps mails until they are sent."""

    def __init__(self) -> None:
        """Empty."""
        self.mails: dict[str, tuple[Queued, datetime, datetime]] = {}

    async def add(self, mail_id: str, mail: Mail, *, due_at: datetime, until: datetime) -> None:
        """Keep a mail, to be sent from `due_at` on and not after `until`."""
        self.mails[mail_id] = (Queued(mail_id, mail, 0), due_at, until)

    async def due(self, now: datetime, *, again_at: datetime, limit: int) -> Sequence[Queued]:
        """Mails that are due. Each is nobody else's before `again_at`."""
        found = [
            (one, until)
            for one, due_at, until in sorted(self.mails.values(), key=lambda row: row[1])
            if due_at <= now < until
        ][:limit]
        for one, until in found:
            tried = replace(one, attempts=one.attempts + 1)
            self.mails[one.mail_id] = (tried, again_at, until)
        return [one for one, _ in found]

    async def postpone(self, mail_id: str, due_at: datetime) -> None:
        """Try it again at `due_at`."""
        queued, _, until = self.mails[mail_id]
        self.mails[mail_id] = (queued, due_at, until)

    async def done(self, mail_id: str) -> None:
        """Forget a mail that was sent."""
        self.mails.pop(mail_id, None)

    async def sweep(self, now: datetime) -> int:
        """Forget what is too late to send; returns how many."""
        dead = [mail_id for mail_id, (_, _, until) in self.mails.items() if until <= now]
        for mail_id in dead:
            del self.mails[mail_id]
        return len(dead)
