import json
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


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """An empty checkout whose Node only writes down what it is told."""
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "STAMPS", tmp_path / "stamps")
    monkeypatch.setattr(bootstrap, "PORTAL", tmp_path / "packages/lime-portal")
    monkeypatch.setattr(bootstrap, "EXPORT", tmp_path / "packages/lime-server/portal")
    for name, text in (
        ("package.json", json.dumps({"dependencies": {"next": "1"}})),
        ("package-lock.json", json.dumps({"packages": {"": {"dependencies": {"next": "1"}}}})),
        ("out/index.html", "page"),
        ("src/page.tsx", "1"),
    ):
        path = tmp_path / "packages/lime-portal" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/compress_export.mjs").touch()
    return tmp_path


@pytest.fixture
def node(monkeypatch):
    """Told commands; Node itself is of `version`."""
    told = []

    class Node:
        version = "v20.9.0"
        commands = told

    def ask(*_, **__):
        return subprocess.CompletedProcess([], 0, stdout=Node.version + "\n")

    def run(*command, cwd=None):
        told.append(" ".join(Path(str(part)).name for part in command))
        if "install" in command:
            (cwd / "node_modules").mkdir(parents=True)

    monkeypatch.setattr(bootstrap.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(bootstrap.subprocess, "run", ask)
    monkeypatch.setattr(bootstrap, "run", run)
    return Node


def test_the_portal_is_built_once_and_again_when_its_sources_change(checkout, node):
    bootstrap.make_portal()
    first = [
        "npm install --no-save --ignore-scripts --no-audit --no-fund",
        "npm run build",
        "node compress_export.mjs out",
    ]
    assert node.commands == first
    assert (bootstrap.EXPORT / "index.html").read_text() == "page"
    (bootstrap.PORTAL / "next-env.d.ts").write_text("made by a build")
    bootstrap.make_portal()
    assert node.commands == first
    (bootstrap.PORTAL / "src/page.tsx").write_text("2")
    bootstrap.make_portal()
    assert node.commands == first + first[1:]


@pytest.mark.parametrize("version", ["v18.20.4", "v20.8.1"])
def test_an_old_node_is_named_and_leaves_the_portal_out(checkout, node, capsys, version):
    node.version = version
    bootstrap.EXPORT.mkdir(parents=True)
    bootstrap.make_portal()
    (line,) = capsys.readouterr().err.splitlines()
    assert "without the web portal" in line
    assert version in line
    assert node.commands == []
    assert not bootstrap.EXPORT.exists()


@pytest.mark.parametrize("missing", ["node", "npm"])
def test_without_node_or_npm_the_server_is_built_without_the_portal(
    checkout, node, monkeypatch, capsys, missing
):
    monkeypatch.setattr(
        bootstrap.shutil, "which", lambda name: None if name == missing else f"/usr/bin/{name}"
    )
    bootstrap.make_portal()
    assert "install Node.js 20.9 or newer with npm" in capsys.readouterr().err
    assert node.commands == []


def test_a_lock_file_of_other_dependencies_is_refused(checkout, node):
    (bootstrap.PORTAL / "package.json").write_text(json.dumps({"dependencies": {"next": "2"}}))
    with pytest.raises(bootstrap.MissingToolError, match=r"package-lock\.json is not that"):
        bootstrap.make_portal()
