"""From nothing to an agent that logs in, is bound to a site, and is stopped: one owner's story."""

import pytest
from playwright.sync_api import expect

from lime_agents import AgentUserSuspendedError, AuthenticationError, LimeAgentSync
from lime_sites import LimeSiteSync
from tests.portal import shop, things
from tests.support.deployment import eventually


def test_an_owner_makes_an_agent_and_a_site_and_watches_a_login_arrive(owner, server):
    agent = things.make_agent(owner, "Night reader")
    site = things.make_site(owner, "Corner shop")
    at_the_site = owner.page
    at_the_agent = owner.context.new_page()
    at_the_agent.goto(agent.url)
    for page in (at_the_agent, at_the_site):
        expect(page.get_by_text("No login yet")).to_be_visible()
        page.evaluate("window.neverReloaded = true")
    monitor = things.part(at_the_site, "Delivery monitor")
    expect(monitor.get_by_text("Live", exact=True)).to_be_visible()

    logins = []
    with (
        shop.listening(server.api_base, site.token, logins) as listener,
        LimeAgentSync(agent_token=agent.token, base_url=server.api_base) as client,
    ):
        expect(monitor.get_by_role("heading", name="Open streams (1)")).to_be_visible()
        passport = shop.log_in(listener, client)
        expect(monitor.get_by_role("heading", name="Delivered (1)")).to_be_visible()

    assert passport.agent_id == agent.ident
    assert logins == [agent.ident]
    history = at_the_site.get_by_role("list", name="logins")
    expect(history.get_by_role("listitem")).to_have_count(1)
    expect(history).to_contain_text("Logged in")
    expect(history).to_contain_text("Night reader")
    expect(at_the_agent.get_by_role("list", name="logins")).to_contain_text("Corner shop")
    for page in (at_the_agent, at_the_site):
        assert page.evaluate("window.neverReloaded")


def test_an_old_token_works_during_the_overlap_and_not_after(owner, server, age_tokens):
    agent = things.make_agent(owner, "Night reader")
    second = things.rotate_token(owner, "at_", "1 hour")
    listed = owner.page.get_by_role("list", name="Tokens that work now").get_by_role("listitem")
    expect(listed).to_have_count(2)
    for token in (agent.token, second):
        assert whose(server.api_base, token) == agent.ident

    # An hour later.
    age_tokens(agent.ident)
    eventually(lambda: whose(server.api_base, agent.token) is None)
    assert whose(server.api_base, second) == agent.ident
    owner.page.reload()
    expect(listed).to_have_count(1)

    # Without an overlap it ends at once.
    third = things.rotate_token(owner, "at_", "None")
    expect(listed).to_have_count(1)
    assert whose(server.api_base, second) is None
    assert whose(server.api_base, third) == agent.ident


def test_an_agent_is_bound_and_the_site_proves_it_until_the_operator_stops_its_owner(
    owner, operator, server
):
    # 1. The owner has an agent, and a site that may send people back to its shop.
    agent = things.make_agent(owner, "Night reader")
    site = things.make_site(owner, "Corner shop")
    things.allow_redirects_to(owner, shop.CALLBACK)
    shop.open_the_shop(owner.context, owner.watch)
    with (
        LimeSiteSync(site_token=site.token, base_url=server.api_base) as at_the_shop,
        LimeAgentSync(agent_token=agent.token, base_url=server.api_base) as client,
    ):
        # 2. The shop asks, and the owner says which agent it is.
        asked = at_the_shop.create_binding_request(redirect_uri=shop.CALLBACK, state="a7")
        owner.page.goto(asked.connect_url)
        expect(owner.page.get_by_role("main")).to_contain_text("Corner shop asks to know")
        owner.page.get_by_role("radio", name="Night reader").check()
        owner.press("Allow")
        back = shop.brought_back(owner.page)
        assert back["state"] == "a7"

        # 3. The shop exchanges what came back for a proof, and checks that by itself.
        proven = at_the_shop.exchange_binding_code(
            back["binding_code"], expected_binding_id=asked.binding_id, state="a7"
        )
        assert (proven.agent_id, proven.binding_id) == (agent.ident, asked.binding_id)
        owner.page.goto("/bindings/")
        bindings = owner.page.get_by_role("list", name="bindings")
        expect(bindings).to_contain_text("Night reader at Corner shop")

        # 4. The operator suspends the owner, and the agent's very next call is refused.
        assert client.get_profile().agent_id == agent.ident
        operator.follow("Operator console")
        operator.write("Find an owner", owner.email)
        operator.press("Search")
        operator.follow(owner.email)
        operator.press(f"Suspend {owner.email}")
        operator.page.get_by_label("Reason").fill("It was reported by three sites.")
        operator.press("Suspend")
        expect(operator.page.get_by_role("button", name=f"Restore {owner.email}")).to_be_visible()
        with pytest.raises(AgentUserSuspendedError) as refused:
            client.get_profile()
        assert refused.value.status == 403

        # 5. The owner is told, and everything works again once the operator lets it.
        owner.page.reload()
        expect(owner.alert("Your account is suspended: your agents")).to_be_visible()
        operator.press(f"Restore {owner.email}")
        operator.page.get_by_label("Reason").fill("It was a mistake.")
        operator.press("Restore")
        expect(operator.page.get_by_role("button", name=f"Suspend {owner.email}")).to_be_visible()
        assert client.get_profile().agent_id == agent.ident


def test_what_nobody_heard_waits_in_the_monitor_until_somebody_listens(owner, server):
    agent = things.make_agent(owner, "Night reader")
    site = things.make_site(owner, "Corner shop")
    monitor = things.part(owner.page, "Delivery monitor")
    owner.press("Send a test event")
    expect(monitor.get_by_text("Nobody listens")).to_be_visible()
    with (
        LimeSiteSync(site_token=site.token, base_url=server.api_base) as at_the_shop,
        LimeAgentSync(agent_token=agent.token, base_url=server.api_base) as client,
    ):
        client.login(at_the_shop.create_login_request().request_id)
    expect(monitor.get_by_role("heading", name="Not delivered yet (1)")).to_be_visible()

    logins = []
    with shop.listening(server.api_base, site.token, logins) as listener:
        # A client connects with its first call after a handler was registered.
        listener.create_login_request()
        expect(monitor.get_by_role("heading", name="Delivered (1)")).to_be_visible()
        expect(monitor.get_by_role("heading", name="Not delivered yet (0)")).to_be_visible()
        owner.press("Send a test event")
        expect(monitor.get_by_text("A test event is on its way to one stream.")).to_be_visible()
        monitor.get_by_role("button", name="Send again").click()
        expect(monitor.get_by_text("It is sent again.")).to_be_visible()
    assert logins[0] == agent.ident


def whose(api_base, token):
    """The id of the agent whose token this is, if it is one."""
    with LimeAgentSync(agent_token=token, base_url=api_base, max_retries=0) as client:
        try:
            return client.get_profile().agent_id
        except AuthenticationError:
            return None
