"""What the portal gives owners to paste runs as it stands."""

import re
import shlex

import httpx
import pytest

from lime_agents._cli import main
from lime_agents.testing import FakeLime as AgentsFake
from lime_sites.testing import FakeLime as SitesFake
from tests.docs.test_documents import ROOT

SNIPPETS = dict(
    re.findall(
        r"^export const (\w+) =\s*[`\"'](.*?)[`\"'];$",
        (ROOT / "packages/lime-portal/src/things/snippets.ts").read_text(),
        re.MULTILINE | re.DOTALL,
    )
)
EXTRA = re.compile(r'pip install "?([\w-]+)(?:\[(\w+)\])?"?$', re.MULTILINE)


def test_all_of_them_are_known_here():
    assert set(SNIPPETS) == {
        "AGENT_INSTALL", "AGENT_TRY", "AGENT_CODE", "AGENT_MCP", "SITE_INSTALL", "SITE_SECRET", "SITE_CODE",
    }  # fmt: skip


def test_what_is_installed_is_ours():
    commands = [SNIPPETS[name] for name in ("AGENT_INSTALL", "AGENT_MCP", "SITE_INSTALL")]
    for package, extra in [found for command in commands for found in EXTRA.findall(command)]:
        manifest = (ROOT / "packages" / package / "pyproject.toml").read_text()
        assert not extra or re.search(rf"^{extra} = \[", manifest, re.MULTILINE)


def test_an_agent_logs_in(fake_lime_for_agents: AgentsFake, monkeypatch, capsys):
    login = fake_lime_for_agents.new_login()
    monkeypatch.setattr("sys.argv", ["program", login.request_id])
    exec(SNIPPETS["AGENT_CODE"], {})
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"I am {fake_lime_for_agents.profile.display_name}"
    assert login.status == "DELIVERED"


def test_an_agent_is_tried_in_a_shell(fake_lime_for_agents: AgentsFake, capsys):
    assert main(shlex.split(SNIPPETS["AGENT_TRY"])[1:]) == 0
    assert fake_lime_for_agents.profile.display_name in capsys.readouterr().out


@pytest.mark.parametrize("line", SNIPPETS["AGENT_MCP"].splitlines()[1:])
def test_the_command_line_understands_what_is_said_of_mcp(
    line, fake_lime_for_agents: AgentsFake, capsys
):
    program, *arguments = shlex.split(line)
    assert program == "lime-agent"
    fake_lime_for_agents.fail(401, "INVALID_AGENT_TOKEN")
    # Understood, and refused by LIME: wrong usage would end with 2.
    assert main(arguments) == 1
    assert "INVALID_AGENT_TOKEN" in capsys.readouterr().err


async def test_a_site_lets_an_agent_in(fake_lime_for_sites: SitesFake, monkeypatch):
    variable = re.match(r"export (\w+)=", SNIPPETS["SITE_SECRET"])[1]
    monkeypatch.setenv(variable, "s" * 64)
    module = {"__name__": "pasted"}
    exec(compile(SNIPPETS["SITE_CODE"], "snippets.ts", "exec", dont_inherit=True), module)
    transport = httpx.ASGITransport(app=module["app"])
    async with (
        module["site"],
        httpx.AsyncClient(transport=transport, base_url="https://shop.example") as browser,
    ):
        assert (await browser.get("/me")).status_code == 401
        (page,) = re.findall(r"(/login/waiting\S+) is the page", SNIPPETS["SITE_CODE"])
        assert "Log in with an agent" in (await browser.get(page)).text
        await browser.post("/login/begin", data={"next": "/me"})
        (request_id,) = fake_lime_for_sites.logins
        fake_lime_for_sites.approve(request_id, agent_id="agent-7")
        done = await browser.get(page, follow_redirects=True)
        assert done.json() == "agent-7"
