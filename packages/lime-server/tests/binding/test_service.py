"""The conversation of protocol section 9, on both kinds of stores."""

import asyncio
import logging
from contextlib import asynccontextmanager
from datetime import timedelta
from types import SimpleNamespace

import pytest

from lime_server.core.errors import (
    AgentInactive,
    BindingCodeInvalid,
    BindingNotFound,
    InvalidInput,
    NotFound,
    RedirectUriNotListed,
    Unavailable,
)
from lime_server.modules.binding import service
from lime_server.modules.binding.model import BindingState, EndedBy
from lime_server.modules.binding.service import Claim, Wish, challenge_of

UNKNOWN = "0190a2b4-0000-7000-8000-000000000000"
NOT_IDS = ["", "x", "../../core/agents/me", UNKNOWN + "0", "\x00", "é" * 36, UNKNOWN]
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"


async def test_a_human_binds_an_agent(world, help_):
    asked = await world.bindings.create(
        world.site, Wish(redirect_uri=help_.CALLBACK, state="the-browsers")
    )
    assert (asked.state, asked.expires_at - asked.created_at) == (
        BindingState.PENDING,
        timedelta(minutes=10),
    )
    known = await world.bindings.look(asked.binding_id.upper())
    assert known.binding == asked
    assert (known.site.display_name, known.site.domain, known.agent_name) == (
        "Shop",
        "shop.example",
        None,
    )
    url = await world.bindings.approve(world.ada, asked.binding_id, world.agent.agent_id)
    assert url.startswith(help_.CALLBACK + "&binding_code=bc_")
    query = help_.query_of(url)
    assert query == {
        "from": "account",
        "binding_code": query["binding_code"],
        "state": "the-browsers",
    }
    exchanged = await world.bindings.exchange(world.site, Claim(code=query["binding_code"]))
    claims = world.claims(exchanged.passport, binding_id=asked.binding_id)
    now = int(world.clock.now().timestamp())
    assert claims.pop("jti")
    assert claims == {
        "iss": help_.ISSUER,
        "aud": "lime-binding",
        "sub": world.agent.agent_id,
        "iat": now,
        "exp": now + 60,
        "binding_id": asked.binding_id,
        "user_id": world.ada,
        "site_id": world.site.site_id,
    }
    assert query["binding_code"] not in repr(exchanged)
    assert exchanged.passport not in repr(exchanged)
    assert await world.actions(world.ada) == [
        ("binding.approved", "owner", asked.binding_id),
        ("binding.made", "site", asked.binding_id),
    ]
    assert (await world.audit.verify()).flaws == []


async def test_a_code_is_not_stored(world):
    code = await world.approved()
    known = await world.backend.bindings.by_code(world.bindings._tokens.hash(code))
    assert known.agent_name == "Agent"
    assert code.removeprefix("bc_") not in repr(known)
    assert code.encode() not in known.binding.code_hash


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "https://shop.example/lime",
        "https://shop.example/lime?from=account&x=1",
        "https://shop.example/lime?from=Account",
        "https://SHOP.example/lime?from=account",
        "https://shop.example:443/lime?from=account",
        "https://shop.example/lime?from=account#",
        "https://shop.example/x/../lime?from=account",
        "https://shop.example.evil.example/lime?from=account",
        "//shop.example/lime?from=account",
        "http://shop.example/lime?from=account",
        "javascript:alert(1)",
    ],
)
async def test_a_redirect_uri_is_one_of_the_list_to_the_letter(small_world, uri):
    with pytest.raises(RedirectUriNotListed):
        await small_world.bindings.create(small_world.site, Wish(redirect_uri=uri))


@pytest.mark.parametrize(
    "wish",
    [
        {"state": ""},
        {"state": "a b"},
        {"state": "é"},
        {"state": "a\r\nb"},
        {"state": "x" * 513},
        {"code_challenge": ""},
        {"code_challenge": "A" * 42},
        {"code_challenge": "A" * 44},
        {"code_challenge": "A" * 42 + "="},
    ],
)
async def test_what_binds_to_a_browser_has_its_form(small_world, help_, wish):
    with pytest.raises(InvalidInput, match="form"):
        await small_world.bindings.create(
            small_world.site, Wish(redirect_uri=help_.CALLBACK, **wish)
        )


async def test_a_site_that_gives_no_state_gets_one_for_each_request(small_world, help_):
    states = set()
    for _ in range(3):
        binding_id = await small_world.asked()
        binding = (await small_world.bindings.look(binding_id)).binding
        states.add(binding.browser_state)
        url = await small_world.bindings.refuse(small_world.ada, binding_id)
        assert help_.query_of(url)["state"] == binding.browser_state
    assert {len(state) for state in states} == {32}
    assert len(states) == 3


async def test_a_state_comes_back_as_it_was_whatever_it_holds(small_world, help_):
    for state in ("a&binding_code=b", "#x", "%2e", "a+b", "x" * 512):
        url = await small_world.bindings.refuse(
            small_world.ada, await small_world.asked(state=state)
        )
        assert help_.query_of(url)["state"] == state


async def test_a_redirect_uri_without_a_query_gets_one(small_world, help_):
    world = small_world
    await world.backend.list_uri(world.site.site_id, "https://shop.example/")
    made = await world.bindings.create(world.site, Wish(redirect_uri="https://shop.example/"))
    url = await world.bindings.refuse(world.ada, made.binding_id)
    assert url.startswith("https://shop.example/?error=access_denied&state=")


async def test_a_refusal_is_final_and_may_be_repeated(world, help_):
    binding_id = await world.asked(state="s")
    url = await world.bindings.refuse(world.ada, binding_id)
    assert help_.query_of(url) == {"from": "account", "error": "access_denied", "state": "s"}
    assert await world.bindings.refuse(world.ada, binding_id) == url
    with pytest.raises(BindingNotFound):
        await world.bindings.refuse(world.bob, binding_id)
    with pytest.raises(BindingNotFound):
        await world.bindings.approve(world.ada, binding_id, world.agent.agent_id)
    assert await world.actions(world.ada) == [("binding.refused", "owner", binding_id)]
    seen = await world.bindings.status(world.site, binding_id)
    assert seen.state is BindingState.REFUSED


@pytest.mark.parametrize("unverified_id", NOT_IDS)
async def test_what_names_no_binding_is_not_found(small_world, unverified_id):
    world = small_world
    bindings = world.bindings
    for attempt in (
        bindings.look(unverified_id),
        bindings.approve(world.ada, unverified_id, world.agent.agent_id),
        bindings.refuse(world.ada, unverified_id),
        bindings.status(world.site, unverified_id),
        bindings.end_by_owner(world.ada, unverified_id),
        bindings.end_by_site(world.site, unverified_id),
    ):
        with pytest.raises(BindingNotFound):
            await attempt


async def test_another_owners_agent_cannot_be_picked(world):
    binding_id = await world.asked()
    for agent_id in (world.stranger.agent_id, *NOT_IDS):
        with pytest.raises(NotFound):
            await world.bindings.approve(world.ada, binding_id, agent_id)
    assert (await world.bindings.look(binding_id)).binding.is_pending
    assert await world.actions(world.ada) == []


async def test_an_agent_that_is_switched_off_cannot_be_picked(world):
    await world.backend.switch_agent(world.agent.agent_id, False)
    with pytest.raises(AgentInactive):
        await world.bindings.approve(world.ada, await world.asked(), world.agent.agent_id)


async def test_a_suspended_site_cannot_be_answered(world):
    binding_id = await world.asked()
    await world.backend.suspend_site(world.site.site_id)
    for attempt in (
        world.bindings.look(binding_id),
        world.bindings.approve(world.ada, binding_id, world.agent.agent_id),
        world.bindings.refuse(world.ada, binding_id),
    ):
        with pytest.raises(BindingNotFound):
            await attempt


async def test_a_request_lives_ten_minutes(world):
    in_time, late = await world.asked(), await world.asked()
    world.clock.advance(599.99)
    assert await world.bindings.approve(world.ada, in_time, world.agent.agent_id)
    world.clock.advance(0.02)
    for attempt in (
        world.bindings.look(late),
        world.bindings.approve(world.ada, late, world.agent.agent_id),
        world.bindings.refuse(world.ada, late),
    ):
        with pytest.raises(BindingNotFound):
            await attempt
    assert (await world.bindings.status(world.site, late)).state is BindingState.EXPIRED


async def test_of_fifty_answers_one_counts(world):
    binding_id = await world.asked()

    async def answer(number):
        try:
            if number % 5 == 0:
                return await world.bindings.refuse(world.bob, binding_id)
            return await world.bindings.approve(world.ada, binding_id, world.agent.agent_id)
        except BindingNotFound:
            return None

    answers = await asyncio.gather(*(answer(number) for number in range(1, 51)))
    won = [url for url in answers if url is not None]
    refused = (await world.bindings.status(world.site, binding_id)).state is BindingState.REFUSED
    # The one who refused may hear so again; approvals are never repeated.
    assert len(won) == 1 or (refused and len(set(won)) == 1)
    recorded = await world.actions(world.ada) + await world.actions(world.bob)
    assert len(recorded) == 1


# The code


async def test_of_fifty_exchanges_one_wins(world):
    code = await world.approved()

    async def exchange():
        try:
            return await world.bindings.exchange(world.site, Claim(code=code))
        except BindingCodeInvalid:
            return None

    answers = await asyncio.gather(*(exchange() for _ in range(50)))
    assert sum(answer is not None for answer in answers) == 1
    assert [action for action, _, _ in await world.actions(world.ada)] == [
        "binding.approved",
        "binding.made",
    ]


async def test_a_code_is_spent_by_its_exchange(world, caplog):
    code = await world.approved()
    await world.bindings.exchange(world.site, Claim(code=code))
    assert await reason(world, caplog, code) == "unknown or spent"


async def test_a_code_lives_a_minute(world, caplog):
    code = await world.approved()
    world.clock.advance(60)
    assert await reason(world, caplog, code) == "expired"


async def test_a_code_is_its_sites_alone(world, caplog):
    code = await world.approved()
    assert await reason(world, caplog, code, site=world.other) == "another site's"
    # Nor did that spoil it.
    assert (await world.bindings.exchange(world.site, Claim(code=code))).passport


@pytest.mark.parametrize(
    "code", ["", "x", "bc_", "bc_" + "A" * 42, "st_" + "A" * 43, "bc_" + "é" * 43, "\ud800"]
)
async def test_what_is_no_code(small_world, caplog, code):
    assert await reason(small_world, caplog, code) == "not a code"


async def test_a_code_that_never_was(world, caplog):
    assert await reason(world, caplog, "bc_" + "A" * 43) == "unknown or spent"


async def test_a_code_is_for_the_browser_that_was_sent(world, caplog):
    code = await world.approved(state="mine")
    for state in ("yours", "", "é", "\ud800"):
        assert await reason(world, caplog, code, state=state) == "another browser's state"
    assert (await world.bindings.exchange(world.site, Claim(code=code, state="mine"))).passport


async def test_a_code_is_for_the_binding_that_the_site_waits_for(world, caplog):
    other, binding_id = await world.asked(), await world.asked()
    code = await world.code_of(binding_id)
    for wrong in (other, "", "é"):
        assert await reason(world, caplog, code, binding_id=wrong) == "another binding's"
    claim = Claim(code=code, binding_id=binding_id.upper())
    assert (await world.bindings.exchange(world.site, claim)).passport


async def test_a_challenge_wants_its_verifier(world, caplog):
    code = await world.approved(code_challenge=challenge_of(VERIFIER))
    without = "a verifier without a challenge, or the reverse"
    assert await reason(world, caplog, code) == without
    for bad in ("", "short", "é" * 43, "x" * 129):
        assert await reason(world, caplog, code, code_verifier=bad) == "not a verifier"
    wrong = VERIFIER[::-1]
    assert await reason(world, caplog, code, code_verifier=wrong) == "another browser's verifier"
    claim = Claim(code=code, code_verifier=VERIFIER)
    assert (await world.bindings.exchange(world.site, claim)).passport


async def test_a_verifier_without_a_challenge_is_refused(world, caplog):
    code = await world.approved()
    said = await reason(world, caplog, code, code_verifier=VERIFIER)
    assert said == "a verifier without a challenge, or the reverse"


def test_the_challenge_is_that_of_rfc_7636():
    # Appendix B of the RFC.
    assert challenge_of(VERIFIER) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


async def test_suspension_comes_before_the_passport(world, caplog):
    code = await world.approved()
    await world.backend.suspend_owner(world.ada, True)
    assert await reason(world, caplog, code) == "the agent may not act: AGENT_USER_SUSPENDED"
    await world.backend.suspend_owner(world.ada, False)
    await world.backend.switch_agent(world.agent.agent_id, False)
    assert await reason(world, caplog, code) == "the agent may not act: AGENT_INACTIVE"
    await world.backend.switch_agent(world.agent.agent_id, True)
    assert (await world.bindings.exchange(world.site, Claim(code=code))).passport


async def test_a_code_is_not_spent_when_nothing_can_be_signed(world):
    code = await world.approved()
    world.signer.away = True
    with pytest.raises(Unavailable):
        await world.bindings.exchange(world.site, Claim(code=code))
    world.signer.away = False
    assert (await world.bindings.exchange(world.site, Claim(code=code))).passport


async def test_no_binding_is_made_that_cannot_be_recorded(world, monkeypatch):
    async def fail(*_, **__):
        raise Unavailable

    binding_id = await world.asked()
    with monkeypatch.context() as patch:
        patch.setattr(world.audit, "record", fail)
        with pytest.raises(Unavailable):
            await world.bindings.approve(world.ada, binding_id, world.agent.agent_id)
    assert (await world.bindings.look(binding_id)).binding.is_pending


async def reason(world, caplog, code, *, site=None, **claim):
    """Why a code is refused, as the log says it; outside, all reasons look the same."""
    caplog.clear()
    with caplog.at_level(logging.INFO), pytest.raises(BindingCodeInvalid) as caught:
        await world.bindings.exchange(site or world.site, Claim(code=code, **claim))
    assert (caught.value.message, caught.value.detail) == (BindingCodeInvalid.default_message, None)
    (said,) = [each.getMessage() for each in caplog.records if each.name.endswith("service")]
    if len(code) > 3:
        assert code not in said
    return said.removeprefix("a binding code was refused: ")


# Afterwards


async def test_bindings_are_listed_by_either_side(world):
    made = [await world.made() for _ in range(3)]
    await world.asked()
    await world.approved()
    newest_first = made[::-1]
    for listed in (
        await world.bindings.of_owner(world.ada, before=None, limit=10),
        await world.bindings.of_site(world.site, before=None, limit=10),
    ):
        assert [known.binding.binding_id for known in listed] == newest_first
        assert {known.agent_name for known in listed} == {"Agent"}
        assert {known.site.display_name for known in listed} == {"Shop"}
    for page in (
        await world.bindings.of_owner(world.ada, before=newest_first[0], limit=1),
        await world.bindings.of_site(world.site, before=newest_first[0], limit=1),
    ):
        assert [known.binding.binding_id for known in page] == newest_first[1:2]
    assert await world.bindings.of_owner(world.bob, before=None, limit=10) == []
    assert await world.bindings.of_site(world.other, before=None, limit=10) == []


async def test_an_owner_ends_a_binding_and_it_is_told_apart(world):
    binding_id, other = await world.made(), await world.made()
    with pytest.raises(BindingNotFound):
        await world.bindings.end_by_owner(world.bob, binding_id)
    world.clock.advance(5)
    known = await world.bindings.end_by_owner(world.ada, binding_id)
    assert (known.binding.state, known.binding.ended_by) == (BindingState.ENDED, EndedBy.OWNER)
    assert known.binding.ended_at == world.clock.now()
    world.clock.advance(5)
    # Again, by either: nothing changes, and who ended it stays on record.
    assert await world.bindings.end_by_owner(world.ada, binding_id) == known
    assert await world.bindings.end_by_site(world.site, binding_id) == known.binding
    listed = await world.bindings.of_owner(world.ada, before=None, limit=10)
    assert [(each.binding.binding_id, each.binding.state) for each in listed] == [
        (other, BindingState.ACTIVE),
        (binding_id, BindingState.ENDED),
    ]
    assert (await world.actions(world.ada))[-1] == ("binding.ended", "owner", binding_id)


async def test_a_site_ends_a_binding(world):
    binding_id = await world.made()
    with pytest.raises(BindingNotFound):
        await world.bindings.end_by_site(world.other, binding_id)
    ended = await world.bindings.end_by_site(world.site, binding_id)
    assert (ended.state, ended.ended_by) == (BindingState.ENDED, EndedBy.SITE)
    assert (await world.bindings.status(world.site, binding_id)) == ended
    assert (await world.actions(world.ada))[-1] == ("binding.ended", "site", binding_id)


async def test_what_was_not_made_cannot_be_ended(world):
    asked = await world.asked()
    approved = await world.asked()
    await world.code_of(approved)
    for binding_id in (asked, approved):
        with pytest.raises(BindingNotFound):
            await world.bindings.end_by_site(world.site, binding_id)
        with pytest.raises(BindingNotFound):
            await world.bindings.end_by_owner(world.ada, binding_id)


def overtaken(world, monkeypatch, meanwhile):
    """Let `meanwhile` happen between the next reading and its writing."""
    patient = world.bindings._transactions

    @asynccontextmanager
    async def transaction():
        monkeypatch.setattr(world.bindings, "_transactions", patient)
        await meanwhile()
        async with patient.transaction():
            yield

    late = SimpleNamespace(transaction=transaction)
    monkeypatch.setattr(world.bindings, "_transactions", late)


async def test_a_faster_answer_counts(small_world, monkeypatch):
    world = small_world
    binding_id = await world.asked()
    overtaken(world, monkeypatch, lambda: world.bindings.refuse(world.bob, binding_id))
    with pytest.raises(BindingNotFound):
        await world.bindings.approve(world.ada, binding_id, world.agent.agent_id)
    assert await world.actions(world.ada) == []


async def test_a_faster_exchange_spends_the_code(small_world, caplog, monkeypatch):
    world = small_world
    claim = Claim(code=await world.approved())
    overtaken(world, monkeypatch, lambda: world.bindings.exchange(world.site, claim))
    assert await reason(world, caplog, claim.code) == "spent meanwhile"


async def test_a_faster_end_stays_on_record(small_world, monkeypatch):
    world = small_world
    binding_id = await world.made()
    overtaken(world, monkeypatch, lambda: world.bindings.end_by_site(world.site, binding_id))
    ended = await world.bindings.end_by_owner(world.ada, binding_id)
    assert ended.binding.ended_by is EndedBy.SITE
    assert (await world.actions(world.ada))[-1] == ("binding.ended", "site", binding_id)


async def test_a_state_is_left_once(world):
    binding_id = await world.asked()
    old = (await world.bindings.look(binding_id)).binding
    now = world.clock.now()
    assert await world.backend.bindings.replace(old, old.refused_by(world.ada, now))
    assert not await world.backend.bindings.replace(old, old.refused_by(world.bob, now))
    assert (await world.backend.bindings.find(binding_id)).binding.owner_id == world.ada


async def test_both_sides_end_at_once_and_one_is_on_record(world):
    binding_id = await world.made()
    one, other = await asyncio.gather(
        world.bindings.end_by_owner(world.ada, binding_id),
        world.bindings.end_by_site(world.site, binding_id),
    )
    assert one.binding == other
    assert [action for action, _, _ in await world.actions(world.ada)].count("binding.ended") == 1


async def test_what_led_to_nothing_is_forgotten_after_a_while(world, help_, monkeypatch):
    monkeypatch.setattr(service, "_PRUNED_AT_ONCE", 1)
    made = await world.made()
    ended = await world.made()
    await world.bindings.end_by_site(world.site, ended)
    refused, expired, unspent = [await world.asked() for _ in range(3)]
    await world.bindings.refuse(world.ada, refused)
    await world.code_of(unspent)
    world.clock.advance((help_.RULES.retention + help_.RULES.lifetime).total_seconds())
    fresh = await world.asked()
    await world.bindings.prune()
    for binding_id in (refused, expired, unspent):
        with pytest.raises(BindingNotFound):
            await world.bindings.status(world.site, binding_id)
    for binding_id in (made, ended, fresh):
        assert await world.bindings.status(world.site, binding_id)
