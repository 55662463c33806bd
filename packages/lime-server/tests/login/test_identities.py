"""Owners, agents and sites, on both kinds of stores."""

from datetime import timedelta

import pytest

from lime_server.core.errors import (
    Conflict,
    InvalidAgentToken,
    InvalidInput,
    NotFound,
    SiteTokenInvalid,
)
from lime_server.core.held_tokens import HeldTokens
from lime_server.core.tokens import Token, TokenKind
from lime_server.infrastructure.postgres.pool import Database
from lime_server.infrastructure.postgres.registry import PostgresHeldTokens

NOBODY = "0190a2b4-0000-7000-8000-000000000000"


async def test_an_owner_is_found_by_address_however_it_is_written(world):
    owner = await world.owners.create(" Eve@Example.com ")
    assert owner.email == "eve@example.com"
    assert owner.kyc_level == 0
    assert await world.owners.find("EVE@example.com") == owner
    assert await world.owners.find("mallory@example.com") is None


async def test_an_address_has_one_owner(world):
    with pytest.raises(Conflict):
        await world.owners.create("ADA@example.com")


def _host(length: int) -> str:
    return ".".join(["x" * 63] * 4)[-length:]


@pytest.mark.parametrize("text", [f"{'a' * 64}@{_host(189)}", f"a@{_host(252)}"])
async def test_an_address_is_as_long_as_mail_allows(small_world, text):
    assert (await small_world.owners.create(text)).email == text
    for longer in (f"a{text}", f"{text}x"):
        with pytest.raises(InvalidInput):
            await small_world.owners.create(longer)


@pytest.mark.parametrize("text", ["", "ada", "@example.com", "ada@", "a b@example.com", "a@b@c"])
async def test_what_is_no_address_makes_no_owner(small_world, text):
    with pytest.raises(InvalidInput):
        await small_world.owners.create(text)


async def test_an_agent_is_recognised_by_its_token_and_found_by_its_id(world):
    agent, token = await world.agents.register(
        world.owner.owner_id, " Bot ", description="Buys", avatar_url="https://x.example/a.png"
    )
    assert (agent.display_name, agent.description) == ("Bot", "Buys")
    assert await world.agents.authenticate(token.text) == agent
    assert await world.backend.agents.by_id(agent.agent_id) == agent
    assert await world.backend.agents.by_id(NOBODY) is None


async def test_a_site_is_recognised_by_its_token(world):
    site, token = await world.sites.register(world.owner.owner_id, "Shop", domain="Shop.Example.")
    assert (site.domain, site.domain_verified) == ("shop.example", False)
    assert await world.sites.authenticate(token.text) == site


async def test_agents_and_sites_need_an_owner(world):
    with pytest.raises(NotFound):
        await world.agents.register(NOBODY, "Agent")
    with pytest.raises(NotFound):
        await world.sites.register(NOBODY, "Site")


async def test_the_standing_of_the_owner_comes_with_the_agent(world):
    await world.backend.suspend_owner(world.owner.owner_id, True)
    agent = await world.backend.agents.by_id(world.agent.agent_id)
    assert agent.owner_suspended


async def test_tokens_that_no_longer_work_are_named(world):
    now, hash_ = world.clock.now(), world.sites._tokens.hash
    good, unknown = hash_(world.site_token.text), hash_("st_unknown")
    agents = hash_(world.agent_token.text)
    assert await world.backend.sites.spent({good, unknown, agents}, now) == {unknown, agents}
    assert await world.backend.sites.spent(set(), now) == set()


@pytest.mark.parametrize("kind", [TokenKind.AGENT, TokenKind.SITE])
@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
async def test_a_good_an_unknown_and_a_spent_token_are_looked_up_alike(world, monkeypatch, kind):
    # Times are not compared, because they say little on a busy machine. What is compared is all that
    # could make a difference: every statement, and the kinds and sizes of what goes into it. It is
    # a keyed hash of the token, so that also an index tells nothing of the tokens it holds.
    good, authenticate = {
        TokenKind.AGENT: (world.agent_token, world.agents.authenticate),
        TokenKind.SITE: (world.site_token, world.sites.authenticate),
    }[kind]
    holder = {TokenKind.AGENT: world.agent.agent_id, TokenKind.SITE: world.site.site_id}[kind]
    database = world.backend.agents._database
    store = PostgresHeldTokens(database, kind)
    held = HeldTokens(store, world.sites._tokens, world.clock, kind)
    asked = []
    fetch = Database.fetch

    async def recorded(self, query, *arguments):
        asked.append((query, [_shape(argument) for argument in arguments]))
        return await fetch(self, query, *arguments)

    monkeypatch.setattr(Database, "fetch", recorded)
    for other in ("fetchrow", "fetchval", "execute", "acquire"):
        monkeypatch.setattr(Database, other, None)
    await authenticate(good.text)
    monkeypatch.undo()
    _, new = await held.rotate(holder, timedelta(0))
    world.clock.advance(1)
    monkeypatch.setattr(Database, "fetch", recorded)
    await authenticate(new.text)
    for refused in (good.text, Token.new(kind).text):
        with pytest.raises((InvalidAgentToken, SiteTokenInvalid)):
            await authenticate(refused)
    assert len(asked) == 4
    assert all(each == asked[0] for each in asked)
    assert asked[0][1][0] == [32]


def _shape(argument):
    """The sizes of hashes; of a time, that it is one."""
    return [len(each) for each in argument] if isinstance(argument, list) else type(argument)


async def test_what_admits_a_site_does_not_show(world):
    admission = await world.sites.admit(world.site_token.text)
    assert admission.site == world.site
    assert repr(admission.token_hash) not in repr(admission)


async def test_suspended_and_vanished_sites_are_named(world):
    ids = [world.site.site_id, world.other_site.site_id, NOBODY]
    assert await world.backend.sites.suspended(ids) == {NOBODY}
    await world.backend.suspend_site(world.site.site_id, True)
    await world.backend.suspend_owner(world.landlord.owner_id, True)
    assert await world.backend.sites.suspended(ids) == set(ids)
