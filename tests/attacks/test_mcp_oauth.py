"""Whoever wants tokens for MCP servers that are not theirs to have gets none, and changes nothing."""

import asyncio
import contextlib
import hmac
import json
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from lime_sites.mcp import LimeTokenVerifier, RequireToken
from tests.support.burst import at_once
from tests.support.deployment import Deployment
from tests.support.oauth_client import (
    CALLBACK,
    RESOURCE,
    STATE,
    Desk,
    Program,
    basic,
    challenge_of,
    oauth_error,
    query_of,
    somewhere,
)
from tests.support.server import ServeServer
from tests.support.stub import Says, Seen, Stub
from tests.support.tokens import b64
from tests.support.wire import Agent, Site, Wire, data, refusal

XSS = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
WEB_CALLBACK = "https://tool.shop.com/cb?from=lime"
NOBODYS = "01890000-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def authority(deployment: Deployment) -> Iterator[ServeServer]:
    """A server that reads clients' documents on loopback, and whose grace is over at once."""
    settings = {
        "LIME_MCP_LOOPBACK_DOCUMENTS": "true",
        "LIME_MCP_REFRESH_GRACE": "0.001",
        "LIME_TRUSTED_PROXIES": "127.0.0.0/8",
    }
    with deployment.server("authority", **settings) as server:
        yield server


@pytest.fixture(scope="module")
def desk(deployment: Deployment, authority: ServeServer) -> Iterator[Desk]:
    """The endpoints, and the victim in front of a browser."""
    with Desk(authority.api_base, deployment.browser(deployment.owner())) as desk:
        yield desk


@pytest.fixture(scope="module")
def intruder(deployment: Deployment, authority: ServeServer) -> Iterator[Desk]:
    """The same endpoints, and another owner."""
    with Desk(authority.api_base, deployment.browser(deployment.owner())) as desk:
        yield desk


@pytest.fixture(scope="module")
def agent(deployment: Deployment, desk: Desk) -> Agent:
    """The victim's agent."""
    return desk.let(deployment.agent(owner=desk.browser.owner))


@pytest.fixture(scope="module")
def their_agent(deployment: Deployment, intruder: Desk) -> Agent:
    """The intruder's."""
    return intruder.let(deployment.agent(owner=intruder.browser.owner))


@pytest.fixture
def program(desk: Desk) -> Program:
    """A client on somebody's machine."""
    return desk.program()


@pytest.fixture
def web(desk: Desk) -> Program:
    """A client on a server of its own."""
    return desk.program(redirect_uris=[WEB_CALLBACK])


def standing(desk: Desk) -> list[dict[str, Any]]:
    """What the owner has allowed, without when it was used."""
    return [
        {name: value for name, value in one.items() if name != "last_used_at"}
        for one in desk.grants()
    ]


def shown(answer: httpx.Response) -> str:
    """A page of ours, which leads nowhere and runs nothing."""
    assert answer.status_code == 400, answer.text
    assert "location" not in answer.headers
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    return answer.text


def told(answer: httpx.Response) -> dict[str, str]:
    """What a client is told by way of the browser."""
    assert answer.status_code == 303, answer.text
    return query_of(answer.headers["location"])


# Redirects

_NO_REDIRECT = [
    "javascript:alert(1)",
    "JaVaScRiPt://tool.shop.com/%0aalert(1)",
    "data:text/html,x",
    "vbscript:x",
    "file:///etc/passwd",
    "blob:https://tool.shop.com/x",
    "com.example.app:/callback",
    "//tool.shop.com/cb",
    "/cb",
    "",
    "https:tool.shop.com/cb",
    "https:///cb",
    "http://tool.shop.com/cb",
    "https://tool.shop.com/cb#fragment",
    "https://tool.shop.com/cb#",
    "https://user@tool.shop.com/cb",
    "https://tool.shop.com\\@evil.com/cb",
    "https://tool.shop.com/cb\r\nLocation: https://evil.com",
    "https://tool.shop.com/c b",
    "https://tool.shop.com/\u202ecb",
    "https://*.shop.com/cb",
    "https://tool.shop.com/cb?code=forged",
    "https://tool.shop.com/cb?state=a&iss=https://evil.com",
    "http://127.0.0.1.evil.com/cb",
    "http://localhost.evil.com/cb",
    "http://localhost@evil.com/cb",
    "http://127.0.0.1:99999/cb",
    "http://0.0.0.0/cb",
    "http://2130706433/cb",
    "https://tool.shop.com/" + "a" * 2048,
]


@pytest.mark.parametrize("uri", _NO_REDIRECT)
def test_what_is_no_redirect_cannot_be_registered(desk: Desk, uri: str) -> None:
    # Not even behind a good one.
    answer = desk.register(redirect_uris=[WEB_CALLBACK, uri])
    assert oauth_error(answer) == (400, "invalid_redirect_uri")


_ELSEWHERE = [
    "https://evil.com/cb",
    WEB_CALLBACK + "&x=1",
    WEB_CALLBACK + "/",
    WEB_CALLBACK + "#",
    WEB_CALLBACK[:-1],
    WEB_CALLBACK.partition("?")[0],
    WEB_CALLBACK.replace("https", "http"),
    WEB_CALLBACK.replace("https", "HTTPS"),
    WEB_CALLBACK.replace("tool.shop.com", "TOOL.shop.com"),
    WEB_CALLBACK.replace("tool.shop.com", "tool.shop.com:443"),
    WEB_CALLBACK.replace("tool.shop.com", "tool.shop.com."),
    WEB_CALLBACK.replace("tool.shop.com", "tool.shop.com.evil.com"),
    WEB_CALLBACK.replace("tool.shop.com", "tool.shop.com@evil.com"),
    WEB_CALLBACK.replace("tool.shop.com", "eviltool.shop.com"),
    WEB_CALLBACK.replace("tool.shop.com", "x.tool.shop.com"),
    WEB_CALLBACK.replace("/cb", "//cb"),
    WEB_CALLBACK.replace("/cb", "/./cb"),
    WEB_CALLBACK.replace("/cb", "/x/../cb"),
    WEB_CALLBACK.replace("/cb", "/cb/../open?to=evil.com"),
    WEB_CALLBACK.replace("/cb", "/cb/%2e%2e/open"),
    WEB_CALLBACK.replace("/cb", "/%63b"),
    WEB_CALLBACK.replace("/cb", "/CB"),
    WEB_CALLBACK.replace("/cb", "/cb;x"),
    WEB_CALLBACK + "%00",
    WEB_CALLBACK + "\n",
    " " + WEB_CALLBACK,
    "javascript:alert(1)//" + WEB_CALLBACK,
    CALLBACK,
    "",
]


@pytest.mark.parametrize("uri", _ELSEWHERE)
def test_a_code_goes_nowhere_but_where_the_client_registered(
    desk: Desk, web: Program, agent: Agent, uri: str
) -> None:
    before = standing(desk)
    assert uri not in shown(web.opens(redirect_uri=uri)) or uri == ""
    assert refusal(web.allowed(agent, redirect_uri=uri)) == (400, "INVALID_REQUEST")
    assert standing(desk) == before


@pytest.mark.parametrize(
    "uri",
    [
        CALLBACK.replace("127.0.0.1", "localhost"),
        CALLBACK.replace("127.0.0.1", "127.0.0.2"),
        CALLBACK.replace("127.0.0.1", "127.1"),
        CALLBACK.replace("http:", "https:"),
        CALLBACK.replace(":4180", ":4180@evil.com"),
        CALLBACK.replace(":4180", ":0"),
        CALLBACK.replace(":4180", ":-1"),
        CALLBACK.replace(":4180", ":"),
        CALLBACK + "/..",
        CALLBACK + "?x=1",
    ],
)
def test_any_port_of_a_machine_is_any_port_and_no_more(program: Program, uri: str) -> None:
    shown(program.opens(redirect_uri=uri))
    assert program.opens(redirect_uri=CALLBACK.replace("4180", "50000")).status_code == 303


@pytest.mark.parametrize("name", ["redirect_uri", "client_id"])
def test_a_second_parameter_does_not_lead_elsewhere(web: Program, name: str) -> None:
    for value in ("https://evil.com/", WEB_CALLBACK, web.client_id):
        shown(web.opens(f"&{name}={quote(value, safe='')}", redirect_uri=WEB_CALLBACK))
    # Nor one that hides behind another way to part parameters.
    asked = urlencode(web.request(redirect_uri=WEB_CALLBACK))
    answer = web.desk.http.get(f"/authorize?{asked};{name}=https://evil.com/")
    assert answer.status_code == 400 or "evil.com" not in answer.headers["location"].split("?")[0]


@pytest.mark.parametrize(
    "more",
    [
        "&scope=mcp",
        "&state=other",
        "&code_challenge=" + "a" * 43,
        "&code_challenge_method=plain",
        "&response_type=token",
    ],
)
def test_no_parameter_may_come_twice(program: Program, more: str) -> None:
    assert told(program.opens(more))["error"] == "invalid_request"


def test_two_servers_are_not_one(program: Program) -> None:
    other = "&resource=" + quote("https://evil.com/mcp", safe="")
    assert told(program.opens(other))["error"] == "invalid_target"


def test_huge_parameters_are_refused(desk: Desk, program: Program, agent: Agent) -> None:
    before, huge = standing(desk), "a" * 8000
    assert told(program.opens(state=huge))["error"] == "invalid_request"
    assert told(program.opens(code_challenge=huge))["error"] == "invalid_request"
    resource = f"https://mcp.shop.com/{huge}"
    assert told(program.opens(resource=resource))["error"] == "invalid_target"
    shown(program.opens(client_id=huge))
    shown(program.opens(redirect_uri=CALLBACK + huge))
    shown(program.opens("&x=1" * 1000))
    # As much as httpx can be made to send.
    assert program.opens("&x=" + "a" * 60_000).status_code in {400, 414, 431}
    assert refusal(program.allowed(agent, state=huge))[0] == 400
    body = {"request": program.request(x="a" * 2_000_000), "agent_id": agent.agent_id}
    answer = desk.http.post("/consent", json=body, headers=desk.browser.headers)
    assert refusal(answer)[0] in {400, 413}
    form = program.exchange("ac_" + "A" * 43)
    for name in form:
        refused = desk.token(form | {name: "a" * 20_000})
        assert oauth_error(refused)[0] in {400, 401, 413}
    assert standing(desk) == before


def test_a_code_needs_an_answer_of_the_owner(desk: Desk, program: Program) -> None:
    before, headers = standing(desk), desk.browser.headers
    for extra in ({}, {"prompt": "none"}, {"agent_id": NOBODYS}, {"approve": "true"}):
        asked = program.request(**extra)
        for answer in (
            desk.http.get(f"/authorize?{urlencode(asked)}", headers=headers),
            desk.http.post("/authorize", data=asked, headers=headers),
        ):
            assert answer.status_code == 303
            assert "code" not in query_of(answer.headers["location"])
            assert "set-cookie" not in answer.headers
    assert standing(desk) == before


# Whose answer it is


def test_every_answer_says_whose_it_is(desk: Desk, program: Program, agent: Agent) -> None:
    root = urlsplit(desk.api_base)
    place = f"{root.scheme}://{root.netloc}/.well-known/oauth-authorization-server{root.path}"
    named = httpx.get(f"{place}/modules/oauth", trust_env=False).json()["issuer"]
    allowed = query_of(data(program.allowed(agent))["redirect_to"])
    no = {"request": program.request()}
    refused = desk.http.post("/consent/refuse", json=no, headers=desk.browser.headers)
    answers = [
        allowed,
        query_of(data(refused)["redirect_to"]),
        told(program.opens(code_challenge_method="plain")),
        told(program.opens(response_type="token")),
        told(program.opens(prompt="none")),
        told(program.opens(resource="mcp.shop.com")),
        # What the request itself says of it, or its host, counts for nothing.
        told(program.opens(iss="https://evil.com", prompt="none")),
    ]
    assert {answer["iss"] for answer in answers} == {named}
    assert {answer["state"] for answer in answers} == {STATE}
    forged = {"X-Forwarded-Host": "evil.com", "Forwarded": "host=evil.com", "Origin": "null"}
    asked = urlencode(program.request(prompt="none"))
    assert told(desk.http.get(f"/authorize?{asked}", headers=forged))["iss"] == named
    token = desk.token(program.exchange(allowed["code"])).json()["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["iss"] == named


# PKCE


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": None},
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge": ""},
        {"code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": "s256"},
        {"code_challenge_method": "S512"},
        {"code_challenge": "short"},
        {"code_challenge": "=" * 43},
    ],
    ids=str,
)
def test_pkce_cannot_be_left_out_or_weakened(
    desk: Desk, program: Program, agent: Agent, changes: dict[str, str | None]
) -> None:
    before = standing(desk)
    assert told(program.opens(**changes))["error"] == "invalid_request"
    assert refusal(program.allowed(agent, **changes)) == (400, "INVALID_REQUEST")
    # A secret does not stand in for it.
    confidential = desk.program(token_endpoint_auth_method="client_secret_basic")
    assert told(confidential.opens(**changes))["error"] == "invalid_request"
    assert standing(desk) == before


def test_a_code_without_its_verifier_is_worth_nothing(
    desk: Desk, program: Program, agent: Agent
) -> None:
    code = program.code(agent)
    for verifier, error in (
        (None, "invalid_request"),
        ("", "invalid_request"),
        (challenge_of(program.verifier), "invalid_grant"),
        (secrets.token_urlsafe(32), "invalid_grant"),
        (program.verifier + "a", "invalid_grant"),
        ("short", None),
        ("a" * 129, None),
        ("\u00e9" * 43, None),
    ):
        status, said = oauth_error(desk.token(program.exchange(code, code_verifier=verifier)))
        assert status == 400
        assert said == (error or said)
    # None of them spoiled it.
    assert desk.token(program.exchange(code)).status_code == 200


# Codes


def test_of_fifty_who_show_one_code_at_once_one_wins_and_loses_it_again(
    desk: Desk, program: Program, agent: Agent
) -> None:
    form = program.exchange(program.code(agent))
    request = desk.http.build_request("POST", "/token", data=form)
    answers = at_once([request] * 50)
    (won,) = [answer.json() for answer in answers if answer.status_code == 200]
    lost = [(one.status_code, one.json()["error"]) for one in answers if one.status_code != 200]
    assert lost == [(400, "invalid_grant")] * 49
    refused = desk.token(program.refresh(won["refresh_token"]))
    assert oauth_error(refused) == (400, "invalid_grant")


def test_a_replayed_code_ends_what_it_issued(desk: Desk, agent: Agent) -> None:
    program = desk.program(token_endpoint_auth_method="client_secret_post")
    secret = {"client_secret": program.facts["client_secret"]}
    proof = basic(program.client_id, program.facts["client_secret"])
    form = program.exchange(program.code(agent)) | secret
    issued = desk.token(form).json()
    assert desk.introspected(issued["access_token"], proof)["active"] is True
    assert oauth_error(desk.token(form)) == (400, "invalid_grant")
    assert desk.introspected(issued["access_token"], proof) == {"active": False}
    again = desk.token(program.refresh(issued["refresh_token"], **secret))
    assert oauth_error(again) == (400, "invalid_grant")


def test_a_code_is_its_clients_alone(desk: Desk, program: Program, agent: Agent) -> None:
    code, thief = program.code(agent), desk.program()
    thief.verifier = program.verifier
    assert oauth_error(desk.token(thief.exchange(code))) == (400, "invalid_grant")
    as_agent = program.exchange(code, client_id=None)
    answer = desk.token(as_agent, basic(agent.agent_id, agent.token))
    assert oauth_error(answer) == (400, "unauthorized_client")
    elsewhere = program.exchange(code, redirect_uri=CALLBACK.replace("4180", "4181"))
    assert oauth_error(desk.token(elsewhere)) == (400, "invalid_grant")
    assert desk.token(program.exchange(code)).status_code == 200


@pytest.mark.parametrize(
    "other",
    [
        "https://evil.com/mcp",
        RESOURCE + "/",
        RESOURCE + "?x",
        RESOURCE.upper(),
        RESOURCE.replace("/mcp", "/other"),
    ],
)
def test_a_code_for_one_server_gives_no_token_for_another(
    desk: Desk, program: Program, agent: Agent, other: str
) -> None:
    code = program.code(agent)
    assert oauth_error(desk.token(program.exchange(code, resource=other))) == (
        400,
        "invalid_target",
    )
    issued = desk.token(program.exchange(code, resource=None)).json()
    refresh = program.refresh(issued["refresh_token"], resource=other)
    assert oauth_error(desk.token(refresh)) == (400, "invalid_target")
    by_name = program.refresh(issued["refresh_token"], domain="evil.com")
    assert oauth_error(desk.token(by_name)) == (400, "invalid_target")
    again = desk.token(program.refresh(issued["refresh_token"])).json()
    claims = jwt.decode(again["access_token"], options={"verify_signature": False})
    assert claims["aud"] == ["mcp", RESOURCE]


def test_guessed_codes_and_tokens_of_other_kinds_are_none(
    desk: Desk, program: Program, agent: Agent
) -> None:
    issued = program.tokens(agent)
    for wrong in (
        "ac_" + "A" * 43,
        issued["refresh_token"],
        issued["access_token"],
        agent.token,
        "ac_' OR 1=1 --",
        "\x00",
    ):
        assert oauth_error(desk.token(program.exchange(wrong))) == (400, "invalid_grant")
        if wrong != issued["refresh_token"]:
            assert oauth_error(desk.token(program.refresh(wrong))) == (400, "invalid_grant")
    assert desk.token(program.refresh(issued["refresh_token"])).status_code == 200


# Refresh tokens


def test_a_refresh_token_that_was_replaced_ends_its_family(
    desk: Desk, program: Program, agent: Agent
) -> None:
    first = program.tokens(agent)["refresh_token"]
    second = desk.token(program.refresh(first)).json()["refresh_token"]
    # The grace is a thousandth of a second here, and must be over on any machine.
    time.sleep(0.01)
    assert oauth_error(desk.token(program.refresh(first))) == (400, "invalid_grant")
    assert oauth_error(desk.token(program.refresh(second))) == (400, "invalid_grant")
    # The owner reads of it.
    audit = f"{desk.api_base}/foundation/audit"
    lines = data(desk.http.get(audit, headers=desk.browser.headers))["items"]
    assert "oauth.refresh.reused" in {line["action"] for line in lines}


def test_a_refresh_token_is_its_clients_alone(desk: Desk, program: Program, agent: Agent) -> None:
    token, thief = program.tokens(agent)["refresh_token"], desk.program()
    assert oauth_error(desk.token(thief.refresh(token))) == (400, "invalid_grant")
    given_back = {"token": token, "client_id": thief.client_id}
    assert desk.http.post("/revoke", data=given_back).status_code == 200
    assert desk.token(program.refresh(token)).status_code == 200


# Clients that are not who they say


def test_a_client_without_its_secret_is_nobody(desk: Desk, agent: Agent) -> None:
    program = desk.program(token_endpoint_auth_method="client_secret_basic")
    form = program.exchange(program.code(agent), client_id=None)
    mine = program.client_id
    for headers, more in (
        ({}, {"client_id": mine}),
        ({}, {"client_id": mine, "client_secret": "cs_" + "A" * 43}),
        (basic(mine, ""), {}),
        (basic(mine, agent.token), {}),
        (basic(agent.agent_id, program.facts["client_secret"]), {}),
        (basic(NOBODYS, program.facts["client_secret"]), {}),
    ):
        answer = desk.token(form | more, headers)
        assert oauth_error(answer) == (401, "invalid_client")
        assert answer.headers.get("www-authenticate", "Basic").startswith("Basic")
    assert desk.token(form, basic(mine, program.facts["client_secret"])).status_code == 200


def test_an_agent_is_nobody_elses_client(
    desk: Desk, program: Program, agent: Agent, their_agent: Agent
) -> None:
    form = {"grant_type": "client_credentials", "resource": RESOURCE}
    for user, secret in ((agent.agent_id, their_agent.token), (program.client_id, agent.token)):
        answer = desk.token(form, basic(user, secret))
        assert oauth_error(answer) == (401, "invalid_client")
    named = desk.token(form | {"client_id": agent.agent_id})
    assert oauth_error(named) == (401, "invalid_client")
    # Whoever registered has no agent to be; and an agent has no browser to be sent.
    public = desk.token(form | {"client_id": program.client_id})
    assert oauth_error(public) == (400, "unauthorized_client")
    shown(program.opens(client_id=agent.agent_id))
    shown(program.opens(client_id=agent.agent_id.upper()))


def test_an_assertion_is_not_forged(desk: Desk, agent: Agent) -> None:
    key, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
    public.pop("key_ops", None)
    path = f"{desk.api_base}/core/agents/{agent.agent_id}/keys"
    data(desk.http.put(path, json={"keys": [public]}, headers=desk.browser.headers))
    now = int(time.time())
    claims = {"iss": agent.agent_id, "sub": agent.agent_id, "aud": desk.issuer, "exp": now + 60}

    def send(assertion: str) -> httpx.Response:
        kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        form = {"client_assertion": assertion, "client_assertion_type": kind}
        return desk.token(form | {"grant_type": "client_credentials", "resource": RESOURCE})

    def signed(private: Any = key, algorithm: str = "ES256", **changes: object) -> str:
        facts = {**claims, "jti": secrets.token_hex(8), **changes}
        return jwt.encode(facts, private, algorithm=algorithm)

    # What everybody knows of the key, for the secret of a hash. PyJWT does not let one do that.
    head = signed().split(".")[1]
    mixed = b64(b'{"alg":"HS256","typ":"JWT"}') + "." + head
    public_text = json.dumps(public).encode()
    mixed += "." + b64(hmac.digest(public_text, mixed.encode(), "sha256"))
    for forged in (
        signed(other),
        signed(None, "none"),
        mixed,
        signed(aud="https://evil.com/token"),
        signed(aud=[desk.issuer + "/token/x"]),
        signed(iss="https://evil.com"),
        signed(exp=now - 60),
        signed(exp=now + 3600),
        signed(jti=""),
        signed().rpartition(".")[0] + ".",
        "x.y.z",
    ):
        assert oauth_error(send(forged)) == (401, "invalid_client")
    good = signed()
    assert send(good).status_code == 200
    assert oauth_error(send(good)) == (401, "invalid_client")


def test_a_client_that_was_forgotten_is_unknown(
    deployment: Deployment, desk: Desk, program: Program, agent: Agent
) -> None:
    code, issued = program.code(agent), program.tokens(agent)
    deployment.forget_client(program.client_id)
    shown(program.opens())
    assert refusal(program.allowed(agent)) == (400, "INVALID_REQUEST")
    for form in (program.exchange(code), program.refresh(issued["refresh_token"])):
        assert oauth_error(desk.token(form)) == (401, "invalid_client")
    # Nor does its id become somebody else's.
    assert desk.program().client_id != program.client_id


# Clients' documents


def test_a_client_id_is_no_way_inside(deployment: Deployment) -> None:
    trusting = {"LIME_TRUSTED_PROXIES": "127.0.0.0/8"}
    with (
        Stub({("GET", "/x"): lambda _: Says({})}) as inside,
        deployment.server("closed", **trusting) as closed,
        httpx.Client(
            base_url=f"{closed.api_base}/modules/oauth", timeout=30, trust_env=False
        ) as http,
    ):
        port = urlsplit(inside.public_url).port
        for client_id in (
            f"http://127.0.0.1:{port}/api/v1/x",
            f"https://127.0.0.1:{port}/api/v1/x",
            f"https://localhost:{port}/api/v1/x",
            f"https://[::1]:{port}/api/v1/x",
            f"https://[::ffff:127.0.0.1]:{port}/api/v1/x",
            f"https://127.1:{port}/api/v1/x",
            f"https://2130706433:{port}/api/v1/x",
            f"https://0x7f.1:{port}/api/v1/x",
            f"https://0.0.0.0:{port}/api/v1/x",
            "https://169.254.169.254/latest/meta-data",
            "https://10.0.0.1/client.json",
            "https://user@shop.com/client.json",
            "https://shop.com",
            "https://shop.com/a/../client.json",
            "https://shop.com/client.json#x",
            "file:///etc/passwd",
            "gopher://127.0.0.1/x",
        ):
            asked = urlencode({"client_id": client_id, "redirect_uri": CALLBACK})
            page = shown(http.get(f"/authorize?{asked}", headers=somewhere()))
            # Nor is it a way to learn what is there.
            assert "refused" not in page.lower()
            assert str(port) not in page
            form = {"grant_type": "authorization_code", "client_id": client_id}
            answer = http.post("/token", data=form, headers=somewhere())
            assert oauth_error(answer) == (401, "invalid_client")
        assert inside.seen == []


def _document(stub: Stub, **changes: object) -> dict[str, object]:
    facts: dict[str, object] = {
        "client_id": f"{stub.public_url}/api/v1/client.json",
        "client_name": "App",
        "redirect_uris": [CALLBACK],
    }
    return facts | changes


def test_a_documents_redirects_are_the_only_ones(program: Program) -> None:
    with Stub({}) as stub:
        stub.routes["GET", "/client.json"] = lambda _: Says(_document(stub))
        url = f"{stub.public_url}/api/v1/client.json"
        assert program.opens(client_id=url).status_code == 303
        for uri in ("https://evil.com/", CALLBACK + "/x", WEB_CALLBACK):
            shown(program.opens(client_id=url, redirect_uri=uri))
        # It is that document's client under that very name.
        for other in (url + "?", url + "#", url.replace("127.0.0.1", "localhost"), url + "/"):
            shown(program.opens(client_id=other))


def test_a_document_that_is_elsewhere_is_not_followed(program: Program) -> None:
    def moved(_: Seen) -> Says:
        return Says(None, 302, {"Location": "/api/v1/inside"})

    routes = {("GET", "/moved"): moved, ("GET", "/inside"): lambda _: Says({})}
    with Stub(routes) as stub:
        shown(program.opens(client_id=f"{stub.public_url}/api/v1/moved"))
        assert {seen.path for seen in stub.seen} == {"/api/v1/moved"}


def test_a_document_of_a_gigabyte_is_left(program: Program) -> None:
    with _Gigabyte() as big:
        shown(program.opens(client_id=f"http://127.0.0.1:{big.port}/client.json"))
        assert big.left.wait(30)
    # What fits into the buffers of two sockets, and no more.
    assert big.sent < 64 * 2**20


class _Gigabyte:
    """Serves one, as long as somebody reads."""

    def __enter__(self) -> "_Gigabyte":
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self.sent, self.left = 0, threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._thread.join(30)

    def _serve(self) -> None:
        connection, _ = self._socket.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                b"Content-Length: 1073741824\r\n\r\n"
            )
            while self.sent < 2**30:
                self.sent += connection.send(b" " * 65536)
        self.left.set()


# Tokens where they do not belong


def test_a_token_for_mcp_opens_nothing_at_lime(desk: Desk, program: Program, agent: Agent) -> None:
    issued = program.tokens(agent)
    short = desk.short(agent, "mcp.shop.com").json()["access_token"]
    for token in (issued["access_token"], issued["refresh_token"], short):
        bearer = {"Authorization": f"Bearer {token}"}
        for path, headers in (
            ("/core/agents/me/profile", {"X-Agent-Token": token}),
            ("/core/agents/me/profile", bearer),
            ("/foundation/sites/me", {"X-Site-Token": token}),
            ("/foundation/users/me", {"Cookie": f"lime_session={token}"}),
            ("/foundation/users/me", bearer),
            ("/core/agents", bearer),
            ("/modules/oauth/grants", bearer),
            ("/modules/agent-login/events", {"X-Site-Token": token}),
        ):
            answer = desk.http.get(f"{desk.api_base}{path}", headers=headers)
            assert refusal(answer)[0] == 401, path
        body = {"domain": "mcp.shop.com"}
        again = desk.http.post("/token", json=body, headers={"X-Agent-Token": token})
        assert oauth_error(again) == (401, "invalid_client")
        form = {"grant_type": "client_credentials", "resource": RESOURCE}
        as_secret = desk.token(form, basic(agent.agent_id, token))
        assert oauth_error(as_secret) == (401, "invalid_client")


def opened(server: ServeServer, token: str, resource: str = RESOURCE) -> int:
    """The status with which an MCP server at `resource` meets a token."""

    async def ask() -> int:
        async with LimeTokenVerifier(resource=resource, base_url=server.api_base) as verifier:
            door = RequireToken(verifier)

            async def enter(request: Request) -> PlainTextResponse:
                return PlainTextResponse((await door(request)).agent_id)

            app = Starlette(routes=[Route("/mcp", enter)])
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="https://a.com") as client:
                headers = {"Authorization": f"Bearer {token}"}
                return (await client.get("/mcp", headers=headers)).status_code

    return asyncio.run(ask())


def test_a_token_for_one_server_opens_no_other(
    authority: ServeServer, desk: Desk, program: Program, agent: Agent
) -> None:
    token = program.tokens(agent)["access_token"]
    assert opened(authority, token) == 200
    for other in (
        "https://evil.com/mcp",
        "https://mcp.shop.com/other",
        "https://mcp.shop.com/mcp/",
        "https://mcp.shop.com:8443/mcp",
        "https://mcp.shop.com",
    ):
        assert opened(authority, token, other) == 401
    # In the short form, the host alone is not this resource.
    assert opened(authority, desk.short(agent, "mcp.shop.com").json()["access_token"]) == 401


def test_a_passport_opens_no_mcp_server(
    deployment: Deployment, authority: ServeServer, desk: Desk, agent: Agent
) -> None:
    site: Site = deployment.site(domain="mcp.shop.com")
    with Wire(authority.api_base) as wire:
        passport = wire.passport(agent, site)
    assert opened(authority, passport) == 401
    proof = basic(site.site_id, site.token)
    assert desk.introspected(passport, proof) == {"active": False}
    form = {"grant_type": "client_credentials", "resource": RESOURCE}
    answer = desk.token(form, basic(agent.agent_id, passport))
    assert oauth_error(answer) == (401, "invalid_client")


# Consent


@pytest.mark.parametrize(
    "headers",
    [
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": "0" * 64},
        {"Origin": "https://evil.com"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
    ids=str,
)
def test_another_sites_page_answers_for_nobody(
    desk: Desk, program: Program, agent: Agent, headers: dict[str, str]
) -> None:
    before = standing(desk)
    body = {"request": program.request(), "agent_id": agent.agent_id}
    sent = desk.browser.headers | headers
    for path in ("/consent", "/consent/refuse"):
        answer = desk.http.post(path, json=body, headers=sent)
        assert refusal(answer) == (403, "CSRF_FAILED")
    as_text = json.dumps(body)
    answer = desk.http.post(
        "/consent", content=as_text, headers=sent | {"Content-Type": "text/plain"}
    )
    assert answer.status_code in {400, 403}
    assert standing(desk) == before


def test_nobody_answers_for_another_owner(
    desk: Desk, intruder: Desk, program: Program, agent: Agent, their_agent: Agent
) -> None:
    before = standing(desk), standing(intruder)
    body = {"request": program.request(), "agent_id": agent.agent_id}
    theirs = intruder.http.post("/consent", json=body, headers=intruder.browser.headers)
    assert refusal(theirs) == (404, "NOT_FOUND")
    assert refusal(program.allowed(their_agent)) == (404, "NOT_FOUND")
    nobody = intruder.http.post("/consent", json=body)
    assert refusal(nobody) == (401, "NOT_SIGNED_IN")
    assert (standing(desk), standing(intruder)) == before


def test_nobody_sees_or_ends_another_owners_consent(
    desk: Desk, intruder: Desk, program: Program, agent: Agent
) -> None:
    issued = program.tokens(agent)
    (grant,) = [one for one in desk.grants() if one["client"]["client_id"] == program.client_id]
    assert program.client_id not in json.dumps(intruder.grants())
    path = f"/grants/{grant['grant_id']}"
    ended = intruder.http.delete(path, headers=intruder.browser.headers)
    assert refusal(ended) == (404, "NOT_FOUND")
    asked = urlencode(program.request())
    theirs = data(intruder.http.get(f"/consent?{asked}", headers=intruder.browser.headers))
    assert theirs["remembered_agent_id"] is None
    assert desk.token(program.refresh(issued["refresh_token"])).status_code == 200


def test_a_request_that_was_changed_after_it_was_shown_is_read_again(
    desk: Desk, web: Program, agent: Agent
) -> None:
    before = standing(desk)
    good = web.request(redirect_uri=WEB_CALLBACK)
    for changes in (
        {"redirect_uri": "https://evil.com/"},
        {"resource": "http://10.0.0.1/"},
        {"code_challenge_method": "plain"},
        {"client_id": NOBODYS},
    ):
        body = {"request": good | changes, "agent_id": agent.agent_id}
        for path in ("/consent", "/consent/refuse"):
            sent = {k: v for k, v in body.items() if path == "/consent" or k == "request"}
            answer = desk.http.post(path, json=sent, headers=desk.browser.headers)
            assert refusal(answer) == (400, "INVALID_REQUEST")
    assert standing(desk) == before


# Scripts


def test_scripts_in_a_request_do_not_run_on_the_page(desk: Desk, program: Program) -> None:
    hostile = desk.program(client_name=XSS[:100])
    for changes in (
        {"redirect_uri": XSS},
        {"client_id": XSS},
        {"client_id": f"https://evil.com/{XSS}"},
        {"client_id": hostile.client_id, "redirect_uri": "https://evil.com/" + XSS},
        {"state": XSS, "redirect_uri": "x"},
    ):
        page = shown(program.opens(**changes))
        assert "<script" not in page
        assert "<img" not in page
    asked = urlencode(hostile.request())
    answer = desk.http.get(f"/consent?{asked}", headers=desk.browser.headers)
    assert answer.headers["content-type"] == "application/json"
    assert data(answer)["client"]["name"] == XSS[:100]


def test_an_error_cannot_break_out_of_its_header_or_parameter(program: Program) -> None:
    answer = program.opens(state="a\r\nSet-Cookie: lime_session=x")
    assert "set-cookie" not in answer.headers
    assert told(answer)["error"] == "invalid_request"
    kept = told(program.opens(state='&code=forged#"<x>', prompt="none"))
    assert "code" not in kept
    assert kept["state"] == '&code=forged#"<x>'


# What is kept


def test_no_code_token_or_secret_is_stored(
    deployment: Deployment, desk: Desk, agent: Agent
) -> None:
    program = desk.program(token_endpoint_auth_method="client_secret_basic")
    secret = program.facts["client_secret"]
    spent, unspent = program.code(agent), program.code(agent)
    issued = desk.token(
        program.exchange(spent, client_id=None), basic(program.client_id, secret)
    ).json()
    stored = deployment.everything_stored()
    assert program.client_id in stored
    for text in (secret, spent, unspent, issued["refresh_token"], issued["access_token"]):
        assert text not in stored
        assert text.partition("_")[2].encode().hex() not in stored
    assert program.verifier not in stored
