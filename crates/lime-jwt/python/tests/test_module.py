"""The module as Python sees it: names, errors, what objects show, and threads."""

from __future__ import annotations

import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import lime_jwt
from lime_jwt import (
    Expectation,
    ExpiredTokenError,
    InvalidClaimError,
    JwkSet,
    KeyEncryptionKey,
    SigningKey,
    TokenHasher,
    UnknownKeyError,
    errors,
    verify,
)


def test_all_public_names_are_exported_and_no_other() -> None:
    exported = set(lime_jwt.__all__)
    assert exported == {name for name in vars(lime_jwt) if not name.startswith("_")} - {"errors"}
    assert {name for name in vars(errors) if name.endswith("Error")} <= exported | {"ValueError"}
    assert all(getattr(lime_jwt, name) is not None for name in exported)


def test_every_error_is_a_value_error_of_this_package() -> None:
    for name in lime_jwt.__all__:
        if name.endswith("Error"):
            assert issubclass(getattr(lime_jwt, name), lime_jwt.LimeJwtError)
    assert issubclass(lime_jwt.LimeJwtError, ValueError)


def test_errors_keep_what_they_know_through_pickling() -> None:
    for error in (UnknownKeyError("message", "k1"), ExpiredTokenError("message", "exp")):
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert str(again) == "message"
        assert vars(again) == vars(error)
    assert UnknownKeyError("message", "k1").kid == "k1"
    assert InvalidClaimError("message", "aud").claim == "aud"


def test_no_secret_shows_in_a_repr(key: SigningKey, keys: JwkSet) -> None:
    assert repr(key) == f'SigningKey(kid="{key.kid}")'
    assert repr(TokenHasher(b"secret" * 6)) == "TokenHasher(...)"
    assert repr(KeyEncryptionKey(b"secretly" * 4)) == "KeyEncryptionKey(...)"
    assert keys.issuer in repr(keys)
    assert key.kid in repr(keys)
    assert "site-51c2" in repr(Expectation.login(site_id="site-51c2"))


def test_objects_cannot_be_changed(key: SigningKey, keys: JwkSet) -> None:
    expect = Expectation.login(site_id="s")
    for subject in (key, keys, expect, TokenHasher(bytes(32)), KeyEncryptionKey(bytes(32))):
        with pytest.raises(AttributeError):
            subject.kid = "other"  # type: ignore[union-attr]  # the subject of the test


def test_expectations_are_compared_by_what_they_expect() -> None:
    assert Expectation.login(site_id="s") == Expectation.login(site_id="s")
    assert Expectation.login(site_id="s") != Expectation.binding(site_id="s")
    assert Expectation.login(site_id="s") != Expectation.login(site_id="s", leeway=1)


def test_arguments_of_another_type_are_type_errors(good: str, keys: JwkSet) -> None:
    expect: Any = Expectation.login(site_id="site-51c2")
    wrong: list[dict[str, Any]] = [
        {"token": good.encode()},
        {"token": None},
        {"keys": None},
        {"expect": None},
        {"now": 1.8e9},
        {"now": None},
    ]
    for change in wrong:
        arguments = {"token": good, "keys": keys, "expect": expect, "now": 0} | change
        with pytest.raises(TypeError):
            verify(**arguments)


@pytest.fixture
def no_switching() -> Iterator[None]:
    """Threads change only where the one that runs lets go of the interpreter's lock."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(3600)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("no_switching")
@pytest.mark.parametrize("name", ["sign", "verify", "parse"])
def test_other_threads_run_while_rsa_works(
    key: SigningKey,
    test_keys: dict[str, bytes],
    good: str,
    at_site: Callable[[str], Any],
    name: str,
) -> None:
    works: dict[str, Callable[[], Any]] = {
        "sign": lambda: key.sign({}, typ="JWT"),
        "verify": lambda: at_site(good),
        "parse": lambda: SigningKey.from_pkcs8(test_keys["main"]),
    }
    work, begun, stop, outcome = works[name], threading.Event(), threading.Event(), []

    def until_stopped() -> None:
        begun.set()
        for _ in range(100_000):
            work()
            if stop.is_set():
                outcome.append("stopped")
                return

    thread = threading.Thread(target=until_stopped)
    thread.start()
    # Only a thread that gives way during `work` lets this one come back from here and stop it.
    begun.wait()
    stop.set()
    thread.join()
    assert outcome == ["stopped"]


def test_one_key_serves_many_threads(
    key: SigningKey, good: str, at_site: Callable[[str], Any]
) -> None:
    expected, seen = at_site(good), []

    def use() -> None:
        seen.extend((at_site(good), key.sign({"a": 1}, typ="JWT")) for _ in range(50))

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 200
    assert all(claims == expected for claims, _ in seen)
    assert len({token for _, token in seen}) == 1
