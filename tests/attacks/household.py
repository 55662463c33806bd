"""An owner with one of everything."""

import base64
import json
import secrets
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.support.authenticator import Authenticator
from tests.support.deployment import Deployment
from tests.support.oauth_client import Desk
from tests.support.server import ServeServer
from tests.support.wire import Agent, Owner, Site, Wire, data

XSS = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
BACK = "https://shop.example/back"
NOBODYS = "01890000-0000-7000-8000-000000000000"
API = "/api/v1"
IDENTITY_CARD = {
    "name": "Identity card",
    "content_type": "application/pdf",
    "content_base64": base64.b64encode(b"%PDF-1.7 who I am").decode(),
}


class Household:
    """An owner who is signed in, with one of everything."""

    def __init__(self, deployment: Deployment, server: ServeServer) -> None:
        self.owner: Owner = deployment.owner()
        self.api_base = server.api_base
        self.browser = deployment.browser(self.owner)
        self.http = httpx.Client(
            base_url=server.api_base,
            headers=self.browser.headers,
            timeout=20,
            trust_env=False,
        )
        self.agent = data(self.post("/core/agents/register", {"display_name": XSS}), 201)
        site = {"display_name": XSS, "domain": "shop.example"}
        self.site = data(self.post("/foundation/sites/register", site), 201)
        uris = {"redirect_uris": [BACK]}
        data(self.http.put(f"/foundation/sites/{self.site['site_id']}/redirect-uris", json=uris))
        self.ids = {
            "agent_id": self.agent["agent_id"],
            "site_id": self.site["site_id"],
            "session_id": data(self.http.get("/foundation/sessions"))["items"][0]["session_id"],
            "owner_id": self.owner.owner_id,
            "binding_id": self._bound(),
            "grant_id": self._allowed(),
        }

    def post(self, path: str, body: object) -> httpx.Response:
        return self.http.post(path, json=body)

    def asked(self, **body: object) -> httpx.Response:
        """The site asks for a binding."""
        return self._as_site("requests", body)

    def _as_site(self, action: str, body: object) -> httpx.Response:
        token = {"X-Site-Token": self.site["site_token"]}
        url = f"{self.api_base}/modules/bindings/{action}"
        return httpx.post(url, json=body, headers=token, trust_env=False)

    def _bound(self) -> str:
        binding_id = str(data(self.asked(redirect_uri=BACK, state="s" * 32), 201)["binding_id"])
        agent = {"agent_id": self.agent["agent_id"]}
        back = data(self.post(f"/modules/bindings/requests/{binding_id}/approve", agent))
        code = parse_qs(urlsplit(back["redirect_to"]).query)["binding_code"][0]
        data(self._as_site("exchange", {"binding_code": code}))
        return binding_id

    def _allowed(self) -> str:
        agent_id = self.agent["agent_id"]
        capabilities = {"capabilities": ["oauth:mcp"]}
        data(self.http.put(f"/core/agents/{agent_id}/capabilities", json=capabilities))
        with Desk(self.api_base, self.browser) as desk:
            agent = Agent(agent_id, self.agent["agent_token"])
            desk.program(client_name=XSS[:100]).tokens(agent)
            return str(desk.grants()[0]["grant_id"])

    # More, for tests that ask for it: it would be in the way of others

    def make_passkey(self) -> str:
        """The id of a new passkey."""
        device = Authenticator(secrets.token_bytes(16), origin=self.api_base.removesuffix(API))
        options = data(self.post("/foundation/users/passkeys/options", {}))["options"]
        passkey = {"name": "Phone", "credential": device.create(options)}
        return str(data(self.post("/foundation/users/passkeys", passkey), 201)["id"])

    def ask_for_a_level(self) -> str:
        """The id of the KYC case that comes of it."""
        wish = {"target_level": 1, "documents": [IDENTITY_CARD]}
        return str(data(self.post("/foundation/kyc/cases", wish), 201)["case_id"])

    def let_the_agent_in(self) -> str:
        """The id of an event that the household's site has not been told of."""
        agent = Agent(self.agent["agent_id"], self.agent["agent_token"])
        with Wire(self.api_base) as wire:
            wire.login(agent, Site(self.site["site_id"], self.site["site_token"]))
        path = f"/foundation/sites/{self.ids['site_id']}/delivery"
        (event,) = data(self.http.get(path))["undelivered"]
        return str(event["event_id"])

    def everything(self) -> str:
        """All that the owner can see and a stranger could have changed."""
        agent, site = self.ids["agent_id"], self.ids["site_id"]
        seen = [
            f"/core/agents/{agent}",
            f"/core/agents/{agent}/tokens",
            f"/core/agents/{agent}/keys",
            f"/foundation/sites/{site}",
            f"/foundation/sites/{site}/tokens",
            f"/foundation/sites/{site}/logins",
            "/modules/bindings",
            "/modules/oauth/grants",
            "/foundation/kyc",
            "/foundation/audit",
            "/foundation/users/me",
        ]
        found = [data(self.http.get(path)) for path in seen]
        # Written now and then, when a token was used a while ago: nothing that anybody changes.
        return json.dumps(_without("last_used_at", found), sort_keys=True)

    def close(self) -> None:
        self.http.close()


def _without(name: str, value: object) -> object:
    if isinstance(value, dict):
        return {key: _without(name, one) for key, one in value.items() if key != name}
    return [_without(name, one) for one in value] if isinstance(value, list) else value
