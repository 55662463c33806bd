"""The README's examples run as they stand, against a real server, and log an agent in."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import clean_environment
from tests.support.server import DevServer

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
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
