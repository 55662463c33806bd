"""Between fork and engine."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from lime_server.infrastructure.embedded import child

PARENT = 4711


class Recorder:
    """A kernel that writes down what it is asked."""

    def __init__(self, *, prctl: int = 0, parent: int = PARENT) -> None:
        self.calls: list[object] = []
        self._prctl, self._parent = prctl, parent

    def kernel(self) -> child.Kernel:
        return child.Kernel(
            setgroups=self._note("setgroups"),
            setgid=self._note("setgid"),
            setuid=self._note("setuid"),
            prctl=self._note("prctl", self._prctl),
            getppid=self._note("getppid", self._parent),
            execv=self._note("execv"),
        )

    def _note(self, name: str, answer: int = 0) -> Callable[..., int]:
        def called(*arguments: object) -> int:
            self.calls.append((name, *arguments))
            return answer

        return called


ARGUMENTS = ["--parent", str(PARENT), "--signal", "3", "--", "/bin/engine", "-D", "data"]


def test_the_engine_asks_for_its_signal_after_leaving_root_and_before_looking_for_its_parent():
    recorder = Recorder()
    child.main(["--uid", "65534", "--gid", "65533", *ARGUMENTS], recorder.kernel())
    assert recorder.calls == [
        ("setgroups", []),
        ("setgid", 65533),
        ("setuid", 65534),
        ("prctl", 1, 3),
        ("getppid",),
        ("execv", "/bin/engine", ["/bin/engine", "-D", "data"]),
    ]


def test_a_folder_is_opened_before_root_is_left(tmp_path):
    recorder = Recorder()
    child.main(["--folder", str(tmp_path), *ARGUMENTS], recorder.kernel())
    try:
        assert os.path.samestat(os.fstat(child.FOLDER_DESCRIPTOR), tmp_path.stat())
        assert os.get_inheritable(child.FOLDER_DESCRIPTOR)
    finally:
        os.close(child.FOLDER_DESCRIPTOR)


def test_an_ordinary_user_stays_who_they_are():
    recorder = Recorder()
    child.main(ARGUMENTS, recorder.kernel())
    assert recorder.calls[0] == ("prctl", 1, 3)


def test_an_engine_whose_parent_died_meanwhile_does_not_start(capsys):
    recorder = Recorder(parent=1)
    assert child.main(ARGUMENTS, recorder.kernel()) == 1
    assert recorder.calls[-1] == ("getppid",)
    assert "parent process is gone" in capsys.readouterr().err


def test_an_engine_that_could_be_orphaned_unnoticed_does_not_start(capsys):
    recorder = Recorder(prctl=-1)
    assert child.main(ARGUMENTS, recorder.kernel()) == 1
    assert recorder.calls == [("prctl", 1, 3)]
    assert "PR_SET_PDEATHSIG" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is a Linux call")
def test_the_real_prctl_reaches_the_kernel():
    pr_get_dumpable = 3
    assert child._prctl(pr_get_dumpable, 0) in {0, 1, 2}


def test_a_guard_leaves_root_too_and_asks_the_kernel_for_nothing_else(monkeypatch):
    recorder = Recorder()
    guarded: list[object] = []
    monkeypatch.setattr(child, "guard", lambda *call, parent: guarded.append(call) or 0)
    asked = ["--guard", "--uid", "1", "--gid", "2", *ARGUMENTS]
    assert child.main(asked, recorder.kernel()) == 0
    assert [name for name, *_ in recorder.calls] == ["setgroups", "setgid", "setuid"]
    assert guarded == [(["/bin/engine", "-D", "data"], 3)]


@pytest.fixture
def parent():
    """The two ends of the pipe that a guard watches: what it reads, and what its parent holds."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as watched:
        with os.fdopen(writing, "wb") as held:
            yield watched.fileno(), held
        # It reads until the end, which has come now; only then may the number be used again.
        for thread in threading.enumerate():
            if thread.name == child.WATCHER:
                thread.join()


def test_a_guard_ends_with_its_engine(parent):
    watched, _ = parent
    assert child.guard(["/bin/sh", "-c", "exit 7"], signal.SIGTERM, parent=watched) == 7


def test_a_guard_ends_its_engine_when_the_parent_is_gone(parent):
    watched, held = parent
    held.write(b"x")  # whatever the parent says means nothing; only its end does
    held.close()
    assert child.guard(["/bin/cat", "/dev/zero"], signal.SIGINT, parent=watched) == -signal.SIGINT


def test_a_guard_passes_signals_on(parent, monkeypatch):
    watched, _ = parent
    started = threading.Event()
    real = subprocess.Popen

    def popen(*arguments, **options):
        made = real(*arguments, **options)
        started.set()
        return made

    monkeypatch.setattr(child.subprocess, "Popen", popen)
    main_thread = threading.main_thread().ident

    def stop():
        started.wait()
        signal.pthread_kill(main_thread, signal.SIGTERM)

    stopper = threading.Thread(target=stop)
    stopper.start()
    code = child.guard(["/bin/sleep", "600"], signal.SIGKILL, parent=watched)
    stopper.join()
    assert code == -signal.SIGTERM


def test_a_signal_that_comes_before_the_engine_is_not_lost(parent, monkeypatch):
    watched, _ = parent
    real = subprocess.Popen

    def popen(*arguments, **options):
        signal.raise_signal(signal.SIGTERM)
        return real(*arguments, **options)

    monkeypatch.setattr(child.subprocess, "Popen", popen)
    code = child.guard(["/bin/sleep", "600"], signal.SIGKILL, parent=watched)
    assert code == -signal.SIGTERM


def test_a_guard_gives_the_signal_handlers_back(parent):
    watched, _ = parent
    before = signal.getsignal(signal.SIGTERM)
    child.guard(["/bin/sh", "-c", ":"], signal.SIGTERM, parent=watched)
    assert signal.getsignal(signal.SIGTERM) is before
