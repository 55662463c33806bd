"""What a login history is, and where it is kept."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class PastLogin:
    """One login request, as either side's owner may see it afterwards."""

    login_request_id: str
    status: str
    """As it stands now: what nobody answered in time is EXPIRED, swept or not."""
    created_at: datetime
    expires_at: datetime
    decided_at: datetime | None
    site_id: str
    site_name: str
    site_domain: str | None
    site_domain_verified: bool
    agent_id: str | None
    """Who approved or denied it; None while nobody has."""
    agent_name: str | None

    def told_to_site(self) -> "PastLogin":
        """What the site may know of it: that somebody refused, and not who (protocol section 5)."""
        if self.status != "DENIED":
            return self
        return replace(self, agent_id=None, agent_name=None)


class LoginHistory(Protocol):
    """Where login requests are remembered. May raise `core.errors.Unavailable`.

    Each gives at most `limit`, newest first, with ids below `before`, as they stand at `now`. Ids
    are UUIDs; whose they are has been looked at.
    """

    async def of_agent(
        self, agent_id: str, *, before: str | None, limit: int, now: datetime
    ) -> list[PastLogin]:
        """What this agent approved or denied."""
        ...

    async def of_site(
        self, site_id: str, *, before: str | None, limit: int, now: datetime
    ) -> list[PastLogin]:
        """What this site asked for."""
        ...
