"""The conformance tool of the protocol's makers, in its mode for authorization servers."""

import json
import os
import socket
import subprocess
from urllib.parse import urlsplit

import httpx
import pytest

from tests.interop.rig import HERE, issuer, register
from tests.support.commands import clean_environment

TOOL = HERE / "typescript/node_modules/@modelcontextprotocol/conformance/dist/index.js"
PRELOAD = HERE / "typescript/elsewhere.mjs"
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
    client = register(server, callback(port), "none")
    arguments = [*common(server, mcp_server, port, tmp_path), "--client-id", client["client_id"]]
    assert_passed(run(household, [NODE, str(TOOL), *arguments]), tmp_path)


def test_every_scenario_passes_for_a_client_with_a_secret(
    household, server, mcp_server, port, tmp_path, documents
):
    client = register(server, callback(port), "client_secret_post")
    arguments = [
        *common(server, mcp_server, port, tmp_path),
        *("--client-id", client["client_id"], "--client-secret", client["client_secret"]),
    ]
    # Where a server knows public clients as well, the tool keeps the secret for itself, and is refused.
    at = f"/.well-known/oauth-authorization-server{urlsplit(issuer(server)).path}"
    metadata = httpx.get(f"{server.public_url}{at}", trust_env=False).json()
    metadata["token_endpoint_auth_methods_supported"].remove("none")
    documents.publish(at, metadata)
    command = [NODE, "--import", PRELOAD.as_uri(), str(TOOL), *arguments]
    assert_passed(run(household, command, METADATA_ORIGIN=documents.origin), tmp_path)


def callback(port):
    """Where the tool waits for the browser."""
    return f"http://127.0.0.1:{port}/callback"


def common(server, mcp_server, port, folder):
    """What the tool is told about us, whoever the client is."""
    return [
        *("authorization", "--url", issuer(server), "--resource", mcp_server),
        *("--port", str(port), "--output-dir", str(folder)),
    ]


def run(household, command, **environment):
    """Run the tool to its end, with an owner who answers where it says; what it said."""
    said = []
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=clean_environment(environment)
    )
    try:
        for line in process.stdout:
            said.append(line)
            if "/oauth/authorize?" in line:
                household.allow(line.strip(), listens=True)
    finally:
        process.kill()
        process.communicate()
    return "".join(said)


def assert_passed(said, folder):
    """Nothing failed, nothing was left out, and there is no scenario that we do not know of."""
    assert "Total: 3 passed, 0 failed" in said, said
    found = [json.loads(path.read_text()) for path in folder.rglob("checks.json")]
    checks = {check["id"]: check["status"] for checks in found for check in checks}
    assert checks == {
        "authorization-server-metadata": "SUCCESS",
        "authorization-server-metadata-cimd": "SUCCESS",
        "authorization-code-grant": "SUCCESS",
    }, said
