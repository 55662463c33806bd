"""The data folder and the short-lived one beside it."""

import os
import stat
import tempfile
from pathlib import Path

import pytest

from lime_server.infrastructure.embedded import FolderInUseError, FolderUnusableError
from lime_server.infrastructure.embedded.folder import data_folder, run_folder, short_place
from lime_server.infrastructure.embedded.identity import Identity
from lime_server.infrastructure.embedded.locate import Binaries

# Nobody's account: it owns nothing, and can enter only what is open to all.
STRANGER = Identity(uid=54321, gid=54321, name="stranger")


@pytest.fixture
def ourselves():
    """Our own account, given as one that engines run as."""
    return Identity(os.geteuid(), os.getegid(), "ourselves")


@pytest.fixture
def folder(tmp_path):
    """A data folder that we hold."""
    with data_folder(tmp_path / "data") as held:
        yield held


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files."""
    # Short enough for sockets, whatever pytest's own folder is called.
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        monkeypatch.setattr(tempfile, "tempdir", place)
        yield Path(place)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_missing_folder_is_made_for_us_alone(tmp_path):
    with data_folder(tmp_path / "a" / "data") as held:
        assert mode(held.path) == mode(held.path / "log") == 0o700
        assert mode(held.path / "lock") == 0o600


def test_the_mode_of_an_existing_folder_is_left_alone(tmp_path):
    tmp_path.chmod(0o755)
    with data_folder(tmp_path):
        assert mode(tmp_path) == 0o755


def test_a_second_holder_is_refused_and_told_who_is_first(tmp_path):
    with (
        data_folder(tmp_path) as held,
        pytest.raises(FolderInUseError, match=f"process {os.getpid()}\\) already uses {held.path}"),
        data_folder(tmp_path),
    ):
        pass


def test_a_lock_that_names_nobody_still_locks(tmp_path):
    with data_folder(tmp_path):
        (tmp_path / "lock").write_text("")
        with pytest.raises(FolderInUseError, match="process unknown"), data_folder(tmp_path):
            pass


def test_a_folder_is_free_again_after_its_holder(tmp_path):
    for _ in range(2):
        with data_folder(tmp_path) as held:
            assert (held.path / "lock").read_text() == f"{os.getpid()}\n"


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "data").write_text("")
    with pytest.raises(FolderUnusableError, match=r"Cannot keep data in .*: File exists"):
        data_folder(tmp_path / "data").__enter__()


def test_a_folder_knows_which_version_made_its_data(folder):
    assert folder.cluster_version is None
    folder.cluster.mkdir()
    (folder.cluster / "PG_VERSION").write_text("18\n")
    assert folder.cluster_version == 18


def test_sockets_are_out_of_reach_of_others(folder, temporary):
    with run_folder(folder, None) as run:
        assert mode(run.path) == mode(run.sockets) == 0o700


def test_another_account_can_pass_to_its_sockets(folder, temporary, ourselves):
    temporary.chmod(0o755)
    with run_folder(folder, ourselves) as run:
        assert mode(run.path) == 0o711
        assert mode(run.sockets) == 0o700
        assert run.sockets.stat().st_uid == ourselves.uid


def test_the_short_lived_folder_is_found_from_the_data_and_leaves_nothing(folder, temporary):
    with run_folder(folder, None) as run:
        assert (folder.path / "run").resolve() == run.path.resolve()
    assert not (folder.path / "run").is_symlink()
    assert list(temporary.iterdir()) == []


def test_what_a_killed_process_left_is_removed_at_the_next_start(folder, temporary):
    old = temporary / "lime-abandoned"
    (old / "s").mkdir(parents=True)
    (folder.path / "run").symlink_to(old)
    with run_folder(folder, None) as run:
        assert list(temporary.iterdir()) == [run.path]


def test_what_is_not_ours_is_never_removed(folder, temporary):
    (temporary / "precious").mkdir()
    (folder.path / "run").symlink_to(temporary / "precious")
    with run_folder(folder, None):
        assert (temporary / "precious").is_dir()


def test_a_long_or_closed_place_is_passed_over(tmp_path):
    long, closed, good = tmp_path / ("x" * 100), tmp_path / "closed", Path("/")
    closed.mkdir(mode=0o700)
    long.mkdir()
    assert short_place(STRANGER, [long, tmp_path / "missing", closed, good]) == good


def test_without_any_place_the_person_is_told_what_to_set(tmp_path):
    with pytest.raises(FolderUnusableError, match="set TMPDIR"):
        short_place(None, [tmp_path / ("x" * 100)])


@pytest.fixture
def wheel(tmp_path):
    """Something laid out as wheels are: programs that find their libraries by a relative path."""
    site = tmp_path / "site-packages"
    programs, libraries = site / "package" / "install" / "bin", site / "package.libs"
    for made in (programs, libraries, site / "package" / "install" / "include"):
        made.mkdir(parents=True)
    (programs / "engine").write_text("#!/bin/sh\n")
    (programs / "engine").chmod(0o755)
    (libraries / "lib.so").write_text("")
    return Binaries("package", programs, (site / "package" / "install", libraries))


def test_programs_run_from_where_they_are(folder, temporary, wheel):
    with run_folder(folder, None) as run:
        assert run.programs(wheel) == wheel.folder


def test_programs_that_their_account_can_reach_are_not_copied(folder, temporary, ourselves):
    system = Binaries("system", Path("/bin"))
    with run_folder(folder, ourselves) as run:
        assert run.programs(system) == Path("/bin")


def test_programs_out_of_reach_are_copied_with_their_depth(folder, temporary, wheel):
    wheel.folder.chmod(0o700)
    with run_folder(folder, None) as run:
        programs = type(run)(run.path, STRANGER).programs(wheel)
        assert os.access(programs / "engine", os.X_OK)
        assert (programs / "../../../package.libs/lib.so").is_file()
        assert not (programs / "../include").exists()
        assert programs.is_relative_to(run.path)
