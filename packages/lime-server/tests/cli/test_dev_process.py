"""`lime-server dev` as a newcomer runs it: a process of its own, with engines of its own."""

import json
import os
import signal
import socket
import sys
import urllib.request

import pytest

from lime_server.infrastructure.embedded import engines
from lime_server.infrastructure.embedded.holders import live_postgres
from tests.support.processes import Family

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the end is observed through pidfds"
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with a space in its name; what the first test leaves in it warms up the others."""
    folder = tmp_path_factory.mktemp("dev") / "my data"
    yield folder
    # The last to use it was killed; a start and an end leave nothing behind.
    with engines(folder):
        pass


@pytest.fixture
def start(spawn, data, tmp_path):
    """Starts a server and returns it with what it told once it was ready."""

    def run(*arguments):
        ready_file = tmp_path / "ready.json"
        server = spawn("dev", "--data", data, "--port", "0", "--ready-file", ready_file, *arguments)
        said = server.stdout.readline()
        assert said.startswith("LIME is ready at http://127.0.0.1:"), said + server.stdout.read()
        return server, json.loads(ready_file.read_text())

    return run


def get(url, **headers):
    request = urllib.request.Request(
        url, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def test_a_server_is_ready_when_it_says_so_and_its_tokens_work(start):
    server, told = start()
    assert told["pid"] == server.pid
    profile = get(f"{told['api_base']}/core/agents/me/profile", X_Agent_Token=told["agent_token"])
    assert profile["data"]["agent_id"] == told["agent_id"]
    site = get(f"{told['api_base']}/foundation/sites/me", X_Site_Token=told["site_token"])
    assert site["data"]["site_id"] == told["site_id"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_everything_in_order(start, tmp_path, number):
    server, _ = start()
    everything = Family(server.pid)
    assert len(everything.pids) > 5
    server.send_signal(number)
    assert server.wait() == 0
    everything.wait_until_gone()
    assert not (tmp_path / "ready.json").exists()


def test_a_killed_server_leaves_nothing_running_and_loses_nothing(start):
    server, first = start()
    everything = Family(server.pid)
    server.kill()
    everything.wait_until_gone()
    _, second = start()
    assert second["agent_token"] == first["agent_token"]
    assert second["pid"] != first["pid"]
    profile = get(
        f"{second['api_base']}/core/agents/me/profile", X_Agent_Token=first["agent_token"]
    )
    assert profile["data"]["agent_id"] == first["agent_id"]


def test_a_second_server_on_the_folder_is_refused_and_the_first_goes_on(start, spawn, data):
    server, told = start()
    second = spawn("dev", "--data", data, "--port", "0")
    said, _ = second.communicate()
    assert second.returncode == 1
    assert said == (
        f"lime-server: Another lime-server (process {server.pid}) already uses {data}. "
        "Stop it first, or choose another folder with --data.\n"
    )
    assert get(f"{told['api_base'].removesuffix('/api/v1')}/health/ready")["status"] == "ok"


def test_a_start_that_fails_leaves_nothing_running(start, spawn, data):
    server, _ = start()
    server.terminate()
    server.wait()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = spawn("dev", "--data", data, "--port", port)
        said, _ = refused.communicate()
    assert refused.returncode == 1
    assert said.startswith(f"lime-server: cannot listen on 127.0.0.1 port {port}: Address already")
    assert live_postgres(data / "postgres") == []


def test_an_engine_that_is_killed_ends_the_server_with_a_sentence(start, data):
    server, _ = start()
    everything = Family(server.pid)
    postmaster = int((data / "postgres" / "postmaster.pid").read_text().split()[0])
    os.kill(postmaster, signal.SIGKILL)
    said = server.stdout.read()
    assert server.wait() == 1
    assert "lime-server: PostgreSQL was ended by SIGKILL." in said
    everything.wait_until_gone()
