"""Registration, sign-in, sessions and passwords, as a browser does them."""

import asyncio
import re
from dataclasses import replace
from functools import partial
from typing import Annotated

import pyotp
import pytest
from argon2 import PasswordHasher
from fastapi import APIRouter, Depends

from lime_server.core.errors import RateLimited, Unavailable
from lime_server.core.origin import Origin, coming_from
from lime_server.core.ports import Limit
from lime_server.foundation.sessions import Session
from lime_server.foundation.slowing import DEVICES, FACTOR, MAILS, PER_ACCOUNT
from lime_server.infrastructure.memory.limiter import MemoryLimiter
from lime_server.infrastructure.passwords import MOST_IN_LINE, Argon2Hasher
from lime_server.modules import credentials

ADA = "ada@example.com"
PASSWORD = "correct horse battery"
NEXT = "a staple in the hay"
SENT = {"ok": True, "data": {"status": "VERIFICATION_SENT"}}


def cookies(response):
    """Every cookie that the answer sets, by name, as written."""
    headers = response.headers.get_list("set-cookie")
    return {header.partition("=")[0]: header for header in headers}


async def test_somebody_registers_proves_the_address_and_signs_in(server, browser, say):
    answer = await browser.post(
        "users/register", {"email": " Ada@Example.com", "password": PASSWORD}
    )
    assert (answer.status_code, answer.json()) == (201, SENT)
    mail = (await server.mails())[0]
    assert mail.to == ADA
    body = {"email": ADA, "code": await server.code()}
    owner_id = say(await browser.post("users/register/verify", body))["user_id"]
    answer = await browser.sign_in()
    assert say(answer) == {"status": "SIGNED_IN", "methods": []}
    me = say(await browser.get("users/me"))
    assert me == {
        "user_id": owner_id,
        "email": ADA,
        "kyc_level": 0,
        "operator": False,
        "suspended": False,
        "second_factor": {"totp": False, "recovery_codes_left": 0, "passkeys": []},
    }
    assert await server.actions(owner_id) == ["owner.registered", "owner.signed-in"]


async def test_cookies_are_what_they_should_be(ada):
    set_ = cookies(await ada.sign_in())
    session = set_["__Host-lime_session"]
    for part in ("HttpOnly", "Secure", "SameSite=lax", "Path=/", "Max-Age=604800"):
        assert part in session
    assert "HttpOnly" not in set_["lime_csrf"]
    assert "Secure" in set_["lime_csrf"]
    assert "Domain" not in "".join(set_.values())
    assert "HttpOnly" in set_["__Host-lime_device"]


async def test_on_http_loopback_cookies_go_without_their_prefix(make_server, say):
    browser = make_server(public_url="http://127.0.0.1:8000").browser()
    await browser.register()
    set_ = cookies(await browser.sign_in())
    assert {"lime_session", "lime_csrf", "lime_device"} <= set_.keys()
    assert "Secure" not in "".join(set_.values())
    say(await browser.get("users/me"))


async def test_on_http_elsewhere_cookies_are_for_tls_only(make_server):
    server = make_server(public_url="http://lime.example")
    assert server.office.routes.sessions.rules.cookie == "__Host-lime_session"


async def test_registering_a_known_address_looks_the_same_and_mails_something_else(
    server, ada, refusal
):
    other = server.browser()
    answer = await other.post("users/register", {"email": ADA, "password": NEXT})
    assert (answer.status_code, answer.json()) == (201, SENT)
    assert "__Host-lime_registration" in cookies(answer)
    mail = (await server.mails())[0]
    assert "already" in mail.subject
    assert not re.search(r"\d{6}", mail.text)


async def test_a_code_works_only_in_the_browser_that_registered(server, browser, refusal, say):
    attacker = server.browser()
    await attacker.post("users/register", {"email": ADA, "password": NEXT})
    body = {"email": ADA, "code": await server.code()}
    # The victim reads the code, and types it where they registered themselves.
    await browser.post("users/register", {"email": ADA, "password": PASSWORD})
    assert refusal(await browser.post("users/register/verify", body)) == (400, "INVALID_CODE")
    assert refusal(await server.browser().post("users/register/verify", body)) == (
        400,
        "INVALID_CODE",
    )
    body["code"] = await server.code()
    say(await browser.post("users/register/verify", body))
    assert refusal(await attacker.sign_in(password=NEXT)) == (401, "INVALID_CREDENTIALS")


async def test_of_two_registrations_one_becomes_the_owner(server, browser, refusal, say):
    rival = server.browser()
    codes = []
    for one in (browser, rival):
        await one.post("users/register", {"email": ADA, "password": PASSWORD})
        codes.append(await server.code())
    say(await browser.post("users/register/verify", {"email": ADA, "code": codes[0]}))
    body = {"email": ADA, "code": codes[1]}
    assert refusal(await rival.post("users/register/verify", body)) == (400, "INVALID_CODE")


async def test_a_code_has_five_tries_fifteen_minutes_and_one_address(server, browser, refusal):
    async def verify(code, email=ADA):
        return refusal(await browser.post("users/register/verify", {"email": email, "code": code}))

    await browser.post("users/register", {"email": ADA, "password": PASSWORD})
    code = await server.code()
    assert await verify(code, "eve@example.com") == (400, "INVALID_CODE")
    wrong = f"{(int(code) + 1) % 1000000:06d}"
    for _ in range(4):
        assert await verify(wrong) == (400, "INVALID_CODE")
    assert await verify(code) == (400, "INVALID_CODE")
    await browser.post("users/register", {"email": ADA, "password": PASSWORD})
    server.backend.clock.advance(15 * 60)
    assert await verify(await server.code()) == (400, "INVALID_CODE")


async def test_of_two_that_type_the_right_code_at_once_one_wins(
    server, browser, refusal, monkeypatch
):
    await browser.post("users/register", {"email": ADA, "password": PASSWORD})
    tickets = server.backend.stores.tickets

    async def faster(*_):
        return None

    monkeypatch.setattr(tickets, "take", faster)
    body = {"email": ADA, "code": await server.code()}
    assert refusal(await browser.post("users/register/verify", body)) == (400, "INVALID_CODE")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"email": "no address"}, "INVALID_REQUEST"),
        ({"email": "a\x00da@example.com"}, "INVALID_REQUEST"),
        ({"email": "x<ada@example.com>"}, "INVALID_REQUEST"),
        ({"email": "eve,ada@example.com"}, "INVALID_REQUEST"),
        ({"email": "=?utf-8?q?ada=40example.com?=@x"}, "INVALID_REQUEST"),
        ({"email": "ada@["}, "INVALID_REQUEST"),
        ({"email": "ada@example.com."}, "INVALID_REQUEST"),
        ({"email": "a" * 65 + "@example.com"}, "INVALID_REQUEST"),
        ({"password": "password1234"}, "WEAK_PASSWORD"),
        ({"operator": True}, "INVALID_REQUEST"),
    ],
)
async def test_what_cannot_be_registered(browser, refusal, changes, code):
    body = {"email": ADA, "password": PASSWORD, **changes}
    assert refusal(await browser.post("users/register", body)) == (400, code)


async def test_a_wrong_password_and_an_unknown_address_are_told_alike(server, ada, refusal):
    stranger = server.browser()
    wrong = await stranger.sign_in(password="not the right one")
    unknown = await stranger.sign_in(email="nobody@example.com")
    odd = await stranger.sign_in(email="nobody\x00@example.com")
    assert refusal(wrong) == (401, "INVALID_CREDENTIALS")
    assert wrong.json() == unknown.json() == odd.json()
    actions = await server.actions(ada.owner_id)
    assert actions[-1] == "owner.sign-in.failed"


async def test_an_owner_without_password_cannot_sign_in(server, browser, refusal):
    await server.backend.owners.create(ADA)
    assert refusal(await browser.sign_in()) == (401, "INVALID_CREDENTIALS")


async def test_a_known_and_an_unknown_address_cost_the_same_work(server, ada):
    asked = []
    hasher = server.office.routes.accounts._tools.hasher

    class Counting:
        async def verify(self, stored, password):
            asked.append((stored is None, await hasher.verify(stored, password)))
            return asked[-1][1]

    object.__setattr__(server.office.routes.accounts._tools, "hasher", Counting())
    await server.browser().sign_in(password="wrong wrong wrong")
    await server.browser().sign_in(email="nobody@example.com")
    assert asked == [(False, False), (True, False)]


async def test_an_old_hash_is_renewed_at_sign_in(server, ada, say):
    accounts = server.backend.stores.accounts
    old = PasswordHasher(1, 16, 1).hash(PASSWORD)
    await accounts.set_password(ada.owner_id, old)
    say(await ada.sign_in())
    assert "m=8,t=1,p=1" in (await accounts.by_id(ada.owner_id)).password_hash
    say(await ada.sign_in())


async def test_an_old_hash_that_somebody_else_renews_is_looked_at_again(
    server, ada, refusal, say, monkeypatch
):
    accounts = server.backend.stores.accounts
    await accounts.set_password(ada.owner_id, PasswordHasher(2, 8, 1).hash(PASSWORD))
    rehash = accounts.rehash

    async def slower(owner_id: str, old: str, new: str) -> bool:
        monkeypatch.setattr(accounts, "rehash", rehash)
        assert await rehash(owner_id, old, PasswordHasher(1, 8, 1).hash(PASSWORD))
        return await rehash(owner_id, old, new)

    monkeypatch.setattr(accounts, "rehash", slower)
    say(await ada.sign_in())


async def test_a_sign_in_that_the_next_password_overtakes_begins_nothing(
    server, ada, refusal, say, monkeypatch
):
    hasher = server.office.routes.accounts._tools.hasher
    verify, phone = hasher.verify, server.browser()
    body = {"current_password": PASSWORD, "new_password": NEXT}

    async def overtaken(*arguments):
        monkeypatch.setattr(hasher, "verify", verify)
        right = await verify(*arguments)
        say(await ada.post("users/password", body))
        return right

    monkeypatch.setattr(hasher, "verify", overtaken)
    assert refusal(await phone.sign_in()) == (401, "INVALID_CREDENTIALS")
    assert len(await server.backend.stores.sessions.of_owner(ada.owner_id)) == 1


async def test_half_a_sign_in_ends_with_its_password(server, ada, refusal, say):
    totp, _ = await add_totp(server, ada, say)
    phone = server.browser()
    say(await phone.sign_in())
    say(await ada.post("users/password", {"current_password": PASSWORD, "new_password": NEXT}))
    server.backend.clock.advance(30)
    body = {"code": totp.at(server.backend.clock.now())}
    assert refusal(await phone.post("users/login/second-factor", body)) == (401, "NOT_SIGNED_IN")


async def test_guessing_is_slowed_but_not_for_the_owners_own_browser(server, ada, refusal, say):
    guesser = server.browser()
    answers = [await guesser.sign_in(password=f"guess number {n}") for n in range(10)]
    # With Ada's own, from before this browser was known, that makes eleven.
    assert [answer.status_code for answer in answers] == [401] * 9 + [429]
    assert int(answers[-1].headers["retry-after"]) > 0
    # An address that nobody has is slowed just the same.
    answers = [await guesser.sign_in(email="nobody@example.com") for _ in range(11)]
    assert answers[-1].status_code == 429
    # Ada has signed in with this browser before, and nobody else has.
    say(await ada.sign_in())
    forged = server.browser()
    forged.client.cookies.set(
        "__Host-lime_device", "A" * 22 + "." + "0" * 64, domain="lime.example"
    )
    assert refusal(await forged.sign_in()) == (429, "RATE_LIMIT_EXCEEDED")


async def test_who_guesses_in_a_stolen_session_does_not_stop_the_owners_browser(
    server, ada, refusal, say
):
    thief = server.browser()
    for name in ("__Host-lime_session", "lime_csrf"):
        thief.client.cookies.set(name, ada.client.cookies[name], domain="lime.example")
    wrong = {"password": "guess by guess by guess"}
    answers = [refusal(await thief.post("users/step-up", wrong)) for _ in range(11)]
    assert answers == [(401, "INVALID_CREDENTIALS")] * 10 + [(429, "RATE_LIMIT_EXCEEDED")]
    body = {"current_password": PASSWORD, "new_password": NEXT}
    assert refusal(await thief.post("users/password", body)) == (429, "RATE_LIMIT_EXCEEDED")
    say(await ada.post("users/password", body))
    assert refusal(await thief.get("users/me")) == (401, "NOT_SIGNED_IN")


async def test_many_browsers_that_signed_in_once_guess_no_more_than_a_few(server, ada):
    slowing, account = server.office.routes.slowing, ADA
    browsers = [slowing.new_device(account) for _ in range(DEVICES + 2)]

    async def count(ask, device, *, network):
        with coming_from(Origin("request", f"2001:db8:0:{network:x}::1", None)):
            try:
                await ask(account, unverified_device=device)
            except RateLimited:
                return 0
        return 1

    for ask, burst in [
        (slowing.mail, MAILS.burst),
        (partial(slowing.attempt, "sign-in"), PER_ACCOUNT.burst),
    ]:
        let = [
            sum([await count(ask, device, network=network) for _ in range(burst + 1)])
            for network, device in enumerate(browsers)
        ]
        assert let == [burst] * DEVICES + [0, 0]
        # They take nothing from whoever comes in a browser that is new.
        assert await count(ask, None, network=99) == 1


async def test_guessing_is_slowed_per_address_ipv6_by_its_network(server):
    browser = server.browser()
    for number in range(60):
        address = f"2001:db8:0:1::{number}"
        answer = await browser.sign_in(email=f"x{number}@example.com", address=address)
        assert answer.status_code == 401
    answer = await browser.sign_in(email="y@example.com", address="2001:db8:0:1::ffff")
    assert answer.status_code == 429
    answer = await browser.sign_in(email="y@example.com", address="2001:db8:0:2::1")
    assert answer.status_code == 401
    assert (await browser.sign_in(email="y@example.com", address=None)).status_code == 401


async def test_mails_to_one_address_are_few(browser):
    body = {"email": ADA, "password": PASSWORD}
    answers = [await browser.post("users/register", body) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [201] * 5 + [429]


# Sessions


async def test_a_session_changes_only_so_much_and_its_owner_three_times_as_much(make_server, say):
    server = make_server(rate_per_session=Limit(rate=1, burst=4))
    browsers = [server.browser() for _ in range(4)]
    await browsers[0].register()
    for browser in browsers:
        say(await browser.sign_in())

    async def changes(browser):
        answers = [await browser.delete("sessions/none") for _ in range(6)]
        return [answer.status_code for answer in answers]

    thief, owner, *others = browsers
    assert await changes(thief) == [404] * 4 + [429] * 2
    # Who only reads is not counted; and whoever stole a session leaves its owner room to end it.
    say(await thief.get("users/me"))
    assert await changes(owner) == [404] * 4 + [429] * 2
    assert await changes(others[0]) == [404] * 4 + [429] * 2
    assert await changes(others[1]) == [429] * 6


async def test_what_another_page_sends_counts_against_nobody(make_server, say, refusal):
    server = make_server(rate_per_session=Limit(rate=1, burst=1))
    browser = server.browser()
    await browser.register()
    say(await browser.sign_in())
    for _ in range(3):
        answer = await browser.post(
            "sessions/end-others", headers={"Origin": "https://evil.example"}
        )
        assert refusal(answer) == (403, "CSRF_FAILED")
    say(await browser.post("sessions/end-others"))
    assert refusal(await browser.post("sessions/end-others")) == (429, "RATE_LIMIT_EXCEEDED")


async def test_a_session_gets_a_new_secret_at_sign_in(ada, say):
    before = ada.client.cookies["__Host-lime_session"]
    say(await ada.sign_in())
    assert ada.client.cookies["__Host-lime_session"] != before


@pytest.mark.parametrize("cookie", ["", "x", "os_" + "A" * 43, "at_" + "A" * 43])
async def test_a_cookie_that_somebody_made_up_opens_nothing(server, refusal, cookie):
    browser = server.browser()
    browser.client.cookies.set("__Host-lime_session", cookie, domain="lime.example")
    assert refusal(await browser.get("users/me")) == (401, "NOT_SIGNED_IN")
    # Nor does it after its victim has signed in.
    await browser.register()
    await browser.sign_in()
    assert browser.client.cookies.get("__Host-lime_session") != cookie
    thief = server.browser()
    thief.client.cookies.set("__Host-lime_session", cookie, domain="lime.example")
    assert refusal(await thief.get("users/me")) == (401, "NOT_SIGNED_IN")


async def test_a_session_ends_when_idle_and_in_any_case(server, ada, refusal, say):
    clock = server.backend.clock
    for _ in range(14):
        clock.advance(12 * 3600 - 1)
        answer = await ada.get("users/me")
        assert answer.status_code == 200
    clock.advance(12 * 3600 - 1)
    assert refusal(await ada.get("users/me")) == (401, "NOT_SIGNED_IN")
    say(await ada.sign_in())
    clock.advance(12 * 3600)
    assert refusal(await ada.get("users/me")) == (401, "NOT_SIGNED_IN")
    await server.office.sweep()
    assert not server.backend.stores.sessions.sessions


async def test_sessions_are_listed_and_ended(server, ada, refusal, say):
    phone = server.browser()
    server.backend.clock.advance(1)
    say(await phone.sign_in(address="198.51.100.1", user_agent="Phone"))
    first = say(await ada.get("sessions?limit=1"))
    [shown] = first["items"]
    assert shown["current"] is False
    assert (shown["address"], shown["user_agent"]) == ("198.51.100.1", "Phone")
    rest = say(await ada.get(f"sessions?cursor={first['next_cursor']}"))
    assert rest["next_cursor"] is None
    assert [(one["current"], one["user_agent"]) for one in rest["items"]] == [(True, "TestBrowser")]
    assert refusal(await ada.delete("sessions/not-an-id")) == (404, "NOT_FOUND")
    say(await ada.delete(f"sessions/{shown['session_id'].upper()}"))
    assert refusal(await phone.get("users/me")) == (401, "NOT_SIGNED_IN")
    assert refusal(await ada.delete(f"sessions/{shown['session_id']}")) == (404, "NOT_FOUND")
    assert (await server.actions(ada.owner_id))[-1] == "owner.session.ended"


async def test_another_owners_session_is_not_there(server, ada, refusal, say):
    eve = server.browser()
    await eve.register("eve@example.com")
    say(await eve.sign_in("eve@example.com"))
    mine = say(await ada.get("sessions"))["items"][0]["session_id"]
    assert refusal(await eve.delete(f"sessions/{mine}")) == (404, "NOT_FOUND")
    say(await ada.get("users/me"))


async def test_all_others_end_together(server, ada, refusal, say):
    phone = server.browser()
    say(await phone.sign_in())
    assert say(await ada.post("sessions/end-others")) == {"ended": 1}
    assert refusal(await phone.get("users/me")) == (401, "NOT_SIGNED_IN")
    say(await ada.get("users/me"))


async def test_signing_out_ends_the_session_and_takes_the_cookies(server, ada, refusal, say):
    kept = ada.client.cookies["__Host-lime_session"]
    answer = await ada.post("users/logout")
    say(answer)
    assert {"__Host-lime_session", "lime_csrf"} == cookies(answer).keys()
    assert all("Max-Age=0" in cookie for cookie in cookies(answer).values())
    thief = server.browser()
    thief.client.cookies.set("__Host-lime_session", kept, domain="lime.example")
    assert refusal(await thief.get("users/me")) == (401, "NOT_SIGNED_IN")
    assert (await server.actions(ada.owner_id))[-1] == "owner.signed-out"


async def test_a_suspended_owner_sees_who_they_are_and_may_leave(server, ada, refusal, say):
    await server.suspend(ada.owner_id)
    assert say(await ada.get("users/me"))["suspended"] is True
    assert refusal(await ada.get("sessions")) == (403, "OWNER_SUSPENDED")
    assert refusal(await ada.post("sessions/end-others")) == (403, "OWNER_SUSPENDED")
    say(await ada.post("users/logout"))


# Other sites


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": "A" * 43},
        {"X-CSRF-Token": "ü"},
    ],
)
async def test_another_sites_page_changes_nothing(ada, refusal, say, headers):
    headers = {key: value.encode() for key, value in headers.items()}
    answer = await ada.post("sessions/end-others", headers=headers)
    assert refusal(answer) == (403, "CSRF_FAILED")
    say(await ada.get("users/me"))


async def test_a_planted_csrf_cookie_does_not_pass(ada, refusal):
    planted = "B" * 43
    ada.client.cookies.delete("lime_csrf")
    ada.client.cookies.set("lime_csrf", planted, domain="lime.example")
    assert refusal(await ada.post("sessions/end-others")) == (403, "CSRF_FAILED")


async def test_without_a_session_too_only_our_own_pages_may_ask(browser, refusal):
    answer = await browser.sign_in(headers={"Origin": "https://evil.example"})
    assert refusal(answer) == (403, "CSRF_FAILED")


async def test_our_own_page_and_a_program_may_ask(ada, say):
    say(await ada.post("sessions/end-others", headers={"Sec-Fetch-Site": "same-origin"}))
    token = {"X-CSRF-Token": ada.client.cookies["lime_csrf"]}
    say(await ada.client.post("/foundation/sessions/end-others", headers=token))


# Passwords


async def test_changing_the_password_ends_all_other_sessions(server, ada, refusal, say):
    phone, before = server.browser(), ada.client.cookies["__Host-lime_session"]
    say(await phone.sign_in())
    body = {"current_password": PASSWORD, "new_password": NEXT}
    say(await ada.post("users/password", body))
    assert ada.client.cookies["__Host-lime_session"] != before
    say(await ada.get("users/me"))
    say(await ada.post("sessions/end-others"))
    assert refusal(await phone.get("users/me")) == (401, "NOT_SIGNED_IN")
    assert refusal(await phone.sign_in()) == (401, "INVALID_CREDENTIALS")
    say(await phone.sign_in(password=NEXT))
    assert (await server.mails())[0].subject == "Your LIME password was changed"
    assert "owner.password.changed" in await server.actions(ada.owner_id)


async def test_the_password_is_not_changed_without_the_current_one(server, ada, refusal):
    body = {"current_password": "wrong", "new_password": NEXT}
    assert refusal(await ada.post("users/password", body)) == (401, "INVALID_CREDENTIALS")
    body = {"current_password": PASSWORD, "new_password": "short"}
    assert refusal(await ada.post("users/password", body)) == (400, "WEAK_PASSWORD")
    assert (await server.actions(ada.owner_id))[-1] == "owner.sign-in.failed"


async def test_a_lost_password_is_replaced_by_mail(server, ada, refusal, say):
    lost = server.browser()
    answer = await lost.post("users/password/reset", {"email": ADA})
    assert say(answer, 202) == {"status": "CODE_SENT"}
    body = {"email": ADA, "code": await server.code(), "new_password": NEXT}
    say(await lost.post("users/password/reset/confirm", body))
    assert refusal(await ada.get("users/me")) == (401, "NOT_SIGNED_IN")
    assert refusal(await lost.post("users/password/reset/confirm", body)) == (400, "INVALID_CODE")
    say(await lost.sign_in(password=NEXT))
    assert "owner.password.reset" in await server.actions(ada.owner_id)


async def test_a_stranger_gets_the_same_answer_and_no_mail(server, browser, refusal):
    answer = await browser.post("users/password/reset", {"email": ADA})
    assert answer.json() == {"ok": True, "data": {"status": "CODE_SENT"}}
    [(queued, _, _)] = server.backend.stores.outbox.mails.values()
    assert queued.mail.to is None
    assert await server.mails() == []
    code = re.search(r"\d{8}", queued.mail.text)[0]
    body = {"email": ADA, "code": code, "new_password": NEXT}
    assert refusal(await browser.post("users/password/reset/confirm", body)) == (
        400,
        "INVALID_CODE",
    )


async def test_a_code_for_a_password_can_be_lost_in_a_race(server, ada, refusal, monkeypatch):
    await ada.post("users/password/reset", {"email": ADA})
    body = {"email": ADA, "code": await server.code(), "new_password": NEXT}

    async def gone(*_):
        return None

    with monkeypatch.context() as patch:
        patch.setattr(server.backend.stores.tickets, "take", gone)
        assert refusal(await ada.post("users/password/reset/confirm", body)) == (
            400,
            "INVALID_CODE",
        )
    with monkeypatch.context() as patch:
        patch.setattr(server.backend.stores.accounts, "by_email", gone)
        assert refusal(await ada.post("users/password/reset/confirm", body)) == (
            400,
            "INVALID_CODE",
        )


async def test_nobody_else_can_use_up_a_code_or_make_it_void(server, ada, refusal, say):
    lost, guesser = server.browser(), server.browser()
    await lost.post("users/password/reset", {"email": ADA})
    body = {"email": ADA, "code": await server.code(), "new_password": NEXT}
    assert len(body["code"]) == 8
    # Neither by guessing, with and without a code of their own, nor by asking for another one.
    wrong = {**body, "code": "0"}
    for _ in range(11):
        await guesser.post("users/password/reset/confirm", wrong)
    await guesser.post("users/password/reset", {"email": ADA})
    for _ in range(6):
        answer = await guesser.post("users/password/reset/confirm", wrong)
        assert refusal(answer) == (400, "INVALID_CODE")
    # Nor is the code of any use to them, or for another address.
    answer = await guesser.post("users/password/reset/confirm", body)
    assert refusal(answer) == (400, "INVALID_CODE")
    answer = await lost.post("users/password/reset/confirm", {**body, "email": "other@example.com"})
    assert refusal(answer) == (400, "INVALID_CODE")
    say(await lost.post("users/password/reset/confirm", body))


async def test_who_keeps_asking_in_anothers_name_does_not_stop_their_own_browser(
    server, ada, refusal, say
):
    stranger = server.browser()
    answers = [await stranger.post("users/password/reset", {"email": ADA}) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [202] * 4 + [429]
    say(await ada.post("users/password/reset", {"email": ADA}), 202)


async def test_a_code_is_void_once_the_password_is_another_one(server, ada, refusal, say):
    lost = server.browser()
    await lost.post("users/password/reset", {"email": ADA})
    code = await server.code()
    say(await ada.post("users/password", {"current_password": PASSWORD, "new_password": NEXT}))
    body = {"email": ADA, "code": code, "new_password": "yet another battery"}
    assert refusal(await lost.post("users/password/reset/confirm", body)) == (400, "INVALID_CODE")
    say(await lost.sign_in(password=NEXT))


# Step-up


async def test_a_proof_gets_old_and_is_renewed_by_password(server, ada, refusal, say):
    server.backend.clock.advance(10 * 60)
    assert refusal(await ada.post("users/totp")) == (403, "STEP_UP_REQUIRED")
    assert refusal(await ada.post("users/step-up", {"password": "wrong"})) == (
        401,
        "INVALID_CREDENTIALS",
    )
    before = ada.client.cookies["__Host-lime_session"]
    say(await ada.post("users/step-up", {"password": PASSWORD}))
    assert ada.client.cookies["__Host-lime_session"] != before
    say(await ada.post("users/totp"))
    two = {"password": PASSWORD, "code": "123456"}, {"password": PASSWORD, "credential": {}}
    for body in ({}, *two):
        assert refusal(await ada.post("users/step-up", body)) == (400, "INVALID_REQUEST")


async def test_a_session_that_ends_meanwhile_is_not_renewed(server, ada, refusal, monkeypatch):
    async def ended(*_, **__):
        return False

    monkeypatch.setattr(server.backend.stores.sessions, "renew", ended)
    answer = await ada.post("users/step-up", {"password": PASSWORD})
    assert refusal(answer) == (401, "NOT_SIGNED_IN")


# The first owner


async def test_the_first_owner_comes_by_a_link(server, browser, refusal, say):
    resident = await server.backend.owners.create("dev@lime.localhost")
    accounts = server.office.routes.accounts
    old = await accounts.first_token(resident.owner_id)
    token = await accounts.first_token(resident.owner_id)
    assert say(await browser.get("portal-config")) == {
        "captcha": {"kind": "none", "site_key": None},
        "first_owner": True,
    }
    body = {"token": old.text, "email": ADA, "password": PASSWORD}
    assert refusal(await browser.post("users/first", body)) == (400, "INVALID_CODE")
    body["token"] = token.text
    say(await browser.post("users/first", body))
    me = say(await browser.get("users/me"))
    assert (me["user_id"], me["email"], me["operator"]) == (resident.owner_id, ADA, True)
    assert refusal(await browser.post("users/first", body)) == (400, "INVALID_CODE")
    assert await accounts.first_token(resident.owner_id) is None
    assert say(await browser.get("portal-config"))["first_owner"] is False


async def test_strangers_do_not_stop_who_has_the_link(server, browser, refusal, say):
    resident = await server.backend.owners.create("dev@lime.localhost")
    token = await server.office.routes.accounts.first_token(resident.owner_id)
    body = {"token": "guess", "email": ADA, "password": PASSWORD}
    answers = [await server.browser().post("users/first", body) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [400] * 10 + [429]
    say(await browser.post("users/first", {**body, "token": token.text}))


async def test_a_link_is_used_once_even_at_once(server, browser, refusal, monkeypatch):
    resident = await server.backend.owners.create("dev@lime.localhost")
    token = await server.office.routes.accounts.first_token(resident.owner_id)

    async def faster(*_):
        return None

    monkeypatch.setattr(server.backend.stores.tickets, "take", faster)
    body = {"token": token.text, "email": ADA, "password": PASSWORD}
    assert refusal(await browser.post("users/first", body)) == (400, "INVALID_CODE")


async def test_an_owner_that_is_gone_is_not_found(server):
    with pytest.raises(Exception, match="no such thing"):
        await server.office.routes.accounts._owner("0190a2b4-0000-7000-8000-000000000000")


# The second factor


async def add_totp(server, ada, say):
    made = say(await ada.post("users/totp"))
    assert made["otpauth_uri"].startswith("otpauth://totp/LIME:ada%40example.com?secret=")
    totp = pyotp.TOTP(made["secret"])
    code = totp.at(server.backend.clock.now())
    codes = say(await ada.post("users/totp/confirm", {"code": code}))["recovery_codes"]
    assert len(set(codes)) == 10
    return totp, codes


async def test_an_authenticator_is_added_asked_for_and_removed(server, ada, refusal, say):
    totp, _ = await add_totp(server, ada, say)
    clock, phone = server.backend.clock, server.browser()
    assert refusal(await ada.post("users/totp")) == (409, "CONFLICT")
    answer = await phone.sign_in()
    assert say(answer) == {
        "status": "SECOND_FACTOR_REQUIRED",
        "methods": ["totp", "recovery_code"],
    }
    assert cookies(answer).keys() == {"__Host-lime_half"}
    assert refusal(await phone.get("users/me")) == (401, "NOT_SIGNED_IN")
    # The code that added it is spent.
    used = {"code": totp.at(clock.now())}
    assert refusal(await phone.post("users/login/second-factor", used)) == (400, "INVALID_CODE")
    clock.advance(30)
    fresh = {"code": totp.at(clock.now())}
    say(await phone.post("users/login/second-factor", fresh))
    say(await phone.get("users/me"))
    # Half a sign-in is completed once.
    assert refusal(await phone.post("users/login/second-factor", fresh)) == (401, "NOT_SIGNED_IN")
    clock.advance(30)
    say(await ada.post("users/step-up", {"code": totp.at(clock.now())}))
    say(await ada.delete("users/totp"))
    assert refusal(await ada.delete("users/totp")) == (404, "NOT_FOUND")
    assert say(await ada.get("users/me"))["second_factor"]["recovery_codes_left"] == 0
    assert say(await phone.sign_in())["status"] == "SIGNED_IN"
    actions = await server.actions(ada.owner_id)
    assert {"owner.factor.added", "owner.factor.removed", "owner.stepped-up"} <= set(actions)


async def test_a_recovery_code_stands_in_once(server, ada, refusal, say):
    _, codes = await add_totp(server, ada, say)
    phone = server.browser()
    await phone.sign_in()
    wrong = {"recovery_code": "aaaa-aaaa-aaaa-aaaa"}
    assert refusal(await phone.post("users/login/second-factor", wrong)) == (400, "INVALID_CODE")
    odd = {"recovery_code": "not one"}
    assert refusal(await phone.post("users/login/second-factor", odd)) == (400, "INVALID_CODE")
    body = {"recovery_code": codes[0].upper()}
    say(await phone.post("users/login/second-factor", body))
    assert say(await phone.get("users/me"))["second_factor"]["recovery_codes_left"] == 9
    await phone.sign_in()
    assert refusal(await phone.post("users/login/second-factor", body)) == (400, "INVALID_CODE")
    new = say(await ada.post("users/recovery-codes"))["recovery_codes"]
    assert not set(new) & set(codes)
    assert say(await ada.get("users/me"))["second_factor"]["recovery_codes_left"] == 10
    assert "owner.recovery-code.used" in await server.actions(ada.owner_id)


async def test_recovery_codes_need_something_to_recover(ada, refusal):
    assert refusal(await ada.post("users/recovery-codes")) == (409, "CONFLICT")


async def test_a_sign_in_waits_five_tries_and_five_minutes(server, ada, refusal, say):
    totp, _ = await add_totp(server, ada, say)
    phone, clock = server.browser(), server.backend.clock
    assert refusal(await phone.post("users/login/second-factor", {"code": "123456"})) == (
        401,
        "NOT_SIGNED_IN",
    )
    await phone.sign_in()
    for _ in range(5):
        answer = await phone.post("users/login/second-factor", {"code": "abcdef"})
        assert refusal(answer) == (400, "INVALID_CODE")
    clock.advance(30)
    right = {"code": totp.at(clock.now())}
    assert refusal(await phone.post("users/login/second-factor", right)) == (401, "NOT_SIGNED_IN")
    await phone.sign_in()
    clock.advance(300)
    right = {"code": totp.at(clock.now())}
    assert refusal(await phone.post("users/login/second-factor", right)) == (401, "NOT_SIGNED_IN")


class Watch:
    """Seconds as a limiter counts them."""

    now = 0.0

    def __call__(self):
        return self.now


async def guess(server, say, times, **body):
    """Statuses of as many wrong codes behind the right password, from a browser that is new."""
    guesser, answers = server.browser(), []
    for n in range(times):
        if n % 5 == 0:
            say(await guesser.sign_in())
        answer = await guesser.post("users/login/second-factor", body or {"code": "0"})
        answers.append(answer.status_code)
    return answers


async def test_who_guesses_codes_with_the_password_does_not_stop_the_owners_browser(
    server, ada, refusal, say
):
    totp, _ = await add_totp(server, ada, say)
    assert await guess(server, say, FACTOR.burst + 1) == [400] * FACTOR.burst + [429]
    server.backend.clock.advance(30)
    say(await ada.sign_in())
    body = {"code": totp.at(server.backend.clock.now())}
    say(await ada.post("users/login/second-factor", body))


async def test_codes_are_so_few_in_new_browsers_that_a_year_does_not_guess_one(make_server, say):
    watch = Watch()
    server = make_server(limiter=MemoryLimiter(watch))
    ada = server.browser()
    await ada.register()
    say(await ada.sign_in())
    totp, _ = await add_totp(server, ada, say)
    assert await guess(server, say, FACTOR.burst + 1) == [400] * FACTOR.burst + [429]
    # What is tried after an hour is the first try of the next.
    watch.now += 3600
    assert await guess(server, say, 2) == [400, 429]
    # The browser in which she is signed in counts for itself: when she proves who she is, ...
    server.backend.clock.advance(30)
    say(await ada.post("users/step-up", {"code": totp.at(server.backend.clock.now())}))
    # ... when she changes to another authenticator, ...
    say(await ada.delete("users/totp"))
    _, recovery = await add_totp(server, ada, say)
    # ... and in a new one she has her recovery codes.
    phone = server.browser()
    say(await phone.sign_in())
    answer = await phone.post("users/login/second-factor", {"code": "0"})
    assert answer.status_code == 429
    say(await phone.post("users/login/second-factor", {"recovery_code": recovery[0]}))


async def test_an_owner_hears_once_a_day_of_codes_that_are_guessed_behind_the_password(
    make_server, say
):
    watch = Watch()
    server = make_server(limiter=MemoryLimiter(watch))
    ada = server.browser()
    await ada.register()
    say(await ada.sign_in())
    await add_totp(server, ada, say)

    async def told():
        await server.office.later.finish()
        mails = [mail for mail in await server.mails() if "knows your" in mail.subject]
        assert all(mail.to == ADA for mail in mails)
        return len(mails)

    wrong = {"recovery_code": "aaaa-aaaa-aaaa-aaaa"}
    await guess(server, say, 5)
    await guess(server, say, 4, **wrong)
    assert await told() == 0
    await guess(server, say, 1)
    assert await told() == 1
    watch.now += 3600
    await guess(server, say, 1)
    assert await told() == 1
    watch.now += 86400
    await guess(server, say, 2)
    assert await told() == 2
    # Who has a session and no password is not what the mail is about.
    watch.now += 86400
    for _ in range(3):
        await ada.post("users/step-up", {"code": "0"})
    assert await told() == 2


async def test_of_two_that_complete_a_sign_in_at_once_one_is_in(
    server, ada, refusal, say, monkeypatch
):
    totp, _ = await add_totp(server, ada, say)
    phone = server.browser()
    await phone.sign_in()
    server.backend.clock.advance(30)

    async def faster(*_):
        return None

    monkeypatch.setattr(server.backend.stores.tickets, "take", faster)
    body = {"code": totp.at(server.backend.clock.now())}
    assert refusal(await phone.post("users/login/second-factor", body)) == (401, "NOT_SIGNED_IN")


async def test_an_authenticator_that_shows_no_right_code_does_not_count(
    ada, refusal, say, server, monkeypatch
):
    assert refusal(await ada.post("users/totp/confirm", {"code": "123456"})) == (
        400,
        "INVALID_CODE",
    )
    made = say(await ada.post("users/totp"))
    assert refusal(await ada.post("users/totp/confirm", {"code": "x"})) == (400, "INVALID_CODE")
    assert say(await ada.sign_in())["status"] == "SIGNED_IN"

    async def faster(*_, **__):
        return False

    monkeypatch.setattr(server.backend.stores.factors, "use_step", faster)
    code = pyotp.TOTP(made["secret"]).at(server.backend.clock.now())
    assert refusal(await ada.post("users/totp/confirm", {"code": code})) == (400, "INVALID_CODE")


async def test_a_secret_that_another_tab_has_just_begun_with_does_not_count_unproven(
    server, ada, refusal, say, monkeypatch
):
    made = say(await ada.post("users/totp"))
    factors, codes = server.backend.stores.factors, pyotp.TOTP(made["secret"])
    use_step = factors.use_step

    async def meanwhile(*args, **kwargs):
        assert await factors.put_totp(ada.owner_id, "ANOTHER")
        return await use_step(*args, **kwargs)

    monkeypatch.setattr(factors, "use_step", meanwhile)
    body = {"code": codes.at(server.backend.clock.now())}
    assert refusal(await ada.post("users/totp/confirm", body)) == (400, "INVALID_CODE")
    assert not say(await ada.get("users/me"))["second_factor"]["totp"]
    assert say(await ada.sign_in())["status"] == "SIGNED_IN"


async def test_what_is_put_off_may_fail_or_be_too_much(server, caplog):
    later = server.office.later

    async def fail():
        raise RuntimeError

    later.soon(fail)
    await later.finish()
    assert "put off failed" in caplog.text
    for _ in range(1001):
        later.soon(fail)
    assert "dropped" in caplog.text


async def test_what_is_put_off_is_done_while_the_server_lives(server):
    later, done = server.office.later, asyncio.Event()
    task = asyncio.create_task(later.run())

    async def work():
        done.set()

    later.soon(work)
    await done.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_is_for_operators_is_not_there_for_others(server, ada, refusal, say):
    asked = APIRouter()
    current = Depends(credentials.operator_of(server.office.routes.sessions))

    @asked.get("/api/v1/foundation/operators-only")
    async def only(session: Annotated[Session, current]) -> dict[str, object]:
        return {"ok": True, "data": session.owner.email}

    server.app.include_router(asked)
    assert refusal(await ada.get("operators-only")) == (404, "NOT_FOUND")
    owners = server.backend.identities.owners
    owners[ada.owner_id] = replace(owners[ada.owner_id], operator=True)
    assert say(await ada.get("operators-only")) == "ada@example.com"


async def test_real_hashes_have_owasps_parameters_and_end_with_their_threads():
    hasher = Argon2Hasher()
    with coming_from(Origin()):
        made = await hasher.hash(PASSWORD)
    assert made.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await hasher.verify(made, PASSWORD)
    assert not await hasher.verify(made, "\ud800")
    assert not await hasher.verify("not a hash", PASSWORD)
    assert not await hasher.verify(None, "nobody's password")
    assert not hasher.is_outdated(made)
    hasher.close()


async def test_a_line_of_hashes_that_is_too_long_gets_no_longer():
    hasher = Argon2Hasher(PasswordHasher(1, 8, 1))
    hasher._in_line = MOST_IN_LINE
    with pytest.raises(Unavailable):
        await hasher.verify(None, PASSWORD)
    hasher._in_line = MOST_IN_LINE - 1
    made = await hasher.hash(PASSWORD)
    assert await hasher.verify(made, PASSWORD)
    hasher.close()
