"""The site, in this process, with the fake LIME."""

import pytest
from django.test import Client

from examples.django_site import app
from lime_sites.testing import FakeLime


@pytest.fixture(autouse=True)
def _new_worker() -> None:
    app.lime.cache_clear()


def _browser() -> Client:
    return Client(headers={"host": "localhost"})


def test_an_agent_becomes_a_member(fake_lime_for_sites: FakeLime) -> None:
    browser = _browser()
    assert "Log in with an agent" in browser.get("/").text
    assert browser.get("/members").status_code == 401
    assert browser.post("/login").status_code == 302
    (request_id,) = fake_lime_for_sites.logins
    assert request_id in browser.get("/").text
    fake_lime_for_sites.approve(request_id, agent_id="<agent-7>")
    assert "Welcome, agent &lt;agent-7&gt;." in browser.get("/").text
    assert browser.get("/members").json() == {"welcome": "<agent-7>"}


def test_a_refusal_leads_back_to_the_start(fake_lime_for_sites: FakeLime) -> None:
    browser = _browser()
    browser.post("/login")
    (request_id,) = fake_lime_for_sites.logins
    fake_lime_for_sites.deny(request_id)
    assert "Log in with an agent" in browser.get("/").text
    assert browser.get("/members").status_code == 401


def test_a_page_of_somebody_else_cannot_start_a_login(fake_lime_for_sites: FakeLime) -> None:
    strict = Client(enforce_csrf_checks=True, headers={"host": "localhost"})
    assert strict.post("/login").status_code == 403
    assert not fake_lime_for_sites.logins
