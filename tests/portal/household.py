"""An owner with something on every page, made by the API in a second."""

import base64
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from lime_agents import LimeAgentSync
from lime_sites import LimeSiteSync
from tests.portal import program, shop
from tests.portal.people import Person

LONG_NAME = "W" * 100
"""As wide as a name may be, without a place to break it."""
FOREIGN_NAME = "قارئ الليل <img src=/x onerror=alert(1)><script>alert(2)</script>"
"""In another script, and with one in it: a browser that took it for markup would be noticed by `Watch`."""

LONG_KEY = program.PUBLIC_JWK | {"kid": "k" * 128}

PDF = b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"


@dataclass(frozen=True)
class Household:
    """What an owner has."""

    owner_id: str
    agent_id: str
    long_agent_id: str
    foreign_agent_id: str
    site_id: str
    long_site_id: str
    pending_binding_url: str
    """Asked for by the site with the long name."""
    pending_consent: str
    """Asked for by a program with the long name."""
    consent_again: str
    """Asked for by one that was allowed before."""
    case_id: str


def furnish(person: Person, api_base: str) -> Household:
    """Agents and sites, logins of every kind, bindings, programs, keys, and a KYC case."""
    agent, long_agent, foreign_agent = (
        person.call("POST", "/core/agents/register", display_name=name, description=f"{name}. " * 3)
        for name in ("Night reader", LONG_NAME, FOREIGN_NAME)
    )
    site, long_site, _ = (
        person.call("POST", "/foundation/sites/register", display_name=name)
        for name in ("Corner shop", LONG_NAME, FOREIGN_NAME)
    )
    far = f"{shop.CALLBACK}/{'a' * 200}"
    for one in (site, long_site):
        path = f"/foundation/sites/{one['site_id']}"
        person.call("POST", f"{path}/domain", domain="shop.example")
        person.call("PUT", f"{path}/redirect-uris", redirect_uris=[shop.CALLBACK, far])
    agent_path = f"/core/agents/{agent['agent_id']}"
    person.call("PUT", f"{agent_path}/capabilities", capabilities=["oauth:mcp"])
    person.call("PUT", f"{agent_path}/keys", keys=[program.PUBLIC_JWK, LONG_KEY])
    foreign_program, long_program = (
        program.install(person, api_base, name) for name in (FOREIGN_NAME, LONG_NAME)
    )
    for asking in (foreign_program, long_program):
        request = asking.request(resource=f"{program.TOOLS}/{'a' * 200}")
        consent = {"request": request, "agent_id": agent["agent_id"]}
        person.call("POST", "/modules/oauth/consent", **consent)
    rotated = person.call("POST", f"{agent_path}/tokens", overlap_seconds=3600)
    person.call("PATCH", f"/core/agents/{long_agent['agent_id']}", active=False)
    with (
        LimeSiteSync(site_token=site["site_token"], base_url=api_base) as at_the_site,
        LimeSiteSync(site_token=long_site["site_token"], base_url=api_base) as at_the_long_site,
        LimeAgentSync(agent_token=rotated["agent_token"], base_url=api_base) as client,
        LimeAgentSync(agent_token=foreign_agent["agent_token"], base_url=api_base) as foreigner,
    ):
        for one in (client, foreigner):
            shop.log_in(at_the_site, one)
        shop.log_in(at_the_long_site, client)
        client.deny(at_the_site.create_login_request().request_id)
        at_the_site.create_login_request()
        for where, who in ((at_the_site, agent), (at_the_long_site, foreign_agent)):
            asked = where.create_binding_request(redirect_uri=shop.CALLBACK)
            answer = f"/modules/bindings/requests/{asked.binding_id}/approve"
            back = person.call("POST", answer, agent_id=who["agent_id"])["redirect_to"]
            code = parse_qs(urlsplit(back).query)["binding_code"][0]
            where.exchange_binding_code(
                code, expected_binding_id=asked.binding_id, state=asked.state
            )
        pending = at_the_long_site.create_binding_request(redirect_uri=far)
    case = person.call("POST", "/foundation/kyc/cases", target_level=2, documents=[document()])
    return Household(
        owner_id=person.call("GET", "/foundation/users/me")["user_id"],
        agent_id=agent["agent_id"],
        long_agent_id=long_agent["agent_id"],
        foreign_agent_id=foreign_agent["agent_id"],
        site_id=site["site_id"],
        long_site_id=long_site["site_id"],
        pending_binding_url=pending.connect_url,
        pending_consent=long_program.is_asked_about_at(resource=""),
        consent_again=foreign_program.is_asked_about_at(resource=f"{program.TOOLS}/{'a' * 200}"),
        case_id=case["case_id"],
    )


def document() -> dict[str, str]:
    """One that proves somebody."""
    return {
        "name": f"{'passport' * 11}.pdf",
        "content_type": "application/pdf",
        "content_base64": base64.b64encode(PDF).decode(),
    }
