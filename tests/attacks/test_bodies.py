"""Bodies that are too large, too many-membered, ambiguous or too slow cost little and end their connection."""

import base64
import itertools
import select
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests.attacks import raw
from tests.support.deployment import Deployment, eventually
from tests.support.server import ServeServer
from tests.support.wire import Browser, Wire, data, refusal

REQUESTS = "/api/v1/modules/agent-login/requests"
KYC = "/api/v1/foundation/kyc/cases"
"""The one path that takes large bodies."""
HUNDRED_MEGABYTES = 100_000_000
CHUNK = 65536
JSON = "Content-Type: application/json"
MOST_GROWTH = 32 << 20
"""Bytes that a server may grow by: a third of one such body, and far more than a server that keeps none
of it needs."""

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")


@pytest.fixture(scope="module")
def own(deployment: Deployment) -> Iterator[ServeServer]:
    """A server whose memory nobody else makes grow."""
    with deployment.server("fed") as server:
        # What the first requests of a process need is no part of what is measured.
        for path in (REQUESTS, KYC):
            httpx.post(server.public_url + path, json={}, trust_env=False)
        yield server


def is_well(deployment: Deployment, server: ServeServer) -> bool:
    """Whether somebody else can log in."""
    with Wire(server.api_base) as wire:
        return bool(wire.login(deployment.agent(), deployment.site()))


@on_linux
@pytest.mark.parametrize("path", [REQUESTS, KYC])
def test_a_hundred_megabytes_that_are_declared_are_refused_unread(
    deployment: Deployment, own: ServeServer, path: str
) -> None:
    before = raw.most_memory(own)
    declared = f"Content-Length: {HUNDRED_MEGABYTES}"
    with raw.connect(own) as connection:
        connection.sendall(raw.head(f"POST {path} HTTP/1.1", JSON, declared))
        answer = raw.until_closed(connection)
        assert raw.statuses(answer) == [413]
        assert b"BODY_TOO_LARGE" in answer
    # Also from who does not wait for an answer.
    with raw.connect(own) as connection:
        connection.sendall(raw.head(f"POST {path} HTTP/1.1", JSON, declared))
        sent, _ = raw.pour(connection, [b" " * CHUNK] * (HUNDRED_MEGABYTES // CHUNK))
        assert sent < HUNDRED_MEGABYTES // 2
    assert raw.most_memory(own) - before < MOST_GROWTH
    assert is_well(deployment, own)


@on_linux
def test_a_hundred_megabytes_in_chunks_are_cut_where_the_limit_is(
    deployment: Deployment, own: ServeServer
) -> None:
    before = raw.most_memory(own)
    chunk = b"%x\r\n" % CHUNK + b" " * CHUNK + b"\r\n"
    with raw.connect(own) as connection:
        connection.sendall(
            raw.head(f"POST {REQUESTS} HTTP/1.1", JSON, "Transfer-Encoding: chunked")
        )
        sent, answer = raw.pour(connection, [chunk] * (HUNDRED_MEGABYTES // CHUNK))
    assert sent < HUNDRED_MEGABYTES // 2
    # The answer may be lost with the rest, and then the connection was reset all the same.
    assert raw.statuses(answer) in ([], [413])
    assert raw.most_memory(own) - before < MOST_GROWTH
    assert is_well(deployment, own)


@on_linux
def test_who_pours_into_the_large_path_is_stopped_there_too(
    deployment: Deployment, own: ServeServer
) -> None:
    before = raw.most_memory(own)
    chunk = b"%x\r\n" % CHUNK + b" " * CHUNK + b"\r\n"
    with raw.connect(own) as connection:
        connection.sendall(_large("Transfer-Encoding: chunked", deployment.browser()))
        sent, answer = raw.pour(connection, [chunk] * (HUNDRED_MEGABYTES // CHUNK))
    assert sent < HUNDRED_MEGABYTES // 2
    assert raw.statuses(answer) in ([], [413])
    # It takes ten mebibytes of documents in base64, and may hold them twice while it puts them together.
    assert raw.most_memory(own) - before < 2 * MOST_GROWTH
    assert is_well(deployment, own)


def _large(length: str, browser: Browser | None) -> bytes:
    """The head of a request that opens a case, of somebody or of nobody."""
    headers = {} if browser is None else browser.headers
    lines = [f"{name}: {value}" for name, value in headers.items()]
    return raw.head(f"POST {KYC} HTTP/1.1", JSON, length, *lines)


@pytest.mark.parametrize("length", ["Content-Length: 10000000", "Transfer-Encoding: chunked"])
def test_large_bodies_that_come_slowly_keep_no_other_owner_from_sending_theirs(
    deployment: Deployment, server: ServeServer, length: str
) -> None:
    greedy, other = (deployment.browser(deployment.owner()) for _ in range(2))
    with ExitStack() as stack:

        def begin(browser: Browser | None) -> socket.socket:
            connection = stack.enter_context(raw.connect(server))
            connection.sendall(_large(length, browser))
            return connection

        # Who is nobody hears so before anything of theirs is read.
        nobodys = [begin(None) for _ in range(30)]
        assert [raw.statuses(raw.until_closed(one)) for one in nobodys] == [[401]] * 30
        # An owner may begin as many as they like, and has room for two.
        begun = [begin(greedy) for _ in range(6)]

        def refused() -> list[socket.socket]:
            return select.select(begun, [], [], 0)[0]

        eventually(lambda: len(refused()) == 4)
        assert [raw.statuses(raw.until_closed(one)) for one in refused()] == [[503]] * 4
        content = base64.b64encode(b"%PDF-1.7 " + b" " * 4_000_000).decode()
        card = {"name": "Card", "content_type": "application/pdf", "content_base64": content}
        answer = httpx.post(
            server.public_url + KYC,
            json={"target_level": 1, "documents": [card]},
            headers=other.headers,
            timeout=raw.PATIENCE,
            trust_env=False,
        )
        data(answer, 201)


MILLION = b"{" + b",".join(b'"%d":0' % n for n in range(1_000_000)) + b"}"


@on_linux
@pytest.mark.parametrize(("path", "status"), [(REQUESTS, 413), (KYC, 400)])
def test_a_million_members_are_not_read(
    deployment: Deployment, own: ServeServer, path: str, status: int
) -> None:
    headers = {"Content-Type": "application/json", **deployment.browser().headers}
    before = raw.most_memory(own)
    answer = httpx.post(
        own.public_url + path,
        content=MILLION,
        headers=headers,
        timeout=raw.PATIENCE,
        trust_env=False,
    )
    # As objects they would be some hundred megabytes.
    assert answer.status_code == status
    assert raw.most_memory(own) - before < 2 * MOST_GROWTH
    assert is_well(deployment, own)


@pytest.mark.parametrize(
    "body",
    [
        b'{"redirect_url":"https://shop.example/\xff"}',
        b'{"redirect_url":"https://shop.example/\xc0\xaf"}',
        b'{"redirect_url":"https://shop.example/\xed\xa0\x80"}',
        b'{"redirect_url":"https://a.example/","redirect_url":"https://b.example/"}',
        b'{"redirect_url":"https://a.example/","redirect\\u005furl":"https://b.example/"}',
        b'\xef\xbb\xbf{"redirect_url":"https://shop.example/"}',
        b'{"redirect_url":"https://shop.example/"} {}',
        b'{"redirect_url":NaN}',
        b"[" * 9000,
        b'{"redirect_url":' * 4000,
        b"\xff\xfe{\x00}\x00",
    ],
    ids=lambda body: repr(body[:60]),
)
def test_what_two_readers_would_read_in_two_ways_begins_no_login(
    deployment: Deployment, server: ServeServer, body: bytes
) -> None:
    site = deployment.site()
    answer = httpx.post(
        server.public_url + REQUESTS,
        content=body,
        headers={**site.headers, "Content-Type": "application/json"},
        trust_env=False,
    )
    assert refusal(answer) == (400, "INVALID_REQUEST")


# Slow ones


@pytest.fixture(scope="module")
def hasty(deployment: Deployment) -> Iterator[ServeServer]:
    """A server that gives a client a second for its headers, and another for its body."""
    with deployment.server("hasty", LIME_HEADER_TIMEOUT="1", LIME_BODY_TIMEOUT="1") as server:
        yield server


BODY = raw.head(f"POST {REQUESTS} HTTP/1.1", JSON, "Content-Length: 60000")
CHUNKED = raw.head(f"POST {REQUESTS} HTTP/1.1", JSON, "Transfer-Encoding: chunked")
DRIPS = 600
"""Twenty times a second for half a minute: whoever bears that has no limit."""


@pytest.mark.parametrize(
    ("said", "drip", "status"),
    [
        (b"", b"G", None),
        (b"GET / HTTP/1.1\r\nX: ", b"a", 408),
        (b"GET / HTTP/1.1\r\n", b"X: a\r\n", 408),
        (BODY, b" ", 408),
        (CHUNKED, b"1\r\n \r\n", 408),
        (CHUNKED, b"0", None),
    ],
    ids=["request line", "one header", "many headers", "body", "chunks", "a chunk's size"],
)
def test_one_byte_now_and_then_does_not_keep_a_connection(
    deployment: Deployment, hasty: ServeServer, said: bytes, drip: bytes, status: int | None
) -> None:
    with raw.connect(hasty) as connection:
        connection.sendall(said)
        drips = itertools.repeat(drip, DRIPS)
        answer = raw.drip(connection, drips)
    assert answer is not None, "the server bore it"
    if status is not None:
        assert raw.statuses(answer) in ([], [status])
    assert is_well(deployment, hasty)


def test_three_hundred_slow_bodies_keep_nobody_waiting(
    deployment: Deployment, hasty: ServeServer
) -> None:
    slow = [raw.connect(hasty) for _ in range(300)]
    try:
        for connection in slow:
            connection.sendall(BODY + b"{")
        assert is_well(deployment, hasty)
        ends = [raw.statuses(raw.until_closed(connection)) for connection in slow]
    finally:
        for connection in slow:
            connection.close()
    assert ends == [[408]] * 300
