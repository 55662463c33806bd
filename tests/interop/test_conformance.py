"""The conformance tool of the protocol's makers, in its mode for authorization servers."""

import json
import os
import socket
import subprocess

import pytest

from tests.interop.rig import ROOT, issuer, register

TOOL = (
    ROOT / "tests/interop/typescript/node_modules/@modelcontextprotocol/conformance/dist/index.js"
)
NODE = os.environ.get("LIME_INTEROP_PROGRAM", "")

pytestmark = pytest.mark.skipif(
    os.environ.get("LIME_INTEROP") != "typescript",
    reason="the tool runs in Node.js; `nox -s interop-typescript` has one",
)


@pytest.fixture
def port():
    """One that nobody has, for the tool to listen on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def test_every_scenario_passes(household, server, mcp_server, port, tmp_path):
    redirect_uri = f"http://127.0.0.1:{port}/callback"
    client = register(server, redirect_uri, "none")
    process = subprocess.Popen(
        [
            NODE, str(TOOL), "authorization", "--url", issuer(server),
            "--client-id", client["client_id"], "--resource", mcp_server,
            "--port", str(port), "--output-dir", str(tmp_path),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    said = []
    try:
        for line in process.stdout:
            said.append(line)
            if line.startswith(f"{issuer(server)}/authorize?"):
                household.allow(line.strip(), listens=True)
    finally:
        process.kill()
        process.wait()
    said = "".join(said)
    assert "Total: 3 passed, 0 failed" in said, said
    found = [json.loads(path.read_text()) for path in tmp_path.rglob("checks.json")]
    checks = {check["id"]: check["status"] for checks in found for check in checks}
    assert checks == {
        "authorization-server-metadata": "SUCCESS",
        "authorization-server-metadata-cimd": "SUCCESS",
        "authorization-code-grant": "SUCCESS",
    }, said
