"""What holds for any puzzle."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lime_pow
from lime_pow import MAX_DIFFICULTY, Solver

ENGINES = st.sampled_from(lime_pow.engines())
CHALLENGES = st.text(st.characters(min_codepoint=1, max_codepoint=0x7F), min_size=1, max_size=128)
STARTS = st.integers(0, 10**16 - 1)
# Surrogates included: JSON can carry them.
ANY_TEXT = st.one_of(st.text(max_size=200), st.text(st.characters(codec=None), max_size=10))


def refusal(challenge: str, nonce: str, difficulty: int) -> lime_pow.LimePowError | None:
    try:
        lime_pow.check(challenge, nonce, difficulty)
    except lime_pow.LimePowError as error:
        return error
    return None


@settings(deadline=None)
@given(CHALLENGES, st.integers(0, 10), STARTS, ENGINES)
def test_a_solved_nonce_verifies_and_at_no_higher_difficulty_than_it_has(
    generator, challenge, difficulty, start, engine
):
    nonce = Solver(challenge, difficulty, start=start, engine=engine).advance(2**63)
    bits = generator.bits_of(generator.digest(challenge, nonce))
    assert bits >= difficulty
    for asked in range(MAX_DIFFICULTY + 1):
        refused = refusal(challenge, nonce, asked)
        assert (refused is None) == (asked <= bits)
        assert refused is None or type(refused) is lime_pow.InvalidNonceError


@settings(deadline=None)
@given(CHALLENGES, STARTS, st.lists(st.integers(0, 700), max_size=20))
def test_slices_resume_where_the_last_one_ended(challenge, start, slices):
    puzzle = {"challenge": challenge, "difficulty": 9, "start": start}
    nonces = [Solver(**puzzle, engine=engine).advance(2**63) for engine in lime_pow.engines()]
    assert len(set(nonces)) == 1
    solver = Solver(**puzzle)
    found, spent = None, 0
    for attempts in slices:
        spent += attempts
        found = solver.advance(attempts)
        if found is not None:
            break
        assert solver.attempts == spent
    assert (found or solver.advance(2**63)) == nonces[0]


@given(ANY_TEXT, ANY_TEXT, st.integers())
def test_any_other_input_is_refused_with_an_error_of_this_package(
    generator, challenge, nonce, difficulty
):
    refused = refusal(challenge, nonce, difficulty)
    if refused is None:
        assert generator.bits_of(generator.digest(challenge, nonce)) >= difficulty
    else:
        # No part of the input is repeated; a few characters may be in the message by chance.
        assert len(nonce) < 5 or nonce not in str(refused)


@given(st.binary(max_size=70).filter(lambda random: len(random) != 32))
def test_a_challenge_is_made_from_exactly_32_bytes(random):
    with pytest.raises(lime_pow.InvalidChallengeError, match=f"not {len(random)}$"):
        lime_pow.new_challenge(random)
