"""The vectors, and the script that made them."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

VECTORS = Path(__file__).parents[4] / "vectors"


@pytest.fixture(scope="session")
def generator() -> SimpleNamespace:
    """`vectors/make_pow.py`: `digest` and `bits_of` by hashlib, and `render` for the whole file."""
    return SimpleNamespace(**runpy.run_path(str(VECTORS / "make_pow.py")))


@pytest.fixture(scope="session")
def vectors() -> dict[str, Any]:
    """`vectors/pow.json`."""
    return json.loads((VECTORS / "pow.json").read_text(encoding="ascii"))


@pytest.fixture(scope="session")
def nist() -> list[dict[str, Any]]:
    """The cases of `vectors/sha256-nist.json`."""
    return json.loads((VECTORS / "sha256-nist.json").read_text(encoding="ascii"))["cases"]
