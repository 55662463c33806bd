"""What a child finds that was forked while other threads were at work."""

import os
import threading

import httpx

from lime_sdk_core import Request, SyncDriver, call
from lime_sdk_core._forks import _renew_all, lock_of


class Owner:
    def __init__(self):
        self._lock = lock_of(self)


def test_who_held_them_is_forgotten_by_all_locks_that_there_are():
    owners = [Owner() for _ in range(3)]
    for owner in owners:
        owner._lock.acquire()
    _renew_all()
    assert not any(owner._lock.locked() for owner in owners)


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
