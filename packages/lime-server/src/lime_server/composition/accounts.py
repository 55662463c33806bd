"""Everything about owners' accounts, put together over whichever stores there are."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import timedelta

import httpx

from lime_server.core.clock import Clock
from lime_server.core.ports import PowCheck, RateLimiter, TokenHash, Transactions, Wakeup
from lime_server.foundation.accounts import Accounts, AccountStore, AccountTools
from lime_server.foundation.audit import Audit
from lime_server.foundation.captcha import Captcha, NoCaptcha, PowCaptcha
from lime_server.foundation.later import Later
from lime_server.foundation.letters import Letters
from lime_server.foundation.mail import MailSender, Outbox, Post
from lime_server.foundation.passwords import PasswordHasher
from lime_server.foundation.second_factor import FactorStore, SecondFactors
from lime_server.foundation.sessions import SessionRules, Sessions, SessionStore
from lime_server.foundation.slowing import Slowing
from lime_server.foundation.tickets import TicketStore
from lime_server.infrastructure.crypto import Puzzles, Secrets
from lime_server.infrastructure.mail import Mailbox, NoSender, SmtpSender
from lime_server.infrastructure.passkeys import WebAuthn
from lime_server.infrastructure.passwords import Argon2Hasher
from lime_server.infrastructure.postgres.accounts import (
    PostgresAccounts,
    PostgresSessions,
    PostgresTickets,
)
from lime_server.infrastructure.postgres.factors import PostgresFactors, PostgresOutbox
from lime_server.infrastructure.postgres.pool import Database
from lime_server.infrastructure.totp import Authenticators
from lime_server.infrastructure.turnstile import Turnstile
from lime_server.infrastructure.web.metrics import Metrics
from lime_server.modules.accounts.routes import AccountParts
from lime_server.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountStores:
    """Where accounts are kept."""

    accounts: AccountStore
    sessions: SessionStore
    tickets: TicketStore
    factors: FactorStore
    outbox: Outbox


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountEngines:
    """What accounts need beside stores."""

    hasher: PasswordHasher
    captcha: Captcha
    sender: MailSender
    limiter: RateLimiter
    tokens: TokenHash
    transactions: Transactions
    audit: Audit
    bell: Wakeup
    clock: Clock
    metrics: Metrics = field(default_factory=Metrics)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountOffice:
    """Owners' accounts, with what works for them in the background."""

    routes: AccountParts
    post: Post
    later: Later
    tickets: TicketStore
    clock: Clock
    mailbox: Mailbox | None = None
    """Shown at `/dev/mailbox`, in development only."""

    async def sweep(self) -> None:
        """Forget what has ended by itself."""
        await self.routes.sessions.sweep()
        await self.tickets.sweep(self.clock.now())


def account_office(
    settings: Settings, stores: AccountStores, engines: AccountEngines
) -> AccountOffice:
    """Pure wiring."""
    url, clock, tokens = settings.public_url, engines.clock, engines.tokens
    rules = SessionRules(
        origin=str(url),
        plain_cookies=not url.is_secure and url.is_loopback,
        idle=timedelta(seconds=settings.session_idle),
        absolute=timedelta(seconds=settings.session_lifetime),
        changes=settings.rate_per_session,
    )
    sessions = Sessions(stores.sessions, tokens, clock, rules, engines.limiter)
    slowing = Slowing(engines.limiter, tokens)
    post = Post(
        stores.outbox, engines.sender, bell=engines.bell, clock=clock, count=engines.metrics.mail
    )
    later = Later()
    factors = SecondFactors(
        store=stores.factors,
        tickets=stores.tickets,
        codes=Authenticators(),
        ceremonies=WebAuthn(url),
        tokens=tokens,
        transactions=engines.transactions,
        audit=engines.audit,
        clock=clock,
    )
    accounts = Accounts(
        AccountTools(
            store=stores.accounts,
            tickets=stores.tickets,
            sessions=sessions,
            factors=factors,
            hasher=engines.hasher,
            captcha=engines.captcha,
            slowing=slowing,
            post=post,
            letters=Letters(str(url)),
            later=later,
            tokens=tokens,
            transactions=engines.transactions,
            audit=engines.audit,
            clock=clock,
        )
    )
    return AccountOffice(
        routes=AccountParts(accounts, factors, sessions, engines.captcha, slowing),
        post=post,
        later=later,
        tickets=stores.tickets,
        clock=clock,
        mailbox=engines.sender if isinstance(engines.sender, Mailbox) else None,
    )


@asynccontextmanager
async def open_accounts(
    settings: Settings,
    database: Database,
    secrets: Secrets,
    *,
    audit: Audit,
    bell: Wakeup,
    limiter: RateLimiter,
    clock: Clock,
    metrics: Metrics,
    mailbox: Mailbox | None,
) -> AsyncIterator[AccountOffice]:
    """Accounts in PostgreSQL."""
    tickets = PostgresTickets(database)
    stores = AccountStores(
        accounts=PostgresAccounts(database),
        sessions=PostgresSessions(database),
        tickets=tickets,
        factors=PostgresFactors(database, secrets.accounts),
        outbox=PostgresOutbox(database, secrets.accounts),
    )
    tokens = secrets.tokens
    with closing(Argon2Hasher()) as hasher:
        async with open_captcha(
            settings, Puzzles(), tokens=tokens, tickets=tickets, clock=clock
        ) as captcha:
            engines = AccountEngines(
                hasher=hasher,
                captcha=captcha,
                sender=mailbox or mail_sender(settings),
                limiter=limiter,
                tokens=tokens,
                transactions=database,
                audit=audit,
                bell=bell,
                clock=clock,
                metrics=metrics,
            )
            yield account_office(settings, stores, engines)


@asynccontextmanager
async def open_captcha(
    settings: Settings,
    puzzles: PowCheck,
    *,
    tokens: TokenHash,
    tickets: TicketStore,
    clock: Clock,
) -> AsyncIterator[Captcha]:
    """What a registration costs, as `settings` have it."""
    async with AsyncExitStack() as stack:
        if settings.captcha == "none":
            yield NoCaptcha()
        elif settings.captcha == "pow":
            yield PowCaptcha(
                puzzles,
                tokens=tokens,
                tickets=tickets,
                clock=clock,
                difficulty=settings.captcha_difficulty,
            )
        else:
            client = await stack.enter_async_context(httpx.AsyncClient())
            # `settings` has made sure that there are both.
            assert settings.turnstile_site_key  # noqa: S101 - for the types
            assert settings.turnstile_secret  # noqa: S101 - for the types
            yield Turnstile(
                client,
                site_key=settings.turnstile_site_key,
                secret=settings.turnstile_secret,
                hostname=settings.public_url.host,
            )


def mail_sender(settings: Settings) -> MailSender:
    """How mails leave this server."""
    if settings.smtp_url is None:
        return NoSender()
    return SmtpSender(settings.smtp_url.get_secret_value(), settings.mail_from)
