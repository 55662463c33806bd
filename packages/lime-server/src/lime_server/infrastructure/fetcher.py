"""Fetches small documents from servers that a stranger named, and from nowhere else.

The stranger chooses the name, and what the name means; so a fetch must not become a way to reach
what only this machine can reach.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Protocol
from urllib.parse import urlsplit

import httpx

from lime_server.core.urls import is_web_url
from lime_server.infrastructure.addresses import Address, is_address, is_public
from lime_server.infrastructure.dns import DnsError

MAX_BYTES = 5 * 1024
"""Of a document's body: a proof has a hundred, a client's metadata two thousand."""
TIMEOUT = 5.0
"""Seconds for everything together: somebody is waiting."""
MOST_ADDRESSES = 4
"""Addresses tried of one name."""


class FetchError(Exception):
    """The document cannot be had; the message is for whoever named it.

    It does not say what was reached instead, or how it answered in detail: that would make this
    server somebody's telescope.
    """


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered with 200 OK."""

    body: bytes
    content_type: str
    cache_control: str
    """Both as the headers say; empty if there is none."""


@dataclass(frozen=True, slots=True)
class _Target:
    """Where a URL leads, taken apart."""

    host: str
    """As the server is to be called: with a port if the URL has one."""
    name: str
    """Without."""
    base: str
    """What comes before the address, and after it: `https://{}:443`, for example."""
    path: str
    address: Address | None = None
    """Known without asking anybody: this machine's own."""


class Addresses(Protocol):
    """Says where a name is."""

    async def addresses(self, name: str) -> list[Address]:
        """The addresses of `name`. Raises DnsError."""
        ...


class Fetcher:
    """Gets documents over https, from public addresses, without following anything."""

    def __init__(
        self,
        dns: Addresses,
        *,
        trust: ssl.SSLContext | None = None,
        allowed: Callable[[Address], bool] = is_public,
        port: int = 443,
        timeout: float = TIMEOUT,
        loopback_too: bool = False,
    ) -> None:
        """`trust`, `allowed` and `port` are for tests, which have nothing but loopback.

        With `loopback_too`, for development, http on this machine is fetched too, from any port.
        """
        self._dns = dns
        self._trust = trust or ssl.create_default_context()
        self._allowed = allowed
        self._port = port
        self._timeout = timeout
        self._loopback_too = loopback_too

    async def get(self, url: str, *, max_bytes: int = MAX_BYTES) -> bytes:
        """The document at `url`, of at most `max_bytes`. Raises FetchError."""
        return (await self.fetch(url, max_bytes=max_bytes)).body

    async def fetch(self, url: str, *, max_bytes: int = MAX_BYTES) -> Answer:
        """The same, with what the server says about it. Raises FetchError."""
        # 1. A name on the usual port: an address or another port is nobody's public document.
        target = self._parsed(url)
        try:
            async with asyncio.timeout(self._timeout):
                # 2. Where is it? If one of its addresses is not public, none is believed.
                addresses = await self._addresses(target)
                # 3. Ask the very address that was looked at: the name is not resolved again.
                return await self._first_answer(addresses, target, max_bytes)
        except TimeoutError:
            raise FetchError(f"{target.name} did not answer in time.") from None

    async def _addresses(self, target: _Target) -> list[Address]:
        if target.address is not None:
            return [target.address]
        return await self._public_addresses(target.name)

    async def _public_addresses(self, host: str) -> list[Address]:
        try:
            addresses = await self._dns.addresses(host)
        except DnsError as error:
            raise FetchError(str(error)) from None
        if not all(self._allowed(address) for address in addresses):
            raise FetchError(f"{host} is not at a public address.")
        return addresses[:MOST_ADDRESSES]

    async def _first_answer(
        self, addresses: list[Address], target: _Target, max_bytes: int
    ) -> Answer:
        # Without the environment's proxies, which would resolve the name themselves, and its
        # certificates; without cookies; one connection, used once.
        transport = httpx.AsyncHTTPTransport(verify=self._trust, trust_env=False, retries=0)
        async with httpx.AsyncClient(
            transport=transport, trust_env=False, follow_redirects=False, timeout=self._timeout
        ) as client:
            for address in addresses:
                try:
                    return await self._ask(client, address, target, max_bytes)
                except httpx.ConnectError:
                    continue  # nobody there, or not the one whom the certificate names
                except (httpx.HTTPError, httpx.InvalidURL):
                    break
        raise FetchError(f"{target.name} could not be reached over https.")

    async def _ask(
        self, client: httpx.AsyncClient, address: Address, target: _Target, max_bytes: int
    ) -> Answer:
        literal = f"[{address}]" if address.version == 6 else str(address)
        host = target.name
        async with client.stream(
            "GET",
            target.base.format(literal) + target.path,
            headers={
                "Host": target.host,
                # Nothing compressed: a small body would unpack into a large one.
                "Accept-Encoding": "identity",
                "User-Agent": "lime-server",
            },
            # The certificate has to name the host, not the address.
            extensions={"sni_hostname": host},
        ) as response:
            if response.status_code != httpx.codes.OK:
                raise FetchError(f"{host} did not answer with 200 OK; redirects do not count.")
            if response.headers.get("content-encoding", "identity") != "identity":
                raise FetchError(f"{host} answered in an encoding that was not asked for.")
            body = b""
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > max_bytes:
                    raise FetchError(f"{host} answered with more than {max_bytes} bytes.")
            headers = response.headers
            return Answer(body, headers.get("content-type", ""), headers.get("cache-control", ""))

    def _parsed(self, url: str) -> _Target:
        """Where to ask for `url`. Raises FetchError for one that may not be asked for."""
        parts = urlsplit(url) if is_web_url(url, loopback_too=self._loopback_too) else None
        host = (parts.hostname or "") if parts else ""
        path = "" if parts is None else (parts.path or "/") + (parts.query and f"?{parts.query}")
        if parts is not None and parts.scheme == "http":
            # Of this machine, or is_web_url would have refused it; no name is asked for.
            literal = host if is_address(host) else "127.0.0.1"
            base = f"http://{{}}:{parts.port or 80}"
            return _Target(parts.netloc, host, base, path, ip_address(literal))
        if parts is None or parts.port not in {None, 443} or "." not in host or is_address(host):
            raise FetchError("Only https URLs with a host name and without a port are fetched.")
        return _Target(host, host, f"https://{{}}:{self._port}", path)
