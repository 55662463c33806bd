"""What the package promises is what its README says, and the published programs still run."""

import asyncio
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

import lime_agents
from lime_agents import (
    AgentInactiveError,
    AgentUserSuspendedError,
    ApiError,
    AuthenticationError,
    AuthUnavailableError,
    LimeAgent,
    LimeError,
    McpAuthenticationError,
    OAuthCapabilityError,
    PowTimeoutError,
    RateLimitError,
)
from tests.support.mcp_site import Site, TokenLime

README = (Path(__file__).parents[1] / "README.md").read_text()
#: What costs more to import than all of this package.
DEAR = {"anyio", "click", "httpcore", "httpx", "mcp", "pydantic", "pydantic_core", "rich", "typer"}
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_every_public_name_exists_and_is_documented():
    assert lime_agents.__all__ == sorted(lime_agents.__all__)
    for name in lime_agents.__all__:
        assert getattr(lime_agents, name)
    words = set(re.findall(r"\w+", README))
    assert set(lime_agents.__all__) - {"__version__"} <= words


def test_every_error_that_the_readme_draws_exists_where_it_is_drawn():
    drawn = re.findall(r"^([ │├└─]*)(\w+Error)\b", README, re.MULTILINE)
    parents = {0: "LimeError"}
    assert len(drawn) == sum(name.endswith("Error") for name in lime_agents.__all__)
    for indent, name in drawn:
        depth = 0 if not indent else 1 if len(indent) == 4 else 2
        parents[depth] = name
        if depth:
            kind = getattr(lime_agents, name)
            assert kind.__bases__[0] is getattr(lime_agents, parents[depth - 1])


def test_nothing_public_is_without_a_docstring():
    for name in set(lime_agents.__all__) - {"__version__"}:
        thing = getattr(lime_agents, name)
        assert thing.__doc__
        for attribute, value in vars(thing).items():
            assert attribute.startswith("_") or not callable(value) or value.__doc__, attribute


def test_the_exceptions_of_the_published_sdk_keep_their_relations():
    parents = {
        AuthenticationError: LimeError,
        AgentInactiveError: AuthenticationError,
        AgentUserSuspendedError: AuthenticationError,
        PowTimeoutError: LimeError,
        RateLimitError: LimeError,
        ApiError: LimeError,
        OAuthCapabilityError: ApiError,
        AuthUnavailableError: ApiError,
        McpAuthenticationError: LimeError,
    }
    for kind, parent in parents.items():
        assert issubclass(kind, parent)
        if issubclass(kind, ApiError):
            error = kind("CODE", "message", http_status=400, detail={"a": 1})
        else:
            error = kind("message", code="CODE", http_status=400, detail={"a": 1})
        assert (error.code, error.message, error.http_status) == ("CODE", "message", 400)
        assert error.detail == {"a": 1}


def test_a_program_written_for_the_published_sdk_runs_unchanged(fake_lime_for_agents, monkeypatch):
    # Names, arguments, attributes and exceptions as published programs use them for a site login.
    # The environment, which the fixture sets, is all that changes.
    import os

    async def program(request_id):
        said = []
        agent = LimeAgent(
            agent_token=os.environ["LIME_AGENT_TOKEN"],
            timeout=30.0,
            max_retries=3,
            pow_timeout=10.0,
            http_client=None,
        )
        try:
            result = await agent.login(request_id)
            said += [result.status, result.approved_agent_id, result.site_id, result.expires_at]
            profile = await agent.get_profile()
            said += [profile.agent_id, profile.owner_id, profile.display_name]
        except PowTimeoutError:
            said.append("timeout")
        except ApiError as exc:
            said.append(f"[{exc.code}] {exc.message}")
        finally:
            await agent.aclose()
            await agent.aclose()
        return said

    login = fake_lime_for_agents.new_login()
    said = asyncio.run(program(login.request_id))
    me = fake_lime_for_agents.profile
    assert said[:3] == ["DELIVERED", me.agent_id, login.site.site_id]
    assert said[3].tzinfo is not None
    assert said[4:] == [me.agent_id, me.owner_id, "Test agent"]
    assert asyncio.run(program("unknown"))[0].startswith("[SITE_LOGIN_REQUEST_NOT_FOUND] ")
    assert asyncio.run(program(" "))[0].startswith("[INVALID_REQUEST_ID] ")


def test_a_program_without_a_token_fails_as_before(monkeypatch):
    monkeypatch.delenv("LIME_AGENT_TOKEN", raising=False)
    with pytest.raises(AuthenticationError):
        LimeAgent()


def test_the_first_example_of_the_readme_runs(fake_lime_for_agents, capsys):
    example: dict = {"__name__": "example"}
    exec(BLOCKS[0], example)
    login = fake_lime_for_agents.new_login()
    asyncio.run(example["main"](login.request_id))
    assert capsys.readouterr().out == f"DELIVERED {login.site.site_id}\n"


def test_the_second_example_of_the_readme_runs(fake_lime_for_agents, capsys):
    login = fake_lime_for_agents.new_login(domain="other.example")
    login.request_id = "550e8400-e29b-41d4-a716-446655440000"
    fake_lime_for_agents.logins[login.request_id] = login
    exec(BLOCKS[1], {"__name__": "example"})
    assert "not logging in to LoginSite(" in capsys.readouterr().out
    assert login.status == "PENDING"


def test_the_last_example_of_the_readme_is_a_test_that_passes(fake_lime_for_agents):
    example: dict = {"__name__": "example"}
    exec(BLOCKS[3], example)
    example["test_the_worker_logs_in"](fake_lime_for_agents)


async def test_the_third_example_of_the_readme_runs(monkeypatch, capsys):
    lime = TokenLime()
    monkeypatch.setenv("LIME_AGENT_TOKEN", lime.agent_token)
    monkeypatch.setenv("LIME_API_BASE", lime.base_url)
    example: dict = {}
    exec(BLOCKS[2], example)
    example["LimeAgent"] = partial(LimeAgent, allow_private=True)
    async with Site(lime).served() as site:
        with lime.mounted():
            await example["show_tools"](site.url)
    assert "add Add two numbers." in capsys.readouterr().out


def test_importing_imports_nothing_dear():
    code = "import lime_agents, sys; print(*sys.modules)"
    assert not DEAR & set(fresh_interpreter(code).split())


def test_a_client_has_loaded_everything_that_an_answer_needs():
    client = "lime_agents.LimeAgent(agent_token='at_x', base_url='https://lime.example/api/v1')"
    code = f"import lime_agents, sys; {client}; print(*sys.modules)"
    assert {"httpx", "pydantic", "lime_agents._wire"} <= set(fresh_interpreter(code).split())


def fresh_interpreter(code):
    return subprocess.run(
        [sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def test_types_of_the_official_sdk_are_exported_as_before():
    import mcp.types

    assert lime_agents.Tool is mcp.types.Tool
    with pytest.raises(AttributeError):
        _ = lime_agents.nothing
