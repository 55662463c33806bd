"""What the lock files name is pinned, known by its hash, and may come from anywhere."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = sorted((ROOT / "requirements").glob("*.txt"))
NPM = [ROOT / "packages/lime-portal", ROOT / "tests/interop/typescript"]


def named(path):
    return str(path.relative_to(ROOT))


def entries(file):
    """The requirements of a file, each with the lines that belong to it."""
    text = re.sub(r"^\s*#.*\n", "", file.read_text(), flags=re.MULTILINE)
    return text.replace("\\\n", " ").splitlines()


def normal(name):
    """A name as every tool writes it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("file", PYTHON, ids=named)
def test_every_python_package_is_pinned_and_hashed(file):
    found = entries(file)
    assert found
    loose = [
        entry.split(" ")[0]
        for entry in found
        if not re.match(r"[\w.-]+(\[[\w,-]+\])?==[\w.]+ .*--hash=sha256:[0-9a-f]{64}", entry)
    ]
    assert loose == []


@pytest.mark.parametrize("file", PYTHON, ids=named)
def test_what_is_asked_for_is_what_is_locked(file):
    asked = re.findall(r"^\w[\w.-]*", file.with_suffix(".in").read_text(), re.MULTILINE)
    locked = {normal(re.split(r"[=\[ ]", entry)[0]) for entry in entries(file)}
    assert asked
    assert set(map(normal, asked)) - locked == set()


@pytest.mark.parametrize("folder", NPM, ids=named)
def test_every_npm_package_is_known_by_its_hash(folder):
    packages = json.loads((folder / "package-lock.json").read_text())["packages"]
    del packages[""]
    assert packages
    assert [place for place, one in packages.items() if "integrity" not in one] == []


# A mirror that only one machine can reach would end every build elsewhere.
@pytest.mark.parametrize("file", [*PYTHON, *(f / "package-lock.json" for f in NPM)], ids=named)
def test_no_lock_file_says_where_packages_come_from(file):
    assert re.findall(r"--(?:extra-)?index-url|--find-links|@ \w+://|\"resolved\"", file.read_text()) == []  # fmt: skip


def test_every_crate_is_known_by_its_hash():
    packages = (ROOT / "Cargo.lock").read_text().split("[[package]]")[1:]
    assert packages
    strange = [
        re.search(r'name = "(.+)"', one)[1]
        for one in packages
        if 'source = "' in one
        and not re.search(r'source = "registry\+.*"\nchecksum = "[0-9a-f]{64}"', one)
    ]
    assert strange == []
