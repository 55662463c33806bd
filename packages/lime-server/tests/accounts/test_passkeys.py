"""Passkeys, with an authenticator made of software."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from lime_server.core.errors import Conflict
from lime_server.foundation import second_factor
from lime_server.foundation.slowing import PER_ACCOUNT
from tests.support.authenticator import Authenticator, b64, unb64

ORIGIN = "https://lime.example"
PASSWORD = "correct horse battery"


@pytest.fixture
def device():
    return Authenticator()


async def add(browser, device, say, name="Phone"):
    options = say(await browser.post("users/passkeys/options"))["options"]
    body = {"name": name, "credential": device.create(options)}
    return say(await browser.post("users/passkeys", body), 201)


async def ask(browser, say):
    return say(await browser.post("users/login/passkey/options"))["options"]


async def test_a_passkey_is_added_and_signs_in_without_a_password(server, ada, device, say):
    added = await add(ada, device, say)
    assert added["name"] == "Phone"
    assert added["last_used_at"] is None
    assert len(added["recovery_codes"]) == 10
    phone = server.browser()
    assert say(await phone.sign_in())["methods"] == ["passkey", "recovery_code"]
    credential = device.get(await ask(phone, say))
    assert say(await phone.post("users/login/passkey", {"credential": credential})) == {
        "status": "SIGNED_IN",
        "methods": [],
    }
    me = say(await phone.get("users/me"))
    assert me["user_id"] == ada.owner_id
    assert me["second_factor"]["passkeys"][0]["last_used_at"] is not None


async def test_what_a_browser_is_asked_for(ada, device, say):
    await add(ada, device, say)
    options = say(await ada.post("users/passkeys/options"))["options"]
    assert options["rp"] == {"id": "lime.example", "name": "LIME"}
    assert unb64(options["user"]["id"]).decode() == ada.owner_id
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert options["authenticatorSelection"]["residentKey"] == "required"
    assert [unb64(one["id"]) for one in options["excludeCredentials"]] == [device.credential_id]
    options = await ask(ada, say)
    assert (options["rpId"], options["userVerification"]) == ("lime.example", "required")
    assert not options.get("allowCredentials")


@pytest.mark.parametrize("counts", [True, False])
async def test_an_answer_works_once(server, ada, device, say, refusal, counts):
    if not counts:
        # As most do that are kept in sync: their counter says nothing of an answer's age.
        device.count = 0
    await add(ada, device, say)
    device.count -= not counts
    credential = device.get(await ask(ada, say))
    say(await ada.post("users/login/passkey", {"credential": credential}))
    again = await server.browser().post("users/login/passkey", {"credential": credential})
    assert refusal(again) == (400, "INVALID_PASSKEY")


@pytest.mark.parametrize(
    "change",
    [
        {"origin": "https://evil.example"},
        {"host": "evil.example"},
        {"flags": 0b001},
        {"flags": 0b100},
        {"count": 0},
        {"key": ec.generate_private_key(ec.SECP256R1())},
        {"user_handle": b"somebody else"},
        {"credential_id": b"unknown"},
    ],
)
async def test_an_answer_that_is_not_right_opens_nothing(ada, device, say, refusal, change):
    device.count = 5
    await add(ada, device, say)
    for name, value in change.items():
        setattr(device, name, value)
    credential = device.get(await ask(ada, say))
    answer = await ada.post("users/login/passkey", {"credential": credential})
    assert refusal(answer) == (400, "INVALID_PASSKEY")


@pytest.mark.parametrize(
    "credential",
    [
        {},
        {"response": 1},
        {"rawId": "x", "response": {"clientDataJSON": "A" * 20000}},
        {"rawId": "x", "response": {"clientDataJSON": b64(b"[]")}},
        {"rawId": "x", "response": {"clientDataJSON": b64(b"\xff")}},
        {"rawId": 1, "response": {"clientDataJSON": b64(b'{"challenge": "eA"}')}},
        {"rawId": "eA", "response": {"clientDataJSON": b64(b'{"challenge": "eA"}')}},
    ],
)
async def test_what_no_browser_sends_opens_nothing(ada, refusal, credential):
    answer = await ada.post("users/login/passkey", {"credential": credential})
    assert refusal(answer) == (400, "INVALID_PASSKEY")
    answer = await ada.post("users/passkeys", {"name": "Phone", "credential": credential})
    assert refusal(answer) == (400, "INVALID_PASSKEY")


async def test_a_passkey_without_a_user_handle_is_known_by_its_id(ada, device, say):
    await add(ada, device, say)
    credential = device.get(await ask(ada, say))
    del credential["response"]["userHandle"]
    say(await ada.post("users/login/passkey", {"credential": credential}))


async def test_a_passkey_made_elsewhere_or_unverified_is_not_added(server, ada, say, refusal):
    for change in ({"origin": "https://evil.example"}, {"flags": 0b001}):
        device = Authenticator()
        for name, value in change.items():
            setattr(device, name, value)
        options = say(await ada.post("users/passkeys/options"))["options"]
        body = {"name": "Phone", "credential": device.create(options)}
        assert refusal(await ada.post("users/passkeys", body)) == (400, "INVALID_PASSKEY")


async def test_an_answer_to_anothers_challenge_adds_nothing(server, ada, device, say, refusal):
    eve = server.browser()
    await eve.register("eve@example.com")
    await eve.sign_in("eve@example.com")
    options = say(await eve.post("users/passkeys/options"))["options"]
    body = {"name": "Phone", "credential": device.create(options)}
    assert refusal(await ada.post("users/passkeys", body)) == (400, "INVALID_PASSKEY")


async def test_a_challenge_is_good_for_five_minutes(server, ada, device, say, refusal):
    await add(ada, device, say)
    credential = device.get(await ask(ada, say))
    server.backend.clock.advance(300)
    answer = await ada.post("users/login/passkey", {"credential": credential})
    assert refusal(answer) == (400, "INVALID_PASSKEY")


async def test_who_asks_for_challenges_and_answers_none_leaves_nothing_behind(
    server, ada, device, say, refusal
):
    await add(ada, device, say)
    kept = server.backend.stores.tickets.tickets
    before = dict(kept)
    asked = [(await ask(ada, say))["challenge"] for _ in range(3)]
    assert len(set(asked)) == 3
    device.key = ec.generate_private_key(ec.SECP256R1())
    credential = device.get(await ask(ada, say))
    answer = await ada.post("users/login/passkey", {"credential": credential})
    assert refusal(answer) == (400, "INVALID_PASSKEY")
    assert kept == before


async def test_a_challenge_that_is_not_ours_is_not_answered(ada, device, say, refusal):
    await add(ada, device, say)
    options = await ask(ada, say)
    raw = bytearray(unb64(options["challenge"]))
    for place in (0, 5, 20):
        # Neither a later end, nor other random bytes, nor another proof.
        other = bytearray(raw)
        other[place] ^= 1
        credential = device.get({**options, "challenge": b64(bytes(other))})
        answer = await ada.post("users/login/passkey", {"credential": credential})
        assert refusal(answer) == (400, "INVALID_PASSKEY")


async def test_two_of_one_passkey_are_noticed(server, ada, device, say, refusal, monkeypatch):
    await add(ada, device, say)
    credential = device.get(await ask(ada, say))

    async def faster(*_):
        return False

    monkeypatch.setattr(server.backend.stores.factors, "use_passkey", faster)
    answer = await ada.post("users/login/passkey", {"credential": credential})
    assert refusal(answer) == (400, "INVALID_PASSKEY")


# Proving again who one is


async def ask_again(browser, say):
    return say(await browser.post("users/step-up/passkey/options"))["options"]


async def step_up(browser, credential):
    return await browser.post("users/step-up", {"credential": credential})


async def test_a_passkey_proves_again_who_is_there(server, ada, device, say, refusal):
    await add(ada, device, say)
    server.backend.clock.advance(10 * 60)
    assert refusal(await ada.post("users/totp")) == (403, "STEP_UP_REQUIRED")
    before = ada.client.cookies["__Host-lime_session"]
    say(await step_up(ada, device.get(await ask_again(ada, say))))
    assert ada.client.cookies["__Host-lime_session"] != before
    say(await ada.post("users/totp"))
    me = say(await ada.get("users/me"))
    assert me["second_factor"]["passkeys"][0]["last_used_at"] is not None
    assert (await server.actions(ada.owner_id))[-1] == "owner.stepped-up"


async def test_only_ones_own_passkeys_are_asked_to_prove_it(server, ada, device, say, refusal):
    assert refusal(await ada.post("users/step-up/passkey/options")) == (409, Conflict.code)
    await add(ada, device, say)
    await add(ada, Authenticator(b"another one"), say, name="Key")
    await add(await eve_at(server), Authenticator(b"of somebody else"), say)
    options = await ask_again(ada, say)
    assert (options["rpId"], options["userVerification"]) == ("lime.example", "required")
    allowed = {unb64(one["id"]) for one in options["allowCredentials"]}
    assert allowed == {device.credential_id, b"another one"}


async def eve_at(server):
    eve = server.browser()
    await eve.register("eve@example.com")
    await eve.sign_in("eve@example.com")
    return eve


async def test_anothers_passkey_does_not_prove_who_one_is(server, ada, device, say, refusal):
    await add(ada, device, say)
    stolen = Authenticator(b"of somebody else")
    await add(await eve_at(server), stolen, say)
    options = await ask_again(ada, say)
    for handle in (stolen.user_handle, device.user_handle, b""):
        stolen.user_handle = handle
        answer = await step_up(ada, stolen.get(options))
        assert refusal(answer) == (400, "INVALID_PASSKEY")
        options = await ask_again(ada, say)
    assert "owner.sign-in.failed" in await server.actions(ada.owner_id)
    assert "owner.stepped-up" not in await server.actions(ada.owner_id)


async def test_a_proof_is_good_once_and_only_where_it_was_asked_for(
    server, ada, device, say, refusal
):
    await add(ada, device, say)
    wrong = (400, "INVALID_PASSKEY")
    # 1. What a sign-in was asked, another session of hers, or another owner.
    phone = server.browser()
    say(await phone.post("users/login/passkey", {"credential": device.get(await ask(phone, say))}))
    eve = await eve_at(server)
    await add(eve, Authenticator(b"of somebody else"), say)
    for options in (await ask(ada, say), await ask_again(phone, say), await ask_again(eve, say)):
        assert refusal(await step_up(ada, device.get(options))) == wrong
    # 2. What was asked here signs nobody in.
    credential = device.get(await ask_again(ada, say))
    answer = await server.browser().post("users/login/passkey", {"credential": credential})
    assert refusal(answer) == wrong
    # 3. Twice.
    credential = device.get(await ask_again(ada, say))
    say(await step_up(ada, credential))
    assert refusal(await step_up(ada, credential)) == wrong
    # 4. Too late.
    credential = device.get(await ask_again(ada, say))
    server.backend.clock.advance(300)
    assert refusal(await step_up(ada, credential)) == wrong


@pytest.mark.parametrize(
    "change",
    [
        {"origin": "https://evil.example"},
        {"flags": 0b001},
        {"count": 0},
        {"key": ec.generate_private_key(ec.SECP256R1())},
        {"user_handle": b"somebody else"},
        {"credential_id": b"unknown"},
    ],
)
async def test_a_proof_that_is_not_right_proves_nothing(ada, device, say, refusal, change):
    device.count = 5
    await add(ada, device, say)
    options = await ask_again(ada, say)
    for name, value in change.items():
        setattr(device, name, value)
    assert refusal(await step_up(ada, device.get(options))) == (400, "INVALID_PASSKEY")


async def test_proofs_by_passkey_are_slowed_down_apart_from_codes(ada, device, say, refusal):
    await add(ada, device, say)
    for _ in range(PER_ACCOUNT.burst):
        assert refusal(await ada.post("users/step-up", {"code": "123456"})) == (400, "INVALID_CODE")
    assert refusal(await ada.post("users/step-up", {"code": "123456"}))[0] == 429
    # Whoever guesses codes does not keep the owner's passkey out.
    assert (await step_up(ada, device.get(await ask_again(ada, say)))).status_code == 200
    for _ in range(PER_ACCOUNT.burst - 1):
        assert refusal(await step_up(ada, {})) == (400, "INVALID_PASSKEY")
    credential = device.get(await ask_again(ada, say))
    assert refusal(await step_up(ada, credential)) == (429, "RATE_LIMIT_EXCEEDED")


async def test_passkeys_are_removed_and_their_number_is_bounded(
    server, ada, device, say, refusal, monkeypatch
):
    first = await add(ada, device, say)
    second = await add(ada, Authenticator(b"another one"), say, name="Key")
    assert second["recovery_codes"] is None
    monkeypatch.setattr(second_factor, "MOST_PASSKEYS", 2)
    options = say(await ada.post("users/passkeys/options"))["options"]
    body = {"name": "Third", "credential": Authenticator(b"third").create(options)}
    assert refusal(await ada.post("users/passkeys", body)) == (409, Conflict.code)
    eve = server.browser()
    await eve.register("eve@example.com")
    await eve.sign_in("eve@example.com")
    assert refusal(await eve.delete(f"users/passkeys/{first['id']}")) == (404, "NOT_FOUND")
    assert refusal(await ada.delete("users/passkeys/x")) == (404, "NOT_FOUND")
    say(await ada.delete(f"users/passkeys/{first['id']}"))
    me = say(await ada.get("users/me"))["second_factor"]
    assert ([one["name"] for one in me["passkeys"]], me["recovery_codes_left"]) == (["Key"], 10)
    say(await ada.delete(f"users/passkeys/{second['id']}"))
    assert say(await ada.get("users/me"))["second_factor"]["recovery_codes_left"] == 0
