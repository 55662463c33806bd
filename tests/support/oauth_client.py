"""OAuth clients that are driven by hand: plain httpx, and nothing of ours."""

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from tests.support.wire import PATIENCE, Agent, Browser, data

CALLBACK = "http://127.0.0.1:4180/callback"
RESOURCE = "https://mcp.shop.com/mcp"
STATE = "a state & more"


def challenge_of(verifier: str) -> str:
    """PKCE's S256 (RFC 7636, section 4.2)."""
    return (
        base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    )


def basic(user: str, secret: str) -> dict[str, str]:
    """HTTP Basic (RFC 7617)."""
    pair = base64.b64encode(f"{user}:{secret}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


def somewhere() -> dict[str, str]:
    """Where a request comes from, for servers that believe it: strangers are slowed down per
    network, and all tests are on loopback."""
    network = f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}"
    return {"X-Forwarded-For": f"{network}::1"}


def query_of(url: str) -> dict[str, str]:
    """The parameters that a browser carries, each of them once."""
    found = parse_qs(urlsplit(url).query, keep_blank_values=True)
    assert all(len(values) == 1 for values in found.values()), url
    return {name: values[0] for name, values in found.items()}


def oauth_error(answer: httpx.Response) -> tuple[int, str]:
    """Status and `error` of a refusal in OAuth's own form; anything else fails the test."""
    body = answer.json()
    assert body.keys() == {"error", "error_description"}, answer.text
    assert body["error_description"]
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    return answer.status_code, body["error"]


@dataclass
class Desk:
    """The endpoints of one authorization server, and the owner in front of a browser."""

    api_base: str
    browser: Browser
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.issuer = f"{self.api_base}/modules/oauth"
        self.http = httpx.Client(
            base_url=self.issuer,
            timeout=PATIENCE,
            trust_env=False,
            follow_redirects=False,
            headers=somewhere(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.http.close()

    def let(self, agent: Agent) -> Agent:
        """Grant an agent of this owner the capability."""
        path = f"{self.api_base}/core/agents/{agent.agent_id}/capabilities"
        body = {"capabilities": ["oauth:mcp"]}
        data(self.http.put(path, json=body, headers=self.browser.headers))
        return agent

    def register(self, **changes: object) -> httpx.Response:
        """A new client (RFC 7591), public unless `changes` say otherwise."""
        facts: dict[str, object] = {
            "client_name": "Tool",
            "redirect_uris": [CALLBACK],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
        }
        return self.http.post("/register", json=facts | changes)

    def program(self, **changes: object) -> "Program":
        """A client that could register."""
        answer = self.register(**changes)
        assert answer.status_code == 201, answer.text
        return Program(self, answer.json())

    def token(self, form: dict[str, str], headers: dict[str, str] | None = None) -> httpx.Response:
        """A form at the token endpoint."""
        return self.http.post("/token", data=form, headers=headers)

    def short(self, agent: Agent, domain: object) -> httpx.Response:
        """The short form (protocol section 8)."""
        return self.http.post("/token", json={"domain": domain}, headers=agent.headers)

    def grants(self) -> list[dict[str, Any]]:
        """What this owner has allowed."""
        found: list[dict[str, Any]] = data(self.http.get("/grants", headers=self.browser.headers))[
            "items"
        ]
        return found

    def introspected(self, token: str, headers: dict[str, str]) -> dict[str, Any]:
        """RFC 7662."""
        found: dict[str, Any] = self.http.post(
            "/introspect", data={"token": token}, headers=headers
        ).json()
        return found


@dataclass
class Program:
    """A registered client, and what it remembers between its requests."""

    desk: Desk
    facts: dict[str, Any]
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    @property
    def client_id(self) -> str:
        """What it was given."""
        return str(self.facts["client_id"])

    def request(self, **changes: str | None) -> dict[str, str]:
        """An authorization request (OAuth 2.1, section 4.1.1); None leaves a parameter out."""
        facts: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": CALLBACK,
            "state": STATE,
            "scope": "mcp",
            "resource": RESOURCE,
            "code_challenge": challenge_of(self.verifier),
            "code_challenge_method": "S256",
        }
        return {name: value for name, value in (facts | changes).items() if value is not None}

    def opens(self, more: str = "", /, **changes: str | None) -> httpx.Response:
        """A browser at the authorization endpoint; `more` is added to the query as it is."""
        return self.desk.http.get(f"/authorize?{urlencode(self.request(**changes))}{more}")

    def allowed(self, agent: Agent, **changes: str | None) -> httpx.Response:
        """The owner's answer."""
        body = {"request": self.request(**changes), "agent_id": agent.agent_id}
        return self.desk.http.post("/consent", json=body, headers=self.desk.browser.headers)

    def code(self, agent: Agent, **changes: str | None) -> str:
        """A code that the browser brought."""
        return query_of(data(self.allowed(agent, **changes))["redirect_to"])["code"]

    def exchange(self, code: str, **changes: str | None) -> dict[str, str]:
        """The form that exchanges it."""
        form: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "client_id": self.client_id,
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": self.verifier,
            "resource": RESOURCE,
        }
        return {name: value for name, value in (form | changes).items() if value is not None}

    def refresh(self, refresh_token: str, **changes: str) -> dict[str, str]:
        """The form that asks for the next token."""
        return {
            "grant_type": "refresh_token",
            "client_id": self.client_id,
            "refresh_token": refresh_token,
            **changes,
        }

    def tokens(self, agent: Agent) -> dict[str, Any]:
        """From consent to tokens."""
        answer = self.desk.token(self.exchange(self.code(agent)))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found
