"""Check bills of materials, and take this machine out of them: `python tools/sbom.py FOLDER`.

Each of our packages has one, that is CycloneDX, names what it is about and at least one thing in
it, with a version and a package URL. What tools write of where they ran is removed.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

PACKAGES = (
    "lime-agents-sdk", "lime-jwt", "lime-portal", "lime-pow", "lime-sdk-core", "lime-server",
    "lime-sites-sdk",
)  # fmt: skip


def main(folder: Path) -> int:
    """Tidy and check every file. Returns the exit status."""
    problems = [f"{name}: there is none" for name in PACKAGES if not path_of(folder, name).exists()]
    for path in sorted(folder.glob("*.cdx.json")):
        text = without_places(path.read_text())
        path.write_text(text)
        problems += [f"{path.name}: {problem}" for problem in problems_of(json.loads(text))]
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        print(f"{len(PACKAGES)} bills of materials are in order")
    return 1 if problems else 0


def path_of(folder: Path, name: str) -> Path:
    """Where the bill of package `name` is."""
    return folder / f"{name}.cdx.json"


def without_places(text: str) -> str:
    """`text` without paths of the machine that it was written on."""
    # Cargo names packages that are no registry's by where they are.
    text = re.sub(r"path\+file://[^\"]*/([^/\"]+)", r"path:\1", text)
    return re.sub(r"[?&]download_url=file://[^\"#]*", "", text)


def problems_of(bill: dict[str, Any]) -> list[str]:
    """What is wrong with one bill."""
    problems = []
    if bill.get("bomFormat") != "CycloneDX" or not str(bill.get("specVersion")).startswith("1."):
        problems.append("is not CycloneDX")
    if not bill.get("metadata", {}).get("component", {}).get("name"):
        problems.append("does not say what it is about")
    components = bill.get("components", [])
    if not components:
        problems.append("names nothing")
    problems += [
        f"{component.get('name')} has no version or no package URL"
        for component in components
        if not component.get("version") or not str(component.get("purl", "")).startswith("pkg:")
    ]
    if "file://" in json.dumps(bill):
        problems.append("says where it was written")
    return problems


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
