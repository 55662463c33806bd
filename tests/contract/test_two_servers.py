"""Protocol section 5: a thousand logins through two server processes on one database."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator

import httpx

from tests.contract.promises import promise
from tests.support.deployment import ONLY_THE_BELL, Deployment
from tests.support.puzzle import solve
from tests.support.tokens import read
from tests.support.wire import Agent, Site, Wire, data

LOGINS = 1000
AT_ONCE = 16
EVENTS = "/modules/agent-login/events"


@promise("delivery:two-servers")
async def test_a_thousand_logins_through_two_servers_are_each_delivered_to_their_own_site(
    deployment: Deployment,
) -> None:
    sites = [deployment.site() for _ in range(4)]
    agents = deployment.agents(4)
    with deployment.pair() as servers:
        limits = httpx.Limits(max_connections=None)
        clients = [
            httpx.AsyncClient(base_url=each.api_base, timeout=40, limits=limits) for each in servers
        ]
        # Each site has one worker at each server: both are leased events of the same site.
        received: dict[str, dict[str, str]] = {site.site_id: {} for site in sites}
        made: dict[str, set[str]] = {site.site_id: set() for site in sites}
        repeats: Counter[str] = Counter()
        listeners = [
            asyncio.create_task(
                _listen(http, site, f"worker-{number}", received[site.site_id], repeats)
            )
            for site in sites
            for number, http in enumerate(clients)
        ]
        work = iter(range(LOGINS))
        await asyncio.gather(*(_log_in(clients, sites, agents, work, made) for _ in range(AT_ONCE)))
        await _all_there(listeners, received, made)
        for listener in listeners:
            listener.cancel()
        await asyncio.gather(*listeners, return_exceptions=True)
        jwks = (await clients[0].get("/core/.well-known/jwks.json")).json()
        for http in clients:
            await http.aclose()
    agent_ids = {agent.agent_id for agent in agents}
    for site in sites:
        assert set(received[site.site_id]) == made[site.site_id]
        for request_id, passport in received[site.site_id].items():
            claims = read(passport, jwks)
            assert (claims["request_id"], claims["site_id"]) == (request_id, site.site_id)
            assert claims["sub"] in agent_ids
    # At least once, and nearly always exactly once: a lease keeps an event from the other worker.
    assert sum(repeats.values()) < LOGINS / 20


@promise("delivery:bell")
def test_what_one_server_decides_is_heard_at_the_other(
    deployment: Deployment, agent: Agent, site: Site
) -> None:
    with (
        deployment.pair(**ONLY_THE_BELL) as (left, right),
        Wire(left.api_base) as here,
        Wire(right.api_base) as there,
        there.events(site) as everything,
        there.events(site, consumer="worker") as shared,
    ):
        for _ in range(3):
            request_id = here.login(agent, site)
            frame = everything.of(request_id)
            assert shared.of(request_id).id == frame.id
            # Acknowledged where it was not sent from.
            data(here.acknowledge(site, frame.id or ""))
            assert data(there.view(site, request_id))["status"] == "DELIVERED"


async def _log_in(
    clients: list[httpx.AsyncClient],
    sites: list[Site],
    agents: list[Agent],
    work: Iterator[int],
    made: dict[str, set[str]],
) -> None:
    """Steps 1 to 4, again and again, each at the server that the step before did not use."""
    for number in work:
        site, agent = sites[number % len(sites)], agents[number % len(agents)]
        one, two = clients[number % 2], clients[(number + 1) % 2]
        created = data(
            await one.post("/modules/agent-login/requests", json={}, headers=site.headers), 201
        )
        request_id = created["login_request_id"]
        challenge = data(await two.get(f"/auth/requests/{request_id}"))
        nonce = solve(challenge["pow_challenge"], challenge["pow_difficulty"])
        path = f"/modules/agent-login/requests/{request_id}/approve"
        data(await one.post(path, json={"pow_nonce": nonce}, headers=agent.headers))
        made[site.site_id].add(request_id)


async def _listen(
    http: httpx.AsyncClient,
    site: Site,
    consumer: str,
    received: dict[str, str],
    repeats: Counter[str],
) -> None:
    """Step 5, for ever: read, keep, acknowledge."""
    async with http.stream(
        "GET", EVENTS, params={"consumer": consumer}, headers=site.headers
    ) as response:
        assert response.status_code == 200
        event_id = ""
        async for line in response.aiter_lines():
            if line.startswith("id:"):
                event_id = line.removeprefix("id:").strip()
            if not line.startswith("data:"):
                continue
            frame = json.loads(line.removeprefix("data:"))
            if frame["type"] != "approved":
                continue
            if frame["login_request_id"] in received:
                repeats[frame["login_request_id"]] += 1
            received[frame["login_request_id"]] = frame["agent_passport_jwt"]
            data(await http.post(f"{EVENTS}/ack", json={"ids": [event_id]}, headers=site.headers))


async def _all_there(
    listeners: list[asyncio.Task[None]],
    received: dict[str, dict[str, str]],
    made: dict[str, set[str]],
) -> None:
    """Until every login has arrived; a listener that fails says so at once."""

    async def watch() -> None:
        while any(set(received[site]) < made[site] for site in made):
            for listener in listeners:
                if listener.done():
                    listener.result()
            await asyncio.sleep(0.05)

    await asyncio.wait_for(watch(), 60)
