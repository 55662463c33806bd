"""Which server a token must have been given to."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lime_sites import ConfigurationError, InvalidPassportError
from lime_sites.mcp import UnpinnedVerifierError
from lime_sites.mcp._pin import Pin

RESOURCE = "https://mcp.example.com/mcp"


def _claims(resource: str | None) -> dict[str, Any]:
    return {"aud": "mcp" if resource is None else ["mcp", resource]}


@pytest.mark.parametrize("pins", [(None, None), ("", None), (None, ""), (RESOURCE, ""), ("", "a")])
def test_a_verifier_that_would_take_any_servers_token_cannot_be_made(pins: Any) -> None:
    with pytest.raises(UnpinnedVerifierError) as caught:
        Pin.parse(*pins)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, ConfigurationError)


@pytest.mark.parametrize(
    "resource",
    [
        "mcp.example.com/mcp",
        "//mcp.example.com",
        "ftp://mcp.example.com",
        "http://mcp.example.com/mcp",
        "https://",
        "https:///mcp",
        "https://user@mcp.example.com",
        "https://mcp.example.com/mcp?tenant=1",
        "https://mcp.example.com/mcp#part",
        "https://mcp.example.com\\@evil.example",
        "https://mcp.example.com:port",
        "https://mcp.example.com/a b",
        "https://mcp.example.com/%zz",
        "https://bücher.example",
        "https://mcp.example.com/\n",
    ],
)
def test_a_resource_that_clients_could_not_ask_for_is_refused(resource: str) -> None:
    with pytest.raises(ConfigurationError, match="resource is the URL"):
        Pin.parse(resource, None)


@pytest.mark.parametrize("domain", ["https://a.example", "a.example:443", "a.example/", "a b", "."])
def test_a_domain_that_is_no_host_name_is_refused(domain: str) -> None:
    with pytest.raises(ConfigurationError, match="domain is a host name"):
        Pin.parse(None, domain)


def test_a_domain_beside_a_resource_must_be_its_host() -> None:
    assert Pin.parse(RESOURCE, "MCP.example.com").host == "mcp.example.com"
    with pytest.raises(ConfigurationError, match="another host"):
        Pin.parse(RESOURCE, "example.com")


@pytest.mark.parametrize(
    ("resource", "host"),
    [
        ("http://127.0.0.1:8001/mcp", "127.0.0.1"),
        ("http://localhost:8001", "localhost"),
        ("http://[::1]:8001/mcp", "::1"),
        ("https://MCP.Example.com/mcp", "mcp.example.com"),
    ],
)
def test_the_host_is_what_lime_writes_into_domain(resource: str, host: str) -> None:
    assert Pin.parse(resource, None).host == host


@pytest.mark.parametrize(
    ("configured", "named"),
    [
        ("https://mcp.example.com", "https://mcp.example.com/"),
        ("https://mcp.example.com/", "https://mcp.example.com"),
        ("https://MCP.example.com:443/mcp", RESOURCE),
        ("https://MCP.example.com:443", "https://mcp.example.com"),
        (RESOURCE, RESOURCE),
    ],
)
def test_spellings_that_url_libraries_make_are_one_resource(configured: str, named: str) -> None:
    assert Pin.parse(configured, None).check(_claims(named)) == named


@pytest.mark.parametrize(
    "named",
    [
        f"{RESOURCE}/",
        f"{RESOURCE}2",
        "https://mcp.example.com/",
        "https://mcp.example.com/other",
        "https://mcp.example.com:8443/mcp",
        "http://mcp.example.com/mcp",
        "https://mcp.example.com/MCP",
        None,
    ],
)
def test_a_token_for_another_server_at_the_same_host_is_refused(named: str | None) -> None:
    with pytest.raises(InvalidPassportError):
        Pin.parse(RESOURCE, None).check(_claims(named))


def test_the_short_form_opens_a_resource_only_where_the_domain_is_given_too() -> None:
    assert Pin.parse(RESOURCE, "mcp.example.com").check(_claims(None)) is None
    with pytest.raises(InvalidPassportError):
        Pin.parse(RESOURCE, "mcp.example.com").check(_claims("https://mcp.example.com/other"))


def test_a_domain_alone_takes_every_server_at_the_host() -> None:
    pin = Pin.parse(None, "mcp.example.com")
    assert pin.check(_claims(None)) is None
    assert pin.check(_claims(RESOURCE)) == RESOURCE


# A host of digits that is too large for an IPv4 address.
@example("4300000000")
@given(st.text(max_size=40))
def test_any_text_is_a_pin_or_a_configuration_error(text: str) -> None:
    for pins in ((text, None), (f"https://{text}", None), (None, text)):
        try:
            pin = Pin.parse(*pins)
        except ConfigurationError:
            continue
        assert pin.host.isascii()
        assert pin.host == pin.host.lower()
