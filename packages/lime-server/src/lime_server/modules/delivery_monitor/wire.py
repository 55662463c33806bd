"""What travels: complete out."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field

from lime_server.modules.delivery_monitor.ports import SentEvent
from lime_server.modules.delivery_monitor.service import Snapshot
from lime_server.modules.http import Id, Timestamp


class OpenStream(BaseModel):
    """A worker of the site that listens now."""

    consumer: Annotated[
        str | None, Field(description="Null for a stream that sees every event of the site.")
    ]
    since: Timestamp


class EventOnItsWay(BaseModel):
    """An event that can be sent, or was."""

    event_id: Annotated[Id, Field(description="Also the id of the login request.")]
    type: Literal["approved", "denied", "expired"]
    agent_id: Annotated[Id | None, Field(description="Who approved; who refused is not said.")]
    created_at: Timestamp
    deliver_until: Timestamp
    leased_to: Annotated[str | None, Field(description="The worker it was last given to.")]
    leased_until: Timestamp | None
    acknowledged_at: Timestamp | None

    @classmethod
    def of(cls, event: SentEvent) -> Self:
        """What the site's owner may know of `event`."""
        return cls.model_validate(
            {
                "event_id": event.event_id,
                "type": event.kind,
                "agent_id": event.agent_id if event.kind == "approved" else None,
                "created_at": event.created_at,
                "deliver_until": event.deliver_until,
                "leased_to": event.leased_to,
                "leased_until": event.leased_until,
                "acknowledged_at": event.acknowledged_at,
            }
        )


class DeliveryState(BaseModel):
    """How deliveries to a site stand."""

    streams: list[OpenStream]
    undelivered: Annotated[
        list[EventOnItsWay], Field(description="Oldest first; at most the hundred oldest.")
    ]
    delivered: Annotated[
        list[EventOnItsWay],
        Field(description="The latest twenty that could still be sent again, newest first."),
    ]

    @classmethod
    def of(cls, snapshot: Snapshot) -> Self:
        """What the site's owner may know."""
        return cls(
            streams=[OpenStream(consumer=x.consumer, since=x.since) for x in snapshot.streams],
            undelivered=[EventOnItsWay.of(event) for event in snapshot.undelivered],
            delivered=[EventOnItsWay.of(event) for event in snapshot.delivered],
        )


class Nudged(BaseModel):
    """It was passed on to the streams that are open, if there are any."""
