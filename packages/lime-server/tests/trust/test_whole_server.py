"""A whole server: what operators and providers decide reaches agents, sites and passports."""

import json
import secrets
from contextlib import asynccontextmanager

import httpx
import pytest

import lime_jwt
import lime_pow
from lime_server.composition import build, open_parts
from lime_server.core.clock import SystemClock
from lime_server.infrastructure.kyc import sign_callback
from lime_server.settings import Settings

ORIGIN = "http://127.0.0.1:8000"
REQUESTS = "/modules/agent-login/requests"
SECRET = "a secret of thirty-two characters"


@pytest.fixture
def settings(migrated_postgres_url):
    return Settings(
        public_url=ORIGIN,
        database_url=migrated_postgres_url,
        master_key=secrets.token_hex(32),
        difficulty=1,
        access_log=False,
        kyc_provider="scripted",
        kyc_webhook_secret=SECRET,
    )


@asynccontextmanager
async def server(settings):
    async with open_parts(settings) as parts:
        app = build(parts)
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url=f"{ORIGIN}/api/v1") as client,
        ):
            yield parts, client


async def signed_in(parts, owner):
    made = await parts.sessions.begin(owner)
    cookies = {parts.sessions.rules.cookie: made.token.text, "lime_csrf": made.csrf}
    return {
        "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
        "X-CSRF-Token": made.csrf,
        "Origin": ORIGIN,
    }


async def approved(api, agent, site):
    """The path of a login request that this agent approved."""
    made = (await api.post(REQUESTS, headers=site)).json()["data"]["login_request_id"]
    puzzle = (await api.get(f"/auth/requests/{made}")).json()["data"]
    nonce = lime_pow.Solver(puzzle["pow_challenge"], 1).advance(1_000_000)
    path = f"{REQUESTS}/{made}"
    answer = await api.post(f"{path}/approve", json={"pow_nonce": nonce}, headers=agent)
    assert answer.status_code == 200, answer.text
    return path, made


async def test_levels_reach_passports_and_suspensions_stop_them(settings):
    async with server(settings) as (parts, api):
        operator = await parts.operators.create("ops@example.com")
        owner = await parts.owners.create("ada@example.com")
        landlord = await parts.owners.create("bob@example.com")
        agent, agent_token = await parts.agents.register(owner.owner_id, "Agent")
        _, site_token = await parts.sites.register(landlord.owner_id, "Site")
        worker = {"X-Agent-Token": agent_token.text}
        site = {"X-Site-Token": site_token.text}
        ada, ops = await signed_in(parts, owner), await signed_in(parts, operator)

        # 1. The owner becomes known, by a signed webhook.
        made = await api.post("/foundation/kyc/cases", json={"target_level": 2}, headers=ada)
        case = await parts.kyc.case(made.json()["data"]["case_id"])
        said = {"event_id": "e1", "reference": case.reference, "outcome": "approved"}
        body = json.dumps(said).encode()
        signature = sign_callback(SECRET.encode(), body, SystemClock().now())
        answer = await api.post(
            "/foundation/kyc/webhooks/scripted",
            content=body,
            headers={"Content-Type": "application/json", "X-Kyc-Signature": signature},
        )
        assert answer.status_code == 200, answer.text

        # 2. The next passport says so.
        path, request_id = await approved(api, worker, site)
        seen = (await api.get(f"{path}?wait=1", headers=site)).json()["data"]
        claims = lime_jwt.verify(
            seen["agent_passport_jwt"],
            keys=lime_jwt.JwkSet.parse(parts.ring.jwks.body, issuer=ORIGIN),
            expect=lime_jwt.Expectation.login(request_id=request_id),
            now=int(SystemClock().now().timestamp()),
        )
        assert (claims["sub"], claims["kyc_level"]) == (agent.agent_id, 2)

        # 3. The agent is suspended: no passport for what was approved, and its next call is 403.
        path, _ = await approved(api, worker, site)
        console = "/foundation/operator"
        where = f"{console}/agents/{agent.agent_id}"
        done = await api.post(f"{where}/suspend", json={"reason": "Spam."}, headers=ops)
        assert done.status_code == 200, done.text
        seen = (await api.get(f"{path}?wait=1", headers=site)).json()["data"]
        assert seen.get("agent_passport_jwt") is None
        refused = await api.get("/core/agents/me/profile", headers=worker)
        assert refused.json()["error"]["code"] == "AGENT_INACTIVE"
        await api.post(f"{where}/restore", json={"reason": "Mistake."}, headers=ops)
        assert (await api.get("/core/agents/me/profile", headers=worker)).status_code == 200

        # 4. The owner, then the site.
        where = f"{console}/owners/{owner.owner_id}"
        await api.post(f"{where}/suspend", json={"reason": "Spam."}, headers=ops)
        refused = await api.get("/core/agents/me/profile", headers=worker)
        assert refused.json()["error"]["code"] == "AGENT_USER_SUSPENDED"
        assert (await api.get("/foundation/audit", headers=ada)).status_code == 403
        where = f"{console}/owners/{landlord.owner_id}"
        await api.post(f"{where}/suspend", json={"reason": "Spam."}, headers=ops)
        refused = await api.post(REQUESTS, headers=site)
        assert refused.json()["error"]["code"] == "SITE_SUSPENDED"

        # 5. All of it is in the log, and the log is whole.
        found = await parts.audit.verify()
        assert (found.chains, found.flaws) == (3, [])
        log = [entry.action async for entry in parts.audit.entries(owner.owner_id)]
        assert log[:3] == ["kyc.case.opened", "kyc.case.approved", "kyc.level.changed"]
        assert log[-3:] == ["agent.suspended", "agent.restored", "owner.suspended"]


async def test_the_document_that_describes_the_api_knows_all_of_it(settings):
    manual = Settings(
        **settings.model_dump() | {"kyc_provider": "manual", "kyc_webhook_secret": None}
    )
    async with server(manual) as (parts, api):
        assert parts.kyc.takes_documents
        paths = (await api.get(f"{ORIGIN}/openapi.json")).json()["paths"]
        for path in ("audit/export", "kyc/cases", "operator/sites/{ident}/restore"):
            assert f"/api/v1/foundation/{path}" in paths
        operations = [one["operationId"] for path in paths.values() for one in path.values()]
        assert len(operations) == len(set(operations))
