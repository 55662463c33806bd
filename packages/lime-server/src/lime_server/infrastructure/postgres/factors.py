"""Second factors and mails in PostgreSQL; what could be used to sign in is sealed."""

import json
from collections.abc import Sequence
from datetime import datetime
from logging import getLogger

import asyncpg

from lime_server.core.errors import Conflict
from lime_server.foundation.mail import Mail, Queued
from lime_server.foundation.second_factor import Passkey, Totp
from lime_server.infrastructure.postgres.keys import Sealer
from lime_server.infrastructure.postgres.pool import Database

log = getLogger(__name__)

_PASSKEY_COLUMNS = """passkey_id, owner_id, credential_id, public_key, sign_count, name, created_at,
    last_used_at"""
_PASSKEYS = f"SELECT {_PASSKEY_COLUMNS} FROM foundation.passkeys WHERE "  # noqa: S608 - constants
_PUT_TOTP = """
    INSERT INTO foundation.totp AS known (owner_id, sealed, confirmed, last_step)
    VALUES ($1, $2, false, 0)
    ON CONFLICT (owner_id) DO UPDATE SET sealed = excluded.sealed, last_step = 0
        WHERE NOT known.confirmed
"""
_USE_STEP = """
    UPDATE foundation.totp SET last_step = $2, confirmed = true
    WHERE owner_id = $1 AND last_step < $2 AND confirmed <> $3 AND sealed = $4
"""
_DUE = """
    UPDATE foundation.mail_outbox SET due_at = $2, attempts = attempts + 1 WHERE mail_id IN (
        SELECT mail_id FROM foundation.mail_outbox WHERE due_at <= $1 AND expires_at > $1
        ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED
    )
    RETURNING mail_id, recipient, sealed, attempts - 1 AS attempts
"""


class PostgresFactors:
    """Keeps second factors."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        """`sealer` belongs to the master key."""
        self._database = database
        self._sealer = sealer

    async def totp(self, owner_id: str) -> Totp | None:
        """The owner's authenticator, confirmed or not."""
        row = await self._database.fetchrow(
            "SELECT sealed, confirmed, last_step FROM foundation.totp WHERE owner_id = $1", owner_id
        )
        if row is None:
            return None
        secret = self._sealer.open(row["sealed"], context=owner_id.encode()).decode()
        return Totp(secret, row["confirmed"], row["last_step"], kept=row["sealed"])

    async def put_totp(self, owner_id: str, secret: str) -> bool:
        """Keep an unconfirmed secret in place of another one; False if one is confirmed."""
        sealed = self._sealer.seal(secret.encode(), context=owner_id.encode())
        return await self._did(_PUT_TOTP, owner_id, sealed)

    async def use_step(
        self, owner_id: str, totp: Totp, step: int, *, confirm: bool = False
    ) -> bool:
        """Note that the code of `step` was used; False if it, or a later one, was used before.

        Also False if the secret is no longer the one of `totp`.
        """
        return await self._did(_USE_STEP, owner_id, step, confirm, totp.kept)

    async def remove_totp(self, owner_id: str) -> bool:
        """Forget the owner's authenticator; False if there was none that counted."""
        return bool(
            await self._database.fetchval(
                "DELETE FROM foundation.totp WHERE owner_id = $1 RETURNING confirmed", owner_id
            )
        )

    async def replace_codes(self, owner_id: str, hashes: Sequence[bytes]) -> None:
        """Keep these recovery codes and no others. Call it within a transaction."""
        await self._database.execute(
            "DELETE FROM foundation.recovery_codes WHERE owner_id = $1", owner_id
        )
        await self._database.execute(
            "INSERT INTO foundation.recovery_codes (owner_id, code_hash) "
            "SELECT $1, unnest($2::bytea[])",
            owner_id,
            list(hashes),
        )

    async def use_code(self, owner_id: str, code_hash: bytes) -> bool:
        """Remove a recovery code; False if it is none."""
        return await self._did(
            "DELETE FROM foundation.recovery_codes WHERE owner_id = $1 AND code_hash = $2",
            owner_id,
            code_hash,
        )

    async def codes_left(self, owner_id: str) -> int:
        """How many recovery codes there are."""
        count: int = await self._database.fetchval(
            "SELECT count(*) FROM foundation.recovery_codes WHERE owner_id = $1", owner_id
        )
        return count

    async def add_passkey(self, passkey: Passkey) -> None:
        """Keep a passkey. Raises `core.errors.Conflict` if it is known."""
        added = await self._did(
            "INSERT INTO foundation.passkeys (passkey_id, owner_id, credential_id, public_key, "
            "sign_count, name, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7) "
            "ON CONFLICT (credential_id) DO NOTHING",
            passkey.passkey_id,
            passkey.owner_id,
            passkey.credential_id,
            passkey.public_key,
            passkey.sign_count,
            passkey.name,
            passkey.created_at,
        )
        if not added:
            raise Conflict("This passkey is known already.")

    async def passkeys(self, owner_id: str) -> Sequence[Passkey]:
        """The owner's passkeys, the oldest first."""
        rows = await self._database.fetch(_PASSKEYS + "owner_id = $1 ORDER BY passkey_id", owner_id)
        return [Passkey(**row) for row in rows]

    async def passkey(self, credential_id: bytes) -> Passkey | None:
        """The passkey with this credential id, whoever owns it."""
        row = await self._database.fetchrow(_PASSKEYS + "credential_id = $1", credential_id)
        return None if row is None else Passkey(**row)

    async def use_passkey(self, passkey: Passkey, sign_count: int, now: datetime) -> bool:
        """Note a use; False if it was used meanwhile or is gone."""
        return await self._did(
            "UPDATE foundation.passkeys SET sign_count = $3, last_used_at = $4 "
            "WHERE passkey_id = $1 AND sign_count = $2",
            passkey.passkey_id,
            passkey.sign_count,
            sign_count,
            now,
        )

    async def remove_passkey(self, owner_id: str, passkey_id: str) -> bool:
        """Forget a passkey; False if this owner has no such one."""
        return await self._did(
            "DELETE FROM foundation.passkeys WHERE owner_id = $1 AND passkey_id = $2",
            owner_id,
            passkey_id,
        )

    async def _did(self, query: str, *arguments: object) -> bool:
        status = await self._database.execute(query, *arguments)
        return not status.endswith(" 0")


class PostgresOutbox:
    """Keeps mails until they are sent; what they say is sealed, because it may be a code."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        """`sealer` belongs to the master key."""
        self._database = database
        self._sealer = sealer

    async def add(self, mail_id: str, mail: Mail, *, due_at: datetime, until: datetime) -> None:
        """Keep a mail, to be sent from `due_at` on and not after `until`."""
        words = json.dumps([mail.subject, mail.text]).encode()
        await self._database.execute(
            "INSERT INTO foundation.mail_outbox (mail_id, recipient, sealed, due_at, expires_at) "
            "VALUES ($1, $2, $3, $4, $5)",
            mail_id,
            mail.to,
            self._sealer.seal(words, context=mail_id.encode()),
            due_at,
            until,
        )

    async def due(self, now: datetime, *, again_at: datetime, limit: int) -> Sequence[Queued]:
        """Mails that are due. Each is nobody else's before `again_at`.

        One that cannot be read (sealed with another master key, or damaged) has failed: it is not
        given out and not tried again, and goes with the sweep. The others are not held up by it.
        """
        rows = await self._database.fetch(_DUE, now, again_at, limit)
        found = [await self._queued_or_failed(row) for row in rows]
        return sorted((one for one in found if one is not None), key=lambda one: one.mail_id)

    async def postpone(self, mail_id: str, due_at: datetime) -> None:
        """Try it again at `due_at`."""
        await self._database.execute(
            "UPDATE foundation.mail_outbox SET due_at = $2 WHERE mail_id = $1", mail_id, due_at
        )

    async def done(self, mail_id: str) -> None:
        """Forget a mail that was sent."""
        await self._database.execute(
            "DELETE FROM foundation.mail_outbox WHERE mail_id = $1", mail_id
        )

    async def sweep(self, now: datetime) -> int:
        """Forget what is too late to send; returns how many."""
        status = await self._database.execute(
            "DELETE FROM foundation.mail_outbox WHERE expires_at <= $1", now
        )
        return int(status.removeprefix("DELETE "))

    async def _queued_or_failed(self, row: asyncpg.Record) -> Queued | None:
        try:
            return self._queued(row)
        except ValueError as error:
            # Only the kind of it: what could be opened must not be in the log.
            kind = type(error).__name__
            log.error("mail %s cannot be read and is given up: %s", row["mail_id"], kind)
        await self._database.execute(
            "UPDATE foundation.mail_outbox SET due_at = expires_at WHERE mail_id = $1",
            row["mail_id"],
        )
        return None

    def _queued(self, row: asyncpg.Record) -> Queued:
        words = self._sealer.open(row["sealed"], context=row["mail_id"].encode())
        subject, text = json.loads(words)
        return Queued(row["mail_id"], Mail(row["recipient"], subject, text), row["attempts"])
