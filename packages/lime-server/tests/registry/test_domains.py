"""Who holds a domain?"""

import pytest

from lime_server.core.errors import Conflict, InvalidInput, NotFound, RateLimited
from lime_server.modules.sites.proof import Method, Proof
from lime_server.modules.sites.service import CHECKS


async def claimed(world, domain="shop.example"):
    return await world.owned_sites.claim_domain(world.ada, world.site.site_id, domain)


async def check(world, method=Method.DNS):
    return await world.owned_sites.check_domain(world.ada, world.site.site_id, method)


async def verified(world):
    return (await world.sites.owned_by(world.ada, world.site.site_id)).domain_verified


async def test_a_txt_record_proves_a_domain(world):
    proof = await claimed(world, "Shop.Example.")
    assert proof.dns_name == "_lime.shop.example"
    world.proofs.records[proof.dns_name] = ["v=spf1 -all", f" {proof.value} "]
    assert await check(world) is None
    assert await verified(world)
    assert await world.log() == ["site.changed", "site.changed"]


async def test_a_file_proves_a_domain(world):
    proof = await claimed(world)
    assert proof.url == "https://shop.example/.well-known/lime-site"
    world.proofs.files[proof.url] = proof.value + "\n"
    assert await check(world, Method.FILE) is None
    assert await verified(world)


async def test_the_proof_belongs_to_one_site_and_one_domain(small_world):
    world = small_world
    proof = await claimed(world)
    assert proof == await claimed(world)
    assert proof.value.startswith("lime-site-verification=")
    secrets = world.registry.proof_secrets
    others = {
        Proof.of(world.strange_site.site_id, "shop.example", secrets).value,
        Proof.of(world.site.site_id, "other.example", secrets).value,
    }
    assert proof.value not in others
    for value in others:
        world.proofs.records[proof.dns_name] = [value]
        world.proofs.files[proof.url] = value
        assert "_lime.shop.example" in await check(world)
        assert "something else" in await check(world, Method.FILE)
    assert not await verified(world)


async def test_what_is_not_found_takes_nothing_away(small_world):
    world = small_world
    proof = await claimed(world)
    world.proofs.records[proof.dns_name] = [proof.value]
    await check(world)
    world.proofs.records.clear()
    assert "No TXT record" in await check(world)
    assert await verified(world)
    await claimed(world)
    assert await verified(world)


async def test_another_domain_is_unproven(world):
    proof = await claimed(world)
    world.proofs.records[proof.dns_name] = [proof.value]
    await check(world)
    await claimed(world, "other.example")
    assert not await verified(world)


async def test_a_domain_that_changes_during_the_check_is_not_proven(small_world):
    world = small_world
    proof = await claimed(world)

    class Slow:
        async def txt(self, _name):
            await claimed(world, "other.example")
            return [proof.value]

    world.owned_sites._proofs = Slow()
    with pytest.raises(Conflict):
        await check(world)
    assert not await verified(world)


async def test_a_site_without_a_domain_has_nothing_to_check(small_world):
    with pytest.raises(InvalidInput):
        await check(small_world)
    for text in ("", "localhost", "10.0.0.1", "https://shop.example", "a b.example"):
        with pytest.raises(InvalidInput):
            await claimed(small_world, text)


async def test_checks_are_counted_for_the_owner(small_world):
    await claimed(small_world)
    for _ in range(CHECKS.burst):
        await check(small_world)
    with pytest.raises(RateLimited):
        await check(small_world)


async def test_another_owners_site_cannot_be_claimed(small_world):
    world = small_world
    for call in (world.owned_sites.claim_domain, world.owned_sites.check_domain):
        with pytest.raises(NotFound):
            await call(world.bob, world.site.site_id, "shop.example")
