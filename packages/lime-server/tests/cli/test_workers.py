"""`lime-server serve --workers`: real processes, which die in every way that they can."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from typer.testing import Result

from lime_server.cli import serve as serve_command
from lime_server.composition import run as composition_run
from lime_server.infrastructure import workers
from lime_server.infrastructure.web.metrics import Metrics
from lime_server.infrastructure.workers import FIGURES, Workers, shared_figures
from lime_server.settings import SettingsError

PATIENCE = 60.0

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="looks at processes by /proc; elsewhere the same code runs"
)


def until(what: Callable[[], object]) -> object:
    """The first true answer of `what`."""
    deadline = time.monotonic() + PATIENCE
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
def served(spawn, settings, free_port):
    """A server with two workers; its process, and where it is."""
    process = spawn(
        "serve",
        "--workers",
        2,
        **{**settings, "LIME_PORT": str(free_port), "LIME_HOST": "127.0.0.1"},
    )
    url = f"http://127.0.0.1:{free_port}"
    until(lambda: answers(url))
    until(lambda: len(children(process.pid)) == 2)
    return process, url


def answers(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{url}/health/ready").status_code == 200
    return False


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def is_alive(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_both_serve_and_all_ends_with_a_signal(served):
    process, url = served
    both = children(process.pid)
    assert answers(url)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
    assert not [pid for pid in both if is_alive(pid)]


def test_one_that_is_killed_is_replaced_and_the_other_goes_on(served):
    process, url = served
    first, second = children(process.pid)
    os.kill(first, signal.SIGKILL)
    # The socket is shared: what the dead one would have accepted, the other one accepts.
    assert all(answers(url) for _ in range(20))
    until(lambda: first not in children(process.pid) and len(children(process.pid)) == 2)
    assert second in children(process.pid)
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 0


def test_they_end_with_the_one_that_made_them(served):
    process, _url = served
    both = children(process.pid)
    process.kill()
    until(lambda: not [pid for pid in both if is_alive(pid)])


def test_whoever_is_asked_tells_the_figures_of_all(served):
    _process, url = served

    def counted() -> int:
        text = httpx.get(f"{url}/metrics").text
        found = re.findall(
            r'lime_http_request_seconds_count\{method="GET",route="[^"]*jwks.json",status="200"\} (\S+)',
            text,
        )
        return round(sum(map(float, found)))

    before = counted()
    for _ in range(20):
        # A connection each, so that whoever has time accepts.
        assert httpx.get(f"{url}/api/v1/core/.well-known/jwks.json").status_code == 200
    assert counted() - before == 20
    assert 'lime_logins_total{outcome="approved"} 0.0' in httpx.get(f"{url}/metrics").text


def test_what_would_fail_in_every_worker_ends_all(spawn, settings, free_port, postgres_url):
    others = {"LIME_PORT": str(free_port), "LIME_DATABASE_URL": postgres_url}
    process = spawn("serve", "--workers", 2, **{**settings, **others})
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "run `lime-server migrate`" in output
    assert "Traceback" not in output


def test_while_postgres_is_away_all_wait_and_end_with_a_signal(
    spawn, settings, free_port, tmp_path
):
    away = f"postgresql:///x?host={tmp_path}"
    others = {"LIME_PORT": str(free_port), "LIME_DATABASE_URL": away}
    process = spawn("serve", "--workers", 2, **{**settings, **others})
    # The first that says so does it a second time: none of them was ended meanwhile.
    assert any("waiting for PostgreSQL, asked again in 0.5 s" in line for line in process.stdout)
    both = children(process.pid)
    assert len(both) == 2
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "Traceback" not in output
    assert not [pid for pid in both if is_alive(pid)]


def test_a_system_without_fork_says_so(lime_server_command: Callable[..., Result], monkeypatch):
    monkeypatch.setattr(serve_command, "can_fork", lambda: False)
    result = lime_server_command("serve", "--workers", 2)
    assert result.exit_code == 1
    assert "no fork()" in result.output


@pytest.fixture
def one_process(monkeypatch):
    """Workers that are one, in this process; what was said to it and by it."""
    said: list[object] = []

    class One:
        def __init__(self, count, work, *, on_ending, on_gone):
            said.append(count)
            self.work, self.on_ending = work, on_ending

        def run(self) -> int:
            status = self.work(lambda: said.append("ready"))
            self.on_ending()
            return status

    monkeypatch.setattr(serve_command, "Workers", One)
    return said


def test_each_worker_serves_on_the_shared_socket(
    lime_server_command: Callable[..., Result], one_process, monkeypatch, free_port
):
    socks = []

    async def run(settings, *, sock, on_ready):
        socks.append((sock, sock.getsockname()[1]))
        on_ready()

    monkeypatch.setattr(composition_run, "run", run)
    result = lime_server_command("serve", "--workers", 2, LIME_PORT=str(free_port))
    assert (result.exit_code, one_process) == (0, [2, "ready"])
    ((sock, port),) = socks
    assert port == free_port
    assert sock.fileno() == -1


def test_a_worker_that_cannot_start_says_why_and_fails(
    lime_server_command: Callable[..., Result], one_process, monkeypatch, free_port
):
    async def run(_settings, **_how):
        raise SettingsError("no such thing")

    monkeypatch.setattr(composition_run, "run", run)
    result = lime_server_command("serve", "--workers", 2, LIME_PORT=str(free_port))
    assert (result.exit_code, one_process) == (1, [2])
    assert "no such thing" in result.output


def test_figures_that_are_shared_are_read_from_where_they_meet():
    with shared_figures():
        # Made before anybody said so, this one's are nowhere but in its own memory.
        assert b"lime_logins" not in Metrics().render()
    assert b"lime_logins" in Metrics().render()


def test_figures_are_shared_for_as_long_as_it_is_said():
    with shared_figures():
        folder = Path(os.environ[FIGURES])
        assert folder.is_dir()
    assert FIGURES not in os.environ
    assert not folder.exists()


# One that looks after workers, without a server


def ran(work: str, *signals: int, count: int = 2, before: str = "") -> tuple[int, str]:
    """The exit status and output of a program whose workers do `work`, signalled when ready."""
    program = f"""
import logging, os, signal, sys, time
from lime_server.composition import run as composition_run
from lime_server.infrastructure import workers
from lime_server.infrastructure.web.metrics import Metrics
workers.AGAIN_AFTER = 0.05
logging.basicConfig(level="ERROR", stream=sys.stdout)
{before}
def work(ready):
    {work}
sys.exit(workers.Workers({count}, work, on_ending=lambda: os.write(1, b'ending\\n')).run())
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        output = ""
        try:
            for number in signals:
                line = ""
                while line not in {"ready\n", "told\n"}:
                    line = process.stdout.readline()
                    assert line, output
                    output += line
                process.send_signal(number)
            rest, _ = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    return process.returncode, output + rest


SERVING = "os.write(1, b'ready\\n'); ready(); time.sleep(60)"


def test_a_worker_that_does_not_end_well_is_told_of():
    ends_badly = f"signal.signal(signal.SIGTERM, lambda *_: os._exit(3)); {SERVING}"
    status, output = ran(ends_badly, signal.SIGTERM, count=1)
    assert status == 3
    assert output.splitlines()[-1] == "ending"


def test_a_worker_that_crashes_while_it_ends_is_told_of():
    crashes = f"signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), 9)); {SERVING}"
    assert ran(crashes, signal.SIGTERM, count=1)[0] == 9


def test_one_that_is_only_just_starting_ends_well():
    # By the signal itself: it has no handler yet.
    assert ran(SERVING, signal.SIGTERM, count=1)[0] == 0


def test_a_system_that_is_full_ends_nobody():
    # The first is killed; what would replace it cannot be made, twice.
    full = (
        "fork, os.fork = os.fork, None\n"
        "made = []\n"
        "def sparing():\n"
        "    made.append(1)\n"
        "    if len(made) in {3, 4}: raise BlockingIOError(11, 'try again')\n"
        "    return fork()\n"
        "os.fork = sparing\n"
    )
    dies_once = (
        "os.write(1, b'ready\\n'); ready()\n"
        "    time.sleep(0.05 if len(made) == 1 else 60)\n"
        "    os._exit(9)"
    )
    status, output = ran(dies_once, *[signal.SIGCHLD] * 2, signal.SIGTERM, before=full)
    assert output.count("cannot be replaced yet: try again") == 2
    assert output.count("ready") == 3
    assert status == 0


def test_a_second_signal_is_passed_on():
    stubborn = (
        "heard = []; "
        "signal.signal(signal.SIGTERM, lambda *_: (heard.append(1), os.write(1, b'told\\n'))); "
        "os.write(1, b'ready\\n'); ready()\n"
        "    while len(heard) < 2: time.sleep(0.01)\n"
        "    return 0"
    )
    status, output = ran(stubborn, signal.SIGTERM, signal.SIGTERM, count=1)
    assert status == 0
    assert output.count("told") == 2
    assert output.count("ending") == 1


def test_a_terminal_that_hangs_up_is_not_obeyed():
    status, output = ran(
        f"signal.signal(signal.SIGTERM, lambda *_: os._exit(0)); {SERVING}",
        signal.SIGHUP,
        signal.SIGTERM,
        count=2,
    )
    assert status == 0
    assert output.count("ready") == 2


def test_a_worker_that_fails_before_it_is_ready_ends_all_and_says_why():
    status, output = ran("raise RuntimeError('no way')", count=1)
    assert status == 1
    assert "RuntimeError: no way" in output


def test_a_worker_that_returns_too_early_counts_as_failed():
    assert ran("return 0", count=1)[0] == 1


def test_workers_that_keep_dying_are_replaced_until_all_is_to_end():
    # Ready each time, so whatever kills them comes later.
    dies = "os.write(1, b'ready\\n'); ready(); time.sleep(0.01); os._exit(9)"
    status, output = ran(dies, signal.SIGCHLD, signal.SIGCHLD, signal.SIGCHLD, signal.SIGTERM)
    assert output.count("ready") >= 4
    assert "died with 9 and will be replaced in 0.05 s" in output
    assert status in {0, 9, 15}


def test_one_that_cannot_start_any_more_is_tried_ever_more_seldom():
    # The first was ready; what keeps the next ones from it keeps every other.
    count = (
        "made = []\n"
        "fork, os.fork = os.fork, None\n"
        "def counting():\n"
        "    made.append(1)\n"
        "    return fork()\n"
        "os.fork = counting\n"
        "workers.AGAIN_AT_MOST = 0.2\n"
    )
    fails = (
        "if len(made) == 1: os.write(1, b'ready\\n'); ready(); time.sleep(0.01); os._exit(9)\n"
        "    if len(made) > 4: os.write(1, b'told\\n'); time.sleep(60)\n"
        "    return 1"
    )
    status, output = ran(fails, signal.SIGCHLD, signal.SIGTERM, count=1, before=count)
    assert status == 0
    assert re.findall(r"replaced in (\S+) s", output) == ["0.05", "0.1", "0.2", "0.2"]


def test_a_worker_that_is_left_alone_ends_itself(monkeypatch):
    told = []
    monkeypatch.setattr(workers.os, "kill", lambda *how: told.append(how))
    life, alive = os.pipe()
    os.close(alive)
    workers._end_with(life)
    os.close(life)
    assert told == [(os.getpid(), signal.SIGTERM)]


def test_a_child_that_is_no_worker_changes_nothing():
    told = []
    some = Workers(1, lambda _ready: 0, on_gone=told.append)
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    some._bury()
    assert told == []
    child.wait()


def test_without_a_folder_for_figures_it_says_what_to_do(
    lime_server_command: Callable[..., Result], monkeypatch
):
    def nowhere(**_options):
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(workers.tempfile, "TemporaryDirectory", nowhere)
    done = lime_server_command("serve", "--workers", 2)
    assert done.exit_code == 1
    assert "Let TMPDIR name one" in done.stderr


def test_the_limit_of_workers_is_the_option_s(lime_server_command: Callable[..., Result]):
    assert lime_server_command("serve", "--workers", workers.MOST + 1).exit_code == 2
