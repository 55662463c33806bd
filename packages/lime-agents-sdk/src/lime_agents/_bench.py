"""How fast this machine solves LIME's puzzles."""

import secrets
import time
from collections.abc import Callable
from statistics import mean, median
from typing import Any

from lime_agents._pow import SLICE
from lime_pow import Solver, new_challenge


def run(
    difficulty: int,
    rounds: int,
    *,
    clock: Callable[[], float] = time.perf_counter,
    randomness: Callable[[int], bytes] = secrets.token_bytes,
) -> dict[str, Any]:
    """Solve `rounds` fresh puzzles, as an agent would, and return what it took.

    `median_ms` and `mean_ms` are milliseconds per puzzle, `mhash_per_s` is millions of attempts per
    second. Times to solve are exponentially distributed: the median is about 0.7 of the mean.
    """
    times: list[float] = []
    attempts = 0
    engine, threads = "", 0
    for _ in range(rounds):
        solver = Solver(new_challenge(randomness(32)), difficulty)
        began = clock()
        while solver.advance(SLICE * solver.threads) is None:
            pass
        times.append(clock() - began)
        attempts += solver.attempts
        engine, threads = solver.engine, solver.threads
    total = sum(times)
    return {
        "engine": engine,
        "threads": threads,
        "difficulty": difficulty,
        "rounds": rounds,
        "median_ms": median(times) * 1000,
        "mean_ms": mean(times) * 1000,
        "mhash_per_s": attempts / total / 1e6 if total > 0 else None,
    }
