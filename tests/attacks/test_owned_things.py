"""What is somebody's can be neither read nor changed by somebody else, and nobody can give themselves what is not theirs to give."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.attacks.household import BACK, NOBODYS, XSS, Household
from tests.attacks.intruder import Person
from tests.support.server import ServeServer
from tests.support.wire import Site, Wire, data, refusal

BODIES: dict[tuple[str, str], object] = {
    ("patch", "/core/agents/{agent_id}"): {"display_name": "Mine now"},
    ("put", "/core/agents/{agent_id}/capabilities"): {"capabilities": ["oauth:mcp"]},
    ("put", "/core/agents/{agent_id}/keys"): {"keys": []},
    ("post", "/core/agents/{agent_id}/tokens"): {"overlap_seconds": 0},
    ("patch", "/foundation/sites/{site_id}"): {"display_name": "Mine now"},
    ("put", "/foundation/sites/{site_id}/redirect-uris"): {
        "redirect_uris": ["https://evil.example/"]
    },
    ("post", "/foundation/sites/{site_id}/tokens"): {"overlap_seconds": 0},
    ("post", "/foundation/sites/{site_id}/domain"): {"domain": "evil.example"},
    ("post", "/foundation/sites/{site_id}/domain/check"): {"method": "dns"},
    ("post", "/foundation/operator/owners/{owner_id}/suspend"): {"reason": "Because."},
    ("post", "/foundation/operator/kyc/cases/{case_id}/decide"): {
        "outcome": "approve",
        "level": 3,
        "reason": "Because.",
    },
}
"""A good body for each operation on one thing that needs one; whatever has none takes none."""

_NOT_THERE = {(404, "NOT_FOUND"), (404, "BINDING_NOT_FOUND")}

_SUSPENSIONS = {"suspend", "restore"}

OPEN_TO_ALL = {
    # Whoever holds the link of a binding request may answer it, with an agent of their own.
    "/modules/bindings/requests/{binding_id}",
    "/modules/bindings/requests/{binding_id}/approve",
    "/modules/bindings/requests/{binding_id}/refuse",
    # Signed by the provider.
    "/foundation/kyc/webhooks/{provider}",
}


def _of_owners(operation: dict[str, Any]) -> bool:
    return any("OwnerSession" in one for one in operation.get("security", []))


def _body(method: str, path: str, operation: dict[str, Any]) -> object:
    if path.rpartition("/")[2] in _SUSPENSIONS:
        return {"reason": "Because."}
    body = BODIES.get((method, path))
    required = operation.get("requestBody", {}).get("required", False)
    assert body is not None or not required, f"{method} {path} needs a body in this test"
    return body


def test_another_owners_ids_do_not_exist_on_any_route(
    household: Household, neighbour: Household, operations: list[tuple[str, str, dict[str, Any]]]
) -> None:
    known = {
        **household.ids,
        "passkey_id": household.make_passkey(),
        "case_id": household.ask_for_a_level(),
        "event_id": household.let_the_agent_in(),
        "number": "1",
    }
    before = household.everything()
    tried = 0
    for method, path, operation in operations:
        if "{" not in path or not _of_owners(operation) or path in OPEN_TO_ALL:
            continue
        for theirs in _with_their_ids(path, operation, known, neighbour.ids):
            answer = neighbour.http.request(method, theirs, json=_body(method, path, operation))
            status, code = refusal(answer)
            assert (status, code) in _NOT_THERE, (method, theirs, answer.text)
            tried += 1
    assert tried > 30
    assert household.everything() == before


def _with_their_ids(
    path: str, operation: dict[str, Any], theirs: dict[str, str], ours: dict[str, str]
) -> Iterator[str]:
    """The path of somebody else's thing; and of what is theirs, below something that is ours."""
    # Operators name whatever they suspend in one way.
    kind = path.removeprefix("/foundation/operator/").partition("s/")[0]
    theirs = {**theirs, "ident": theirs.get(f"{kind}_id", "")}
    names = [one["name"] for one in operation["parameters"] if one["in"] == "path"]
    yield path.format(**{name: theirs[name] for name in names})
    if names[0] in ours and len(names) > 1:
        yield path.format(**{**{name: theirs[name] for name in names}, names[0]: ours[names[0]]})


def test_another_sites_ids_do_not_exist_for_a_site(
    household: Household, neighbour: Household, operations: list[tuple[str, str, dict[str, Any]]]
) -> None:
    mine = Site(household.site["site_id"], household.site["site_token"])
    with Wire(household.api_base) as wire:
        pending = wire.new_request(mine)
        before = household.everything()
        known = {"binding_id": household.ids["binding_id"], "request_id": pending}
        token = {"X-Site-Token": neighbour.site["site_token"]}
        tried = 0
        for method, path, operation in operations:
            if "{" in path and {"SiteToken": []} in operation.get("security", []):
                answer = wire.http.request(method, path.format(**known), headers=token)
                assert refusal(answer)[0] == 404, (method, path)
                tried += 1
        assert tried >= 3
        assert household.everything() == before
        # They are there for whose they are.
        assert data(wire.view(mine, pending))["status"] == "PENDING"


def test_what_needs_an_owner_is_closed_to_strangers(
    server: ServeServer, operations: list[tuple[str, str, dict[str, Any]]]
) -> None:
    with httpx.Client(base_url=server.api_base, trust_env=False, timeout=20) as stranger:
        for method, path, operation in operations:
            if not _of_owners(operation):
                continue
            full = path.format_map(_Anything())
            answer = stranger.request(method, full)
            assert refusal(answer) == (401, "NOT_SIGNED_IN"), (method, path)


class _Anything(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return NOBODYS


def test_operators_routes_do_not_exist_for_others(
    neighbour: Household, operations: list[tuple[str, str, dict[str, Any]]]
) -> None:
    found = [one for one in operations if one[1].startswith("/foundation/operator/")]
    assert found
    for method, path, operation in found:
        body = _body(method, path, operation)
        answer = neighbour.http.request(method, path.format_map(_Anything()), json=body)
        assert refusal(answer) == (404, "NOT_FOUND"), (method, path)


# Mass assignment

_NOT_THEIRS = [
    {"owner_id": NOBODYS},
    {"agent_id": NOBODYS},
    {"site_id": NOBODYS},
    {"suspended": False},
    {"capabilities": ["oauth:mcp"]},
    {"domain_verified": True},
    {"kyc_level": 3},
    {"created_at": "2020-01-01T00:00:00Z"},
    {"token_hash": "00"},
    {"__proto__": {"operator": True}},
]


@pytest.mark.parametrize("extra", _NOT_THEIRS, ids=lambda extra: next(iter(extra)))
def test_nothing_is_set_that_was_not_offered(
    household: Household, extra: dict[str, object]
) -> None:
    before = household.everything()
    body = {"display_name": "Greedy", **extra}
    agent, site = household.ids["agent_id"], household.ids["site_id"]
    answers = [
        household.post("/core/agents/register", body),
        household.post("/foundation/sites/register", body),
        household.http.patch(f"/core/agents/{agent}", json=body),
        household.http.patch(f"/foundation/sites/{site}", json=body),
    ]
    assert {refusal(answer) for answer in answers} == {(400, "INVALID_REQUEST")}
    assert household.everything() == before


@pytest.mark.parametrize("extra", ["operator", "kyc_level", "email_verified", "user_id"])
def test_nobody_registers_as_more_than_an_owner(person: Person, extra: str) -> None:
    body = {"email": person.email, "password": "correct horse battery", extra: True}
    answer = person.send("POST", "/foundation/users/register", body)
    assert refusal(answer) == (400, "INVALID_REQUEST")


# Open redirects

_ELSEWHERE = [
    "https://evil.example/",
    BACK + "/",
    BACK + "?next=https://evil.example",
    BACK + "#fragment",
    BACK + ".evil.example",
    "https://shop.example@evil.example/back",
    "https://shop.example:443/back",
    "https://SHOP.example/back",
    "https://shop.example/back/../evil",
    "https://shop.example/%62ack",
    "http://shop.example/back",
    "//evil.example/back",
    "javascript:alert(1)",
    BACK + "\r\nLocation: https://evil.example",
    "",
]


@pytest.mark.parametrize("uri", _ELSEWHERE)
def test_a_browser_is_sent_only_to_the_letter_of_the_list(household: Household, uri: str) -> None:
    answer = household.asked(redirect_uri=uri, state="s" * 32)
    status, code = refusal(answer)
    assert status == 400, code


_UNFIT = [
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "//evil.example",
    "https://user@shop.example/",
    "https://shop.example/*",
    "https://*.example/",
    "https://shop.example/#x",
    "https://shop.example\\@evil.example/",
    "http://shop.example/",
    "ftp://shop.example/",
    "https://",
    "https://shop.example/\n",
]


@pytest.mark.parametrize("uri", _UNFIT)
def test_what_is_no_web_page_gets_on_no_list(household: Household, uri: str) -> None:
    path = f"/foundation/sites/{household.ids['site_id']}/redirect-uris"
    answer = household.http.put(path, json={"redirect_uris": [BACK, uri]})
    assert refusal(answer) == (400, "INVALID_REQUEST")
    site = data(household.http.get(f"/foundation/sites/{household.ids['site_id']}"))
    assert site["redirect_uris"] == [BACK]


# What the server would fetch for somebody

_INSIDE = [
    "localhost",
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0177.0.0.1",
    "0x7f.1",
    "0x7f000001",
    "shop.0x7f",
    "169.254.169.254",
    "10.0.0.1",
    "[::1]",
    "::1",
    "[::ffff:127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "shop.example:22",
    "user@shop.example",
    "shop.example/path",
    "shop.example#",
    "https://shop.example",
    "shop.example\r\nHost: inside",
    "\uff11\uff12\uff17.0.0.1",
]


@pytest.mark.parametrize("domain", _INSIDE)
def test_a_domain_is_a_name_and_no_way_inside(household: Household, domain: str) -> None:
    before = household.everything()
    site = household.ids["site_id"]
    claimed = household.post(f"/foundation/sites/{site}/domain", {"domain": domain})
    registered = household.post(
        "/foundation/sites/register", {"display_name": "Inside", "domain": domain}
    )
    assert refusal(claimed) == refusal(registered) == (400, "INVALID_REQUEST")
    assert household.everything() == before


# Scripts in names


def test_scripts_in_names_come_back_as_data_of_json_alone(
    household: Household, server: ServeServer
) -> None:
    agent, site = household.ids["agent_id"], household.ids["site_id"]
    about = {"display_name": XSS, "description": XSS}
    data(household.http.patch(f"/core/agents/{agent}", json=about))
    data(household.http.patch(f"/foundation/sites/{site}", json={"display_name": XSS}))
    for path in (
        "/core/agents",
        f"/core/agents/{agent}",
        "/foundation/sites",
        f"/foundation/sites/{site}",
        "/modules/bindings",
        "/modules/oauth/grants",
        "/foundation/audit",
    ):
        answer = household.http.get(path)
        assert answer.headers["content-type"] == "application/json", path
        assert answer.headers["x-content-type-options"] == "nosniff", path
        assert XSS in _texts(answer.json()), path
    # An error does not repeat what it complains about.
    bad = household.http.get(f"/core/agents/{XSS.replace('/', '')}")
    assert bad.headers["content-type"] == "application/json"
    assert "<script" not in bad.text


def _texts(value: object) -> set[str]:
    if isinstance(value, dict):
        return set().union(*(_texts(one) for one in value.values()))
    if isinstance(value, list):
        return set().union(*(_texts(one) for one in value))
    return {value} if isinstance(value, str) else set()


@pytest.mark.parametrize(
    "avatar",
    ["javascript:alert(1)", "data:text/html,x", "http://x.example/a.png", "https://a@b.c/"],
)
def test_an_avatar_is_a_picture_on_the_web(household: Household, avatar: str) -> None:
    path = f"/core/agents/{household.ids['agent_id']}"
    answer = household.http.patch(path, json={"avatar_url": avatar})
    assert refusal(answer) == (400, "INVALID_REQUEST")
