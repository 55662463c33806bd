"""Signing keys in PostgreSQL, private halves sealed."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import asyncpg

from lime_server.core.keys import Key, KeyState
from lime_server.infrastructure.postgres.pool import Connection, Database

_LOCK = 0x4C494D45_4B455953  # "LIMEKEYS": one number for this purpose in the whole database

_COLUMNS = "kid, state, public_jwk, sealed, created_at, activated_at, retired_at, gone_at"
_PUBLISHED = (
    f"SELECT {_COLUMNS} FROM core.signing_keys WHERE state <> 'gone' ORDER BY created_at, kid"  # noqa: S608 - fixed columns
)
_ALL = f"SELECT {_COLUMNS} FROM core.signing_keys ORDER BY created_at, kid"  # noqa: S608 - fixed columns
_PUT = f"""
    INSERT INTO core.signing_keys ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (kid) DO UPDATE SET state = excluded.state, sealed = excluded.sealed,
        activated_at = excluded.activated_at, retired_at = excluded.retired_at,
        gone_at = excluded.gone_at
"""  # noqa: S608 - fixed columns


class Sealer(Protocol):
    """Authenticated encryption; what was sealed in one context opens in no other."""

    def seal(self, plaintext: bytes, *, context: bytes) -> bytes:
        """`plaintext`, unreadable."""
        ...

    def open(self, sealed: bytes, *, context: bytes) -> bytes:
        """What was sealed. Raises ValueError for anything else."""
        ...


class PostgresKeys:
    """Keeps keys for all servers of one database."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        """`sealer` belongs to the master key: with another one, no key can be read."""
        self._database = database
        self._sealer = sealer

    async def published(self) -> Sequence[Key]:
        """Keys that are not gone, oldest first."""
        return [_key(row, self._sealer) for row in await self._database.fetch(_PUBLISHED)]

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator["_Transaction"]:
        """One transaction at a time, over all servers; all of it happens or nothing."""
        async with self._database.acquire() as connection, connection.transaction():
            # Held until the transaction ends, however it ends.
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            yield _Transaction(connection, self._sealer)


class _Transaction:
    def __init__(
        self,
        connection: Connection,
        sealer: Sealer,
    ) -> None:
        self._connection = connection
        self._sealer = sealer

    async def all(self) -> Sequence[Key]:
        return [_key(row, self._sealer) for row in await self._connection.fetch(_ALL)]

    async def put(self, key: Key) -> None:
        sealed = self._sealer.seal(key.private_key, context=key.kid.encode())
        await self._connection.execute(
            _PUT,
            key.kid,
            key.state,
            json.dumps(dict(key.public_jwk)),
            sealed if key.private_key else None,
            key.created_at,
            key.activated_at,
            key.retired_at,
            key.gone_at,
        )


def _key(row: asyncpg.Record, sealer: Sealer) -> Key:
    sealed = row["sealed"]
    kid = row["kid"]
    return Key(
        kid=kid,
        state=KeyState(row["state"]),
        public_jwk=json.loads(row["public_jwk"]),
        private_key=b"" if sealed is None else sealer.open(sealed, context=kid.encode()),
        created_at=row["created_at"],
        activated_at=row["activated_at"],
        retired_at=row["retired_at"],
        gone_at=row["gone_at"],
    )
