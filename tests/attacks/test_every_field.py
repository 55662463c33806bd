"""Whatever can be written, in every field of every operation that the OpenAPI document names.

A script stays a text, and what was not offered cannot be set.
"""

import base64
import json
import secrets
import socket
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.attacks.conftest import Letterbox
from tests.attacks.household import BACK, NOBODYS, XSS, Household
from tests.attacks.intruder import PASSWORD, Person
from tests.support.authenticator import Authenticator
from tests.support.deployment import Deployment, eventually
from tests.support.server import ServeServer
from tests.support.wire import data

PDF = base64.b64encode(b"%PDF-1.7 who I am").decode()

GOOD: dict[str, object] = {
    "agent_id": NOBODYS,
    "avatar_url": "https://shop.example/a.png",
    "binding_code": "no such code",
    "capabilities": ["oauth:mcp"],
    "code": "000000",
    "content_base64": PDF,
    "content_type": "application/pdf",
    "current_password": "not the right password",
    "display_name": "A name",
    "domain": "shop.example",
    "email": "nobody@people.example",
    "ids": [NOBODYS],
    "level": 1,
    "method": "dns",
    "name": "A name",
    "new_password": PASSWORD,
    "outcome": "approve",
    "password": "not the right password",
    "reason": "Because.",
    "redirect_uri": BACK,
    "redirect_uris": [BACK],
    "redirect_url": BACK,
    "state": "s" * 32,
    "target_level": 3,
}
"""Good values by the names of fields, where their type alone does not give one."""

TEXTS = {
    ("post", "/core/agents/register", "display_name"),
    ("post", "/core/agents/register", "description"),
    ("patch", "/core/agents/{agent_id}", "display_name"),
    ("patch", "/core/agents/{agent_id}", "description"),
    ("post", "/foundation/sites/register", "display_name"),
    ("patch", "/foundation/sites/{site_id}", "display_name"),
    ("post", "/foundation/users/register", "password"),
    ("post", "/foundation/kyc/cases", "documents.0.name"),
    # Compared or looked up, and not kept.
    ("post", "/modules/agent-login/events/ack", "ids.0"),
    ("post", "/foundation/users/register", "turnstile_token"),
    ("post", "/foundation/users/password/reset", "turnstile_token"),
    ("post", "/foundation/users/register", "pow.challenge"),
    ("post", "/foundation/users/register", "pow.nonce"),
    ("post", "/foundation/users/password/reset", "pow.challenge"),
    ("post", "/foundation/users/password/reset", "pow.nonce"),
}
"""Where a script is taken for a text without further ado. A new one belongs here, and among what is read back below."""

ONE_OF: dict[str, object] = {
    "/foundation/users/login/second-factor": {"code": "000000"},
    "/foundation/users/step-up": {"password": "not the right password"},
}
"""Bodies that hold one of a few things, and no two."""

OPEN = {
    # What a browser's WebAuthn gives, which grows with its specification; we read what we know.
    ("/foundation/users/login/passkey", "credential"),
    ("/foundation/users/passkeys", "credential"),
    ("/foundation/users/login/passkey", "credential.response"),
    ("/foundation/users/passkeys", "credential.response"),
    # An authorization request as its client wrote it: what is not known there is ignored (OAuth 2.1, section 3.1).
    ("/modules/oauth/consent", "request"),
    ("/modules/oauth/consent/refuse", "request"),
    # A JSON Web Key, of which we keep what we know (RFC 7517, section 4).
    ("/core/agents/{agent_id}/keys", "keys.0"),
}
"""Objects that may hold more than the document names."""

Schema = dict[str, Any]
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Write:
    """An operation with a body."""

    method: str
    path: str
    schema: Schema
    security: frozenset[str]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Document:
    """The OpenAPI document, as far as bodies go."""

    def __init__(self, document: Schema, operations: list[tuple[str, str, Schema]]) -> None:
        self._schemas = document["components"]["schemas"]
        self.writes = [
            Write(
                method,
                path,
                operation["requestBody"]["content"]["application/json"]["schema"],
                frozenset(name for one in operation.get("security", []) for name in one),
            )
            for method, path, operation in operations
            if "requestBody" in operation
        ]

    def resolved(self, schema: Schema) -> Schema:
        """Without references, and of alternatives the first that is not null."""
        while True:
            if "$ref" in schema:
                schema = self._schemas[schema["$ref"].rpartition("/")[2]]
            elif chosen := [
                one
                for one in schema.get("anyOf", []) + schema.get("oneOf", [])
                if one.get("type") != "null"
            ]:
                schema = _both(schema, chosen[0])
            else:
                return schema

    def body(self, schema: Schema, name: str = "", *, whole: bool = True) -> Any:
        """A good body with every field, or with what is required alone."""
        found = self.resolved(schema)
        if name == "email":
            # Somebody else each time: addresses are counted.
            return f"{secrets.token_hex(8)}@people.example"
        if name in GOOD:
            return deepcopy(GOOD[name])
        if "const" in found or "enum" in found:
            return found.get("const", found.get("enum", [None])[0])
        if "properties" in found or found.get("type") == "object":
            required = found.get("required", [])
            fields = found.get("properties", {}).items()
            return {key: self.body(one, key) for key, one in fields if whole or key in required}
        if found.get("type") == "array":
            return [self.body(found["items"])]
        return {"integer": found.get("minimum", 0), "boolean": True}.get(found.get("type", ""), "x")

    def body_of(self, write: Write) -> Any:
        """A good body for this operation."""
        return deepcopy(ONE_OF.get(write.path)) or self.body(write.schema)

    def strings(self, schema: Schema, path: Path = ()) -> Iterator[Path]:
        """The place of every string."""
        found = self.resolved(schema)
        for key, one in found.get("properties", {}).items():
            yield from self.strings(one, (*path, key))
        if "items" in found:
            yield from self.strings(found["items"], (*path, 0))
        if found.get("type") == "string":
            yield path

    def objects(self, schema: Schema, path: Path = ()) -> Iterator[tuple[Path, bool]]:
        """The place of every object, and whether the document says that nothing else is in it."""
        found = self.resolved(schema)
        if "properties" in found or found.get("type") == "object":
            yield path, found.get("additionalProperties") is False
        for key, one in found.get("properties", {}).items():
            yield from self.objects(one, (*path, key))
        if "items" in found:
            yield from self.objects(found["items"], (*path, 0))


def _both(schema: Schema, alternative: Schema) -> Schema:
    """What holds for all alternatives, and for this one."""
    rest = {key: one for key, one in schema.items() if key not in {"anyOf", "oneOf"}}
    return (
        {
            **rest,
            **alternative,
            "properties": {**rest.get("properties", {}), **alternative.get("properties", {})},
            "required": [*rest.get("required", []), *alternative.get("required", [])],
        }
        if "properties" in rest
        else {**rest, **alternative}
    )


def at(body: Any, path: Path) -> Any:
    """What stands there."""
    for key in path:
        body = body[key]
    return body


@pytest.fixture(scope="module")
def document(server: ServeServer, operations: list[tuple[str, str, Schema]]) -> Document:
    found = httpx.get(f"{server.public_url}/openapi.json", trust_env=False).json()
    return Document(found, operations)


class Everybody:
    """Sends a body to any operation, as somebody who may."""

    def __init__(
        self, household: Household, office: Household, agent_token: str, server: ServeServer
    ) -> None:
        self._household, self._office = household, office
        self._agent = {"X-Agent-Token": agent_token}
        self._server = server

    def send(self, write: Write, body: object) -> httpx.Response:
        path = write.path.format_map(_Known(self._household.ids))
        if write.path.startswith("/foundation/operator/"):
            return self._office.http.request(write.method, path, json=body)
        if "OwnerSession" in write.security:
            return self._household.http.request(write.method, path, json=body)
        headers = {}
        if "SiteToken" in write.security:
            headers = {"X-Site-Token": self._household.site["site_token"]}
        if "AgentToken" in write.security:
            headers = self._agent
        url = f"{self._server.api_base}{path}"
        return httpx.request(
            write.method, url, json=body, headers=headers, trust_env=False, timeout=20
        )


class _Known(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "manual" if key == "provider" else NOBODYS


@pytest.fixture(scope="module")
def office(deployment: Deployment, server: ServeServer) -> Iterator[Household]:
    """Somebody who is an operator."""
    made = Household(deployment, server)
    email = data(made.http.get("/foundation/users/me"))["email"]
    deployment.command("owner", "appoint", "--email", email)
    yield made
    made.close()


@pytest.fixture
def newcomer(deployment: Deployment, server: ServeServer) -> Iterator[Household]:
    """Somebody whom nothing has happened to yet."""
    made = Household(deployment, server)
    yield made
    made.close()


@pytest.fixture(scope="module")
def everybody(
    household: Household, office: Household, deployment: Deployment, server: ServeServer
) -> Everybody:
    return Everybody(household, office, deployment.agent().token, server)


def is_harmless(answer: httpx.Response) -> bool:
    """Whether no browser would take this for a page."""
    return (
        answer.headers["content-type"] in {"application/json", "application/x-ndjson"}
        and answer.headers["x-content-type-options"] == "nosniff"
    )


# Scripts


def test_a_script_in_any_string_is_a_text_or_refused(
    document: Document, everybody: Everybody
) -> None:
    taken, tried = set(), 0
    for write in document.writes:
        for path in document.strings(write.schema):
            body = document.body_of(write)
            at(body, path[:-1])[path[-1]] = XSS
            answer = everybody.send(write, body)
            tried += 1
            assert answer.status_code < 500, (str(write), path, answer.text)
            assert is_harmless(answer), (str(write), path)
            if answer.is_success:
                taken.add((write.method, write.path, ".".join(map(str, path))))
            else:
                # An error does not repeat what it complains about.
                assert "<script" not in answer.text, (str(write), path)
    assert tried > 50
    assert taken == TEXTS


def test_what_was_written_is_read_back_as_data_alone(
    newcomer: Household, office: Household, operations: list[tuple[str, str, Schema]]
) -> None:
    household = newcomer
    # 1. A script wherever an owner, an operator or a browser can put one.
    agent, site = household.ids["agent_id"], household.ids["site_id"]
    about = {"display_name": XSS, "description": XSS}
    data(household.http.patch(f"/core/agents/{agent}", json=about))
    data(household.http.patch(f"/foundation/sites/{site}", json={"display_name": XSS}))
    options = data(household.post("/foundation/users/passkeys/options", {}))["options"]
    device = Authenticator(
        b"a passkey of an attack", origin=household.api_base.removesuffix("/api/v1")
    )
    passkey = {"name": XSS, "credential": device.create(options)}
    data(household.post("/foundation/users/passkeys", passkey), 201)
    one = {"name": XSS, "content_type": "application/pdf", "content_base64": PDF}
    wish = {"target_level": 3, "documents": [one]}
    case = data(household.post("/foundation/kyc/cases", wish), 201)["case_id"]
    for kind, ident in (("agents", agent), ("sites", site)):
        for verb in ("suspend", "restore"):
            data(office.post(f"/foundation/operator/{kind}/{ident}/{verb}", {"reason": XSS}))
    # 2. The document itself is saved, not shown.
    path = f"/foundation/operator/kyc/cases/{case}/documents/1"
    document = office.http.get(path)
    assert document.headers["content-disposition"].startswith(
        "attachment; filename*=UTF-8''%3Cscript"
    )
    assert document.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert document.headers["x-content-type-options"] == "nosniff"
    verdict = {"outcome": "reject", "reason": XSS}
    data(office.post(f"/foundation/operator/kyc/cases/{case}/decide", verdict))
    # 3. It comes back from everywhere, and nowhere as anything else.
    ids = {**household.ids, "case_id": case, "number": "1"}
    found = set()
    for method, template, operation in operations:
        names = [name for one in operation.get("security", []) for name in one]
        if method != "get" or "OwnerSession" not in names or "stream" in template:
            continue
        caller = office if template.startswith("/foundation/operator/") else household
        query = {"owner_id": household.owner.owner_id, "state": "REJECTED"}
        answer = caller.http.get(template.format_map(_Ids(ids)), params=query)
        if template.endswith("/documents/{number}"):
            continue
        assert is_harmless(answer), template
        if answer.is_success and "<script" in answer.text:
            found.add(template)
    assert found >= {
        "/core/agents",
        "/core/agents/{agent_id}",
        "/foundation/sites",
        "/foundation/sites/{site_id}",
        "/foundation/users/me",
        "/foundation/kyc",
        "/foundation/audit",
        "/foundation/audit/export",
        "/foundation/operator/owners/{owner_id}",
        "/foundation/operator/kyc/cases",
        "/foundation/operator/kyc/cases/{case_id}",
        "/foundation/operator/audit",
        "/modules/bindings",
    }


class _Ids(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return NOBODYS


def test_a_browsers_name_is_a_text_too(resident: Person) -> None:
    resident.http.headers["User-Agent"] = XSS
    body = {"email": resident.email, "password": PASSWORD}
    data(resident.send("POST", "/foundation/users/login", body))
    for path in ("/foundation/sessions", "/foundation/audit"):
        answer = resident.get(path)
        assert is_harmless(answer), path
    sessions = data(resident.get("/foundation/sessions"))["items"]
    assert XSS in {one["user_agent"] for one in sessions}


def test_mails_are_plain_text(resident: Person, letterbox: Letterbox) -> None:
    data(resident.post("/foundation/users/password/reset", email=resident.email), 202)
    eventually(lambda: len(letterbox.to(resident.email)) == 2)
    assert letterbox.kinds == {"text/plain"}


_PAGES = ["/", "/docs", "/connect", "/login", "/agents", "/sites", "/first", "/forgot", "/nowhere"]


@pytest.mark.parametrize("page", _PAGES)
def test_no_page_repeats_what_a_link_says(server: ServeServer, page: str) -> None:
    for name in ("id", "next", "redirect_uri", "error", "return_to"):
        answer = httpx.get(
            f"{server.public_url}{page}",
            params={name: XSS},
            headers={"Accept": "text/html", "Referer": XSS, "Host": "evil.example"},
            trust_env=False,
            follow_redirects=False,
        )
        assert "<script>alert(1)" not in answer.text
        assert "evil.example" not in answer.text
        assert answer.headers["x-content-type-options"] == "nosniff"
        policy = answer.headers.get("content-security-policy", "")
        assert "'unsafe-inline'" not in policy
        assert "default-src 'none'" in policy or answer.is_redirect


# Open redirects


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "//evil.example/",
        "///evil.example",
        "/\\evil.example",
        "/%5Cevil.example",
        "/%2F%2Fevil.example",
        "/.//evil.example",
        "//evil.example/%2e%2e",
        "/agents//evil.example",
        "/agents/..//evil.example",
        "/https://evil.example",
        "/agents?next=//evil.example",
        "/login?next=https://evil.example",
        "/connect?redirect_uri=https://evil.example",
        "/connect?id=//evil.example",
        "/logout?return_to=https://evil.example",
    ],
)
def test_no_link_to_us_ends_elsewhere(server: ServeServer, path: str) -> None:
    for host in (server.public_url.partition("//")[2], "evil.example"):
        # By hand: a client would tidy the path up.
        address, _, port = server.public_url.partition("//")[2].partition(":")
        with socket.create_connection((address, int(port)), 20) as connection:
            request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\nConnection: close\r\n\r\n"
            connection.sendall(request.encode())
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        head = answer.partition(b"\r\n\r\n")[0].decode("latin-1").lower()
        for line in head.split("\r\n")[1:]:
            name, _, value = line.partition(": ")
            if name in {"location", "refresh", "link", "content-location"}:
                assert value.startswith("/"), (path, value)
                assert not value.startswith(("//", "/\\")), (path, value)
                assert urlsplit(value).netloc == "", (path, value)


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "//evil.example/",
        "https:/evil.example",
        "https://shop.example\\@evil.example/",
        "https://user@evil.example/",
        "http://evil.example/",
        "https://evil.example/\r\nLocation: https://evil.example",
        "\thttps://evil.example/",
        "",
    ],
)
def test_a_login_leads_back_to_a_web_page_or_nowhere(household: Household, url: str) -> None:
    answer = httpx.post(
        f"{household.api_base}/modules/agent-login/requests",
        json={"redirect_url": url},
        headers={"X-Site-Token": household.site["site_token"]},
        trust_env=False,
    )
    assert answer.status_code == 400, answer.text


# Mass assignment

EXTRAS: dict[str, object] = {
    "owner_id": NOBODYS,
    "user_id": NOBODYS,
    "operator": True,
    "suspended": False,
    "active": True,
    "kyc_level": 3,
    "email_verified": True,
    "domain_verified": True,
    "created_at": "2020-01-01T00:00:00Z",
    "decided_by": NOBODYS,
    "token_hash": "00",
    "__proto__": {"operator": True},
}

NOT_OURS = {
    # Its body is its provider's, and proven to be from them before it is read.
    "/foundation/kyc/webhooks/{provider}",
}


def test_no_operation_takes_a_field_that_it_does_not_offer(
    document: Document, everybody: Everybody, household: Household, office: Household
) -> None:
    before = household.everything(), office.everything()
    tried, opened = 0, set()
    for write in document.writes:
        if write.path in NOT_OURS:
            continue
        for path, closed in document.objects(write.schema):
            if not closed:
                opened.add((write.path, ".".join(map(str, path))))
                continue
            for name, value in EXTRAS.items():
                body = document.body_of(write)
                if path and path[0] not in body:
                    continue
                place = at(body, path)
                if name in place:
                    continue
                place[name] = value
                answer = everybody.send(write, body)
                told = answer.status_code, answer.json()["error"]["code"]
                assert told == (400, "INVALID_REQUEST"), (str(write), path, name, answer.text)
                tried += 1
    assert tried > 300
    assert opened == OPEN
    assert (household.everything(), office.everything()) == before


def test_the_bodies_of_these_tests_are_good_but_for_what_they_add(
    document: Document, everybody: Everybody
) -> None:
    # Else everything above would be refused for another reason.
    problems = {}
    for write in document.writes:
        if write.path in NOT_OURS or "tokens" in write.path:
            continue
        answer = everybody.send(write, document.body_of(write))
        if answer.status_code == 400 and "problems" in json.dumps(answer.json()):
            problems[str(write)] = answer.text
    assert problems == {}
