"""One client that takes all it can get: others are served, memory has a bound, and it passes."""

import re
import resource
import socket
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from tests.attacks import raw
from tests.support.deployment import Deployment, eventually
from tests.support.server import ServeServer
from tests.support.wire import Site, Wire, data, refusal

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")

SPARE_DESCRIPTORS = 512
"""What this process and the server need for themselves."""
MOST_PER_CONNECTION = 32 << 10
"""Bytes that a connection on which nothing was asked may cost."""
STUCK = 2
MOST_PER_READER = 4 << 20
"""Bytes that a reader that does not read may cost: what lies in the server for it, and room to spare."""


@contextmanager
def many(server: ServeServer, count: int) -> Iterator[list[socket.socket]]:
    """So many connections of one client."""
    with ExitStack() as stack:
        yield [stack.enter_context(raw.connect(server)) for _ in range(count)]


@on_linux
def test_ten_thousand_connections_of_one_client_hurt_nobody(deployment: Deployment) -> None:
    # As many as this process may open; the server inherits the same bound.
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE_DESCRIPTORS
    count = min(10_000, allowed)
    with deployment.server("crowded") as server, Wire(server.api_base) as wire:
        agent, site = deployment.agent(), deployment.site()
        assert wire.login(agent, site)
        before = raw.most_memory(server)
        with many(server, count) as held:
            for connection in held:
                connection.sendall(b"GET /health/live HTTP/1.1\r\n")
            assert wire.login(agent, site)
            assert (raw.most_memory(server) - before) / count < MOST_PER_CONNECTION
            # None of them is kept: their headers never end.
            ends = {tuple(raw.statuses(raw.until_closed(connection))) for connection in held}
        assert ends == {(408,)}
        assert wire.login(agent, site)


@pytest.mark.parametrize("asked", [b"", b"GET /health/live HTTP/1.1\r\nHost: lime\r\n\r\n"])
def test_one_connection_too_many_hears_so_and_there_is_room_again(
    deployment: Deployment, asked: bytes
) -> None:
    with deployment.server("small", LIME_MAX_CONNECTIONS="20") as server:
        with many(server, 20) as held:
            for connection in held:
                connection.sendall(asked)
            refused = []

            def full() -> bool:
                url = f"{server.api_base}/core/.well-known/jwks.json"
                refused.append(httpx.get(url, trust_env=False))
                return refused[-1].status_code == 503

            eventually(full)
            assert refusal(refused[-1]) == (503, "UNAVAILABLE")
            assert int(refused[-1].headers["retry-after"]) >= 1
            # It is full and not dead, and says so to whoever would restart it.
            alive, ready, figures = (
                httpx.get(server.public_url + path, trust_env=False)
                for path in ("/health/live", "/health/ready", "/metrics")
            )
            assert (alive.status_code, alive.headers["connection"]) == (200, "close")
            assert (ready.status_code, ready.json()["status"]) == (503, "full")
            assert re.search(r"^lime_connections_refused_total [1-9]", figures.text, re.MULTILINE)
        agent, site = deployment.agent(), deployment.site()

        def served() -> bool:
            with Wire(server.api_base) as wire:
                return wire.create(site).status_code == 201

        eventually(served)
        with Wire(server.api_base) as wire:
            assert wire.login(agent, site)


def stuck_reader(server: ServeServer, site: Site) -> socket.socket:
    """A stream that sees every event of the site, over a connection that takes as good as nothing."""
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    # The server's kernel buffers for some segments: with those of loopback, two megabytes, which
    # takes hundreds of logins to fill.
    reader.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
    reader.settimeout(raw.PATIENCE)
    reader.connect(("127.0.0.1", int(server.public_url.rpartition(":")[2])))
    token = f"X-Site-Token: {site.token}"
    reader.sendall(raw.head("GET /api/v1/modules/agent-login/events HTTP/1.1", token))
    return reader


def open_streams(server: ServeServer) -> float:
    """What the server says of itself."""
    told = httpx.get(f"{server.public_url}/metrics", trust_env=False).text
    (line,) = [line for line in told.splitlines() if line.startswith("lime_event_streams ")]
    return float(line.split()[1])


@on_linux
def test_a_stream_that_is_not_read_is_cut_and_not_buffered_without_end(
    deployment: Deployment,
) -> None:
    settings = {"LIME_STREAM_PATIENCE": "1", "LIME_KEEPALIVE_INTERVAL": "1"}
    agent, site = deployment.agent(), deployment.site()
    # As long as it may be, so that few logins fill what the kernel buffers.
    long = "https://shop.example/" + "a" * 2000
    with (
        deployment.server("unread", **settings) as server,
        Wire(server.api_base) as wire,
        ExitStack() as stack,
    ):
        reads = stack.enter_context(wire.events(site, consumer="reads"))
        for _ in range(STUCK):
            stack.enter_context(stuck_reader(server, site))
        eventually(lambda: open_streams(server) == STUCK + 1)
        before = raw.most_memory(server)
        logins = []
        while open_streams(server) > 1:
            assert len(logins) < 1000, "a stream that nobody reads is kept"
            logins += [wire.login(agent, site, redirect_url=long) for _ in range(20)]
        assert raw.most_memory(server) - before < STUCK * MOST_PER_READER
        # Who reads has missed nothing.
        missed = set(logins)
        while missed:
            missed.discard(reads.event().request_id)


# Guessing


def test_who_guesses_tokens_is_counted_by_address_whatever_the_token(
    deployment: Deployment,
) -> None:
    settings = {"LIME_RATE_PER_ADDRESS": "0.1:50", "LIME_TRUSTED_PROXIES": "127.0.0.0/8"}
    site = deployment.site()
    with deployment.server("guessed", **settings) as server:
        url = f"{server.api_base}/foundation/sites/me"

        def ask(token: str, address: str) -> httpx.Response:
            headers = {"X-Site-Token": token, "X-Forwarded-For": address}
            return httpx.get(url, headers=headers, trust_env=False)

        guesses = [refusal(ask(f"st_{number:043}", "203.0.113.7")) for number in range(60)]
        assert set(guesses[:50]) == {(401, "SITE_TOKEN_INVALID")}
        assert guesses[-1] == (429, "RATE_LIMIT_EXCEEDED")
        # Not even the right one would now be told from a wrong one. Others are let in.
        assert refusal(ask(site.token, "203.0.113.7")) == (429, "RATE_LIMIT_EXCEEDED")
        assert data(ask(site.token, "203.0.113.8"))["site_id"] == site.site_id


@pytest.mark.parametrize("path", ["login", "login/passkey/options", "nothing/of/that/name"])
def test_strangers_with_keys_of_their_own_leave_nothing_behind(
    server: ServeServer, deployment: Deployment, path: str
) -> None:
    count = "SELECT count(*) FROM infrastructure.idempotency"
    before = deployment.ask(count)
    with httpx.Client(trust_env=False, headers={"Origin": server.public_url}) as client:
        for number in range(5):
            # A cookie that was never given counts as whatever its bearer says.
            headers = {"Idempotency-Key": str(uuid.uuid4()), "Cookie": "lime_session=x"}
            url = f"{server.api_base}/foundation/users/{path}"
            answer = client.post(url, json={"unfit": number}, headers=headers)
            assert answer.status_code in {200, 400, 404}
            assert "idempotency-replayed" not in answer.headers
    assert deployment.ask(count) == before
