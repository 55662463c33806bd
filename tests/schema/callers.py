"""Those who call the API here, and the ids of what they may do things to."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.support.deployment import Deployment
from tests.support.wire import PATIENCE, Agent, Browser, Owner, Site, Wire, data

BACK = "https://shop.example/back"
PNG = "iVBORw0KGgo="
"""How every PNG begins, in base64, which is all that is looked at."""
SPARE = 4
"""Of each kind that can be used up."""


class Callers:
    """An operator in a browser; and an agent and a site of somebody else, whose tokens nobody here can take away."""

    def __init__(self, deployment: Deployment, api_base: str) -> None:
        self._deployment = deployment
        self._api_base = api_base
        self.operator = deployment.operator()
        self.browser = deployment.browser(self.operator)
        self.agent = deployment.agent()
        self.site = deployment.site()
        deployment.let_return_to(self.site, BACK)

    def another_browser(self) -> Browser:
        """One whose session may end, of an owner with another session that may end as well."""
        owner = self._deployment.owner()
        self._deployment.browser(owner)
        return self._deployment.browser(owner)

    def ids(self) -> dict[str, list[Any]]:
        """For each parameter of a path, some values that mean something."""
        with Wire(self._api_base) as wire:
            waiting = [wire.new_request(self.site) for _ in range(SPARE)]
        with self._client(self.browser) as http:
            agents = [self._agent(http) for _ in range(SPARE)]
            sites = [self._site(http) for _ in range(SPARE)]
            case = self._case(http)
            bindings = [self._bound(http, agents[0]), *(self._asked() for _ in range(SPARE))]
            session = data(http.get("/foundation/sessions"))["items"][0]["session_id"]
        return {
            "agent_id": agents,
            "site_id": [site.site_id for site in sites],
            "owner_id": [self.operator.owner_id],
            "session_id": [session],
            "request_id": waiting,
            "event_id": self._events(sites[0]),
            "binding_id": bindings,
            "case_id": [case],
            "number": [1],
        }

    def victims(self) -> dict[str, list[str]]:
        """What may be suspended: ids by the word in the path."""
        owner: Owner = self._deployment.owner()
        agent = self._deployment.agent(owner=owner)
        return {
            "owners": [owner.owner_id],
            "agents": [agent.agent_id],
            "sites": [self._deployment.site().site_id],
        }

    def doomed(self) -> dict[str, list[str]]:
        """What may be deleted: ids by the word in the path."""
        with self._client(self.browser) as http:
            return {
                "agents": [self._agent(http) for _ in range(SPARE)],
                "sites": [self._site(http).site_id for _ in range(SPARE)],
            }

    def _client(self, browser: Browser) -> httpx.Client:
        return httpx.Client(
            base_url=self._api_base, headers=browser.headers, timeout=PATIENCE, trust_env=False
        )

    def _agent(self, http: httpx.Client) -> str:
        made = data(http.post("/core/agents/register", json={"display_name": "Agent"}), 201)
        return str(made["agent_id"])

    def _site(self, http: httpx.Client) -> Site:
        made = data(http.post("/foundation/sites/register", json={"display_name": "Site"}), 201)
        return Site(made["site_id"], made["site_token"])

    def _case(self, http: httpx.Client) -> str:
        document = {"name": "Passport", "content_type": "image/png", "content_base64": PNG}
        body = {"target_level": 1, "documents": [document]}
        return str(data(http.post("/foundation/kyc/cases", json=body), 201)["case_id"])

    def _events(self, site: Site) -> list[str]:
        with Wire(self._api_base) as wire:
            return [wire.login(self.agent, site) for _ in range(SPARE)]

    def _asked(self) -> str:
        return str(self._as_site("requests", {"redirect_uri": BACK}, 201)["binding_id"])

    def _bound(self, http: httpx.Client, agent_id: str) -> str:
        binding_id = self._asked()
        path = f"/modules/bindings/requests/{binding_id}/approve"
        back = data(http.post(path, json={"agent_id": agent_id}))
        code = parse_qs(urlsplit(back["redirect_to"]).query)["binding_code"][0]
        self._as_site("exchange", {"binding_code": code})
        return binding_id

    def _as_site(self, action: str, body: object, status: int = 200) -> dict[str, Any]:
        url = f"{self._api_base}/modules/bindings/{action}"
        answer = httpx.post(url, json=body, headers=self.site.headers, trust_env=False)
        return data(answer, status)


def proofs(agent: Agent, site: Site, browser: Browser) -> dict[str, str]:
    """What each security scheme of the document takes."""
    return {
        "AgentToken": agent.token,
        "SiteToken": site.token,
        "OwnerSession": browser.session,
        "CsrfToken": browser.csrf,
        "CsrfCookie": browser.csrf,
    }
