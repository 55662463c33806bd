"""A fake LIME for the tests of programs that are agents: no server, no network, milliseconds.

It is a small real implementation of what an agent sees (protocol section 3): it makes challenges,
checks the proof of work, knows the states of a login, and can be told to misbehave. With pytest,
take the fixture `fake_lime_for_agents`:

    def test_my_worker_logs_in(fake_lime_for_agents):
        login = fake_lime_for_agents.new_login(domain="shop.example")
        my_worker.handle(login.request_id)
        assert login.status == "DELIVERED"

Elsewhere: `with FakeLime().mounted(): …`, or pass `fake.transport` to an httpx client of your own.
"""

from __future__ import annotations

import json
import secrets
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx

from lime_agents._agent import LimeAgent, LimeAgentSync
from lime_agents._types import AgentProfile, LoginSite
from lime_pow import LimePowError, check, new_challenge
from lime_sdk_core import mount

__all__ = ["FakeLime", "FakeLogin"]

#: Difficulty of the fake's challenges: 256 attempts on average, next to nothing.
EASY = 8

#: Life of a login request (protocol section 10).
LIFETIME = timedelta(seconds=300)


@dataclass(slots=True)
class FakeLogin:
    """A login request at the fake, to look at and to change.

    Attributes:
        request_id: What the program under test gets.
        site: The site that asks.
        challenge: The puzzle.
        difficulty: Its difficulty in bits.
        status: `PENDING`, `APPROVED`, `DELIVERED`, `DENIED` or `EXPIRED`.
        approved_agent_id: The agent that approved, if one did.
        expires_at: When the request ends.
    """

    request_id: str
    site: LoginSite
    challenge: str
    difficulty: int
    status: str = "PENDING"
    approved_agent_id: str | None = None
    expires_at: datetime = field(default_factory=lambda: datetime.now(UTC) + LIFETIME)

    def expire(self) -> None:
        """Let the request's time run out."""
        self.status = "EXPIRED"

    def deny(self) -> None:
        """Deny the request, as somebody else would."""
        self.status = "DENIED"


class FakeLime:
    """What an agent sees of LIME.

    Attributes:
        base_url: Its API base. The name never resolves (RFC 6761), so nothing leaves the process.
        agent_token: The token that it accepts.
        profile: The agent that the token belongs to.
        logins: All login requests, by id.
        calls: Method and path of every request so far, for assertions.
        transport: An httpx transport that ends here, for clients of your own.
    """

    base_url = "https://fake-lime.invalid/api/v1"

    def __init__(self) -> None:
        self.agent_token = f"at_{secrets.token_urlsafe(32)}"
        self.profile = AgentProfile(str(uuid4()), str(uuid4()), "Test agent", None, None)
        self.logins: dict[str, FakeLogin] = {}
        self.calls: list[tuple[str, str]] = []
        self.transport = httpx.MockTransport(self._answer)
        self._refusal: tuple[int, str] | None = None
        self._planned: list[httpx.Response | None] = []

    def new_login(
        self,
        *,
        domain: str | None = "site.example",
        display_name: str = "Example site",
        domain_verified: bool = True,
        difficulty: int = EASY,
    ) -> FakeLogin:
        """Make a login request, as a site would."""
        site = LoginSite(str(uuid4()), display_name, domain, domain_verified)
        login = FakeLogin(str(uuid4()), site, new_challenge(secrets.token_bytes(32)), difficulty)
        self.logins[login.request_id] = login
        return login

    def agent(self, **options: Any) -> LimeAgent:
        """Return a client of this fake; `options` as for `LimeAgent`."""
        client = httpx.AsyncClient(transport=self.transport)
        return LimeAgent(
            agent_token=self.agent_token, base_url=self.base_url, http_client=client, **options
        )

    def agent_sync(self, **options: Any) -> LimeAgentSync:
        """Return a blocking client of this fake; `options` as for `LimeAgentSync`."""
        client = httpx.Client(transport=self.transport)
        return LimeAgentSync(
            agent_token=self.agent_token, base_url=self.base_url, http_client=client, **options
        )

    def mounted(self) -> AbstractContextManager[None]:
        """Let every agent made with this fake's `base_url` end here while the context is open."""
        return mount(self.base_url, self.transport)

    def switch_agent_off(self) -> None:
        """From now on the agent is inactive."""
        self._refusal = (403, "AGENT_INACTIVE")

    def suspend_owner(self) -> None:
        """From now on the agent's owner is suspended."""
        self._refusal = (403, "AGENT_USER_SUSPENDED")

    def forget_agent(self) -> None:
        """From now on the token is unknown."""
        self._refusal = (401, "INVALID_AGENT_TOKEN")

    def rate_limit(self, *, times: int = 1, retry_after: int = 1) -> None:
        """Turn the next `times` requests away, asking for `retry_after` seconds of patience."""
        headers = {"Retry-After": str(retry_after)}
        self.fail(429, "RATE_LIMIT_EXCEEDED", times=times, headers=headers)

    def fail(
        self, status: int, code: str, *, times: int = 1, headers: dict[str, str] | None = None
    ) -> None:
        """Answer the next `times` requests with an error."""
        # One for each: an answer that was read by one kind of client is nothing for the other.
        self._planned += [_error(status, code, headers) for _ in range(times)]

    def lose_answers(self, *, times: int = 1) -> None:
        """Perform the next `times` requests, but let the connection end before the answer comes."""
        self._planned += [None] * times

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/v1")
        self.calls.append((request.method, path))
        if not self._planned:
            return self._route(request, path)
        planned = self._planned.pop(0)
        if planned is not None:
            return planned
        self._route(request, path)
        raise httpx.ReadError("the connection ended", request=request)

    def _route(self, request: httpx.Request, path: str) -> httpx.Response:
        match request.method, path.split("/")[1:]:
            case "GET", ["auth", "requests", request_id]:
                return self._challenge(request_id)
            case "GET", ["core", "agents", "me", "profile"]:
                return self._refuse(request) or self._profile()
            case "POST", ["modules", "agent-login", "requests", request_id, "approve"]:
                return self._refuse(request) or self._approve(request_id, _nonce(request))
            case "POST", ["modules", "agent-login", "requests", request_id, "deny"]:
                return self._refuse(request) or self._deny(request_id)
        return _error(404, "NOT_FOUND")

    def _refuse(self, request: httpx.Request) -> httpx.Response | None:
        token = request.headers.get("x-agent-token")
        if token is None:
            return _error(401, "MISSING_AGENT_TOKEN")
        if token != self.agent_token:
            return _error(401, "INVALID_AGENT_TOKEN")
        return _error(*self._refusal) if self._refusal is not None else None

    def _challenge(self, request_id: str) -> httpx.Response:
        login = self.logins.get(request_id)
        if login is None or login.status != "PENDING":
            return _error(404, "SITE_LOGIN_REQUEST_NOT_FOUND")
        site = login.site
        return _ok(
            pow_challenge=login.challenge,
            pow_difficulty=login.difficulty,
            pow_algorithm="sha256",
            expires_at=login.expires_at.isoformat(),
            site={
                "site_id": site.site_id,
                "display_name": site.display_name,
                "domain": site.domain,
                "domain_verified": site.domain_verified,
            },
        )

    def _approve(self, request_id: str, nonce: str | None) -> httpx.Response:
        login = self.logins.get(request_id)
        if login is None or login.status in {"DENIED", "EXPIRED"}:
            return _error(404, "SITE_LOGIN_REQUEST_NOT_FOUND")
        if login.status == "PENDING":
            if nonce is None:
                return _error(400, "MISSING_POW_NONCE")
            try:
                check(login.challenge, nonce, login.difficulty)
            except LimePowError:
                return _error(400, "INVALID_POW")
            # Nobody reads the stream of a fake: the site has its passport at once.
            login.status, login.approved_agent_id = "DELIVERED", self.profile.agent_id
        elif login.approved_agent_id != self.profile.agent_id:
            return _error(404, "SITE_LOGIN_REQUEST_NOT_FOUND")
        return _outcome(login)

    def _deny(self, request_id: str) -> httpx.Response:
        login = self.logins.get(request_id)
        # Denying twice is the same answer, as the idempotency key of the second promises.
        if login is None or login.status not in {"PENDING", "DENIED"}:
            return _error(404, "SITE_LOGIN_REQUEST_NOT_FOUND")
        login.status = "DENIED"
        return _outcome(login)

    def _profile(self) -> httpx.Response:
        return _ok(
            agent_id=self.profile.agent_id,
            user_id=self.profile.owner_id,
            display_name=self.profile.display_name,
            avatar_url=self.profile.avatar_url,
            description=self.profile.description,
        )


def _outcome(login: FakeLogin) -> httpx.Response:
    return _ok(
        request_id=login.request_id,
        site_id=login.site.site_id,
        status=login.status,
        expires_at=login.expires_at.isoformat(),
        approved_agent_id=login.approved_agent_id,
    )


def _nonce(request: httpx.Request) -> str | None:
    try:
        body = json.loads(request.content)
    except ValueError:
        return None
    nonce = body.get("pow_nonce") if isinstance(body, dict) else None
    return nonce if isinstance(nonce, str) else None


def _ok(**data: object) -> httpx.Response:
    return httpx.Response(200, json={"ok": True, "data": data}, headers=_request_id())


def _error(status: int, code: str, headers: dict[str, str] | None = None) -> httpx.Response:
    body = {"ok": False, "error": {"code": code, "message": f"The fake LIME says {code}."}}
    return httpx.Response(status, json=body, headers=_request_id() | (headers or {}))


def _request_id() -> dict[str, str]:
    return {"X-Request-Id": uuid4().hex}
