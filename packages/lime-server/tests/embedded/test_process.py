"""Starting, watching and ending one process."""

import os
import signal
import sys
import threading

import pytest

from lime_server.infrastructure.embedded import StartFailedError, process
from lime_server.infrastructure.embedded.identity import Identity
from tests.support.processes import Family

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the end is observed through pidfds")


@pytest.fixture(params=[False, True], ids=["kernel", "guard"])
def spawn(request):
    """Starts processes the Linux way and the way of other systems; they end with the test."""
    if not request.param and sys.platform != "linux":
        pytest.skip("only Linux ends orphans by itself")
    started = []

    def start(command):
        started.append(process.spawn(command, guarded=request.param))
        return started[-1]

    yield start
    for each in started:
        each.stop()


def said(command, word):
    return lambda: word in command.log.read_text()


def test_what_an_engine_says_goes_to_its_log(spawn, command):
    running = spawn(command("echo out; echo err >&2"))
    running.finish()
    assert running.command.log.read_text() == "out\nerr\n"


def test_an_engine_learns_nothing_of_our_environment(spawn, command, monkeypatch):
    monkeypatch.setenv("LIME_MASTER_KEY", "secret")
    monkeypatch.setenv("PGDATA", "/elsewhere")
    running = spawn(command("env"))
    running.finish()
    names = {line.partition("=")[0] for line in running.command.log.read_text().splitlines()}
    assert names <= {"PATH", "LC_ALL", "TZ", "PWD", "OLDPWD", "SHLVL", "_"}


def test_an_engine_is_out_of_reach_of_our_terminals_ctrl_c(spawn, command):
    running = spawn(command("echo up; sleep 600 & wait"))
    running.wait_until(said(running.command, "up"))
    assert os.getsid(running.pid) == running.pid != os.getsid(0)


def test_stop_ends_an_engine_gently_and_may_be_repeated(spawn, command):
    running = spawn(command("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done"))
    running.wait_until(said(running.command, "up"))
    running.stop()
    running.stop()
    assert running.exit_code() == 0
    assert "bye" in running.command.log.read_text()


def test_stop_ends_an_engine_that_will_not_listen(spawn, command, monkeypatch):
    monkeypatch.setattr(process, "_GUARD_PATIENCE", 30)
    running = spawn(command("trap '' TERM; echo up; while :; do sleep 0.01; done", patience=0.05))
    running.wait_until(said(running.command, "up"))
    running.stop()
    assert running.exit_code() == -signal.SIGKILL or running.exit_code() == 256 - signal.SIGKILL


def test_a_guard_that_hangs_is_killed(command, monkeypatch):
    monkeypatch.setattr(process, "_GUARD_PATIENCE", 0.05)
    running = process.spawn(
        command(
            "trap '' TERM INT; echo up; while :; do sleep 0.01; done & wait; sleep 1",
            patience=0.05,
            when_orphaned=signal.SIGCONT,
        ),
        guarded=True,
    )
    running.wait_until(said(running.command, "up"))
    running.stop()
    assert running.exit_code() == -signal.SIGKILL
    os.killpg(running.pid, signal.SIGKILL)


def test_an_engine_that_ends_while_it_starts_is_reported_with_its_last_words(spawn, command):
    running = spawn(command("echo no such luck; exit 3"))
    with pytest.raises(StartFailedError) as failure:
        running.wait_until(lambda: False)
    assert "Engine ended with exit code 3" in str(failure.value)
    assert "no such luck" in str(failure.value)


def test_an_engine_that_was_killed_is_reported_as_killed(command):
    running = process.spawn(command("kill -9 $$"), guarded=False)
    with pytest.raises(StartFailedError, match=r"Engine was ended by SIGKILL\.$"):
        running.wait_until(lambda: False)


def test_an_engine_that_takes_too_long_is_reported(spawn, command):
    running = spawn(command("exec sleep 600"))
    with pytest.raises(StartFailedError, match=r"Engine was not ready after 0\.02 seconds"):
        running.wait_until(lambda: False, timeout=0.02)


def test_a_program_that_fails_is_reported(spawn, command):
    with pytest.raises(StartFailedError, match="exit code 4"):
        spawn(command("exit 4")).finish()


def test_a_program_that_does_not_end_is_stopped(spawn, command):
    running = spawn(command("exec sleep 600"))
    with pytest.raises(StartFailedError, match="Engine"):
        running.finish(timeout=0.02)
    assert running.exit_code() is not None


def test_an_engine_cannot_be_started_by_a_thread_that_may_end_before_it(command):
    raised = []

    def start():
        try:
            process.spawn(command("true"))
        except RuntimeError as error:
            raised.append(str(error))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "main thread" in raised[0]


def test_an_engine_gets_the_account_it_was_meant_for(command):
    asked = command("true", identity=Identity(12, 34, "somebody"))
    options = process._child_options(asked, guarded=False)
    assert options[-4:] == ["--uid", "12", "--gid", "34"]


def test_a_folder_is_handed_over_open(spawn, command, tmp_path):
    (tmp_path / "inside").write_text("found")
    running = spawn(command("cat /proc/self/fd/100/inside", folder=tmp_path))
    running.finish()
    assert running.command.log.read_text() == "found"


PARENT = """
    import signal, sys
    from pathlib import Path
    from lime_server.infrastructure.embedded.process import Command, spawn

    folder, guarded = Path(sys.argv[1]), sys.argv[2] == "True"
    log = folder / "log"
    running = spawn(
        Command("Engine", ("/bin/sh", "-c", "echo up; exec sleep 600"), folder, log, None,
                None, signal.SIGKILL, ()),
        guarded=guarded,
    )
    running.wait_until(lambda: "up" in log.read_text())
    print(running.pid, flush=True)
    sys.stdin.read()
"""


@LINUX
@pytest.mark.parametrize("guarded", [False, True], ids=["kernel", "guard"])
def test_an_engine_ends_with_a_parent_that_was_killed(guarded, script, tmp_path):
    parent = script(PARENT, tmp_path, guarded)
    engine = Family(int(parent.line()))
    assert len(engine.pids) == (2 if guarded else 1)
    parent.send(signal.SIGKILL)
    engine.wait_until_gone()
