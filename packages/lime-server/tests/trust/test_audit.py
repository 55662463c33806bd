"""A chain for each owner: nothing in it can be changed, taken out or moved unseen."""

import asyncio
import json
from dataclasses import replace

import asyncpg
import pytest

from lime_server.core.errors import InvalidInput
from lime_server.core.origin import Origin, coming_from
from lime_server.foundation import audit as audit_room
from lime_server.foundation.audit import (
    BEGINNING,
    SYSTEM,
    Actor,
    Audit,
    Head,
    Target,
    canonical,
    export_line,
    exported_heads,
)
from lime_server.infrastructure.memory.audit import MemoryAudit

NOBODY = "0190a2b4-0000-7000-8000-000000000000"
ORIGIN = Origin("request-1234", "192.0.2.7", "Browser")


async def chain(world, count=5, email="chain@example.com"):
    """A fresh owner's chain of this many entries."""
    owner = await world.owners.create(email)
    for number in range(count):
        world.clock.advance(1)
        with coming_from(ORIGIN):
            await world.audit.record(
                "agent.token.rotated",
                owner_id=owner.owner_id,
                actor=Actor("owner", owner.owner_id),
                target=Target("agent", world.agent.agent_id),
                detail={"number": number, "text": "ä \u2028", "none": None},
            )
    return owner


async def entries(world, owner):
    return [entry async for entry in world.audit.entries(owner.owner_id)]


async def test_an_entry_says_who_what_when_from_where_and_under_which_request(world):
    owner = await chain(world, 1)
    (entry,) = await entries(world, owner)
    assert (entry.sequence, entry.previous) == (1, BEGINNING)
    assert entry.at == world.clock.now()
    assert (entry.actor, entry.action) == (Actor("owner", owner.owner_id), "agent.token.rotated")
    assert entry.target == Target("agent", world.agent.agent_id)
    assert (entry.request_id, entry.address) == ("request-1234", "192.0.2.7")
    assert entry.detail == {"number": 0, "text": "ä \u2028", "none": None}


async def test_work_that_no_request_asked_for_says_so(world):
    await world.audit.record("owner.created", owner_id=world.owner.owner_id, actor=SYSTEM)
    (entry,) = await entries(world, world.owner)
    assert (entry.request_id, entry.address, entry.target, entry.detail) == (None, None, None, {})


async def test_each_entry_holds_the_hash_of_the_one_before(world):
    found = await entries(world, await chain(world))
    assert [entry.sequence for entry in found] == [1, 2, 3, 4, 5]
    assert [entry.previous for entry in found[1:]] == [entry.hash for entry in found[:-1]]
    assert all(entry.hash == entry.digest() for entry in found)
    assert len({entry.hash for entry in found}) == 5


@pytest.mark.parametrize(
    "change",
    [
        {"entry_id": "0190a2b4-0000-7000-8000-000000000000"},
        {"owner_id": "0190a2b4-0000-7000-8000-000000000000"},
        {"sequence": 9},
        {"actor": Actor("site", "x")},
        {"action": "agent.deleted"},
        {"target": None},
        {"request_id": None},
        {"address": "192.0.2.8"},
        {"detail": {"number": 1}},
        {"previous": b"\1" * 32},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_the_hash_is_over_everything(world, change):
    (entry,) = await entries(world, await chain(world, 1))
    assert replace(entry, **change).digest() != entry.hash


async def test_one_thing_can_concern_several_owners_and_counts_once_each(world):
    await world.audit.record(
        "site.suspended",
        owner_id=world.owner.owner_id,
        actor=SYSTEM,
        also=[world.other.owner_id, world.owner.owner_id],
    )
    assert await world.log(world.owner) == [("system", "site.suspended")]
    assert (await world.log(world.other))[-1] == ("system", "site.suspended")


async def test_where_an_operator_sits_is_not_told_to_the_owner(world):
    with coming_from(ORIGIN):
        await world.audit.record(
            "owner.suspended",
            owner_id=world.owner.owner_id,
            actor=Actor("operator", world.operator.owner_id),
            also=[world.operator.owner_id],
        )
    assert (await entries(world, world.owner))[-1].address is None
    assert (await entries(world, world.operator))[-1].address == "192.0.2.7"


async def test_where_a_site_sits_is_not_told_to_an_agents_owner(world):
    """A site may be behind a shield that its own address would lead around."""
    with coming_from(ORIGIN):
        await world.audit.record(
            "binding.made", owner_id=world.other.owner_id, actor=Actor("site", world.site.site_id)
        )
    made = (await entries(world, world.other))[-1]
    assert (made.address, made.request_id) == (None, "request-1234")


@pytest.mark.parametrize("action", ["", "suspended", "Owner.created", "a.b c", "a..b"])
async def test_actions_have_names_of_one_kind(world, action):
    with pytest.raises(ValueError, match="not the name of an action"):
        await world.audit.record(action, owner_id=world.owner.owner_id, actor=SYSTEM)


async def test_what_cannot_be_written_is_refused_and_nothing_is_kept(world):
    for detail in ({"secret": b"bytes"}, {"number": float("nan")}):
        with pytest.raises((TypeError, ValueError)):
            await world.audit.record(
                "owner.created", owner_id=world.owner.owner_id, actor=SYSTEM, detail=detail
            )
    assert await entries(world, world.owner) == []
    assert (await world.audit.verify()).flaws == []


async def test_a_change_that_is_undone_leaves_no_entry(world):
    async def change():
        async with world.stores.transactions.transaction():
            await world.audit.record("owner.created", owner_id=world.owner.owner_id, actor=SYSTEM)
            raise KeyError

    with pytest.raises(KeyError):
        await change()
    assert await entries(world, world.owner) == []
    assert (await world.audit.verify()).flaws == []


async def test_fifty_at_once_make_one_chain(world):
    owner = await world.owners.create("busy@example.com")
    await asyncio.gather(
        *(
            world.audit.record(
                "agent.renamed", owner_id=owner.owner_id, actor=SYSTEM, detail={"number": number}
            )
            for number in range(50)
        )
    )
    found = await entries(world, owner)
    assert [entry.sequence for entry in found] == list(range(1, 51))
    assert {entry.detail["number"] for entry in found} == set(range(50))
    assert (await world.audit.verify()).flaws == []


async def test_two_chains_in_opposite_order_do_not_wait_for_each_other(world):
    one, two = world.operator.owner_id, world.other.owner_id
    await asyncio.gather(
        *(
            world.audit.record("site.suspended", owner_id=a, actor=SYSTEM, also=[b])
            for a, b in [(one, two), (two, one)] * 10
        )
    )
    assert (await world.audit.verify()).flaws == []


async def test_pages_go_from_the_newest_to_the_oldest(world):
    owner = await chain(world)
    first = await world.audit.page(owner.owner_id, limit=2)
    rest = await world.audit.page(owner.owner_id, before=first[-1].sequence, limit=10)
    assert [entry.sequence for entry in [*first, *rest]] == [5, 4, 3, 2, 1]


async def test_a_long_chain_is_read_in_batches(world, monkeypatch):
    monkeypatch.setattr(audit_room, "BATCH", 2)
    owner = await chain(world)
    assert [entry.sequence for entry in await entries(world, owner)] == [1, 2, 3, 4, 5]
    found = await world.audit.verify()
    assert (found.chains, found.entries, found.flaws) == (3, 7, [])
    assert sorted(await world.audit.owners()) == sorted(
        [owner.owner_id, world.operator.owner_id, world.other.owner_id]
    )


async def test_an_exported_line_is_enough_to_check_the_hash(world):
    import hashlib

    (entry,) = await entries(world, await chain(world, 1))
    line = export_line(entry)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    said = json.loads(line)
    claimed = said.pop("hash")
    assert hashlib.sha256(canonical(said)).hexdigest() == claimed == entry.hash.hex()


async def test_of_an_export_the_last_line_of_each_chain_counts(world):
    one, two = await chain(world, 3), await chain(world, 2, "two@example.com")
    first, second = await entries(world, one), await entries(world, two)
    lines = [export_line(entry) for entry in (*first, *second)]
    for order in (lines, lines[::-1], [*lines, lines[0]]):
        assert exported_heads(order) == {
            one.owner_id: Head(one.owner_id, 3, first[-1].hash),
            two.owner_id: Head(two.owner_id, 2, second[-1].hash),
        }
    assert exported_heads([]) == {}


@pytest.mark.parametrize(
    "line",
    [b"", b"{", b"[]", b"5", b"{}", b'{"hash": 5}', b'{"hash": "x"}', b'{"hash": "00"}', b"[" * 99999,
     b'{"hash": "00", "owner_id": 1, "sequence": null}', b'{"hash": "00", "owner_id": "1", "sequence": 1e999}'],
)  # fmt: skip
async def test_a_line_that_was_not_exported_is_refused(world, line):
    (entry,) = await entries(world, await chain(world, 1))
    good = export_line(entry)
    for lines in ([good, line], [good, good.replace(b'"sequence":1', b'"sequence":2')]):
        with pytest.raises(InvalidInput, match="Line 2 is not as it was exported"):
            exported_heads(lines)


# What somebody who has the database could do to it.


class Rewritten:
    """A store that shows another past than was written."""

    def __init__(self, store):
        self._store = store
        self.past = {}

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def forward(self, owner_id, *, after, limit):
        found = await self._store.forward(owner_id, after=after, limit=limit)
        return [
            shown for entry in found if (shown := self.past.get(entry.sequence, entry)) is not None
        ]


async def flaw_of(help_, owner, world, past):
    store = Rewritten(world.stores.log)
    store.past = past
    reader = Audit(
        store, transactions=world.stores.transactions, seals=help_.SECRETS.audit, clock=world.clock
    )
    world_wide = [flaw for flaw in (await reader.verify()).flaws if flaw.owner_id == owner.owner_id]
    return [(flaw.sequence, flaw.what) for flaw in world_wide]


async def test_a_changed_entry_is_found(world, help_):
    owner = await chain(world)
    third = (await entries(world, owner))[2]
    changed = replace(third, detail={"number": 99})
    assert await flaw_of(help_, owner, world, {3: changed}) == [(3, "changed")]


async def test_a_changed_entry_with_a_fitting_hash_shows_in_the_next(world, help_):
    owner = await chain(world)
    third = (await entries(world, owner))[2]
    changed = replace(third, detail={"number": 99})
    changed = replace(changed, hash=changed.digest())
    ((sequence, what),) = await flaw_of(help_, owner, world, {3: changed})
    assert sequence == 4
    assert "does not follow" in what


async def test_a_missing_entry_is_found(world, help_):
    owner = await chain(world)
    assert await flaw_of(help_, owner, world, {3: None}) == [(3, "missing")]


async def test_two_entries_that_changed_places_are_found(world, help_):
    owner = await chain(world)
    found = await entries(world, owner)
    swapped = {3: replace(found[3], sequence=3), 4: replace(found[2], sequence=4)}
    ((sequence, what),) = await flaw_of(help_, owner, world, swapped)
    assert sequence == 3
    assert "reordered" in what


async def test_an_end_that_was_cut_off_is_found(world, help_):
    owner = await chain(world)
    cut = await flaw_of(help_, owner, world, {4: None, 5: None})
    assert cut == [(4, "missing at the end of the chain")]


async def test_what_was_exported_must_still_be_there(world, help_):
    owner = await chain(world)
    found = await entries(world, owner)

    async def flaws(**known):
        heads = {owner_id: Head(owner_id, *rest) for owner_id, rest in known.items()}
        told = (await world.audit.verify(heads)).flaws
        return [(one.sequence, one.what) for one in told if one.owner_id in known]

    for entry in found:
        assert await flaws(**{owner.owner_id: (entry.sequence, entry.hash)}) == []
    other = {owner.owner_id: (3, found[3].hash)}
    assert await flaws(**other) == [(3, "not what was exported")]
    longer = {owner.owner_id: (7, b"x")}
    assert await flaws(**longer) == [(6, "missing at the end of the chain, and was exported")]
    gone = "missing with its whole chain, which was exported"
    assert await flaws(**{NOBODY: (1, b"x")}) == [(1, gone)]


async def test_what_is_written_while_it_is_read_is_no_flaw(world, help_):
    owner = await chain(world)
    looks = [await world.stores.log.heads()]
    await world.audit.record("agent.renamed", owner_id=owner.owner_id, actor=SYSTEM)

    async def heads():
        return looks.pop() if looks else await world.stores.log.heads()

    store = Rewritten(world.stores.log)
    store.heads = heads
    reader = Audit(
        store, transactions=world.stores.transactions, seals=help_.SECRETS.audit, clock=world.clock
    )
    assert (await reader.verify()).flaws == []


@pytest.mark.parametrize("gap", [0, 1])
async def test_an_entry_that_was_put_behind_the_end_is_found(world, gap):
    """Somebody who has the database, and not the master key, adds what never was."""
    owner = await chain(world)
    last = (await entries(world, owner))[-1]
    entry_id = NOBODY
    sequence = last.sequence + 1 + gap
    forged = replace(last, sequence=sequence, entry_id=entry_id, previous=last.hash)
    (head,) = [one for one in await world.stores.log.heads() if one.owner_id == owner.owner_id]
    await world.stores.log.append(replace(forged, hash=forged.digest()), head)
    if world.stores.database is not None:
        await disarmed(
            world,
            f"UPDATE foundation.audit_heads SET sequence = {head.sequence}, hash = "
            f"'\\x{head.hash.hex()}', seal = '\\x{head.seal.hex()}' WHERE owner_id = $1",
            owner,
        )
    (flaw,) = (await world.audit.verify()).flaws
    assert (flaw.owner_id, flaw.sequence) == (owner.owner_id, 6)
    assert flaw.what == "more than the chain's head says"


async def test_a_chain_that_was_written_anew_lacks_the_seal(world, help_):
    """Somebody who has the database, and not the master key, makes every hash fit."""
    owner = await world.owners.create("forged@example.com")
    forger = Audit(
        world.stores.log,
        transactions=world.stores.transactions,
        seals=help_.SECRETS.tokens,
        clock=world.clock,
    )
    await forger.record("owner.created", owner_id=owner.owner_id, actor=SYSTEM)
    (flaw,) = (await world.audit.verify()).flaws
    assert (flaw.owner_id, flaw.sequence) == (owner.owner_id, 1)
    assert "not sealed" in flaw.what


async def test_a_chain_without_a_head_is_found(world, help_):
    owner = await chain(world)

    async def heads():
        return [Head(owner.owner_id, 0, BEGINNING)]

    store = Rewritten(world.stores.log)
    store.heads = heads
    reader = Audit(
        store, transactions=world.stores.transactions, seals=help_.SECRETS.audit, clock=world.clock
    )
    (flaw,) = (await reader.verify()).flaws
    assert (flaw.sequence, flaw.what) == (5, "not what the chain's head says")


async def test_the_store_names_chains_whose_head_is_gone(world):
    owner = await chain(world)
    if world.stores.database is None:
        store = MemoryAudit()
        store.kept = world.stores.log.kept
    else:
        store = world.stores.log
        await disarmed(world, "DELETE FROM foundation.audit_heads WHERE owner_id = $1", owner)
    (bare,) = [head for head in await store.heads() if head.owner_id == owner.owner_id]
    assert (bare.sequence, bare.hash) == (0, BEGINNING)


async def disarmed(world, statement, owner):
    """Run `statement` as only the owner of the tables can: without their triggers."""
    async with world.stores.database.transaction():
        for table in ("audit_entries", "audit_heads"):
            await world.stores.database.execute(
                f"ALTER TABLE foundation.{table} DISABLE TRIGGER USER"
            )
        await world.stores.database.execute(statement, owner.owner_id)


@pytest.mark.parametrize(
    ("statement", "sequence", "what"),
    [
        ("UPDATE foundation.audit_entries SET action = 'a.b' WHERE owner_id = $1 AND sequence = 2", 2, "changed"),
        ("DELETE FROM foundation.audit_entries WHERE owner_id = $1 AND sequence = 2", 2, "missing"),
        ("DELETE FROM foundation.audit_entries WHERE owner_id = $1 AND sequence > 3", 4, "missing at the end of the chain"),
        ("UPDATE foundation.audit_entries SET sequence = sequence + 10 WHERE owner_id = $1 AND sequence = 5", 5, "missing"),
    ],
)  # fmt: skip
async def test_rows_that_were_tampered_with_are_named(postgres_world, statement, sequence, what):
    world = postgres_world
    owner = await chain(world)
    await disarmed(world, statement, owner)
    (flaw,) = (await world.audit.verify()).flaws
    assert (flaw.owner_id, flaw.sequence, flaw.what) == (owner.owner_id, sequence, what)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE foundation.audit_entries SET action = 'a.b'",
        "DELETE FROM foundation.audit_entries",
        "TRUNCATE foundation.audit_entries",
        "DELETE FROM foundation.audit_heads",
        "TRUNCATE foundation.audit_heads",
    ],
)
async def test_the_database_refuses_to_change_what_was_written(postgres_world, statement):
    world = postgres_world
    await chain(world)
    with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
        await world.stores.database.execute(statement)
