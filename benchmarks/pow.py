"""How fast `lime_pow` solves puzzles, side by side with a tuned loop over hashlib.

    python benchmarks/pow.py [--quick] [--rounds N] [--puzzles N] [--json FILE]

One core. The contenders take turns within each round, so that whatever else the machine does meets
all of them; figures are medians over rounds, and ratios are to hashlib in the same round. Puzzles
are the same for all, with challenges of 43 characters as our server sends them. Figures are for
comparing; nothing is asserted.
"""

import argparse
import hashlib
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import lime_pow

DIFFICULTY = 15
# Attempts between two looks at the clock: what a caller with a deadline would choose.
SLICE = 100_000

HASHLIB = "hashlib, .copy() of the prefix"

Solve = Callable[[str, int], str]
Found = dict[str, list[float]]
"""By contender."""


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
    rates = rated(contenders, options.rounds, options.seconds)
    console.print(rate_table(rates))
    solves = solved(contenders, options.puzzles)
    console.print(solve_table(solves))
    if options.json:
        text = json.dumps(figures(rates, solves), indent=1)
        options.json.write_text(text + "\n", encoding="utf-8")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="only see that it runs")
    parser.add_argument("--rounds", type=int, default=15, help="rounds of the rate")
    parser.add_argument("--puzzles", type=int, default=300, help="puzzles to solve")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here, too")
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

    return Contender(HASHLIB, attempt, solve)


def hashed_prefix(challenge: str) -> "hashlib._Hash":
    """SHA-256 of everything before the nonce (protocol section 4)."""
    return hashlib.sha256(b"lime:pow:v1\x00" + challenge.encode() + b"\x00")


def engine(name: str) -> Contender:
    """One engine of `lime_pow`."""

    def attempt(challenge: str, attempts: int) -> None:
        # Thirty-two bits: a success in a million attempts would be one chance in four thousand.
        # Of such difficulty, it would by itself use every core.
        solver = lime_pow.Solver(challenge, lime_pow.MAX_DIFFICULTY, engine=name, threads=1)
        solver.advance(attempts)

    def solve(challenge: str, difficulty: int) -> str:
        solver = lime_pow.Solver(challenge, difficulty, engine=name)
        while (nonce := solver.advance(SLICE)) is None:
            pass
        return nonce

    return Contender(named(name), attempt, solve)


def named(engine: str) -> str:
    """What a contender is called."""
    return f"lime_pow, {engine}"


def puzzle(number: int) -> str:
    """The challenge of that number, the same in every run."""
    return lime_pow.new_challenge(hashlib.sha256(b"benchmark %d" % number).digest())


def rated(contenders: list[Contender], rounds: int, seconds: float) -> Found:
    """Attempts per second of each, by round; each turn takes about so many seconds."""
    attempts = {each.name: calibrated(each, seconds) for each in contenders}
    results: Found = {each.name: [] for each in contenders}
    for number in range(rounds):
        for each in contenders:
            took = timed(each.attempt, puzzle(number), attempts[each.name])
            results[each.name].append(attempts[each.name] / took)
    return results


def rate_table(rates: Found) -> Table:
    """Millions per second, and how many times hashlib's that is."""
    table = Table(title=f"Attempts, median of {len(rates[HASHLIB])} rounds")
    for heading in ("solver", "million/s", "times hashlib"):
        table.add_column(heading, justify="left" if heading == "solver" else "right")
    for name, found in rates.items():
        faster = times_hashlib(rates, name)
        table.add_row(name, f"{statistics.median(found) / 1e6:.2f}", f"{faster:.1f}")
    return table


def times_hashlib(rates: Found, name: str) -> float:
    """How many times hashlib's rate a contender's is; the median over rounds."""
    pairs = zip(rates[name], rates[HASHLIB], strict=True)
    return statistics.median(own / peer for own, peer in pairs)


def calibrated(contender: Contender, seconds: float) -> int:
    """How many attempts take about so many seconds."""
    sample = 2_000
    while (took := timed(contender.attempt, puzzle(0), sample)) < seconds / 4:
        sample *= 2
    return max(1, int(sample * seconds / took))


def solved(contenders: list[Contender], puzzles: int) -> Found:
    """Milliseconds to each solution."""
    results: Found = {each.name: [] for each in contenders}
    for number in range(puzzles):
        challenge = puzzle(number)
        for each in contenders:
            started = time.perf_counter()
            nonce = each.solve(challenge, DIFFICULTY)
            results[each.name].append((time.perf_counter() - started) * 1e3)
            lime_pow.check(challenge, nonce, DIFFICULTY)
    return results


def solve_table(solves: Found) -> Table:
    """Milliseconds; the time is exponentially distributed, so its tail matters."""
    table = Table(title=f"Difficulty {DIFFICULTY}, {len(solves[HASHLIB])} puzzles")
    for heading in ("solver", "median ms", "p99 ms", "times hashlib (median)"):
        table.add_column(heading, justify="left" if heading == "solver" else "right")
    peer = statistics.median(solves[HASHLIB])
    for name, found in solves.items():
        median = statistics.median(found)
        p99 = statistics.quantiles(found, n=100, method="inclusive")[98]
        table.add_row(name, f"{median:.3f}", f"{p99:.2f}", f"{peer / median:.1f}")
    return table


def figures(rates: Found, solves: Found) -> dict[str, Any]:
    """What the tables say, for programs; of every ratio more is better. What has no engine in its
    name is of the engine that is chosen here."""
    hashlib_rate = statistics.median(rates[HASHLIB]) / 1e6
    hashlib_solve = statistics.median(solves[HASHLIB])
    best, *_ = engines = lime_pow.engines()
    solve = statistics.median(solves[named(best)])
    found = {
        "pow.million_per_second": rate_figure(rates, best, hashlib_rate),
        f"pow.solve_{DIFFICULTY}_ms": {
            "value": round(solve, 3),
            "unit": "ms",
            "ratio": round(hashlib_solve / solve, 2),
            "peer": f"{hashlib_solve:.2f} ms",
        },
    }
    for name in engines:
        key = name.replace("-", "_")
        found[f"pow.{key}_million_per_second"] = rate_figure(rates, name, hashlib_rate)
    return found


def rate_figure(rates: Found, name: str, hashlib_rate: float) -> dict[str, Any]:
    """One engine beside hashlib."""
    return {
        "value": round(statistics.median(rates[named(name)]) / 1e6, 2),
        "unit": "million/s",
        "ratio": round(times_hashlib(rates, named(name)), 2),
        "peer": f"{hashlib_rate:.2f} million/s",
    }


def timed(attempt: Callable[[str, int], None], challenge: str, attempts: int) -> float:
    """Seconds that so many attempts take."""
    started = time.perf_counter()
    attempt(challenge, attempts)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
