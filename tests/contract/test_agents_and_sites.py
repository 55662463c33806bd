"""Protocol section 7: what an agent and a site can learn about themselves."""

from tests.contract.promises import promise
from tests.support.deployment import Deployment
from tests.support.wire import Wire, data


@promise("agents:profile")
def test_an_agent_reads_its_own_profile(wire: Wire, deployment: Deployment) -> None:
    owner = deployment.owner()
    agent = deployment.agent(owner=owner, display_name="Shopper")
    profile = data(wire.http.get("/core/agents/me/profile", headers=agent.headers))
    assert set(profile) == {"agent_id", "user_id", "display_name", "avatar_url", "description"}
    assert profile["agent_id"] == agent.agent_id
    assert profile["user_id"] == owner.owner_id
    assert profile["display_name"] == "Shopper"


@promise("sites:me")
def test_a_site_learns_its_own_id(wire: Wire, deployment: Deployment) -> None:
    site = deployment.site(display_name="Corner Shop", domain="shop.example")
    assert data(wire.http.get("/foundation/sites/me", headers=site.headers)) == {
        "site_id": site.site_id,
        "display_name": "Corner Shop",
        "domain": "shop.example",
        "domain_verified": False,
    }
