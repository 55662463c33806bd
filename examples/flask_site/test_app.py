"""The site, in this process, with the fake LIME."""

from examples.flask_site.app import create_app
from lime_sites.testing import FakeLime


def test_an_agent_becomes_a_member(fake_lime_for_sites: FakeLime) -> None:
    browser = create_app().test_client()
    assert "Log in with an agent" in browser.get("/").text
    assert browser.get("/members").status_code == 401
    assert browser.post("/login").status_code == 303
    (request_id,) = fake_lime_for_sites.logins
    assert request_id in browser.get("/").text
    fake_lime_for_sites.approve(request_id, agent_id="agent-7")
    assert "Welcome, agent agent-7." in browser.get("/").text
    assert browser.get("/members").json == {"welcome": "agent-7"}


def test_a_refusal_leads_back_to_the_start(fake_lime_for_sites: FakeLime) -> None:
    browser = create_app().test_client()
    browser.post("/login")
    (request_id,) = fake_lime_for_sites.logins
    fake_lime_for_sites.deny(request_id)
    assert "Log in with an agent" in browser.get("/").text
    assert browser.get("/members").status_code == 401


def test_only_the_browser_that_started_gets_in(fake_lime_for_sites: FakeLime) -> None:
    app = create_app()
    app.test_client().post("/login")
    (request_id,) = fake_lime_for_sites.logins
    fake_lime_for_sites.approve(request_id)
    assert "Welcome" not in app.test_client().get("/").text
