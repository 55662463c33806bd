"""The clients in the wild, unchanged, against our server: a login, a refusal, an expiry, a reconnect, a binding."""

import subprocess
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.deployment import Deployment, eventually
from tests.support.server import DevServer
from tests.support.wire import Wire, data
from tests.wild_clients.conftest import Program, environment

Refusals = dict[str, tuple[str, str | None, int | None]]


def test_it_is_the_published_clients_that_run(wild_python: str) -> None:
    script = (
        "import importlib.metadata as m, lime_agents, lime_sites\n"
        "assert m.version('lime-agents-sdk') == '3.0.2' and m.version('lime-sites-sdk') == '2.0.6'\n"
        "assert not [d for d in m.distributions() if d.name in ('lime-sdk-core', 'lime-pow', 'lime-jwt', 'lime-server')]\n"
    )
    subprocess.run([wild_python, "-I", "-c", script], check=True)


def test_a_login_with_an_unconfigured_server(wild_python: str, tmp_path: Path) -> None:
    with DevServer(tmp_path) as server:
        tokens = server.ready
        wild = environment(server, tokens["agent_token"], tokens["site_token"])
        with Program("login", wild) as program:
            facts = program.facts()
            program.tell("enough")
            assert program.facts() == {"repeats": 0}
    assert facts["profile_agent_id"] == tokens["agent_id"]
    assert facts["request_id"] == facts["created"]
    assert (facts["created_status"], facts["valid"]) == ("PENDING", True)
    assert facts["status"] in {"APPROVED", "DELIVERED"}
    assert facts["approved_agent_id"] == facts["claims"]["agent_id"] == tokens["agent_id"]
    assert facts["site_id"] == facts["claims"]["site_id"] == tokens["site_id"]
    assert facts["claims"]["user_id"] == facts["owner_id"]
    assert facts["claims"]["request_id"] == facts["created"]


def test_a_client_that_never_acknowledges_is_believed_and_hears_nothing_twice(
    deployment: Deployment,
) -> None:
    agent, site = deployment.agent(), deployment.site()
    settings = {
        "LIME_KEEPALIVE_INTERVAL": "0.3",
        "LIME_DELIVERY_LEASE": "0.5",
        "LIME_POLL_INTERVAL": "0.1",
    }
    with (
        deployment.server("believing", **settings) as server,
        Wire(server.api_base) as wire,
        Program("login", environment(server, agent.token, site.token)) as program,
    ):
        facts = program.facts()
        eventually(lambda: data(wire.view(site, facts["created"]))["status"] == "DELIVERED")
        program.tell("enough")
        assert program.facts() == {"repeats": 0}


def test_refusals_arrive_as_the_errors_that_these_clients_know(deployment: Deployment) -> None:
    agent, other, site = deployment.agent(), deployment.agent(), deployment.site()
    with deployment.server("refusing") as server, Wire(server.api_base) as wire:
        wild = environment(server, agent.token, site.token, OTHER_AGENT_TOKEN=other.token)
        with Program("refusal", wild) as program:
            found: Refusals = {}
            for _ in range(2):
                _keep(found, program)
            denied = program.facts()["denied"]
            data(wire.deny(agent, denied))
            program.tell("denied")
            for _ in range(2):
                _keep(found, program)
            handled = program.facts()
            for _ in range(3):
                _keep(found, program)
    not_found = ("ApiError", "SITE_LOGIN_REQUEST_NOT_FOUND", 404)
    assert found == {
        "site token": ("AuthenticationError", "SITE_TOKEN_INVALID", 401),
        "agent token": ("AuthenticationError", "INVALID_AGENT_TOKEN", 401),
        "denied": not_found,
        "unknown": not_found,
        "taken": not_found,
        "wrong request": ("InvalidPassportError", None, None),
        "forged": ("InvalidPassportError", None, None),
    }
    assert handled["first_handled"] == handled["taken"]


def _keep(found: Refusals, program: Program) -> None:
    facts = program.facts()
    found[facts["what"]] = (facts["error"], facts["code"], facts["status"])


def test_an_expiry_reaches_the_handler(deployment: Deployment) -> None:
    agent, site = deployment.agent(), deployment.site()
    settings = {"LIME_LOGIN_LIFETIME": "1", "LIME_SWEEP_INTERVAL": "0.2"}
    with (
        deployment.server("hasty", **settings) as server,
        Program("expiry", environment(server, agent.token, site.token)) as program,
    ):
        facts, late = program.facts(), program.facts()
    assert facts["request_id"] == facts["created"]
    assert facts["passport"] is None
    assert late == {"error": "ApiError", "code": "SITE_LOGIN_REQUEST_NOT_FOUND", "status": 404}


@pytest.mark.parametrize(
    "settings",
    [{}, {"LIME_STREAM_LIFETIME": "0.5"}],
    ids=["a stream that stays", "streams that end"],
)
def test_a_site_finds_its_way_back(deployment: Deployment, settings: dict[str, str]) -> None:
    agent, site = deployment.agent(), deployment.site()
    with (
        deployment.server("restarted", LIME_DELIVERY_LEASE="1", **settings) as server,
        Program("reconnect", environment(server, agent.token, site.token)) as program,
    ):
        _log_in(program)
        server.stop()
        server.start()
        _log_in(program)
        server.kill()
        server.start()
        _log_in(program)
        program.tell("end")


def test_a_server_killed_before_delivery_costs_these_clients_nothing(
    deployment: Deployment,
) -> None:
    agent, site = deployment.agent(), deployment.site()
    with (
        deployment.server("killed", LIME_DELIVERY_LEASE="1") as server,
        Program("reconnect", environment(server, agent.token, site.token)) as program,
    ):
        _log_in(program)
        program.tell("approve only")
        approved = program.facts()["approved"]
        server.kill()
        server.start()
        program.tell("wait")
        assert program.facts() == {"handled": approved}
        program.tell("end")


def test_an_agent_is_bound(deployment: Deployment) -> None:
    agent, site, browser = deployment.agent(), deployment.site(), deployment.browser()
    callback = "https://shop.example/callback"
    deployment.let_return_to(site, callback)
    with (
        deployment.server("binding") as server,
        Wire(server.api_base) as wire,
        Program(
            "binding", environment(server, agent.token, site.token, CALLBACK=callback)
        ) as program,
    ):
        asked = program.facts()
        approval = wire.http.post(
            f"/modules/bindings/requests/{asked['binding_id']}/approve",
            json={"agent_id": agent.agent_id},
            headers=browser.headers,
        )
        back = urlsplit(data(approval)["redirect_to"])
        program.tell(parse_qs(back.query)["binding_code"][0])
        verified, refused = program.facts(), program.facts()
    assert (asked["status"], asked["aware"], verified["valid"]) == ("PENDING", True, True)
    assert asked["connect_url"].endswith(f"/connect?id={asked['binding_id']}")
    claims = verified["claims"]
    assert claims["binding_id"] == asked["binding_id"]
    assert claims["agent_id"] == agent.agent_id
    assert (claims["user_id"], claims["site_id"]) == (browser.owner.owner_id, site.site_id)
    assert refused == {"code": "REDIRECT_URI_NOT_LISTED", "status": 400}


def test_an_agent_has_tokens_for_mcp_servers(deployment: Deployment) -> None:
    agent, other, site = deployment.agent(), deployment.agent(), deployment.site()
    browser = deployment.browser()
    with deployment.server("mcp") as server, Wire(server.api_base) as wire:
        allowed = wire.http.put(
            f"/core/agents/{agent.agent_id}/capabilities",
            json={"capabilities": ["oauth:mcp"]},
            headers=browser.headers,
        )
        assert allowed.status_code == 200, allowed.text
        wild = environment(server, agent.token, site.token, OTHER_AGENT_TOKEN=other.token)
        with Program("mcp_token", wild) as program:
            facts = program.facts()
            found = [program.facts() for _ in range(3)]
    assert (facts["token_type"], facts["expires_in"], facts["cached"]) == ("Bearer", 300, True)
    assert facts["access_token"].count(".") == 2
    # The server is on loopback, and lets names of private networks in.
    assert found == [
        {"what": "special use", "error": None},
        {
            "what": "unknown",
            "error": "AuthenticationError",
            "code": "invalid_client",
            "status": 401,
        },
        {
            "what": "not allowed",
            "error": "OAuthCapabilityError",
            "code": "access_denied",
            "status": 403,
        },
    ]


def _log_in(program: Program) -> None:
    program.tell("log in")
    assert program.facts()["handled"]
