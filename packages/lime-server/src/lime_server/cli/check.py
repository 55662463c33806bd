"""`lime-server check`."""

import json
from dataclasses import asdict

import typer

from lime_server.cli.speech import AsJson, finish, plain_errors, quiet_settings

_MARKS = {"ok": "ok     ", "warning": "warning", "error": "ERROR  "}


def check(as_json: AsJson = False) -> None:
    """Is this configuration fit for production? Ends with 1 if anything is wrong."""
    with plain_errors():
        from lime_server.core.clock import SystemClock
        from lime_server.infrastructure import fitness

        findings = finish(fitness.check(quiet_settings(), SystemClock()))
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            typer.echo(f"{_MARKS[finding.level]}  {finding.subject}: {finding.message}")
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(1)
