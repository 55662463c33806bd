"""`lime-server doctor`."""

import typer

from lime_server.cli.check import show_findings
from lime_server.cli.speech import AsJson, finish, plain_errors, quiet_settings

_STATUS = {"ok": 0, "warning": 1, "error": 2}


def doctor(as_json: AsJson = False) -> None:
    """How is this deployment, and what should be done? Looks at settings and engines, changes
    nothing.

    Ends with 0 when all is well, 1 when something deserves a look, 2 when something is wrong.
    """
    with plain_errors(status=_STATUS["error"]):
        from lime_server.core.clock import SystemClock
        from lime_server.infrastructure import doctor as doctors

        findings = finish(doctors.examine(quiet_settings(), SystemClock()))
    show_findings(findings, as_json=as_json)
    raise typer.Exit(max(_STATUS[finding.level] for finding in findings))
