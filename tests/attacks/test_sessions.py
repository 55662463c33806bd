"""Sessions cannot be planted, forged, or used by another site's page."""

import secrets
from http.cookies import SimpleCookie
from typing import Any

import httpx
import pytest

from tests.attacks.intruder import PASSWORD, Person, sign_in
from tests.support.authenticator import Authenticator
from tests.support.deployment import Deployment
from tests.support.wire import data, refusal

ME = "/foundation/users/me"
AGENTS = "/core/agents"
REGISTER = f"{AGENTS}/register"
STEP_UP = "/foundation/users/step-up"


def cookies_of(answer: httpx.Response) -> dict[str, dict[str, str]]:
    """The attributes of each cookie that is set, by name; empty ones are absent."""
    found = {}
    for line in answer.headers.get_list("set-cookie"):
        for name, morsel in SimpleCookie(line).items():
            kept = {key: value for key, value in morsel.items() if value}
            found[name] = {**kept, "value": morsel.value}
    return found


# Fixation


def test_a_planted_session_id_does_not_become_the_victims(resident: Person) -> None:
    planted = "se_" + "A" * 43
    resident.http.cookies.set("lime_session", planted, domain="127.0.0.1", path="/")
    answer = sign_in(resident)
    assert cookies_of(answer)["lime_session"]["value"] != planted
    with Person(resident.public_url) as intruder:
        intruder.http.cookies.set("lime_session", planted)
        assert refusal(intruder.get(ME)) == (401, "NOT_SIGNED_IN")


def test_the_attackers_own_session_does_not_become_the_victims(victim: Person) -> None:
    mine = victim.session
    again = cookies_of(sign_in(victim))["lime_session"]["value"]
    assert again != mine


def test_every_rise_of_privilege_gives_a_new_secret_and_voids_the_old(victim: Person) -> None:
    before = str(victim.session)
    data(victim.post(STEP_UP, password=PASSWORD))
    assert victim.session != before
    with Person(victim.public_url) as intruder:
        intruder.http.cookies.set("lime_session", before)
        assert refusal(intruder.get(ME)) == (401, "NOT_SIGNED_IN")
    assert data(victim.get(ME))["email"] == victim.email


def add_passkey(person: Person) -> Authenticator:
    device = Authenticator(secrets.token_bytes(16), origin=person.public_url)
    options = data(person.post("/foundation/users/passkeys/options"))["options"]
    passkey = {"name": "Phone", "credential": device.create(options)}
    data(person.post("/foundation/users/passkeys", **passkey), 201)
    return device


def asked_again(person: Person) -> dict[str, Any]:
    options: dict[str, Any] = data(person.post(f"{STEP_UP}/passkey/options"))["options"]
    return options


def test_a_passkey_proves_who_is_there_only_by_its_owners_answer_to_this_session_and_once(
    victim: Person, stranger: Person
) -> None:
    before = str(victim.session)
    wrong = (400, "INVALID_PASSKEY")
    with Person(victim.public_url) as thief:
        # 1. Whoever holds a stolen session has a passkey, too, and a challenge of the stolen session for it.
        foreign = add_passkey(stranger)
        thief.email = victim.email
        sign_in(thief)
        device = add_passkey(victim)
        for handle in (foreign.user_handle, device.user_handle):
            foreign.user_handle = handle
            credential = foreign.get(asked_again(thief))
            assert refusal(thief.post(STEP_UP, credential=credential)) == wrong
        # 2. What the owner's own passkey answered elsewhere is no answer here.
        for elsewhere in (victim, stranger):
            credential = device.get(asked_again(elsewhere))
            assert refusal(thief.post(STEP_UP, credential=credential)) == wrong
        options = data(thief.post("/foundation/users/login/passkey/options"))["options"]
        assert refusal(thief.post(STEP_UP, credential=device.get(options))) == wrong
        # 3. Nor is the one that was given here already, whatever its key.
        credential = device.get(asked_again(victim))
        data(victim.post(STEP_UP, credential=credential))
        assert victim.session != before
        for again in (victim, thief):
            assert refusal(again.post(STEP_UP, credential=credential)) == wrong


def test_a_session_that_was_left_is_dead(victim: Person) -> None:
    before = str(victim.session)
    gone = cookies_of(victim.post("/foundation/users/logout"))
    assert gone["lime_session"]["max-age"] == "0"
    with Person(victim.public_url) as intruder:
        intruder.http.cookies.set("lime_session", before)
        assert refusal(intruder.get(ME)) == (401, "NOT_SIGNED_IN")


def test_a_changed_password_ends_every_other_session(victim: Person) -> None:
    with Person(victim.public_url) as elsewhere:
        elsewhere.email = victim.email
        sign_in(elsewhere)
        changed = victim.post(
            "/foundation/users/password",
            current_password=PASSWORD,
            new_password="quite another staple battery",
        )
        data(changed)
        assert refusal(elsewhere.get(ME)) == (401, "NOT_SIGNED_IN")
    assert data(victim.get(ME))["email"] == victim.email


# Cookies


def test_cookies_are_out_of_reach_of_scripts_and_other_sites(resident: Person) -> None:
    found = cookies_of(sign_in(resident))
    session, csrf = found["lime_session"], found["lime_csrf"]
    assert session["httponly"]
    assert session["samesite"].lower() == "lax"
    assert session["path"] == "/"
    assert "domain" not in session
    assert "httponly" not in csrf
    assert found["lime_device"]["httponly"]
    # Loopback has no TLS; nothing else may do without.
    assert "secure" not in session
    # A site on another port of the host has the same cookies: the router of lime_sites begins its own
    # ones so.
    assert not [name for name in found if name.startswith("lime_site_")]


def test_over_https_cookies_are_secure_and_bound_to_the_host(
    deployment: Deployment, smtp_url: str
) -> None:
    settings = {"LIME_PUBLIC_URL": "https://lime.example", "LIME_CAPTCHA": "none"}
    with (
        deployment.server("tls", LIME_SMTP_URL=smtp_url, **settings) as server,
        Person(server.public_url) as person,
    ):
        body = {"email": person.email, "password": PASSWORD}
        ours = {"Origin": "https://lime.example"}
        answer = person.send("POST", "/foundation/users/register", body, ours)
        data(answer, 201)
    found = cookies_of(answer)["__Host-lime_registration"]
    assert found["secure"]
    assert found["httponly"]
    assert found["path"] == "/"
    assert found["samesite"].lower() == "strict"
    assert "domain" not in found


# CSRF

_STRANGERS = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "", "Sec-Fetch-Site": "same-site"},
    {"X-CSRF-Token": ""},
    {"Origin": "", "Sec-Fetch-Site": "", "X-CSRF-Token": ""},
    {"X-CSRF-Token": "0" * 64},
    {"Origin": "", "Sec-Fetch-Site": "", "X-CSRF-Token": "0" * 64},
]


@pytest.mark.parametrize("headers", _STRANGERS, ids=str)
def test_another_sites_page_changes_nothing(victim: Person, headers: dict[str, str]) -> None:
    answer = victim.send("POST", REGISTER, {"display_name": "Forged"}, headers)
    assert refusal(answer) == (403, "CSRF_FAILED")
    assert data(victim.get(AGENTS))["items"] == []


def test_a_csrf_pair_that_the_attacker_planted_is_not_this_sessions(victim: Person) -> None:
    with Person(victim.public_url) as intruder:
        intruder.http.cookies.set("lime_session", str(victim.session))
        intruder.http.cookies.set("lime_csrf", "f" * 64)
        answer = intruder.post(REGISTER, display_name="Forged")
    assert refusal(answer) == (403, "CSRF_FAILED")


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "", "Sec-Fetch-Site": "cross-site"}],
    ids=str,
)
def test_nobody_is_signed_in_by_another_sites_page(
    resident: Person, headers: dict[str, str]
) -> None:
    body = {"email": resident.email, "password": PASSWORD}
    answer = resident.send("POST", "/foundation/users/login", body, headers)
    assert refusal(answer) == (403, "CSRF_FAILED")
    assert resident.session is None


def test_a_form_of_another_site_is_not_even_read(victim: Person) -> None:
    sent = {"X-CSRF-Token": "", "Content-Type": "text/plain"}
    answer = victim.http.post(REGISTER, content='{"display_name": "Forged"}', headers=sent)
    assert answer.status_code in {400, 403}
    assert data(victim.get(AGENTS))["items"] == []
