"""Makes what the fuzz targets of `lime-jwt` start from, out of `jwt.json`.

    python vectors/make_fuzz_corpus.py

One case for each way of being refused, and the accepted ones that differ most. The forms are those
that `crates/lime-jwt/fuzz/fuzz_targets/` read.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CORPUS = HERE.parent / "crates" / "lime-jwt" / "fuzz" / "corpus"

Json = dict[str, Any]

KINDS = ("login", "binding", "access")

# Longer ones would only slow the fuzzer down.
MOST_BYTES = 2000


def main() -> None:
    shutil.rmtree(CORPUS, ignore_errors=True)
    vectors = json.loads((HERE / "jwt.json").read_text())
    for case in chosen(vectors["tokens"]):
        choice = bytes([KINDS.index(case["expect"]["kind"])])
        put("verify", case["name"], choice + case["token"].encode())
        parts = case["token"].split(".")
        if case.get("reason") == "MalformedTokenError" and not is_base64url(parts):
            continue
        header, claims = (base64.urlsafe_b64decode(part + "==") for part in parts[:2])
        put("claims", case["name"], choice + header + b"\0" + claims)
        put("json", case["name"], claims)
        put("json", f"{case['name']} header", header)
    for case in vectors["key_sets"]:
        text = case["text"] if "text" in case else json.dumps(case["document"])
        put("jwks", case["name"], text.encode())


def chosen(cases: list[Json]) -> list[Json]:
    """The first of each kind, reason and claim, and a few beside them."""
    first: dict[object, Json] = {}
    for case in cases:
        # What is made by others, or of another key, is another thing for the code that reads it.
        like = case["name"].split(" ")[0] if "claims" in case else case["reason"]
        first.setdefault((case["expect"]["kind"], like, case.get("claim")), case)
    return list(first.values())


def is_base64url(parts: list[str]) -> bool:
    return len(parts) == 3 and all(re.fullmatch(r"[\w-]+", part, re.ASCII) for part in parts)


def put(target: str, name: str, data: bytes) -> None:
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    if len(data) > MOST_BYTES or data in {path.read_bytes() for path in folder.iterdir()}:
        return
    (folder / re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")).write_bytes(data)


if __name__ == "__main__":
    main()
