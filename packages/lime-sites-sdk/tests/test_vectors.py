"""Every vector of `vectors/jwt.json`, as a site and an MCP server meet it: all that is refused is
refused in the same words, and the log says why."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from lime_jwt import JwkSet
from lime_sdk_core import Flow
from lime_sites import InvalidPassportError
from lime_sites._jwks import KeyCache
from lime_sites._passports import Verifier
from lime_sites.mcp._access import verify_access
from lime_sites.mcp._pin import Pin

VECTORS = Path(__file__).parents[3] / "vectors"
CASES = json.loads((VECTORS / "jwt.json").read_text(encoding="utf-8"))

# The SDK has one leeway, that of the protocol.
TOKENS = [case for case in CASES["tokens"] if "leeway" not in case["expect"]]


class NoHost:
    """A host that must not be needed: the keys are there, and were fetched just now."""

    def background(self, flow: Flow[None]) -> None:
        raise AssertionError("no fetch is needed")

    def await_landing(self, landed: object) -> None:
        raise AssertionError("nothing to wait for")


def proven(case: dict[str, Any]) -> dict[str, Any]:
    """The claims that the SDK hands on for the token of `case`. Raises InvalidPassportError."""
    issuer, expect = CASES["issuer"], case["expect"]
    cache = KeyCache(clock=lambda: 0.0)
    flight = cache.plan(issuer).start
    assert flight is not None
    document = json.dumps(case.get("jwks", CASES["jwks"]))
    cache.land(flight, JwkSet.parse(document, issuer=issuer))
    now = float(case.get("now", CASES["now"]))
    verifier = Verifier(issuer, cache, NoHost(), lambda: now, expect.get("site_id"))
    flow: Flow[Any]
    if expect["kind"] == "login":
        # Where the vector wants both, the SDK wants one: the one that the vector is about.
        by_site = case.get("claim") == "site_id" or "request_id" not in expect
        flow = verifier.verify(case["token"], None if by_site else expect["request_id"])
    elif expect["kind"] == "binding":
        flow = verifier.verify_binding(case["token"], expect.get("binding_id"))
    else:
        pin = Pin.parse(expect.get("resource"), expect.get("domain"))
        flow = verify_access(verifier, pin, case["token"])
    with pytest.raises(StopIteration) as done:
        next(flow)
    claims: dict[str, Any] = done.value.value.claims
    return claims


def named(cases: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in cases]


@pytest.mark.parametrize("case", named([case for case in TOKENS if "claims" in case]))
def test_what_is_good_is_accepted_with_its_claims(case: dict[str, Any]) -> None:
    added = {} if case["expect"]["kind"] == "access" else {"agent_id": case["claims"]["sub"]}
    assert proven(case) == case["claims"] | added


@pytest.mark.parametrize("case", named([case for case in TOKENS if "reason" in case]))
def test_a_refusal_says_one_thing_outside_and_the_reason_in_the_log(
    case: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="lime_sites")
    with pytest.raises(InvalidPassportError) as refusal:
        proven(case)
    error = refusal.value
    said = (str(error), error.code, error.args, error.__cause__, error.__context__)
    assert said == (
        "the passport is not valid",
        "INVALID_PASSPORT",
        ("the passport is not valid",),
        None,
        None,
    )
    (line,) = caplog.messages
    reasons = {
        "UnknownKeyError": "signed with a key that the issuer does not publish",
        # The pin of an MCP server knows several spellings of its URL, so it compares by itself.
        "InvalidClaimError": "resource" if "resource" in case["expect"] else "InvalidClaimError",
    }
    assert reasons.get(case["reason"], case["reason"]) in line
    # What a stranger wrote does not get into the log, where it could look like a line of ours.
    strange = [part for part in case["token"].split(".") if len(part) > len("passport")]
    assert not any(part in line for part in [*strange, case.get("kid", "\n")])
