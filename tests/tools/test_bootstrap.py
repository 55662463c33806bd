import subprocess
import sys
from pathlib import Path

import pytest

from tools import bootstrap


def test_an_old_python_is_refused_with_what_to_do(monkeypatch):
    monkeypatch.setattr(bootstrap.sys, "version_info", (3, 10, 13))
    with pytest.raises(bootstrap.MissingToolError, match=r"Python 3\.11 or newer"):
        bootstrap.check_tools()


def test_a_missing_rust_toolchain_is_named(monkeypatch):
    monkeypatch.setattr(bootstrap.shutil, "which", lambda name: None)
    with pytest.raises(bootstrap.MissingToolError, match="rustup"):
        bootstrap.check_tools()


def test_an_old_rust_toolchain_is_named_with_its_version(monkeypatch):
    answer = subprocess.CompletedProcess([], 0, stdout="cargo 1.70.0 (abc 2023-01-01)")
    monkeypatch.setattr(bootstrap.subprocess, "run", lambda *_, **__: answer)
    with pytest.raises(bootstrap.MissingToolError, match=r"this is 1\.70\.0"):
        bootstrap.check_tools()


def test_a_missing_c_compiler_is_named(monkeypatch):
    found = {"cargo": bootstrap.shutil.which("cargo")}
    monkeypatch.setattr(bootstrap.shutil, "which", found.get)
    with pytest.raises(bootstrap.MissingToolError, match="C compiler"):
        bootstrap.check_tools()


def test_a_missing_tool_ends_the_set_up_with_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr(bootstrap.shutil, "which", lambda name: None)
    assert bootstrap.main() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: the Rust toolchain")


def test_a_failing_step_is_shown_as_its_command(monkeypatch, capsys):
    def fail():
        raise subprocess.CalledProcessError(2, ["pip", "install"])

    monkeypatch.setattr(bootstrap, "check_tools", fail)
    assert bootstrap.main() == 1
    assert "exit status 2 from: pip install" in capsys.readouterr().err


def test_a_changed_source_is_due_again_and_an_unchanged_one_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    source = tmp_path / "packages" / "x"
    source.mkdir(parents=True)
    (source / "a.py").write_text("1")
    before = bootstrap.digest([source])
    assert bootstrap.digest([source]) == before
    (source / "a.py").write_text("2")
    assert bootstrap.digest([source]) != before


def test_tests_and_caches_do_not_make_a_wheel_due(tmp_path, monkeypatch):
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    source = tmp_path / "packages" / "x"
    (source / "tests").mkdir(parents=True)
    (source / "a.py").write_text("1")
    before = bootstrap.digest([source])
    (source / "tests" / "test_a.py").write_text("")
    (source / "__pycache__").mkdir()
    (source / "__pycache__" / "a.pyc").write_text("")
    assert bootstrap.digest([source]) == before


def test_it_needs_nothing_but_the_standard_library():
    script = Path(bootstrap.__file__).read_text()
    imported = {
        line.split()[1].split(".")[0]
        for line in script.splitlines()
        if line.startswith(("import ", "from ")) and "__future__" not in line
    }
    assert imported <= set(sys.stdlib_module_names)
