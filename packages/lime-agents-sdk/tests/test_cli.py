import asyncio
import io
import json

import pytest
from mcp.types import TextContent

from lime_agents import _bench, _cli
from tests.support.mcp_site import Site, TokenLime


@pytest.fixture
def run(fake_lime_for_agents):
    def command(*arguments):
        out, err = io.StringIO(), io.StringIO()
        code = _cli.main(arguments, out=out, err=err)
        return code, out.getvalue(), err.getvalue()

    return command


def test_whoami_shows_the_profile(run, fake_lime_for_agents):
    code, out, err = run("whoami")
    assert (code, err) == (0, "")
    assert f"agent_id      {fake_lime_for_agents.profile.agent_id}\n" in out
    assert "avatar_url    -\n" in out


def test_login_prints_one_json_object(run, fake_lime_for_agents):
    login = fake_lime_for_agents.new_login()
    code, out, _ = run("login", login.request_id, "--json")
    result = json.loads(out)
    assert code == 0
    assert (result["status"], result["request_id"]) == ("DELIVERED", login.request_id)
    assert result["expires_at"].endswith("Z")


@pytest.mark.parametrize(
    ("site", "verified", "code"),
    [("shop.example", True, 0), ("shop.example", False, 1), ("other.example", True, 1)],
)
def test_login_can_insist_on_a_site_by_its_proven_domain(
    run, fake_lime_for_agents, site, verified, code
):
    login = fake_lime_for_agents.new_login(domain="shop.example", domain_verified=verified)
    assert run("login", login.request_id, "--site", site)[0] == code


def test_login_can_insist_on_a_site_by_its_id(run, fake_lime_for_agents):
    login = fake_lime_for_agents.new_login(domain=None, domain_verified=False)
    assert run("login", login.request_id, "--site", login.site.site_id)[0] == 0


def test_a_refusal_is_explained_and_ends_with_1(run):
    code, out, err = run("login", "nothing", "--json")
    problem = json.loads(err)
    assert (code, out) == (1, "")
    assert (problem["error"], problem["http_status"]) == ("LoginNotFoundError", 404)
    assert problem["request_id"]


def test_settings_that_are_missing_are_explained(run, monkeypatch, capsys):
    monkeypatch.delenv("LIME_AGENT_TOKEN")
    assert _cli.main(["whoami"]) == 1
    assert "LIME_AGENT_TOKEN" in capsys.readouterr().err


def test_output_goes_to_the_terminal_unless_told_otherwise(run, capsys):
    assert _cli.main(["whoami"]) == 0
    assert "Test agent" in capsys.readouterr().out


def test_a_name_with_escape_sequences_does_not_reach_the_terminal(run, fake_lime_for_agents):
    from dataclasses import replace

    fake = fake_lime_for_agents
    fake.profile = replace(fake.profile, display_name="a\x1b[2Jb")
    assert "\x1b" not in run("whoami")[1]
    assert "a�[2Jb" in run("whoami")[1]


def test_a_tools_name_does_not_reach_the_terminal_as_it_is(at_a_server, monkeypatch):
    hostile = _Tool({"name": "a\x1b]0;b\x07\nlogin  ok", "description": "c"})
    monkeypatch.setattr(_cli.LimeAgentSync, "list_tools", lambda self, target: [hostile])
    assert at_a_server(("tools",))[0][1] == "a�]0;b��login  ok  c\n"


def test_a_text_of_several_lines_is_shown_as_such_and_poses_as_no_other_line(
    run, fake_lime_for_agents
):
    from dataclasses import replace

    fake = fake_lime_for_agents
    fake.profile = replace(fake.profile, description="one\n\tuser_id  somebody\rtwo\u2028")
    lines = run("whoami")[1].splitlines()
    (at,) = [number for number, line in enumerate(lines) if line.startswith("description")]
    start = lines[at].index("one")
    assert lines[at + 1] == " " * (start + 8) + "user_id  somebody�two�"


@pytest.mark.parametrize(
    "arguments",
    [[], ["login"], ["dance"], ["pow-bench", "--difficulty", "27"], ["pow-bench", "--rounds", "x"]],
)
def test_wrong_usage_ends_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        _cli.main(arguments)
    assert caught.value.code == 2
    assert "usage: lime-agent" in capsys.readouterr().err


def test_the_version_can_be_asked_for(capsys):
    with pytest.raises(SystemExit) as caught:
        _cli.main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == "4.0.0\n"


def test_pow_bench_needs_no_settings(monkeypatch):
    monkeypatch.delenv("LIME_AGENT_TOKEN", raising=False)
    out = io.StringIO()
    assert _cli.main(["pow-bench", "--difficulty", "4", "--rounds", "3", "--json"], out=out) == 0
    result = json.loads(out.getvalue())
    assert (result["difficulty"], result["rounds"]) == (4, 3)
    assert result["engine"]


def test_the_bench_measures_with_the_clock_it_is_given():
    readings = iter([0.0, 0.25, 1.0, 1.75])
    found = _bench.run(4, 2, clock=lambda: next(readings), randomness=bytes)
    assert (found["median_ms"], found["mean_ms"]) == (500.0, 500.0)
    assert found["mhash_per_s"] > 0


def test_the_bench_survives_a_clock_too_coarse_for_it():
    assert _bench.run(0, 1, clock=lambda: 0.0)["mhash_per_s"] is None


def test_the_bench_goes_on_until_a_puzzle_is_solved(monkeypatch):
    monkeypatch.setattr(_bench, "SLICE", 1)
    assert _bench.run(6, 5)["rounds"] == 5


@pytest.fixture
def at_a_server(monkeypatch):
    """Runs commands in a thread while an MCP server is there: `at_a_server(*commands)`."""
    lime = TokenLime()
    monkeypatch.setenv("LIME_AGENT_TOKEN", lime.agent_token)
    monkeypatch.setenv("LIME_API_BASE", lime.base_url)

    def command(url, name, *arguments):
        out, err = io.StringIO(), io.StringIO()
        code = _cli.main((name, url, "--allow-private", *arguments), out=out, err=err)
        return code, out.getvalue(), err.getvalue()

    async def commands(*all_of_them):
        async with Site(lime).served() as site:
            site.meeting.set()
            return [
                await asyncio.to_thread(command, site.url, *arguments) for arguments in all_of_them
            ]

    def run(*all_of_them):
        with lime.mounted():
            return asyncio.run(commands(*all_of_them))

    return run


def test_tools_are_listed(at_a_server):
    plain, as_json = at_a_server(("tools",), ("tools", "--json"))
    assert plain == (0, "add   Add two numbers.\nslow  Wait until two are here.\n", "")
    tools = json.loads(as_json[1])["tools"]
    assert tools[0]["inputSchema"]["required"] == ["a", "b"]


def test_a_tool_is_called_with_arguments_as_its_schema_wants_them(at_a_server):
    plain, as_json, text, bare = at_a_server(
        ("call", "add", "--arg", "a=1", "--arg", "b=2"),
        ("call", "add", "--arg", "a=1", "--arg", "b=2", "--json"),
        ("call", "echo", "--arg", "text=1", "--arg", "other=words"),
        ("call", "slow"),
    )
    assert plain == (0, "is_error  False\nresult    3\n", "")
    assert json.loads(as_json[1])["structured"] == {"result": 3}
    assert text[0] == 1
    assert bare[:2] == (0, "is_error  False\nresult    done\n")


def test_a_tool_that_fails_ends_with_1(at_a_server):
    [(code, out, _)] = at_a_server(("call", "add", "--arg", "a=x", "--arg", "b=2"))
    assert code == 1
    assert "is_error  True" in out


def test_what_a_server_refuses_is_explained(at_a_server, monkeypatch):
    import mcp

    def refuse(self, target):
        raise mcp.MCPError(-32601, "no tools here")

    monkeypatch.setattr(_cli.LimeAgentSync, "list_tools", refuse)
    [(code, _, err)] = at_a_server(("tools", "--json"))
    assert code == 1
    assert json.loads(err) == {
        "error": "LimeError",
        "message": "no tools here",
        "code": "MCP_ERROR",
    }


def test_a_server_without_tools_and_a_tool_that_wants_text(at_a_server, monkeypatch):
    def tools(schema):
        tool = {"name": "echo", "inputSchema": {"properties": {"text": {"type": "string"}}}}
        return [_Tool(tool)] if schema else []

    called = []
    monkeypatch.setattr(_cli.LimeAgentSync, "list_tools", lambda self, target: tools(called))
    assert at_a_server(("tools",))[0][1] == "tools  -\n"
    called.append(None)

    def call(self, target, name, arguments):
        called.append(arguments)
        content = TextContent(type="text", text="x").model_dump()
        return _Tool({"content": [content, {"type": "image"}], "isError": False})

    monkeypatch.setattr(_cli.LimeAgentSync, "call_tool", call)
    said = at_a_server(("call", "echo", "--arg", "text=1", "--arg", "n=1"))[0][1]
    assert said.endswith("result    x\n          (image)\n")
    assert called[-1] == {"text": "1", "n": 1}


class _Tool:
    def __init__(self, found):
        self.found = found

    def model_dump(self, **options):
        return self.found


@pytest.mark.parametrize("text", ["=1", "a"])
def test_an_argument_without_name_or_value_is_wrong_usage(text, capsys):
    with pytest.raises(SystemExit) as stopped:
        _cli.main(["call", "mcp.example.com", "add", "--arg", text])
    assert stopped.value.code == 2
    assert "K=V" in capsys.readouterr().err
