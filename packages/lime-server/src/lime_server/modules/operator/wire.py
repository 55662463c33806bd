"""What travels between operators and us."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from lime_server.core import patterns
from lime_server.core.names import MAX_REASON
from lime_server.foundation.kyc import HIGHEST_LEVEL, Case
from lime_server.foundation.operators import Holding, Kind, Standing
from lime_server.foundation.owners import Owner
from lime_server.modules import http
from lime_server.modules.kyc_wire import KycCase

Reason = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_REASON,
        description="Shown to the owner in their log.",
        json_schema_extra={"pattern": patterns.LINE},
    ),
]


class ReasonBody(BaseModel):
    """Why it is done."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason


_LEVEL_GOES_WITH_APPROVAL: JsonDict = {
    "oneOf": [
        {
            "required": ["level"],
            "properties": {"outcome": {"const": "approve"}, "level": {"type": "integer"}},
        },
        {"properties": {"outcome": {"const": "reject"}, "level": {"type": "null"}}},
    ]
}


class DecideBody(BaseModel):
    """What an operator found."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_LEVEL_GOES_WITH_APPROVAL)

    outcome: Literal["approve", "reject"]
    level: Annotated[
        int | None,
        Field(strict=True, ge=1, le=HIGHEST_LEVEL, description="To approve: what is granted."),
    ] = None
    reason: Reason


class KnownOwner(BaseModel):
    """An owner, as operators see them."""

    user_id: http.Id
    email: str
    email_verified: bool
    kyc_level: int
    operator: bool
    suspended: bool
    created_at: http.Timestamp

    @classmethod
    def of(cls, owner: Owner) -> Self:
        """`owner` as they stand."""
        return cls(**_of(owner))


class HeldThing(BaseModel):
    """An agent or a site that an owner answers for."""

    id: http.Id
    display_name: str
    active: Annotated[bool, Field(description="The owner's own switch.")]
    suspended: Annotated[bool, Field(description="By an operator, this one alone.")]


class OwnerInFull(KnownOwner):
    """An owner, and the newest of what they answer for."""

    agents: list[HeldThing]
    sites: list[HeldThing]

    @classmethod
    def with_holdings(cls, owner: Owner, holdings: list[Holding]) -> Self:
        """`owner`, and `holdings` by their kind."""
        return cls(
            **_of(owner),
            agents=[_held(one) for one in holdings if one.kind is Kind.AGENT],
            sites=[_held(one) for one in holdings if one.kind is Kind.SITE],
        )


class KnownStanding(BaseModel):
    """How something stands now."""

    kind: Literal["owner", "agent", "site"]
    id: http.Id
    user_id: Annotated[http.Id, Field(description="Who answers for it.")]
    suspended: bool

    @classmethod
    def of(cls, standing: Standing) -> Self:
        """`standing` in words of the wire."""
        return cls(
            kind=standing.kind.target,
            id=standing.id,
            user_id=standing.owner_id,
            suspended=standing.suspended,
        )


class ReviewedCase(KycCase):
    """A case, as operators see it."""

    user_id: http.Id
    decided_by: str | None

    @classmethod
    def of(cls, case: Case) -> Self:
        """`case`, with whose it is."""
        seen = KycCase.of(case)
        return cls(**dict(seen), user_id=case.owner_id, decided_by=case.decided_by)


def _of(owner: Owner) -> dict[str, Any]:
    return {
        "user_id": owner.owner_id,
        "email": owner.email,
        "email_verified": owner.email_verified,
        "kyc_level": owner.kyc_level,
        "operator": owner.operator,
        "suspended": owner.suspended,
        "created_at": owner.created_at,
    }


def _held(one: Holding) -> HeldThing:
    return HeldThing(
        id=one.id, display_name=one.display_name, active=one.active, suspended=one.suspended
    )
