"""The fake LIME itself, and the plugin that brings it."""

import asyncio

import httpx
import pytest

from lime_sites import AuthenticationError, InvalidPassportError, LimeSite, LimeSiteSync
from lime_sites.testing import FakeLime
from lime_sites.testing import _records as records


async def test_a_program_that_makes_its_own_client_ends_at_the_fake(
    fake_lime_for_sites: FakeLime,
) -> None:
    async with LimeSite() as site:
        seen: list[str] = []
        site.on_login(lambda request_id, _: seen.append(request_id))
        made = await site.create_login_request()
        await fake_lime_for_sites.approve(made.request_id).handled()
        assert seen == [made.request_id]


def test_so_does_a_blocking_one(fake_lime_for_sites: FakeLime) -> None:
    with LimeSiteSync() as site:
        made = site.create_login_request()
        assert made.request_id in fake_lime_for_sites.logins


def test_the_fake_wants_its_own_token(fake: FakeLime) -> None:
    with pytest.raises(AuthenticationError):
        fake.site_sync(site_token="st_other").create_login_request()
    with httpx.Client(transport=fake.transport) as client:
        answer = client.get(f"{fake.base_url}/foundation/sites/me")
        assert answer.json()["error"]["code"] == "SITE_TOKEN_MISSING"
        answer = client.get(f"{fake.base_url}/nowhere", headers={"x-site-token": fake.site_token})
        assert answer.status_code == 404


def test_a_login_is_answered_once(fake: FakeLime) -> None:
    made = fake.site_sync().create_login_request()
    fake.deny(made.request_id)
    with pytest.raises(ValueError, match="DENIED"):
        fake.approve(made.request_id)


def test_bad_passports_can_be_had(fake: FakeLime) -> None:
    with fake.site_sync() as site:
        for jwt in (fake.expired_passport("login-1"), fake.forged_passport("login-1")):
            with pytest.raises(InvalidPassportError):
                site.verify_passport(jwt, expected_request_id="login-1")


def test_keys_can_be_rotated_with_the_old_ones_still_published(fake: FakeLime) -> None:
    old = fake.passport("login-1")
    fake.rotate_keys()
    with fake.site_sync() as site:
        for jwt in (old, fake.passport("login-1")):
            assert site.verify_passport(jwt, expected_request_id="login-1").valid


async def test_an_event_that_nobody_handles_fails_the_test(
    fake: FakeLime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "PATIENCE", 0.001)
    made = await fake.site().create_login_request()
    event = fake.approve(made.request_id)
    with pytest.raises(AssertionError, match="did not handle the approved event"):
        await event.handled()
    with pytest.raises(AssertionError, match="did not handle the approved event"):
        await asyncio.to_thread(event.wait_handled)


async def test_an_event_goes_to_one_of_two_workers(fake: FakeLime) -> None:
    async with fake.site() as one, fake.site() as two:
        seen: list[str] = []
        for site in (one, two):
            site.on_login(lambda request_id, _: seen.append(request_id))
        made = await one.create_login_request(redirect_url="https://shop.example/")
        while fake.calls.count(("GET", "/modules/agent-login/events")) < 2:  # noqa: ASYNC110 - as the fake says
            await asyncio.sleep(0.001)
        event = fake.approve(made.request_id)
        await event.handled()
        assert seen == [made.request_id]
        assert event.sent == 1
        # What was acknowledged is not sent any more.
        fake.deliver_again()
        assert event.sent == 1
        # Acknowledging again changes nothing.
        event.acknowledge()
