"""Login histories in PostgreSQL."""

from datetime import datetime

from lime_server.infrastructure.postgres.pool import Database
from lime_server.modules.login_history.ports import PastLogin

_PAST = """
    SELECT r.request_id AS login_request_id,
        CASE WHEN r.state = 'PENDING' AND r.expires_at <= $4 THEN 'EXPIRED' ELSE r.state END
            AS status,
        r.created_at, r.expires_at,
        CASE WHEN r.state = 'PENDING' AND r.expires_at <= $4 THEN r.expires_at
            ELSE r.decided_at END AS decided_at,
        s.site_id, s.display_name AS site_name, s.domain AS site_domain,
        s.domain_verified AS site_domain_verified,
        r.agent_id, a.display_name AS agent_name
    FROM modules.site_login_requests r
    JOIN foundation.sites s ON s.site_id = r.site_id
    LEFT JOIN core.agents a ON a.agent_id = r.agent_id
"""
_REST = "AND ($2::uuid IS NULL OR r.request_id < $2) ORDER BY r.request_id DESC LIMIT $3"
_OF_AGENT = f"{_PAST} WHERE r.agent_id = $1 {_REST}"
_OF_SITE = f"{_PAST} WHERE r.site_id = $1 {_REST}"


class PostgresHistory:
    """Remembers what became of login requests."""

    def __init__(self, database: Database) -> None:
        """Read it from `database`."""
        self._database = database

    async def of_agent(
        self, agent_id: str, *, before: str | None, limit: int, now: datetime
    ) -> list[PastLogin]:
        """What this agent approved or denied, newest first."""
        rows = await self._database.fetch(_OF_AGENT, agent_id, before, limit, now)
        return [PastLogin(**row) for row in rows]

    async def of_site(
        self, site_id: str, *, before: str | None, limit: int, now: datetime
    ) -> list[PastLogin]:
        """What this site asked for, newest first."""
        rows = await self._database.fetch(_OF_SITE, site_id, before, limit, now)
        return [PastLogin(**row) for row in rows]
