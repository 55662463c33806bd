"""Resources, domains, scopes, and what may follow what."""

from datetime import UTC, datetime, timedelta

import pytest

from lime_server.core.errors import Conflict
from lime_server.modules.mcp_oauth.errors import InvalidRequest, InvalidTarget
from lime_server.modules.mcp_oauth.model import (
    AuthorizationCode,
    Family,
    Grant,
    RefreshToken,
    Use,
)
from lime_server.modules.mcp_oauth.resources import parse_domain, parse_resource
from lime_server.modules.mcp_oauth.scopes import narrowed, parse_scope

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
GRACE = timedelta(seconds=10)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("https://mcp.example.com", "mcp.example.com"),
        ("https://MCP.Example.com:8443/Mcp/?a=b", "mcp.example.com"),
        ("https://xn--bcher-kva.example/", "xn--bcher-kva.example"),
        ("https://a.b.c.d.example/x%20y", "a.b.c.d.example"),
    ],
)
def test_a_resource_is_kept_byte_for_byte_and_its_host_in_lower_case(text, host):
    resource = parse_resource(text)
    assert (resource.text, resource.host) == (text, host)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mcp.example.com",
        "/mcp",
        "http://mcp.example.com",
        "ftp://mcp.example.com",
        "urn:lime:mcp",
        "https://",
        "https://mcp",
        "https://mcp.example.com/#part",
        "https://mcp.example.com/#",
        "https://user@mcp.example.com",
        "https://127.0.0.1/mcp",
        "https://[::1]/mcp",
        "https://8.8.8.8",
        "https://0x7f.1",
        "https://2130706433",
        "https://mcp.example.com.",
        "https://localhost",
        "https://mcp.localhost",
        "https://db.internal",
        "https://127.0.0.1.nip.io",
        "https://bücher.example",
        "https://mcp.example.com\\@evil.example",
        "https://mcp.example.com/\n",
        "https://mcp.example.com:99999",
        "https://mcp.example.com/" + "x" * 2048,
    ],
)
def test_what_is_no_resource(text):
    with pytest.raises(InvalidTarget):
        parse_resource(text)


@pytest.mark.parametrize(
    "text",
    ["http://127.0.0.1:9000/mcp", "http://localhost:1/", "http://[::1]:9/", "https://mcp.internal"],
)
def test_development_lets_private_names_in(text):
    with pytest.raises(InvalidTarget):
        parse_resource(text)
    assert parse_resource(text, private_too=True).text == text


@pytest.mark.parametrize(
    "text", ["http://mcp.internal", "https://10.0.0.1", "http://8.8.8.8", "http://x.example"]
)
def test_development_lets_nothing_else_in(text):
    with pytest.raises(InvalidTarget):
        parse_resource(text, private_too=True)


def test_a_domain_is_a_host_name():
    assert parse_domain("mcp.Example.com") == "mcp.example.com"
    assert parse_domain("localhost", private_too=True) == "localhost"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mcp",
        "https://mcp.example.com",
        "mcp.example.com:443",
        "mcp.example.com/mcp",
        " mcp.example.com",
        "mcp.example.com.",
        "mcp_x.example.com",
        "-a.example.com",
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "a.0x7f",
        "[::1]",
        "::1",
        "bücher.example",
        "K.example.com\u212a",
        "localhost",
        "a.local",
        "metadata.google.internal",
        "lvh.me",
        "kubernetes.default.svc",
        "a." * 127 + "example",
        "x" * 64 + ".example",
    ],
)
def test_what_is_no_domain(text):
    with pytest.raises(InvalidRequest):
        parse_domain(text)


def test_development_takes_no_addresses_for_a_domain():
    with pytest.raises(InvalidRequest):
        parse_domain("127.0.0.1", private_too=True)


def test_scopes_are_narrowed_and_never_refused_for_being_unknown():
    assert parse_scope(" b  a b ") == ("b", "a")
    assert parse_scope("") == ()
    assert parse_scope('a"b') is None
    assert parse_scope("a\tb") is None
    assert parse_scope("a" * 2049) is None
    assert narrowed(("b", "a", "x"), ("a", "b", "c")) == ("a", "b")
    assert narrowed(("x",), ("a", "b")) == ("a", "b")
    assert narrowed((), ("a", "b")) == ("a", "b")


def refresh(**changes):
    return RefreshToken(
        **{
            "token_hash": b"",
            "grant_id": "g",
            "family_id": "f",
            "client_id": "c",
            "resource": None,
            "scopes": (),
            "issued_at": NOW,
            "expires_at": NOW + timedelta(days=30),
        }
        | changes
    )


def family(**changes):
    return Family(
        **{"family_id": "f", "grant_id": "g", "expires_at": NOW + timedelta(days=90)} | changes
    )


def test_what_showing_a_refresh_token_means():
    token = refresh()
    assert token.used(family(), NOW, GRACE) is Use.FRESH
    assert token.used(family(), token.expires_at, GRACE) is Use.EXPIRED
    assert token.used(family().revoked(NOW), NOW, GRACE) is Use.REVOKED
    replaced = token.replaced(NOW)
    assert replaced.used(family(), NOW + GRACE / 2, GRACE) is Use.RACE
    assert replaced.used(family(), NOW + GRACE, GRACE) is Use.REUSE


def test_each_state_is_left_once():
    code = AuthorizationCode(
        code_hash=b"secret",
        grant_id="g",
        family_id="f",
        client_id="c",
        redirect_uri="https://x.example",
        code_challenge="challenge",
        resource=None,
        scopes=(),
        expires_at=NOW,
    )
    grant = Grant(
        grant_id="g",
        owner_id="o",
        agent_id="a",
        client_id="c",
        client_name="C",
        redirect_host="x",
        resource=None,
        scopes=(),
        created_at=NOW,
    )
    assert "secret" not in repr(code)
    assert "'challenge'" not in repr(code)
    for first in (code.spent, refresh().replaced, family().revoked, grant.revoked):
        second = first(NOW)
        name = first.__name__
        with pytest.raises(Conflict):
            getattr(second, name)(NOW)
