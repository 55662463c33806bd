"""The one module that touches httpx.

It is imported when the first client is made, so that importing an SDK stays cheap. No httpx
exception leaves it, and none stays behind as `__context__`: it would hold the request, whose
headers hold the token.
"""

from __future__ import annotations

import asyncio
import json
import socket
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import httpx

from lime_sdk_core._mount import mounted
from lime_sdk_core._trace import traced
from lime_sdk_core.config import Config
from lime_sdk_core.envelope import check_status, retry_after
from lime_sdk_core.errors import (
    ClosedError,
    ConfigurationError,
    ErrorTable,
    ProtocolError,
    TransportError,
)
from lime_sdk_core.steps import Attempt, Reply, Request

T = TypeVar("T")

#: Seconds to establish a connection, if the call has that much left.
CONNECT_TIMEOUT = 10.0

#: Seconds to wait where no time is left: zero would mean not to wait at all, and fail otherwise.
SHORTEST_WAIT = 0.001

#: Requests of one asynchronous client at a time; others wait for their turn, within their time.
#: The library's own limit of connections is not used: who is cancelled while waiting for one may
#: leave a connection behind that nobody opens and nobody gets (httpcore 1.0), and a hundred of them
#: are all that a client has.
MOST_AT_ONCE = 100

_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=20)

_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (httpx.ConnectTimeout, "no connection in time"),
    (httpx.PoolTimeout, "no free connection in time"),
    (httpx.TimeoutException, "no complete answer in time"),
    (TimeoutError, "no complete answer in time"),
    (httpx.ProxyError, "the proxy refused"),
    (httpx.ConnectError, "no connection"),
    (httpx.RemoteProtocolError, "the connection ended early or did not speak HTTP"),
)

_FAILURES = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, TimeoutError)


def translate(error: Exception, config: Config) -> TransportError:
    """Return our error for httpx's, which keeps the reason and nothing of the request."""
    reason = next(
        (text for kind, text in _REASONS if isinstance(error, kind)), "the connection failed"
    )
    # Only what the operating system or the TLS library says: an unknown name, a bad certificate.
    said = config.credential.secret.redact(str(error)) if type(error) is httpx.ConnectError else ""
    return TransportError(f"LIME did not answer: {reason}{said and f' ({said})'}.")


class Body:
    """A body that is being read: bounded in size."""

    def __init__(self, response: httpx.Response, config: Config) -> None:
        self._response, self._config = response, config
        self._parts: list[bytes] = []
        self._left = config.max_response_bytes
        # We ask for none, and unpacking could make a gigabyte of a kilobyte.
        if response.headers.get("content-encoding", "identity") != "identity":
            raise self._refused("a compressed body that nobody asked for")

    def feed(self, chunk: bytes) -> None:
        """Take the next chunk."""
        self._left -= len(chunk)
        if self._left < 0:
            raise self._refused(f"more than {self._config.max_response_bytes} bytes")
        self._parts.append(chunk)

    def reply(self) -> Reply:
        """Return the whole answer."""
        # A server that repeats what it was sent must not bring the token into an error; and an
        # answer becomes an error whatever its status, if it is not what LIME says.
        secret = self._config.credential.secret
        headers = {name: secret.redact(value) for name, value in _headers(self._response).items()}
        body = secret.redact_bytes(b"".join(self._parts))
        return Reply(
            self._response.status_code, headers, body, retry_after(headers, now=datetime.now(UTC))
        )

    def _refused(self, what: str) -> ProtocolError:
        status = self._response.status_code
        return ProtocolError(f"HTTP {status} with {what}.", http_status=status)


def _arguments(request: Request, config: Config, timeout: float) -> dict[str, Any]:
    headers = {
        "accept": "application/json",
        "accept-encoding": "identity",
        "user-agent": config.user_agent,
    }
    headers |= request.headers
    content = None
    if request.json is not None:
        content = json.dumps(request.json, separators=(",", ":"), allow_nan=False).encode()
        headers["content-type"] = "application/json"
    elif request.form is not None:
        content = urlencode(request.form).encode()
        headers["content-type"] = "application/x-www-form-urlencoded"
    if request.authenticated:
        headers |= _credential(request, config)
    return {
        "method": request.method,
        "url": config.base_url + request.path,
        "params": dict(request.params) or None,
        "headers": headers,
        "content": content,
        "timeout": httpx.Timeout(timeout, connect=min(timeout, CONNECT_TIMEOUT)),
    }


def _credential(request: Request, config: Config) -> dict[str, str]:
    secret = config.credential.secret.reveal()
    if request.basic_user is None:
        return {config.credential.header: secret}
    # Both are quoted first (RFC 6749, section 2.3.1), which leaves URL-safe ones as they are.
    pair = f"{quote(request.basic_user, safe='')}:{quote(secret, safe='')}"
    return {"authorization": f"Basic {b64encode(pair.encode()).decode()}"}


def _headers(response: httpx.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _trust_env(config: Config) -> bool:
    # Proxies from the environment are for other machines: a token on its way to this one must not
    # leave it.
    return not config.is_local


def as_async_client(client: object | None) -> httpx.AsyncClient | None:
    """Return `client` if it can be used with an event loop, else raise `ConfigurationError`."""
    if client is None or isinstance(client, httpx.AsyncClient):
        return client
    raise ConfigurationError("http_client must be an httpx.AsyncClient.")


def as_client(client: object | None) -> httpx.Client | None:
    """Return `client` if it can be used without an event loop, else raise `ConfigurationError`."""
    if client is None or isinstance(client, httpx.Client):
        return client
    raise ConfigurationError("http_client must be an httpx.Client.")


def _made(make: Callable[[], T]) -> T:
    """Return the client that `make` makes. Raises `ConfigurationError`.

    The library reads proxies and certificates from the environment. What it says of them is not
    repeated: a proxy's address may hold a password.
    """
    try:
        return make()
    except ImportError:
        problem = "a SOCKS proxy needs: pip install 'httpx[socks]'"
    except OSError:
        problem = "SSL_CERT_FILE or SSL_CERT_DIR cannot be read"
    except (ValueError, httpx.InvalidURL):
        problem = "HTTP_PROXY, HTTPS_PROXY or ALL_PROXY is not the address of a proxy"
    raise ConfigurationError(f"The environment is no good: {problem}.")


def _check_open(client: httpx.AsyncClient | httpx.Client) -> None:
    if client.is_closed:
        raise ClosedError("The http_client that was passed in is closed.")


class AsyncHttp:
    """An `httpx.AsyncClient`, as `AsyncDriver` needs it. One that was passed in stays open."""

    def __init__(self, config: Config, client: httpx.AsyncClient | None) -> None:
        self._config, self._owned = config, client is None
        if client is None:
            transport = mounted().get(config.base_url)
            trust_env = _trust_env(config)
            client = _made(
                lambda: httpx.AsyncClient(transport=transport, trust_env=trust_env, limits=_LIMITS)
            )
        self._client = client
        self._turns: tuple[asyncio.AbstractEventLoop, asyncio.Semaphore] | None = None

    async def attempt(self, step: Attempt) -> Reply:
        """Perform one try; `step.timeout` bounds it altogether, however slowly bytes trickle in."""
        return await self._guard(self._exchange(step))

    async def _exchange(self, step: Attempt) -> Reply:
        async with asyncio.timeout(step.timeout), self._turn():
            response = await self._open(step.request, step.timeout)
            try:
                body = Body(response, self._config)
                async for chunk in response.aiter_bytes():
                    body.feed(chunk)
                return body.reply()
            finally:
                await response.aclose()

    @asynccontextmanager
    async def stream(
        self, request: Request, silence: float, errors: ErrorTable
    ) -> AsyncIterator[AsyncStream]:
        """Open a stream that fails after `silence` seconds without a byte."""
        response = await self._guard(self._open(request, silence))
        try:
            body = Body(response, self._config)
            if response.status_code != httpx.codes.OK:
                async for chunk in AsyncStream(response, self._guard):
                    body.feed(chunk)
                check_status(body.reply(), errors)
            yield AsyncStream(response, self._guard)
        finally:
            await response.aclose()

    async def aclose(self) -> None:
        """Close the connections that are ours."""
        if self._owned:
            await self._client.aclose()

    def _turn(self) -> asyncio.Semaphore:
        # It belongs to a loop, and a program may call `asyncio.run` again and again.
        loop = asyncio.get_running_loop()
        if self._turns is None or self._turns[0] is not loop:
            self._turns = loop, asyncio.Semaphore(MOST_AT_ONCE)
        return self._turns[1]

    async def _open(self, request: Request, seconds: float) -> httpx.Response:
        _check_open(self._client)
        arguments = _arguments(request, self._config, seconds)
        with traced(request.method, self._config.base_url, arguments["headers"]) as seen:
            built = self._client.build_request(**arguments)
            response = await self._client.send(built, stream=True, follow_redirects=False)
            seen(response.status_code)
        return response

    async def _guard(self, work: Awaitable[T]) -> T:
        try:
            return await work
        except _FAILURES as error:
            failure = translate(error, self._config)
        # Raised here and not in `except`, so that httpx's error is not kept as `__context__`.
        raise failure


class AsyncStream:
    """The bytes of an open answer, as they come. Raises `TransportError` when they end badly."""

    def __init__(
        self, response: httpx.Response, guard: Callable[[Awaitable[Any]], Awaitable[Any]]
    ) -> None:
        self.status = response.status_code
        self.headers: Mapping[str, str] = _headers(response)
        self._chunks = aiter(response.aiter_bytes())
        self._guard = guard

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        chunk: bytes | None = await self._guard(anext(self._chunks, None))
        if chunk is None:
            raise StopAsyncIteration
        return chunk


def _end_by(deadline: float, request: httpx.Request, clock: Callable[[], float]) -> None:
    """Leave each phase of `request` what remains until `deadline`.

    httpx gives the whole time anew to connecting, to TLS, to sending, to the head of the answer and
    to each part of its body.
    """
    limits: dict[str, float] = request.extensions["timeout"]
    whole = dict(limits)

    def phase(_name: str, _info: object) -> None:
        left = max(deadline - clock(), SHORTEST_WAIT)
        limits.update({name: min(seconds, left) for name, seconds in whole.items()})

    request.extensions["trace"] = phase


class SyncHttp:
    """An `httpx.Client`, as `SyncDriver` needs it. One that was passed in stays open."""

    def __init__(
        self, config: Config, client: httpx.Client | None, clock: Callable[[], float]
    ) -> None:
        self._config, self._owned, self._clock = config, client is None, clock
        if client is None:
            transport = mounted().get(config.base_url)
            trust_env = _trust_env(config)
            client = _made(lambda: httpx.Client(transport=transport, trust_env=trust_env))
        self._client = client

    def attempt(self, step: Attempt) -> Reply:
        """Perform one try within `step.timeout`, also where the body trickles.

        Only a head that comes in many pieces may take longer: each of them is waited for anew.
        """
        return self._guard(lambda: self._exchange(step))

    def _exchange(self, step: Attempt) -> Reply:
        deadline = self._clock() + step.timeout
        response = self._open(step.request, step.timeout, deadline)
        try:
            body = Body(response, self._config)
            for chunk in response.iter_bytes():
                body.feed(chunk)
                if self._clock() > deadline:
                    raise TimeoutError
            return body.reply()
        finally:
            response.close()

    @contextmanager
    def stream(self, request: Request, silence: float, errors: ErrorTable) -> Iterator[SyncStream]:
        """Open a stream that fails after `silence` seconds without a byte."""
        response = self._guard(lambda: self._open(request, silence))
        try:
            body = Body(response, self._config)
            if response.status_code != httpx.codes.OK:
                for chunk in SyncStream(response, self._guard):
                    body.feed(chunk)
                check_status(body.reply(), errors)
            yield SyncStream(response, self._guard)
        finally:
            response.close()

    def close(self) -> None:
        """Close the connections that are ours."""
        if self._owned:
            self._client.close()

    def _open(
        self, request: Request, seconds: float, deadline: float | None = None
    ) -> httpx.Response:
        _check_open(self._client)
        arguments = _arguments(request, self._config, seconds)
        with traced(request.method, self._config.base_url, arguments["headers"]) as seen:
            built = self._client.build_request(**arguments)
            if deadline is not None:
                _end_by(deadline, built, self._clock)
            response = self._client.send(built, stream=True, follow_redirects=False)
            seen(response.status_code)
        return response

    def _guard(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except _FAILURES as error:
            failure = translate(error, self._config)
        raise failure


class SyncStream:
    """The bytes of an open answer, as they come. Raises `TransportError` when they end badly."""

    def __init__(self, response: httpx.Response, guard: Callable[[Callable[[], Any]], Any]) -> None:
        self.status = response.status_code
        self.headers: Mapping[str, str] = _headers(response)
        self._chunks = iter(response.iter_bytes())
        self._network = response.extensions.get("network_stream")
        self._guard = guard

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        chunk: bytes | None = self._guard(lambda: next(self._chunks, None))
        if chunk is None:
            raise StopIteration
        return chunk

    def abort(self) -> None:
        """End the stream from another thread: its reader wakes up to the end or `TransportError`.

        Closing a socket does not wake a thread that is reading it; shutting it down does.
        """
        found = self._network.get_extra_info("socket") if self._network is not None else None
        if found is not None:
            # Not connected any more: then nobody waits for it either.
            with suppress(OSError):
                found.shutdown(socket.SHUT_RDWR)
