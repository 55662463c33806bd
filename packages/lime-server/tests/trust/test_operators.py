"""Operators stop things, and lift that, with a reason that everybody concerned can read."""

import asyncio

import pytest

from lime_server.core.errors import (
    AgentInactive,
    AgentUserSuspended,
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    SiteSuspended,
)
from lime_server.foundation.operators import Kind

NOBODY = "0190a2b4-0000-7000-8000-000000000000"
WHY = "It sends spam."


async def agent(world):
    return await world.agents.authenticate(world.agent_token.text)


async def site(world):
    return await world.sites.authenticate(world.site_token.text)


async def test_a_suspended_agent_is_refused_until_it_is_restored(world):
    me = world.operator.owner_id
    await world.operators.suspend(me, Kind.AGENT, world.agent.agent_id, WHY)
    with pytest.raises(AgentInactive, match="suspended"):
        await agent(world)
    assert (await site(world)).site_id == world.site.site_id
    await world.operators.restore(me, Kind.AGENT, world.agent.agent_id, "It was not.")
    assert (await agent(world)).in_good_standing


async def test_a_suspended_site_is_refused_until_it_is_restored(world):
    me = world.operator.owner_id
    await world.operators.suspend(me, Kind.SITE, world.site.site_id, WHY)
    with pytest.raises(SiteSuspended):
        await site(world)
    await world.operators.restore(me, Kind.SITE, world.site.site_id, WHY)
    assert not (await site(world)).suspended


async def test_a_suspended_owner_stops_everything_they_answer_for(world):
    me = world.operator.owner_id
    await world.operators.suspend(me, Kind.OWNER, world.owner.owner_id, WHY)
    assert (await world.owner_now(world.owner)).suspended
    with pytest.raises(AgentUserSuspended):
        await agent(world)
    with pytest.raises(SiteSuspended):
        await site(world)
    await world.operators.restore(me, Kind.OWNER, world.owner.owner_id, WHY)
    await agent(world)
    await site(world)


async def test_restoring_an_owner_does_not_restore_what_was_suspended_by_itself(world):
    me = world.operator.owner_id
    await world.operators.suspend(me, Kind.AGENT, world.agent.agent_id, WHY)
    await world.operators.suspend(me, Kind.OWNER, world.owner.owner_id, WHY)
    await world.operators.restore(me, Kind.OWNER, world.owner.owner_id, WHY)
    with pytest.raises(AgentInactive):
        await agent(world)


@pytest.mark.parametrize("kind", list(Kind))
async def test_both_chains_tell_who_did_it_and_why(world, kind):
    me = world.operator.owner_id
    made = await world.operators.suspend(me, kind, world.ids[kind].upper(), f" {WHY} ")
    assert (made.kind, made.id, made.suspended) == (kind, world.ids[kind], True)
    assert made.owner_id == world.owner.owner_id
    await world.operators.restore(me, kind, world.ids[kind], "It was not.")
    told = [("operator", f"{kind.target}.suspended"), ("operator", f"{kind.target}.restored")]
    assert await world.log(world.owner) == told
    assert (await world.log(world.operator))[-2:] == told
    entries = [entry async for entry in world.audit.entries(world.owner.owner_id)]
    assert [entry.detail["reason"] for entry in entries] == [WHY, "It was not."]
    assert {(e.target.kind, e.target.id) for e in entries} == {(kind.target, world.ids[kind])}
    assert {entry.actor.id for entry in entries} == {me}


@pytest.mark.parametrize("kind", list(Kind))
async def test_doing_it_twice_changes_nothing_and_is_told_once(world, kind):
    me = world.operator.owner_id
    first = await world.operators.suspend(me, kind, world.ids[kind], WHY)
    assert await world.operators.suspend(me, kind, world.ids[kind], WHY) == first
    assert len(await world.log(world.owner)) == 1


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("ident", [NOBODY, "no id"])
async def test_what_is_not_there_cannot_be_suspended(world, kind, ident):
    with pytest.raises(NotFound):
        await world.operators.suspend(world.operator.owner_id, kind, ident, WHY)


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501, "a\nb"])
async def test_a_reason_is_needed(small_world, reason):
    world = small_world
    with pytest.raises(InvalidInput):
        await world.operators.suspend(
            world.operator.owner_id, Kind.AGENT, world.agent.agent_id, reason
        )
    assert await world.log(world.owner) == []


async def test_operators_do_not_judge_themselves(world):
    me = world.operator.owner_id
    for work in (world.operators.suspend, world.operators.restore):
        with pytest.raises(Forbidden):
            await work(me, Kind.OWNER, me.upper(), WHY)


async def test_operators_do_not_judge_what_they_answer_for(world):
    me, other = world.operator.owner_id, world.other.owner_id
    agent, _ = await world.agents.register(me, "Mine")
    site, _ = await world.sites.register(me, "Mine")
    for kind, ident in ((Kind.AGENT, agent.agent_id), (Kind.SITE, site.site_id)):
        with pytest.raises(Forbidden, match="your own"):
            await world.operators.suspend(me, kind, ident, WHY)
        made = await world.operators.suspend(other, kind, ident, WHY)
        with pytest.raises(Forbidden, match="your own"):
            await world.operators.restore(me, kind, ident, WHY)
        assert made.suspended
        assert not (await world.operators.restore(other, kind, ident, WHY)).suspended


async def test_only_operators_in_good_standing_suspend(world):
    with pytest.raises(Forbidden):
        await world.operators.suspend(world.owner.owner_id, Kind.SITE, world.site.site_id, WHY)
    await world.operators.suspend(world.operator.owner_id, Kind.OWNER, world.other.owner_id, WHY)
    with pytest.raises(Forbidden):
        await world.operators.suspend(
            world.other.owner_id, Kind.OWNER, world.operator.owner_id, WHY
        )


async def test_of_two_who_suspend_each_other_at_once_one_is_left(world):
    one, two = world.operator.owner_id, world.other.owner_id
    answers = await asyncio.gather(
        world.operators.suspend(one, Kind.OWNER, two, WHY),
        world.operators.suspend(two, Kind.OWNER, one, WHY),
        return_exceptions=True,
    )
    assert sum(isinstance(answer, Forbidden) for answer in answers) == 1
    assert len(await world.stores.operators.operators()) == 1


async def test_owners_are_found_by_address_and_by_id(world):
    async def found(text, **how):
        return await world.operators.search(text, **({"cursor": None, "limit": 10} | how))

    assert [owner.email for owner in (await found(" OPS")).items] == [
        "ops2@example.com", "ops@example.com",
    ]  # fmt: skip
    assert (await found(world.owner.owner_id)).items == [world.owner]
    assert (await found("%")).items == []
    assert (await found("ops\0")).items == []
    first = await found("", limit=2)
    rest = await found("", limit=2, cursor=first.next_cursor)
    assert [o.email for o in [*first.items, *rest.items]] == [
        "ops2@example.com", "ops@example.com", "ada@example.com",
    ]  # fmt: skip
    assert rest.next_cursor is None
    with pytest.raises(InvalidInput):
        await found("", cursor="x")


async def test_an_operator_sees_what_an_owner_answers_for(world):
    newer, _ = await world.agents.register(world.owner.owner_id, "Newer")
    await world.operators.suspend(world.operator.owner_id, Kind.AGENT, world.agent.agent_id, WHY)
    owner, holdings = await world.operators.look(world.owner.owner_id, limit=10)
    assert owner == world.owner
    assert {(one.kind, one.id, one.suspended, one.active) for one in holdings} == {
        (Kind.AGENT, newer.agent_id, False, True),
        (Kind.AGENT, world.agent.agent_id, True, True),
        (Kind.SITE, world.site.site_id, False, True),
    }
    assert len((await world.operators.look(world.owner.owner_id, limit=1))[1]) == 2
    for ident in (NOBODY, "no id"):
        with pytest.raises(NotFound):
            await world.operators.look(ident, limit=1)


async def test_operators_are_made_and_unmade_from_the_command_line_only(world):
    made = await world.operators.appoint("Ada@example.com")
    assert made.operator
    assert (await world.owner_now(world.owner)).operator
    assert await world.operators.appoint("ada@example.com") == made
    gone = await world.operators.dismiss("ada@example.com")
    assert not gone.operator
    assert not (await world.owner_now(world.owner)).operator
    assert await world.operators.dismiss("ada@example.com") == gone
    assert await world.log(world.owner) == [
        ("system", "operator.appointed"), ("system", "operator.dismissed"),
    ]  # fmt: skip
    for work in (world.operators.appoint, world.operators.dismiss):
        with pytest.raises(NotFound):
            await work("nobody@example.com")


async def test_the_last_operator_in_good_standing_stays(world):
    await world.operators.suspend(world.operator.owner_id, Kind.OWNER, world.other.owner_id, WHY)
    with pytest.raises(Conflict):
        await world.operators.dismiss("ops@example.com")
    assert not (await world.operators.dismiss("ops2@example.com")).operator


async def test_an_operator_whose_address_is_taken_is_not_made(world):
    with pytest.raises(Conflict):
        await world.operators.create("ada@example.com")
    assert await world.log(world.owner) == []
