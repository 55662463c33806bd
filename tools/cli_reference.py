"""Write `docs/reference/cli.md` from the commands themselves: `python tools/cli_reference.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from lime_server.cli import app

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "cli.md"
HEAD = """\
# Command line

`lime-server`, as its own help describes it; written by `tools/cli_reference.py`. The agent's
command, `lime-agent`, is described with
[its package](../../packages/lime-agents-sdk/README.md#in-a-shell).

Every command ends with status 0 when it did what it says, 1 when it could not, and 2 when it was
called wrongly; `lime-server doctor` has statuses of its own. Those that work on a deployment read
the [settings](settings.md).
"""


def page() -> str:
    """The whole page, as Markdown."""
    return "\n".join([HEAD, *section("lime-server", typer.main.get_command(app))])


# typer's commands are classes of its own vendored library, which it does not export.
def section(name: str, command: Any) -> Iterator[str]:
    """One command, then those below it."""
    subcommands: dict[str, Any] = getattr(command, "commands", {})
    if not subcommands:
        yield from [f"## `{name}`", "", command.help.strip(), ""]
        yield from parameters(command.params)
    for word, subcommand in subcommands.items():
        yield from section(f"{name} {word}", subcommand)


def parameters(declared: list[Any]) -> Iterator[str]:
    """A table of arguments and options, if there are any."""
    rows = [
        f"| `{' '.join(one.opts) or one.name}`{' (required)' if one.required else ''} "
        f"| {one.help} | {default_of(one)} |"
        for one in declared
        if one.name != "help"
    ]
    if rows:
        yield from ["| option | meaning | default |", "| --- | --- | --- |", *rows, ""]


def default_of(parameter: Any) -> str:
    """What happens without it, where that is a value."""
    return f"`{parameter.default}`" if parameter.default not in (None, False) else ""


if __name__ == "__main__":
    PAGE.write_text(page())
