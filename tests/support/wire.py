"""The wire, spoken by hand: plain httpx, sockets and hashlib, and nothing of ours.

What the contract suite claims about the server must not depend on the SDKs, which could be wrong
in the same way.
"""

from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx

from tests.support.events import EventStream
from tests.support.puzzle import solve

PATIENCE = 20.0
"""Seconds for which a test waits for what was promised. Never reached when all is well."""


@dataclass(frozen=True)
class Owner:
    """Who answers for agents and sites."""

    owner_id: str


@dataclass(frozen=True)
class Agent:
    """An agent and its secret."""

    agent_id: str
    token: str = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """What proves it at the API (protocol section 2)."""
        return {"X-Agent-Token": self.token}


@dataclass(frozen=True)
class Site:
    """A site and its secret."""

    site_id: str
    token: str = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """What proves it at the API (protocol section 2)."""
        return {"X-Site-Token": self.token}


@dataclass(frozen=True)
class Browser:
    """A browser in which an owner is signed in, at a server on plain http."""

    owner: Owner
    session: str = field(repr=False)
    csrf: str = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """What proves it at the API (protocol section 2)."""
        cookies = f"lime_session={self.session}; lime_csrf={self.csrf}"
        return {"Cookie": cookies, "X-CSRF-Token": self.csrf}


class Wire:
    """The routes of the five steps on one server; every method returns the raw response."""

    def __init__(self, api_base: str) -> None:
        self.api_base = api_base
        self.http = httpx.Client(base_url=api_base, timeout=PATIENCE, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.http.close()

    def create(self, site: Site, body: object | None = None, **headers: str) -> httpx.Response:
        """Step 1."""
        return self.http.post(
            "/modules/agent-login/requests",
            json=body if body is not None else {},
            headers={**site.headers, **headers},
        )

    def challenge(self, request_id: str) -> httpx.Response:
        """Step 2."""
        return self.http.get(f"/auth/requests/{request_id}")

    def approve(self, agent: Agent, request_id: str, nonce: object) -> httpx.Response:
        """Step 4."""
        return self.http.post(
            f"/modules/agent-login/requests/{request_id}/approve",
            json={"pow_nonce": nonce},
            headers=agent.headers,
        )

    def approval(self, agent: Agent, request_id: str, nonce: str) -> httpx.Request:
        """Step 4, not sent yet."""
        path = f"/modules/agent-login/requests/{request_id}/approve"
        return self.http.build_request(
            "POST", path, json={"pow_nonce": nonce}, headers=agent.headers
        )

    def deny(self, agent: Agent, request_id: str) -> httpx.Response:
        """The agent's no."""
        return self.http.post(
            f"/modules/agent-login/requests/{request_id}/deny", json={}, headers=agent.headers
        )

    def view(self, site: Site, request_id: str, **query: object) -> httpx.Response:
        """The site's view of one request."""
        params = {key: str(value) for key, value in query.items()}
        return self.http.get(
            f"/modules/agent-login/requests/{request_id}", params=params, headers=site.headers
        )

    def acknowledge(self, site: Site, *event_ids: str) -> httpx.Response:
        """Section 5: the handler has returned."""
        return self.http.post(
            "/modules/agent-login/events/ack", json={"ids": list(event_ids)}, headers=site.headers
        )

    def jwks(self, **headers: str) -> httpx.Response:
        """The published keys."""
        return self.http.get("/core/.well-known/jwks.json", headers=headers)

    def events(self, site: Site, *, consumer: str | None = None) -> EventStream:
        """Section 5: an open event stream; the first heartbeat or event is not awaited."""
        return EventStream(self.api_base, site.headers, consumer=consumer)

    # Whole steps, for tests whose subject comes later.

    def new_request(self, site: Site, **body: object) -> str:
        """The id of a fresh request."""
        return str(data(self.create(site, body), 201)["login_request_id"])

    def solved(self, request_id: str) -> str:
        """A nonce for its challenge."""
        challenge = data(self.challenge(request_id))
        return solve(challenge["pow_challenge"], challenge["pow_difficulty"])

    def approved(self, agent: Agent, request_id: str) -> dict[str, Any]:
        """Steps 2 to 4."""
        return data(self.approve(agent, request_id, self.solved(request_id)))

    def login(self, agent: Agent, site: Site, **body: object) -> str:
        """Steps 1 to 4; the request's id."""
        request_id = self.new_request(site, **body)
        self.approved(agent, request_id)
        return request_id

    def passport(self, agent: Agent, site: Site, **body: object) -> str:
        """All five steps, the last one by long poll; the passport."""
        request_id = self.login(agent, site, **body)
        return str(data(self.view(site, request_id, wait=5))["agent_passport_jwt"])


def data(response: httpx.Response, status: int = 200) -> dict[str, Any]:
    """The data of a success envelope; anything else fails the test that asked."""
    body = response.json()
    assert response.status_code == status, (
        f"{response.request.method} {response.request.url.path}: {response.status_code} {body}"
    )
    assert body["ok"] is True
    assert set(body) == {"ok", "data"}
    found: dict[str, Any] = body["data"]
    return found


def refusal(response: httpx.Response) -> tuple[int, str]:
    """Status and code of an error envelope; anything else fails the test that asked."""
    body = response.json()
    assert set(body) == {"ok", "error"}, f"{response.status_code} {body}"
    assert body["ok"] is False
    assert set(body["error"]) <= {"code", "message", "detail"}
    assert body["error"]["message"]
    assert isinstance(body["error"].get("detail", {}), dict)
    return response.status_code, body["error"]["code"]
