"""How is this deployment? Looks at its engines as they are, changes nothing, says what to do.

`fitness` looks at what was configured; this adds what only shows in a deployment that lives.
"""

import re
import shutil
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import asyncpg
from redis.asyncio.cluster import RedisCluster
from redis.exceptions import ResponseError

from lime_server.core.clock import Clock
from lime_server.core.errors import Unavailable
from lime_server.infrastructure import fitness
from lime_server.infrastructure.fitness import Finding
from lime_server.infrastructure.postgres.migrator import (
    Migration,
    MigrationError,
    migrations,
    require_current,
)
from lime_server.infrastructure.postgres.pool import failures_as_unavailable
from lime_server.infrastructure.redis.address import parse
from lime_server.infrastructure.redis.engine import FAILURES, Client, close, connect, ping
from lime_server.settings import Settings

OLDEST_POSTGRES = 15
"""What the statements need, and what `nox -s debian-engines` runs on."""
OLDEST_REDIS = 7
EASY = 8
"""Bits: a solver finds such a nonce in microseconds."""
ROUNDS = 7
"""Round trips measured; their median counts."""
SLOW = 0.005
"""Seconds for one round trip. A login makes about ten to PostgreSQL, one after the other."""
LITTLE_SPACE, NO_SPACE = 0.10, 0.03
"""Shares of a disk that are free: PostgreSQL stops when nothing is."""
MUCH_WAL = 16 << 30
"""Bytes of write-ahead log. PostgreSQL keeps 1 GiB unless told otherwise; so much more than that is
being kept for somebody."""
NEARLY_FULL = 0.9
"""Share of the memory that Redis may take."""

_SCHEMAS = ("core", "foundation", "infrastructure", "modules")
_INDEXES = """
SELECT n.nspname || '.' || c.relname AS name, i.indisvalid AS valid
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY($1) ORDER BY name
"""
_CONNECTIONS = """
SELECT current_setting('max_connections')::int
         - current_setting('superuser_reserved_connections')::int
         - coalesce(current_setting('reserved_connections', true), '0')::int AS available,
       (SELECT count(*) FROM pg_stat_activity
         WHERE (backend_type = 'client backend'
                -- What other users do is not told to this one, only in which database.
                OR (backend_type IS NULL AND usesysid IS NOT NULL AND datid IS NOT NULL))
           AND pid <> pg_backend_pid()
           AND NOT (datname = current_database() AND application_name = 'lime-server')) AS others
"""
_COUNTABLE = """
SELECT NOT pg_is_in_recovery() AND to_regclass('modules.site_login_servers') IS NOT NULL
"""
_SERVERS = """
SELECT count(*) FROM modules.site_login_servers WHERE seen_at > now() - interval '1 minute'
"""
_DURABLE = """
SELECT name FROM pg_settings
WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting = 'off' ORDER BY name
"""
_IDLE_SLOTS = "SELECT slot_name FROM pg_replication_slots WHERE NOT active ORDER BY slot_name"
_WAL_SIZE = "SELECT coalesce(sum(size), 0)::bigint FROM pg_ls_waldir()"

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


async def examine(
    settings: Settings, clock: Clock, monotonic: Callable[[], float] = time.monotonic
) -> list[Finding]:
    """What was found; never raises for an engine that is away or that tells us nothing."""
    return [
        *await fitness.check(settings, clock),
        *_choices(settings),
        *await _postgres(settings, monotonic),
        *await _redis(settings, clock, monotonic),
    ]


async def _postgres(settings: Settings, monotonic: Callable[[], float]) -> list[Finding]:
    try:
        async with _connected(settings) as connection:
            return [
                _postgres_version(connection.get_server_version().major),
                await _primary(connection, settings.database_pooler),
                await _latency(
                    "postgres latency", lambda: connection.fetchval("SELECT 1"), monotonic
                ),
                await _durability(connection),
                *await _indexes(connection, migrations()),
                await _room(connection, settings),
                *await _disk(connection),
            ]
    except (Unavailable, asyncpg.InsufficientPrivilegeError, ValueError):
        # `fitness` has said so.
        return []


@asynccontextmanager
async def _connected(settings: Settings) -> AsyncIterator[Connection]:
    patience = settings.database_timeout
    with failures_as_unavailable():
        connection = await asyncpg.connect(
            settings.database_url.get_secret_value(),
            timeout=patience,
            command_timeout=patience,
            # Behind a pooler nothing may be kept, and elsewhere nothing need be.
            statement_cache_size=0,
        )
        try:
            yield connection
        finally:
            await connection.close(timeout=patience)


def _choices(settings: Settings) -> list[Finding]:
    """Settings that may be what somebody wants, and often are not."""
    doubtful = {
        "difficulty": (
            settings.difficulty < EASY,
            f"{settings.difficulty} bits are no work: whoever approves pays nothing.",
            "Leave LIME_DIFFICULTY at its default.",
        ),
        "captcha": (
            settings.captcha == "none",
            "A registration costs nothing.",
            "Set LIME_CAPTCHA=pow, unless something in front limits registrations.",
        ),
        "smtp_url": (
            settings.smtp_url is None,
            "None: no mail is sent, so that nobody can register or reset a password.",
            "Set LIME_SMTP_URL, or make owners with `lime-server owner create`.",
        ),
        "operations_networks": (
            any(network.prefixlen == 0 for network in settings.operations_networks),
            "Everybody: metrics and readiness help whoever attacks the server.",
            "Name the networks of your monitoring in LIME_OPERATIONS_NETWORKS.",
        ),
        "log_level": (
            settings.log_level == "debug",
            "debug: more is written than anybody reads.",
            "Set LIME_LOG_LEVEL=info once you have found what you look for.",
        ),
    }
    return [
        Finding("warning", name, message, advice)
        for name, (is_so, message, advice) in doubtful.items()
        if is_so
    ]


def _postgres_version(major: int) -> Finding:
    if major < OLDEST_POSTGRES:
        advice = f"Move to PostgreSQL {OLDEST_POSTGRES} or newer."
        return Finding("error", "postgres version", f"{major} is too old.", advice)
    return Finding("ok", "postgres version", f"PostgreSQL {major}.")


async def _primary(connection: Connection, pooler: str) -> Finding:
    if await connection.fetchval("SELECT pg_is_in_recovery()"):
        message = "LIME_DATABASE_URL leads to a standby, which takes no changes."
        advice = "Name all hosts in the URL and add target_session_attrs=read-write."
        if pooler == "transaction":
            advice = "Point the pooler to the primary."
        return Finding("error", "postgres role", message, advice)
    return Finding("ok", "postgres role", "Takes changes.")


async def _latency(
    subject: str, ask: Callable[[], Awaitable[object]], monotonic: Callable[[], float]
) -> Finding:
    took = []
    for _ in range(ROUNDS):
        began = monotonic()
        await ask()
        took.append(monotonic() - began)
    median = statistics.median(took)
    message = f"{median * 1000:.2f} ms for a round trip, the median of {ROUNDS}."
    if median > SLOW:
        advice = "Bring it nearer: the same zone, no proxy in between; or see what keeps it busy."
        return Finding("warning", subject, message, advice)
    return Finding("ok", subject, message)


async def _durability(connection: Connection) -> Finding:
    off = [row["name"] for row in await connection.fetch(_DURABLE)]
    if off:
        message = f"Off: {', '.join(off)}. A crash loses what was answered."
        return Finding("error", "durability", message, "Switch them on in postgresql.conf.")
    return Finding("ok", "durability", "What was answered survives a crash.")


async def _indexes(connection: Connection, known: Sequence[Migration]) -> list[Finding]:
    try:
        await require_current(connection, known)
    except MigrationError:
        # `fitness` has said so; and whoever made one now would be in the migration's way.
        return []
    return [await _indexes_of(connection, known)]


async def _indexes_of(connection: Connection, known: Sequence[Migration]) -> Finding:
    found = {row["name"]: row["valid"] for row in await connection.fetch(_INDEXES, _SCHEMAS)}
    missing = sorted(expected_indexes(known) - found.keys())
    invalid = sorted(name for name, valid in found.items() if not valid)
    if missing:
        message = f"Missing: {', '.join(missing)}."
        advice = "Make them as the file in infrastructure/postgres/migrations does."
        return Finding("error", "indexes", message, advice)
    if invalid:
        message = f"Invalid: {', '.join(invalid)}."
        return Finding("error", "indexes", message, "Run REINDEX INDEX CONCURRENTLY on each.")
    return Finding("ok", "indexes", f"All {len(found)} are there and valid.")


_INDEX = re.compile(
    r"CREATE (?:UNIQUE )?INDEX (?:CONCURRENTLY )?(?:IF NOT EXISTS )?(?P<made>\w+)\s+"
    r"ON (?P<on>\w+)\."
    r"|DROP INDEX (?:CONCURRENTLY )?(?:IF EXISTS )?(?P<dropped>\w+\.\w+)"
)


def expected_indexes(known: Sequence[Migration]) -> set[str]:
    """`schema.index` of every index that migrations make by name and do not drop again."""
    names = set()
    for migration in known:
        for match in _INDEX.finditer(migration.sql):
            if match["made"]:
                names.add(f"{match['on']}.{match['made']}")
            else:
                names.discard(match["dropped"])
    return names


async def _room(connection: Connection, settings: Settings) -> Finding:
    if settings.database_pooler == "transaction":
        return Finding("ok", "connections", "The pooler opens them, and is not asked.")
    return await _connections(connection, settings.database_pool_size)


async def _connections(connection: Connection, pool_size: int) -> Finding:
    row = await connection.fetchrow(_CONNECTIONS)
    assert row is not None  # noqa: S101 - it has no FROM
    # The list is in a table that a standby does not have: it is not logged.
    countable = await connection.fetchval(_COUNTABLE)
    servers = await connection.fetchval(_SERVERS) if countable else 0
    room = row["available"] - row["others"]
    message = (
        f"{servers} servers with up to {pool_size} each; PostgreSQL has {room} for them "
        f"({row['available']}, of which others use {row['others']})."
    )
    advice = "Lower LIME_DATABASE_POOL_SIZE, raise max_connections, or pool with PgBouncer."
    if max(servers, 1) * pool_size > room:
        return Finding("error", "connections", message, advice)
    # While a server is replaced there is one more.
    if (servers + 1) * pool_size > room:
        return Finding("warning", "connections", message, advice)
    return Finding("ok", "connections", message)


async def _disk(connection: Connection) -> list[Finding]:
    size = await connection.fetchval("SELECT pg_database_size(current_database())")
    return [
        _space(size, await _usage(connection)),
        await _wal(connection),
        *[
            Finding(
                "warning",
                "replication",
                f"Nobody reads slot {row['slot_name']}, for which write-ahead log is kept.",
                "Start its reader, or drop it with pg_drop_replication_slot.",
            )
            for row in await connection.fetch(_IDLE_SLOTS)
        ],
    ]


async def _usage(connection: Connection) -> tuple[int, int] | None:
    """Bytes in all and bytes free where the data is; None where that cannot be known."""
    # Only over a Unix socket is the engine certainly on this machine.
    if await connection.fetchval("SELECT inet_server_addr() IS NOT NULL"):
        return None
    try:
        usage = shutil.disk_usage(await connection.fetchval("SHOW data_directory"))
    except (asyncpg.InsufficientPrivilegeError, OSError):
        return None
    return usage.total, usage.free


def _space(size: int, usage: tuple[int, int] | None) -> Finding:
    if usage is None:
        message = f"The database takes {_bytes(size)}; what is left shows only on its machine."
        return Finding("ok", "disk", message)
    total, free = usage
    message = f"The database takes {_bytes(size)}; {_bytes(free)} of {_bytes(total)} are free."
    advice = (
        "Make room before it is full: PostgreSQL stops then. LIME_RETENTION decides what stays."
    )
    if free < total * NO_SPACE:
        return Finding("error", "disk", message, advice)
    if free < total * LITTLE_SPACE:
        return Finding("warning", "disk", message, advice)
    return Finding("ok", "disk", message)


async def _wal(connection: Connection) -> Finding:
    try:
        size = await connection.fetchval(_WAL_SIZE)
    except asyncpg.InsufficientPrivilegeError:
        message = "Not readable by this user; GRANT pg_monitor would let it."
        return Finding("ok", "write-ahead log", message)
    if size > MUCH_WAL:
        advice = "See which replication slot or failing archive_command keeps it."
        return Finding("warning", "write-ahead log", f"{_bytes(size)}.", advice)
    return Finding("ok", "write-ahead log", f"{_bytes(size)}.")


async def _redis(settings: Settings, clock: Clock, monotonic: Callable[[], float]) -> list[Finding]:
    if settings.redis_url is None:
        return []
    try:
        address = parse(settings.redis_url.get_secret_value())
    except ValueError:
        # `fitness` has said so, here and below.
        return []
    client = connect(address, timeout=settings.redis_timeout)
    try:
        infos = await _infos(client)
        before = clock.now()
        seconds, microseconds = await client.time(**_one_node(client))
        theirs = datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds)
        after = clock.now()
        oldest = min(infos, key=lambda info: _major(str(info["redis_version"])))
        fullest = max(infos, key=_fullness)
        return [
            _redis_version(str(oldest["redis_version"])),
            fitness.clock_finding("Redis", before, theirs, after),
            await _latency("redis latency", lambda: ping(client), monotonic),
            _memory(int(fullest["used_memory"]), int(fullest["maxmemory"])),
        ]
    except ResponseError:
        message = "Answers, but this user may not read INFO and TIME."
        return [Finding("warning", "redis", message, "Let it: ACL SETUSER … +info +time.")]
    except FAILURES:
        return []
    finally:
        await close(client)


async def _infos(client: Client) -> list[dict[str, Any]]:
    """What each primary says of itself."""
    if isinstance(client, RedisCluster):
        await client.initialize()
        return [await client.info(target_nodes=node) for node in client.get_primaries()]
    return [await client.info()]


def _one_node(client: Client) -> dict[str, Any]:
    """Options that send a question to one node of a cluster."""
    if isinstance(client, RedisCluster):
        return {"target_nodes": client.get_primaries()[0]}
    return {}


def _fullness(info: Mapping[str, Any]) -> float:
    most = int(info["maxmemory"])
    return int(info["used_memory"]) / most if most else 0.0


def _redis_version(version: str) -> Finding:
    if _major(version) < OLDEST_REDIS:
        advice = f"Move to Redis {OLDEST_REDIS} or newer, or to Valkey."
        return Finding("error", "redis version", f"{version} is too old.", advice)
    return Finding("ok", "redis version", f"Redis {version}, or like it.")


def _major(version: str) -> int:
    # Valkey says here which Redis it is like.
    return int(version.partition(".")[0])


def _memory(used: int, most: int) -> Finding:
    message = f"Redis uses {_bytes(used)}" + (
        f" of {_bytes(most)}." if most else ", without limit."
    )
    if most and used > most * NEARLY_FULL:
        advice = "Raise maxmemory: when it is full, limits count per process and wake-ups are late."
        return Finding("warning", "redis memory", message, advice)
    return Finding("ok", "redis memory", message)


def _bytes(number: float) -> str:
    units = ["bytes", "KB", "MB", "GB", "TB"]
    while number >= 1000 and len(units) > 1:
        number /= 1000
        del units[0]
    return f"{number:.3g} {units[0]}"
