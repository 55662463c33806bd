"""Owners' accounts in memory, for tests that build an application or need somebody signed in."""

from dataclasses import dataclass

from argon2 import PasswordHasher

from lime_server.composition.accounts import (
    AccountEngines,
    AccountOffice,
    AccountStores,
    account_office,
)
from lime_server.core.clock import Clock
from lime_server.core.ports import RateLimiter, TokenHash, Transactions, Wakeup
from lime_server.foundation.audit import Audit
from lime_server.foundation.captcha import Captcha, NoCaptcha
from lime_server.foundation.mail import MailSender
from lime_server.foundation.owners import Owner
from lime_server.infrastructure.mail import Mailbox
from lime_server.infrastructure.memory.accounts import (
    MemoryAccounts,
    MemoryFactors,
    MemoryOutbox,
    MemorySessions,
    MemoryTickets,
)
from lime_server.infrastructure.memory.bell import MemoryBell
from lime_server.infrastructure.memory.identities import MemoryIdentities
from lime_server.infrastructure.memory.limiter import MemoryLimiter
from lime_server.infrastructure.passwords import Argon2Hasher
from lime_server.settings import Settings

CHEAP = PasswordHasher(1, 8, 1)
"""Argon2id at the least it can be: tests hash by the hundred."""


def memory_stores(identities: MemoryIdentities) -> AccountStores:
    """Empty stores beside the owners of `identities`."""
    return AccountStores(
        accounts=MemoryAccounts(identities),
        sessions=MemorySessions(identities),
        tickets=MemoryTickets(),
        factors=MemoryFactors(),
        outbox=MemoryOutbox(),
    )


def memory_accounts(
    settings: Settings,
    identities: MemoryIdentities,
    *,
    tokens: TokenHash,
    transactions: Transactions,
    audit: Audit,
    clock: Clock,
    bell: Wakeup | None = None,
    limiter: RateLimiter | None = None,
    captcha: Captcha | None = None,
    sender: MailSender | None = None,
    stores: AccountStores | None = None,
) -> AccountOffice:
    """An office whose mails go to its mailbox."""
    engines = AccountEngines(
        hasher=Argon2Hasher(CHEAP),
        captcha=captcha or NoCaptcha(),
        sender=sender or Mailbox(lambda _line: None),
        limiter=limiter or MemoryLimiter(lambda: 0.0),
        tokens=tokens,
        transactions=transactions,
        audit=audit,
        bell=bell or MemoryBell(),
        clock=clock,
    )
    return account_office(settings, stores or memory_stores(identities), engines)


@dataclass(frozen=True, slots=True)
class SignedInBrowser:
    """What a browser sends that is signed in."""

    cookies: dict[str, str]
    headers: dict[str, str]
    """With every request that changes something."""


async def sign_in_as(office: AccountOffice, owner: Owner) -> SignedInBrowser:
    """A browser in which `owner` has just signed in, whatever their password."""
    sessions = office.routes.sessions
    signed_in = await sessions.begin(owner)
    return SignedInBrowser(
        {sessions.rules.cookie: signed_in.token.text, "lime_csrf": signed_in.csrf},
        {"X-CSRF-Token": signed_in.csrf},
    )
