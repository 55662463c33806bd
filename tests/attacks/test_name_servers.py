"""A name server that lies does not lead the server inside, however often it changes its mind.

Proofs of domains and documents of clients are fetched over https from port 443 of public addresses, which a test has none of. So what
is asserted here is that nothing is reached, and that nobody is told what might have been; the fetcher's own tests let it reach a server.
"""

import socket
import socketserver
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import TracebackType
from typing import Any, Self

import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset
import httpx
import pytest

from tests.attacks.household import Household
from tests.support.deployment import Deployment
from tests.support.oauth_client import somewhere
from tests.support.server import ServeServer
from tests.support.wire import data

UNROUTED = "3ffe::1"
"""Global by its number, and nobody's: the 6bone gave it back in 2006 (RFC 3701)."""

INSIDE = [
    "127.0.0.1",
    "169.254.169.254",
    "10.0.0.1",
    "192.168.0.1",
    "100.64.0.1",
    "0.0.0.0",
    "255.255.255.255",
    "224.0.0.1",
    "::1",
    "::",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "fd00::1",
    "fe80::1",
    "fec0::1",
]
"""Private, link-local, shared, reserved; and IPv4 in the clothes of IPv6."""


class Liar:
    """A name server on loopback that has a list of answers for each name, and gives the last one for ever."""

    def __init__(self) -> None:
        self.answers: dict[str, list[list[str]]] = {}
        self.asked: Counter[tuple[str, str]] = Counter()
        liar = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                packet, sock = self.request
                sock.sendto(liar.answer(packet), self.client_address)

        self._server = socketserver.ThreadingUDPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, packet: bytes) -> bytes:
        """The next answer to this question, if the list has one of its kind."""
        query = dns.message.from_wire(packet)
        (question,) = query.question
        name, kind = question.name.to_text().rstrip("."), dns.rdatatype.to_text(question.rdtype)
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        rounds = self.answers.get(name, [[]])
        said = rounds[min(self.asked[name, kind], len(rounds) - 1)]
        self.asked[name, kind] += 1
        wanted = [one for one in said if (":" in one) == (kind == "AAAA")]
        if wanted and kind in {"A", "AAAA"}:
            # A life of no seconds: whoever asks again is told something else.
            reply.answer.append(dns.rrset.from_text(question.name, 0, "IN", kind, *wanted))
        return reply.to_wire()


@contextmanager
def tripwire() -> Iterator[list[Any]]:
    """What connects to port 443 of loopback while it is stretched; empty, if all is well."""
    caught: list[Any] = []
    with ExitStack() as stretched:
        wires = []
        for address in (("127.0.0.1", 443), ("::1", 443)):
            # Where the port is not ours to have, that nothing was fetched is asserted all the same.
            with suppress(OSError):
                family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
                wires.append(stretched.enter_context(socket.create_server(address, family=family)))
        yield caught
        for wire in wires:
            # The kernel has accepted whoever came, so that nobody has to be waited for.
            wire.setblocking(False)
            with suppress(BlockingIOError):
                caught.append(wire.accept()[1])


@pytest.fixture(scope="module")
def liar() -> Iterator[Liar]:
    with Liar() as liar:
        yield liar


@pytest.fixture(scope="module")
def misled(deployment: Deployment, liar: Liar) -> Iterator[ServeServer]:
    """A server that asks the liar."""
    settings = {"LIME_DNS_SERVERS": liar.address, "LIME_TRUSTED_PROXIES": "127.0.0.0/8"}
    with deployment.server("misled", **settings) as server:
        yield server


@pytest.fixture
def owner(deployment: Deployment, misled: ServeServer) -> Iterator[Household]:
    """Somebody new each time: checks are counted per owner."""
    made = Household(deployment, misled)
    yield made
    made.close()


def check(owner: Household, domain: str, method: str = "file") -> dict[str, Any]:
    """Claim a domain for the owner's site, and let the server look for the proof."""
    site = owner.ids["site_id"]
    data(owner.post(f"/foundation/sites/{site}/domain", {"domain": domain}))
    return data(owner.post(f"/foundation/sites/{site}/domain/check", {"method": method}))


def rechecked(owner: Household) -> dict[str, Any]:
    """The same, of the domain that is claimed already."""
    path = f"/foundation/sites/{owner.ids['site_id']}/domain/check"
    return data(owner.post(path, {"method": "file"}))


def test_a_name_that_means_something_inside_is_not_fetched(liar: Liar, owner: Household) -> None:
    told = set()
    with tripwire() as caught:
        for number, address in enumerate(INSIDE[:10]):
            domain = f"inside{number}.shop.example"
            liar.answers[domain] = [[address]]
            found = check(owner, domain)
            assert found["domain_verified"] is False, address
            told.add(found["problem"].replace(domain, "NAME"))
    assert caught == []
    # Whatever is there, the owner hears the same, and not what it is.
    assert told == {"NAME is not at a public address."}


def test_nor_is_one_that_hides_it_in_ipv6(liar: Liar, owner: Household) -> None:
    with tripwire() as caught:
        for number, address in enumerate(INSIDE[10:]):
            domain = f"hidden{number}.shop.example"
            liar.answers[domain] = [[address]]
            assert check(owner, domain)["problem"] == f"{domain} is not at a public address."
    assert caught == []


@pytest.mark.parametrize("other", ["127.0.0.1", "::1", "::ffff:10.0.0.1", "169.254.169.254"])
def test_one_good_address_does_not_vouch_for_another(
    liar: Liar, owner: Household, other: str
) -> None:
    domain = f"mixed{INSIDE.index(other)}.shop.example"
    liar.answers[domain] = [[UNROUTED, other]]
    with tripwire() as caught:
        assert check(owner, domain)["problem"] == f"{domain} is not at a public address."
    assert caught == []


@pytest.mark.parametrize("inside", ["127.0.0.1", "::1", "169.254.169.254", "::ffff:10.0.0.1"])
def test_a_name_that_is_bound_to_another_address_after_the_look_is_not_followed(
    liar: Liar, owner: Household, inside: str
) -> None:
    domain = f"rebound{INSIDE.index(inside)}.shop.example"
    # Public when the server looks, and inside for whoever asks again.
    liar.answers[domain] = [[UNROUTED], [inside]]
    with tripwire() as caught:
        found = check(owner, domain)
        # The address that was looked at is the one that was tried: nobody asked a second time.
        assert found["problem"] == f"{domain} could not be reached over https."
        assert liar.asked[domain, "A"] == liar.asked[domain, "AAAA"] == 1
        again = rechecked(owner)
        assert again["problem"] == f"{domain} is not at a public address."
    assert caught == []
    assert again["domain_verified"] is False


def asked_for_access(server: ServeServer, domain: str) -> str:
    """The page that a client gets whose document would be at this domain."""
    query = {"client_id": f"https://{domain}/client.json", "redirect_uri": "https://a.example/"}
    url = f"{server.api_base}/modules/oauth/authorize"
    answer = httpx.get(url, params=query, headers=somewhere(), trust_env=False, timeout=20)
    assert answer.status_code == 400
    assert "location" not in answer.headers
    return answer.text.replace(domain, "NAME")


def test_a_clients_document_leads_inside_as_little(liar: Liar, misled: ServeServer) -> None:
    told = set()
    with tripwire() as caught:
        for number, address in enumerate(INSIDE):
            domain = f"client{number}.shop.com"
            liar.answers[domain] = [[address]]
            told.add(asked_for_access(misled, domain))
            liar.answers[f"mixed-{domain}"] = [[UNROUTED, address]]
            told.add(asked_for_access(misled, f"mixed-{domain}").replace("mixed-", ""))
    assert caught == []
    assert len(told) == 1


@pytest.mark.parametrize("inside", ["127.0.0.1", "::1", "169.254.169.254", "::ffff:10.0.0.1"])
def test_nor_when_its_name_is_bound_to_another_address_after_the_look(
    liar: Liar, misled: ServeServer, inside: str
) -> None:
    domain = f"client-rebound{INSIDE.index(inside)}.shop.com"
    liar.answers[domain] = [[UNROUTED], [inside]]
    with tripwire() as caught:
        asked_for_access(misled, domain)
        assert liar.asked[domain, "A"] == liar.asked[domain, "AAAA"] == 1
        asked_for_access(misled, domain)
    assert caught == []


def test_the_search_domains_of_the_machine_are_nobodys_business(
    liar: Liar, owner: Household
) -> None:
    check(owner, "metadata.google.internal.shop.example")
    assert {name for name, _ in liar.asked if "metadata" in name} == {
        "metadata.google.internal.shop.example"
    }
