"""What owners do with agents and sites, on both kinds of stores."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from lime_server.core.errors import (
    AgentInactive,
    Conflict,
    InvalidAgentToken,
    InvalidInput,
    NotFound,
    SiteSuspended,
    SiteTokenInvalid,
)
from lime_server.core.held_tokens import MAX_OVERLAP, MAX_TOKENS
from lime_server.modules.agents import service as agents_service
from lime_server.modules.sites import service as sites_service

NOBODY = "0190a2b4-0000-7000-8000-000000000000"
NOT_MINE = [NOBODY, "me", "", "../../x", "0190A2B4"]


def owned(world, kind):
    """The service, its holder, that holder's token, another owner's holder, the recogniser."""
    if kind == "agent":
        return (
            world.owned_agents,
            world.agent.agent_id,
            world.agent_token,
            world.strange_agent.agent_id,
            world.agents,
        )
    return (
        world.owned_sites,
        world.site.site_id,
        world.site_token,
        world.strange_site.site_id,
        world.sites,
    )


both = pytest.mark.parametrize("kind", ["agent", "site"])


async def test_an_agent_is_registered_with_one_token_and_a_line_in_the_log(world):
    agent, token = await world.owned_agents.register(
        world.ada, " Bot ", description="Buys", avatar_url="https://cdn.example/a.png"
    )
    assert (agent.display_name, agent.capabilities) == ("Bot", frozenset())
    assert await world.agents.authenticate(token.text) == agent
    assert await world.owned_agents.read(world.ada, agent.agent_id) == agent
    assert await world.log() == ["agent.registered"]


async def test_a_site_is_registered_with_one_token_and_a_line_in_the_log(world):
    listed, token = await world.owned_sites.register(world.ada, "Shop", domain="Shop.Example")
    assert (listed.site.domain, listed.site.domain_verified) == ("shop.example", False)
    assert await world.sites.authenticate(token.text) == listed.site
    assert await world.owned_sites.read(world.ada, listed.site.site_id) == listed
    assert await world.log() == ["site.registered"]
    bare, _ = await world.owned_sites.register(world.ada, "Shop", domain="")
    assert bare.site.domain is None


async def test_pages_go_from_new_to_old_and_hold_the_own_ones_alone(world):
    for number in range(3):
        world.clock.advance(1)
        await world.owned_agents.register(
            world.ada, f"Agent {number}", description=None, avatar_url=None
        )
        await world.owned_sites.register(world.ada, f"Site {number}", domain=None)
    for service, name in (
        (world.owned_agents, lambda agent: agent.display_name),
        (world.owned_sites, lambda listed: listed.site.display_name),
    ):
        first = await service.page(world.ada, unverified_cursor=None, limit=3)
        rest = await service.page(world.ada, unverified_cursor=first.next_cursor, limit=3)
        names = [name(item) for item in first.items + rest.items]
        assert [one[-1] for one in names[:3]] == ["2", "1", "0"]
        assert len(names) == 4
        assert rest.next_cursor is None
        with pytest.raises(InvalidInput):
            await service.page(world.ada, unverified_cursor="2", limit=3)


async def test_an_agent_is_changed_where_something_is_different(world):
    def edit(agent):
        return replace(agent, display_name="New", description="Does", active=False)

    changed = await world.owned_agents.change(world.ada, world.agent.agent_id, edit)
    assert await world.owned_agents.read(world.ada, world.agent.agent_id) == changed
    assert (changed.display_name, changed.description, changed.active) == ("New", "Does", False)
    with pytest.raises(AgentInactive):
        await world.agents.authenticate(world.agent_token.text)
    again = await world.owned_agents.change(world.ada, world.agent.agent_id, edit)
    assert again == changed
    (entry,) = await world.audit.page(world.ada, limit=10)
    assert entry.detail == {"display_name": "New", "description": "Does", "active": False}
    assert (entry.target.kind, entry.target.id) == ("agent", world.agent.agent_id)


async def test_a_site_that_is_switched_off_is_refused_like_a_suspended_one(world):
    site_id = world.site.site_id

    async def switch(active):
        def edit(site):
            return replace(site, active=active)

        return await world.owned_sites.change(world.ada, site_id, edit)

    assert not (await switch(False)).site.active
    with pytest.raises(SiteSuspended):
        await world.sites.authenticate(world.site_token.text)
    await switch(True)
    assert (await world.sites.authenticate(world.site_token.text)).active
    assert await world.log() == ["site.changed", "site.changed"]


async def test_capabilities_are_given_and_taken_away(world):
    agent_id = world.agent.agent_id
    given = frozenset({"oauth:mcp"})
    await world.owned_agents.set_capabilities(world.ada, agent_id, given)
    assert (await world.agents.authenticate(world.agent_token.text)).capabilities == given
    taken = await world.owned_agents.set_capabilities(world.ada, agent_id, frozenset())
    assert taken.capabilities == frozenset()
    with pytest.raises(InvalidInput) as error:
        await world.owned_agents.set_capabilities(world.ada, agent_id, frozenset({"root"}))
    assert error.value.detail["unknown"] == ["root"]


@both
async def test_what_is_deleted_leaves_a_tombstone(world, kind):
    service, ident, token, _, recogniser = owned(world, kind)
    await service.delete(world.ada, ident)
    with pytest.raises((InvalidAgentToken, SiteTokenInvalid)):
        await recogniser.authenticate(token.text)
    for attempt in (
        service.read(world.ada, ident),
        service.delete(world.ada, ident),
        service.tokens(world.ada, ident),
        service.rotate(world.ada, ident, timedelta(0)),
        service.change(world.ada, ident, lambda one: replace(one, active=True)),
        recogniser.owned_by(world.ada, ident),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert (await service.page(world.ada, unverified_cursor=None, limit=9)).items == []
    assert await world.log() == [f"{kind}.deleted"]


@both
async def test_another_owners_things_do_not_exist(world, kind):
    service, _, _, theirs, recogniser = owned(world, kind)
    for ident in [theirs, *NOT_MINE]:
        for attempt in (
            service.read(world.ada, ident),
            service.delete(world.ada, ident),
            service.tokens(world.ada, ident),
            service.rotate(world.ada, ident, timedelta(0)),
            service.change(world.ada, ident, lambda one: replace(one, display_name="Mine")),
            recogniser.owned_by(world.ada, ident),
        ):
            with pytest.raises(NotFound):
                await attempt
    assert await world.log() == []
    assert await recogniser.owned_by(world.bob, theirs)


@both
async def test_both_tokens_work_during_the_overlap_and_the_new_one_after_it(world, kind):
    service, ident, old, _, recogniser = owned(world, kind)
    world.clock.advance(5)
    held, new = await service.rotate(world.ada, ident, timedelta(seconds=60))
    assert await recogniser.authenticate(old.text)
    assert await recogniser.authenticate(new.text)
    listed = await service.tokens(world.ada, ident)
    now = world.clock.now()
    assert [token.expires_at for token in listed] == [None, now + timedelta(seconds=60)]
    assert listed[0] == held
    world.clock.advance(60)
    with pytest.raises((InvalidAgentToken, SiteTokenInvalid)):
        await recogniser.authenticate(old.text)
    assert await recogniser.authenticate(new.text)
    assert len(await service.tokens(world.ada, ident)) == 1
    assert await world.log() == [f"{kind}.token.rotated"]


async def test_what_an_old_token_opened_is_known_to_end_with_its_overlap(world):
    token_hash = (await world.sites.admit(world.site_token.text)).token_hash
    await world.owned_sites.rotate(world.ada, world.site.site_id, timedelta(seconds=60))
    spent, now = world.sites._store.spent, world.clock.now()
    assert await spent({token_hash}, now + timedelta(seconds=59)) == set()
    assert await spent({token_hash}, now + timedelta(seconds=60)) == {token_hash}
    await world.owned_sites.delete(world.ada, world.site.site_id)
    assert await spent({token_hash}, now) == {token_hash}


@both
async def test_a_rotation_never_lets_an_old_token_work_longer(world, kind):
    service, ident, _, _, _ = owned(world, kind)
    now = world.clock.now()
    await service.rotate(world.ada, ident, timedelta(seconds=10))
    await service.rotate(world.ada, ident, MAX_OVERLAP)
    ends = {token.expires_at for token in await service.tokens(world.ada, ident)}
    assert ends == {None, now + timedelta(seconds=10), now + MAX_OVERLAP}
    world.clock.advance(10)
    # What no longer works is forgotten by the next rotation.
    await service.rotate(world.ada, ident, timedelta(0))
    (only,) = await service.tokens(world.ada, ident)
    assert only.expires_at is None


@both
async def test_tokens_do_not_pile_up(world, kind):
    service, ident, _, _, _ = owned(world, kind)
    for _ in range(MAX_TOKENS - 1):
        await service.rotate(world.ada, ident, MAX_OVERLAP)
    with pytest.raises(Conflict):
        await service.rotate(world.ada, ident, MAX_OVERLAP)
    for unfit in (timedelta(seconds=-1), MAX_OVERLAP + timedelta(seconds=1)):
        with pytest.raises(InvalidInput):
            await service.rotate(world.ada, ident, unfit)
    await service.rotate(world.ada, ident, timedelta(0))
    assert len(await service.tokens(world.ada, ident)) == 1


@both
async def test_of_rotations_at_once_one_token_is_the_newest(world, kind):
    service, ident, _, _, _ = owned(world, kind)
    await asyncio.gather(*(service.rotate(world.ada, ident, timedelta(0)) for _ in range(5)))
    assert len(await service.tokens(world.ada, ident)) == 1


@both
async def test_the_last_use_is_known_to_the_minute(world, kind):
    service, ident, token, _, recogniser = owned(world, kind)
    use = world.registry.uses[0 if kind == "agent" else 1]

    async def last_used():
        (held,) = await service.tokens(world.ada, ident)
        holder = await recogniser.owned_by(world.ada, ident)
        assert holder.last_used_at == held.last_used_at
        return held.last_used_at

    assert await last_used() is None
    first = world.clock.now()
    await recogniser.authenticate(token.text)
    await use.flush()
    assert await last_used() == first
    world.clock.advance(59)
    await recogniser.authenticate(token.text)
    await use.flush()
    assert await last_used() == first
    world.clock.advance(1)
    await recogniser.authenticate(token.text)
    use.note(b"nobody's")
    await use.flush()
    assert await last_used() == world.clock.now()


@both
async def test_an_owner_has_only_so_many(small_world, kind, monkeypatch):
    monkeypatch.setattr(agents_service, "MAX_AGENTS", 1)
    monkeypatch.setattr(sites_service, "MAX_SITES", 1)
    service, *_ = owned(small_world, kind)
    told = {"domain": None} if kind == "site" else {"description": None, "avatar_url": None}
    with pytest.raises(Conflict):
        await service.register(small_world.ada, "One more", **told)


@both
async def test_of_registrations_at_once_no_more_are_made_than_an_owner_may_have(
    world, kind, monkeypatch
):
    monkeypatch.setattr(agents_service, "MAX_AGENTS", 3)
    monkeypatch.setattr(sites_service, "MAX_SITES", 3)
    service, *_ = owned(world, kind)
    told = {"domain": None} if kind == "site" else {"description": None, "avatar_url": None}
    made = await asyncio.gather(
        *(service.register(world.ada, "Another", **told) for _ in range(12)),
        return_exceptions=True,
    )
    assert sum(isinstance(one, Conflict) for one in made) == 10
    assert len((await service.page(world.ada, unverified_cursor=None, limit=50)).items) == 3


async def test_redirect_uris_are_kept_in_order_and_once(world):
    site_id = world.site.site_id
    uris = ["https://shop.example/b", "https://shop.example/a?x=1", "https://shop.example/b"]
    listed = await world.owned_sites.set_redirect_uris(world.ada, site_id, uris)
    assert listed.redirect_uris == tuple(uris[:2])
    assert await world.sites.redirect_uris(site_id) == tuple(uris[:2])
    (found,) = (await world.owned_sites.page(world.ada, unverified_cursor=None, limit=9)).items
    assert found.redirect_uris == tuple(uris[:2])
    assert await world.sites.redirect_uris(NOBODY) == ()
    # The log keeps what changed, for good; the same list again is nothing.
    assert await world.owned_sites.set_redirect_uris(world.ada, site_id, uris) == listed
    assert await world.log() == ["site.redirect-uris.changed"]


@pytest.mark.parametrize(
    "uri",
    [
        "http://shop.example/",
        "http://127.0.0.1/",
        "https://shop.example/#top",
        "https://*.shop.example/",
        "https://shop.example/*",
        "https://me@shop.example/",
        "https://shop.example\\@evil.example/",
        "shop.example",
        "javascript:alert(1)",
        "https://shop.example/" + "a" * 2048,
        "",
    ],
)
async def test_an_unfit_redirect_uri_changes_nothing(small_world, uri):
    site_id = small_world.site.site_id
    with pytest.raises(InvalidInput) as error:
        await small_world.owned_sites.set_redirect_uris(
            small_world.ada, site_id, ["https://shop.example/", uri]
        )
    assert error.value.detail == {"field": "redirect_uris.1"}
    assert await small_world.sites.redirect_uris(site_id) == ()


async def test_there_are_at_most_twenty_redirect_uris(small_world):
    uris = [f"https://shop.example/{number}" for number in range(21)]
    set_them = small_world.owned_sites.set_redirect_uris
    with pytest.raises(InvalidInput):
        await set_them(small_world.ada, small_world.site.site_id, uris)
    await set_them(small_world.ada, small_world.site.site_id, uris[:20])


async def test_loopback_is_fit_for_a_server_that_is_there_itself(small_world):
    small_world.owned_sites._loopback_too = True
    uris = ["http://127.0.0.1:8000/back", "http://localhost/back", "http://[::1]/"]
    listed = await small_world.owned_sites.set_redirect_uris(
        small_world.ada, small_world.site.site_id, uris
    )
    assert listed.redirect_uris == tuple(uris)
