"""Every way in, and every way out."""

import time

import pyotp
import pytest
from playwright.sync_api import expect

from tests.portal import checks
from tests.portal.people import PASSWORD


def test_the_link_of_a_fresh_server_makes_its_first_owner_and_no_second_one(
    fresh_server, new_person
):
    somebody = new_person(at=fresh_server)
    link = f"/first/#token={fresh_server.ready['first_owner_token']}"
    somebody.page.goto("/login/")
    expect(somebody.page.get_by_text("Nobody can sign in on this server yet")).to_be_visible()
    somebody.page.goto(link)
    somebody.see("Become the first owner")
    assert "token" not in somebody.page.url
    checks.inspect(somebody.page, "first", fresh=True)
    somebody.write("E-mail", somebody.email)
    somebody.write("Password", somebody.password)
    somebody.press("Become the first owner")
    somebody.see("Overview")
    expect(somebody.page.get_by_role("link", name="Operator console")).to_be_visible()

    late = new_person(at=fresh_server)
    late.page.goto(link)
    expect(late.page.get_by_text("the link that makes the first account is void")).to_be_visible()
    checks.inspect(late.page, "first-is-over", fresh=True)


def test_somebody_registers_and_signs_in_with_the_keyboard_alone(visitor):
    keyboard = visitor.page.keyboard
    visitor.page.goto("/register/")
    tab_to(visitor, "textbox", "E-mail")
    keyboard.type(visitor.email)
    tab_to(visitor, "textbox", "Password")
    keyboard.type(visitor.password)
    keyboard.press("Enter")
    visitor.see("Prove your address")
    tab_to(visitor, "textbox", "Code")
    keyboard.type(visitor.mailbox.code_for(visitor.email))
    tab_to(visitor, "button", "Prove it")
    keyboard.press("Space")
    visitor.see("Sign in")
    tab_to(visitor, "textbox", "Password")
    keyboard.type(visitor.password)
    tab_to(visitor, "button", "Sign in")
    keyboard.press("Enter")
    visitor.see("Overview")
    # Past the menu at once, for those who hear it read out on every page.
    tab_to(visitor, "link", "Skip to the content")
    keyboard.press("Enter")
    tab_to(visitor, "link", "Go to agents")
    keyboard.press("Enter")
    visitor.see("Agents")


def test_a_wrong_password_and_an_unknown_address_are_answered_alike(newcomer):
    said = []
    for email, password in (
        (newcomer.email, "not the password"),
        ("nobody@people.example", PASSWORD),
    ):
        newcomer.page.goto("/login/")
        newcomer.write("E-mail", email)
        newcomer.write("Password", password)
        newcomer.press("Sign in")
        problem = newcomer.page.get_by_role("main").get_by_role("alert")
        said.append(problem.inner_text())
    assert said[0] == said[1] != ""
    checks.inspect(newcomer.page, "login-refused")


def test_whoever_was_sent_to_the_sign_in_gets_back_to_where_they_were_going(newcomer):
    newcomer.page.goto("/agents/?from=a+mail")
    newcomer.give_password()
    newcomer.see("Agents")
    assert newcomer.page.url.endswith("/agents/?from=a+mail")


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example"]
)
def test_a_link_cannot_make_the_sign_in_lead_to_another_site(newcomer, elsewhere):
    newcomer.page.goto(f"/login/?next={elsewhere}")
    newcomer.give_password()
    newcomer.see("Overview")


def test_a_forgotten_password_is_replaced_by_mail_and_ends_all_sessions(owner, new_person):
    again = new_person(email=owner.email)
    before = len(owner.mailbox.subjects_to(owner.email))
    again.page.goto("/login/")
    again.follow("I forgot my password")
    again.see("Another password")
    again.write("E-mail", again.email)
    again.press("Send me a code")
    code = owner.mailbox.code_for(owner.email, after=before)
    again.write("Code", code)
    again.password = "another long pass phrase"
    again.write("New password", again.password)
    again.press("Set the password")
    again.follow("Sign in")
    again.give_password()
    again.see("Overview")

    owner.page.goto("/agents/")
    owner.see("Sign in")


def test_whoever_replaces_the_password_on_the_way_gets_to_where_they_were_going(owner, new_person):
    again = new_person(email=owner.email)
    before = len(owner.mailbox.subjects_to(owner.email))
    again.page.goto("/agents/?from=a+mail")
    again.follow("I forgot my password")
    again.follow("Back to sign in")
    again.follow("I forgot my password")
    again.write("E-mail", again.email)
    again.press("Send me a code")
    again.write("Code", owner.mailbox.code_for(owner.email, after=before))
    again.password = "another long pass phrase"
    again.write("New password", again.password)
    again.press("Set the password")
    again.follow("Sign in")
    again.give_password()
    again.see("Agents")
    assert again.page.url.endswith("/agents/?from=a+mail")


def test_an_authenticator_is_asked_for_and_a_recovery_code_stands_in_once(owner):
    # 1. Add one.
    owner.follow("Sign-in and sessions")
    owner.press("Add an authenticator")
    dialog = owner.dialog("Add an authenticator")
    secret = dialog.get_by_role("code").inner_text()
    expect(dialog.get_by_role("img", name="QR code of the secret")).to_be_visible()
    checks.inspect(owner.page, "security-add-authenticator")
    dialog.get_by_label("Code that it shows now").fill(pyotp.TOTP(secret).now())
    dialog.get_by_role("button", name="Add it").click()
    codes = owner.page.get_by_role("list", name="Recovery codes").get_by_role("listitem")
    expect(codes).to_have_count(10)
    checks.inspect(owner.page, "security-recovery-codes")
    recovery_code = codes.first.inner_text()
    owner.press("I have kept it")
    owner.sign_out()

    # 2. The password is half of it. The code of the half minute to come is as good as that of this one,
    # which was used.
    owner.give_password()
    owner.write("Code of your authenticator", pyotp.TOTP(secret).at(int(time.time()) + 30))
    checks.inspect(owner.page, "login-second-factor")
    owner.press("Go on")
    owner.see("Overview")
    owner.sign_out()

    # 3. Without the phone a recovery code will do.
    owner.give_password()
    owner.press("Use a recovery code")
    owner.write("Recovery code", recovery_code)
    owner.press("Go on")
    owner.see("Overview")
    owner.follow("Sign-in and sessions")
    expect(owner.page.get_by_text("You have 9 of 10 left")).to_be_visible()
    owner.sign_out()

    # 4. Once only.
    owner.give_password()
    owner.press("Use a recovery code")
    owner.write("Recovery code", recovery_code)
    owner.press("Go on")
    expect(owner.page.get_by_label("Recovery code")).to_have_attribute("aria-invalid", "true")
    owner.see("Sign in")


def add_passkey(owner):
    """Give the browser a device of its own with a passkey in it."""
    authenticator = owner.context.new_cdp_session(owner.page)
    authenticator.send("WebAuthn.enable")
    device = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    authenticator.send("WebAuthn.addVirtualAuthenticator", {"options": device})
    owner.follow("Sign-in and sessions")
    owner.press("Add a passkey")
    owner.dialog("Add a passkey").get_by_label("Name").fill("This laptop")
    owner.press("Make the passkey")
    expect(owner.page.get_by_role("list", name="Recovery codes")).to_be_visible()
    owner.press("I have kept it")
    expect(owner.page.get_by_role("list", name="Passkeys")).to_contain_text("This laptop")


def test_a_passkey_signs_in_without_a_password(owner):
    add_passkey(owner)
    owner.sign_out()

    owner.press("Sign in with a passkey")
    owner.see("Overview")
    owner.sign_out()

    # The password alone is not enough any more.
    owner.give_password()
    owner.press("Go on with a passkey")
    owner.see("Overview")


def test_a_session_is_ended_from_another_browser(owner, new_person):
    other = new_person(email=owner.email)
    other.sign_in()
    owner.follow("Sign-in and sessions")
    sessions = owner.page.get_by_role("list", name="Sessions").get_by_role("listitem")
    expect(sessions).to_have_count(2)
    owner.page.get_by_role("button", name="End the session of").click()
    expect(sessions).to_have_count(1)

    other.follow("Agents")
    other.see("Sign in")


def test_scripts_of_a_page_can_read_neither_the_session_nor_a_password(owner):
    cookies = {cookie["name"]: cookie for cookie in owner.context.cookies()}
    assert cookies["lime_session"]["httpOnly"]
    assert {cookie["sameSite"] for cookie in cookies.values()} <= {"Lax", "Strict"}
    kept = owner.page.evaluate(
        "() => JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}])"
    )
    assert cookies["lime_session"]["value"] not in kept
    assert owner.password not in kept


def test_after_signing_out_the_way_back_shows_nothing(owner):
    owner.follow("Agents")
    owner.see("Agents")
    owner.sign_out()
    owner.page.go_back()
    owner.see("Sign in")


def test_what_is_hard_to_undo_asks_again_who_one_is(owner, age_sessions):
    owner.call("POST", "/core/agents/register", display_name="Night reader")
    age_sessions(owner)
    owner.follow("Agents")
    owner.follow("Night reader")
    owner.press("Delete the agent")
    owner.press("Delete it for good")
    expect(owner.dialog("Is it you?")).to_be_visible()
    checks.inspect(owner.page, "step-up")
    owner.prove_again()
    owner.see("Agents")
    expect(owner.page.get_by_text("No agent yet")).to_be_visible()


def test_a_passkey_proves_again_who_one_is_to_whoever_forgot_the_password(owner, age_sessions):
    add_passkey(owner)
    owner.call("POST", "/core/agents/register", display_name="Night reader")
    age_sessions(owner)
    owner.follow("Agents")
    owner.follow("Night reader")
    owner.press("Delete the agent")
    owner.press("Delete it for good")
    asked = owner.dialog("Is it you?")
    expect(asked.get_by_role("button", name="Use a passkey")).to_be_visible()
    checks.inspect(owner.page, "step-up-passkey")
    asked.get_by_role("button", name="Use a passkey").click()
    owner.see("Agents")
    expect(owner.page.get_by_text("No agent yet")).to_be_visible()


def tab_to(person, role, name):
    """Press Tab until this has the focus, as somebody without a mouse would."""
    target = person.page.get_by_role(role, name=name, exact=True)
    target.wait_for(state="attached")
    for _ in range(40):
        if target.evaluate("(one) => one === document.activeElement"):
            return
        person.page.keyboard.press("Tab")
    raise AssertionError(f"no way to {role} {name!r} by Tab")


def test_the_mailbox_of_a_development_server_fits_on_a_phone(newcomer, server):
    page = newcomer.page
    page.goto(server.ready["mailbox_url"])
    expect(page.get_by_role("heading", level=2).first).to_be_visible()
    page.set_viewport_size({"width": checks.WIDTHS["narrow"], "height": checks.HEIGHT})
    checks.assert_fits(page)
