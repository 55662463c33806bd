"""How fast `lime_pow` solves puzzles, side by side with a tuned loop over hashlib.

    python benchmarks/pow.py [--quick] [--rounds N] [--puzzles N] [--hard-puzzles N] [--json FILE]

The contenders take turns within each round, so that whatever else the machine does meets all of
them; figures are medians over rounds, and ratios are to hashlib, or to the processor's clock, in
the same round. Puzzles are the same for all, with challenges of 43 characters as our server sends
them. Rates are those of one thread; puzzles are solved on as many threads as a solver takes by
itself. Figures are for comparing; nothing is asserted.
"""

import argparse
import ctypes
import hashlib
import json
import mmap
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import lime_pow

DIFFICULTY, HARD = 15, 22
# Attempts between two looks at the clock: what an agent chooses for each thread.
SLICE = 1 << 18
# SHA256RNDS2 does two of a compression's 64 rounds, and one can begin in each cycle: a core makes
# at most clock / 32 compressions. Our engine does 52 of them, as the others are the same for
# all tails of a head.
WHOLE, OURS = 32, 26
SHA_NI = "lime_pow, sha-ni"


@dataclass(frozen=True)
class Contender:
    """Something that solves puzzles."""

    name: str
    # Makes so many attempts, none of which succeeds.
    attempt: Callable[[str, int], None]
    # Finds a nonce for this challenge and difficulty.
    solve: Callable[[str, int], str]


@dataclass(frozen=True)
class Rates:
    """What the rounds gave for one contender: medians."""

    # Attempts per second.
    rate: float
    # Times the first contender.
    ratio: float
    # Of the processor's clock, if that can be measured: attempts per cycle.
    per_cycle: float | None


def main() -> None:
    """Measure and print."""
    options = arguments()
    console = Console()
    engines = [engine(name) for name in lime_pow.engines()]
    rates = measure_rates([hashlib_loop(), *engines], options.rounds, options.seconds)
    console.print(rate_table(rates, options.rounds))
    easy = solve_times([hashlib_loop(), *engines], DIFFICULTY, options.puzzles)
    console.print(solve_table(easy, DIFFICULTY))
    # hashlib would take minutes for these: the peer is our fastest engine on one thread.
    alone = engine(lime_pow.engines()[0], threads=1)
    hard = solve_times([alone, *engines], HARD, options.hard_puzzles)
    console.print(solve_table(hard, HARD))
    if options.json:
        found = figures(engines[0].name, rates, easy, hard)
        options.json.write_text(json.dumps(found, indent=2) + "\n")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="only see that it runs")
    parser.add_argument("--rounds", type=int, default=15, help="rounds of the rate")
    parser.add_argument("--puzzles", type=int, default=300, help=f"of difficulty {DIFFICULTY}")
    parser.add_argument("--hard-puzzles", type=int, default=40, help=f"of difficulty {HARD}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.set_defaults(seconds=0.1)
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.puzzles, options.hard_puzzles, options.seconds = 2, 3, 1, 0.005
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


def engine(name: str, threads: int | None = None) -> Contender:
    """One engine of `lime_pow`."""

    def attempt(challenge: str, attempts: int) -> None:
        # Thirty-two bits: a success in a million attempts would be one chance in four thousand.
        lime_pow.Solver(challenge, 32, engine=name, threads=1).advance(attempts)

    def solve(challenge: str, difficulty: int) -> str:
        solver = lime_pow.Solver(challenge, difficulty, engine=name, threads=threads)
        while (nonce := solver.advance(SLICE * solver.threads)) is None:
            pass
        return nonce

    return Contender(f"lime_pow, {name}" + (", one thread" if threads else ""), attempt, solve)


def puzzle(number: int) -> str:
    """The challenge of that number, the same in every run."""
    return lime_pow.new_challenge(hashlib.sha256(b"benchmark %d" % number).digest())


def measure_rates(contenders: list[Contender], rounds: int, seconds: float) -> dict[str, Rates]:
    """Attempts per second; each turn takes about so many seconds."""
    attempts = {each.name: calibrated(each, seconds) for each in contenders}
    rates: dict[str, list[float]] = {each.name: [] for each in contenders}
    per_cycle: dict[str, list[float]] = {each.name: [] for each in contenders}
    count_cycles = cycle_counter()
    for number in range(rounds):
        for each in contenders:
            clock = cycles_per_second(count_cycles, seconds / 10) if count_cycles else None
            took = timed(each.attempt, puzzle(number), attempts[each.name])
            rates[each.name].append(attempts[each.name] / took)
            if clock:
                per_cycle[each.name].append(rates[each.name][-1] / clock)
    peers = rates[contenders[0].name]
    return {
        name: Rates(
            rate=statistics.median(found),
            ratio=statistics.median(own / peer for own, peer in zip(found, peers, strict=True)),
            per_cycle=statistics.median(per_cycle[name]) if per_cycle[name] else None,
        )
        for name, found in rates.items()
    }


def calibrated(contender: Contender, seconds: float) -> int:
    """How many attempts take about so many seconds."""
    sample = 2_000
    while (took := timed(contender.attempt, puzzle(0), sample)) < seconds / 4:
        sample *= 2
    return max(1, int(sample * seconds / took))


def cycle_counter() -> Callable[[int], None] | None:
    """A function that takes 16 cycles for each number up to its argument, where we know how.

    Sixteen additions, each of which waits for the one before: no x86-64 processor does more than
    one of them in a cycle. Where memory may not be made executable, the clock stays unknown.
    """
    if platform.machine() not in {"x86_64", "AMD64"} or sys.platform == "win32":
        return None
    add, loop = bytes.fromhex("4801c0") * 16, bytes.fromhex("48ffcf 75")
    back = (-(len(add) + len(loop) + 1)).to_bytes(1, "little", signed=True)
    code = add + loop + back + bytes.fromhex("c3")
    try:
        memory = mmap.mmap(-1, len(code), prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    except OSError:
        return None
    memory.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    function = ctypes.CFUNCTYPE(None, ctypes.c_uint64)(address)

    def count(number: int) -> None:
        # Refers to the memory, which must live as long as the function.
        if memory:
            function(number)

    return count


def cycles_per_second(count: Callable[[int], None], seconds: float) -> float:
    """The processor's clock, measured for about so long."""
    turns = max(1, int(seconds * 2e8))
    started = time.perf_counter()
    count(turns)
    return 16 * turns / (time.perf_counter() - started)


def rate_table(rates: dict[str, Rates], rounds: int) -> Table:
    """What `measure_rates` found."""
    table = Table(title=f"Attempts on one thread, median of {rounds} rounds")
    bounds = [f"% of clock/{instructions}" for instructions in (WHOLE, OURS)]
    for heading in ("solver", "million/s", "times hashlib", *bounds):
        table.add_column(heading, justify="left" if heading == "solver" else "right")
    for name, found in rates.items():
        shares = ["", ""]
        if found.per_cycle and name == SHA_NI:
            shares = [f"{100 * found.per_cycle * bound:.1f}" for bound in (WHOLE, OURS)]
        table.add_row(name, f"{found.rate / 1e6:.2f}", f"{found.ratio:.1f}", *shares)
    return table


def solve_times(
    contenders: list[Contender], difficulty: int, puzzles: int
) -> dict[str, list[float]]:
    """Milliseconds to a solution of each puzzle."""
    times: dict[str, list[float]] = {each.name: [] for each in contenders}
    for number in range(puzzles):
        challenge = puzzle(number)
        for each in contenders:
            started = time.perf_counter()
            nonce = each.solve(challenge, difficulty)
            times[each.name].append((time.perf_counter() - started) * 1e3)
            lime_pow.check(challenge, nonce, difficulty)
    return times


def solve_table(times: dict[str, list[float]], difficulty: int) -> Table:
    """What `solve_times` found. Times are exponentially distributed, so their tail matters."""
    first, *_ = times
    table = Table(title=f"Difficulty {difficulty}, {len(times[first])} puzzles")
    for heading in ("solver", "median ms", "p99 ms", "times the first (median)"):
        table.add_column(heading, justify="left" if heading == "solver" else "right")
    for name, found in times.items():
        median = statistics.median(found)
        p99 = quantile(found, 0.99)
        ratio = statistics.median(times[first]) / median
        table.add_row(name, f"{median:.3f}", f"{p99:.2f}", f"{ratio:.1f}")
    return table


def figures(
    name: str, rates: dict[str, Rates], easy: dict[str, list[float]], hard: dict[str, list[float]]
) -> dict[str, dict[str, Any]]:
    """The figures of one contender: each with its ratio to the first one of its table, and
    `pow.bound_share` with its ratio to the clock by `WHOLE`, which only SHA-NI has."""
    own = rates[name]

    def solved(times: dict[str, list[float]]) -> dict[str, Any]:
        first, *_ = times
        median = statistics.median(times[name])
        ratio = statistics.median(times[first]) / median
        return {"value": median, "unit": "ms", "ratio": ratio}

    found = {
        "pow.rate": {"value": own.rate / 1e6, "unit": "million/s", "ratio": own.ratio},
        "pow.vs_hashlib": {"value": own.ratio, "unit": "times", "ratio": own.ratio},
        "pow.solve15_ms": solved(easy),
        "pow.solve22_ms": solved(hard),
    }
    if own.per_cycle and name == SHA_NI:
        share = own.per_cycle * WHOLE
        found["pow.bound_share"] = {"value": 100 * share, "unit": "%", "ratio": share}
    return found


def quantile(values: list[float], share: float) -> float:
    """The value that so large a share of the values does not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def timed(attempt: Callable[[str, int], None], challenge: str, attempts: int) -> float:
    """Seconds that so many attempts take."""
    started = time.perf_counter()
    attempt(challenge, attempts)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
