"""The wire, spoken by hand: plain httpx, sockets and hashlib, and nothing of ours.

What the contract suite claims about the server must not depend on the SDKs, which could be wrong in the same way.
"""

import hashlib
import http.client
import json
import queue
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx

PATIENCE = 20.0
"""Seconds for which a test waits for what was promised. Never reached when all is well."""

_PREFIX = b"lime:pow:v1\x00"


@dataclass(frozen=True)
class Owner:
    """Who answers for agents and sites."""

    owner_id: str


@dataclass(frozen=True)
class Agent:
    """An agent and its secret."""

    agent_id: str
    token: str = field(repr=False)
    owner_id: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """What proves it at the API (protocol section 2)."""
        return {"X-Agent-Token": self.token}


@dataclass(frozen=True)
class Site:
    """A site and its secret."""

    site_id: str
    token: str = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """What proves it at the API (protocol section 2)."""
        return {"X-Site-Token": self.token}


class Wire:
    """The routes of the five steps on one server; every method returns the raw response."""

    def __init__(self, api_base: str) -> None:
        self.api_base = api_base
        self.http = httpx.Client(base_url=api_base, timeout=PATIENCE, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.http.close()

    def create(self, site: Site, body: object | None = None, **headers: str) -> httpx.Response:
        """Step 1."""
        return self.http.post(
            "/modules/agent-login/requests",
            json=body if body is not None else {},
            headers={**site.headers, **headers},
        )

    def challenge(self, request_id: str) -> httpx.Response:
        """Step 2."""
        return self.http.get(f"/auth/requests/{request_id}")

    def approve(self, agent: Agent, request_id: str, nonce: object) -> httpx.Response:
        """Step 4."""
        return self.http.post(
            f"/modules/agent-login/requests/{request_id}/approve",
            json={"pow_nonce": nonce},
            headers=agent.headers,
        )

    def approval(self, agent: Agent, request_id: str, nonce: str) -> httpx.Request:
        """Step 4, not sent yet."""
        path = f"/modules/agent-login/requests/{request_id}/approve"
        return self.http.build_request(
            "POST", path, json={"pow_nonce": nonce}, headers=agent.headers
        )

    def deny(self, agent: Agent, request_id: str) -> httpx.Response:
        """The agent's no."""
        return self.http.post(
            f"/modules/agent-login/requests/{request_id}/deny", json={}, headers=agent.headers
        )

    def view(self, site: Site, request_id: str, **query: object) -> httpx.Response:
        """The site's view of one request."""
        params = {key: str(value) for key, value in query.items()}
        return self.http.get(
            f"/modules/agent-login/requests/{request_id}", params=params, headers=site.headers
        )

    def acknowledge(self, site: Site, *event_ids: str) -> httpx.Response:
        """Section 5: the handler has returned."""
        return self.http.post(
            "/modules/agent-login/events/ack", json={"ids": list(event_ids)}, headers=site.headers
        )

    def jwks(self, **headers: str) -> httpx.Response:
        """The published keys."""
        return self.http.get("/core/.well-known/jwks.json", headers=headers)

    def events(self, site: Site, *, consumer: str | None = None) -> "EventStream":
        """Section 5: an open event stream; the first heartbeat or event is not awaited."""
        return EventStream(self.api_base, site, consumer=consumer)

    # Whole steps, for tests whose subject comes later.

    def new_request(self, site: Site, **body: object) -> str:
        """The id of a fresh request."""
        return str(data(self.create(site, body), 201)["login_request_id"])

    def solved(self, request_id: str) -> str:
        """A nonce for its challenge."""
        challenge = data(self.challenge(request_id))
        return solve(challenge["pow_challenge"], challenge["pow_difficulty"])

    def approved(self, agent: Agent, request_id: str) -> dict[str, Any]:
        """Steps 2 to 4."""
        return data(self.approve(agent, request_id, self.solved(request_id)))

    def login(self, agent: Agent, site: Site, **body: object) -> str:
        """Steps 1 to 4; the request's id."""
        request_id = self.new_request(site, **body)
        self.approved(agent, request_id)
        return request_id

    def passport(self, agent: Agent, site: Site, **body: object) -> str:
        """All five steps, the last one by long poll; the passport."""
        request_id = self.login(agent, site, **body)
        return str(data(self.view(site, request_id, wait=5))["agent_passport_jwt"])


def data(response: httpx.Response, status: int = 200) -> dict[str, Any]:
    """The data of a success envelope; anything else fails the test that asked."""
    body = response.json()
    assert response.status_code == status, (
        f"{response.request.method} {response.request.url.path}: {response.status_code} {body}"
    )
    assert body["ok"] is True
    assert set(body) == {"ok", "data"}
    found: dict[str, Any] = body["data"]
    return found


def refusal(response: httpx.Response) -> tuple[int, str]:
    """Status and code of an error envelope; anything else fails the test that asked."""
    body = response.json()
    assert set(body) == {"ok", "error"}, f"{response.status_code} {body}"
    assert body["ok"] is False
    assert set(body["error"]) <= {"code", "message", "detail"}
    assert body["error"]["message"]
    assert isinstance(body["error"].get("detail", {}), dict)
    return response.status_code, body["error"]["code"]


def at_once(requests: Sequence[httpx.Request]) -> list[httpx.Response]:
    """Send all of these so that they arrive together, each on a connection of its own.

    Every request waits on its connection without its last byte; then the last bytes follow one
    another within microseconds. A client that builds one request after the other never gets there:
    the first is answered before the third is sent.
    """
    with ExitStack() as open_sockets:
        sockets = []
        for request in requests:
            address = (request.url.host, request.url.port or 80)
            connection = open_sockets.enter_context(socket.create_connection(address, PATIENCE))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(_written(request)[:-1])
            sockets.append((request, connection))
        for request, connection in sockets:
            connection.sendall(_written(request)[-1:])
        return [_answer(request, connection) for request, connection in sockets]


def _written(request: httpx.Request) -> bytes:
    head = [request.method.encode() + b" " + request.url.raw_path + b" HTTP/1.1"]
    head += [name + b": " + value for name, value in request.headers.raw]
    return b"\r\n".join(head) + b"\r\n\r\n" + request.content


def _answer(request: httpx.Request, connection: socket.socket) -> httpx.Response:
    response = http.client.HTTPResponse(connection)
    response.begin()
    return httpx.Response(response.status, content=response.read(), request=request)


def digest(challenge: str, nonce: str) -> int:
    """The number that protocol section 4 compares."""
    return int.from_bytes(
        hashlib.sha256(_PREFIX + challenge.encode() + b"\x00" + nonce.encode()).digest(), "big"
    )


def zero_bits(challenge: str, nonce: str) -> int:
    """How many leading zero bits the digest has: the highest difficulty that the nonce satisfies."""
    return 256 - digest(challenge, nonce).bit_length()


def nonces(challenge: str, *, template: str = "{}") -> Iterator[tuple[str, int]]:
    """Every candidate with its leading zero bits, for tests that need a particular one."""
    middle = hashlib.sha256(_PREFIX + challenge.encode() + b"\x00")
    number = 0
    while True:
        nonce = template.format(number)
        attempt = middle.copy()
        attempt.update(nonce.encode())
        yield nonce, 256 - int.from_bytes(attempt.digest(), "big").bit_length()
        number += 1


def solve(challenge: str, difficulty: int, *, template: str = "{}") -> str:
    """A nonce for the challenge, by hashlib alone. About 20 ms at difficulty 15."""
    return next(
        nonce for nonce, zeros in nonces(challenge, template=template) if zeros >= difficulty
    )


@dataclass(frozen=True)
class Frame:
    """One frame of an event stream, as it came."""

    raw: bytes
    id: str | None
    body: dict[str, Any]

    @property
    def type(self) -> str:
        """The kind of frame."""
        return str(self.body["type"])

    @property
    def request_id(self) -> str:
        """The login it is about."""
        return str(self.body["login_request_id"])

    @classmethod
    def parse(cls, raw: bytes) -> "Frame | None":
        """One block between blank lines; None for a block of comments alone.

        Deliberately narrow: what the oldest clients cannot read is a failure here, whatever the standard would allow.
        """
        lines = [
            line for line in raw.decode("utf-8").split("\n") if line and not line.startswith(":")
        ]
        if not lines:
            return None
        values = [line.removeprefix("data:").strip() for line in lines if line.startswith("data:")]
        ids = [line.removeprefix("id:").strip() for line in lines if line.startswith("id:")]
        assert len(values) == 1, f"a frame has one data line: {raw!r}"
        assert b"\r" not in raw, f"a frame's lines end with LF: {raw!r}"
        body = json.loads(values[0])
        assert isinstance(body, dict), f"a frame holds one JSON object: {raw!r}"
        return cls(raw=raw, id=ids[0] if ids else None, body=body)


class EventStream:
    """An event stream read in a thread of its own, so that a test can wait for a frame without losing the connection.

    Entering connects and returns when the response's head is there. Plain `http.client`: the bytes are the subject.
    """

    def __init__(self, api_base: str, site: Site, *, consumer: str | None = None) -> None:
        url = httpx.URL(f"{api_base}/modules/agent-login/events")
        self._connection = http.client.HTTPConnection(url.host, url.port, timeout=PATIENCE)
        self._path = url.path + (f"?consumer={consumer}" if consumer is not None else "")
        self._site = site
        self._frames: queue.Queue[Frame | BaseException | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, name="event-stream", daemon=True)
        self.headers: dict[str, str] = {}
        self.seen: list[Frame] = []

    def __enter__(self) -> Self:
        self._connection.connect()
        self._socket: socket.socket = self._connection.sock
        self._connection.request(
            "GET", self._path, headers={**self._site.headers, "Accept": "text/event-stream"}
        )
        self._response = self._connection.getresponse()
        assert self._response.status == 200, f"{self._response.status} {self._response.read()!r}"
        self.headers = {key.lower(): value for key, value in self._response.getheaders()}
        self._socket.settimeout(None)
        self._reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Shutting the socket down wakes the reader; closing alone would leave it blocked.
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join(PATIENCE)
        self._response.close()
        self._connection.close()

    def next(self, *, timeout: float = PATIENCE) -> Frame:
        """The next frame, heartbeats included.

        Raises:
            EOFError: if the server ended the stream.
            TimeoutError: if nothing came within `timeout` seconds.
        """
        try:
            found = self._frames.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError(
                f"no frame within {timeout} s; before: {[frame.body for frame in self.seen]}"
            ) from None
        if isinstance(found, BaseException):
            raise found
        if found is None:
            raise EOFError("the stream has ended")
        self.seen.append(found)
        return found

    def event(self, *, timeout: float = PATIENCE) -> Frame:
        """The next frame that is no heartbeat."""
        while (frame := self.next(timeout=timeout)).type == "keepalive":
            pass
        return frame

    def of(self, request_id: str) -> Frame:
        """The next frame about this login."""
        while (frame := self.event()).body.get("login_request_id") != request_id:
            pass
        return frame

    def until_end(self) -> list[Frame]:
        """Everything that still comes before the server ends the stream."""
        rest = []
        while True:
            try:
                rest.append(self.next())
            except EOFError:
                return rest

    def until_heartbeats(self, count: int) -> list[Frame]:
        """Everything that comes before the `count`-th heartbeat from now."""
        rest: list[Frame] = []
        while count:
            frame = self.next()
            if frame.type == "keepalive":
                count -= 1
            else:
                rest.append(frame)
        return rest

    def _read(self) -> None:
        block = b""
        try:
            for line in self._response:
                if line != b"\n":
                    block += line
                    continue
                if block and (frame := Frame.parse(block)):
                    self._frames.put(frame)
                block = b""
        except AssertionError as error:
            self._frames.put(error)
        except (OSError, ValueError, http.client.HTTPException):
            pass
        self._frames.put(None)
