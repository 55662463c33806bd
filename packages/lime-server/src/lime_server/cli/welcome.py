"""What `lime-server dev` says when it is ready."""

from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.text import Text

from lime_server.cli.residents import Residents


@dataclass(frozen=True, slots=True)
class Welcome:
    """Everything there is to say."""

    public_url: str
    data: Path
    database_url: str
    redis_url: str
    residents: Residents
    first_token: str | None = field(default=None, repr=False)
    """Opens the first account, while nobody can sign in."""
    portal: bool = False
    """Whether this build has web pages; without them the first account is made by a command."""

    @property
    def api_base(self) -> str:
        """Where SDKs find it."""
        return f"{self.public_url}/api/v1"

    @property
    def mailbox_url(self) -> str:
        """Where the mails are that a real server would send."""
        return f"{self.public_url}/dev/mailbox"


def say(welcome: Welcome, console: Console) -> None:
    """Print where things are and commands to copy. Lines are never wrapped: they must paste."""
    who, api = welcome.residents, welcome.api_base
    _line(console, f"LIME is ready at {welcome.public_url}", style="bold green")
    _line(console, "")
    _facts(
        console,
        {
            "API base": api,
            "API reference": f"{welcome.public_url}/docs",
            "mailbox": welcome.mailbox_url,
            "agent": who.agent_id,
            "agent token": who.agent_token,
            "site": who.site_id,
            "site token": who.site_token,
            "PostgreSQL": welcome.database_url,
            "Valkey": welcome.redis_url,
            "data": str(welcome.data),
        },
    )
    if welcome.first_token is not None:
        doing = _first_steps(welcome, welcome.first_token)
        _story(console, {"Nobody can sign in yet. Become the first owner:": doing})
    _story(
        console,
        {
            "As the site, ask for a login and see its login_request_id:": [
                f"curl -sX POST {api}/modules/agent-login/requests -d '{{}}' \\",
                f"  -H 'Content-Type: application/json' -H 'X-Site-Token: {who.site_token}'",
            ],
            "As the agent, log in with that id:": [
                f"export LIME_API_BASE={api} LIME_AGENT_TOKEN={who.agent_token}",
                "lime-agent login LOGIN_REQUEST_ID",
            ],
            "As the site, watch the passport arrive:": [
                f"curl -sN {api}/modules/agent-login/events \\",
                f"  -H 'X-Site-Token: {who.site_token}'",
            ],
        },
    )
    _line(console, "")
    _line(console, "Ctrl-C stops everything. The data stays, and so do the tokens.", style="dim")


def _first_steps(welcome: Welcome, token: str) -> list[str]:
    if welcome.portal:
        # In the fragment: a browser keeps it to itself, so that no log has it.
        return [f"{welcome.public_url}/first#token={token}"]
    chosen = f'{{"token":"{token}","email":"YOU@EXAMPLE.COM","password":"CHOOSE"}}'
    return [
        f"curl -sX POST {welcome.api_base}/foundation/users/first -d '{chosen}' \\",
        f"  -H 'Content-Type: application/json' -H 'Origin: {welcome.public_url}'",
    ]


def _facts(console: Console, facts: dict[str, str]) -> None:
    width = max(map(len, facts))
    for name, fact in facts.items():
        line = Text.assemble((f"{name:<{width}}", "cyan"), "  ", fact)
        console.print(line, soft_wrap=True)


def _story(console: Console, story: dict[str, list[str]]) -> None:
    for told, commands in story.items():
        _line(console, "")
        _line(console, told, style="cyan")
        for command in commands:
            _line(console, f"  {command}")


def _line(console: Console, text: str, style: str = "") -> None:
    console.print(Text(text, style=style), soft_wrap=True)
