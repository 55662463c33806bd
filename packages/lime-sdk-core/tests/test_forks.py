"""What a child finds that was forked while other threads were at work."""

import os
import threading

import httpx
import pytest

from lime_sdk_core import Request, SyncDriver, call
from lime_sdk_core._forks import ForkLock, _renew_all


def test_one_at_a_time_and_free_again_after_a_failure():
    lock, inside = ForkLock(), []

    def enter():
        with lock:
            inside.append(1)

    other = threading.Thread(target=enter)

    def fail():
        with lock:
            other.start()
            other.join(timeout=0.05)
            assert inside == []
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    other.join()
    assert inside == [1]


def test_who_held_it_is_forgotten_by_all_locks_that_there_are():
    locks = [ForkLock() for _ in range(3)]
    for lock in locks:
        lock.__enter__()
    _renew_all()
    for lock in locks:
        with lock:
            pass


def test_a_fork_while_another_thread_connects_does_not_hang(config):
    transport = httpx.MockTransport(lambda r: httpx.Response(200, json={"ok": True, "data": 5}))
    driver = SyncDriver(config, httpx.Client(transport=transport))
    held, done = threading.Event(), threading.Event()

    def connect():
        with driver._lock:
            held.set()
            done.wait()

    other = threading.Thread(target=connect)
    other.start()
    held.wait()
    if (child := os.fork()) == 0:
        # No exception may leave: the child would go on with the tests.
        found = None
        try:
            found = driver.run(call(Request("GET", "/a"), lambda data: data))
        finally:
            os._exit(0 if found == 5 else 1)
    _, status = os.waitpid(child, 0)
    done.set()
    other.join()
    assert os.waitstatus_to_exitcode(status) == 0
