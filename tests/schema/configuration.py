"""What schemathesis is told: whom to be, what there is, and which answers are right although it cannot know."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.schema.callers import Callers, proofs

EXAMPLES = 10
"""Requests that are invented per operation, beside those that try every limit of its schema."""
KNOWN_IDS = 0.7
"""How often a path names something that is there."""

_CODE = "whether a code is the one that was sent is no matter of its shape"
_PASSWORD = "whether a password is too easy to guess is no matter of its shape"
_WHOLE = "1.0 is an integer to JSON Schema (2020-12, section 6.1.1), and none to us"
_PASSKEY = "an invented passkey proves nothing"
_CLIENT = "an invented request comes from no client"

REFUSED_FOR_ITS_MEANING: Mapping[str, str] = {
    "POST /api/v1/foundation/users/register": _PASSWORD,
    "POST /api/v1/foundation/users/register/verify": _CODE,
    "POST /api/v1/foundation/users/first": "the link for the first owner is good once",
    "POST /api/v1/foundation/users/login/second-factor": _CODE,
    "POST /api/v1/foundation/users/login/passkey": _PASSKEY,
    "POST /api/v1/foundation/users/password": _PASSWORD,
    "POST /api/v1/foundation/users/password/reset/confirm": f"{_CODE}; {_PASSWORD}",
    "POST /api/v1/foundation/users/step-up": f"{_CODE}; {_PASSKEY}",
    "POST /api/v1/foundation/users/totp/confirm": _CODE,
    "POST /api/v1/foundation/users/passkeys": _PASSKEY,
    "POST /api/v1/foundation/sites/{site_id}/domain/check": "a site without a domain has nothing to prove",
    "POST /api/v1/foundation/kyc/cases": "documents are looked into; the level must be above the owner's; "
    "and whether documents are taken depends on the provider",
    "POST /api/v1/foundation/operator/kyc/cases/{case_id}/decide": "no more is granted than was asked for",
    "POST /api/v1/modules/agent-login/requests/{request_id}/approve": "an invented nonce solves nothing",
    "POST /api/v1/core/agents/{agent_id}/tokens": _WHOLE,
    "POST /api/v1/foundation/sites/{site_id}/tokens": _WHOLE,
    "POST /api/v1/modules/bindings/requests": "a redirect URI must be on the site's list, to the letter",
    "POST /api/v1/modules/bindings/exchange": "an invented code was given to nobody",
    "GET /api/v1/modules/oauth/consent": _CLIENT,
    "POST /api/v1/modules/oauth/consent": _CLIENT,
    "POST /api/v1/modules/oauth/consent/refuse": _CLIENT,
    "PUT /api/v1/core/agents/{agent_id}/keys": "an invented key is none",
}
"""Operations that answer 400 to requests that fit their schema, and why the schema cannot say it.

For these, and for nothing else, the check `positive_data_acceptance` takes 400 for an answer too.
"""

_ACCEPTED = ["2xx", "3xx", "400", "401", "403", "404", "409", "429"]

ENDS_SESSIONS = (
    "DELETE /api/v1/foundation/sessions/{session_id}",
    "POST /api/v1/foundation/users/logout",
)
"""What would sign the caller out: tried last, by somebody else."""


def write_main(folder: Path, callers: Callers) -> Path:
    """Everything but ENDS_SESSIONS; the file's path."""
    dictionaries: dict[str, list[Any]] = callers.ids()
    operations = [_refused(name) for name in REFUSED_FOR_ITS_MEANING]
    operations += [{"include-name": name, "enabled": False} for name in ENDS_SESSIONS]
    for kind, ids in callers.victims().items():
        dictionaries[f"victims-{kind}"] = ids
        for verb in ("suspend", "restore"):
            name = f"POST /api/v1/foundation/operator/{kind}/{{ident}}/{verb}"
            operations.append(_given(name, "ident", f"victims-{kind}"))
    for kind, ids in callers.doomed().items():
        dictionaries[f"doomed-{kind}"] = ids
        room, parameter = {"agents": ("core", "agent_id"), "sites": ("foundation", "site_id")}[kind]
        name = f"DELETE /api/v1/{room}/{kind}/{{{parameter}}}"
        operations.append(_given(name, parameter, f"doomed-{kind}"))
    known = [name for name in dictionaries if "-" not in name]
    who = proofs(callers.agent, callers.site, callers.browser)
    return _write(folder / "main.toml", who, dictionaries, known, operations)


def write_endings(folder: Path, callers: Callers) -> Path:
    """ENDS_SESSIONS alone; the file's path."""
    who = proofs(callers.agent, callers.site, callers.another_browser())
    return _write(folder / "endings.toml", who, {}, [], [])


def _refused(name: str) -> dict[str, Any]:
    check = {"positive_data_acceptance": {"expected-statuses": _ACCEPTED}}
    return {"include-name": name, "checks": check}


def _given(name: str, parameter: str, dictionary: str) -> dict[str, Any]:
    bound = {"dictionary": dictionary, "probability": KNOWN_IDS}
    return {"include-name": name, "parameters": {f"path.{parameter}": bound}}


def _write(
    path: Path,
    who: Mapping[str, str],
    dictionaries: Mapping[str, list[Any]],
    known: Iterable[str],
    operations: Iterable[Mapping[str, Any]],
) -> Path:
    whole: dict[str, Any] = {
        "hooks": "tests.schema.hooks",
        "continue-on-failure": True,
        # Streams have no end of their own.
        "max-stream-events": 1,
        "request-timeout": 20,
        "generation": {
            "max-examples": EXAMPLES,
            # The same requests each time: a change must not fail by the luck of another one.
            "deterministic": True,
            "database": "none",
            "no-shrink": True,
        },
        "auth": {"openapi": {name: {"api_key": value} for name, value in who.items()}},
        "dictionaries": {name: {"values": values} for name, values in dictionaries.items()},
        "parameters": {
            f"path.{name}": {"dictionary": name, "probability": KNOWN_IDS} for name in known
        },
    }
    lines = [f"{json.dumps(key)} = {_toml(value)}" for key, value in whole.items()]
    lines += [
        "[[operations]]\n" + "\n".join(f"{json.dumps(k)} = {_toml(v)}" for k, v in one.items())
        for one in operations
    ]
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o600)
    return path


def _toml(value: Any) -> str:
    """`value` in one line; JSON's strings, numbers and booleans are TOML's, too."""
    if isinstance(value, Mapping):
        inside = ", ".join(f"{json.dumps(key)} = {_toml(one)}" for key, one in value.items())
        return f"{{ {inside} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value)
