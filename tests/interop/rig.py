"""Programs of other people's making beside a real `lime-server`: clients, MCP servers, a document."""

import contextlib
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Self
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
from playwright.sync_api import expect

from tests.portal.people import Person
from tests.support.commands import clean_environment
from tests.support.server import DevServer

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CALLBACK = "http://127.0.0.1:33418/callback"
"""Where clients want the browser back, unless they insist on a port of their own. Nobody listens there:
browsers are answered by a route, and the test tells the client what came back."""
CLIENT_NAME = "Robot arm"
OURS = ("lime_agents", "lime_jwt", "lime_pow", "lime_sdk_core", "lime_sites")

Browse = Callable[[str], str]
"""Lets somebody answer at a URL; the URL at which the browser comes out."""


@dataclass(frozen=True)
class Generation:
    """One of the client libraries, and a server library to go with it."""

    client: list[str]
    """The command that runs its client program."""
    server: list[str]
    """The command that runs an MCP server."""
    ours: list[str]
    """The command that runs our own client beside its client library."""
    beside: list[str]
    """The command that runs our own client with calls that fail beside others."""
    secret_methods: tuple[str, ...] = ("client_secret_basic", "client_secret_post")
    """How its client can send a secret for a token of its own."""
    only_because: str = ""
    """Why there are fewer of them than the standard has."""
    deaf_to_issuer: str = ""
    """Why its client does not compare who an answer is from, if it does not."""


def generations() -> dict[str, Generation]:
    """By name. `LIME_INTEROP_PROGRAM` is an interpreter that has what `LIME_INTEROP` names."""
    program = os.environ.get("LIME_INTEROP_PROGRAM", sys.executable)

    def python(folder: str, name: str, interpreter: str = program) -> list[str]:
        return [interpreter, str(HERE / folder / f"{name}.py")]

    example = python("servers", "mcp_2", sys.executable)
    ours, beside = python("clients", "ours"), python("clients", "beside")
    return {
        "mcp-2": Generation(python("clients", "mcp_2", sys.executable), example, ours, beside),
        "mcp-1": Generation(
            python("clients", "mcp_1"),
            python("servers", "mcp_1"),
            ours,
            beside,
            secret_methods=("client_secret_basic",),
            only_because="with client_secret_post mcp 1.x leaves the client_id out, which RFC 6749, "
            "section 2.3.1, requires",
            deaf_to_issuer="the callback of mcp 1.x has no place for iss",
        ),
        "fastmcp": Generation(
            python("clients", "fastmcp_4"), python("servers", "fastmcp_4"), ours, beside
        ),
        "typescript": Generation(
            [program, str(HERE / "typescript" / "client.mjs")],
            example,
            python("clients", "ours", sys.executable),
            python("clients", "beside", sys.executable),
            secret_methods=("client_secret_basic",),
            only_because="the TypeScript SDK's ClientCredentialsProvider offers no other method",
        ),
    }


def our_packages(folder: Path) -> Path:
    """A folder with our SDKs and nothing else, for environments that have none of ours."""
    folder.mkdir()
    for name in OURS:
        there = Path(str(importlib.import_module(name).__file__)).parent
        (folder / name).symlink_to(there, target_is_directory=True)
    return folder


@contextlib.contextmanager
def serving(command: list[str], api_base: str, python_path: Path) -> Iterator[str]:
    """Run an MCP server; the URL of its endpoint."""
    environment = clean_environment(
        {
            "LIME_API_BASE": api_base,
            # The example is no package that anybody installs.
            "PYTHONPATH": os.pathsep.join([str(python_path), str(ROOT)]),
        }
    )
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url, f"{command[-1]} ended without a word; its errors are above"
        yield f"{url}/mcp"
    finally:
        process.terminate()
        process.communicate()


class Program:
    """A running client program."""

    def __init__(self, command: list[str], environment: Mapping[str, str]) -> None:
        self._name = Path(command[-1]).name
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=clean_environment(environment),
        )
        self.opened: list[str] = []
        """Where it has sent the browser so far."""

    def call(self, browse: Browse | None = None) -> dict[str, Any]:
        """Let it ask the MCP server who it is; what it kept afterwards."""
        facts = self.say(do="call")
        while "open" in facts:
            self.opened.append(facts["open"])
            assert browse is not None, f"nobody is there to answer at {facts['open']}"
            facts = self.say(back=browse(facts["open"]))
        assert "error" not in facts, facts["error"]
        return facts

    def age(self) -> None:
        """Let it believe that its access token has expired."""
        self.say(do="age")

    def say(self, **words: str) -> dict[str, Any]:
        """Tell it something; what it says next."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"{self._name} ended without a word; its errors are above"
        found: dict[str, Any] = json.loads(line)
        return found

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


@dataclass(frozen=True)
class Agent:
    """One that may open MCP servers."""

    agent_id: str
    agent_token: str


@dataclass(frozen=True)
class Household(Agent):
    """The same with its owner, in front of a browser."""

    owner: Person

    def allow(self, url: str, *, listens: bool = False) -> str:
        """Answer a client at the consent page; the URL at which the browser comes out.

        A client that does not listen for the browser is told afterwards what it brought.
        """
        page = self.owner.page
        back = parse_qs(urlsplit(url).query)["redirect_uri"][0]
        self.owner.watch.allow(back)
        if listens:
            # Browsers ask on their own for what no client's page has.
            icon = urljoin(back, "/favicon.ico")
            self.owner.watch.allow(icon)
            page.route(icon, lambda route: route.fulfill(status=204))
        else:
            answer = {"body": "You may close this page.", "content_type": "text/plain"}
            page.route(f"{back}?*", lambda route: route.fulfill(**answer))
        page.goto(url)
        self.owner.see("Allow access")
        expect(page.get_by_text(CLIENT_NAME).first).to_be_visible()
        remembered = page.get_by_role("button", name="Pick another agent")
        radio = page.get_by_role("radio", name="Night reader")
        expect(remembered.or_(radio)).to_be_visible()
        if radio.is_visible():
            radio.check()
        self.owner.press("Allow")
        page.wait_for_url(f"{back}?*")
        return page.url


class Documents:
    """JSON documents on a web server of loopback. A context manager."""

    def __init__(self) -> None:
        published: dict[str, bytes] = {}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = published.get(self.path)
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *words: object) -> None:
                """Say nothing."""

        self._published = published
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever)
        self.origin = f"http://127.0.0.1:{self._server.server_port}"

    def publish(self, path: str, document: dict[str, Any]) -> None:
        """Serve a document."""
        self._published[path] = json.dumps(document).encode()

    def publish_client(self, **metadata: Any) -> str:
        """Serve the document of a client; its URL, which is the client's id."""
        path = f"/clients/{len(self._published)}.json"
        self.publish(path, {"client_id": self.origin + path, **metadata})
        return self.origin + path

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def make_household(owner: Person) -> Household:
    """Give an owner who is signed in an agent."""
    agent = owner.call("POST", "/core/agents/register", display_name="Night reader")
    owner.call("PUT", f"/core/agents/{agent['agent_id']}/capabilities", capabilities=["oauth:mcp"])
    return Household(agent["agent_id"], agent["agent_token"], owner)


def register(server: DevServer, redirect_uri: str, method: str) -> dict[str, Any]:
    """Register a client by hand; what the server says about it."""
    metadata = {
        "client_name": CLIENT_NAME,
        "redirect_uris": [redirect_uri],
        "token_endpoint_auth_method": method,
    }
    url = f"{issuer(server)}/register"
    answer = httpx.post(url, json=metadata, trust_env=False).raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def issuer(server: DevServer) -> str:
    """Of the server's access tokens."""
    return f"{server.api_base}/modules/oauth"
