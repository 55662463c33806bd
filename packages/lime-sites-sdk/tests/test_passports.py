"""Verification of login passports, with real signatures."""

import asyncio
import logging
import string
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from lime_jwt import TYP_BINDING, SigningKey
from lime_sdk_core import Flow, Step
from lime_sites import InvalidPassportError, KeysUnavailableError, LimeSite, Passport
from lime_sites._jwks import MIN_INTERVAL, KeyCache
from lime_sites._passports import Verifier, _passport
from lime_sites.errors import AuthenticationError, TransportError
from lime_sites.testing import FakeLime

JWKS = ("GET", "/core/.well-known/jwks.json")
ME = ("GET", "/foundation/sites/me")
REQUEST = "7b1c3c3e-0000-4000-8000-000000000001"


async def test_a_good_passport_says_who_is_at_the_door(site: Any, fake: FakeLime) -> None:
    jwt = fake.passport(REQUEST, agent_id="agent-7", claims={"kyc_level": 2})
    passport = await site.verify_passport(jwt, expected_request_id=REQUEST)
    assert isinstance(passport, Passport)
    assert passport.agent_id == "agent-7"
    assert passport.request_id == REQUEST
    assert passport.user_id == "owner-1"
    assert passport.site_id == fake.site_id
    assert passport.kyc_level == 2
    assert passport.expires_at.timestamp() == passport.claims["exp"]
    assert passport.jti == passport.claims["jti"]
    assert passport.valid is True
    assert passport.claims["agent_id"] == passport.claims["sub"] == "agent-7"


async def test_without_a_request_id_the_passport_must_be_for_this_site(
    site: Any, fake: FakeLime
) -> None:
    ours = fake.passport(REQUEST)
    assert (await site.verify_passport(ours)).site_id == fake.site_id
    for other in ("another-site", None):
        with pytest.raises(InvalidPassportError):
            await site.verify_passport(fake.passport(REQUEST, claims={"site_id": other}))
    assert fake.calls.count(ME) == 1


async def test_the_own_site_id_can_be_given(make: Any, fake: FakeLime) -> None:
    site = make(site_id="site-7")
    jwt = fake.passport(REQUEST, claims={"site_id": "site-7"})
    assert (await site.verify_passport(jwt)).site_id == "site-7"
    assert ME not in fake.calls


async def test_verification_fails_closed_while_the_own_site_id_is_unknown(
    site: Any, fake: FakeLime
) -> None:
    fake.forget_site()
    with pytest.raises(AuthenticationError):
        await site.verify_passport(fake.passport(REQUEST))


REFUSED: dict[str, dict[str, object]] = {
    "another request": {"request_id": "another"},
    "no request": {"request_id": None},
    "another issuer": {"iss": "https://evil.example"},
    "an issuer with our name in front": {"iss": "https://fake-lime-for-sites.invalid.evil.example"},
    "another audience": {"aud": "lime-binding"},
    "audience as a list": {"aud": ["lime-site-login"]},
    "no agent": {"sub": None},
    "an empty agent": {"sub": ""},
    "no id": {"jti": None},
    "no end": {"exp": None},
    "an end that is a boolean": {"exp": True},
    "issued in the far future": {"iat": 4_000_000_000, "exp": 4_000_000_060},
    "too long a life": {"exp": 4_000_000_000},
    "an owner that is a number": {"user_id": 7},
    "a level that is text": {"kyc_level": "3"},
    "a level that is a boolean": {"kyc_level": True},
}


@pytest.mark.parametrize("claims", REFUSED.values(), ids=REFUSED)
async def test_a_passport_that_says_the_wrong_thing_is_refused(
    claims: dict[str, object], site: Any, fake: FakeLime
) -> None:
    with pytest.raises(InvalidPassportError):
        await site.verify_passport(
            fake.passport(REQUEST, claims=claims), expected_request_id=REQUEST
        )


@pytest.mark.parametrize("level", [2.0, float("nan"), float(2**64), True, "2", [2], {}])
def test_a_level_that_is_no_integer_is_none(fake: FakeLime, level: object) -> None:
    # Given as they come out of JSON: nothing of ours would sign a float.
    claims = fake._claims(REQUEST, "agent-1")
    assert _passport(claims | {"kyc_level": 2}).kyc_level == 2
    with pytest.raises(InvalidPassportError):
        _passport(claims | {"kyc_level": level})


async def test_an_agent_id_claim_does_not_speak_for_another_agent(
    site: Any, fake: FakeLime
) -> None:
    jwt = fake.passport(REQUEST, agent_id="agent-7", claims={"agent_id": "agent-8"})
    passport = await site.verify_passport(jwt, expected_request_id=REQUEST)
    assert passport.agent_id == passport.claims["agent_id"] == "agent-7"


async def test_all_refusals_say_the_same_and_the_log_says_why(
    site: Any, fake: FakeLime, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = {
        "ExpiredTokenError": fake.expired_passport(REQUEST),
        "InvalidSignatureError": fake.forged_passport(REQUEST),
        "InvalidClaimError": fake.passport("another"),
        "MalformedTokenError": "not a token",
        "claims of another shape: ('user_id',)": fake.passport(REQUEST, claims={"user_id": 7}),
    }
    said = set()
    for reason, token in tokens.items():
        caplog.clear()
        with pytest.raises(InvalidPassportError) as caught:
            await site.verify_passport(token, expected_request_id=REQUEST)
        error = caught.value
        said.add((str(error), error.code, error.__cause__, error.__context__))
        assert reason in caplog.text
        assert token not in caplog.text
    assert said == {("the passport is not valid", "INVALID_PASSPORT", None, None)}


async def test_an_empty_request_id_matches_nothing(site: Any, fake: FakeLime) -> None:
    with pytest.raises(InvalidPassportError):
        await site.verify_passport(fake.passport(REQUEST), expected_request_id="")


async def test_half_a_character_is_no_token(site: Any, fake: FakeLime) -> None:
    with pytest.raises(InvalidPassportError):
        await site.verify_passport(fake.passport(REQUEST) + "\ud800", expected_request_id=REQUEST)


async def test_another_kind_of_token_is_refused(site: Any, fake: FakeLime) -> None:
    claims = fake._claims(REQUEST, "agent-1")
    with pytest.raises(InvalidPassportError):
        await site.verify_passport(
            fake._keys[-1].sign(claims, typ=TYP_BINDING), expected_request_id=REQUEST
        )


class NoHost:
    """A host that must not be needed."""

    def background(self, flow: Flow[None]) -> None:
        raise AssertionError("no fetch is needed")

    def await_landing(self, landed: object) -> None:
        raise AssertionError("nothing to wait for")


@pytest.fixture(scope="module")
def warm() -> tuple[Verifier, FakeLime]:
    """A verifier with its keys at hand, and who signs for it."""
    from lime_jwt import JwkSet, encode_jwks

    fake = FakeLime()
    cache = KeyCache(clock=lambda: 0.0)
    flight = cache.plan(fake.issuer).start
    assert flight is not None
    cache.land(flight, JwkSet.parse(encode_jwks(fake._keys), issuer=fake.issuer))
    verifier = Verifier(fake.issuer, cache, NoHost(), fake._wall_clock, fake.site_id)
    return verifier, fake


def _steps(flow: Flow[Passport]) -> tuple[list[Step], Passport]:
    steps = []
    while True:
        try:
            steps.append(next(flow))
        except StopIteration as done:
            return steps, done.value


@pytest.mark.parametrize("request_id", [REQUEST, None])
def test_with_a_warm_cache_nothing_is_asked_of_anybody(
    warm: tuple[Verifier, FakeLime], request_id: str | None
) -> None:
    verifier, fake = warm
    steps, passport = _steps(verifier.verify(fake.passport(REQUEST), request_id))
    assert steps == []
    assert passport.request_id == REQUEST


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_passport_with_any_byte_changed_is_refused(
    warm: tuple[Verifier, FakeLime], data: st.DataObject
) -> None:
    verifier, fake = warm
    jwt = fake.passport(REQUEST)
    where = data.draw(st.integers(0, len(jwt) - 1))
    char = data.draw(
        st.one_of(
            st.sampled_from(string.ascii_letters + string.digits + "-_.="),
            st.characters(codec=None),
        )
    )
    changed = jwt[:where] + char + jwt[where + 1 :]
    assume(changed != jwt)
    with pytest.raises(InvalidPassportError):
        _steps(verifier.verify(changed, REQUEST))


async def test_ten_thousand_unknown_keys_cost_one_fetch_and_delay_nobody(
    fake: FakeLime, clock: Any, with_kid: Callable[[str, str], str]
) -> None:
    is_hanging, asked, answer = False, asyncio.Event(), asyncio.Event()

    async def handler(request: httpx.Request) -> httpx.Response:
        if is_hanging:
            asked.set()
            await answer.wait()
        return await fake.transport.handle_async_request(request)

    client = httpx.AsyncClient(transport=httpx.MockTransport(handler))
    async with fake.site(clock=clock, http_client=client) as site:
        good = fake.passport(REQUEST)

        async def verify(jwt: str) -> Passport:
            return await site.verify_passport(jwt, expected_request_id=REQUEST)

        await verify(good)
        clock.advance(MIN_INTERVAL)
        is_hanging = True
        strangers = [with_kid(good, f"kid-{number}") for number in range(10_000)]
        waiting = [asyncio.create_task(verify(jwt)) for jwt in strangers]
        await asked.wait()
        # Their fetch does not end, and who has a good passport does not notice.
        for _ in range(100):
            assert (await verify(good)).request_id == REQUEST
        assert not any(task.done() for task in waiting)
        answer.set()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(result) for result in results} == {InvalidPassportError}
        assert fake.calls.count(JWKS) == 2


@pytest.mark.parametrize("is_down", [False, True])
async def test_ten_thousand_unknown_keys_cost_one_fetch_in_ten_seconds(
    make: Any, fake: FakeLime, clock: Any, with_kid: Callable[[str, str], str], is_down: bool
) -> None:
    site, good = make(clock=clock), fake.passport(REQUEST)
    await site.verify_passport(good, expected_request_id=REQUEST)
    if is_down:
        fake.go_down()
    for number in range(10_000):
        clock.advance(0.01)
        with pytest.raises(InvalidPassportError):
            await site.verify_passport(with_kid(good, f"kid-{number}"), expected_request_id=REQUEST)
        if number % 100 == 0:
            await site.verify_passport(good, expected_request_id=REQUEST)
    # One for the good passport, and one for each ten of these hundred seconds.
    assert 10 <= fake.calls.count(JWKS) <= 11


async def test_fifty_cold_verifications_make_one_fetch(make: Any, fake: FakeLime) -> None:
    site = make()
    jwt = fake.passport(REQUEST)
    await asyncio.gather(
        *(site.verify_passport(jwt, expected_request_id=REQUEST) for _ in range(50))
    )
    assert fake.calls.count(JWKS) == 1


async def test_a_rotated_key_is_fetched_once_and_a_withdrawn_one_stops(
    make: Any, fake: FakeLime, clock: Any
) -> None:
    site = make(clock=clock)
    old = fake.passport(REQUEST)
    await site.verify_passport(old, expected_request_id=REQUEST)
    clock.advance(MIN_INTERVAL)
    fake.rotate_keys(withdraw=True)
    await site.verify_passport(fake.passport(REQUEST), expected_request_id=REQUEST)
    assert fake.calls.count(JWKS) == 2
    with pytest.raises(InvalidPassportError):
        await site.verify_passport(old, expected_request_id=REQUEST)


async def test_a_key_that_the_issuer_does_not_publish_proves_nothing(
    make: Any, fake: FakeLime, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    site = make(clock=clock)
    await site.verify_passport(fake.passport(REQUEST), expected_request_id=REQUEST)
    clock.advance(MIN_INTERVAL)
    stranger = SigningKey.generate().sign(fake._claims(REQUEST, "agent-1"), typ="lime-passport+jwt")
    with pytest.raises(InvalidPassportError) as caught:
        await site.verify_passport(stranger, expected_request_id=REQUEST)
    assert caught.value.__context__ is None
    assert "does not publish" in caplog.text


async def test_verification_goes_on_while_the_issuer_is_down(
    make: Any, fake: FakeLime, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    site = make(clock=clock)
    await site.verify_passport(fake.passport(REQUEST), expected_request_id=REQUEST)
    fake.go_down()
    for hours in (1, 22):
        clock.advance(hours * 3600)
        await site.verify_passport(fake.passport(REQUEST), expected_request_id=REQUEST)
    clock.advance(3600)
    with pytest.raises(KeysUnavailableError) as caught:
        await site.verify_passport(fake.passport(REQUEST), expected_request_id=REQUEST)
    assert isinstance(caught.value, TransportError)
    assert f"no new keys from {fake.issuer}" in caplog.text
    fake.come_back()
    clock.advance(MIN_INTERVAL)
    await site.verify_passport(fake.passport(REQUEST), expected_request_id=REQUEST)


async def test_a_document_that_is_no_key_set_changes_nothing(
    make: Any, fake: FakeLime, clock: Any
) -> None:
    site = make(clock=clock)
    await site.verify_passport(fake.passport(REQUEST), expected_request_id=REQUEST)
    clock.advance(600)
    for content in (b"<html>", b'{"keys": 7}', b'{"keys": [' + b" " * 300_000 + b"]}"):
        clock.advance(MIN_INTERVAL)
        fake._planned.append(httpx.Response(200, content=content))
        await site.verify_passport(fake.passport(REQUEST), expected_request_id=REQUEST)
        # The keys were at hand, so the client did not wait for the fetch.
        if isinstance(site.site, LimeSite):
            await asyncio.gather(*site.site._fetches)
        else:
            await asyncio.to_thread(site.site._fetch.join)
        assert not fake._planned


async def test_two_issuers_in_one_process_cannot_forge_each_other() -> None:
    ours, theirs = FakeLime(), FakeLime(issuer="https://theirs.invalid")
    ours.rotate_keys(withdraw=True)
    async with ours.site() as our_site, theirs.site() as their_site:
        for fake, site in ((ours, our_site), (theirs, their_site)):
            await site.verify_passport(fake.passport(REQUEST), expected_request_id=REQUEST)
        forged = theirs.passport(REQUEST, claims={"iss": ours.issuer, "site_id": ours.site_id})
        for request_id in (REQUEST, None):
            with pytest.raises(InvalidPassportError):
                await our_site.verify_passport(forged, expected_request_id=request_id)


async def test_two_issuers_that_share_a_cache_cannot_either(clock: Any) -> None:
    ours, theirs = FakeLime(), FakeLime(issuer="https://theirs.invalid")
    ours.rotate_keys(withdraw=True)
    async with ours.site() as our_site, theirs.site() as their_site:
        their_site._verifier.cache = our_site._verifier.cache
        for fake, site in ((theirs, their_site), (ours, our_site)):
            await site.verify_passport(fake.passport(REQUEST), expected_request_id=REQUEST)
        forged = theirs.passport(REQUEST, claims={"iss": ours.issuer})
        with pytest.raises(InvalidPassportError):
            await our_site.verify_passport(forged, expected_request_id=REQUEST)


async def test_a_cancelled_caller_does_not_end_the_fetch_that_others_wait_for(
    fake: FakeLime,
) -> None:
    async with fake.site() as site:
        jwt = fake.passport(REQUEST)
        verify = [
            asyncio.create_task(site.verify_passport(jwt, expected_request_id=REQUEST))
            for _ in range(2)
        ]
        await asyncio.sleep(0)
        verify[0].cancel()
        assert (await verify[1]).request_id == REQUEST
        assert verify[0].cancelled()
        assert fake.calls.count(JWKS) == 1


async def test_an_abandoned_fetch_leaves_nobody_waiting(fake: FakeLime) -> None:
    verifier = LimeSite(site_token="st_x", base_url=fake.base_url)._verifier
    plan = verifier.cache.plan(fake.issuer)
    assert plan.start is not None
    flow = verifier._fetch(plan.start)
    next(flow)
    flow.close()
    assert plan.start.landed.done()


def test_threads_share_one_client(fake: FakeLime) -> None:
    with fake.site_sync() as site:
        jwt = fake.passport(REQUEST)
        results: list[Passport] = []
        threads = [
            threading.Thread(
                target=lambda: results.append(
                    site.verify_passport(jwt, expected_request_id=REQUEST)
                )
            )
            for _ in range(16)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(results) == 16
    assert fake.calls.count(JWKS) == 1


def test_a_passport_does_not_print_its_claims(warm: tuple[Verifier, FakeLime]) -> None:
    verifier, fake = warm
    _, passport = _steps(verifier.verify(fake.passport(REQUEST), REQUEST))
    assert "claims" not in repr(passport)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="lime_sites")


def test_keys_that_hang_delay_no_thread_that_has_good_ones(fake: FakeLime, clock: Any) -> None:
    asked, answer = threading.Event(), threading.Event()
    hanging = False

    def handler(request: httpx.Request) -> httpx.Response:
        if hanging:
            asked.set()
            answer.wait()
        return fake.transport.handle_request(request)

    client = httpx.Client(transport=httpx.MockTransport(handler))
    with fake.site_sync(http_client=client, clock=clock) as site:
        site.verify_passport(fake.passport(REQUEST), expected_request_id=REQUEST)
        clock.advance(301)
        hanging = True
        # Returns although nobody lets the fetch end.
        site.verify_passport(fake.passport(REQUEST), expected_request_id=REQUEST)
        assert asked.wait(10)
        answer.set()
        assert site._fetch is not None
        site._fetch.join()
