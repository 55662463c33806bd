"""How long things take before they are of use, and how large the compiled wheels are.

    python benchmarks/start.py [--quick] [--rounds N] [--json FILE]

Imports: fresh interpreters run one line each, less what one that does nothing takes. Beside our
SDKs stands httpx, which both need for their first request and do not import before. Making a client
is measured too, because it pays what an import leaves for later.

`lime-server dev`: from the start of its process, on a folder that it has used before, to the line
that says it is ready. Beside it stands an interpreter that only imports the libraries that any such
server imports. Wheels: what `make setup` built, beside the 3 MB that they may have.

Contenders take turns within each round; figures are medians over rounds, and ratios are taken
within a round. Figures are for comparing; nothing is asserted.
"""

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

# A script's own folder comes first, and in this one are a `jwt.py` and an `mcp.py`, which are not
# the libraries of those names. The helper that finds the server's command belongs to the tests.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console
from rich.table import Table

from tests.support.commands import clean_environment, server_script

ROOT = Path(__file__).resolve().parents[1]

NOTHING = "pass"
PEER = "import httpx"
AGENTS, SITES = "import lime_agents", "import lime_sites"
WHERE = "base_url='https://lime.example/api/v1'"
LINES = {
    "an interpreter alone": NOTHING,
    "httpx": PEER,
    "lime_agents": AGENTS,
    "lime_sites": SITES,
    "lime_agents, with a client": f"{AGENTS}; lime_agents.LimeAgent(agent_token='at_x', {WHERE})",
    "lime_sites, with a client": f"{SITES}; lime_sites.LimeSite(site_token='st_x', {WHERE})",
}

DEV = "lime-server dev"
LIBRARIES = "import of its libraries"
LIBRARIES_LINE = "import asyncpg, fastapi, pydantic_settings, redis.asyncio, structlog, uvicorn"

WHEELS = {"pow": "lime_pow", "jwt": "lime_jwt"}
MOST_MB = 3.0
"""Megabytes that a wheel may have: small enough that nobody thinks about it."""

Rounds = dict[str, list[float]]


def main() -> None:
    """Measure and print."""
    options = arguments()
    console = Console()
    imports = imported(options.rounds)
    console.print(import_table(imports))
    with tempfile.TemporaryDirectory(prefix="lime-bench-") as folder:
        starts = started(Path(folder), options.rounds)
    console.print(start_table(starts))
    sizes = {name: megabytes(module) for name, module in WHEELS.items()}
    console.print(wheel_table(sizes))
    if options.json:
        text = json.dumps(figures(imports, starts, sizes), indent=1)
        options.json.write_text(text + "\n", encoding="utf-8")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="only see that it runs")
    parser.add_argument("--rounds", type=int, default=15, help="turns of each contender")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here, too")
    options = parser.parse_args()
    if options.quick:
        options.rounds = 2
    return options


def imported(rounds: int) -> Rounds:
    """Seconds that each line takes in an interpreter of its own, that of the interpreter left out
    but for the first."""
    for line in LINES.values():
        run(line)  # compiles what is not compiled yet
    times: Rounds = {name: [] for name in LINES}
    for _ in range(rounds):
        alone = run(NOTHING)
        for name, line in LINES.items():
            times[name].append(alone if line == NOTHING else run(line) - alone)
    return times


def run(line: str) -> float:
    """Seconds from the start of an interpreter that runs `line` to its end."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", line], check=True, env=clean_environment({}))
    return time.perf_counter() - began


def started(folder: Path, rounds: int) -> Rounds:
    """Seconds until the server is ready, and those that its libraries take."""
    ready_after(folder)  # makes the data
    times: Rounds = {DEV: [], LIBRARIES: []}
    for _ in range(rounds):
        times[DEV].append(ready_after(folder))
        times[LIBRARIES].append(run(LIBRARIES_LINE))
    return times


def ready_after(folder: Path) -> float:
    """Seconds until `lime-server dev` is ready; it is ended then."""
    command = [
        *(str(server_script()), "dev", "--data", str(folder / "data"), "--port", "0"),
        *("--ready-file", str(folder / "ready.json")),
    ]
    began = time.perf_counter()
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=clean_environment({})
    ) as server:
        try:
            assert server.stdout is not None
            said = server.stdout.readline()
            took = time.perf_counter() - began
        finally:
            server.send_signal(signal.SIGTERM)
    if not said.startswith(b"LIME is ready"):
        raise RuntimeError(f"lime-server dev says {said.decode()!r}")
    return took


def megabytes(module: str) -> float:
    """Size of the newest wheel of `module`, in millions of bytes."""
    wheels = sorted((ROOT / "dist").glob(f"{module}-*.whl"), key=lambda path: path.stat().st_mtime)
    if not wheels:
        raise RuntimeError(f"there is no wheel of {module} in dist: run `make setup`")
    return wheels[-1].stat().st_size / 1e6


def import_table(times: Rounds) -> Table:
    """Milliseconds, and how often each fits into the time of httpx."""
    table = Table("", "ms", "times as fast as httpx", title="Imports")
    for name in times:
        faster = "" if LINES[name] == NOTHING else f"{ratio(times, name, 'httpx'):.2f}"
        table.add_row(name, f"{statistics.median(times[name]) * 1e3:.0f}", faster)
    return table


def start_table(times: Rounds) -> Table:
    """Seconds, and how often each fits into the time of the libraries."""
    table = Table("", "s", "times as fast as the libraries", title="From process to ready, warm")
    for name, taken in times.items():
        faster = f"{ratio(times, name, LIBRARIES):.2f}"
        table.add_row(name, f"{statistics.median(taken):.2f}", faster)
    return table


def wheel_table(sizes: dict[str, float]) -> Table:
    """Megabytes, and how often each fits into what it may have."""
    table = Table("", "MB", f"fits into {MOST_MB:g} MB", title="Wheels")
    for name, size in sizes.items():
        table.add_row(WHEELS[name], f"{size:.2f}", f"{MOST_MB / size:.1f} times")
    return table


def ratio(times: Rounds, ours: str, peer: str) -> float:
    """How often `ours` fits into the time of `peer`."""
    pairs = zip(times[ours], times[peer], strict=True)
    return statistics.median(theirs / own for own, theirs in pairs)


def figures(imports: Rounds, starts: Rounds, sizes: dict[str, float]) -> dict[str, Any]:
    """What the tables say, for programs; of every ratio more is better."""

    def import_of(name: str) -> dict[str, Any]:
        value = statistics.median(imports[name]) * 1e3
        return {"value": round(value, 1), "unit": "ms", "ratio": rounded(imports, name, "httpx")}

    def rounded(times: Rounds, ours: str, peer: str) -> float:
        return round(ratio(times, ours, peer), 3)

    found = {
        "start.import_agents_ms": import_of("lime_agents"),
        "start.import_sites_ms": import_of("lime_sites"),
        "start.dev_warm_s": {
            "value": round(statistics.median(starts[DEV]), 2),
            "unit": "s",
            "ratio": rounded(starts, DEV, LIBRARIES),
        },
    }
    for name, size in sizes.items():
        found[f"start.wheel_{name}_mb"] = {
            "value": round(size, 2),
            "unit": "MB",
            "ratio": round(MOST_MB / size, 2),
        }
    return found


if __name__ == "__main__":
    main()
