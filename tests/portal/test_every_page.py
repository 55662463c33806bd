"""Every page: axe finds nothing, nothing jumps, it fits a phone, it is light, and its picture is kept."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

import lime_server
from tests.portal import checks
from tests.portal.household import furnish

# Each of these walks a dozen pages.
pytestmark = pytest.mark.timeout(300)

PUBLIC = {
    "register": "/register/",
    "verify": "/verify/",
    "login": "/login/",
    "forgot": "/forgot/",
    "no-such-page": "/no-such-page/",
}
OWNER = {
    "overview": "/",
    "agents": "/agents/",
    "sites": "/sites/",
    "bindings": "/bindings/",
    "grants": "/grants/",
    "security": "/security/",
    "kyc": "/kyc/",
    "audit": "/audit/",
}
ELSEWHERE = {
    "/404/": "shown for every unknown address",
    "/_not-found/": "the same, by the name that the framework gives it",
    "/first/": "test_signing_in.py",
    "/agents/agent/": "below, of an agent that there is",
    "/sites/site/": "below, of a site that there is",
    "/connect/": "below, and test_bindings.py",
    "/consent/": "below, and test_consent.py",
    "/operator/": "below, as an operator",
    "/operator/owner/": "below, as an operator",
    "/operator/case/": "below, as an operator",
}


def test_no_page_of_the_portal_is_left_out():
    portal = Path(lime_server.__file__).parent / "portal"
    pages = {f"/{page.parent.relative_to(portal)}/" for page in portal.rglob("index.html")}
    known = {*PUBLIC.values(), *OWNER.values(), *ELSEWHERE}
    assert {page.replace("/./", "/") for page in pages} <= known


def test_pages_for_everybody_are_fit_for_everybody(visitor):
    visitor.watch.expect_missing(PUBLIC["no-such-page"])
    checks.look_at(visitor, PUBLIC)


def test_the_page_of_an_unusable_request_is_fit_for_everybody(visitor, server):
    path = f"{server.api_base}/modules/oauth/authorize?client_id=nobodys"
    checks.look_at(visitor, {"authorize-unusable": path}, scripts=False)


def test_the_description_of_the_api_fits_a_phone(visitor):
    answer = visitor.page.goto("/docs")
    checks.assert_guarded(answer)
    visitor.page.set_viewport_size({"width": checks.WIDTHS["narrow"], "height": checks.HEIGHT})
    checks.assert_fits(visitor.page)


def test_empty_pages_of_an_owner_are_fit_for_everybody(owner):
    pages = {
        **OWNER,
        # Addresses that name nothing, and what is for operators only.
        "which-agent": "/agents/agent/",
        "no-such-site": "/sites/site/?id=0190a0a0-0000-7000-8000-000000000000",
        "connect-gone": "/connect/?id=0190a0a0-0000-7000-8000-000000000000",
        "consent-unusable": "/consent/?client_id=0190a0a0-0000-7000-8000-000000000000",
        "operators-only": "/operator/",
    }
    checks.look_at(owner, {f"{name}-empty": path for name, path in pages.items()})


def test_full_pages_of_an_owner_are_fit_for_everybody(owner, server):
    household = furnish(owner, server.api_base)
    pages = {
        **OWNER,
        "agent": f"/agents/agent/?id={household.agent_id}",
        "agent-long": f"/agents/agent/?id={household.long_agent_id}",
        "agent-foreign": f"/agents/agent/?id={household.foreign_agent_id}",
        "site": f"/sites/site/?id={household.site_id}",
        "site-long": f"/sites/site/?id={household.long_site_id}",
        "connect": household.pending_binding_url,
        "consent": household.pending_consent,
        "consent-again": household.consent_again,
    }
    checks.look_at(owner, pages)


def test_pages_of_an_operator_are_fit_for_everybody(owner, operator, server):
    household = furnish(owner, server.api_base)
    pages = {
        "operator": "/operator/",
        "operator-owner": f"/operator/owner/?id={household.owner_id}",
        "operator-case": f"/operator/case/?id={household.case_id}",
    }
    checks.look_at(operator, pages)


def test_dialogs_of_an_owner_are_fit_for_everybody(owner):
    owner.follow("Agents")
    owner.press("New agent")
    checks.inspect(owner.page, "dialog-new-agent")
    dialog = owner.dialog("A new agent")
    dialog.get_by_label("Name").fill("Night reader")
    dialog.get_by_role("button", name="Make the agent").click()
    expect(owner.dialog("The token of your agent")).to_be_visible()
    # It is shown once, so nothing but its own button closes it.
    owner.page.keyboard.press("Escape")
    checks.inspect(owner.page, "dialog-token")
    owner.press("I have kept it")
    owner.see("Night reader")
    owner.press("Rotate the token")
    checks.inspect(owner.page, "dialog-rotate")
    owner.page.keyboard.press("Escape")
    expect(owner.dialog("A new token")).to_be_hidden()
    owner.press("Delete the agent")
    checks.inspect(owner.page, "dialog-delete")
    owner.press("Keep it as it is")
    expect(owner.page.get_by_role("button", name="Delete the agent")).to_be_focused()


def test_forms_that_unfold_are_fit_for_everybody(owner):
    owner.follow("Sites")
    owner.press("New site")
    checks.inspect(owner.page, "dialog-new-site")
    dialog = owner.dialog("A new site")
    dialog.get_by_label("Name").fill("Corner shop")
    dialog.get_by_label("Domain").fill("shop.example")
    dialog.get_by_role("button", name="Make the site").click()
    owner.press("I have kept it")
    owner.see("Corner shop")
    owner.press("Prove that it is yours")
    expect(owner.page.get_by_role("button", name="Check the DNS record")).to_be_visible()
    owner.write("Another redirect URI", "http://shop.example/")
    owner.press("Add it")
    expect(owner.page.get_by_label("Another redirect URI")).to_have_attribute(
        "aria-invalid", "true"
    )
    checks.inspect(owner.page, "site-domain-proof")
    owner.follow("Sign-in and sessions")
    owner.press("Change the password")
    owner.write("New password", "short")
    owner.press("Change it")
    checks.inspect(owner.page, "security-change-password")
    owner.press("Add a passkey")
    checks.inspect(owner.page, "dialog-add-passkey")


def test_dialogs_of_an_operator_are_fit_for_everybody(owner, operator):
    owner_id = owner.call("GET", "/foundation/users/me")["user_id"]
    operator.page.goto(f"/operator/owner/?id={owner_id}")
    operator.press(f"Suspend {owner.email}")
    operator.press("Suspend")
    expect(operator.page.get_by_label("Reason")).to_have_attribute("aria-invalid", "true")
    checks.inspect(operator.page, "dialog-suspend")


def test_the_menu_unfolds_on_a_phone(owner):
    owner.page.set_viewport_size({"width": checks.WIDTHS["narrow"], "height": checks.HEIGHT})
    menu = owner.page.get_by_role("navigation", name="Pages")
    expect(menu).to_be_hidden()
    owner.press("Menu")
    expect(menu).to_be_visible()
    checks.assert_fits(owner.page)
    checks.assert_accessible(owner.page)
    owner.follow("Sites")
    owner.see("Sites")
    expect(menu).to_be_hidden()
