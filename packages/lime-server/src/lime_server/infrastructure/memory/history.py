"""Login histories in memory."""

from collections.abc import Callable
from datetime import datetime

from lime_server.infrastructure.memory.site_login import MemorySiteLogin
from lime_server.modules.login_history.ports import PastLogin
from lime_server.modules.site_login.model import Login


class MemoryHistory:
    """Remembers what became of login requests."""

    def __init__(self, shared: MemorySiteLogin) -> None:
        """Read it from `shared`."""
        self._shared = shared

    async def of_agent(
        self, agent_id: str, *, before: str | None, limit: int, now: datetime
    ) -> list[PastLogin]:
        """What this agent approved or denied, newest first."""
        return self._past(lambda login: login.agent_id == agent_id, before, limit, now)

    async def of_site(
        self, site_id: str, *, before: str | None, limit: int, now: datetime
    ) -> list[PastLogin]:
        """What this site asked for, newest first."""
        return self._past(lambda login: login.site_id == site_id, before, limit, now)

    def _past(
        self, wanted: Callable[[Login], bool], before: str | None, limit: int, now: datetime
    ) -> list[PastLogin]:
        found = [login.at(now) for login in self._shared.logins.values() if wanted(login)]
        older = [login for login in found if before is None or login.request_id < before]
        newest = sorted(older, key=lambda login: login.request_id, reverse=True)[:limit]
        return [self._record(login) for login in newest]

    def _record(self, login: Login) -> PastLogin:
        site = self._shared.identities.sites[login.site_id]
        agent = self._shared.identities.agent(login.agent_id)
        return PastLogin(
            login_request_id=login.request_id,
            status=login.state,
            created_at=login.created_at,
            expires_at=login.expires_at,
            decided_at=login.decided_at,
            site_id=site.site_id,
            site_name=site.display_name,
            site_domain=site.domain,
            site_domain_verified=site.domain_verified,
            agent_id=login.agent_id,
            agent_name=None if agent is None else agent.display_name,
        )
