"""How fast `lime_pow` solves puzzles, side by side with a tuned loop over hashlib.

    python benchmarks/pow.py [--quick] [--rounds N] [--puzzles N]

One core. The contenders take turns within each round, so that whatever else the machine does meets
all of them; figures are medians over rounds, and ratios are to hashlib in the same round. Puzzles
are the same for all, with challenges of 43 characters as our server sends them. Figures are for
comparing; nothing is asserted.
"""

import argparse
import hashlib
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

import lime_pow

DIFFICULTY = 15
# Attempts between two looks at the clock: what a caller with a deadline would choose.
SLICE = 100_000

Solve = Callable[[str, int], str]


@dataclass(frozen=True)
class Contender:
    """Something that solves puzzles."""

    name: str
    # Makes so many attempts, none of which succeeds.
    attempt: Callable[[str, int], None]
    # Finds a nonce for this challenge and difficulty.
    solve: Solve


def main() -> None:
    """Measure and print."""
    options = arguments()
    console = Console()
    contenders = [hashlib_loop(), *(engine(name) for name in lime_pow.engines())]
    console.print(rates(contenders, options.rounds, options.seconds))
    console.print(solves(contenders, options.puzzles))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="only see that it runs")
    parser.add_argument("--rounds", type=int, default=15, help="rounds of the rate")
    parser.add_argument("--puzzles", type=int, default=300, help="puzzles to solve")
    parser.set_defaults(seconds=0.1)
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.puzzles, options.seconds = 2, 3, 0.005
    return options


def hashlib_loop() -> Contender:
    """The best that we know in pure Python: hash the prefix once, copy it for each attempt."""

    def attempt(challenge: str, attempts: int) -> None:
        copy = hashed_prefix(challenge).copy
        for number in range(attempts):
            tried = copy()
            tried.update(b"%d" % number)
            if tried.digest() < b"":
                raise AssertionError("no digest is below nothing")

    def solve(challenge: str, difficulty: int) -> str:
        copy = hashed_prefix(challenge).copy
        bound = (1 << (256 - difficulty)).to_bytes(33, "big")[1:]
        number = 0
        while True:
            tried = copy()
            tried.update(b"%d" % number)
            if tried.digest() < bound:
                return str(number)
            number += 1

    return Contender("hashlib, .copy() of the prefix", attempt, solve)


def hashed_prefix(challenge: str) -> "hashlib._Hash":
    """SHA-256 of everything before the nonce (protocol section 4)."""
    return hashlib.sha256(b"lime:pow:v1\x00" + challenge.encode() + b"\x00")


def engine(name: str) -> Contender:
    """One engine of `lime_pow`."""

    def attempt(challenge: str, attempts: int) -> None:
        # Thirty-two bits: a success in a million attempts would be one chance in four thousand.
        lime_pow.Solver(challenge, lime_pow.MAX_DIFFICULTY, engine=name).advance(attempts)

    def solve(challenge: str, difficulty: int) -> str:
        solver = lime_pow.Solver(challenge, difficulty, engine=name)
        while (nonce := solver.advance(SLICE)) is None:
            pass
        return nonce

    return Contender(f"lime_pow, {name}", attempt, solve)


def puzzle(number: int) -> str:
    """The challenge of that number, the same in every run."""
    return lime_pow.new_challenge(hashlib.sha256(b"benchmark %d" % number).digest())


def rates(contenders: list[Contender], rounds: int, seconds: float) -> Table:
    """Attempts per second; each turn takes about so many seconds."""
    attempts = {each.name: calibrated(each, seconds) for each in contenders}
    results: dict[str, list[float]] = {each.name: [] for each in contenders}
    for number in range(rounds):
        for each in contenders:
            took = timed(each.attempt, puzzle(number), attempts[each.name])
            results[each.name].append(attempts[each.name] / took)
    table = Table(title=f"Attempts, median of {rounds} rounds")
    for heading in ("solver", "million/s", "times hashlib"):
        table.add_column(heading, justify="left" if heading == "solver" else "right")
    peers = results[contenders[0].name]
    for name, found in results.items():
        ratio = statistics.median(own / peer for own, peer in zip(found, peers, strict=True))
        table.add_row(name, f"{statistics.median(found) / 1e6:.2f}", f"{ratio:.1f}")
    return table


def calibrated(contender: Contender, seconds: float) -> int:
    """How many attempts take about so many seconds."""
    sample = 2_000
    while (took := timed(contender.attempt, puzzle(0), sample)) < seconds / 4:
        sample *= 2
    return max(1, int(sample * seconds / took))


def solves(contenders: list[Contender], puzzles: int) -> Table:
    """Milliseconds to a solution; the time is exponentially distributed, so its tail matters."""
    results: dict[str, list[float]] = {each.name: [] for each in contenders}
    for number in range(puzzles):
        challenge = puzzle(number)
        for each in contenders:
            started = time.perf_counter()
            nonce = each.solve(challenge, DIFFICULTY)
            results[each.name].append((time.perf_counter() - started) * 1e3)
            lime_pow.check(challenge, nonce, DIFFICULTY)
    table = Table(title=f"Difficulty {DIFFICULTY}, {puzzles} puzzles")
    for heading in ("solver", "median ms", "p99 ms", "times hashlib (median)"):
        table.add_column(heading, justify="left" if heading == "solver" else "right")
    peer = statistics.median(results[contenders[0].name])
    for name, found in results.items():
        median = statistics.median(found)
        p99 = statistics.quantiles(found, n=100, method="inclusive")[98]
        table.add_row(name, f"{median:.3f}", f"{p99:.2f}", f"{peer / median:.1f}")
    return table


def timed(attempt: Callable[[str, int], None], challenge: str, attempts: int) -> float:
    """Seconds that so many attempts take."""
    started = time.perf_counter()
    attempt(challenge, attempts)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
