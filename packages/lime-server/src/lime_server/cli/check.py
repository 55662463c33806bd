"""`lime-server check`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from lime_server.cli.speech import AsJson, finish, plain_errors, quiet_settings

if TYPE_CHECKING:
    from lime_server.infrastructure.fitness import Finding

_MARKS = {"ok": "ok     ", "warning": "warning", "error": "ERROR  "}


def check(as_json: AsJson = False) -> None:
    """Is this configuration fit for production? Ends with 1 if anything is wrong."""
    with plain_errors():
        from lime_server.core.clock import SystemClock
        from lime_server.infrastructure import fitness

        findings = finish(fitness.check(quiet_settings(), SystemClock()))
    show_findings(findings, as_json=as_json)
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(1)


def show_findings(findings: Sequence[Finding], *, as_json: bool) -> None:
    """Print a line for each, and below it what to do about it; or one JSON array."""
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings]))
        return
    for finding in findings:
        typer.echo(f"{_MARKS[finding.level]}  {finding.subject}: {finding.message}")
        if finding.advice is not None:
            typer.echo(f"         {finding.advice}")
