"""How owners become known better, and what is remembered of it."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest

import lime_jwt
from lime_server.core.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    RateLimited,
    Unauthenticated,
)
from lime_server.core.origin import Origin, coming_from
from lime_server.foundation.kyc import (
    _NEXT,
    CALLBACK_AGE,
    CASE_LIFETIME,
    DOCUMENTS_KEPT,
    LARGEST_DOCUMENT,
    PER_NETWORK,
    Case,
    CaseState,
    Upload,
)
from lime_server.foundation.operators import Kind
from lime_server.infrastructure.kyc import sign_callback

NOBODY = "0190a2b4-0000-7000-8000-000000000000"
WHY = "The face is that of the card."


@pytest.fixture
def card(help_):
    return [
        Upload("card.pdf", "application/pdf", help_.PDF),
        Upload("face.png", "image/png", help_.PNG),
    ]


async def opened(world, card, level=2):
    return await world.kyc.open(world.owner.owner_id, level, card)


# The table of states


def a_case(state, clock):
    now = clock.now()
    return Case(
        case_id=NOBODY,
        owner_id=NOBODY,
        provider="manual",
        reference=None,
        target_level=2,
        state=state,
        created_at=now,
        expires_at=now + CASE_LIFETIME,
    )


MOVES = {
    CaseState.SUBMITTED: lambda case, now: case.submitted(),
    CaseState.APPROVED: lambda case, now: case.approved(1, now, by=None, reason=None),
    CaseState.REJECTED: lambda case, now: case.rejected(now, by=None, reason=None),
    CaseState.EXPIRED: lambda case, now: case.expired(now),
}


@pytest.mark.parametrize("before", list(CaseState))
@pytest.mark.parametrize("after", list(MOVES))
def test_what_the_table_does_not_have_cannot_happen(clock, before, after):
    case = a_case(before, clock)
    if after in _NEXT[before]:
        assert MOVES[after](case, clock.now()).state is after
    else:
        with pytest.raises(Conflict):
            MOVES[after](case, clock.now())


def test_every_state_is_in_the_table_and_decisions_are_final():
    assert set(_NEXT) == set(CaseState)
    for state in (CaseState.APPROVED, CaseState.REJECTED, CaseState.EXPIRED):
        assert _NEXT[state] == frozenset()


def test_a_case_that_waited_too_long_expires_by_itself(clock):
    case = a_case(CaseState.SUBMITTED, clock)
    later = case.expires_at
    assert case.at(later - timedelta(seconds=1)) is case
    assert case.at(later).state is CaseState.EXPIRED
    decided = case.rejected(clock.now(), by=None, reason=None)
    assert decided.at(later) is decided


# Reviewed by an operator


async def test_an_owner_hands_in_documents_and_an_operator_grants_a_level(world, card):
    case = await opened(world, card)
    assert (case.state, case.provider) == (CaseState.SUBMITTED, "manual")
    assert await world.kyc.latest(world.owner.owner_id) == case
    assert (await world.kyc.queue(CaseState.SUBMITTED, cursor=None, limit=5)).items == [case]
    done = await world.kyc.approve(world.operator.owner_id, case.case_id, 1, WHY)
    assert (done.state, done.level, done.reason) == (CaseState.APPROVED, 1, WHY)
    assert done.decided_by == world.operator.owner_id
    assert await world.kyc.case(case.case_id.upper()) == done
    assert (await world.owner_now(world.owner)).kyc_level == 1
    assert (await world.agents.authenticate(world.agent_token.text)).kyc_level == 1
    told = [("operator", "kyc.case.approved"), ("operator", "kyc.level.changed")]
    assert await world.log(world.owner) == [("owner", "kyc.case.opened"), *told]
    assert (await world.log(world.operator))[-2:] == told
    last = (await world.audit.page(world.owner.owner_id, limit=1))[0]
    assert last.detail == {"from": 0, "to": 1}


async def test_a_rejection_changes_no_level_and_says_why(world, card):
    case = await opened(world, card)
    done = await world.kyc.reject(world.operator.owner_id, case.case_id, " It is blurred. ")
    assert (done.state, done.level, done.reason) == (CaseState.REJECTED, None, "It is blurred.")
    assert (await world.owner_now(world.owner)).kyc_level == 0
    assert (await world.log(world.owner))[-1] == ("operator", "kyc.case.rejected")
    # And there may be another try.
    world.clock.advance(1)
    again = await opened(world, card)
    assert await world.kyc.latest(world.owner.owner_id) == again


async def test_an_owner_has_one_case_at_a_time(world, card):
    await opened(world, card)
    with pytest.raises(Conflict):
        await opened(world, card)


async def test_of_two_cases_opened_at_once_one_is_kept(world, card):
    answers = await asyncio.gather(opened(world, card), opened(world, card), return_exceptions=True)
    assert sum(isinstance(answer, Conflict) for answer in answers) == 1
    assert await world.log(world.owner) == [("owner", "kyc.case.opened")]


async def test_the_store_refuses_a_second_case_by_itself(world, card, clock):
    case = await opened(world, card)
    other = replace(case, case_id=NOBODY)
    with pytest.raises(Conflict):
        await world.stores.kyc.add(other, [b"", b""])


@pytest.mark.parametrize("level", [0, -1, 4])
async def test_the_level_asked_for_is_a_higher_one(world, card, level):
    with pytest.raises(InvalidInput):
        await opened(world, card, level)


async def test_a_level_that_is_reached_cannot_be_asked_for(world, card):
    await world.stores.kyc.set_level(world.owner.owner_id, 2)
    with pytest.raises(InvalidInput):
        await opened(world, card, 2)
    assert (await opened(world, card, 3)).target_level == 3


async def test_one_network_opens_only_so_many_cases(small_world, card):
    world = small_world

    async def open_from(address, number):
        owner = await world.owners.create(f"x{number}@example.com")
        with coming_from(Origin("request", address, None)):
            return await world.kyc.open(owner.owner_id, 1, card)

    for number in range(PER_NETWORK.burst):
        await open_from(f"2001:db8::{number}", number)
    with pytest.raises(RateLimited):
        await open_from("2001:db8::ffff", 100)
    # Nobody else notices; and what is refused for what it says is not counted.
    await open_from("2001:db8:0:1::1", 101)
    world.clock.advance(1 / PER_NETWORK.rate)
    with pytest.raises(InvalidInput), coming_from(Origin("request", "2001:db8::1", None)):
        await world.kyc.open(world.owner.owner_id, 0, card)
    await open_from("2001:db8::1", 102)


async def test_nobody_has_no_case(world, card):
    with pytest.raises(NotFound):
        await world.kyc.open(NOBODY, 1, card)
    assert await world.kyc.latest(NOBODY) is None


@pytest.mark.parametrize("level", [0, 3])
async def test_no_more_is_granted_than_was_asked_for(world, card, level):
    case = await opened(world, card)
    with pytest.raises(InvalidInput):
        await world.kyc.approve(world.operator.owner_id, case.case_id, level, WHY)


async def test_of_two_operators_one_decides(world, card):
    case = await opened(world, card)
    answers = await asyncio.gather(
        world.kyc.approve(world.operator.owner_id, case.case_id, 2, WHY),
        world.kyc.reject(world.other.owner_id, case.case_id, WHY),
        return_exceptions=True,
    )
    assert sum(isinstance(answer, Conflict) for answer in answers) == 1
    assert len(await world.log(world.owner)) in (2, 3)


async def test_a_decision_that_comes_second_is_refused_by_the_store(world, card, monkeypatch):
    case = await opened(world, card)

    async def stale(_case_id):
        return case

    await world.kyc.reject(world.operator.owner_id, case.case_id, WHY)
    monkeypatch.setattr(world.stores.kyc, "by_id", stale)
    with pytest.raises(Conflict):
        await world.kyc.approve(world.other.owner_id, case.case_id, 2, WHY)
    assert (await world.owner_now(world.owner)).kyc_level == 0


async def test_nobody_decides_about_themselves(world, card):
    case = await world.kyc.open(world.operator.owner_id, 1, card)
    with pytest.raises(Forbidden):
        await world.kyc.approve(world.operator.owner_id, case.case_id, 1, WHY)
    await world.kyc.approve(world.other.owner_id, case.case_id, 1, WHY)


@pytest.mark.parametrize("change", ["suspended", "dismissed"])
async def test_who_is_no_operator_any_more_decides_nothing(world, card, change):
    case = await opened(world, card)
    gone = world.operator.owner_id
    if change == "suspended":
        await world.operators.suspend(world.other.owner_id, Kind.OWNER, gone, WHY)
    else:
        await world.operators.dismiss("ops@example.com")
    before = await world.log(world.owner)
    for work in (
        world.kyc.approve(gone, case.case_id, 1, WHY),
        world.kyc.reject(gone, case.case_id, WHY),
        world.kyc.document(gone, case.case_id, 1),
    ):
        with pytest.raises(Forbidden):
            await work
    assert await world.kyc.case(case.case_id) == case
    assert (await world.owner_now(world.owner)).kyc_level == 0
    assert await world.log(world.owner) == before


async def test_an_operator_suspended_at_that_moment_decides_before_or_not_at_all(world, card):
    case = await opened(world, card)
    decided, _ = await asyncio.gather(
        world.kyc.approve(world.operator.owner_id, case.case_id, 1, WHY),
        world.operators.suspend(world.other.owner_id, Kind.OWNER, world.operator.owner_id, WHY),
        return_exceptions=True,
    )
    level = (await world.owner_now(world.owner)).kyc_level
    assert level == (0 if isinstance(decided, Forbidden) else 1)
    chain = [entry async for entry in world.audit.entries(world.operator.owner_id)]
    told = [entry.action for entry in chain]
    if level:
        assert told.index("kyc.case.approved") < told.index("owner.suspended")


@pytest.mark.parametrize("ident", [NOBODY, "no id"])
async def test_an_unknown_case_is_not_found(world, ident):
    with pytest.raises(NotFound):
        await world.kyc.case(ident)


async def test_cases_come_in_pages(world, card):
    first = await opened(world, card)
    world.clock.advance(1)
    second = await world.kyc.open(world.operator.owner_id, 1, card)
    page = await world.kyc.queue(CaseState.SUBMITTED, cursor=None, limit=1)
    assert page.items == [second]
    rest = await world.kyc.queue(CaseState.SUBMITTED, cursor=page.next_cursor, limit=1)
    assert (rest.items, rest.next_cursor) == ([first], None)


# Documents


async def test_a_document_is_shown_to_operators_and_each_look_is_told(world, card, help_):
    case = await opened(world, card)
    document, content = await world.kyc.document(world.operator.owner_id, case.case_id, 2)
    assert (document.name, document.content_type, content) == ("face.png", "image/png", help_.PNG)
    assert (await world.log(world.owner))[-1] == ("operator", "kyc.document.read")
    assert (await world.log(world.operator))[-1] == ("operator", "kyc.document.read")
    for ident, number in ((case.case_id, 3), (NOBODY, 1)):
        with pytest.raises(NotFound):
            await world.kyc.document(world.operator.owner_id, ident, number)
    assert len(await world.log(world.owner)) == 2


async def test_a_document_that_vanishes_meanwhile_is_not_found(world, card, monkeypatch):
    case = await opened(world, card)

    async def gone(_case_id, _number):
        return None

    assert await world.stores.kyc.content(case.case_id, 9) is None
    monkeypatch.setattr(world.stores.kyc, "content", gone)
    with pytest.raises(NotFound):
        await world.kyc.document(world.operator.owner_id, case.case_id, 1)


async def test_documents_are_sealed_where_they_are(postgres_world, card, help_):
    case = await opened(postgres_world, card)
    database = postgres_world.stores.database
    rows = await database.fetch("SELECT number, sealed FROM foundation.kyc_documents")
    assert all(help_.PDF not in row["sealed"] for row in rows)
    # One that is moved to another place does not open there.
    await database.execute(
        "UPDATE foundation.kyc_documents d SET sealed = o.sealed "
        "FROM foundation.kyc_documents o WHERE d.number = 1 AND o.number = 2"
    )
    with pytest.raises(lime_jwt.DecryptionError):
        await postgres_world.stores.kyc.content(case.case_id, 1)


@pytest.mark.parametrize(
    ("name", "content_type", "content"),
    [
        ("a.pdf", "application/pdf", b"<script>"),
        ("a.html", "text/html", b"<html>"),
        ("a.svg", "image/svg+xml", b"<svg>"),
        ("a.png", "image/png", b"%PDF-"),
        ("", "application/pdf", b"%PDF-"),
        ("a\nb", "application/pdf", b"%PDF-"),
        ("a.pdf", "application/pdf", b""),
        ("a.pdf", "application/pdf", b"%PDF-" + bytes(LARGEST_DOCUMENT)),
    ],
)
async def test_what_is_no_document_is_refused(small_world, name, content_type, content):
    with pytest.raises(InvalidInput):
        await opened(small_world, [Upload(name, content_type, content)])
    assert await small_world.log(small_world.owner) == []


@pytest.mark.parametrize("count", [0, 5])
async def test_there_are_one_to_four_documents(small_world, card, count):
    with pytest.raises(InvalidInput):
        await opened(small_world, card[:1] * count)


async def test_all_documents_together_have_a_limit(small_world):
    big = Upload("a.pdf", "application/pdf", b"%PDF-" + bytes(LARGEST_DOCUMENT - 5))
    with pytest.raises(InvalidInput, match="in all"):
        await opened(small_world, [big] * 3)


def test_what_a_document_holds_does_not_show(help_):
    assert "who I am" not in repr(Upload("a.pdf", "application/pdf", help_.PDF))


# What time does


async def test_a_case_that_waits_too_long_expires_and_makes_room(world, card):
    first = await opened(world, card)
    world.clock.advance(CASE_LIFETIME.total_seconds())
    assert (await world.kyc.latest(world.owner.owner_id)).state is CaseState.EXPIRED
    with pytest.raises(Conflict):
        await world.kyc.approve(world.operator.owner_id, first.case_id, 1, WHY)
    second = await opened(world, card)
    assert second.state is CaseState.SUBMITTED
    assert [action for _, action in await world.log(world.owner)] == [
        "kyc.case.opened", "kyc.case.expired", "kyc.case.opened",
    ]  # fmt: skip


async def test_the_sweep_expires_cases_and_later_deletes_their_documents(world, card, help_):
    case = await opened(world, card)
    assert await world.kyc.sweep() == 0
    world.clock.advance(CASE_LIFETIME.total_seconds())
    assert await world.kyc.sweep() == 1
    assert await world.kyc.sweep() == 0
    assert (await world.kyc.case(case.case_id)).documents == case.documents
    world.clock.advance(DOCUMENTS_KEPT.total_seconds() + 1)
    assert await world.kyc.sweep() == 2
    assert (await world.kyc.case(case.case_id)).documents == ()
    assert (await world.log(world.owner))[-1] == ("system", "kyc.case.expired")


async def test_two_sweeps_tell_of_an_expired_case_once(world, card):
    case = await opened(world, card)
    world.clock.advance(CASE_LIFETIME.total_seconds())
    await asyncio.gather(world.kyc._expire(case), world.kyc._expire(case))
    assert len(await world.log(world.owner)) == 2


# Decided by signed webhooks


class Script:
    """Somebody who knows the secret."""

    def __init__(self, world, help_):
        self.world = world
        self.secret = help_.WEBHOOK_SECRET
        self.kyc = world.reviewed_by(help_.ScriptedKyc())
        self.count = 0

    async def opened(self):
        return await self.kyc.open(self.world.owner.owner_id, 2, [])

    def body(self, case, outcome, **more):
        self.count += 1
        said = {"event_id": f"e{self.count}", "reference": case.reference, "outcome": outcome}
        return json.dumps(said | more).encode()

    async def send(self, body, *, at=None, secret=None):
        signature = sign_callback(secret or self.secret, body, at or self.world.clock.now())
        return await self.kyc.called_back("scripted", signature, body)

    async def say(self, case, outcome, **more):
        return await self.send(self.body(case, outcome, **more))


@pytest.fixture
def script(world, help_):
    return Script(world, help_)


async def test_a_provider_submits_and_approves(world, script):
    case = await script.opened()
    assert (case.state, case.provider) == (CaseState.OPEN, "scripted")
    assert not script.kyc.takes_documents
    assert (await script.say(case, "submitted")).state is CaseState.SUBMITTED
    done = await script.say(case, "approved", level=1, reason="Seen")
    assert (done.state, done.level, done.decided_by) == (CaseState.APPROVED, 1, None)
    assert (await world.owner_now(world.owner)).kyc_level == 1
    assert await world.log(world.owner) == [
        ("owner", "kyc.case.opened"),
        ("system", "kyc.case.submitted"),
        ("system", "kyc.case.approved"),
        ("system", "kyc.level.changed"),
    ]
    assert (await world.audit.page(world.owner.owner_id, limit=1))[0].actor.id == "kyc:scripted"


async def test_an_approval_without_a_level_grants_what_was_asked_for(world, script):
    assert (await script.say(await script.opened(), "approved")).level == 2


@pytest.mark.parametrize("outcome", ["rejected", "expired"])
async def test_a_provider_gives_up(world, script, outcome):
    case = await script.opened()
    done = await script.say(case, outcome, reason="No face")
    assert done.state == outcome.upper()
    assert (await world.owner_now(world.owner)).kyc_level == 0


async def test_a_callback_works_once(world, script):
    case = await script.opened()
    body = script.body(case, "submitted")
    await script.send(body)
    with pytest.raises(Conflict, match="before"):
        await script.send(body)
    world.clock.advance(1)
    with pytest.raises(Conflict, match="before"):
        await script.send(body)
    assert len(await world.log(world.owner)) == 2


async def test_a_callback_that_changes_nothing_may_come_again_when_it_can(world, script):
    case = await script.opened()
    body = script.body(replace(case, reference="later"), "submitted")
    for _ in range(2):
        # Not "before": what failed was undone.
        with pytest.raises(NotFound):
            await script.send(body)
    await script.say(case, "approved")
    with pytest.raises(Conflict, match="APPROVED"):
        await script.say(case, "submitted")


async def test_of_fifty_equal_callbacks_one_works(world, script):
    body = script.body(await script.opened(), "approved")
    answers = await asyncio.gather(*(script.send(body) for _ in range(50)), return_exceptions=True)
    assert sum(isinstance(answer, Conflict) for answer in answers) == 49
    assert len(await world.log(world.owner)) == 3


async def test_a_level_is_only_ever_raised(world, script):
    case = await script.opened()
    await world.stores.kyc.set_level(world.owner.owner_id, 3)
    await script.say(case, "approved")
    assert (await world.owner_now(world.owner)).kyc_level == 3


@pytest.mark.parametrize("seconds", [-301, 301])
async def test_an_old_or_early_callback_is_refused(world, script, seconds):
    body = script.body(await script.opened(), "approved")
    at = world.clock.now() + timedelta(seconds=seconds)
    with pytest.raises(Unauthenticated):
        await script.send(body, at=at)
    assert CALLBACK_AGE.total_seconds() == 300


@pytest.mark.parametrize(
    "signature", ["", "x", "t=1,v1=00", "v1=" + "0" * 64, "t=1764000000,v1=" + "0" * 64]
)
async def test_a_callback_that_was_not_signed_is_refused(world, script, signature):
    body = script.body(await script.opened(), "approved")
    with pytest.raises(Unauthenticated):
        await script.kyc.called_back("scripted", signature, body)


async def test_another_secret_or_a_changed_body_is_refused(world, script):
    case = await script.opened()
    body = script.body(case, "approved")
    with pytest.raises(Unauthenticated):
        await script.send(body, secret=b"another one")
    signature = sign_callback(script.secret, body, world.clock.now())
    with pytest.raises(Unauthenticated):
        await script.kyc.called_back("scripted", signature, body + b" ")


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{}", b"\xff",
        b'{"event_id": "e", "reference": "r", "outcome": "unheard"}',
        b'{"event_id": "", "reference": "r", "outcome": "approved"}',
        b'{"event_id": 1, "reference": "r", "outcome": "approved"}',
        b'{"event_id": "' + b"e" * 129 + b'", "reference": "r", "outcome": "approved"}',
        b'{"event_id": "e", "reference": "r", "outcome": "approved", "level": true}',
        b'{"event_id": "e", "reference": "r", "outcome": "approved", "level": "1"}',
        b'{"event_id": "e\\u0000", "reference": "r", "outcome": "approved"}',
        b'{"event_id": "e", "reference": "\\ud800", "outcome": "approved"}',
        b'{"event_id": "e", "reference": "r", "outcome": "approved", "reason": "\\u0000"}',
        b'{"event_id": "e", "reference": "r", "outcome": "approved", "reason": 1}',
        b'{"event_id": "e", "reference": "r", "outcome": "approved", "reason": "' + b"x" * 501 + b'"}',
    ],
)  # fmt: skip
async def test_a_callback_that_means_nothing_is_refused(small_world, help_, body):
    with pytest.raises(InvalidInput):
        await Script(small_world, help_).send(body)


async def test_callbacks_are_for_the_provider_that_is_configured(world, script):
    with pytest.raises(NotFound):
        await script.kyc.called_back("manual", "", b"")
    with pytest.raises(NotFound):
        await world.kyc.called_back("scripted", "", b"")
    with pytest.raises(NotFound):
        await world.kyc.called_back("manual", "", b"")


async def test_an_operator_waits_until_the_owner_has_handed_in_everything(world, script):
    case = await script.opened()
    with pytest.raises(Conflict):
        await world.kyc.approve(world.operator.owner_id, case.case_id, 1, WHY)
    await script.say(case, "submitted")
    await world.kyc.approve(world.operator.owner_id, case.case_id, 1, WHY)


async def test_a_provider_without_documents_takes_none(script, card):
    with pytest.raises(InvalidInput):
        await script.kyc.open(script.world.owner.owner_id, 1, card)


async def test_old_callbacks_are_forgotten(world, script):
    await script.say(await script.opened(), "rejected")
    world.clock.advance(4 * CALLBACK_AGE.total_seconds() + 1)
    assert await world.kyc.sweep() == 1
