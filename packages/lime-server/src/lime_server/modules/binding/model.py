"""What a binding is, and what may happen to it (protocol section 9).

A binding keeps its id for life::

    PENDING ──► APPROVED ──► ACTIVE ──► ENDED
       │  │         │
       │  │         └──► EXPIRED     its code was not exchanged in time
       │  └──► REFUSED
       └──► EXPIRED                  nobody answered in time
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from lime_server.core.errors import Conflict


class BindingState(StrEnum):
    """Where a binding stands; the value is what the wire says."""

    PENDING = "PENDING"
    """A site asked; its human has not answered."""
    APPROVED = "APPROVED"
    """The human said yes; a code is on its way to the site."""
    ACTIVE = "ACTIVE"
    """The site exchanged the code: agent and account are linked."""
    ENDED = "ENDED"
    """It was active, and somebody ended it."""
    REFUSED = "REFUSED"
    EXPIRED = "EXPIRED"


_NEXT: dict[BindingState, frozenset[BindingState]] = {
    BindingState.PENDING: frozenset(
        {BindingState.APPROVED, BindingState.REFUSED, BindingState.EXPIRED}
    ),
    BindingState.APPROVED: frozenset({BindingState.ACTIVE, BindingState.EXPIRED}),
    BindingState.ACTIVE: frozenset({BindingState.ENDED}),
    BindingState.ENDED: frozenset(),
    BindingState.REFUSED: frozenset(),
    BindingState.EXPIRED: frozenset(),
}


class EndedBy(StrEnum):
    """Who ended a binding."""

    OWNER = "owner"
    SITE = "site"


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """One binding, from the site's wish to its end."""

    binding_id: str
    site_id: str
    state: BindingState
    redirect_uri: str
    browser_state: str = field(repr=False)
    """What comes back with the redirect as `state`, by which a site knows its own browser again."""
    code_challenge: str | None = field(default=None, repr=False)
    """SHA-256, in base64url, of what the site must show when it exchanges the code; or nothing."""
    created_at: datetime
    expires_at: datetime
    """When the request, if nobody answers, and then its code, if nobody exchanges it, expires."""
    owner_id: str | None = None
    """Who answered."""
    agent_id: str | None = None
    """Which agent was picked."""
    code_hash: bytes | None = field(default=None, repr=False)
    """Keyed hash of the code, while it can be exchanged."""
    decided_at: datetime | None = None
    """When it left PENDING."""
    bound_at: datetime | None = None
    ended_at: datetime | None = None
    ended_by: EndedBy | None = None

    def at(self, now: datetime) -> "Binding":
        """This binding as it stands at `now`: requests and codes expire by themselves."""
        if self.state in {BindingState.PENDING, BindingState.APPROVED} and now >= self.expires_at:
            return self._to(
                BindingState.EXPIRED, decided_at=self.decided_at or self.expires_at, code_hash=None
            )
        return self

    def approved_for(
        self, agent_id: str, *, owner_id: str, code_hash: bytes, now: datetime, until: datetime
    ) -> "Binding":
        """This binding once `owner_id` picked an agent; its code can be exchanged before `until`.

        Raises Conflict unless it is pending.
        """
        return self._to(
            BindingState.APPROVED,
            agent_id=agent_id,
            owner_id=owner_id,
            code_hash=code_hash,
            decided_at=now,
            expires_at=until,
        )

    def refused_by(self, owner_id: str, now: datetime) -> "Binding":
        """This binding once `owner_id` said no. Raises Conflict unless it is pending."""
        return self._to(BindingState.REFUSED, owner_id=owner_id, decided_at=now)

    def exchanged(self, now: datetime) -> "Binding":
        """This binding once its site has shown the code, which is spent by that.

        Raises Conflict unless it is approved.
        """
        return self._to(BindingState.ACTIVE, code_hash=None, bound_at=now)

    def ended(self, by: EndedBy, now: datetime) -> "Binding":
        """This binding once `by` ended it. Raises Conflict unless it is active."""
        return self._to(BindingState.ENDED, ended_at=now, ended_by=by)

    @property
    def is_pending(self) -> bool:
        """Whether it still waits for its human."""
        return self.state is BindingState.PENDING

    @property
    def is_approved(self) -> bool:
        """Whether its code waits to be exchanged."""
        return self.state is BindingState.APPROVED

    @property
    def is_active(self) -> bool:
        """Whether agent and account are linked."""
        return self.state is BindingState.ACTIVE

    @property
    def was_made(self) -> bool:
        """Whether it is a link, or was one: only those are listed and can be ended."""
        return self.state in {BindingState.ACTIVE, BindingState.ENDED}

    def _to(self, state: BindingState, **changes: object) -> "Binding":
        if state not in _NEXT[self.state]:
            raise Conflict(f"A binding that is {self.state} cannot become {state}.")
        return replace(self, state=state, **changes)  # type: ignore[arg-type]  # named above


@dataclass(frozen=True, slots=True)
class AskingSite:
    """The site of a binding, as far as people are shown it."""

    site_id: str
    display_name: str
    domain: str | None
    domain_verified: bool


@dataclass(frozen=True, slots=True)
class KnownBinding:
    """A binding together with the names of those it concerns."""

    binding: Binding
    site: AskingSite
    agent_name: str | None
    """None while no agent was picked."""
