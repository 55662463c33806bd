import sys

import pytest

from tools import browser


@pytest.fixture
def nothing_here(monkeypatch):
    monkeypatch.setattr(browser.shutil, "which", lambda name: None)


@pytest.fixture
def chromium(tmp_path, monkeypatch):
    """A program of that name, and a font."""
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\necho Chromium 1.2.3\n")
    program.chmod(0o755)
    (tmp_path / "sans.ttf").touch()
    monkeypatch.setattr(browser, "FONTS", tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    return program


def test_without_a_browser_the_command_is_left_out_and_the_reason_is_given(
    nothing_here, monkeypatch, capsys
):
    monkeypatch.delenv("CI", raising=False)
    assert browser.main(["false"]) == 0
    assert "left out: no Chromium" in capsys.readouterr().err


def test_under_ci_a_missing_browser_is_a_failure(nothing_here, monkeypatch):
    monkeypatch.setenv("CI", "true")
    assert browser.main(["true"]) == 1


def test_the_command_is_told_where_the_browser_is_and_its_status_is_ours(chromium, capfd):
    say = "import os, sys; print(os.environ['LIME_TEST_CHROMIUM']); sys.exit(7)"
    assert browser.main([sys.executable, "-c", say]) == 7
    assert capfd.readouterr().out.splitlines()[-1] == str(chromium)


def test_without_a_command_it_says_what_there_is(chromium, capsys):
    assert browser.main([]) == 0
    assert capsys.readouterr().out == "browser: Chromium 1.2.3\n"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems bring their fonts")
def test_a_browser_without_any_font_is_not_one_we_can_use(chromium, tmp_path):
    assert browser.find() == chromium
    (tmp_path / "sans.ttf").unlink()
    assert browser.find() is None


def test_what_is_missing_is_installed_without_its_recommendations(chromium, monkeypatch):
    asked = []
    found = iter([None, chromium])
    monkeypatch.setattr(browser, "find", lambda: next(found))
    monkeypatch.setattr(browser.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(browser.os, "geteuid", lambda: 0)
    monkeypatch.setattr(browser, "apt", lambda *arguments: asked.append(arguments))
    assert browser.find_or_install() == chromium
    assert asked == [("update",), ("install", "--no-install-recommends", *browser.PACKAGES)]


def test_packages_that_bring_no_browser_are_an_error(monkeypatch):
    monkeypatch.setattr(browser, "find", lambda: None)
    monkeypatch.setattr(browser.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(browser.os, "geteuid", lambda: 0)
    monkeypatch.setattr(browser, "apt", lambda *arguments: None)
    with pytest.raises(browser.NotHereError, match="did not bring"):
        browser.find_or_install()
