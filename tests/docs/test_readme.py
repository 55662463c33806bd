"""The README's examples run as they stand, against a real server, and log an agent in."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.support.commands import clean_environment
from tests.support.server import DevServer
from tests.support.wire import Agent, Wire

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
SITES = (ROOT / "docs/guides/sites.md").read_text()
OWNERS = (ROOT / "docs/guides/owners.md").read_text()
PATIENCE = 60


def example(name, document=README):
    found = re.search(rf"<!-- run: {name} -->\n```python\n(.*?)```", document, re.DOTALL)
    assert found, f"there is no example called {name}"
    return found[1]


def run(code, *arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-u", "-c", code, *arguments],
        env={**clean_environment({}), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def office(tmp_path):
    with DevServer(tmp_path) as server:
        yield server


@pytest.mark.parametrize("name", ["site", "agent"])
def test_an_example_has_about_ten_lines(name):
    assert len(example(name).strip().splitlines()) <= 12


def test_the_two_examples_log_an_agent_in(office):
    api = {"LIME_API_BASE": office.api_base}
    with run(example("site"), **api, LIME_SITE_TOKEN=office.ready["site_token"]) as site:
        request_id = site.stdout.readline().rpartition(" ")[2].strip()
        token = {"LIME_AGENT_TOKEN": office.ready["agent_token"]}
        with run(example("agent"), request_id, **api, **token) as agent:
            said, complaint = agent.communicate(timeout=PATIENCE)
            assert agent.returncode == 0, complaint
        outcome, complaint = site.communicate(timeout=PATIENCE)
        assert site.returncode == 0, complaint
    assert "at site " + office.ready["site_id"] in said
    assert f"agent {office.ready['agent_id']} of owner" in outcome


def test_the_owners_example_makes_an_agent_and_a_site(office):
    token = office.ready["first_owner_token"]
    with run(example("owner", OWNERS), token, LIME_API_BASE=office.api_base) as owner:
        said, complaint = owner.communicate(timeout=PATIENCE)
    assert owner.returncode == 0, complaint
    assert re.fullmatch(r"agent token: at_\S{43}\nsite token: st_\S{43}\n", said)


async def test_the_page_to_wait_on_leads_to_the_members(office, monkeypatch):
    monkeypatch.setenv("LIME_API_BASE", office.api_base)
    monkeypatch.setenv("LIME_SITE_TOKEN", office.ready["site_token"])
    monkeypatch.delenv("SITE_SECRET", raising=False)
    module = {"__name__": "example"}
    exec(compile(example("site-waiting", SITES), "sites.md", "exec", dont_inherit=True), module)
    app = module["app"]
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="https://shop.example") as browser,
    ):
        (link,) = re.findall(r'href="([^"]+)"', (await browser.get("/")).text)
        assert "Log in with an agent" in (await browser.get(link)).text
        begun = await browser.post("/login/begin", data={"next": "/members"})
        page = begun.request.url.join(begun.headers["location"])
        (request_id,) = re.findall(r'id="request">([^<]+)<', (await browser.get(page)).text)
        with Wire(office.api_base) as wire:
            agent = Agent(office.ready["agent_id"], office.ready["agent_token"])
            await asyncio.to_thread(wire.approved, agent, request_id)
        done = await browser.get(page, follow_redirects=True)
        assert office.ready["agent_id"] in done.text
