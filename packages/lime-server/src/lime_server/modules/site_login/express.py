"""The calls of a login by the shorter way (`modules.express`); `routes` has their descriptions."""

from collections.abc import Sequence

from lime_server.modules.express import Call, ExpressRoute, Reply
from lime_server.modules.http import enveloped
from lime_server.modules.site_login import wire
from lime_server.modules.site_login.routes import SiteLoginParts


def express(parts: SiteLoginParts) -> Sequence[ExpressRoute]:
    """Steps 1, 2 and 4 of a login, and the acknowledgement after step 5."""

    async def create(call: Call) -> Reply | None:
        body = call.read(wire.CreateBody)
        if body is None:
            return None
        site = await parts.sites.authenticate(call.header(b"x-site-token"))
        login = await parts.logins.create(site, body.redirect_url)
        return Reply(201, enveloped(wire.CreatedLogin.of(login)))

    async def look(call: Call) -> Reply | None:
        return Reply(200, enveloped(wire.Puzzle.of(await parts.logins.look(call.unverified_id))))

    async def approve(call: Call) -> Reply | None:
        body = call.read(wire.ApproveBody)
        if body is None:
            return None
        agent = await parts.agents.authenticate(call.header(b"x-agent-token"))
        login = await parts.logins.approve(agent, call.unverified_id, body.pow_nonce)
        return Reply(200, enveloped(wire.Decision.of(login)))

    async def acknowledge(call: Call) -> Reply | None:
        body = call.read(wire.AckBody)
        if body is None:
            return None
        site = await parts.sites.authenticate(call.header(b"x-site-token"))
        await parts.streams.delivery.acknowledge(site.site_id, body.ids)
        return Reply(200, enveloped(wire.Acknowledged()))

    return (
        ExpressRoute("POST", "/modules/agent-login/requests", create),
        ExpressRoute("GET", "/auth/requests/{request_id}", look),
        ExpressRoute("POST", "/modules/agent-login/requests/{request_id}/approve", approve),
        ExpressRoute("POST", "/modules/agent-login/events/ack", acknowledge),
    )
