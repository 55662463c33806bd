"""What a refusal says: a code and a sentence, and nothing of how the server is made or where it runs."""

import itertools
import re
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import httpx
import pytest

from tests.attacks import raw
from tests.attacks.household import Household
from tests.support.deployment import Deployment
from tests.support.relay import Relay
from tests.support.server import ServeServer

NOTHING_OF_THESE = re.compile(
    rb"""
    Traceback | File\ " | \bline\ \d+ | \.py\b | \bat\ 0x[0-9a-f]+     # how it failed
    | \bSELECT\ | \bINSERT\ INTO | \bUPDATE\b.+\bSET\b | \bDELETE\ FROM | SQLSTATE  # what it asked
    | \b(?:core|foundation|modules)\.[a-z_]+\b                          # what its tables are called
    | asyncpg | postgres | redis | valkey                               # who its engines are
    | python | pydantic | fastapi | starlette | uvicorn | httptools     # what it is made of
    | lime[-_]server | errno | /(?:home|root|tmp|usr|var|run|etc|work)/ # where it runs
    """,
    re.VERBOSE | re.IGNORECASE,
)
OUR_VERSION = version("lime-server").encode()

NAMES = [
    "..%2F..%2F..%2Fetc%2Fpasswd",
    "%2e%2e%2f%2e%2e%2f",
    "..%5C..%5Cwindows",
    "%00",
    "%ff%fe",
    "'%20OR%201=1--",
    "%7B%7B7*7%7D%7D",
    "$%7Bjndi:ldap:x%7D",
    "0" * 4000,
    "0190a2b4-0000-7000-8000-00000000000g",
]
BODIES: list[bytes] = [
    b"",
    b"{",
    b"null",
    b"[]",
    b'"text"',
    b"1e999",
    b'{"\xff":1}',
    b'{"display_name":{"$gt":""},"pow_nonce":[],"ids":"x","domain":1e400}',
    b'{"display_name":"\\u0000","pow_nonce":"\\u0000","redirect_url":"\\u0000","email":"\\u0000"}',
    b'{"display_name":"\\ud800","pow_nonce":"\\ud800","redirect_url":"\\ud800","email":"\\ud800"}',
]


def leaks(answer: bytes) -> list[bytes]:
    """What an answer, with its head, says that nobody outside must know."""
    found = [match[0] for match in NOTHING_OF_THESE.finditer(answer)]
    return found + ([OUR_VERSION] if OUR_VERSION in answer else [])


def whole(answer: httpx.Response) -> bytes:
    """Head and body."""
    lines = [name + b": " + value for name, value in answer.headers.raw]
    return b"\r\n".join([*lines, b"", answer.content])


def test_the_search_finds_what_it_looks_for() -> None:
    for text in (
        b'Traceback (most recent call last):\n  File "x.py", line 3',
        b"relation core.agents does not exist",
        b"server: uvicorn",
        b"asyncpg.exceptions.DataError",
        OUR_VERSION,
        b"SELECT 1",
    ):
        assert leaks(text), text
    assert not leaks(b'{"ok":false,"error":{"code":"NOT_FOUND","message":"No such thing."}}')


@pytest.fixture(scope="module")
def visitors(household: Household) -> Iterator[list[httpx.Client]]:
    """A stranger, an owner, an agent and a site, who all say strange things."""
    headers = [
        {},
        household.browser.headers,
        {"X-Agent-Token": household.agent["agent_token"]},
        {"X-Site-Token": household.site["site_token"]},
        {"X-Agent-Token": "at_'", "X-Site-Token": "st_'", "Cookie": "lime_session=os_'"},
    ]
    clients = [
        httpx.Client(headers=each, timeout=raw.PATIENCE, trust_env=False) for each in headers
    ]
    yield clients
    for client in clients:
        client.close()


def test_no_refusal_of_any_operation_tells_of_the_inside(
    server: ServeServer,
    operations: list[tuple[str, str, dict[str, Any]]],
    visitors: list[httpx.Client],
) -> None:
    assert len(operations) > 50
    names, bodies = itertools.cycle(NAMES), itertools.cycle(BODIES)
    found = {}
    refused = 0
    for (method, path, _), visitor in itertools.product(operations, visitors):
        # Numbers that have no divisor in common: in time everybody says everything.
        for _ in range(3):
            filled = re.sub(r"\{[a-z_]+\}", lambda _: next(names), path)
            url = server.api_base + filled + "?cursor=%00&limit=-1&wait=NaN&consumer=%ff&state=%0d"
            head = {"Content-Type": "application/json", "X-Request-Id": "{{7*7}}"}
            content = None if method == "get" else next(bodies)
            with visitor.stream(method, url, content=content, headers=head) as answer:
                if answer.status_code < 400:
                    continue
                answer.read()
            refused += 1
            assert answer.status_code < 500, (method, filled, content, answer.text)
            if told := leaks(whole(answer)):
                found[method, path] = told
    assert refused > 500
    assert found == {}


def test_no_refusal_below_the_routes_tells_of_the_inside(server: ServeServer) -> None:
    requests = [
        b"nonsense\r\n\r\n",
        raw.head("GET /nowhere HTTP/1.1", "Connection: close"),
        raw.head("GET /../../etc/passwd HTTP/1.1", "Connection: close"),
        raw.head("GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1", "Connection: close"),
        raw.head("GET /_next/../../../etc/passwd HTTP/1.1", "Connection: close"),
        raw.head("GET //etc/passwd HTTP/1.1", "Connection: close"),
        raw.head("TRACE / HTTP/1.1", "Connection: close"),
        raw.head("OPTIONS * HTTP/1.1", "Connection: close"),
        raw.head("PROPFIND /api/v1 HTTP/1.1", "Connection: close"),
        raw.head("GET /api/v1/core/agents HTTP/1.1", "X: " + "a" * 20_000),
        raw.head("POST /api/v1/core/agents/register HTTP/1.1", "Content-Length: 99999999"),
        b"CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    ]
    for request in requests:
        answer = raw.say(server, request)
        (status,) = raw.statuses(answer)
        assert 400 <= status < 500, (request[:60], answer)
        assert leaks(answer) == [], request[:60]


def test_a_server_without_its_database_does_not_say_what_it_misses(
    deployment: Deployment, operations: list[tuple[str, str, dict[str, Any]]]
) -> None:
    agent, site, browser = deployment.agent(), deployment.site(), deployment.browser()
    with Relay(deployment.database_address) as relay:
        settings = {
            "LIME_DATABASE_URL": deployment.database_through(relay),
            "LIME_DATABASE_TIMEOUT": "1",
        }
        with deployment.server("blind", **settings) as server:
            relay.cut()
            headers = {**agent.headers, **site.headers, **browser.headers}
            seen = set()
            with httpx.Client(headers=headers, timeout=raw.PATIENCE, trust_env=False) as client:
                for method, path, _ in operations:
                    url = server.api_base + re.sub(
                        r"\{[a-z_]+\}", "0190a2b4-0000-7000-8000-000000000000", path
                    )
                    body = None if method == "get" else b"{}"
                    json = {"Content-Type": "application/json"}
                    answer = client.request(method, url, content=body, headers=json)
                    seen.add(answer.status_code)
                    if answer.status_code >= 400:
                        assert answer.status_code != 500, (method, path)
                        assert leaks(whole(answer)) == [], (method, path)
            assert 503 in seen
            relay.mend()
