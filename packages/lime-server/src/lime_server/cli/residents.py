"""The owner, the agent and the site that `lime-server dev` makes at its first start."""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from lime_server.cli.files import write_private
from lime_server.composition import Parts
from lime_server.core.agents import CAPABILITIES
from lime_server.core.errors import Unauthenticated

_EMAIL = "dev@lime.localhost"


@dataclass(frozen=True, slots=True)
class Residents:
    """Who lives in a development server, and with which tokens. They do not show in its repr."""

    owner_id: str
    agent_id: str
    agent_token: str = field(repr=False)
    site_id: str
    site_token: str = field(repr=False)


async def settle(parts: Parts, path: Path) -> Residents:
    """Those of an earlier start, or, if the database does not know them, new ones.

    Tokens cannot be read back from the database, so `path` keeps them, mode 0600: they open nothing
    but this development server.
    """
    # 1. Who lived here before, if they still do.
    known = _read(path)
    if known is not None and await _still_live_here(parts, known):
        return known
    # 2. Otherwise everybody anew; the owner may be left from a start that was interrupted.
    owner = await parts.owners.find(_EMAIL) or await parts.owners.create(_EMAIL)
    agent, agent_token = await parts.agents.register(owner.owner_id, "Demo agent")
    # It may do all that an agent can: nothing here belongs to anybody.
    await parts.registry.agents.change(replace(agent, capabilities=CAPABILITIES))
    site, site_token = await parts.sites.register(owner.owner_id, "Demo site")
    made = Residents(
        owner_id=owner.owner_id,
        agent_id=agent.agent_id,
        agent_token=agent_token.text,
        site_id=site.site_id,
        site_token=site_token.text,
    )
    # 3. Remember the tokens.
    write_private(path, asdict(made))
    return made


def _read(path: Path) -> Residents | None:
    try:
        return Residents(**json.loads(path.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


async def _still_live_here(parts: Parts, known: Residents) -> bool:
    try:
        await parts.agents.authenticate(known.agent_token)
        await parts.sites.authenticate(known.site_token)
    except Unauthenticated:
        return False
    return True
