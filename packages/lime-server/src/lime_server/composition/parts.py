"""The real parts of a server: connections opened, keys read, all closed at the end."""

import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from logging import getLogger

import lime_jwt
from lime_server.composition.accounts import AccountOffice, open_accounts
from lime_server.composition.mcp_oauth import OAuthStores, open_oauth
from lime_server.composition.oauth_clients import open_documents
from lime_server.composition.registry import RegistryParts, open_registry
from lime_server.composition.trust import trust_parts
from lime_server.core.agents import Agents
from lime_server.core.clock import Clock
from lime_server.core.keyring import KeyRing, Keys
from lime_server.core.keys import Rules as KeyRules
from lime_server.core.ports import (
    PassportSigner,
    PowCheck,
    Probe,
    TokenHash,
    Transactions,
    Wakeup,
)
from lime_server.foundation.audit import Audit
from lime_server.foundation.kyc import Kyc
from lime_server.foundation.operators import Operators
from lime_server.foundation.owners import Owners
from lime_server.foundation.sessions import Sessions
from lime_server.foundation.sites import Sites
from lime_server.infrastructure.crypto import Puzzles, RingSigner, RsaKeyMaker, Secrets
from lime_server.infrastructure.mail import Mailbox
from lime_server.infrastructure.master_key import existing, made
from lime_server.infrastructure.memory.bell import MemoryBell
from lime_server.infrastructure.memory.client_documents import MemoryDocuments
from lime_server.infrastructure.memory.limiter import MemoryLimiter
from lime_server.infrastructure.postgres.answers import PostgresAnswers
from lime_server.infrastructure.postgres.binding import PostgresBindings
from lime_server.infrastructure.postgres.clock import DatabaseClock
from lime_server.infrastructure.postgres.events import PostgresEvents
from lime_server.infrastructure.postgres.identities import (
    PostgresOwners,
    PostgresSites,
)
from lime_server.infrastructure.postgres.keys import PostgresKeys
from lime_server.infrastructure.postgres.logins import PostgresLogins
from lime_server.infrastructure.postgres.migrator import require_usable
from lime_server.infrastructure.postgres.pool import Database, open_database
from lime_server.infrastructure.redis.address import parse
from lime_server.infrastructure.redis.bell import RedisBell
from lime_server.infrastructure.redis.engine import Engine, connect
from lime_server.infrastructure.redis.limiter import RedisLimiter
from lime_server.infrastructure.web.idempotency import AnswerStore
from lime_server.infrastructure.web.limits import Counter
from lime_server.infrastructure.web.metrics import Metrics
from lime_server.modules.binding.ports import BindingStore
from lime_server.modules.mcp_oauth.ports import Documents
from lime_server.modules.site_login.ports import EventStore, LoginStore, SiteStanding
from lime_server.settings import Settings, SettingsError

_log = getLogger(__name__)

Background = Callable[[], Awaitable[object]]
"""Something that runs for as long as the server does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything `build` puts together. Tests make their own, mostly of in-memory twins."""

    settings: Settings
    clock: Clock
    transactions: Transactions
    audit: Audit
    operators: Operators
    kyc: Kyc
    accounts: AccountOffice
    sessions: Sessions
    owners: Owners
    agents: Agents
    sites: Sites
    registry: RegistryParts
    standing: SiteStanding
    logins: LoginStore
    events: EventStore
    bindings: BindingStore
    oauth: OAuthStores
    answers: AnswerStore
    tokens: TokenHash
    puzzles: PowCheck
    signer: PassportSigner
    keys: Keys
    ring: KeyRing
    bell: Wakeup
    counter: Counter
    documents: Documents = field(default_factory=MemoryDocuments)
    """Where OAuth clients' documents come from."""
    metrics: Metrics = field(default_factory=Metrics)
    vital: Mapping[str, Probe] = field(default_factory=dict)
    """Engines without which nothing works, by name."""
    helpful: Mapping[str, Probe] = field(default_factory=dict)
    """Engines without which everything works, but slower, by name."""
    background: Sequence[Background] = ()


@asynccontextmanager
async def open_parts(
    settings: Settings, *, mailbox: Mailbox | None = None, first_start: bool = False
) -> AsyncIterator[Parts]:
    """The parts that `settings` describe. With a `mailbox`, mails go there.

    On a `first_start`, for a database without keys, the master key's file is made if there is none.

    Raises SettingsError for a master key that cannot be had, or is another than the one that the
    database's signing keys were made with, and for an address of Redis that is none,
    MigrationError for a database of a version that this one cannot work on, and
    `core.errors.Unavailable` when PostgreSQL does not answer. Redis may be absent.
    """
    async with AsyncExitStack() as stack:
        metrics = Metrics()
        # One that cannot be used is said before anything is opened, and none is made before the
        # database is: it would be in the way of the right one.
        key = existing(settings)
        database = await stack.enter_async_context(
            open_database(
                settings.database_url.get_secret_value(),
                size=settings.database_pool_size,
                patience=settings.database_timeout,
                pooler=settings.database_pooler,
            )
        )
        async with database.acquire() as connection:
            newer = await require_usable(connection)
        if newer:
            _log.warning(
                "the database is newer than this lime-server, by what leaves it working: %s",
                ", ".join(newer),
            )
        secrets = Secrets.derived_from(
            key or await _missing_key(settings, database, first_start=first_start)
        )
        clock = DatabaseClock(database)
        await clock.look()
        messaging = await stack.enter_async_context(_messaging(settings))
        key_rules = KeyRules(
            publish_before=timedelta(seconds=settings.key_publish_before),
            publish_after=timedelta(seconds=settings.key_publish_after),
        )
        key_store = PostgresKeys(database, secrets.keys)
        keys = Keys(
            key_store,
            RsaKeyMaker(settings.key_bits),
            clock=clock,
            rules=key_rules,
            bell=messaging.bell,
        )
        ring = KeyRing(
            key_store,
            keys,
            parse=lime_jwt.SigningKey.from_pkcs8,
            clock=clock,
            rules=key_rules,
            note=metrics.keys_read,
        )
        try:
            await ring.open()
        except lime_jwt.DecryptionError:
            raise SettingsError(
                "the master key is not the one that this database's signing keys were made with: "
                "set that one, which a backup holds"
            ) from None
        holders = open_registry(
            database,
            secrets,
            limiter=messaging.counter,
            clock=clock,
            dns_servers=settings.dns_servers,
        )
        owners = Owners(PostgresOwners(database), clock)
        trust = trust_parts(
            settings,
            database,
            secrets,
            owners=owners,
            clock=clock,
            limiter=messaging.counter,
        )
        accounts = await stack.enter_async_context(
            open_accounts(
                settings,
                database,
                secrets,
                audit=trust.audit,
                bell=messaging.bell,
                limiter=messaging.counter,
                clock=clock,
                metrics=metrics,
                mailbox=mailbox,
            )
        )
        yield Parts(
            settings=settings,
            clock=clock,
            transactions=database,
            audit=trust.audit,
            operators=trust.operators,
            kyc=trust.kyc,
            accounts=accounts,
            sessions=accounts.routes.sessions,
            owners=owners,
            agents=holders.agents,
            sites=holders.sites,
            registry=holders.registry,
            standing=PostgresSites(database),
            logins=PostgresLogins(database),
            events=PostgresEvents(database),
            bindings=PostgresBindings(database),
            oauth=open_oauth(database),
            documents=open_documents(settings),
            answers=PostgresAnswers(database, secrets.answers),
            tokens=secrets.tokens,
            puzzles=Puzzles(),
            signer=RingSigner(ring),
            keys=keys,
            ring=ring,
            bell=messaging.bell,
            counter=messaging.counter,
            metrics=metrics,
            vital={"postgres": database},
            helpful=messaging.probes,
            background=(clock.run, *messaging.background),
        )


async def _missing_key(settings: Settings, database: Database, *, first_start: bool) -> bytes:
    """The master key, whose file did not exist a moment ago."""
    has_keys = await database.fetchval("SELECT EXISTS (SELECT FROM core.signing_keys)")
    # Only now looked at again: a server that made the database's first keys beside this one has
    # made the file before them.
    if (key := existing(settings)) is not None:
        return key
    file = settings.master_key_file
    if has_keys:
        raise SettingsError(
            f"the database has keys, and {file}, which unlocks them, does not exist: put the "
            "master key there that they were made with, which a backup holds"
        )
    if not first_start:
        raise SettingsError(
            f"the master key file {file} does not exist: the first start of a server makes it"
        )
    return made(settings)


@dataclass(frozen=True, slots=True)
class _Messaging:
    bell: Wakeup
    counter: MemoryLimiter | RedisLimiter
    probes: Mapping[str, Probe]
    background: Sequence[Background]


@asynccontextmanager
async def _messaging(settings: Settings) -> AsyncIterator[_Messaging]:
    """Wake-ups and limits: over Redis if there is one, else within this process."""
    alone = MemoryLimiter(time.monotonic)
    if settings.redis_url is None:
        yield _Messaging(MemoryBell(), alone, {}, ())
        return
    patience = settings.redis_timeout
    try:
        address = parse(settings.redis_url.get_secret_value())
    except ValueError as error:
        raise SettingsError(f"LIME_REDIS_URL: {error}") from None
    engine = Engine(connect(address, timeout=patience), timeout=patience, monotonic=time.monotonic)
    bell = RedisBell(engine, address, timeout=patience, random=random.random)
    try:
        yield _Messaging(bell, RedisLimiter(engine, alone), {"redis": engine}, (bell.run,))
    finally:
        await engine.close()
