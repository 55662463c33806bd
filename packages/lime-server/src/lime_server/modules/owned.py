"""What the wire models of agents and sites share, as their owner meets them."""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from lime_server.core import names, patterns
from lime_server.core.held_tokens import MAX_OVERLAP, HeldToken
from lime_server.modules.http import Id, Timestamp

Name = Annotated[
    str,
    Field(
        min_length=1,
        max_length=names.MAX_NAME,
        description="Printable, on one line.",
        json_schema_extra={"pattern": patterns.LINE},
    ),
]


class Input(BaseModel):
    """What somebody sent: nothing that we do not know, nothing converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


class RotateBody(Input):
    """A new token, please."""

    overlap_seconds: Annotated[
        int,
        Field(
            ge=0,
            le=int(MAX_OVERLAP.total_seconds()),
            description="How long the old tokens work beside the new one.",
        ),
    ] = 0

    @property
    def overlap(self) -> timedelta:
        """The same, as a time."""
        return timedelta(seconds=self.overlap_seconds)


class OwnedToken(BaseModel):
    """A token that works now; never the token itself."""

    token_id: Id
    created_at: Timestamp
    last_used_at: Annotated[Timestamp | None, Field(description="To the minute.")]
    expires_at: Annotated[Timestamp | None, Field(description="Null for the newest one.")]

    @classmethod
    def of(cls, held: HeldToken) -> Self:
        """What may be shown of `held`."""
        return cls(
            token_id=held.token_id,
            created_at=held.created_at,
            last_used_at=held.last_used_at,
            expires_at=held.expires_at,
        )


class Deleted(BaseModel):
    """Nothing is left to say."""
