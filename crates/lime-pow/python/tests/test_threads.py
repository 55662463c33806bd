"""Who may run while a solver works. Shown by progress: no clock is read."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread

import pytest

import lime_pow
from lime_pow import Solver

# Its first thousand million nonces do not reach 32 bits: no test here comes to the end of a search.
CHALLENGE = lime_pow.new_challenge(b"a challenge that takes very long")


@pytest.fixture
def _polite_threads() -> Iterator[None]:
    """From here on a thread keeps the interpreter until it gives it away by itself."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    yield
    sys.setswitchinterval(before)


def others_ran_during(attempts: int) -> bool:
    """Whether another thread ran while a solver made up to 1000 slices of so many attempts."""
    started, other_ran = Event(), Event()
    seen: list[bool] = []

    def solve() -> None:
        solver = Solver(CHALLENGE, 32)
        started.set()
        for _ in range(1000):
            assert solver.advance(attempts) is None
            if other_ran.is_set():
                break
        seen.append(other_ran.is_set())

    solving = Thread(target=solve)
    solving.start()
    started.wait()
    other_ran.set()
    solving.join()
    return seen[0]


@pytest.mark.usefixtures("_polite_threads")
def test_other_threads_run_during_a_slice():
    assert others_ran_during(attempts=100_000)


@pytest.mark.usefixtures("_polite_threads")
def test_a_slice_too_short_to_be_worth_it_keeps_the_interpreter():
    assert not others_ran_during(attempts=255)


@pytest.mark.parametrize("attempts", [100, 5_000])
def test_threads_that_share_a_solver_share_its_attempts(attempts):
    solver = Solver(CHALLENGE, 32)
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(solver.advance, [attempts] * 40))
    assert answers == [None] * 40
    assert solver.attempts == 40 * attempts


def test_the_attempts_can_be_read_while_a_slice_runs():
    solver = Solver(CHALLENGE, 32)
    solver.advance(10)
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(solver.advance, 2_000_000)
        during = {solver.attempts}
        while not running.done():
            during.add(solver.attempts)
    assert during <= {10, 2_000_010}
    assert solver.attempts == 2_000_010


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_any_number_of_threads_finds_what_one_finds(threads):
    alone = Solver(CHALLENGE, 19, threads=1)
    together = Solver(CHALLENGE, 19, threads=threads)
    for _ in range(3):
        assert together.advance(2**63) == alone.advance(2**63)
        assert together.attempts == alone.attempts


def test_a_solver_takes_several_threads_only_where_they_pay():
    assert Solver(CHALLENGE, 17).threads == 1
    assert 1 <= Solver(CHALLENGE, 18).threads <= 8


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("engine", lime_pow.engines())
def test_a_slice_of_any_length_ends_when_it_is_stopped(engine, threads):
    # Left alone, these slices would take years.
    solver = Solver(CHALLENGE, 32, engine=engine, threads=threads)
    with ThreadPoolExecutor(2) as running:
        slices = [running.submit(solver.advance, 2**63) for _ in range(2)]
        solver.stop()
        assert [each.result() for each in slices] == [None, None]
    tried = solver.attempts
    assert solver.advance(1) is None
    assert solver.attempts == tried


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="only Linux lists threads there")
def test_no_thread_is_left_after_a_slice():
    before = set(Path("/proc/self/task").iterdir())
    assert Solver(CHALLENGE, 32, threads=4).advance(1_000_000) is None
    # A thread that has ended may be listed for a moment; one that has not, for ever.
    while set(Path("/proc/self/task").iterdir()) - before:
        pass
