"""Is this configuration fit for production? Looks at everything, changes nothing."""

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

import asyncpg

from lime_server.core.clock import Clock
from lime_server.core.errors import Unavailable
from lime_server.core.keys import Key, KeyState, Rules, only
from lime_server.infrastructure import descriptors
from lime_server.infrastructure.crypto import Secrets
from lime_server.infrastructure.master_key import SIZE, master_key
from lime_server.infrastructure.postgres.keys import PostgresKeys
from lime_server.infrastructure.postgres.migrator import (
    DatabaseOlderError,
    MigrationError,
    require_usable,
)
from lime_server.infrastructure.postgres.pool import Connection, Database, open_database
from lime_server.infrastructure.redis.address import BySentinel, OneServer, parse
from lime_server.infrastructure.redis.engine import Engine, connect
from lime_server.settings import Settings, SettingsError

Level = Literal["ok", "warning", "error"]

CLOCKS = timedelta(seconds=5)
"""Most by which this clock and PostgreSQL's may differ; verifiers forgive 30 s in all."""
OLDEST_KEY = timedelta(days=180)
"""Age of the signing key from which a rotation is advised."""
LATE = timedelta(hours=1)
"""A key that may sign is promoted by any server within seconds; so long after, none is running."""

OTHER_FILES = 256
"""Files that a server has open besides clients' connections and its pool: those to Redis (32), to
mail servers and documents, pipes and logs; and connections that are just being refused."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    subject: str
    message: str
    advice: str | None = None
    """What to do about it; None for what is in order."""


async def check(settings: Settings, clock: Clock) -> list[Finding]:
    """What was found, in the order of the settings; never raises for an engine that is away.

    Makes no master key file: a missing one is a finding.
    """
    secrets, findings = _master_key(settings)
    return [
        *_addresses(settings),
        *findings,
        *await _postgres(settings, secrets, clock),
        *await _redis(settings, time.monotonic),
        *_wires(settings),
        *open_files(settings, descriptors.most()),
        *_choices(settings),
    ]


def _addresses(settings: Settings) -> list[Finding]:
    url = settings.public_url
    if url.is_loopback:
        message = f"{url} can be reached from this machine only."
        return [Finding("error", "public_url", message, _NAME_THE_ADDRESS)]
    if not url.is_secure:
        message = f"{url} is not https: tokens would be readable."
        return [Finding("error", "public_url", message, _NAME_THE_ADDRESS)]
    findings = [Finding("ok", "public_url", f"Passports are issued by {url}.")]
    if not settings.trusted_proxies and _is_local(settings.host):
        # Something else ends TLS and talks to us from one address.
        findings.append(
            Finding(
                "warning",
                "trusted_proxies",
                "None: behind a proxy, all clients count as one.",
                "Name the proxy's network in LIME_TRUSTED_PROXIES.",
            )
        )
    return findings


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _master_key(settings: Settings) -> tuple[Secrets | None, list[Finding]]:
    file = settings.master_key_file
    if file is not None and not file.exists():
        message = f"{file} does not exist yet; the first start makes it."
        advice = "If there was one, put it there before; otherwise keep a copy of what is made."
        return None, [Finding("warning", "master_key", message, advice)]
    try:
        secrets = Secrets.derived_from(master_key(settings))
    except SettingsError as error:
        advice = "Put the deployment's master key there; a backup holds it."
        return None, [Finding("error", "master_key", str(error), advice)]
    return secrets, [Finding("ok", "master_key", f"{SIZE} bytes; keep a copy elsewhere.")]


async def _postgres(settings: Settings, secrets: Secrets | None, clock: Clock) -> list[Finding]:
    url = settings.database_url.get_secret_value()
    try:
        async with open_database(
            url,
            size=2,
            patience=settings.database_timeout,
            pooler=settings.database_pooler,
        ) as database:
            async with database.acquire() as connection:
                newer = await require_usable(connection)
                pooled = await _pooled(connection)
            return [
                _version(newer),
                *_pooler(settings, pooled=pooled),
                await _clocks(database, clock),
                await _signing_keys(database, secrets, clock.now(), _rules(settings)),
            ]
    except Unavailable:
        message = "Cannot be reached with LIME_DATABASE_URL."
        advice = "Is it running, does it listen there, and are user, password and database right?"
        return [Finding("error", "postgres", message, advice)]
    except asyncpg.InsufficientPrivilegeError:
        message = "This user may not read the tables of lime-server."
        return [Finding("error", "postgres", message, "Connect as the user who migrated.")]
    except DatabaseOlderError as error:
        return [Finding("error", "postgres", f"{error}.", "Run `lime-server migrate`.")]
    except MigrationError as error:
        advice = "Use the lime-server that this database was migrated with."
        return [Finding("error", "postgres", f"{error}.", advice)]
    except ValueError:
        # What the driver says may hold a part of what it was given.
        message = "LIME_DATABASE_URL has options that the driver does not understand."
        advice = "See docs/operations.md for what may stand in it."
        return [Finding("error", "postgres", message, advice)]


def _version(newer: list[str]) -> Finding:
    if newer:
        message = f"Newer than this lime-server, by what leaves it working: {', '.join(newer)}."
        advice = (
            "Finish the upgrade, or its taking back: `migrate` and `backup` need the newer one."
        )
        return Finding("warning", "postgres", message, advice)
    return Finding("ok", "postgres", "Reachable, and at this version.")


async def _pooled(connection: Connection) -> bool:
    """Whether something stands between this connection and PostgreSQL."""
    # A pooler makes up the number that it tells at the start.
    told = connection.get_server_pid()
    return bool(told != await connection.fetchval("SELECT pg_backend_pid()"))


def _pooler(settings: Settings, *, pooled: bool) -> list[Finding]:
    if pooled and settings.database_pooler == "none":
        message = "There is a pooler before PostgreSQL, of which the settings know nothing."
        advice = "Set LIME_DATABASE_POOLER=transaction, unless it lends whole sessions."
        return [Finding("warning", "database_pooler", message, advice)]
    if not pooled and settings.database_pooler == "transaction":
        message = "There is no pooler: every statement is planned anew for nothing."
        advice = "Unset LIME_DATABASE_POOLER, or let LIME_DATABASE_URL lead to the pooler."
        return [Finding("warning", "database_pooler", message, advice)]
    return []


async def _clocks(database: Database, clock: Clock) -> Finding:
    before = clock.now()
    theirs: datetime = await database.fetchval("SELECT clock_timestamp()")
    after = clock.now()
    return clock_finding("PostgreSQL", before, theirs, after)


def clock_finding(whose: str, before: datetime, theirs: datetime, after: datetime) -> Finding:
    """What `whose` clock said between two looks at ours."""
    # Its answer lies somewhere between the two; only what is certainly off counts.
    off = max(before - theirs, theirs - after, timedelta(0))
    if off > CLOCKS:
        message = f"This clock and {whose}'s differ by {off.total_seconds():.0f} s."
        advice = "Let both machines follow the same time servers (NTP)."
        return Finding("error", "clock", message, advice)
    return Finding("ok", "clock", f"Agrees with {whose}'s.")


async def _signing_keys(
    database: Database, secrets: Secrets | None, now: datetime, rules: Rules
) -> Finding:
    if secrets is None:
        if await database.fetchval("SELECT EXISTS (SELECT FROM core.signing_keys)"):
            message = "There are some, and no master key that unlocks them: no server can start."
            advice = "Put the key in place that they were made with; a backup holds it."
            return Finding("error", "signing_keys", message, advice)
        message = "Not looked at without a master key."
        return Finding("warning", "signing_keys", message, "See to the master key first.")
    try:
        keys = await PostgresKeys(database, secrets.keys).published()
    except ValueError:
        # lime_jwt.DecryptionError is one.
        message = "Cannot be decrypted: they were made with another master key."
        return Finding("error", "signing_keys", message, "Set the key that they were made with.")
    active, standby = only(keys, KeyState.ACTIVE), only(keys, KeyState.STANDBY)
    if active is None:
        message = "None yet; the first start makes one."
        return Finding("warning", "signing_keys", message, "Start a server.")
    if standby is not None:
        return _next_key(active, standby, now, rules)
    return _active_key(active, now)


def _next_key(active: Key, standby: Key, now: datetime, rules: Rules) -> Finding:
    due = standby.may_sign_at(rules)
    message = f"{active.kid} signs; {standby.kid} is next, from {due:%Y-%m-%d %H:%M} UTC."
    if now - due > LATE:
        message = f"{standby.kid} should have been signing since {due:%Y-%m-%d %H:%M} UTC."
        advice = "Start a server, which promotes it, or run `lime-server keys rotate`."
        return Finding("warning", "signing_keys", message, advice)
    return Finding("ok", "signing_keys", message)


def _active_key(active: Key, now: datetime) -> Finding:
    since = active.activated_at or active.created_at
    if now - since > OLDEST_KEY:
        message = f"{active.kid} has signed for {(now - since).days} days."
        return Finding("warning", "signing_keys", message, "Run `lime-server keys rotate`.")
    message = f"{active.kid} signs. Rotate it until {since + OLDEST_KEY:%Y-%m-%d}."
    return Finding("ok", "signing_keys", message)


def _rules(settings: Settings) -> Rules:
    return Rules(publish_before=timedelta(seconds=settings.key_publish_before))


async def _redis(settings: Settings, monotonic: Callable[[], float]) -> list[Finding]:
    if settings.redis_url is None:
        message = "None: several server processes would not hear of each other."
        advice = "Run one server process only, or set LIME_REDIS_URL."
        return [Finding("warning", "redis", message, advice)]
    timeout = settings.redis_timeout
    try:
        address = parse(settings.redis_url.get_secret_value())
    except ValueError as error:
        message = "LIME_REDIS_URL is no address of Redis."
        return [Finding("error", "redis", message, f"{str(error).capitalize()}.")]
    client = connect(address, timeout=timeout)
    engine = Engine(client, timeout=timeout, monotonic=monotonic)
    try:
        if await engine.ready():
            return [Finding("ok", "redis", "Reachable.")]
        message = "Cannot be reached: logins work, more slowly; limits count apart."
        advice = "Is it running, does it listen there, and is its password right?"
        return [Finding("warning", "redis", message, advice)]
    finally:
        await engine.close()


def _wires(settings: Settings) -> list[Finding]:
    """Engines on other machines to which others could listen."""
    findings = []
    if not _postgres_is_verified(settings.database_url.get_secret_value()):
        message = "It is on another machine, and nobody asks whether it is that machine."
        advice = (
            "Add sslmode=verify-full and sslrootcert=FILE to LIME_DATABASE_URL, unless the network "
            "between is yours alone."
        )
        findings.append(Finding("warning", "way to postgres", message, advice))
    if settings.redis_url is not None and not _redis_is_encrypted(
        settings.redis_url.get_secret_value()
    ):
        message = "It is on another machine, and its password goes there for all to read."
        advice = "Write rediss in LIME_REDIS_URL, unless the network between is yours alone."
        findings.append(Finding("warning", "way to redis", message, advice))
    return findings


def _postgres_is_verified(url: str) -> bool:
    authority, _, query = url.partition("://")[2].partition("?")
    options = dict(parse_qsl(query))
    # libpq's variable, which the driver knows as well.
    mode = options.get("sslmode", os.environ.get("PGSSLMODE", "prefer"))
    named = options.get("host", authority.partition("/")[0].rpartition("@")[2])
    hosts = [unquote(re.sub(r":[0-9]*$", "", host)).strip("[]") for host in named.split(",")]
    return mode in {"verify-ca", "verify-full"} or all(map(_is_here, hosts))


def _redis_is_encrypted(url: str) -> bool:
    try:
        address = parse(url)
    except ValueError:
        # Told by whoever tried to connect.
        return True
    if isinstance(address, OneServer):
        parts = urlsplit(url)
        return parts.scheme.lower() != "redis" or _is_here(parts.hostname or "")
    hosts = address.sentinels if isinstance(address, BySentinel) else address.nodes
    return bool(address.options.get("ssl")) or all(_is_here(host.name) for host in hosts)


def _is_here(host: str) -> bool:
    """Whether it is this machine. Sockets have the path of a file for a host, or none."""
    return not host or host.startswith("/") or _is_local(host)


def open_files(settings: Settings, most: float) -> list[Finding]:
    """Whether connections fit into `most` open files; nothing if they do."""
    needed = settings.max_connections + settings.database_pool_size + OTHER_FILES
    if most >= needed:
        return []
    message = (
        f"{most:.0f} at most; {settings.max_connections} client connections and the rest need "
        f"{needed}."
    )
    advice = (
        "Raise the hard limit where the server is started (systemd: LimitNOFILE, containers: "
        "ulimits), or lower LIME_MAX_CONNECTIONS."
    )
    return [Finding("warning", "open files", message, advice)]


def _choices(settings: Settings) -> list[Finding]:
    findings = []
    off = [
        name
        for name in ("rate_per_address", "rate_per_token", "rate_per_request", "rate_per_session")
        if getattr(settings, name) is None
    ]
    if off:
        advice = "Leave them at their defaults, unless something in front limits as well."
        findings.append(Finding("warning", "rate limits", f"Off: {', '.join(off)}.", advice))
    if settings.kyc_provider == "scripted":
        message = "scripted: whoever has LIME_KYC_WEBHOOK_SECRET decides how well owners are known."
        advice = "Set LIME_KYC_PROVIDER=manual."
        findings.append(Finding("error", "kyc_provider", message, advice))
    if settings.key_publish_before < _CACHE_LIVES or settings.key_publish_after < _CACHE_LIVES:
        message = f"Less than {_CACHE_LIVES} s: verifiers may meet a key they do not know."
        advice = (
            f"Set LIME_KEY_PUBLISH_BEFORE and LIME_KEY_PUBLISH_AFTER to {_CACHE_LIVES} or more."
        )
        findings.append(Finding("warning", "key rotation", message, advice))
    return findings


_CACHE_LIVES = 600
_NAME_THE_ADDRESS = "Set LIME_PUBLIC_URL to the https address at which agents and sites reach it."
