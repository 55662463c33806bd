"""Check the licence of everything that is linked into or installed beside our packages.

Works from `cargo metadata`, the installed distributions and npm's lock file, so it needs no
network. Known
advisories are not checked here: every such list lives on the network, and a check that may be
silently stale is no gate.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

# Licences that let MIT software link, ship or run beside the work, by SPDX identifier.
ALLOWED = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "ISC", "MIT",
    "MIT-0", "MIT-CMU", "MPL-2.0", "OpenSSL", "PSF-2.0", "PostgreSQL", "Python-2.0",
    "Unicode-3.0", "Unlicense", "Zlib",
}  # fmt: skip

# Older packages say it in a classifier or in free text.
SPELLINGS = {
    "apache": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "isc": "ISC",
    "mit": "MIT",
    "mozilla public license 2.0": "MPL-2.0",
    "mpl": "MPL-2.0",
    "postgresql": "PostgreSQL",
    "python software foundation": "PSF-2.0",
    "psf": "PSF-2.0",
    "unlicense": "Unlicense",
}

NPM_LOCK = ROOT / "packages" / "lime-portal" / "package-lock.json"

# Only our tests load these, and nothing that we publish names them.
TEST_ONLY = {
    "promql-parser": "MIT, says the file in its wheel; its metadata says nothing",
    "text-unidecode": "Artistic License or GPL; makes file names of what a browser test is called",
}

# npm counts these as needed at run time, because the framework does. Nothing of them is in the
# exported pages, which are all that ships.
BUILD_ONLY = {
    "caniuse-lite": "a table of what browsers can do, read while style sheets are compiled",
}


def main() -> int:
    """Print each offender. Returns the exit status."""
    offenders = [*crates(), *distributions(), *npm_packages(json.loads(NPM_LOCK.read_text()))]
    for offender in offenders:
        print(offender, file=sys.stderr)
    if not offenders:
        print("every licence is one we may use")
    return 1 if offenders else 0


def crates() -> list[str]:
    """Crates in Cargo.lock whose licence expression offers no allowed choice."""
    answer = subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--locked"],
        check=True,
        capture_output=True,
        cwd=ROOT,
    ).stdout
    return [
        f"crate {package['name']} {package['version']}: {package['license'] or 'no licence stated'}"
        for package in json.loads(answer)["packages"]
        if not is_allowed(package["license"] or "")
    ]


def distributions() -> list[str]:
    """Installed Python distributions with no allowed licence."""
    found = []
    for distribution in metadata.distributions():
        if distribution.name in TEST_ONLY:
            continue
        expression = licence_of(distribution)
        if not is_allowed(expression):
            found.append(
                f"{distribution.name} {distribution.version}: {expression or 'no licence stated'}"
            )
    return sorted(found)


def npm_packages(lock: dict[str, Any]) -> list[str]:
    """Packages of the portal with no allowed licence.

    Looked at is what may end up in the pages. Development dependencies do not, and what is optional
    are programs for one platform each, which run during the build.
    """
    found = []
    for place, package in lock["packages"].items():
        name = place.rpartition("node_modules/")[2]
        if not name or package.get("dev") or package.get("optional") or name in BUILD_ONLY:
            continue
        expression = package.get("license", "")
        if not is_allowed(expression):
            found.append(f"npm {name} {package['version']}: {expression or 'no licence stated'}")
    return found


def licence_of(distribution: metadata.Distribution) -> str:
    """The SPDX expression of `distribution`; for older metadata, the best reading of it."""
    about = distribution.metadata.json
    if expression := about.get("license_expression"):
        return str(expression)
    said = [c for c in about.get("classifier", ()) if c.startswith("License ::")]
    if free_text := about.get("license"):
        said.append(str(free_text).splitlines()[0])
    for text in said:
        for spelling, identifier in SPELLINGS.items():
            if re.search(rf"\b{re.escape(spelling)}\b", text.lower()):
                return identifier
    return "; ".join(said)


def is_allowed(expression: str) -> bool:
    """Whether allowed licences alone can meet an SPDX expression."""
    expression = expression.replace("/", " OR ")
    tokens = re.findall(r"\(|\)|[^\s()]+", expression)
    program = []
    skip_exception = False
    for token in tokens:
        if skip_exception:
            # An exception (`WITH LLVM-exception`) only ever grants more.
            skip_exception = False
        elif token in {"(", ")"}:
            program.append(token)
        elif token in {"AND", "OR"}:
            program.append(token.lower())
        elif token == "WITH":
            skip_exception = True
        else:
            program.append(str(token in ALLOWED))
    try:
        # Only parentheses, `and`, `or`, `True` and `False` can be in `program`.
        return bool(eval(" ".join(program) or "False", {"__builtins__": {}}))
    except SyntaxError:
        return False


if __name__ == "__main__":
    sys.exit(main())
