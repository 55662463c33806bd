"""Check the licence of everything that is linked into or installed beside our packages.

Works from `cargo metadata` and the installed distributions, so it needs no network. Known
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


def main() -> int:
    """Print each offender. Returns the exit status."""
    offenders = [*crates(), *distributions()]
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
        expression = licence_of(distribution)
        if not is_allowed(expression):
            found.append(
                f"{distribution.name} {distribution.version}: {expression or 'no licence stated'}"
            )
    return sorted(found)


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
