import subprocess
import sys
from pathlib import Path

import pytest

from tools import debian_engines


@pytest.fixture
def nothing_here(monkeypatch):
    monkeypatch.setattr(debian_engines, "find", lambda: None)
    monkeypatch.setattr(debian_engines.shutil, "which", lambda name, path=None: None)


def test_without_engines_the_command_is_left_out_and_the_reason_is_given(
    nothing_here, monkeypatch, capsys
):
    monkeypatch.delenv("CI", raising=False)
    assert debian_engines.main(["false"]) == 0
    assert "left out: no PostgreSQL" in capsys.readouterr().err


def test_without_pgbouncer_the_reason_is_given(nothing_here):
    with pytest.raises(debian_engines.NotHereError, match="no PgBouncer"):
        debian_engines.find_or_install_pgbouncer()


def test_pgbouncer_is_found_among_the_administrators_programs(monkeypatch):
    places = {None: None, "/usr/sbin": "/usr/sbin/pgbouncer"}
    monkeypatch.setattr(debian_engines.shutil, "which", lambda _name, path=None: places[path])
    assert str(debian_engines.find_or_install_pgbouncer()) == "/usr/sbin/pgbouncer"


def test_under_ci_missing_engines_are_a_failure(nothing_here, monkeypatch):
    monkeypatch.setenv("CI", "true")
    assert debian_engines.main(["true"]) == 1


def test_package_scripts_may_start_no_service_while_we_install(tmp_path, monkeypatch):
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(debian_engines, "POLICY", policy)
    with debian_engines.no_services_started():
        assert policy.read_text().endswith("exit 101\n")
    assert not policy.exists()


def test_a_policy_that_is_there_stays_as_it_is(tmp_path, monkeypatch):
    policy = tmp_path / "policy-rc.d"
    policy.write_text("mine")
    monkeypatch.setattr(debian_engines, "POLICY", policy)
    with debian_engines.no_services_started():
        assert policy.read_text() == "mine"
    assert policy.read_text() == "mine"


def test_a_server_that_dies_at_once_is_reported_rather_than_awaited():
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    with pytest.raises(RuntimeError, match="did not start"):
        debian_engines.until(lambda: False, dead)


def test_tests_that_use_no_engine_are_left_out():
    command = [sys.executable, "-m", "pytest", "--collect-only", "--only-engines", "-q"]
    found = subprocess.run(
        [*command, "packages/lime-server/tests/login/test_service.py", "tests/tools"],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    ).stdout
    chosen = [line for line in found.splitlines() if "::" in line]
    assert chosen
    assert all("[postgres" in line for line in chosen)


def test_an_engine_is_not_had_without_a_word(request):
    with pytest.raises(AssertionError, match="call it with a parameter"):
        request.getfixturevalue("postgres_url")
