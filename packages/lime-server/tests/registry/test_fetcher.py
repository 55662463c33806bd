"""The guarded fetcher, with real TLS on loopback."""

import asyncio
import contextlib
import ssl
from contextlib import asynccontextmanager
from ipaddress import ip_address

import pytest

from lime_server.infrastructure.addresses import is_public
from lime_server.infrastructure.dns import DnsError
from lime_server.infrastructure.fetcher import Fetcher, FetchError
from lime_server.infrastructure.proofs import Proofs
from lime_server.modules.sites.ports import ProofMissingError
from tests.support.certificates import certificate_in

HOST = "shop.example"
URL = f"https://{HOST}/.well-known/lime-site"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for HOST alone, which signs for itself."""
    return certificate_in(tmp_path_factory.mktemp("tls"), HOST)


class Zone:
    """Says where names are, and counts how often it was asked."""

    def __init__(self, *addresses):
        self.addresses_of = [ip_address(address) for address in addresses]
        self.asked = []

    async def addresses(self, name):
        self.asked.append(name)
        if not self.addresses_of:
            raise DnsError(f"{name} has no address.")
        return self.addresses_of


class Server:
    """Answers every request with the same bytes, and remembers what it was asked."""

    def __init__(self, answer, *, hold):
        self.answer = answer
        self.hold = hold
        self.requests = []
        self.port = 0

    async def serve(self, reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(self.answer)
            await writer.drain()
            if self.hold:
                await reader.read()
            writer.close()


@asynccontextmanager
async def serving(certificate, answer, *, hold=False):
    server = Server(answer, hold=hold)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()


def ok(body, *headers):
    head = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def fetcher(certificate, server, zone=None, **options):
    trust = ssl.create_default_context(cafile=certificate)
    options = {"allowed": lambda _address: True, "timeout": 5.0} | options
    return Fetcher(zone or Zone("127.0.0.1"), trust=trust, port=server.port, **options)


async def test_a_document_is_fetched_from_the_address_that_was_looked_at(certificate):
    async with serving(certificate, ok(b"proof")) as server:
        zone = Zone("127.0.0.1")
        assert await fetcher(certificate, server, zone).get(URL + "?a=b") == b"proof"
        assert zone.asked == [HOST]
        (request,) = server.requests
        lines = request.lower().split("\r\n")
        assert lines[0] == "get /.well-known/lime-site?a=b http/1.1"
        assert f"host: {HOST}" in lines
        assert "accept-encoding: identity" in lines
        assert not any(line.startswith(("cookie", "authorization")) for line in lines)


async def test_the_next_address_is_tried_when_nobody_is_at_the_first(certificate):
    async with serving(certificate, ok(b"proof")) as server:
        zone = Zone("::1", "127.0.0.1")
        assert await fetcher(certificate, server, zone).get(f"https://{HOST}") == b"proof"


async def test_the_environments_proxy_is_not_used(certificate, monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with serving(certificate, ok(b"proof")) as server:
        assert await fetcher(certificate, server).get(URL) == b"proof"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1/\r\n\r\n", "200 OK"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "200 OK"),
        (ok(b"x" * 5121), "more than 5120 bytes"),
        (ok(b"", "Content-Encoding: gzip"), "encoding"),
        (b"nonsense\r\n\r\n", "could not be reached"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "could not be reached"),
    ],
)
async def test_any_other_answer_is_refused(certificate, answer, says):
    async with serving(certificate, answer) as server:
        with pytest.raises(FetchError, match=says):
            await fetcher(certificate, server).get(URL)
        assert len(server.requests) == 1


async def test_an_answer_without_end_is_cut_off(certificate):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nproof\r\n"
    async with serving(certificate, head, hold=True) as server:
        with pytest.raises(FetchError, match="in time"):
            await fetcher(certificate, server, timeout=0.2).get(URL)


async def test_a_certificate_for_another_name_is_refused(certificate):
    async with serving(certificate, ok(b"proof")) as server:
        with pytest.raises(FetchError, match="could not be reached"):
            await fetcher(certificate, server).get("https://other.example/")
        assert server.requests == []


async def test_a_certificate_of_a_stranger_is_refused(certificate):
    async with serving(certificate, ok(b"proof")) as server:
        plain = Fetcher(Zone("127.0.0.1"), allowed=lambda _address: True, port=server.port)
        with pytest.raises(FetchError, match="could not be reached"):
            await plain.get(URL)
        assert server.requests == []


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["93.184.216.34", "10.0.0.1"], ["::ffff:127.0.0.1"], ["169.254.169.254"]],
)
async def test_a_name_with_any_address_that_is_not_public_is_not_asked(certificate, addresses):
    async with serving(certificate, ok(b"proof")) as server:
        guarded = fetcher(certificate, server, Zone(*addresses), allowed=is_public)
        with pytest.raises(FetchError, match="not at a public address"):
            await guarded.get(URL)
        assert server.requests == []


async def test_a_name_that_means_something_else_the_second_time_is_asked_for_once(certificate):
    """DNS rebinding: what was looked at is what is connected to."""

    class Rebinding(Zone):
        async def addresses(self, name):
            found = await super().addresses(name)
            self.addresses_of = [ip_address("127.0.0.1")]
            return found

    async with serving(certificate, ok(b"secret")) as server:
        # An address at which nobody answers.
        zone = Rebinding("127.0.0.2")
        guarded = fetcher(certificate, server, zone, timeout=0.3)
        with pytest.raises(FetchError):
            await guarded.get(URL)
        assert zone.asked == [HOST]
        assert server.requests == []


@pytest.mark.parametrize(
    "url",
    [
        f"http://{HOST}/",
        f"https://{HOST}:8443/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://2130706433/",
        "https://0x7f.0.0.1/",
        "https://localhost/",
        f"https://me@{HOST}/",
        "file:///etc/passwd",
        f"https://{HOST}\\@127.0.0.1/",
        f"https://{HOST}/a b",
        "",
    ],
)
async def test_only_a_public_name_on_the_usual_port_is_asked(url):
    zone = Zone("127.0.0.1")
    with pytest.raises(FetchError):
        await Fetcher(zone).get(url)
    # A number with dots may be a name: then the DNS has to know it, and its address be public.
    assert zone.asked in ([], ["0x7f.0.0.1"])


async def test_a_name_without_an_address_is_said_to_be_that():
    with pytest.raises(FetchError, match="has no address"):
        await Fetcher(Zone()).get(URL)


async def test_a_proof_that_cannot_be_read_is_missing(certificate):
    class Dns(Zone):
        async def txt(self, name):
            if name == "_lime.none.example":
                raise DnsError("No TXT record of _lime.none.example was found.")
            return ["value"]

    async with serving(certificate, ok(b"value\xff")) as server:
        zone = Dns("127.0.0.1")
        proofs = Proofs(zone, fetcher(certificate, server, zone))
        assert await proofs.txt("_lime.shop.example") == ["value"]
        assert await proofs.file(URL) == "value\ufffd"
        with pytest.raises(ProofMissingError, match="No TXT record"):
            await proofs.txt("_lime.none.example")
        with pytest.raises(ProofMissingError, match="could not be reached"):
            await proofs.file("https://other.example/")


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "2a00:1450::1"])
def test_hosts_on_the_internet_are_public(address):
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:2::1",
        "2001:10::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "2606:4700::1111%eth0",
        "3fff::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ],
)
def test_everything_else_is_not(address):
    assert not is_public(ip_address(address))
