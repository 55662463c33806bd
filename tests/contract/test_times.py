"""Protocol section 10: times that must agree, on the wire where they show, and in both programs where they do not."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import lime_sites._jwks
import lime_sites._listen
from lime_server.infrastructure.oauth_crypto import LEEWAY, MAX_LIFETIME
from lime_server.modules.binding.passports import LIFETIME
from lime_server.modules.mcp_oauth.consent import CODE_LIFETIME
from lime_server.settings import Settings
from tests.contract.promises import promise
from tests.support.tokens import parts
from tests.support.wire import Agent, Site, Wire, data

_UNITS = {"s": 1, "h": 3600, "days": 86400}


def _row(name: str) -> list[int]:
    """The seconds in one row of the protocol's own table."""
    text = (
        (Path(__file__).parents[2] / "docs" / "protocol.md").read_text().partition("\n## 10. ")[2]
    )
    (row,) = re.findall(rf"^\| {re.escape(name)} \|(.*)\|$", text, re.MULTILINE)
    return [int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+) (s|h|days)\b", row)]


def _default(name: str) -> float:
    """What the server does when nobody says otherwise."""
    return float(Settings.model_fields[name].default)


@promise("times:request-life")
def test_a_login_request_lives_as_long_as_the_table_says(plain_wire: Wire, site: Site) -> None:
    (life,) = _row("login request life")
    before = datetime.now(UTC)
    expires_at = datetime.fromisoformat(data(plain_wire.create(site), 201)["expires_at"])
    after = datetime.now(UTC)
    # By the server's clock, which is not quite ours: it follows PostgreSQL's.
    assert abs((expires_at - before).total_seconds() - life) <= (after - before).total_seconds() + 1


@promise("times:passport-life")
def test_a_passport_lives_as_long_as_the_table_says(
    plain_wire: Wire, agent: Agent, site: Site
) -> None:
    life = _row("site passport / binding passport / MCP token life")[0]
    claims = parts(plain_wire.passport(agent, site))[1]
    assert claims["exp"] - claims["iat"] == life


@promise("times:binding")
def test_bindings_live_as_long_as_the_table_says() -> None:
    request, code = _row("binding request life / binding code life")
    assert (request, code) == (_default("binding_lifetime"), _default("binding_code_lifetime"))
    assert _row("site passport / binding passport / MCP token life")[1] == LIFETIME


@promise("times:mcp")
def test_what_oauth_hands_out_lives_as_long_as_the_table_says() -> None:
    code, unused, consent = _row(
        "OAuth code life / refresh token unused / refresh tokens of one consent"
    )
    assert timedelta(seconds=code) == CODE_LIFETIME
    assert (unused, consent) == (
        _default("mcp_refresh_idle"),
        _default("mcp_refresh_lifetime"),
    )
    grace, assertion, leeway = _row(
        "a replaced refresh token still works / client assertion life / its clock's leeway"
    )
    assert grace == _default("mcp_refresh_grace")
    assert (timedelta(seconds=assertion), timedelta(seconds=leeway)) == (MAX_LIFETIME, LEEWAY)


@promise("times:jwks")
def test_the_key_caches_agree(plain_wire: Wire) -> None:
    life, interval, stale = _row("JWKS cache life / least refresh interval / stale-if-error")
    assert f"max-age={life}" in plain_wire.jwks().headers["cache-control"]
    cache = lime_sites._jwks
    assert (life, interval, stale) == (cache.DEFAULT_TTL, cache.MIN_INTERVAL, cache.MAX_STALE)


@promise("times:rotation")
def test_keys_are_published_long_enough() -> None:
    before, after = _row("key published before use / after its last signature")
    assert _default("key_publish_before") >= before
    assert _default("key_publish_after") >= after
    # A verifier that has just fetched knows a new key before it signs; what an old key signed ends before it goes.
    assert before >= _row("JWKS cache life / least refresh interval / stale-if-error")[0]
    assert after >= 120 + _row("verifier's leeway")[0]


@promise("times:stream")
def test_the_watchdog_outlives_two_heartbeats() -> None:
    keepalive, watchdog, life = _row("keepalive / client's watchdog / stream life")
    assert _default("keepalive_interval") == keepalive
    assert watchdog == lime_sites._listen.SILENCE
    assert watchdog > 2 * keepalive
    assert _default("stream_lifetime") == life


@promise("times:delivery")
def test_the_window_holds_many_leases() -> None:
    (window,), (lease,) = (
        _row("delivery window after approval"),
        _row("lease of an event to one consumer"),
    )
    assert _default("delivery_window") == window
    assert _default("delivery_lease") == lease
