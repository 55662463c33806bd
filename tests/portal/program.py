"""The other side of a consent: a program that wants to open MCP servers as somebody's agent."""

import base64
import hashlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from playwright.sync_api import BrowserContext, Page

from tests.portal.people import Person
from tests.portal.watch import Watch

LISTENS_AT = "http://127.0.0.1:4180/callback"
"""Nothing does: browsers that go there are answered by `await_browsers`."""
TOOLS = "https://tools.example/mcp"
PUBLIC_JWK = {
    # RFC 8037, appendix A.2.
    "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}  # fmt: skip

_VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
_CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(_VERIFIER.encode()).digest()).rstrip(b"=")


@dataclass(frozen=True)
class Program:
    """An OAuth client that registered itself, as those of a command line do."""

    person: Person
    """On whose machine it runs."""
    client_id: str
    issuer: str

    def asks(self, **changes: str) -> str:
        """The address that it opens in a browser."""
        return f"{self.issuer}/authorize?{urlencode(self.request(**changes))}"

    def is_asked_about_at(self, **changes: str) -> str:
        """The page that the address above leads to."""
        return f"/consent/?{urlencode(self.request(**changes))}"

    def exchange(self, code: str) -> dict[str, Any]:
        """What the token endpoint gives for a code."""
        return self.demand(
            grant_type="authorization_code",
            code=code,
            redirect_uri=LISTENS_AT,
            code_verifier=_VERIFIER,
        )

    def demand(self, **form: str) -> dict[str, Any]:
        """What the token endpoint answers."""
        answer = self.person.context.request.post(
            f"{self.issuer}/token", form={"client_id": self.client_id, **form}
        )
        found: dict[str, Any] = answer.json()
        return found

    def request(self, **changes: str) -> dict[str, str]:
        """What it asks for (OAuth 2.1, section 4.1.1)."""
        parameters = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": LISTENS_AT,
            "state": "a state & more",
            "scope": "mcp",
            "resource": TOOLS,
            "code_challenge": _CHALLENGE.decode(),
            "code_challenge_method": "S256",
        }
        return parameters | changes


def install(person: Person, api_base: str, name: str) -> Program:
    """A program of this name, which registers itself (RFC 7591)."""
    issuer = f"{api_base}/modules/oauth"
    answer = person.context.request.post(
        f"{issuer}/register",
        data={
            "client_name": name,
            "redirect_uris": [LISTENS_AT],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
        },
    )
    assert answer.ok, answer.text()
    return Program(person, answer.json()["client_id"], issuer)


def await_browsers(context: BrowserContext, watch: Watch) -> None:
    """Let browsers come to the program with an answer."""
    icon = LISTENS_AT.replace("/callback", "/favicon.ico")
    page = "<!doctype html><title>Program</title><h1>Back at the program</h1>"
    for url in (LISTENS_AT, icon):
        watch.allow(url)
    context.route(icon, lambda route: route.fulfill(status=204))
    context.route(
        f"{LISTENS_AT}?*", lambda route: route.fulfill(body=page, content_type="text/html")
    )


def brought_back(page: Page) -> dict[str, str]:
    """What a browser carries when it is back at the program."""
    page.get_by_role("heading", name="Back at the program").wait_for()
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}
