"""Accounts, sessions and tickets in PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg

from lime_server.core.errors import Conflict
from lime_server.foundation.accounts import Account
from lime_server.foundation.owners import Owner
from lime_server.foundation.sessions import Session
from lime_server.foundation.tickets import Ticket
from lime_server.infrastructure.postgres.identities import OWNER_COLUMNS
from lime_server.infrastructure.postgres.pool import Database

_ACCOUNT = f"SELECT {OWNER_COLUMNS}, o.password_hash FROM foundation.owners o WHERE "  # noqa: S608 - constants
_SESSION = f"""
    SELECT s.session_id, s.created_at AS begun_at, s.last_seen_at, s.proven_at, s.address,
        s.user_agent, {OWNER_COLUMNS}
    FROM foundation.sessions s JOIN foundation.owners o ON o.owner_id = s.owner_id WHERE
"""  # noqa: S608 - constants

_ADD_TICKET = """
    INSERT INTO foundation.tickets (ticket_hash, kind, expires_at, tries_left, owner_id, email,
        code_hash, password_hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (ticket_hash)
"""
_PUT_TICKET = f"""{_ADD_TICKET}
    DO UPDATE SET kind = excluded.kind, expires_at = excluded.expires_at,
        tries_left = excluded.tries_left, owner_id = excluded.owner_id, email = excluded.email,
        code_hash = excluded.code_hash, password_hash = excluded.password_hash
"""
_PUT_NEW_TICKET = f"{_ADD_TICKET} DO NOTHING"
_TICKET_COLUMNS = """ticket_hash AS key, kind, expires_at, tries_left, owner_id, email, code_hash,
    password_hash"""
# One statement each: the row's lock decides who of many at once is the one.
_ATTEMPT = f"""
    UPDATE foundation.tickets SET tries_left = tries_left - 1
    WHERE ticket_hash = $1 AND kind = $2 AND expires_at > $3 AND tries_left > 0
    RETURNING {_TICKET_COLUMNS}
"""  # noqa: S608 - constants
_TAKE = f"""
    DELETE FROM foundation.tickets WHERE ticket_hash = $1 AND kind = $2 AND expires_at > $3
    RETURNING {_TICKET_COLUMNS}
"""  # noqa: S608 - constants
_CLAIM = """
    UPDATE foundation.owners
    SET email = $2, password_hash = $3, email_verified = true, operator = true
    WHERE owner_id = $1
        AND NOT EXISTS (SELECT FROM foundation.owners WHERE password_hash IS NOT NULL)
"""


class PostgresAccounts:
    """Keeps passwords beside owners."""

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database

    async def add(self, account: Account) -> None:
        """Keep a new account. Raises `core.errors.Conflict` if the address is taken."""
        owner = account.owner
        # DO NOTHING rather than a violation: that would end the transaction around it.
        status = await self._database.execute(
            "INSERT INTO foundation.owners (owner_id, email, kyc_level, suspended, created_at, "
            "operator, email_verified, password_hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) "
            "ON CONFLICT (email) DO NOTHING",
            owner.owner_id,
            owner.email,
            owner.kyc_level,
            owner.suspended,
            owner.created_at,
            owner.operator,
            owner.email_verified,
            account.password_hash,
        )
        if not _count(status):
            raise Conflict("There is an owner with this address.")

    async def by_email(self, email: str) -> Account | None:
        """The account with this address, in lower case."""
        return _account(await self._database.fetchrow(_ACCOUNT + "o.email = $1", email))

    async def by_id(self, owner_id: str) -> Account | None:
        """The account of this owner."""
        return _account(await self._database.fetchrow(_ACCOUNT + "o.owner_id = $1", owner_id))

    async def set_password(self, owner_id: str, password_hash: str) -> None:
        """Replace the password."""
        await self._database.execute(
            "UPDATE foundation.owners SET password_hash = $2, email_verified = true "
            "WHERE owner_id = $1",
            owner_id,
            password_hash,
        )

    async def rehash(self, owner_id: str, old: str, new: str) -> bool:
        """Replace `old` by another hash of the same password; False if it was changed meanwhile."""
        status = await self._database.execute(
            "UPDATE foundation.owners SET password_hash = $3 "
            "WHERE owner_id = $1 AND password_hash = $2",
            owner_id,
            old,
            new,
        )
        return bool(_count(status))

    async def hold_password(self, owner_id: str, password_hash: str | None) -> bool:
        """Whether the password still has this hash; it stays so until the transaction ends."""
        return bool(
            await self._database.fetchval(
                "SELECT true FROM foundation.owners "
                "WHERE owner_id = $1 AND password_hash IS NOT DISTINCT FROM $2 FOR NO KEY UPDATE",
                owner_id,
                password_hash,
            )
        )

    async def claim(self, owner_id: str, email: str, password_hash: str) -> None:
        """Give an owner address and password, and make them operator. Raises Conflict."""
        try:
            status = await self._database.execute(_CLAIM, owner_id, email, password_hash)
        except asyncpg.UniqueViolationError:
            status = "UPDATE 0"
        if not _count(status):
            raise Conflict("The address is taken, or there is a first owner already.")

    async def any_password(self) -> bool:
        """Whether anybody can sign in."""
        return bool(
            await self._database.fetchval(
                "SELECT EXISTS (SELECT FROM foundation.owners WHERE password_hash IS NOT NULL)"
            )
        )


class PostgresSessions:
    """Keeps sessions."""

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database

    async def add(self, session: Session, token_hash: bytes) -> None:
        """Keep a new session."""
        await self._database.execute(
            "INSERT INTO foundation.sessions (session_id, owner_id, token_hash, created_at, "
            "last_seen_at, proven_at, address, user_agent) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            session.session_id,
            session.owner.owner_id,
            token_hash,
            session.created_at,
            session.last_seen_at,
            session.proven_at,
            session.address,
            session.user_agent,
        )

    async def by_token(self, token_hash: bytes) -> Session | None:
        """The session whose token has this hash, with its owner as they are now."""
        row = await self._database.fetchrow(_SESSION + "s.token_hash = $1", token_hash)
        return None if row is None else _session(row)

    async def seen(self, session_id: str, now: datetime) -> None:
        """Note that it was used."""
        await self._database.execute(
            "UPDATE foundation.sessions SET last_seen_at = $2 WHERE session_id = $1",
            session_id,
            now,
        )

    async def renew(self, session: Session, token_hash: bytes, *, proven_at: datetime) -> bool:
        """Give it another token; False if it has ended, or was proven since `session` was read."""
        status = await self._database.execute(
            "UPDATE foundation.sessions SET token_hash = $2, proven_at = $3 "
            "WHERE session_id = $1 AND proven_at = $4",
            session.session_id,
            token_hash,
            proven_at,
            session.proven_at,
        )
        return bool(_count(status))

    async def of_owner(self, owner_id: str) -> Sequence[Session]:
        """All sessions of an owner, the newest first."""
        rows = await self._database.fetch(
            _SESSION + "s.owner_id = $1 ORDER BY s.session_id DESC", owner_id
        )
        return [_session(row) for row in rows]

    async def end(self, owner_id: str, session_id: str) -> bool:
        """End one session of this owner; False if they have no such session."""
        status = await self._database.execute(
            "DELETE FROM foundation.sessions WHERE owner_id = $1 AND session_id = $2",
            owner_id,
            session_id,
        )
        return bool(_count(status))

    async def end_all(self, owner_id: str, *, keep: str | None = None) -> int:
        """End the owner's sessions but `keep`; returns how many."""
        status = await self._database.execute(
            "DELETE FROM foundation.sessions "
            "WHERE owner_id = $1 AND session_id IS DISTINCT FROM $2::uuid",
            owner_id,
            keep,
        )
        return _count(status)

    async def sweep(self, *, created_before: datetime, seen_before: datetime) -> int:
        """Forget sessions that have ended by themselves; returns how many."""
        status = await self._database.execute(
            "DELETE FROM foundation.sessions WHERE created_at <= $1 OR last_seen_at <= $2",
            created_before,
            seen_before,
        )
        return _count(status)


class PostgresTickets:
    """Keeps tickets."""

    def __init__(self, database: Database) -> None:
        """Keep them in `database`."""
        self._database = database

    async def put(self, ticket: Ticket) -> None:
        """Keep a ticket in place of any with the same key."""
        await self._database.execute(_PUT_TICKET, *_fields(ticket))

    async def put_new(self, ticket: Ticket) -> bool:
        """Keep a ticket; False if there is one with this key, spent or not."""
        return bool(_count(await self._database.execute(_PUT_NEW_TICKET, *_fields(ticket))))

    async def attempt(self, key: bytes, kind: str, now: datetime) -> Ticket | None:
        """Use up one try; None if there is nothing to try."""
        return _ticket(await self._database.fetchrow(_ATTEMPT, key, kind, now))

    async def take(self, key: bytes, kind: str, now: datetime) -> Ticket | None:
        """Remove the ticket and return it, if it was still good."""
        return _ticket(await self._database.fetchrow(_TAKE, key, kind, now))

    async def sweep(self, now: datetime) -> int:
        """Forget what has expired; returns how many."""
        return _count(
            await self._database.execute(
                "DELETE FROM foundation.tickets WHERE expires_at <= $1", now
            )
        )


def _count(status: str) -> int:
    """Rows that a command changed, from its tag: `DELETE 3`, `INSERT 0 1`."""
    return int(status.rpartition(" ")[2])


def _account(row: asyncpg.Record | None) -> Account | None:
    if row is None:
        return None
    values: dict[str, Any] = dict(row)
    password_hash = values.pop("password_hash")
    return Account(Owner(**values), password_hash)


def _session(row: asyncpg.Record) -> Session:
    values: dict[str, Any] = dict(row)
    own = ("session_id", "last_seen_at", "proven_at", "address", "user_agent")
    mine = {name: values.pop(name) for name in own}
    begun_at = values.pop("begun_at")
    return Session(owner=Owner(**values), created_at=begun_at, **mine)


def _fields(ticket: Ticket) -> tuple[object, ...]:
    return (
        ticket.key,
        ticket.kind,
        ticket.expires_at,
        ticket.tries_left,
        ticket.owner_id,
        ticket.email,
        ticket.code_hash,
        ticket.password_hash,
    )


def _ticket(row: asyncpg.Record | None) -> Ticket | None:
    return None if row is None else Ticket(**row)
