"""The audit log, operators and KYC on in-memory twins."""

from __future__ import annotations

from dataclasses import dataclass

from lime_server.core.clock import Clock
from lime_server.foundation.audit import Audit
from lime_server.foundation.kyc import Kyc, KycProvider
from lime_server.foundation.operators import Operators
from lime_server.foundation.owners import Owners
from lime_server.infrastructure.crypto import Secrets
from lime_server.infrastructure.kyc import ManualKyc
from lime_server.infrastructure.memory.audit import MemoryAudit
from lime_server.infrastructure.memory.identities import MemoryIdentities, MemoryOwners
from lime_server.infrastructure.memory.kyc import MemoryKyc
from lime_server.infrastructure.memory.limiter import MemoryLimiter
from lime_server.infrastructure.memory.operators import MemoryOperators
from lime_server.infrastructure.memory.transactions import MemoryTransactions


@dataclass(frozen=True)
class MemoryTrust:
    """The services, named as in `composition.Parts`, and what they keep."""

    transactions: MemoryTransactions
    audit: Audit
    operators: Operators
    kyc: Kyc
    log: MemoryAudit
    cases: MemoryKyc


def memory_trust(
    identities: MemoryIdentities,
    clock: Clock,
    *,
    provider: KycProvider | None = None,
    covered: tuple[object, ...] = (),
) -> MemoryTrust:
    """Services for the owners in `identities`; transactions also cover the states in `covered`."""
    log, cases = MemoryAudit(), MemoryKyc(identities)
    transactions = MemoryTransactions(identities, log, cases, *covered)
    seals = Secrets.derived_from(bytes(range(32))).audit
    audit = Audit(log, transactions=transactions, seals=seals, clock=clock)
    return MemoryTrust(
        transactions,
        audit,
        Operators(
            MemoryOperators(identities),
            owners=Owners(MemoryOwners(identities), clock),
            transactions=transactions,
            audit=audit,
        ),
        Kyc(
            cases,
            provider or ManualKyc(),
            reviewers=MemoryOperators(identities),
            transactions=transactions,
            audit=audit,
            clock=clock,
            limiter=MemoryLimiter(lambda: clock.now().timestamp()),
        ),
        log,
        cases,
    )
