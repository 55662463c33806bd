"""The module against the vectors, and the vectors against hashlib."""

from __future__ import annotations

import hashlib

import pytest

import lime_pow
from lime_pow import MAX_DIFFICULTY, Solver


def test_the_generator_makes_the_committed_file_again(generator):
    assert generator.TARGET.read_text(encoding="ascii") == generator.render()


def test_hashlib_agrees_with_nist(nist):
    for case in nist:
        message = bytes.fromhex(case["message"]) * case["repeat"]
        assert hashlib.sha256(message).hexdigest() == case["digest"], case["name"]


def test_a_nonce_is_valid_up_to_its_bits_and_not_beyond(vectors):
    for case in vectors["digests"] + vectors["boundaries"]:
        puzzle = case["challenge"], case["nonce"]
        valid = min(case["bits"], MAX_DIFFICULTY)
        for difficulty in range(valid + 1):
            assert lime_pow.check(*puzzle, difficulty) is None
        for difficulty in range(valid + 1, MAX_DIFFICULTY + 1):
            with pytest.raises(lime_pow.InvalidNonceError, match="does not solve"):
                lime_pow.check(*puzzle, difficulty)


@pytest.mark.parametrize("engine", lime_pow.engines())
def test_every_engine_finds_the_first_nonce_and_counts_the_attempts(vectors, engine):
    for case in vectors["solutions"]:
        solver = Solver(case["challenge"], case["difficulty"], start=case["start"], engine=engine)
        assert solver.advance(10_000_000) == case["nonce"]
        assert solver.attempts == case["attempts"]


@pytest.mark.parametrize("engine", lime_pow.engines())
def test_every_engine_finds_what_hashlib_finds_for_challenges_of_every_length(generator, engine):
    choices = generator.Choices(b"every length")
    for length in [length for length in range(1, 129) for _ in range(20)]:
        challenge = choices.text(generator.CHALLENGE_ALPHABET, length)
        start = choices.number(0, 10**16 - 1)
        found = generator.search(challenge, start)
        attempts, nonce = next((n, text) for n, (text, bits) in enumerate(found, 1) if bits >= 5)
        solver = Solver(challenge, 5, start=start, engine=engine)
        assert (solver.advance(10_000), solver.attempts) == (nonce, attempts)


def test_the_one_thing_that_is_wrong_has_its_own_error(vectors):
    errors = {
        "challenge": lime_pow.InvalidChallengeError,
        "nonce": lime_pow.InvalidNonceError,
        "difficulty": lime_pow.InvalidDifficultyError,
    }
    for case in vectors["malformed"]:
        with pytest.raises(errors[case["wrong"]]):
            lime_pow.check(case["challenge"], case["nonce"], case["difficulty"])
        if case["wrong"] != "nonce":
            with pytest.raises(errors[case["wrong"]]):
                Solver(case["challenge"], case["difficulty"])


def test_thirty_two_random_bytes_become_a_challenge(vectors):
    for case in vectors["made"]:
        assert lime_pow.new_challenge(bytes.fromhex(case["random"])) == case["challenge"]
