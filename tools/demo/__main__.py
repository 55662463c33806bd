"""An agent logs in to a site: the whole of LIME's main job, on real engines, in three processes.

Run by `make demo`. It starts `lime-server dev` on an empty folder, which makes an owner, an agent
and a site; then a site's backend and an agent's worker, each with the SDK that its users have and
nothing but its own token. Every step is shown with the time it took. At the end nothing is left
running, and no data is kept.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.json import JSON
from rich.panel import Panel

HERE = Path(__file__).parent
# A cold start makes a database cluster; slow disks take their time over it.
START_TIMEOUT = 120.0
# How long the server may take to stop its engines.
STOP_TIMEOUT = 20.0


class DemoError(Exception):
    """A part of the demonstration did not do what it should; the text says which."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a part said, and when: `time.monotonic()`, a clock that all processes share."""

    event: str
    at: float
    about: dict[str, Any]


def main() -> int:
    """Show a login. Returns the exit status: 0 when the site holds a verified passport."""
    console = Console(highlight=False)
    console.print("\n[bold]LIME[/bold]  an agent logs in to a site, without a human or a browser\n")
    try:
        with tempfile.TemporaryDirectory(prefix="lime-demo-") as folder:
            claims = show(console, Path(folder))
    except DemoError as failed:
        console.print(f"[red]The demonstration failed:[/red] {failed}")
        return 1
    title = "the verified passport says"
    console.print(Panel(JSON.from_data(claims), title=title, expand=False))
    console.print(
        "Everything is stopped, and nothing was kept. Next: [bold]docs/quickstart.md[/bold]\n"
    )
    return 0


def show(console: Console, folder: Path) -> dict[str, Any]:
    """Run the three parts and print what they tell. Returns the claims that the site verified."""
    began = time.monotonic()
    with running_server(folder) as ready:
        step(
            console, "0", "lime-server dev is ready, its engines included", time.monotonic() - began
        )
        step(console, " ", f"agent   {ready['agent_id']}")
        step(console, " ", f"site    {ready['site_id']}")
        api = {"LIME_API_BASE": ready["api_base"]}
        with part("site", **api, LIME_SITE_TOKEN=ready["site_token"]) as site:
            started, created = told(site, "listening"), told(site, "created")
            request_id = created.about["request_id"]
            step(console, "1", "site:  creates a login request", created.at - started.at)
            step(console, " ", f"request {request_id}, handed to the agent")
            with part("agent", request_id, **api, LIME_AGENT_TOKEN=ready["agent_token"]) as agent:
                asked, challenge = told(agent, "asked"), told(agent, "challenge")
                step(console, "2", "agent: fetches its challenge", challenge.at - asked.at)
                solved = told(agent, "solved")
                step(console, "3", "agent: solves it", solved.at - challenge.at)
                approved = told(agent, "approved")
                step(console, "4", "agent: approves, with its own token", approved.at - solved.at)
            delivered, verified = told(site, "delivered"), told(site, "verified")
            step(console, "5", "site:  has the passport by its stream", delivered.at - solved.at)
            step(console, " ", "       and verifies it by itself", verified.at - delivered.at)
            step(
                console, "=", "logged in, from the agent's first request on", verified.at - asked.at
            )
            claims: dict[str, Any] = verified.about["claims"]
            return claims


def step(console: Console, number: str, text: str, took: float | None = None) -> None:
    """One line of the story; `took` is in seconds and shown in milliseconds."""
    timing = "" if took is None else f"{took * 1000:9.2f} ms"
    console.print(f"  [cyan]{number}[/cyan]  {text:<60}{timing}")


@contextlib.contextmanager
def running_server(folder: Path) -> Iterator[dict[str, Any]]:
    """`lime-server dev` on an empty folder; yields its ready-file."""
    ready_file, log = folder / "ready.json", folder / "server.log"
    command = ["-m", "lime_server", "dev", "--data", folder / "data", "--port", "0"]
    with log.open("wb") as sink:
        server = subprocess.Popen(
            [sys.executable, *map(str, command), "--ready-file", str(ready_file)],
            stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT, env=without_settings(),
        )  # fmt: skip
    try:
        deadline = time.monotonic() + START_TIMEOUT
        while not ready_file.exists():
            if server.poll() is not None or time.monotonic() > deadline:
                raise DemoError(f"the server did not start:\n{log.read_text(errors='replace')}")
            time.sleep(0.02)  # The file is the server's only signal to a script.
        yield json.loads(ready_file.read_text())
    finally:
        stop(server)


@contextlib.contextmanager
def part(name: str, *arguments: str, **environment: str) -> Iterator[Iterator[Told]]:
    """Run a part of the play in a process of its own; yields what it tells."""
    process = subprocess.Popen(
        [sys.executable, str(HERE / f"{name}.py"), *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        env={**without_settings(), **environment},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield (Told(**json.loads(said)) for said in process.stdout)
        if process.wait(timeout=STOP_TIMEOUT) != 0:
            raise DemoError(f"the {name} ended with exit status {process.returncode}")
    finally:
        stop(process)


def told(source: Iterator[Told], event: str) -> Told:
    """The next thing that a part tells, which must be `event`."""
    said = next(source, None)
    if said is None or said.event != event:
        raise DemoError(f"expected {event!r}, and heard {said!r}")
    return said


def without_settings() -> dict[str, str]:
    """The environment without LIME's own variables: the same demonstration everywhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("LIME_")}


def stop(process: subprocess.Popen[Any]) -> None:
    """End a child that is still there: politely, then not."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
