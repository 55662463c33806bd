"""Before an answer is repeated: is the credential still good?"""

from types import SimpleNamespace

import pytest

from lime_server.composition.build import _recheck
from lime_server.core.errors import (
    InvalidAgentToken,
    NotSignedIn,
    OwnerSuspended,
    SiteTokenInvalid,
)


def scope(**headers):
    return {
        "type": "http",
        "headers": [
            (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
        ],
    }


class Sessions:
    """One session, of an owner who may be suspended."""

    rules = SimpleNamespace(cookie="lime_session")
    suspended = False

    async def authenticate(self, unverified_cookie):
        if unverified_cookie != "good":
            raise NotSignedIn
        return SimpleNamespace(owner=SimpleNamespace(owner_id="ada", suspended=self.suspended))


async def test_every_credential_must_still_be_good(small_world):
    world, sessions = small_world, Sessions()
    parts = SimpleNamespace(agents=world.agents, sites=world.sites, sessions=sessions)
    await _recheck(parts, scope())
    await _recheck(
        parts,
        scope(
            x_agent_token=world.agent_token.text,
            x_site_token=world.site_token.text,
            cookie="lime_session=good",
        ),
    )
    with pytest.raises(InvalidAgentToken):
        await _recheck(parts, scope(x_agent_token="at_" + "x" * 43))
    with pytest.raises(SiteTokenInvalid):
        await _recheck(parts, scope(x_site_token="st_" + "x" * 43))
    with pytest.raises(NotSignedIn):
        await _recheck(parts, scope(cookie="lime_session=ended"))
    sessions.suspended = True
    with pytest.raises(OwnerSuspended):
        await _recheck(parts, scope(cookie="lime_session=good"))
