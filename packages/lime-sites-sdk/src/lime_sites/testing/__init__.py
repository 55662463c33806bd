"""A fake LIME for the tests of programs that are sites: real signatures, no server, no network.

With pytest, take the fixture `fake_lime_for_sites`; a program's own `LimeSite()` then works as it
is:

    async def test_my_site_lets_an_agent_in(fake_lime_for_sites):
        login = await my_site.start_login()
        await fake_lime_for_sites.approve(login.request_id, agent_id="agent-7").handled()
        assert my_site.logged_in == {"agent-7"}

Elsewhere: `with FakeLime().mounted(): …`.
"""

from lime_sites.testing._bindings import FakeBinding
from lime_sites.testing._fake import FakeLime
from lime_sites.testing._records import FakeEvent, FakeLogin

__all__ = ["FakeBinding", "FakeEvent", "FakeLime", "FakeLogin"]
