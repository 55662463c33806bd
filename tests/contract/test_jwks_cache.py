"""Protocol section 6, the verifier's cache: how often our SDK asks for keys, and when it stops believing one."""

import asyncio
import time
from collections.abc import Iterator

import pytest

import lime_sites
from tests.contract.issuer import JWKS, Issuer
from tests.contract.promises import promise
from tests.support.deployment import eventually
from tests.support.tokens import ForgingKey

TOKEN = f"st_{'A' * 43}"
REQUEST = Issuer.REQUEST


@pytest.fixture(scope="module")
def keys() -> list[ForgingKey]:
    """Made once: RSA keys take a while."""
    return [ForgingKey("first"), ForgingKey("second")]


@pytest.fixture
def issuer(keys: list[ForgingKey]) -> Iterator[Issuer]:
    with Issuer(keys[0]) as issuer:
        yield issuer


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short intervals in the place of the protocol's, so that minutes pass in a second."""
    monkeypatch.setenv("LIME_JWKS_CACHE_TTL_SECONDS", "1")
    monkeypatch.setattr("lime_sites._jwks.MIN_INTERVAL", 0.2)


def _verifies(site: lime_sites.LimeSiteSync, passport: str) -> bool:
    try:
        site.verify_passport(passport, expected_request_id=REQUEST)
    except lime_sites.InvalidPassportError:
        return False
    return True


@promise("jwks-cache:warm")
def test_a_warm_cache_asks_nobody(issuer: Issuer) -> None:
    with lime_sites.LimeSiteSync(site_token=TOKEN, base_url=issuer.api_base) as site:
        site.verify_passport(issuer.passport())
        asked = len(issuer.seen)
        for _ in range(50):
            site.verify_passport(issuer.passport(), expected_request_id=REQUEST)
            site.verify_passport(issuer.passport())
        assert len(issuer.seen) == asked


@promise("jwks-cache:one-in-flight")
async def test_fifty_cold_verifications_ask_once(issuer: Issuer) -> None:
    async with lime_sites.LimeSite(site_token=TOKEN, base_url=issuer.api_base) as site:
        tokens = [issuer.passport() for _ in range(50)]
        found = await asyncio.gather(
            *(site.verify_passport(each, expected_request_id=REQUEST) for each in tokens)
        )
    assert len(found) == 50
    assert issuer.count(JWKS) == 1


@promise("jwks-cache:unknown-kid")
@pytest.mark.parametrize("down", [False, True])
def test_a_thousand_unknown_kids_ask_once_in_ten_seconds(
    issuer: Issuer, keys: list[ForgingKey], down: bool
) -> None:
    begin = time.monotonic()
    with lime_sites.LimeSiteSync(site_token=TOKEN, base_url=issuer.api_base, max_retries=0) as site:
        assert _verifies(site, issuer.passport())
        issuer.status = 503 if down else 200
        good, bad = issuer.passport(), keys[1].sign(issuer.claims()).split(".", 1)[1]
        for number in range(1000):
            assert not _verifies(site, f"{issuer.header(kid=f'unknown-{number}')}.{bad}")
            assert number % 100 or _verifies(site, good)
    assert issuer.count(JWKS) <= 2 + (time.monotonic() - begin) / 10


@promise("jwks-cache:stale-if-error")
@pytest.mark.usefixtures("impatient")
def test_a_failed_fetch_keeps_the_keys(issuer: Issuer) -> None:
    with lime_sites.LimeSiteSync(site_token=TOKEN, base_url=issuer.api_base, max_retries=0) as site:
        assert _verifies(site, issuer.passport())
        issuer.status = 503
        asked = issuer.count(JWKS)
        # Every verification on the way succeeds, and so does the one after several failed fetches.
        eventually(lambda: _verifies(site, issuer.passport()) and issuer.count(JWKS) >= asked + 3)
        assert _verifies(site, issuer.passport())


@promise("jwks-cache:withdrawn")
@pytest.mark.usefixtures("impatient")
def test_a_withdrawn_key_stops_working_after_the_next_fetch(
    issuer: Issuer, keys: list[ForgingKey]
) -> None:
    with lime_sites.LimeSiteSync(site_token=TOKEN, base_url=issuer.api_base) as site:
        assert _verifies(site, issuer.passport())
        issuer.keys[:] = [keys[1].jwk()]
        eventually(lambda: not _verifies(site, issuer.passport()))
        assert _verifies(site, keys[1].sign(issuer.claims()))
