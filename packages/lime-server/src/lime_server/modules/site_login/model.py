"""What a login request is, and what may happen to it (protocol section 3)."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from lime_server.core.agents import Agent
from lime_server.core.errors import Conflict
from lime_server.foundation.sites import Site


class State(StrEnum):
    """Where a login request stands; the value is what the wire says."""

    PENDING = "PENDING"
    APPROVED = "APPROVED"
    DELIVERED = "DELIVERED"
    DENIED = "DENIED"
    EXPIRED = "EXPIRED"


_NEXT: dict[State, frozenset[State]] = {
    State.PENDING: frozenset({State.APPROVED, State.DENIED, State.EXPIRED}),
    State.APPROVED: frozenset({State.DELIVERED}),
    State.DELIVERED: frozenset(),
    State.DENIED: frozenset(),
    State.EXPIRED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Login:
    """One login request."""

    request_id: str
    site_id: str
    state: State
    challenge: str
    difficulty: int
    redirect_url: str | None
    created_at: datetime
    expires_at: datetime
    """When a pending request expires. A decided one keeps it, as a matter of record."""
    agent_id: str | None = None
    """Who approved or denied it."""
    decided_at: datetime | None = None
    """When it left PENDING."""

    def at(self, now: datetime) -> "Login":
        """This login as it stands at `now`: a pending one expires by itself."""
        if self.state is State.PENDING and now >= self.expires_at:
            return self._to(State.EXPIRED, decided_at=self.expires_at)
        return self

    def approved_by(self, agent: Agent, now: datetime) -> "Login":
        """This login once `agent` has approved it. Raises Conflict unless it is pending."""
        return self._to(State.APPROVED, agent_id=agent.agent_id, decided_at=now)

    def denied_by(self, agent: Agent, now: datetime) -> "Login":
        """This login once `agent` has refused it. Raises Conflict unless it is pending."""
        return self._to(State.DENIED, agent_id=agent.agent_id, decided_at=now)

    def delivered(self) -> "Login":
        """This login once its site has the passport. Raises Conflict unless it is approved."""
        return self._to(State.DELIVERED)

    def was_approved_by(self, agent: Agent) -> bool:
        """Whether it was this agent who approved."""
        return self.is_approved and self.agent_id == agent.agent_id

    def was_denied_by(self, agent: Agent) -> bool:
        """Whether it was this agent who refused."""
        return self.state is State.DENIED and self.agent_id == agent.agent_id

    @property
    def is_pending(self) -> bool:
        """Whether it still waits for an agent."""
        return self.state is State.PENDING

    @property
    def is_approved(self) -> bool:
        """Whether an agent let itself in, delivered or not."""
        return self.state in {State.APPROVED, State.DELIVERED}

    def _to(
        self, state: State, *, agent_id: str | None = None, decided_at: datetime | None = None
    ) -> "Login":
        if state not in _NEXT[self.state]:
            raise Conflict(f"A login request that is {self.state} cannot become {state}.")
        return replace(
            self,
            state=state,
            agent_id=agent_id or self.agent_id,
            decided_at=decided_at or self.decided_at,
        )


@dataclass(frozen=True, slots=True)
class KnownLogin:
    """A login request together with the site that made it."""

    login: Login
    site: Site


class EventKind(StrEnum):
    """What a site is told; the value is the frame's `type` (protocol section 5)."""

    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"


_TELLS = {
    State.APPROVED: EventKind.APPROVED,
    State.DENIED: EventKind.DENIED,
    State.EXPIRED: EventKind.EXPIRED,
}


@dataclass(frozen=True, slots=True)
class Event:
    """What a site must be told about one of its login requests."""

    event_id: str
    """The request's own id: a request is decided once, so it has one event. Becomes `jti`."""
    site_id: str
    request_id: str
    kind: EventKind
    agent_id: str | None
    redirect_url: str | None
    created_at: datetime
    deliver_until: datetime

    @classmethod
    def telling(cls, login: Login, *, now: datetime, window: timedelta) -> "Event":
        """The event that tells what became of `login`, to be sent until `now + window`."""
        return cls(
            event_id=login.request_id,
            site_id=login.site_id,
            request_id=login.request_id,
            kind=_TELLS[login.state],
            agent_id=login.agent_id,
            redirect_url=login.redirect_url,
            created_at=now,
            deliver_until=now + window,
        )


@dataclass(frozen=True, slots=True)
class Lease:
    """An event is one consumer's for a while."""

    consumer: str
    until: datetime


@dataclass(frozen=True, slots=True)
class DueEvent:
    """An event to be sent, with the standing of everyone concerned as it was at `read_at`."""

    event: Event
    agent: Agent | None
    site_suspended: bool
    acknowledged: bool
    read_at: datetime

    def may_be_sent(self, now: datetime) -> bool:
        """Whether it can be sent at `now`.

        An approval is held back while the site, the agent or its owner is in bad standing; should
        that change within the delivery window, it travels after all.
        """
        if self.site_suspended or now >= self.event.deliver_until:
            return False
        if self.event.kind is not EventKind.APPROVED:
            return True
        return self.agent is not None and self.agent.in_good_standing
