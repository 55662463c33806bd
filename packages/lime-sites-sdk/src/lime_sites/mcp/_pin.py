"""To which server a token must have been given: the one check that keeps servers apart.

An access token names its server in one of two ways (protocol section 6): `aud` is
`["mcp", resource]` and `domain` the host of that resource (RFC 8707), or, in the short form, `aud`
is `"mcp"` and only `domain` says which host it is for.
"""

import re
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import AnyHttpUrl

from lime_jwt import Expectation
from lime_sdk_core import ConfigurationError, check_base_url
from lime_sites._passports import LEEWAY, refused

# RFC 3986, appendix A, without what a resource does not have: user name, query and fragment. Host
# names are those of RFC 1123: an international one is written in its ASCII form.
_URL = re.compile(
    r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]+)?"
    r"(?:/(?:[\w\-.~!$&'()*+,;=:@/]|%[0-9a-f]{2})*)?",
    re.IGNORECASE | re.ASCII,
)
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")


class UnpinnedVerifierError(ConfigurationError, ValueError):
    """Nothing says which server the tokens must be for, so any server's token would do."""


@dataclass(frozen=True, slots=True)
class Pin:
    """Which tokens are for this server. Made by `parse`."""

    resource: str | None
    """This server's URL as it was configured: what it advertises."""
    host: str
    """In lower case, without a port."""
    short_form: bool
    """Is a token that names no resource accepted for the host?"""
    spellings: frozenset[str]
    """The resource, in the forms that URL libraries make of it."""
    expectation: Expectation = field(repr=False)

    @classmethod
    def parse(cls, resource: str | None, domain: str | None) -> Self:
        """Return what `resource` and `domain` pin.

        Raises:
            UnpinnedVerifierError: neither is given, or one is empty.
            ConfigurationError: they are not a URL and a host name that belong together.
        """
        if not (resource or domain) or "" in (resource, domain):
            raise UnpinnedVerifierError(
                "There is nothing to tell this server's tokens from another's: pass resource= with "
                "the URL of this server, such as https://mcp.example.com/mcp, or domain= with its "
                "host name."
            )
        host = _host_of(resource, domain)
        return cls(
            resource=resource,
            host=host,
            short_form=domain is not None,
            spellings=frozenset() if resource is None else _spellings(resource),
            expectation=Expectation.access_token(domain=host, leeway=LEEWAY),
        )

    def check(self, claims: dict[str, Any]) -> str | None:
        """Return the resource that proven claims name, if any.

        Raises:
            InvalidPassportError: the token is for another server at this host.
        """
        # lime_jwt has seen to the shape, and to the host.
        named = None if isinstance(claims["aud"], str) else str(claims["aud"][1])
        if self.resource is None:
            return named
        if named is None and not self.short_form:
            raise refused("it names no resource, and only this one's tokens are accepted")
        if named is not None and named not in self.spellings:
            raise refused("made for another resource at this host")
        return named


def _host_of(resource: str | None, domain: str | None) -> str:
    at_domain = None if domain is None else domain.lower()
    if at_domain is not None and not _NAME.fullmatch(at_domain):
        raise ConfigurationError(
            "domain is a host name such as mcp.example.com: no scheme, port or path."
        )
    at_resource = None if resource is None else _split(resource).hostname
    if at_domain and at_resource and at_domain != at_resource:
        raise ConfigurationError(
            "domain is not the host of resource; tokens for another host are for another server."
        )
    return str(at_resource or at_domain)


def _split(resource: str) -> SplitResult:
    try:
        # Plain http only to this machine: a bearer token in clear text is anybody's.
        check_base_url(resource)
        # And what the SDKs for servers can read: a host of digits alone may be no IPv4 address.
        AnyHttpUrl(resource)
        is_fine = bool(_URL.fullmatch(resource))
    except (ConfigurationError, ValueError):
        is_fine = False
    if not is_fine:
        raise ConfigurationError(
            "resource is the URL of this server as its clients write it: https, or http on this "
            "machine, without user name, query and fragment."
        )
    return urlsplit(resource)


def _spellings(resource: str) -> frozenset[str]:
    """Return `resource` and its equals.

    The SDKs for servers pass it through pydantic's `AnyHttpUrl`, which lowers the host, drops a
    default port, and gives a root a slash. A path keeps or lacks its last slash: with it, it is
    another path.
    """
    known = {resource, str(AnyHttpUrl(resource))}
    if _split(resource).path in {"", "/"}:
        bare = {url.removesuffix("/") for url in known}
        known |= bare | {f"{url}/" for url in bare}
    return frozenset(known)
