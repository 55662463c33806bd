"""An owner with something on every page, made by the API in a second."""

import base64
from dataclasses import dataclass

from lime_agents import LimeAgentSync
from lime_sites import LimeSiteSync
from tests.portal import shop
from tests.portal.people import Person

# As wide as a name may be, without a place to break it; and one in another script.
LONG_NAME = "W" * 100
OTHER_SCRIPT = "夜の読者 🍋"

PDF = b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"


@dataclass(frozen=True)
class Household:
    """What an owner has."""

    owner_id: str
    agent_id: str
    site_id: str
    pending_binding_url: str
    case_id: str


def furnish(person: Person, api_base: str) -> Household:
    """Agents and sites with long names, logins of every kind, bindings, and a KYC case."""
    agent, other = (
        person.call("POST", "/core/agents/register", display_name=name, description=name * 3)
        for name in (LONG_NAME, OTHER_SCRIPT)
    )
    site = person.call("POST", "/foundation/sites/register", display_name=LONG_NAME)
    site_path = f"/foundation/sites/{site['site_id']}"
    person.call("POST", f"{site_path}/domain", domain="shop.example")
    far = f"{shop.CALLBACK}/{'a' * 200}"
    person.call("PUT", f"{site_path}/redirect-uris", redirect_uris=[shop.CALLBACK, far])
    person.call("PUT", f"/core/agents/{agent['agent_id']}/capabilities", capabilities=["oauth:mcp"])
    person.call("PATCH", f"/core/agents/{other['agent_id']}", active=False)
    made = person.call("POST", f"/core/agents/{agent['agent_id']}/tokens", overlap_seconds=3600)
    with (
        LimeSiteSync(site_token=site["site_token"], base_url=api_base) as at_the_site,
        LimeAgentSync(agent_token=made["agent_token"], base_url=api_base) as client,
    ):
        shop.log_in(at_the_site, client)
        client.deny(at_the_site.create_login_request().request_id)
        at_the_site.create_login_request()
        bound = at_the_site.create_binding_request(redirect_uri=shop.CALLBACK)
        person.call(
            "POST",
            f"/modules/bindings/requests/{bound.binding_id}/approve",
            agent_id=agent["agent_id"],
        )
        pending = at_the_site.create_binding_request(redirect_uri=far)
    case = person.call("POST", "/foundation/kyc/cases", target_level=2, documents=[document()])
    return Household(
        owner_id=person.call("GET", "/foundation/users/me")["user_id"],
        agent_id=agent["agent_id"],
        site_id=site["site_id"],
        pending_binding_url=pending.connect_url,
        case_id=case["case_id"],
    )


def document() -> dict[str, str]:
    """One that proves somebody."""
    return {
        "name": f"{'passport' * 11}.pdf",
        "content_type": "application/pdf",
        "content_base64": base64.b64encode(PDF).decode(),
    }
