"""Protocol section 4, from both sides: what the server accepts, and where a solver stops."""

import hashlib
import re
from pathlib import Path

import pytest

import lime_agents
from tests.contract.promises import promise
from tests.support.puzzle import nonces, solve, zero_bits
from tests.support.stub import Stub, ok
from tests.support.wire import Agent, Site, Wire, data, refusal

INVALID = (400, "INVALID_POW")
ROOT = Path(__file__).parents[2]


def _puzzle(wire: Wire, request_id: str) -> tuple[str, int]:
    found = data(wire.challenge(request_id))
    return found["pow_challenge"], found["pow_difficulty"]


@promise("pow:digest")
def test_only_the_digest_of_the_protocol_counts(wire: Wire, agent: Agent, site: Site) -> None:
    request_id = wire.new_request(site)
    challenge, difficulty = _puzzle(wire, request_id)
    formulas = {
        "without a prefix": challenge + "{}",
        "without separators": "lime:pow:v1" + challenge + "{}",
        "separated by a colon": f"lime:pow:v1:{challenge}:{{}}",
    }
    for formula in formulas.values():
        other = _solved_by(formula, challenge, difficulty)
        assert refusal(wire.approve(agent, request_id, other)) == INVALID
    data(wire.approve(agent, request_id, solve(challenge, difficulty)))


def _solved_by(formula: str, challenge: str, difficulty: int) -> str:
    """A nonce that another formula would accept and the protocol's does not."""
    number = 0
    while True:
        nonce = str(number)
        found = int.from_bytes(hashlib.sha256(formula.format(nonce).encode()).digest(), "big")
        if found < 1 << (256 - difficulty) and zero_bits(challenge, nonce) < difficulty:
            return nonce
        number += 1


@promise("pow:threshold")
def test_one_zero_bit_less_is_refused(wire: Wire, agent: Agent, site: Site) -> None:
    request_id = wire.new_request(site)
    challenge, difficulty = _puzzle(wire, request_id)
    almost = next(nonce for nonce, zeros in nonces(challenge) if zeros == difficulty - 1)
    exactly = next(nonce for nonce, zeros in nonces(challenge) if zeros == difficulty)
    assert refusal(wire.approve(agent, request_id, almost)) == INVALID
    data(wire.approve(agent, request_id, exactly))


@promise("pow:nonce:any")
@pytest.mark.parametrize("template", ["{}", "lime {} ~!", '"{}\\', "{:020d}", "1{:09d}"])
def test_any_nonce_that_satisfies_the_rule_is_accepted(
    wire: Wire, agent: Agent, site: Site, template: str
) -> None:
    request_id = wire.new_request(site)
    challenge, difficulty = _puzzle(wire, request_id)
    data(wire.approve(agent, request_id, solve(challenge, difficulty, template=template)))


@promise("pow:nonce:longest")
def test_sixty_four_bytes_are_enough(wire: Wire, agent: Agent, site: Site) -> None:
    request_id = wire.new_request(site)
    challenge, difficulty = _puzzle(wire, request_id)
    too_long = solve(challenge, difficulty, template="{:065d}")
    longest = solve(challenge, difficulty, template="{:064d}")
    assert (len(too_long), len(longest)) == (65, 64)
    assert refusal(wire.approve(agent, request_id, too_long)) == INVALID
    data(wire.approve(agent, request_id, longest))


@promise("pow:nonce:printable")
@pytest.mark.parametrize("template", ["{}\x00", "{}\n", "\t{}", "{}\x7f", "é{}", "{}🍋"])
def test_what_cannot_be_printed_in_ascii_is_no_nonce(
    wire: Wire, agent: Agent, site: Site, template: str
) -> None:
    request_id = wire.new_request(site)
    challenge, difficulty = _puzzle(wire, request_id)
    assert (
        refusal(wire.approve(agent, request_id, solve(challenge, difficulty, template=template)))
        == INVALID
    )


@promise("pow:challenge")
def test_challenges_are_43_characters_and_never_repeat(wire: Wire, site: Site) -> None:
    found = [_puzzle(wire, wire.new_request(site))[0] for _ in range(30)]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", each) for each in found)
    assert len(set(found)) == 30
    # 43 characters carry 258 bits: of 256 random ones, the last two are zero, and no position is constant.
    assert all(each[-1] in "AEIMQUYcgkosw048" for each in found)
    assert all(len({each[at] for each in found}) > 3 for at in range(43))


@promise("pow:difficulty")
def test_the_default_difficulty_is_15(plain_wire: Wire, site: Site) -> None:
    assert _puzzle(plain_wire, plain_wire.new_request(site))[1] == 15


@promise("pow:own-request")
def test_a_nonce_opens_its_own_request_only(wire: Wire, agent: Agent, site: Site) -> None:
    mine, other = wire.new_request(site), wire.new_request(site)
    (challenge, difficulty), (other_challenge, _) = _puzzle(wire, mine), _puzzle(wire, other)
    nonce = next(
        nonce
        for nonce, zeros in nonces(challenge)
        if zeros >= difficulty and zero_bits(other_challenge, nonce) < difficulty
    )
    assert refusal(wire.approve(agent, other, nonce)) == INVALID
    data(wire.approve(agent, mine, nonce))
    # Spent: the same puzzle, solved as well as before, lets nobody in again.
    assert refusal(wire.challenge(mine))[0] == 404


@promise("pow:not-a-bot-test")
def test_no_document_calls_it_a_bot_test() -> None:
    documents = [
        ROOT / "README.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "packages").glob("*/README.md"),
    ]
    claims = re.compile(
        r"(bot (test|check|detection|protection)|captcha|(stops?|blocks?|keeps? out) bots)",
        re.IGNORECASE,
    )
    denials = re.compile(r"\b(not?|never|nothing|isn't)\b", re.IGNORECASE)
    for document in documents:
        for sentence in re.split(r"(?<=[.;:])\s", document.read_text()):
            assert not claims.search(sentence) or denials.search(sentence), (
                f"{document}: {sentence}"
            )


REQUEST = "3b0d9a1e-5f47-4d0e-9d5b-0a4c1a8f2f10"


def _puzzle_of(difficulty: int) -> Stub:
    challenge = {"pow_challenge": "A" * 43, "pow_difficulty": difficulty, "pow_algorithm": "sha256"}
    return Stub({("GET", f"/auth/requests/{REQUEST}"): lambda _: ok(challenge)})


@promise("pow:solver:maximum")
def test_a_solver_does_not_begin_what_is_too_hard() -> None:
    with (
        _puzzle_of(27) as stub,
        lime_agents.LimeAgentSync(agent_token=f"at_{'A' * 43}", base_url=stub.api_base) as agent,
    ):
        with pytest.raises(lime_agents.LimeError) as refused:
            agent.login(REQUEST)
        assert not isinstance(refused.value, lime_agents.PowTimeoutError)
        assert [each.method for each in stub.seen] == ["GET"]


@promise("pow:solver:deadline")
def test_a_solver_stops_at_its_deadline() -> None:
    with (
        _puzzle_of(26) as stub,
        lime_agents.LimeAgentSync(
            agent_token=f"at_{'A' * 43}", base_url=stub.api_base, pow_timeout=0.02
        ) as agent,
    ):
        with pytest.raises(lime_agents.PowTimeoutError):
            agent.login(REQUEST)
        assert [each.method for each in stub.seen] == ["GET"]
