"""Is this configuration fit for production? Looks at everything, changes nothing."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Literal

from redis.exceptions import RedisError

from lime_server.core.clock import Clock
from lime_server.core.errors import Unavailable
from lime_server.core.keys import Key, KeyState, only
from lime_server.infrastructure.crypto import Secrets
from lime_server.infrastructure.master_key import SIZE, master_key
from lime_server.infrastructure.postgres.keys import PostgresKeys
from lime_server.infrastructure.postgres.migrator import MigrationError, require_current
from lime_server.infrastructure.postgres.pool import Database, open_database
from lime_server.infrastructure.redis.engine import Engine, connect
from lime_server.settings import Settings, SettingsError

Level = Literal["ok", "warning", "error"]

CLOCKS = timedelta(seconds=5)
"""Most by which this clock and PostgreSQL's may differ; verifiers forgive 30 s in all."""
OLDEST_KEY = timedelta(days=180)
"""Age of the signing key from which a rotation is advised."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    subject: str
    message: str


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
        *_choices(settings),
    ]


def _addresses(settings: Settings) -> list[Finding]:
    url = settings.public_url
    if url.is_loopback:
        return [Finding("error", "public_url", f"{url} can be reached from this machine only.")]
    if not url.is_secure:
        return [Finding("error", "public_url", f"{url} is not https: tokens would be readable.")]
    findings = [Finding("ok", "public_url", f"Passports are issued by {url}.")]
    if not settings.trusted_proxies and _is_local(settings.host):
        # Something else ends TLS and talks to us from one address.
        findings.append(
            Finding(
                "warning",
                "trusted_proxies",
                "None: behind a proxy, all clients count as one. Name the proxy's network.",
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
        return None, [Finding("warning", "master_key", message)]
    try:
        secrets = Secrets.derived_from(master_key(settings))
    except SettingsError as error:
        return None, [Finding("error", "master_key", str(error))]
    return secrets, [Finding("ok", "master_key", f"{SIZE} bytes; keep a copy elsewhere.")]


async def _postgres(settings: Settings, secrets: Secrets | None, clock: Clock) -> list[Finding]:
    url = settings.database_url.get_secret_value()
    try:
        async with open_database(url, size=2, patience=settings.database_timeout) as database:
            async with database.acquire() as connection:
                await require_current(connection)
            return [
                Finding("ok", "postgres", "Reachable, and at this version."),
                await _clocks(database, clock),
                await _signing_keys(database, secrets, clock.now()),
            ]
    except Unavailable:
        return [Finding("error", "postgres", "Cannot be reached with LIME_DATABASE_URL.")]
    except (MigrationError, ValueError) as error:
        return [Finding("error", "postgres", f"{error}.")]


async def _clocks(database: Database, clock: Clock) -> Finding:
    before = clock.now()
    theirs: datetime = await database.fetchval("SELECT clock_timestamp()")
    after = clock.now()
    # Its answer lies somewhere between the two; only what is certainly off counts.
    off = max(before - theirs, theirs - after, timedelta(0))
    if off > CLOCKS:
        message = f"This clock and PostgreSQL's differ by {off.total_seconds():.0f} s."
        return Finding("error", "clock", message)
    return Finding("ok", "clock", "Agrees with PostgreSQL's.")


async def _signing_keys(database: Database, secrets: Secrets | None, now: datetime) -> Finding:
    if secrets is None:
        return Finding("warning", "signing_keys", "Not looked at without a master key.")
    try:
        keys = await PostgresKeys(database, secrets.keys).published()
    except ValueError:
        # lime_jwt.DecryptionError is one.
        message = "Cannot be decrypted: they were made with another master key."
        return Finding("error", "signing_keys", message)
    return _active_key(only(keys, KeyState.ACTIVE), now)


def _active_key(active: Key | None, now: datetime) -> Finding:
    if active is None:
        return Finding("warning", "signing_keys", "None yet; the first start makes one.")
    age = now - (active.activated_at or active.created_at)
    if age > OLDEST_KEY:
        message = f"{active.kid} has signed for {age.days} days: run `lime-server keys rotate`."
        return Finding("warning", "signing_keys", message)
    return Finding("ok", "signing_keys", f"{active.kid} signs.")


async def _redis(settings: Settings, monotonic: Callable[[], float]) -> list[Finding]:
    if settings.redis_url is None:
        message = "None: run one server process only, or set LIME_REDIS_URL."
        return [Finding("warning", "redis", message)]
    timeout = settings.redis_timeout
    try:
        client = connect(settings.redis_url.get_secret_value(), timeout=timeout)
    except (ValueError, RedisError):
        return [Finding("error", "redis", "LIME_REDIS_URL is not a redis:// or unix:// URL.")]
    engine = Engine(client, timeout=timeout, monotonic=monotonic)
    try:
        if await engine.ready():
            return [Finding("ok", "redis", "Reachable.")]
        message = "Cannot be reached: logins work, more slowly; limits count apart."
        return [Finding("warning", "redis", message)]
    finally:
        await engine.close()


def _choices(settings: Settings) -> list[Finding]:
    findings = []
    off = [
        name
        for name in ("rate_per_address", "rate_per_token", "rate_per_request")
        if getattr(settings, name) is None
    ]
    if off:
        findings.append(Finding("warning", "rate limits", f"Off: {', '.join(off)}."))
    if settings.kyc_provider == "scripted":
        message = "scripted: whoever has LIME_KYC_WEBHOOK_SECRET decides how well owners are known."
        findings.append(Finding("error", "kyc_provider", message))
    if settings.key_publish_before < _CACHE_LIVES or settings.key_publish_after < _CACHE_LIVES:
        message = f"Less than {_CACHE_LIVES} s: verifiers may meet a key they do not know."
        findings.append(Finding("warning", "key rotation", message))
    return findings


_CACHE_LIVES = 600
