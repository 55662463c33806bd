"""Names, types and errors as a Python program meets them."""

from __future__ import annotations

import pickle

import pytest

import lime_pow
from lime_pow import Solver, errors

CHALLENGE = lime_pow.new_challenge(bytes(32))
HIGHEST = 10**16 - 1


def test_every_public_name_is_exported():
    public = {name for name in vars(lime_pow) if not name.startswith("_")} - {"errors"}
    assert set(lime_pow.__all__) == public


def test_every_error_is_a_value_error_and_survives_pickling():
    declared = [value for value in vars(errors).values() if isinstance(value, type)]
    assert lime_pow.LimePowError in declared
    assert all(issubclass(error, (lime_pow.LimePowError, ValueError)) for error in declared)
    for error in declared:
        assert repr(pickle.loads(pickle.dumps(error("why")))) == repr(error("why"))


def test_the_portable_engine_is_always_there_and_the_first_is_the_default():
    assert lime_pow.engines()[-1] == "portable"
    assert Solver(CHALLENGE, 1).engine == lime_pow.engines()[0]


def test_a_solver_tells_what_it_does():
    solver = Solver(CHALLENGE, 12, engine="portable", threads=3)
    assert (solver.difficulty, solver.engine, solver.attempts) == (12, "portable", 0)
    assert solver.threads == 3


def test_an_unknown_engine_is_refused():
    with pytest.raises(lime_pow.UnavailableEngineError):
        Solver(CHALLENGE, 1, engine="abacus")


def test_the_last_nonce_is_followed_by_the_first(generator):
    solver = Solver(CHALLENGE, 0, start=HIGHEST)
    series = generator.Series(CHALLENGE)
    assert solver.advance(1) == series.nonce(HIGHEST)
    assert solver.advance(1) == series.nonce(0) == "0" * 63


@pytest.mark.parametrize("start", [-1, HIGHEST + 1, 2**64])
def test_a_start_that_no_nonce_can_be_is_refused(start):
    with pytest.raises(lime_pow.InvalidStartError):
        Solver(CHALLENGE, 1, start=start)


@pytest.mark.parametrize("threads", [-1, 0, 257, 2**64])
def test_a_number_of_threads_that_makes_no_sense_is_refused(threads):
    with pytest.raises(lime_pow.InvalidThreadsError, match="1 to 256"):
        Solver(CHALLENGE, 1, threads=threads)


@pytest.mark.parametrize("attempts", [-1, 2**64])
def test_a_number_of_attempts_that_makes_no_sense_is_refused(attempts):
    with pytest.raises(OverflowError):
        Solver(CHALLENGE, 1).advance(attempts)


@pytest.mark.parametrize(
    "arguments", [(b"bytes", "1", 1), ("text", 1, 1), ("text", "1", 1.0), ("text", "1", "1")]
)
def test_another_type_is_a_type_error(arguments):
    with pytest.raises(TypeError):
        lime_pow.check(*arguments)


@pytest.mark.parametrize("name", ["difficulty", "engine", "attempts", "threads"])
def test_a_solver_cannot_be_changed_from_outside(name):
    with pytest.raises(AttributeError):
        setattr(Solver(CHALLENGE, 1), name, 2)


def test_a_solver_shows_nothing_of_its_challenge():
    assert CHALLENGE not in repr(Solver(CHALLENGE, 1))
