"""The parts that say who may act, and remember who did."""

from dataclasses import dataclass

from lime_server.core.clock import Clock
from lime_server.core.ports import RateLimiter
from lime_server.foundation.audit import Audit
from lime_server.foundation.kyc import Kyc, KycProvider
from lime_server.foundation.operators import Operators
from lime_server.foundation.owners import Owners
from lime_server.infrastructure.crypto import Secrets
from lime_server.infrastructure.kyc import ManualKyc, ScriptedKyc
from lime_server.infrastructure.postgres.audit import PostgresAudit
from lime_server.infrastructure.postgres.kyc import PostgresKyc
from lime_server.infrastructure.postgres.operators import PostgresOperators
from lime_server.infrastructure.postgres.pool import Database
from lime_server.settings import Settings


@dataclass(frozen=True, slots=True)
class TrustParts:
    """The services, over one database."""

    audit: Audit
    operators: Operators
    kyc: Kyc


def trust_parts(
    settings: Settings,
    database: Database,
    secrets: Secrets,
    *,
    owners: Owners,
    clock: Clock,
    limiter: RateLimiter,
) -> TrustParts:
    """Those that `settings` describe."""
    audit = Audit(PostgresAudit(database), transactions=database, seals=secrets.audit, clock=clock)
    standings = PostgresOperators(database)
    operators = Operators(standings, owners=owners, transactions=database, audit=audit)
    kyc = Kyc(
        PostgresKyc(database, secrets.documents),
        _provider(settings),
        reviewers=standings,
        transactions=database,
        audit=audit,
        clock=clock,
        limiter=limiter,
    )
    return TrustParts(audit, operators, kyc)


def _provider(settings: Settings) -> KycProvider:
    secret = settings.kyc_webhook_secret
    return ManualKyc() if secret is None else ScriptedKyc(secret.get_secret_value().encode())
