"""One table of everything that is measured: each figure beside its peer's, its limit and its goal.

    python benchmarks/table.py [--quick] [--only NAME,NAME] [--save FILE.md] [--json FILE]

Runs the benchmarks one after the other and puts together what they write with `--json`. In each,
the contenders take turns within a round, figures are medians over rounds, and ratios are taken
within a round; of every ratio more is better. What the machine is stands above the table.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# A script's own folder comes first, and in this one are a `jwt.py` and an `mcp.py`, which are not
# the libraries of those names.
if __name__ == "__main__":
    sys.path.pop(0)

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent

RUNS: dict[str, tuple[str, ...]] = {
    "pow": (),
    "jwt": (),
    "start": (),
    "login": (),
    "streams": (),
    "growth": ("--rows", "1e4,1e7"),
    "mcp": (),
}
"""Benchmarks, in the order in which they are shown, and what they need to say something."""

Found = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Goal:
    """What a figure should be: a ratio or a value, at least or at most so much."""

    text: str
    bound: float
    of: str = "ratio"
    at_most: bool = False

    def met(self, figure: dict[str, Any]) -> bool:
        """Whether it is."""
        found = float(figure[self.of])
        return found <= self.bound if self.at_most else found >= self.bound


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    key: str
    what: str
    peer: str
    limit: str
    goal: Goal | None = None


def at_least(ratio: float) -> Goal:
    """So many times the peer."""
    return Goal(f"≥ {ratio:g} times", ratio)


def below(value: float, unit: str) -> Goal:
    """Less than so much."""
    return Goal(f"< {value:g} {unit}", value, of="value", at_most=True)


RSA = "the RSA operation"
ROWS = (
    Row("pow.rate", "attempts, one core", "hashlib, tuned",
        "32 SHA256RNDS2, one per cycle", at_least(60)),
    Row("pow.bound_share", "attempts, one core", "that bound", "32 SHA256RNDS2, one per cycle",
        at_least(0.9)),
    Row("pow.solve15_ms", "solve at difficulty 15, median", "hashlib, tuned",
        "0.69 · 2¹⁵ attempts", below(0.3, "ms")),
    Row("pow.solve22_ms", "solve at difficulty 22, median", "hashlib, tuned",
        "0.69 · 2²² attempts", below(50, "ms")),
    Row("jwt.sign_vs_raw", "sign a passport", "raw AWS-LC", RSA, at_least(0.95)),
    Row("jwt.verify_vs_raw", "verify a passport", "raw AWS-LC", RSA, at_least(0.8)),
    Row("jwt.verify_vs_pyjwt", "verify a passport", "PyJWT", RSA, at_least(3.5)),
    Row("jwt.verify_vs_oxyjwt", "verify a passport", "oxyjwt", RSA, at_least(1)),
    Row("jwt.refusal_vs_acceptance", "refuse a passport", "accept it", RSA, at_least(1)),
    Row("jwt.two_threads", "verify on two threads", "one thread", "two cores", at_least(1.7)),
    Row("start.import_agents_ms", "import lime_agents", "httpx", "", below(150, "ms")),
    Row("start.import_sites_ms", "import lime_sites", "httpx", "", below(150, "ms")),
    Row("start.dev_warm_s", "lime-server dev, ready", "import of its libraries",
        "its libraries", below(2, "s")),
    Row("start.wheel_pow_mb", "wheel of lime_pow", "3 MB", "", below(3, "MB")),
    Row("start.wheel_jwt_mb", "wheel of lime_jwt", "3 MB", "", below(3, "MB")),
    Row("login.per_second", "complete logins, all on one machine", "bare signatures",
        "one signature each"),
    Row("login.vs_plain", "complete logins", "plain FastAPI", "one signature each", at_least(3)),
    Row("login.cpu_ms", "server CPU per login", "plain FastAPI", "one signature"),
    Row("login.approve_to_handler_ms", "approve to handler, alone", "plain FastAPI",
        "one commit, one signature"),
    Row("login.workers", "two workers on two cores", "one on one core", "2 times",
        at_least(1.6)),
    Row("streams.mb_for_10000", "worker with 10,000 idle streams", "plain FastAPI",
        "a connection, a task and its frames", below(600, "MB")),
    Row("streams.kb_each", "each idle stream", "plain FastAPI",
        "a connection, a task and its frames"),
    Row("streams.p99_ms", "approve to handler with them, p99", "plain FastAPI",
        "one commit, one signature", below(25, "ms")),
    Row("growth.ratio_10m", "login after 10 million", "login after 10,000", "1", at_least(0.9)),
    Row("growth.pages_10m", "pages of its statements then", "after 10,000",
        "one level of an index more"),
    Row("mcp.issue_us", "issue an MCP token, CPU", "Authlib on Flask, without a socket", RSA),
    Row("mcp.verify_us", "verify an MCP token", "PyJWT", RSA, at_least(1)),
)  # fmt: skip


def main() -> None:
    """Run and show."""
    options = arguments()
    console = Console()
    found: Found = {}
    for name in options.only or RUNS:
        console.print(f"[dim]{name} …[/dim]")
        extra = ("--quick",) if options.quick else RUNS[name]
        found |= run(name, extra)
    about = machine()
    console.print(table(found, title=about))
    if options.save:
        options.save.write_text(markdown(found, about, sys.argv[1:]), encoding="utf-8")
    if options.json:
        text = json.dumps(found, indent=1, ensure_ascii=False)
        options.json.write_text(text + "\n", encoding="utf-8")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="only see that everything runs")
    parser.add_argument("--only", type=names, metavar="NAME,NAME", help="of: " + ", ".join(RUNS))
    parser.add_argument("--save", type=Path, metavar="FILE.md", help="write the table here, too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here, too")
    return parser.parse_args()


def names(text: str) -> list[str]:
    """Benchmarks, separated by commas."""
    found = text.split(",")
    if unknown := set(found) - RUNS.keys():
        raise argparse.ArgumentTypeError(f"there is no {', '.join(sorted(unknown))}")
    return found


def run(name: str, extra: Sequence[str] = ()) -> Found:
    """The figures of one benchmark. Raises CalledProcessError when it fails; what it says by itself
    is shown only then. One that cannot write figures has none: that it runs is all it says."""
    script = HERE / f"{name}.py"
    writes = '"--json"' in script.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="lime-bench-") as folder:
        file = Path(folder) / "figures.json"
        telling = ("--json", str(file)) if writes else ()
        command = [sys.executable, str(script), *extra, *telling]
        done = subprocess.run(
            command, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        if done.returncode != 0:
            sys.stderr.write(done.stdout)
            done.check_returncode()
        found: Found = json.loads(file.read_text(encoding="utf-8")) if writes else {}
        return found


def machine() -> str:
    """What all of this ran on."""
    model, info = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if info.exists() and (named := re.search(r"model name\s*: (.+)", info.read_text())):
        model = named[1].strip()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    build = f"{platform.python_implementation()} {platform.python_version()}"
    compiler, system = platform.python_compiler(), f"{platform.system()} {platform.release()}"
    return f"{model}, {cores} cores; {build} ({compiler}); {system}"


def cells(found: Found) -> list[tuple[str, ...]]:
    """What the table says, row by row. A figure that nobody knows a line for is shown, too."""
    # On a machine with SHA-NI that engine is the first line.
    known = {row.key for row in ROWS} | {"pow.sha_ni_million_per_second"}
    rest = (Row(key, key, "", "") for key in found if key not in known)
    lines: list[tuple[str, ...]] = []
    for row in (*ROWS, *rest):
        if row.key not in found:
            continue
        figure = found[row.key]
        ratio = figure.get("ratio")
        peer = ": ".join(part for part in (row.peer, figure.get("peer", "")) if part)
        goal = ""
        if row.goal is not None:
            goal = f"{row.goal.text}, {'met' if row.goal.met(figure) else 'missed'}"
        lines.append(
            (
                row.what,
                f"{readable(figure['value'])} {figure['unit']}",
                peer,
                "" if ratio is None else f"{ratio:,.2f}",
                row.limit,
                goal,
            )
        )
    return lines


def readable(value: float) -> str:
    """Four digits, which is more than any of these figures is good for; large ones whole."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


HEADINGS = ("what", "figure", "beside", "times as good", "limit", "goal")


def table(found: Found, title: str) -> Table:
    """For people at a terminal."""
    shown = Table(*HEADINGS, title=title)
    for line in cells(found):
        shown.add_row(*line)
    return shown


def markdown(found: Found, about: str, options: Sequence[str]) -> str:
    """For a document."""
    command = " ".join(("python benchmarks/table.py", *options))
    lines = [HEADINGS, ("---",) * len(HEADINGS), *cells(found)]
    rows = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{datetime.now(UTC):%Y-%m-%d}, `{command}`; {about}.\n\n{rows}\n"


if __name__ == "__main__":
    main()
