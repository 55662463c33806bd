"""Questions to a name server of our own, over UDP on loopback."""

import asyncio
from contextlib import asynccontextmanager
from ipaddress import ip_address

import dns.message
import dns.rcode
import dns.rrset
import pytest
from dns.asyncresolver import Resolver
from dns.resolver import NoResolverConfiguration

from lime_server.infrastructure.dns import Dns, DnsError, resolvers

ZONE = {
    ("_lime.shop.example.", "TXT"): ['"lime-site-" "verification=abc"', '"v=spf1 -all"'],
    ("latin.example.", "TXT"): ['"\\252"'],
    ("shop.example.", "A"): ["93.184.216.34"],
    ("shop.example.", "AAAA"): ["2606:4700::1111"],
    ("old.example.", "A"): ["10.0.0.1"],
}


class NameServer(asyncio.DatagramProtocol):
    """Answers from ZONE."""

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, peer):
        query = dns.message.from_wire(data)
        (question,) = query.question
        answer = dns.message.make_response(query)
        name, kind = question.name.to_text(), dns.rdatatype.to_text(question.rdtype)
        if records := ZONE.get((name, kind)):
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *records))
        elif not any(known == name for known, _ in ZONE):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        self.transport.sendto(answer.to_wire(), peer)


@asynccontextmanager
async def name_server():
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))

    def resolver():
        made = Resolver(configure=False)
        made.nameservers = ["127.0.0.1"]
        made.port = transport.get_extra_info("sockname")[1]
        return made

    try:
        yield Dns(resolver)
    finally:
        transport.close()


async def test_a_txt_record_is_one_text_however_it_was_cut():
    async with name_server() as names:
        found = await names.txt("_lime.shop.example")
        assert sorted(found) == ["lime-site-verification=abc", "v=spf1 -all"]
        assert await names.txt("latin.example") == ["\ufffd"]


async def test_a_name_may_have_addresses_of_both_kinds_or_one():
    async with name_server() as names:
        both = [ip_address("93.184.216.34"), ip_address("2606:4700::1111")]
        assert await names.addresses("shop.example") == both
        assert await names.addresses("old.example") == [ip_address("10.0.0.1")]


@pytest.mark.parametrize("name", ["none.example", "shop.example", "a..b", "x" * 64 + ".example"])
async def test_what_is_not_there_is_said_to_be_not_there(name):
    async with name_server() as names:
        with pytest.raises(DnsError, match="No TXT record of"):
            await names.txt(name)


async def test_a_name_without_address_is_said_to_be_that():
    async with name_server() as names:
        with pytest.raises(DnsError, match="has no address"):
            await names.addresses("none.example")


async def test_the_name_servers_that_were_chosen_are_asked():
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    try:
        names = Dns(resolvers([("127.0.0.1", transport.get_extra_info("sockname")[1])]))
        assert await names.addresses("old.example") == [ip_address("10.0.0.1")]
    finally:
        transport.close()


def test_without_a_choice_the_machines_own_are_asked():
    assert resolvers(()) is Resolver


async def test_a_machine_without_resolver_finds_nothing():
    def unconfigured():
        raise NoResolverConfiguration

    with pytest.raises(DnsError):
        await Dns(unconfigured).txt("shop.example")
