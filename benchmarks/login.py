"""Complete logins per second, and how long an approval takes to reach its handler.

    python benchmarks/login.py [--quick] [--logins N] [--at-once N] [--rounds N] [--json FILE]

`lime-server dev` on loopback with its own engines, and beside it `plain.py`: the same routes as a
careful developer writes them in an afternoon, on the same PostgreSQL. Both are driven by the same
agents and sites (`driver.py`), in turns within each round, so that whatever else the machine does
meets both of them; figures are medians over rounds, and ratios are taken within a round. A complete
login is: create, challenge, solve, approve, event, verify, acknowledge.

Two more things are measured. A bare RS256 signature of this machine: no server that signs passports
can do with less. And, where `lime-server serve` has `--workers` and the machine two cores, two
workers on two cores beside one worker that shares one core with its engines and this program.

Of every ratio more is better. Figures are for comparing; nothing is asserted.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# A script's own folder comes first, and in this one are a `jwt.py` and an `mcp.py`, which are not
# the libraries of those names. The helper that starts servers belongs to the tests.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import uvloop
from rich.console import Console
from rich.table import Table

import lime_jwt
from benchmarks import driver
from tests.support.commands import clean_environment, server_script
from tests.support.server import DevServer, ServeServer

OURS, PLAIN = "lime-server", "plain FastAPI"
ONE, TWO = "one worker, one core", "two workers, two cores"


@dataclass
class Turns:
    """What one contender did, by round."""

    per_second: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    """Processor time of the server for one login."""
    engines_ms: list[float] = field(default_factory=list)
    """Processor time of PostgreSQL and Valkey for one login."""
    driver_ms: list[float] = field(default_factory=list)
    """Processor time of this program for one login: agents and sites share the machine."""
    alone: list[float] = field(default_factory=list)
    """Median milliseconds from approval to handler, one login at a time."""
    alone_p99: list[float] = field(default_factory=list)
    loaded: list[float] = field(default_factory=list)
    """The same while `--at-once` logins are on their way."""
    loaded_p99: list[float] = field(default_factory=list)


def main() -> None:
    """Measure and print."""
    options = arguments()
    console = Console()
    with driver.dev_server() as server:
        with driver.plain_server(server) as plain:
            contenders = {OURS: driver.Who.told(server.ready), PLAIN: plain}
            turns, signature = compared(server, contenders, options)
        console.print(table(turns, signature, options))
        found = figures(turns, signature)
        if can_scale():
            scaling = scaled(server, options)
            console.print(scaling_table(scaling))
            found |= scaling_figures(scaling)
    if options.json:
        text = json.dumps(found, indent=1)
        options.json.write_text(text + "\n", encoding="utf-8")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="a few logins: shows that it runs")
    parser.add_argument("--logins", type=int, default=5000, metavar="N", help="of each, in all")
    parser.add_argument("--at-once", type=int, default=64, metavar="N")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="turns of each")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here, too")
    options = parser.parse_args()
    if options.quick:
        options.logins, options.rounds = min(options.logins, 200), min(options.rounds, 2)
    return options


def compared(
    server: DevServer, contenders: dict[str, driver.Who], options: argparse.Namespace
) -> tuple[dict[str, Turns], float]:
    """Every round's figures, and the seconds of one signature (median over rounds)."""
    turns = {name: Turns() for name in contenders}
    signatures = []
    each = max(options.logins // options.rounds, 1)
    for _ in range(options.rounds):
        signatures.append(signature_seconds(0.05 if options.quick else 0.3))
        for name, who in contenders.items():
            turn(server, who, turns[name], each, options.at_once)
    return turns, statistics.median(signatures)


def turn(server: DevServer, who: driver.Who, into: Turns, logins: int, at_once: int) -> None:
    """So many logins at once, and a tenth as many one by one."""
    _, alone = uvloop.run(driver.measured(who, max(min(logins // 10, 100), 10), 1))
    before = driver.cpu_seconds(who.pid), driver.engines_cpu(server), time.process_time()
    took, busy = uvloop.run(driver.measured(who, logins, at_once))
    after = driver.cpu_seconds(who.pid), driver.engines_cpu(server), time.process_time()
    spent = [1000 * (now - then) / logins for now, then in zip(after, before, strict=True)]
    into.per_second.append(logins / took)
    # A quick run may end within one tick of that clock.
    into.cpu_ms.append(max(spent[0], 10 / logins))
    into.engines_ms.append(spent[1])
    into.driver_ms.append(spent[2])
    for party, medians, tails in (
        (alone, into.alone, into.alone_p99),
        (busy, into.loaded, into.loaded_p99),
    ):
        latencies = sorted(party.latencies())
        medians.append(statistics.median(latencies))
        tails.append(latencies[int(len(latencies) * 0.99)])


def signature_seconds(seconds: float) -> float:
    """What one bare RS256 signature with a key of 2048 bits takes here."""
    key, claims = lime_jwt.SigningKey.generate(), {"iss": "http://127.0.0.1", "sub": "x" * 36}
    count, begin = 0, time.perf_counter()
    while (now := time.perf_counter()) - begin < seconds:
        key.sign(claims, typ=lime_jwt.TYP_LOGIN)
        count += 1
    return (now - begin) / count


# Workers


def can_scale() -> bool:
    """Whether there are two cores and a server that can use them."""
    if not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2:
        return False
    told = subprocess.run(
        [str(server_script()), "serve", "--help"],
        check=True,
        capture_output=True,
        text=True,
        env=clean_environment({"TERM": "dumb", "COLUMNS": "100"}),
    )
    return "--workers" in told.stdout


def scaled(server: DevServer, options: argparse.Namespace) -> dict[str, list[float]]:
    """Logins per second of one worker, with everything on one core, and of two on two cores."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    found: dict[str, list[float]] = {ONE: [], TWO: []}
    each = max(options.logins // options.rounds, 1)
    for _ in range(options.rounds):
        for name, workers, chosen in ((ONE, 1, cores[:1]), (TWO, 2, cores)):
            with only_on(server, chosen), serving(server, workers) as who:
                took, _ = uvloop.run(driver.measured(who, each, options.at_once))
            found[name].append(each / took)
    return found


@contextmanager
def only_on(server: DevServer, cores: list[int]) -> Iterator[None]:
    """Within the block, this program, the engines and what either starts run on these cores."""
    before = os.sched_getaffinity(0)

    def pin(allowed: set[int]) -> None:
        for pid in (0, server.ready["pid"], *driver.children(server.ready["pid"])):
            # A process may end while we look at the others.
            try:
                os.sched_setaffinity(pid, allowed)
            except ProcessLookupError:
                continue

    pin(set(cores))
    try:
        yield
    finally:
        pin(before)


@contextmanager
def serving(server: DevServer, workers: int) -> Iterator[driver.Who]:
    """`lime-server serve --workers` on the engines, the master key and the people of `server`."""
    with tempfile.TemporaryDirectory(prefix="lime-bench-") as folder:
        settings = driver.SETTINGS | {
            "LIME_DATABASE_URL": server.ready["database_url"],
            "LIME_REDIS_URL": server.ready["redis_url"],
            "LIME_MASTER_KEY_FILE": str(server.data / "master.key"),
        }
        serve = ServeServer(
            Path(folder),
            name="workers",
            settings=settings,
            arguments=("--workers", str(workers)),
        )
        with serve as running:
            ready = server.ready | {"api_base": running.api_base, "pid": running.pid}
            yield driver.Who.told(ready)


# What is shown


def table(turns: dict[str, Turns], signature: float, options: argparse.Namespace) -> Table:
    """Both contenders, and how much better ours is."""
    ours, plain = turns[OURS], turns[PLAIN]
    shown = Table(
        title=f"{options.logins} complete logins, {options.at_once} at once, "
        f"median of {options.rounds} rounds"
    )
    shown.add_column("what")
    for heading in (OURS, PLAIN, "times as good"):
        shown.add_column(heading, justify="right")
    rows = (
        ("logins per second", ours.per_second, plain.per_second, ratio_of_more),
        ("server, CPU per login, ms", ours.cpu_ms, plain.cpu_ms, ratio_of_less),
        ("engines, CPU per login, ms", ours.engines_ms, plain.engines_ms, ratio_of_less),
        ("this program, CPU per login, ms", ours.driver_ms, plain.driver_ms, ratio_of_less),
        ("approve to handler, alone: median, ms", ours.alone, plain.alone, ratio_of_less),
        ("approve to handler, alone: p99, ms", ours.alone_p99, plain.alone_p99, ratio_of_less),
        ("approve to handler, loaded: median, ms", ours.loaded, plain.loaded, ratio_of_less),
        ("approve to handler, loaded: p99, ms", ours.loaded_p99, plain.loaded_p99, ratio_of_less),
    )
    for name, own, theirs, ratio in rows:
        medians = (f"{statistics.median(each):,.2f}" for each in (own, theirs))
        shown.add_row(name, *medians, f"{ratio(own, theirs):.2f}")
    shown.add_row("one bare RS256 signature, ms", f"{signature * 1000:.3f}", "", "")
    in_signatures = statistics.median(ours.cpu_ms) / 1000 / signature
    shown.add_row("server, CPU per login, in bare signatures", f"{in_signatures:.2f}", "", "")
    return shown


def ratio_of_more(ours: list[float], theirs: list[float]) -> float:
    """How many times theirs ours is, where more is better; the median over rounds."""
    return statistics.median(own / other for own, other in zip(ours, theirs, strict=True))


def ratio_of_less(ours: list[float], theirs: list[float]) -> float:
    """How many times ours theirs is, where less is better; the median over rounds."""
    pairs = zip(ours, theirs, strict=True)
    return statistics.median(other / own if own > 0 else 1.0 for own, other in pairs)


def figures(turns: dict[str, Turns], signature: float) -> dict[str, Any]:
    """What the table says, for programs. The logins per second are compared with the bare
    signatures of one core, everything else with the plain server."""
    ours, plain = turns[OURS], turns[PLAIN]
    per_second = statistics.median(ours.per_second)
    better = ratio_of_more(ours.per_second, plain.per_second)
    return {
        "login.per_second": figure(per_second, "logins/s", per_second * signature, 1 / signature),
        "login.vs_plain": figure(
            better, "times", better, statistics.median(plain.per_second), "logins/s"
        ),
        "login.cpu_ms": figure(
            statistics.median(ours.cpu_ms),
            "ms",
            ratio_of_less(ours.cpu_ms, plain.cpu_ms),
            statistics.median(plain.cpu_ms),
        ),
        "login.approve_to_handler_ms": figure(
            statistics.median(ours.alone),
            "ms",
            ratio_of_less(ours.alone, plain.alone),
            statistics.median(plain.alone),
        ),
    }


def figure(
    value: float, unit: str, ratio: float, peer: float, peer_unit: str | None = None
) -> dict[str, Any]:
    """One figure beside its peer's."""
    return {
        "value": round(value, 3),
        "unit": unit,
        "ratio": round(ratio, 3),
        "peer": f"{peer:,.{0 if peer >= 100 else 2}f} {peer_unit or unit}",
    }


def scaling_table(scaling: dict[str, list[float]]) -> Table:
    """Logins per second with one worker and with two."""
    shown = Table("", "logins/s", "times one worker", title="lime-server serve --workers")
    for name, found in scaling.items():
        gained = f"{ratio_of_more(found, scaling[ONE]):.2f}"
        shown.add_row(name, f"{statistics.median(found):,.0f}", gained)
    return shown


def scaling_figures(scaling: dict[str, list[float]]) -> dict[str, Any]:
    """The same for programs."""
    gained = ratio_of_more(scaling[TWO], scaling[ONE])
    alone = statistics.median(scaling[ONE])
    return {"login.workers": figure(gained, "times", gained, alone, "logins/s")}


if __name__ == "__main__":
    main()
