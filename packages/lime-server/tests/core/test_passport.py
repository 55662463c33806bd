"""The one object that gathers what a passport may say."""

from datetime import UTC, datetime

import pytest

from lime_server.core.agents import Agent
from lime_server.core.clock import SystemClock
from lime_server.core.errors import DomainError, RateLimited
from lime_server.core.passport import PassportContext, PassportType
from lime_server.modules.mcp_oauth.errors import OAuthError

NOW = datetime(2026, 11, 23, 10, 0, 0, 999999, tzinfo=UTC)
AGENT = Agent("agent", "owner", "Agent", None, None, True, NOW, False, 0, False)


def context():
    return PassportContext(PassportType.LOGIN, "https://l.example", "aud", AGENT, "jti", NOW, 60)


def test_the_claims_are_the_common_ones_and_those_added():
    issued_at = int(NOW.timestamp())
    assert context().adding(a=1).adding(b=2).claims() == {
        "iss": "https://l.example",
        "aud": "aud",
        "sub": "agent",
        "iat": issued_at,
        "exp": issued_at + 60,
        "jti": "jti",
        "a": 1,
        "b": 2,
    }


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "iat", "exp", "nbf", "jti", "mine"])
def test_a_module_cannot_overrule_the_core_or_another_module(claim):
    with pytest.raises(ValueError, match=claim):
        context().adding(mine=1).adding(**{claim: 2})


def test_adding_leaves_the_original_as_it_was():
    original = context()
    original.adding(a=1)
    assert "a" not in original.claims()


def test_the_system_clock_tells_utc():
    assert SystemClock().now().tzinfo is UTC


def every(error):
    yield error
    for child in error.__subclasses__():
        yield from every(child)


def test_every_error_has_a_code_of_its_own_and_a_message_for_a_human():
    # Those of OAuth have the codes of its specifications, and a page of their own.
    oauth = set(every(OAuthError))
    errors = [error for error in every(DomainError) if error not in oauth]
    assert len({error.code for error in errors}) == len(errors)
    for error in errors:
        assert error.code == error.code.upper()
        assert 400 <= error.status < 600
        assert str(error()) == error.default_message
        assert error.default_message.endswith(".")


def test_every_error_of_oauth_has_a_code_of_its_specification_and_a_message():
    errors = list(every(OAuthError))
    for error in errors:
        assert error.code == error.code.lower()
        assert 400 <= error.status < 500
        assert str(error()) == error.default_message
        assert error.default_message.endswith(".")


def test_an_error_may_say_more():
    error = RateLimited("Slow down.", detail={"limit": 1}, retry_after=3)
    assert (str(error), error.detail, error.retry_after) == ("Slow down.", {"limit": 1}, 3)
