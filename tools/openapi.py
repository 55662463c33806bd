"""Write the OpenAPI document of a server to a file: `python -m tools.openapi build/openapi.json`.

It is asked of `lime-server dev`, because that is what describes a whole server: its edge, and the
names that its cookies have there.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import httpx

from tests.support.server import DevServer


def main(target: Path) -> None:
    """Start a server, ask it, and write what it says."""
    with (
        tempfile.TemporaryDirectory(prefix="lime-openapi-") as folder,
        DevServer(Path(folder)) as server,
    ):
        answer = httpx.get(f"{server.public_url}/openapi.json", trust_env=False, timeout=30)
        answer.raise_for_status()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(answer.json(), indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
