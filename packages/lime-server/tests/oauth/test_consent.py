"""From the authorization endpoint to a token, and back: authorize, consent, grants."""

import asyncio
import copy
import json
import secrets
from types import SimpleNamespace
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from lime_server.core.errors import Unavailable
from lime_server.modules.mcp_oauth.authorization import MAX_STATE, MAX_TOGETHER
from lime_server.modules.mcp_oauth.consent import CODE_LIFETIME
from lime_server.modules.mcp_oauth.model import ClientKind
from lime_server.modules.mcp_oauth.ports import Fetched

DOCUMENT = "https://app.example/client.json"


class Browser:
    """Ada's browser, with her session; `as_` is somebody else's."""

    def __init__(self, http, issuer):
        self.http = http
        self.issuer = issuer

    def _headers(self, who, csrf=True):
        if who is None:
            return {}
        headers = {"Cookie": f"lime_session={who}; __Host-lime_session={who}; lime_csrf=csrf-{who}"}
        return headers | ({"X-CSRF-Token": f"csrf-{who}"} if csrf else {})

    async def open(self, asked, **more):
        return await self.http.get(f"{self.issuer}/authorize?{query(asked)}", **more)

    async def look(self, asked, *, as_="ada"):
        url = f"{self.issuer}/consent?{query(asked)}"
        return await self.http.get(url, headers=self._headers(as_))

    async def allow(self, asked, agent_id, *, as_="ada", csrf=True):
        return await self.http.post(
            f"{self.issuer}/consent",
            json={"request": asked, "agent_id": agent_id},
            headers=self._headers(as_, csrf),
        )

    async def refuse(self, asked, *, as_="ada"):
        return await self.http.post(
            f"{self.issuer}/consent/refuse", json={"request": asked}, headers=self._headers(as_)
        )

    async def grants(self, *, as_="ada", **params):
        return await self.http.get(
            f"{self.issuer}/grants", params=params, headers=self._headers(as_)
        )

    async def revoke(self, grant_id, *, as_="ada"):
        return await self.http.delete(
            f"{self.issuer}/grants/{grant_id}", headers=self._headers(as_)
        )


def query(asked):
    return asked if isinstance(asked, str) else urlencode(asked)


def sent_back(response, *, status=303):
    """The parameters of a redirect to a client; never a page of ours."""
    location = (
        response.headers["location"] if status == 303 else response.json()["data"]["redirect_to"]
    )
    assert response.status_code == status
    parts = urlsplit(location)
    found = {name: values[0] for name, values in parse_qs(parts.query).items()}
    return SimpleNamespace(where=f"{parts.scheme}://{parts.netloc}{parts.path}", **found)


@pytest.fixture
async def small(small_world, small_api, help_):
    return await opened(small_world, small_api, help_)


@pytest.fixture
async def both(world, api, help_):
    return await opened(world, api, help_)


async def opened(world, api, help_):
    """A client, what it asks for, and a browser."""
    client = await world.client()
    asked = {
        "response_type": "code",
        "client_id": client.client_id,
        "redirect_uri": help_.CALLBACK,
        "state": "a b&c=d",
        "scope": "mcp offline_access",
        "resource": help_.RESOURCE,
        "code_challenge": help_.CHALLENGE,
        "code_challenge_method": "S256",
    }
    browser = Browser(api.http, help_.ISSUER)
    return SimpleNamespace(
        world=world,
        api=api,
        client=client,
        asked=asked,
        browser=browser,
        help=help_,
        agent=world.agent.agent_id,
    )


def exchange(small, code):
    """The form that exchanges it."""
    return {
        "grant_type": "authorization_code",
        "client_id": small.client.client_id,
        "code": code,
        "redirect_uri": small.help.CALLBACK,
        "code_verifier": small.help.VERIFIER,
    }


# The authorization endpoint.


async def test_a_request_that_fits_goes_to_the_consent_page(small):
    response = await small.browser.open(small.asked | {"unknown": "x", "prompt": "consent"})
    assert response.status_code == 303
    assert response.headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in response.headers
    location = urlsplit(response.headers["location"])
    assert location[:3] == ("https", "lime.example", "/consent/")
    assert parse_qs(location.query) == {
        name: [value] for name, value in (small.asked | {"prompt": "consent"}).items()
    }
    # A form does the same.
    posted = await small.api.http.post(f"{small.help.ISSUER}/authorize", data=small.asked)
    assert (posted.status_code, posted.headers["location"].split("?")[0]) == (
        303,
        "https://lime.example/consent/",
    )


async def test_asking_changes_nothing(small):
    shared = small.world.oauth.clients._shared
    before = copy.deepcopy(vars(shared))
    for _ in range(3):
        await small.browser.open(small.asked)
        await small.browser.look(small.asked)
        await small.browser.refuse(small.asked)
    assert vars(shared) == before
    assert await small.world.actions(small.world.ada) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"client_id": None}, "client_id"),
        ({"client_id": "unknown"}, "client_id"),
        ({"client_id": "0198f5f5-0000-7000-8000-000000000000"}, "register again"),
        ({"client_id": "https://nobody.example/client.json"}, "cannot be had"),
        ({"client_id": "https://nobody.example/<script>"}, "cannot be had"),
        ({"redirect_uri": None}, "redirect_uri"),
        ({"redirect_uri": "https://evil.example/"}, "redirect_uri"),
        ({"redirect_uri": "javascript:alert(1)"}, "redirect_uri"),
        ({"redirect_uri": "http://127.0.0.1:33418/callback/../x"}, "redirect_uri"),
        ({"redirect_uri": "http://127.0.0.1:33418/callback#x"}, "redirect_uri"),
        ({"redirect_uri": "http://user@127.0.0.1:33418/callback"}, "redirect_uri"),
        ({"redirect_uri": "http://127.0.0.1:33418/callback?x=y"}, "redirect_uri"),
        ({"redirect_uri": "http://127.0.0.1:33418/callback.evil.example"}, "redirect_uri"),
    ],
)
async def test_without_a_client_and_its_redirect_there_is_a_page_and_no_redirect(
    small, changes, says
):
    asked = {name: value for name, value in (small.asked | changes).items() if value is not None}
    response = await small.browser.open(asked)
    assert response.status_code == 400
    assert response.headers["content-type"].startswith("text/html")
    assert response.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert "location" not in response.headers
    assert says in response.text
    assert "<script>" not in response.text
    # The consent page hears the same from the API, whatever the endpoint would have said.
    for answer in (
        await small.browser.look(asked),
        await small.browser.allow(asked, small.agent),
        await small.browser.refuse(asked),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize("twice", ["client_id", "redirect_uri"])
async def test_two_of_what_decides_where_answers_go_are_none(small, twice):
    other = {"client_id": small.client.client_id, "redirect_uri": "https://evil.example/"}[twice]
    response = await small.browser.open(query(small.asked) + f"&{urlencode({twice: other})}")
    assert response.status_code == 400
    assert twice in response.text


@pytest.mark.parametrize("raw", ["client_id=%ff", "&".join(f"a{n}=b" for n in range(65))])
async def test_what_cannot_be_read_is_a_page(small, raw):
    assert "cannot be read" in (await small.browser.open(raw)).text


async def test_a_body_that_is_no_form_is_a_page(small):
    response = await small.api.http.post(f"{small.help.ISSUER}/authorize", json=small.asked)
    assert (response.status_code, "not a form" in response.text) == (400, True)


async def test_an_engine_that_is_away_is_a_page_too(small, monkeypatch):
    async def away(_client_id):
        raise Unavailable(retry_after=3)

    monkeypatch.setattr(small.world.oauth.clients, "find", away)
    response = await small.browser.open(small.asked)
    assert (response.status_code, response.headers["retry-after"]) == (503, "3")
    assert response.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"request": "e30.e30."}, "request_not_supported"),
        ({"request_uri": "https://evil.example/"}, "request_uri_not_supported"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge": "a" * 44}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": "s256"}, "invalid_request"),
        ({"scope": 'a"b'}, "invalid_scope"),
        ({"resource": "mcp.shop.com"}, "invalid_target"),
        ({"resource": "http://mcp.shop.com/"}, "invalid_target"),
        ({"resource": "https://mcp.shop.com/#x"}, "invalid_target"),
        ({"resource": "https://10.0.0.1/"}, "invalid_target"),
        ({"prompt": "none"}, "interaction_required"),
    ],
)
async def test_its_client_is_told_what_else_is_wrong(small, changes, error):
    asked = {name: value for name, value in (small.asked | changes).items() if value is not None}
    told = sent_back(await small.browser.open(asked))
    assert told.where == small.help.CALLBACK
    assert (told.error, told.state, told.iss) == (error, "a b&c=d", small.help.ISSUER)
    assert told.error_description
    assert not hasattr(told, "code")
    for answer in (
        await small.browser.look(asked),
        await small.browser.allow(asked, small.agent),
        await small.browser.refuse(asked),
    ):
        assert answer.status_code == 400
        assert answer.json()["error"]["detail"] == {"error": error}


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ("resource=https%3A%2F%2Fother.shop.com%2F", "invalid_target"),
        ("scope=mcp", "invalid_request"),
        ("code_challenge_method=plain", "invalid_request"),
        ("response_type=token", "invalid_request"),
    ],
)
async def test_nothing_may_come_twice(small, more, error):
    told = sent_back(await small.browser.open(f"{query(small.asked)}&{more}"))
    assert (told.error, told.state) == (error, "a b&c=d")


async def test_the_longest_client_and_server_are_kept_and_longer_ones_refused(both):
    resource = "https://mcp.example.com/" + secrets.token_urlsafe(2048)
    room = MAX_TOGETHER - 2048
    url = "https://app.example/" + secrets.token_urlsafe(2048)[: 2048 - 20]
    about = {"client_id": url, "client_name": "App", "redirect_uris": [both.help.CALLBACK]}
    both.world.documents.at[url] = Fetched(json.dumps(about).encode(), "application/json", "")
    asked = both.asked | {"client_id": url, "resource": resource[:room]}
    assert "code" in vars(sent_back(await both.browser.allow(asked, both.agent), status=200))
    assert "code" in vars(sent_back(await both.browser.allow(asked, both.agent), status=200))
    asked["resource"] = resource[: room + 1]
    assert sent_back(await both.browser.open(asked)).error == "invalid_target"


@pytest.mark.parametrize("state", ["a" * (MAX_STATE + 1), "line\nbreak", "\u00e9"])
async def test_a_state_that_is_none_is_not_repeated(small, state):
    told = sent_back(await small.browser.open(small.asked | {"state": state}))
    assert told.error == "invalid_request"
    assert not hasattr(told, "state")


async def test_two_states_are_none(small):
    told = sent_back(await small.browser.open(query(small.asked) + "&state=other"))
    assert (told.error, hasattr(told, "state")) == ("invalid_request", False)


# Consent.


async def test_an_owner_sees_who_asks_for_what(small):
    response = await small.browser.look(small.asked)
    assert response.json()["data"] == {
        "client": {
            "client_id": small.client.client_id,
            "name": "Tool",
            "kind": "registered",
            "host": None,
            "document_url": None,
        },
        "redirect_host": "127.0.0.1:33418",
        "loopback": True,
        "resource": small.help.RESOURCE,
        "resource_host": "mcp.shop.com",
        "scopes": [{"scope": "mcp", "meaning": "Use the tools of this server as your agent."}],
        "remembered_agent_id": None,
        "expires_in": 90 * 86400,
    }


async def test_an_owner_sees_whose_document_it_is(small_world, help_):
    redirect = "https://app.example:8443/cb"
    facts = {"client_id": DOCUMENT, "client_name": "App", "redirect_uris": [redirect]}
    small_world.documents.at[DOCUMENT] = Fetched(json.dumps(facts).encode(), "application/json", "")
    async with help_.serving(small_world, mcp_scopes="mcp admin") as api:
        small = await opened(small_world, api, help_)
        asked = small.asked | {"client_id": DOCUMENT, "redirect_uri": redirect}
        del asked["resource"], asked["scope"]
        data = (await small.browser.look(asked)).json()["data"]
        assert data["client"] == {
            "client_id": DOCUMENT,
            "name": "App",
            "kind": "document",
            "host": "app.example",
            "document_url": DOCUMENT,
        }
        assert (data["redirect_host"], data["loopback"]) == ("app.example:8443", False)
        assert (data["resource"], data["resource_host"]) == (None, None)
        assert [one["scope"] for one in data["scopes"]] == ["mcp", "admin"]
        # It does not refresh: its one access token is all.
        assert data["expires_in"] == 300
        told = sent_back(await small.browser.allow(asked, small.agent), status=200)
        assert told.where == redirect
        (line,) = (await small.browser.grants()).json()["data"]["items"]
        assert (line["client"]["kind"], line["client"]["host"]) == (
            ClientKind.DOCUMENT,
            "app.example",
        )
        assert line["resource"] is None


async def test_a_code_becomes_a_token_for_that_server(both):
    small = both
    # On another port than the registered one: the program chose it just now.
    redirect = "http://127.0.0.1:50000/callback"
    asked = small.asked | {"redirect_uri": redirect}
    told = sent_back(await small.browser.allow(asked, small.agent), status=200)
    assert (told.where, told.state, told.iss) == (redirect, "a b&c=d", small.help.ISSUER)
    form = {
        "grant_type": "authorization_code",
        "client_id": small.client.client_id,
        "code": told.code,
        "redirect_uri": redirect,
        "code_verifier": small.help.VERIFIER,
        "resource": small.help.RESOURCE,
    }
    wrong = await small.api.token(form | {"redirect_uri": small.help.CALLBACK})
    assert wrong.json()["error"] == "invalid_grant"
    answer = (await small.api.token(form)).json()
    claims = small.world.claims(answer["access_token"], domain="mcp.shop.com")
    assert claims["aud"] == ["mcp", small.help.RESOURCE]
    assert (claims["sub"], claims["client_id"]) == (small.agent, small.client.client_id)
    assert "rt_" in answer["refresh_token"]
    assert await small.world.actions(small.world.ada) == ["oauth.consent.given"]
    # The next time the page proposes the same agent, and still asks.
    assert sent_back(await small.browser.allow(small.asked, small.agent), status=200).code
    data = (await small.browser.look(small.asked)).json()["data"]
    assert data["remembered_agent_id"] == small.agent
    other = await small.browser.look(small.asked | {"resource": "https://other.shop.com/"})
    assert other.json()["data"]["remembered_agent_id"] is None


async def test_a_code_is_for_a_minute(small):
    told = sent_back(await small.browser.allow(small.asked, small.agent), status=200)
    form = exchange(small, told.code)
    small.world.clock.advance(CODE_LIFETIME.total_seconds())
    assert (await small.api.token(form)).json()["error"] == "invalid_grant"


async def test_a_refusal_is_told_to_the_client(small):
    told = sent_back(await small.browser.refuse(small.asked), status=200)
    assert (told.where, told.error) == (small.help.CALLBACK, "access_denied")
    assert (told.state, told.iss) == ("a b&c=d", small.help.ISSUER)


async def test_only_owners_who_want_it_consent(small):
    assert (await small.browser.look(small.asked, as_=None)).status_code == 401
    assert (await small.browser.allow(small.asked, small.agent, as_=None)).status_code == 401
    assert (await small.browser.refuse(small.asked, as_=None)).status_code == 401
    forged = await small.browser.allow(small.asked, small.agent, csrf=False)
    assert (forged.status_code, forged.json()["error"]["code"]) == (403, "CSRF_FAILED")
    # But the endpoint itself never answers 401.
    assert (await small.browser.open(small.asked)).status_code == 303


async def test_an_owner_consents_for_their_own_agents_alone(small):
    response = await small.browser.allow(small.asked, small.world.stranger.agent_id)
    assert (response.status_code, response.json()["error"]["code"]) == (404, "NOT_FOUND")
    response = await small.browser.allow(small.asked, "me")
    assert response.status_code == 404


async def test_an_agent_needs_the_capability_and_good_standing(small):
    await small.world.allow(capable=False)
    response = await small.browser.allow(small.asked, small.agent)
    assert response.status_code == 400
    assert response.json()["error"]["detail"]["field"] == "agent_id"
    await small.world.allow(active=False)
    response = await small.browser.allow(small.asked, small.agent)
    assert (response.status_code, response.json()["error"]["code"]) == (403, "AGENT_INACTIVE")
    assert small.world.oauth.grants._shared.grants == {}


async def test_a_consent_that_cannot_be_recorded_is_none(small, monkeypatch):
    async def away(*_args, **_more):
        raise Unavailable(retry_after=1)

    monkeypatch.setattr(small.world.audit, "record", away)
    assert (await small.browser.allow(small.asked, small.agent)).status_code == 503
    assert small.world.oauth.grants._shared.grants == {}
    assert small.world.oauth.codes._shared.codes == {}


async def test_who_consents_keeps_the_client(both):
    both.world.clock.advance(31 * 86400)
    await both.browser.allow(both.asked, both.agent)
    (line,) = (await both.browser.grants()).json()["data"]["items"]
    await both.browser.revoke(line["grant_id"])
    await both.world.client_parts.registration.prune()
    assert await both.world.oauth.clients.find(both.client.client_id) is not None


# Grants.


async def test_an_owner_lists_and_takes_back(both):
    small = both
    told = sent_back(await small.browser.allow(small.asked, small.agent), status=200)
    form = exchange(small, told.code)
    refresh = (await small.api.token(form)).json()["refresh_token"]
    (line,) = (await small.browser.grants()).json()["data"]["items"]
    grant_id, used = line.pop("grant_id"), line.pop("last_used_at")
    assert used == line.pop("created_at") == "2026-11-23T10:00:00Z"
    assert line == {
        "client": {
            "client_id": small.client.client_id,
            "name": "Tool",
            "kind": "registered",
            "host": None,
        },
        "agent": {"agent_id": small.agent, "display_name": "Agent"},
        "redirect_host": "127.0.0.1:33418",
        "resource": small.help.RESOURCE,
        "scopes": ["mcp"],
    }
    # Nobody else sees it, or ends it.
    assert (await small.browser.grants(as_="bob")).json()["data"]["items"] == []
    assert (await small.browser.revoke(grant_id, as_="bob")).status_code == 404
    assert (await small.browser.revoke("me")).status_code == 404
    # Once it was taken back nothing is refreshed, and it may be said again.
    for _ in range(2):
        response = await small.browser.revoke(grant_id)
        assert response.json() == {"ok": True, "data": {}}
    again = {
        "grant_type": "refresh_token",
        "client_id": small.client.client_id,
        "refresh_token": refresh,
    }
    assert (await small.api.token(again)).json()["error"] == "invalid_grant"
    assert (await small.browser.grants()).json()["data"]["items"] == []
    assert (await small.browser.look(small.asked)).json()["data"]["remembered_agent_id"] is None
    actions = await small.world.actions(small.world.ada)
    assert actions == ["oauth.consent.given", "oauth.consent.revoked"]


async def test_a_code_of_a_consent_that_was_taken_back_is_worth_nothing(small):
    told = sent_back(await small.browser.allow(small.asked, small.agent), status=200)
    (line,) = (await small.browser.grants()).json()["data"]["items"]
    await small.browser.revoke(line["grant_id"])
    form = exchange(small, told.code)
    assert (await small.api.token(form)).json()["error"] == "invalid_grant"


async def test_a_long_list_has_pages(small):
    for number in range(3):
        small.world.clock.advance(1)
        await small.browser.allow(
            small.asked | {"resource": f"https://m{number}.shop.com/"}, small.agent
        )
    first = (await small.browser.grants(limit=2)).json()["data"]
    rest = (await small.browser.grants(limit=2, cursor=first["next_cursor"])).json()["data"]
    hosts = [line["resource"] for line in first["items"] + rest["items"]]
    assert hosts == [f"https://m{number}.shop.com/" for number in (2, 1, 0)]
    assert rest["next_cursor"] is None
    assert (await small.browser.grants(cursor="x")).status_code == 400


async def test_a_deleted_agents_consent_is_still_listed(small):
    await small.browser.allow(small.asked, small.agent)
    await small.world.backend.delete_agent(small.agent)
    (line,) = (await small.browser.grants()).json()["data"]["items"]
    assert line["agent"] == {"agent_id": small.agent, "display_name": None}
    assert (await small.browser.revoke(line["grant_id"])).status_code == 200


async def test_fifty_revocations_at_once_are_one(both):
    await both.browser.allow(both.asked, both.agent)
    (line,) = (await both.browser.grants()).json()["data"]["items"]
    answers = await asyncio.gather(*(both.browser.revoke(line["grant_id"]) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    actions = await both.world.actions(both.world.ada)
    assert actions.count("oauth.consent.revoked") == 1


async def test_fifty_consents_at_once_are_one_grant_with_fifty_codes(both):
    answers = await asyncio.gather(*(both.browser.allow(both.asked, both.agent) for _ in range(50)))
    codes = {sent_back(answer, status=200).code for answer in answers}
    assert len(codes) == 50
    assert len((await both.browser.grants()).json()["data"]["items"]) == 1


async def test_secrets_stay_out_of_representations(small):
    told = sent_back(await small.browser.allow(small.asked, small.agent), status=200)
    kept = repr(small.world.oauth.codes._shared.codes.values())
    assert told.code not in kept
    assert small.help.CHALLENGE not in kept
    request = await small.world.client_parts.authorization.read(
        {name: [value] for name, value in small.asked.items()}
    )
    assert small.help.CHALLENGE not in repr(request)
    assert "a b&c=d" not in repr(request)


async def test_there_is_no_cross_origin_consent(small):
    for path in ("authorize", "consent", "grants"):
        response: httpx.Response = await small.api.http.request(
            "OPTIONS",
            f"{small.help.ISSUER}/{path}",
            headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
        )
        assert "access-control-allow-origin" not in response.headers
