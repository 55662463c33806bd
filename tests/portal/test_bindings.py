"""A site asks, a human answers, and either may end it."""

import pytest
from playwright.sync_api import expect

from lime_sites import LimeSiteSync
from tests.portal import shop, things

STATE = "kept-in-the-session-of-the-browser"


@pytest.fixture
def corner_shop(operator, server):
    """A site of somebody else, with a page that people are sent back to."""
    made = operator.call("POST", "/foundation/sites/register", display_name="Corner shop")
    uris = {"redirect_uris": [shop.CALLBACK]}
    operator.call("PUT", f"/foundation/sites/{made['site_id']}/redirect-uris", **uris)
    with LimeSiteSync(site_token=made["site_token"], base_url=server.api_base) as site:
        yield site


@pytest.fixture
def asked(corner_shop, newcomer):
    """What the shop keeps of its question; the newcomer can be sent back to it."""
    shop.open_the_shop(newcomer.context, newcomer.watch)
    return corner_shop.create_binding_request(redirect_uri=shop.CALLBACK, state=STATE)


def test_a_site_is_told_that_a_human_refused(newcomer, asked):
    newcomer.sign_in()
    newcomer.page.goto(asked.connect_url)
    newcomer.press("Refuse")
    assert shop.brought_back(newcomer.page) == {"error": "access_denied", "state": STATE}
    # Once and for all.
    newcomer.page.goto(asked.connect_url)
    expect(newcomer.page.get_by_text("This request was answered")).to_be_visible()


def test_whoever_comes_from_a_site_signs_in_makes_an_agent_and_goes_back(
    newcomer, asked, corner_shop
):
    newcomer.page.goto(asked.connect_url)
    newcomer.give_password()
    newcomer.see("Connect an agent")
    newcomer.press("Allow")
    expect(newcomer.alert("Make an agent first")).to_be_visible()
    newcomer.write("Name of the new agent", "Night reader")
    newcomer.press("Make the agent")
    newcomer.keep_secret("at_")
    expect(newcomer.page.get_by_role("radio", name="Night reader")).to_be_checked()
    newcomer.press("Allow")
    code = shop.brought_back(newcomer.page)["binding_code"]
    proven = corner_shop.exchange_binding_code(
        code, expected_binding_id=asked.binding_id, state=STATE
    )
    assert proven.user_id == newcomer.call("GET", "/foundation/users/me")["user_id"]


def test_an_owner_ends_a_binding_and_the_site_sees_it(newcomer, asked, corner_shop):
    newcomer.sign_in()
    things.make_agent(newcomer, "Night reader")
    newcomer.page.goto(asked.connect_url)
    newcomer.page.get_by_role("radio", name="Night reader").check()
    newcomer.press("Allow")
    code = shop.brought_back(newcomer.page)["binding_code"]
    corner_shop.exchange_binding_code(code, expected_binding_id=asked.binding_id, state=STATE)
    newcomer.page.goto("/bindings/")
    newcomer.press("End the binding of Night reader to Corner shop")
    newcomer.press("End the binding")
    ended = "The binding of Night reader to Corner shop has ended."
    expect(newcomer.page.get_by_text(ended)).to_be_visible()
    assert corner_shop.get_binding(asked.binding_id).ended_by == "owner"
