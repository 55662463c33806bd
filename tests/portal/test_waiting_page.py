"""Somebody at a site waits while an agent logs in for them: the page of `lime_sites.fastapi`."""

import re
import socket
import subprocess
import sys
from contextlib import contextmanager
from types import SimpleNamespace

import httpx
import pytest
from playwright.sync_api import expect

from lime_agents import LimeAgentSync
from tests.portal import checks
from tests.support.commands import clean_environment
from tests.support.deployment import eventually

SITE = checks.ROOT / "examples" / "fastapi_site" / "app.py"


@contextmanager
def running(api_base, site_token):
    """The example site, on a port of its own; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {"LIME_API_BASE": api_base, "LIME_SITE_TOKEN": site_token, "PORT": str(port)}
    process = subprocess.Popen([sys.executable, SITE], env=clean_environment(environment))
    try:
        eventually(lambda: process.poll() is not None or answers(port))
        yield f"http://localhost:{port}"
    finally:
        process.terminate()
        process.communicate()


def answers(port):
    try:
        return httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).is_success
    except httpx.TransportError:
        return False


@pytest.fixture
def agent(owner, server):
    """An agent of the owner."""
    made = owner.call("POST", "/core/agents/register", display_name="Night reader")
    with LimeAgentSync(agent_token=made["agent_token"], base_url=server.api_base) as agent:
        yield agent


@pytest.fixture
def guest(owner, server, new_person):
    """Somebody at a site of the owner."""
    made = owner.call("POST", "/foundation/sites/register", display_name="Corner shop")
    with running(server.api_base, made["site_token"]) as url:
        at = SimpleNamespace(public_url=url, api_base=f"{url}/login", ready=server.ready)
        guest = new_person(at=at)
        guest.watch.expect_missing("/favicon.ico")
        yield guest
        # So that the end of the site is nothing that a page could complain of.
        guest.page.goto("about:blank")


def wait(guest):
    """From the site's page to the one to wait on; the id for the agent."""
    guest.page.goto("/login/waiting?next=/members")
    guest.see("Log in with an agent")
    guest.press("Log in")
    guest.see("Waiting for your agent")
    return guest.page.locator("#request").inner_text()


def test_whoever_waits_goes_on_once_the_agent_is_in(guest, agent):
    guest.page.goto("/login/waiting?next=/members")
    checks.inspect(guest.page, "site-login", fresh=True)
    request_id = wait(guest)
    expect(guest.page.get_by_role("timer")).to_have_text(re.compile(r"4:\d\d"))
    expect(guest.page.get_by_role("button", name="Copy the id")).to_be_visible()
    checks.inspect(guest.page, "site-waiting")
    agent.login(request_id)
    guest.page.wait_for_url("**/members")
    expect(guest.page.get_by_text(agent.get_profile().agent_id)).to_be_visible()


def test_whoever_waits_is_told_that_the_agent_refused(guest, agent):
    agent.deny(wait(guest))
    guest.see("Not logged in")
    expect(guest.page.get_by_role("status")).to_have_text("Your agent refused to log in here.")
    checks.inspect(guest.page, "site-login-refused")
    guest.press("Try again")
    guest.see("Waiting for your agent")
