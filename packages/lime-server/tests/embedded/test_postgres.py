"""PostgreSQL for one folder, without starting one."""

import os
from pathlib import Path

import pytest

from lime_server.infrastructure.embedded import FolderInUseError, FolderUnusableError, postgres
from lime_server.infrastructure.embedded.folder import DataFolder, RunFolder
from lime_server.infrastructure.embedded.identity import Identity
from lime_server.infrastructure.embedded.postgres import PostgresPlan, is_ready, start_postgres


@pytest.fixture
def plan(tmp_path):
    """Makes a plan for PostgreSQL of some version in a fresh folder."""
    (tmp_path / "data" / "log").mkdir(parents=True)
    (tmp_path / "run" / "s").mkdir(parents=True)

    def make(*, identity=None, major=18, durable=True):
        run = RunFolder(tmp_path / "run", identity)
        return PostgresPlan(DataFolder(tmp_path / "data"), run, tmp_path, major, durable)

    return make


@pytest.fixture
def started(monkeypatch):
    """What would have been started, in order; initdb makes its mark and ends."""
    commands = []

    class Started:
        def __init__(self, command):
            self.command = command
            commands.append(command)

        def finish(self):
            folder = self.command.folder or Path(self.command.arguments[2])
            (folder / "PG_VERSION").write_text("18\n")

    monkeypatch.setattr(postgres, "spawn", Started)
    return commands


def test_missing_data_is_made_beside_its_place_and_then_moved(plan, started):
    made = plan()
    start_postgres(made)
    initdb, server = started
    assert initdb.name == "initdb"
    assert initdb.arguments[1:3] == ("-D", str(made.folder.path / "postgres.new"))
    assert not (made.folder.path / "postgres.new").exists()
    assert server.arguments[1:3] == ("-D", str(made.folder.cluster))
    assert (made.folder.cluster / "PG_VERSION").is_file()


def test_an_attempt_that_was_interrupted_is_begun_again(plan, started):
    made = plan()
    half = made.folder.path / "postgres.new"
    half.mkdir()
    (half / "base").write_text("")
    made.folder.cluster.mkdir()
    start_postgres(made)
    assert sorted(path.name for path in made.folder.cluster.iterdir()) == ["PG_VERSION"]


def test_files_of_someone_else_are_left_alone(plan, started):
    made = plan()
    made.folder.cluster.mkdir()
    (made.folder.cluster / "thesis.txt").write_text("")
    with pytest.raises(FolderUnusableError, match="holds files, but no database"):
        start_postgres(made)
    assert started == []


@pytest.mark.parametrize(("major", "locale"), [(16, "--locale=C"), (17, "--locale=C.UTF-8")])
def test_text_sorts_alike_on_every_machine(plan, started, major, locale):
    start_postgres(plan(major=major))
    assert locale in started[0].arguments


@pytest.mark.parametrize(("durable", "told"), [(True, False), (False, True)])
def test_only_forgettable_data_is_written_carelessly(plan, started, durable, told):
    start_postgres(plan(durable=durable))
    assert ("fsync=off" in started[1].arguments) is told


def test_the_server_listens_on_its_socket_only(plan, started):
    made = plan()
    start_postgres(made)
    arguments = started[1].arguments
    assert "listen_addresses=" in arguments
    assert arguments[arguments.index("-k") + 1] == str(made.run.sockets)


def test_another_account_is_not_told_a_path_that_it_may_be_unable_to_walk(plan, started):
    made = plan(identity=Identity(os.getuid(), os.getgid(), "other"))
    start_postgres(made)
    for command in started:
        assert command.arguments[1:3] == ("-D", "/proc/self/fd/100")
    assert [command.folder.name for command in started] == ["postgres.new", "postgres"]


def test_the_url_survives_a_folder_with_spaces():
    run = RunFolder(Path("/tmp/a b"), None)
    made = PostgresPlan(DataFolder(Path("/data")), run, Path("/bin"), 18, durable=True)
    assert made.url() == "postgresql://lime@/postgres?host=%2Ftmp%2Fa%20b%2Fs"


def test_a_server_is_ready_when_its_pid_file_says_so(tmp_path):
    assert not is_ready(tmp_path)
    lines = ["1", "/data", "0", "5432", "/run", "", "1 2"]
    (tmp_path / "postmaster.pid").write_text("\n".join(lines))
    assert not is_ready(tmp_path)
    (tmp_path / "postmaster.pid").write_text("\n".join([*lines, "starting"]))
    assert not is_ready(tmp_path)
    (tmp_path / "postmaster.pid").write_text("\n".join([*lines, "ready   ", ""]))
    assert is_ready(tmp_path)


@pytest.fixture
def crashed(plan):
    """A folder whose server left without a word."""
    made = plan()
    made.folder.cluster.mkdir()
    (made.folder.cluster / "PG_VERSION").write_text("18\n")
    (made.folder.cluster / "postmaster.pid").write_text("1\n")
    return made


def test_the_pid_file_of_a_dead_server_is_removed(crashed, started, monkeypatch):
    monkeypatch.setattr(postgres, "live_postgres", lambda cluster: [])
    start_postgres(crashed)
    assert not (crashed.folder.cluster / "postmaster.pid").exists()


def test_an_orphan_is_waited_for(crashed, started, monkeypatch):
    looks = iter([[7, 8], [8], []])
    monkeypatch.setattr(postgres, "live_postgres", lambda cluster: next(looks))
    start_postgres(crashed)
    assert [command.name for command in started] == ["PostgreSQL"]


def test_a_server_that_stays_is_left_in_peace(crashed, started, monkeypatch):
    monkeypatch.setattr(postgres, "ORPHAN_PATIENCE", -1)
    monkeypatch.setattr(postgres, "live_postgres", lambda cluster: [77])
    with pytest.raises(FolderInUseError, match="process 77"):
        start_postgres(crashed)
    assert (crashed.folder.cluster / "postmaster.pid").exists()
