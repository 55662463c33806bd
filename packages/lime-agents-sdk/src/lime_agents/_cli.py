"""`lime-agent`: log in, use MCP servers, see who you are, measure the proof of work, from a shell.

The token comes from `LIME_AGENT_TOKEN` only: a process list shows the arguments of every command.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any, TextIO

from lime_agents import _bench
from lime_agents._agent import LimeAgentSync
from lime_agents._mcp import generations
from lime_agents._types import LoginSite
from lime_agents._version import __version__
from lime_sdk_core import LimeError

#: Exit codes: as agreed, LIME or the settings said no, wrong usage (argparse's own).
DONE, FAILED = 0, 1

Command = Callable[[argparse.Namespace], dict[str, Any]]


def main(
    arguments: Sequence[str] | None = None, *, out: TextIO | None = None, err: TextIO | None = None
) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    command: Command = options.command
    try:
        result = command(options)
    except LimeError as error:
        _show(_problem(error), err or sys.stderr, as_json=options.json)
        return FAILED
    _show(result, out or sys.stdout, as_json=options.json)
    return FAILED if result.get("is_error") else DONE


def _login(options: argparse.Namespace) -> dict[str, Any]:
    allow = _only(options.site) if options.site else None
    with LimeAgentSync(base_url=options.base_url) as agent:
        return asdict(agent.login(options.request_id, allow=allow))


def _whoami(options: argparse.Namespace) -> dict[str, Any]:
    with LimeAgentSync(base_url=options.base_url) as agent:
        return asdict(agent.get_profile())


def _tools(options: argparse.Namespace) -> dict[str, Any]:
    with _mcp_agent(options) as agent, _mcp_errors():
        found = [_plain_mcp(tool) for tool in agent.list_tools(options.target)]
    if options.json:
        return {"tools": found}
    return {tool["name"]: tool.get("description") for tool in found} or {"tools": None}


def _call(options: argparse.Namespace) -> dict[str, Any]:
    with _mcp_agent(options) as agent, _mcp_errors():
        arguments = options.arg and _arguments(options, agent)
        found = _plain_mcp(agent.call_tool(options.target, options.name, dict(arguments)))
    parts = found.get("content", [])
    if options.json:
        structured = found.get("structuredContent")
        return {"is_error": found.get("isError", False), "content": parts, "structured": structured}
    said = [part.get("text", f"({part.get('type')})") for part in parts]
    return {"is_error": found.get("isError", False), "result": "\n".join(said)}


def _arguments(options: argparse.Namespace, agent: LimeAgentSync) -> dict[str, Any]:
    """Return the arguments as the tool's input schema wants them: text, or JSON."""
    tools = [_plain_mcp(tool) for tool in agent.list_tools(options.target)]
    schemas: dict[str, dict[str, Any]] = {tool["name"]: tool["inputSchema"] for tool in tools}
    known = schemas.get(options.name, {}).get("properties", {})
    return {
        name: text if known.get(name, {}).get("type") == "string" else _json_or_text(text)
        for name, text in options.arg
    }


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _mcp_agent(options: argparse.Namespace) -> LimeAgentSync:
    return LimeAgentSync(base_url=options.base_url, allow_private=options.allow_private)


@contextmanager
def _mcp_errors() -> Iterator[None]:
    """Let what an MCP server refuses be explained as all other refusals are."""
    try:
        yield
    except generations.error_types(generations.load()) as error:
        failure = LimeError(str(error), code="MCP_ERROR")
        raise failure from None


def _plain_mcp(thing: Any) -> dict[str, Any]:
    found: dict[str, Any] = thing.model_dump(mode="json", by_alias=True, exclude_none=True)
    return found


def _pow_bench(options: argparse.Namespace) -> dict[str, Any]:
    return _bench.run(options.difficulty, options.rounds)


def _only(wanted: str) -> Callable[[LoginSite], bool]:
    """Return an `allow` for one site, by its id or its proven domain."""

    def allow(site: LoginSite) -> bool:
        return site.site_id == wanted or (site.domain_verified and site.domain == wanted)

    return allow


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true", help="print one JSON object")
    remote = argparse.ArgumentParser(add_help=False, parents=[shared])
    remote.add_argument("--base-url", help="API base (default: LIME_API_BASE)")

    parser = argparse.ArgumentParser(
        prog="lime-agent",
        description="A LIME agent in a shell. The token comes from LIME_AGENT_TOKEN.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    login = commands.add_parser("login", parents=[remote], help="log in to a site")
    login.add_argument("request_id", metavar="ID", help="the login request's id")
    login.add_argument("--site", help="log in only to this site (its id or proven domain)")
    login.set_defaults(command=_login)

    server = argparse.ArgumentParser(add_help=False, parents=[remote])
    server.add_argument("target", metavar="URL", help="an MCP server: its URL or host name")
    server.add_argument(
        "--allow-private",
        action="store_true",
        help="let it be on this machine or in a private network, over plain http too",
    )

    tools = commands.add_parser("tools", parents=[server], help="list an MCP server's tools")
    tools.set_defaults(command=_tools)

    call = commands.add_parser("call", parents=[server], help="call a tool of an MCP server")
    call.add_argument("name", metavar="NAME", help="the tool's name")
    call.add_argument(
        "--arg",
        action="append",
        default=[],
        type=_pair,
        metavar="K=V",
        help="an argument: text where the tool wants text, JSON otherwise; may be repeated",
    )
    call.set_defaults(command=_call)

    whoami = commands.add_parser("whoami", parents=[remote], help="show this agent's profile")
    whoami.set_defaults(command=_whoami)

    bench = commands.add_parser(
        "pow-bench", parents=[shared], help="measure the proof of work here"
    )
    bench.add_argument("--difficulty", type=_bounded(0, 26), default=15, help="bits (0 to 26)")
    bench.add_argument("--rounds", type=_bounded(1, 10_000), default=50, help="puzzles to solve")
    bench.set_defaults(command=_pow_bench)
    return parser


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError("K=V, please")
    return name, value


def _bounded(low: int, high: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"between {low} and {high}, please")
        return value

    return number


def _problem(error: LimeError) -> dict[str, Any]:
    found = {
        "error": type(error).__name__,
        "message": error.message,
        "code": error.code,
        "http_status": error.http_status,
        "request_id": error.request_id,
        "retry_after": error.retry_after,
    }
    return {name: value for name, value in found.items() if value is not None}


def _show(values: dict[str, Any], stream: TextIO, *, as_json: bool) -> None:
    plain = {name: _plain(value) for name, value in values.items()}
    if as_json:
        stream.write(json.dumps(plain) + "\n")
        return
    # Names come from outside, too: a server chose those of its tools.
    names = [_clean(name) for name in plain]
    width = max(map(len, names))
    stream.writelines(
        f"{name:<{width}}  {'-' if value is None else _printable(value, indent=width + 2)}\n"
        for name, value in zip(names, plain.values(), strict=True)
    )


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return round(value, 3) if isinstance(value, float) else value


def _printable(value: object, *, indent: int) -> str:
    """Return `value` for a terminal, its further lines indented.

    Texts come from outside: they may hold escape sequences, or a line that looks like one of ours.
    """
    lines = str(value).expandtabs().split("\n")
    return f"\n{' ' * indent}".join(map(_clean, lines))


def _clean(line: str) -> str:
    return "".join(char if char.isprintable() else "�" for char in line)
