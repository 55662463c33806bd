"""A program asks to open MCP servers as somebody's agent; a human answers, and may think better of it."""

import json

import pytest
from playwright.sync_api import expect

from tests.portal import program, things

STATE = "a state & more"


@pytest.fixture
def editor(newcomer, server):
    """A program on the machine of the newcomer."""
    program.await_browsers(newcomer.context, newcomer.watch)
    return program.install(newcomer, server.api_base, "Editor")


def test_whoever_is_sent_by_a_program_signs_in_makes_an_agent_and_lets_it_act(newcomer, editor):
    newcomer.page.goto(editor.asks())
    newcomer.give_password()
    newcomer.see("Allow access")
    expect(newcomer.page.get_by_text("A program that calls itself Editor")).to_be_visible()
    expect(newcomer.page.get_by_text("Nobody has proven who this program is")).to_be_visible()
    newcomer.press("Allow")
    expect(newcomer.alert("Make an agent first")).to_be_visible()
    newcomer.write("Name of the new agent", "Night reader")
    newcomer.press("Make the agent")
    newcomer.keep_secret("at_")
    expect(newcomer.page.get_by_role("radio", name="Night reader")).to_be_checked()
    newcomer.press("Allow")
    answer = program.brought_back(newcomer.page)
    assert answer["state"] == STATE
    assert answer["iss"] == editor.issuer
    given = editor.exchange(answer["code"])
    assert given["token_type"] == "Bearer"
    assert given["scope"] == "mcp"
    _take_back(newcomer)
    refused = editor.demand(grant_type="refresh_token", refresh_token=given["refresh_token"])
    assert refused["error"] == "invalid_grant"


def _take_back(person):
    person.page.goto("/")
    person.follow("MCP access")
    person.see("MCP access")
    person.press("Take back the access of Editor as Night reader")
    person.press("Take it back")
    ended = "Editor no longer acts as Night reader."
    expect(person.page.get_by_text(ended)).to_be_visible()
    expect(person.page.get_by_text("No program acts as one of your agents")).to_be_visible()


def test_a_program_is_told_that_a_human_refused(newcomer, editor):
    newcomer.sign_in()
    newcomer.page.goto(editor.asks())
    newcomer.press("Refuse")
    answer = program.brought_back(newcomer.page)
    assert (answer["error"], answer["state"], answer["iss"]) == (
        "access_denied", STATE, editor.issuer,
    )  # fmt: skip


def test_an_agent_is_let_on_the_spot_and_proposed_the_next_time(newcomer, editor):
    newcomer.sign_in()
    things.make_agent(newcomer, "Night reader")
    newcomer.page.goto(editor.asks())
    newcomer.page.get_by_role("switch", name="Let Night reader open MCP servers").click()
    expect(newcomer.page.get_by_role("radio", name="Night reader")).to_be_checked()
    newcomer.press("Allow")
    assert "code" in program.brought_back(newcomer.page)
    # The program asks again: who could be another that uses its name is still not let in unasked.
    newcomer.page.goto(editor.asks())
    expect(newcomer.page.get_by_text("Acts as Night reader")).to_be_visible()
    expect(newcomer.page.get_by_role("radio")).to_have_count(0)
    newcomer.press("Allow")
    assert "access_token" in editor.exchange(program.brought_back(newcomer.page)["code"])


@pytest.mark.parametrize("changes", [
    {"redirect_uri": "https://attacker.example/"},
    {"client_id": "0190a0a0-0000-7000-8000-000000000000"},
    {"code_challenge_method": "plain"},
])  # fmt: skip
def test_a_request_that_cannot_be_used_leads_nowhere(owner, server, changes):
    editor = program.install(owner, server.api_base, "Editor")
    owner.page.goto(editor.is_asked_about_at(**changes))
    expect(owner.alert("This request for access cannot be used")).to_be_visible()
    expect(owner.page.get_by_role("button", name="Allow")).to_have_count(0)


def test_an_owner_gives_an_agent_a_key_and_takes_it_away(owner, age_sessions):
    things.make_agent(owner, "Night reader")
    age_sessions(owner)
    owner.write("Public key", json.dumps(program.PUBLIC_JWK | {"d": "secret"}))
    owner.press("Add the key")
    expect(owner.page.get_by_text("This is a private key. It was not sent")).to_be_visible()
    owner.write("Public key", json.dumps(program.PUBLIC_JWK))
    owner.press("Add the key")
    owner.prove_again()
    keys = owner.page.get_by_role("list", name="Public keys")
    # RFC 8037, appendix A.3.
    thumbprint = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    expect(keys.get_by_text(thumbprint)).to_be_visible()
    owner.press(f"Remove the key {thumbprint}")
    owner.press("Remove it")
    expect(
        owner.page.get_by_text("None yet. The agent proves itself with its token")
    ).to_be_visible()
