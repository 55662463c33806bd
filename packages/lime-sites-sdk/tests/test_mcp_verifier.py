"""Both verifiers, with real signatures."""

import asyncio
import inspect
import logging
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from lime_jwt import TYP_LOGIN
from lime_sdk_core import ClosedError
from lime_sites import ConfigurationError, InvalidPassportError, KeysUnavailableError
from lime_sites._jwks import DEFAULT_TTL, MIN_INTERVAL
from lime_sites.mcp import LimeTokenVerifier, LimeTokenVerifierSync, UnpinnedVerifierError
from lime_sites.testing import FakeLime

RESOURCE = "https://mcp.example.com/mcp"
HOST = "mcp.example.com"
JWKS = ("GET", "/core/.well-known/jwks.json")


class Either:
    """A verifier of either kind, each method as a coroutine function."""

    def __init__(self, verifier: Any) -> None:
        self.verifier = verifier

    async def run(self, method: str, *args: Any) -> Any:
        found = getattr(self.verifier, method)
        if inspect.iscoroutinefunction(found):
            return await found(*args)
        return await asyncio.to_thread(found, *args)

    async def verify(self, token: str) -> Any:
        return await self.run("verify", token)

    async def verify_token(self, token: str) -> Any:
        return await self.run("verify_token", token)

    async def close(self) -> None:
        await self.run("aclose" if isinstance(self.verifier, LimeTokenVerifier) else "close")


Make = Callable[..., Either]


@pytest.fixture(params=["asyncio", "threads"])
def make_verifier(request: pytest.FixtureRequest, fake: FakeLime) -> Make:
    def make(**options: Any) -> Either:
        if not {"resource", "domain"} & set(options):
            options["resource"] = RESOURCE
        asynchronous = request.param == "asyncio"
        client = httpx.AsyncClient if asynchronous else httpx.Client
        kind = LimeTokenVerifier if asynchronous else LimeTokenVerifierSync
        options = {
            "base_url": fake.base_url,
            "http_client": client(transport=fake.transport),
            **options,
        }
        return Either(kind(**options))

    return make


@pytest.fixture
def verifier(make_verifier: Make) -> Either:
    return make_verifier()


async def test_a_good_token_says_who_acts_and_through_what(
    verifier: Either, fake: FakeLime
) -> None:
    token = fake.access_token(
        resource=RESOURCE, agent_id="agent-7", scope="mcp files", claims={"client_id": "client-3"}
    )
    access = await verifier.verify(token)
    assert (access.agent_id, access.client_id) == ("agent-7", "client-3")
    assert access.scopes == ("mcp", "files")
    assert (access.resource, access.domain) == (RESOURCE, HOST)
    assert access.expires_at.timestamp() == access.claims["exp"]
    assert access.jti == access.claims["jti"]
    assert access.missing(("files", "more")) == ("more",)


async def test_the_official_sdk_gets_its_own_kind_of_token(
    verifier: Either, fake: FakeLime
) -> None:
    token = fake.access_token(resource=RESOURCE, agent_id="agent-7")
    found = await verifier.verify_token(token)
    assert found.token == token
    assert (found.subject, found.client_id) == ("agent-7", "agent-7")
    assert found.scopes == ["mcp"]
    assert found.resource == RESOURCE
    assert found.expires_at == found.claims["exp"]
    assert found.claims["iss"] == fake.oauth_issuer


async def test_the_short_form_is_accepted_for_the_domain(
    make_verifier: Make, fake: FakeLime
) -> None:
    token = fake.access_token(domain=HOST, claims={"client_id": None, "scope": None})
    by_domain = await make_verifier(domain=HOST).verify_token(token)
    assert (by_domain.resource, by_domain.client_id, by_domain.scopes) == (None, "agent-1", [])
    # As a token for this server, which is what version 2 of the SDK asks.
    by_both = await make_verifier(domain=HOST, resource=RESOURCE).verify_token(token)
    assert by_both.resource == RESOURCE
    assert await make_verifier(resource=RESOURCE).verify_token(token) is None


REFUSED: dict[str, dict[str, object]] = {
    "another server": {"aud": ["mcp", "https://other.example/mcp"], "domain": "other.example"},
    "another server at this host": {"aud": ["mcp", "https://mcp.example.com/other"]},
    "the resource, but another host": {"domain": "other.example"},
    "the resource alone": {"aud": [RESOURCE]},
    "the resource as text": {"aud": RESOURCE},
    "a third audience": {"aud": ["mcp", RESOURCE, "https://other.example"]},
    "no audience": {"aud": None},
    "no host": {"domain": None},
    "LIME itself as issuer": {"iss": "https://fake-lime-for-sites.invalid"},
    "another issuer": {"iss": "https://evil.example/api/v1/modules/oauth"},
    "a passport's claim": {"user_id": "owner-1"},
    "no agent": {"sub": None},
    "no id": {"jti": None},
    "no end": {"exp": None},
    "too long a life": {"exp": 4_000_000_000},
    "a client that is a number": {"client_id": 7},
    "an empty client": {"client_id": ""},
    "scopes as a list": {"scope": ["mcp"]},
}


@pytest.mark.parametrize("claims", REFUSED.values(), ids=REFUSED)
async def test_a_token_that_says_the_wrong_thing_is_refused(
    claims: dict[str, object], verifier: Either, fake: FakeLime
) -> None:
    token = fake.access_token(resource=RESOURCE, claims=claims)
    with pytest.raises(InvalidPassportError):
        await verifier.verify(token)
    assert await verifier.verify_token(token) is None


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "\ud800"])
async def test_what_is_no_token_is_refused(text: str, verifier: Either) -> None:
    assert await verifier.verify_token(text) is None


async def test_a_passport_opens_no_mcp_server(verifier: Either, fake: FakeLime) -> None:
    assert await verifier.verify_token(fake.passport("request-1")) is None
    claims = fake._claims("request-1", "agent-1")
    good = {**claims, "iss": fake.oauth_issuer, "aud": ["mcp", RESOURCE], "domain": HOST}
    kept = {name: good[name] for name in ("iss", "aud", "domain", "sub", "iat", "exp", "jti")}
    assert await verifier.verify_token(fake._keys[-1].sign(kept, typ="at+jwt")) is not None
    assert await verifier.verify_token(fake._keys[-1].sign(kept, typ=TYP_LOGIN)) is None


async def test_an_access_token_is_no_passport(make: Any, fake: FakeLime) -> None:
    with pytest.raises(InvalidPassportError):
        await make().verify_passport(fake.access_token(resource=RESOURCE))


async def test_the_log_says_why_and_never_shows_the_token(
    verifier: Either, fake: FakeLime, caplog: pytest.LogCaptureFixture
) -> None:
    token = fake.access_token(resource="https://mcp.example.com/other")
    await verifier.verify_token(token)
    assert "made for another resource" in caplog.text
    assert token not in caplog.text


async def test_with_warm_keys_nothing_is_asked_of_anybody(verifier: Either, fake: FakeLime) -> None:
    for _ in range(20):
        assert await verifier.verify_token(fake.access_token(resource=RESOURCE)) is not None
    assert fake.calls == [JWKS]


async def test_fifty_cold_verifications_make_one_fetch(verifier: Either, fake: FakeLime) -> None:
    token = fake.access_token(resource=RESOURCE)
    found = await asyncio.gather(*(verifier.verify(token) for _ in range(50)))
    assert {access.agent_id for access in found} == {"agent-1"}
    assert fake.calls == [JWKS]


@pytest.mark.parametrize("is_down", [False, True])
async def test_ten_thousand_unknown_keys_cost_one_fetch_in_ten_seconds(
    make_verifier: Make,
    fake: FakeLime,
    clock: Any,
    with_kid: Callable[[str, str], str],
    is_down: bool,
) -> None:
    verifier = make_verifier(clock=clock)
    good = fake.access_token(resource=RESOURCE)
    await verifier.verify(good)
    if is_down:
        fake.go_down()
    for number in range(10_000):
        clock.advance(0.01)
        assert await verifier.verify_token(with_kid(good, f"kid-{number}")) is None
        if number % 100 == 0:
            await verifier.verify(good)
    # One for the good token, and one for each ten of these hundred seconds.
    assert 10 <= fake.calls.count(JWKS) <= 11


async def test_a_rotated_key_is_learned_and_a_withdrawn_one_stops(
    make_verifier: Make, fake: FakeLime, clock: Any
) -> None:
    verifier = make_verifier(clock=clock)
    old = fake.access_token(resource=RESOURCE)
    await verifier.verify(old)
    clock.advance(MIN_INTERVAL)
    fake.rotate_keys(withdraw=True)
    await verifier.verify(fake.access_token(resource=RESOURCE))
    assert await verifier.verify_token(old) is None


async def test_without_keys_nothing_is_believed(
    verifier: Either, fake: FakeLime, caplog: pytest.LogCaptureFixture
) -> None:
    fake.go_down()
    token = fake.access_token(resource=RESOURCE)
    with pytest.raises(KeysUnavailableError):
        await verifier.verify(token)
    assert await verifier.verify_token(token) is None
    assert "refused unseen" in caplog.text


async def test_the_wall_clock_can_be_given(make_verifier: Make, fake: FakeLime, clock: Any) -> None:
    verifier = make_verifier(wall_clock=clock)
    assert await verifier.verify_token(fake.access_token(resource=RESOURCE)) is None
    now = int(clock.now)
    of_then = fake.access_token(resource=RESOURCE, claims={"iat": now, "exp": now + 300})
    assert await verifier.verify_token(of_then) is not None


async def test_a_closed_verifier_asks_nobody(make_verifier: Make, fake: FakeLime) -> None:
    verifier = make_verifier()
    await verifier.close()
    await verifier.close()
    assert await verifier.verify_token(fake.access_token(resource=RESOURCE)) is None


async def test_verifiers_close_at_the_end_of_a_block(fake: FakeLime) -> None:
    with fake.mounted():
        async with LimeTokenVerifier(resource=RESOURCE, base_url=fake.base_url) as one:
            await one.verify(fake.access_token(resource=RESOURCE))
        with pytest.raises(ClosedError):
            one._driver._connect()
        with LimeTokenVerifierSync(resource=RESOURCE, base_url=fake.base_url) as two:
            await asyncio.to_thread(two.verify, fake.access_token(resource=RESOURCE))
        with pytest.raises(ClosedError):
            two._driver._connect()


async def test_a_sites_client_lends_its_connections_and_its_keys(make: Any, fake: FakeLime) -> None:
    site = make()
    token = fake.access_token(resource=RESOURCE)
    lent = [
        Either(site.site.mcp_verifier(resource=RESOURCE, required_scopes=["a"])) for _ in range(2)
    ]
    for verifier in lent:
        assert (await verifier.verify(token)).agent_id == "agent-1"
        assert verifier.verifier.required_scopes == ("a",)
        await verifier.close()
    # One fetch for both, and the client goes on.
    assert fake.calls == [JWKS]
    await site.create_login_request()
    other = site.site.mcp_verifier(domain=HOST, issuer="https://public.example/oauth")
    assert other.issuer == "https://public.example/oauth"
    with pytest.raises(UnpinnedVerifierError):
        site.site.mcp_verifier()


async def test_two_issuers_with_one_cache_cannot_forge_each_other(make: Any) -> None:
    ours, theirs = FakeLime(), FakeLime(issuer="https://theirs.invalid")
    ours.rotate_keys(withdraw=True)
    site, stranger = ours.site(), theirs.site()
    stranger._verifier.cache = site._verifier.cache
    async with site, stranger:
        our, their = (one.mcp_verifier(resource=RESOURCE) for one in (site, stranger))
        await our.verify(ours.access_token(resource=RESOURCE))
        await their.verify(theirs.access_token(resource=RESOURCE))
        forged = theirs.access_token(resource=RESOURCE, claims={"iss": ours.oauth_issuer})
        assert await our.verify_token(forged) is None


# Setting it up.


@pytest.fixture(params=[LimeTokenVerifier, LimeTokenVerifierSync])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delenv("LIME_API_BASE", raising=False)
    return request.param


def test_the_place_comes_from_the_environment(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIME_API_BASE", "https://lime.example/api/v1/")
    verifier = kind(resource=RESOURCE)
    assert verifier.issuer == "https://lime.example/api/v1/modules/oauth"
    assert (verifier.domain, verifier.required_scopes) == (HOST, ("mcp",))


def test_the_issuer_alone_says_where_the_keys_are(kind: Any) -> None:
    verifier = kind(resource=RESOURCE, issuer="https://lime.example/api/v1/modules/oauth")
    assert verifier._driver.config.base_url == "https://lime.example/api/v1"


def test_an_inner_address_can_be_given_beside_the_issuer(kind: Any) -> None:
    verifier = kind(
        resource=RESOURCE,
        base_url="http://lime:8000/inner",
        issuer="https://lime.example/api/v1/modules/oauth",
        allow_insecure_http=True,
    )
    assert verifier._driver.config.base_url == "http://lime:8000/inner"
    assert verifier.issuer == "https://lime.example/api/v1/modules/oauth"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "LIME_API_BASE"),
        ({"issuer": "https://lime.example/oauth"}, "LIME_API_BASE"),
        ({"base_url": "https://lime.example"}, "pass issuer="),
        ({"base_url": "http://lime.example/api/v1"}, "plain http"),
        ({"base_url": "https://lime.example/api/v1", "jwks_cache_ttl": 0}, "jwks_cache_ttl"),
    ],
)
def test_what_cannot_work_is_refused_at_once(kind: Any, options: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        kind(resource=RESOURCE, **options)


def test_plain_http_can_be_allowed_by_the_environment(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIME_ALLOW_INSECURE_HTTP", "1")
    assert kind(resource=RESOURCE, base_url="http://lime.example/api/v1", jwks_cache_ttl=5)


def test_a_verifier_without_a_pin_cannot_be_made(kind: Any) -> None:
    with pytest.raises(UnpinnedVerifierError):
        kind(base_url="https://lime.example/api/v1")


def test_both_verifiers_take_the_same_arguments() -> None:
    ours = inspect.signature(LimeTokenVerifier).parameters
    assert list(ours) == list(inspect.signature(LimeTokenVerifierSync).parameters)


def test_a_verifier_knows_its_servers_metadata(kind: Any) -> None:
    verifier = kind(resource=RESOURCE, base_url="https://lime.example/api/v1")
    assert verifier.resource_metadata_url == (
        "https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
    )
    document = verifier.protected_resource_metadata(name="Reports")
    assert document["resource"] == verifier.resource == RESOURCE
    assert document["authorization_servers"] == [verifier.issuer]
    assert document["scopes_supported"] == ["mcp"]


def test_settings_for_the_official_sdk_are_complete(kind: Any) -> None:
    verifier = kind(resource=RESOURCE, base_url="https://lime.example/api/v1")
    settings = verifier.auth_settings()
    assert str(settings.issuer_url) == verifier.issuer
    assert str(settings.resource_server_url) == RESOURCE
    assert settings.required_scopes == ["mcp"]
    assert settings.validate_token_resource is True
    assert verifier.auth_settings(required_scopes=["a"]).required_scopes == ["a"]


def test_a_domain_alone_has_no_metadata(kind: Any) -> None:
    verifier = kind(domain=HOST, base_url="https://lime.example/api/v1")
    assert verifier.resource_metadata_url is None
    for ask in (verifier.protected_resource_metadata, verifier.auth_settings):
        with pytest.raises(ConfigurationError, match="resource="):
            ask()


async def test_keys_are_refreshed_behind_the_callers_back(
    make_verifier: Make, fake: FakeLime, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    verifier = make_verifier(clock=clock)
    token = fake.access_token(resource=RESOURCE)
    await verifier.verify(token)
    clock.advance(DEFAULT_TTL)
    await verifier.verify(token)
    await verifier.close()
    assert (await verifier.verify(token)).agent_id == "agent-1"


def test_neither_the_package_nor_a_plain_verifier_imports_the_official_sdk() -> None:
    program = (
        "import sys, lime_sites\n"
        "assert 'starlette' not in sys.modules\n"
        "from lime_sites.mcp import LimeTokenVerifier\n"
        "LimeTokenVerifier(domain='a.example', base_url='https://lime.example/api/v1')\n"
        "assert 'mcp' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
