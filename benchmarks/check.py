"""Fail when a ratio has fallen under its floor.

    python benchmarks/check.py [--floors FILE] [--only NAME,NAME]

`floors.toml` says for each benchmark how it is to be run, and which ratios to its peers, measured
in the same run, it must reach: a little under what was reached when the floor was written. Never a
time: those differ from machine to machine. A benchmark with a ratio under its floor is run once
more, for longer, before it counts: other programs may have been in the way.
"""

import argparse
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# A script's own folder comes first, and in this one are a `jwt.py` and an `mcp.py`, which are not
# the libraries of those names.
if __name__ == "__main__":
    sys.path.pop(0)
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import table

FLOORS = Path(__file__).with_name("floors.toml")

Run = Callable[[str, Sequence[str]], Mapping[str, Mapping[str, Any]]]


class FloorsError(ValueError):
    """The file of floors cannot be used; the message says why."""


@dataclass(frozen=True)
class Floors:
    """What one benchmark must reach."""

    name: str
    run: tuple[str, ...]
    """Its arguments."""
    again: tuple[str, ...]
    """Its arguments when a ratio was too low: the same for longer."""
    always: Mapping[str, float]
    """Least ratios. That one is not measured is a failure."""
    where_measured: Mapping[str, float] = field(default_factory=dict)
    """Least ratios of what some machines cannot do, such as an instruction or a second core."""


def main() -> int:
    """Check everything; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--floors", type=Path, default=FLOORS, metavar="FILE")
    parser.add_argument("--only", type=table.names, metavar="NAME,NAME")
    options = parser.parse_args()
    failed = False
    for floors in read(options.floors):
        if options.only and floors.name not in options.only:
            continue
        lacking = checked(floors, table.run)
        failed = failed or bool(lacking)
        print("\n".join([f"{floors.name}: {'too slow' if lacking else 'fine'}", *lacking]))
    return 1 if failed else 0


def read(path: Path) -> list[Floors]:
    """The floors in a file. Raises FloorsError for what it does not know, and for no floor."""
    found = []
    for name, entry in tomllib.loads(path.read_text(encoding="utf-8")).items():
        unknown = entry.keys() - {"run", "again", "always", "where_measured"}
        if unknown or name not in table.RUNS:
            raise FloorsError(f"{name} is not understood: {', '.join(sorted(unknown)) or 'name'}")
        always, where = entry.get("always", {}), entry.get("where_measured", {})
        if not always and not where:
            raise FloorsError(f"{name} has no floor")
        found.append(Floors(name, tuple(entry["run"]), tuple(entry["again"]), always, where))
    return found


def checked(floors: Floors, run: Run) -> list[str]:
    """A sentence for every ratio that was too low twice; the second time counts alone."""
    if not lacking(run(floors.name, floors.run), floors):
        return []
    return lacking(run(floors.name, floors.again), floors)


def lacking(found: Mapping[str, Mapping[str, Any]], floors: Floors) -> list[str]:
    """A sentence for every ratio that is under its floor, or was not measured and should be."""
    sentences = []
    for key, least in {**floors.always, **floors.where_measured}.items():
        ratio = found.get(key, {}).get("ratio")
        if ratio is None:
            if key in floors.always:
                sentences.append(f"  {key} was not measured")
        # Written so that what is no number is too low.
        elif not ratio >= least:
            sentences.append(f"  {key} is {ratio:.2f} times its peer; the floor is {least:g}")
    return sentences


if __name__ == "__main__":
    sys.exit(main())
