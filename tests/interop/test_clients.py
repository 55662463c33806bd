"""Clients that were not made for LIME open MCP servers with its tokens."""

import base64
import re
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from playwright.sync_api import expect

from tests.interop.flawed import FlawedServer
from tests.interop.rig import CALLBACK, CLIENT_NAME, generations, serving


def is_agent(facts, agent, client_id=None):
    """Whether the MCP server met the agent, through this client if one is named."""
    who = facts["who"]
    assert (who["agent_id"], who["scope"]) == (agent.agent_id, "mcp")
    assert client_id is None or who["client_id"] == client_id
    return True


def test_a_client_that_registers_itself_is_let_in_until_the_owner_takes_it_back(start, household):
    program = start("registration")
    # 1. The owner is asked once.
    first = program.call(household.allow)
    assert is_agent(first, household)
    assert len(program.opened) == 1
    assert is_agent(program.call(), household, first["who"]["client_id"])
    # 2. It refreshes without asking, and the refresh token is another one.
    program.age()
    second = program.call()
    assert is_agent(second, household, first["who"]["client_id"])
    for kind in ("access_token", "refresh_token"):
        assert first["tokens"][kind] != second["tokens"][kind]
    # 3. What the owner takes back is not given again without the owner.
    page = household.owner.page
    page.goto("/grants/")
    household.owner.press(f"Take back the access of {CLIENT_NAME} as Night reader")
    household.owner.press("Take it back")
    expect(page.get_by_role("dialog")).to_be_hidden()
    program.age()
    third = program.call(household.allow)
    assert is_agent(third, household)
    assert len(program.opened) == 2


def test_a_client_that_is_its_own_document_is_let_in_until_it_hands_back_its_tokens(
    start, household, documents, server
):
    url = documents.publish_client(
        client_name=CLIENT_NAME,
        # Any port of this machine will do (RFC 8252, section 7.3).
        redirect_uris=[CALLBACK, "http://localhost/callback"],
        grant_types=["authorization_code", "refresh_token"],
    )
    program = start("document", DOCUMENT_URL=url)
    first = program.call(household.allow)
    assert is_agent(first, household, url)
    program.age()
    second = program.call()
    assert is_agent(second, household, url)
    assert first["tokens"]["refresh_token"] != second["tokens"]["refresh_token"]
    assert len(program.opened) == 1
    # None of the SDKs revokes; what they found out says where that would be done.
    metadata = httpx.get(
        f"{server.api_base}/modules/oauth/.well-known/oauth-authorization-server", trust_env=False
    ).json()
    body = {"token": second["tokens"]["refresh_token"], "client_id": url}
    done = httpx.post(metadata["revocation_endpoint"], data=body, trust_env=False)
    assert done.status_code == 200
    program.age()
    assert is_agent(program.call(household.allow), household, url)
    assert len(program.opened) == 2


def test_an_answer_in_the_name_of_another_issuer_is_not_taken(start, household, generation):
    if generation.deaf_to_issuer:
        pytest.skip(generation.deaf_to_issuer)
    program = start("registration")
    # Mixed up on its way (RFC 9207, section 2): it says that another server has sent it.
    back = urlsplit(household.allow(program.say(do="call")["open"]))
    query = dict(parse_qsl(back.query)) | {"iss": "https://evil.example"}
    said = program.say(back=back._replace(query=urlencode(query)).geturl())
    assert re.search(r"\biss(uer)?\b", said["error"], re.IGNORECASE), said
    # The same client takes an answer of ours.
    assert is_agent(program.call(household.allow), household)


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_a_client_with_a_secret_of_its_own_is_let_in(start, household, method):
    program = start("registration", METHOD=method)
    first = program.call(household.allow)
    program.age()
    assert is_agent(program.call(), household, first["who"]["client_id"])
    assert len(program.opened) == 1


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_an_agent_is_a_client_with_its_token_for_a_secret(start, agent, generation, method):
    if method not in generation.secret_methods:
        pytest.skip(generation.only_because)
    program = start(
        "secret",
        METHOD=method,
        CLIENT_ID=agent.agent_id,
        CLIENT_SECRET=agent.agent_token,
    )
    assert is_agent(program.call(), agent, agent.agent_id)
    program.age()
    assert is_agent(program.call(), agent, agent.agent_id)


def test_an_agent_is_a_client_with_a_key(start, household):
    key = ec.generate_private_key(ec.SECP256R1())
    numbers = key.public_key().public_numbers()
    public = {"kty": "EC", "crv": "P-256", "x": octets(numbers.x), "y": octets(numbers.y)}
    household.owner.call("PUT", f"/core/agents/{household.agent_id}/keys", keys=[public])
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    program = start("key", CLIENT_ID=household.agent_id, KEY=pem)
    assert is_agent(program.call(), household, household.agent_id)
    program.age()
    assert is_agent(program.call(), household, household.agent_id)


def octets(number):
    """A coordinate of P-256 as JWK writes it (RFC 7518, section 6.2.1.2)."""
    return base64.urlsafe_b64encode(number.to_bytes(32, "big")).decode().rstrip("=")


def test_our_own_client_opens_this_server_too(start, agent, generation):
    program = start("short", generation.ours, CLIENT_SECRET=agent.agent_token)
    assert is_agent(program.call(), agent, agent.agent_id)


def test_a_call_that_fails_leaves_the_others_of_our_own_client_alone(start, agent, generation):
    unreachable = "TransportError: localhost answered HTTP {}.".format
    expected = {
        "503": unreachable(503),
        "429": unreachable(429),
        "said": "(McpError|MCPError): out of stock",
        "broken": r"TransportError: The connection to localhost ended early( \(\w+\))?\.",
        "unscoped": "McpAuthenticationError: localhost wants a scope .* has not: notes.",
        "401": "McpAuthenticationError: localhost does not accept this agent's access token.",
        "elsewhere": unreachable(307),
        "slash": "slash",
    }
    with FlawedServer() as flawed:
        program = start(
            "short",
            generation.beside,
            SERVER_URL=flawed.url,
            CLIENT_SECRET=agent.agent_token,
            FAILING=" ".join(expected),
        )
        became = program.call()["who"]
    # Its own way for each, and the call that was there before them came to its end.
    others = {name: name for name in ("meet", "release", "wait")}
    for name, said in {**expected, **others}.items():
        assert re.fullmatch(said, became[name]), (name, became[name])
    # All of it by one connection.
    assert flawed.sessions == 1
    # A refused token is replaced, once; the redirect on the same server takes it along.
    tries = {name: len(shown) for name, shown in flawed.shown.items()}
    assert tries == {**dict.fromkeys(became, 1), "401": 2, "slash": 2}
    assert len(set(flawed.shown["401"])) == 2
    assert len(set(flawed.shown["slash"])) == 1


def test_clients_and_servers_of_different_libraries_understand_each_other(
    start, agent, generation, server, python_path
):
    newest = generations()["mcp-2"]
    if newest.server == generation.server:
        pytest.skip("all that this library can meet are its own kind")
    secret = {
        "METHOD": "client_secret_basic",
        "CLIENT_ID": agent.agent_id,
        "CLIENT_SECRET": agent.agent_token,
    }
    assert is_agent(start("secret", newest.client, **secret).call(), agent)
    with serving(newest.server, server.api_base, python_path) as url:
        assert is_agent(start("secret", SERVER_URL=url, **secret).call(), agent)
