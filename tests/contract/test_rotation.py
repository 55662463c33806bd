"""Protocol section 6, rotation: keys are changed by the operator, and no passport notices."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.promises import promise
from tests.support.deployment import Deployment, eventually
from tests.support.tokens import parts, read
from tests.support.wire import Agent, Site, Wire


@pytest.fixture
def own(own_deployment: Deployment) -> Deployment:
    """A database whose keys are nobody else's."""
    return own_deployment


@pytest.fixture
def people(own: Deployment) -> tuple[Agent, Site]:
    return own.agent(), own.site()


@pytest.fixture
def quick(own: Deployment) -> Iterator[Wire]:
    """A server on which a new key may sign after a second."""
    settings = {"LIME_KEY_PUBLISH_BEFORE": "1", "LIME_KEY_REFRESH_INTERVAL": "0.2"}
    with own.server("quick", **settings) as server, Wire(server.api_base) as wire:
        yield wire


def _kids(wire: Wire) -> set[str]:
    return {key["kid"] for key in wire.jwks().json()["keys"]}


def _states(deployment: Deployment) -> dict[str, str]:
    keys: list[dict[str, Any]] = json.loads(deployment.command("keys", "list", "--json"))
    return {key["kid"]: key["state"] for key in keys}


@promise("rotation:published-first", "rotation:states")
def test_a_new_key_is_published_and_does_not_sign_yet(
    own: Deployment, people: tuple[Agent, Site]
) -> None:
    with (
        own.server("slow", LIME_KEY_REFRESH_INTERVAL="0.2") as server,
        Wire(server.api_base) as wire,
    ):
        (old,) = _kids(wire)
        own.command("keys", "rotate")
        eventually(lambda: len(_kids(wire)) == 2)
        assert old in _kids(wire)
        for _ in range(5):
            assert parts(wire.passport(*people))[0]["kid"] == old
        # Asking again does not hurry it.
        own.command("keys", "rotate")
        assert parts(wire.passport(*people))[0]["kid"] == old
        assert len(_kids(wire)) == 2
        # A key that never signed goes as soon as it is told to.
        (new,) = _kids(wire) - {old}
        own.command("keys", "retire", new)
        assert _states(own) == {old: "active", new: "gone"}
        eventually(lambda: _kids(wire) == {old})


@promise("rotation:old-stays")
def test_an_old_key_stays_published_and_its_passports_good(
    own: Deployment, people: tuple[Agent, Site], quick: Wire
) -> None:
    before = quick.passport(*people)
    old = parts(before)[0]["kid"]
    own.command("keys", "rotate")
    eventually(lambda: parts(quick.passport(*people))[0]["kid"] != old)
    after = quick.passport(*people)
    jwks = quick.jwks().json()
    assert {old, parts(after)[0]["kid"]} == _kids(quick)
    for passport in (before, after):
        read(passport, jwks)


@promise("rotation:states")
def test_keys_walk_through_their_states_with_one_active(
    own: Deployment, people: tuple[Agent, Site], quick: Wire
) -> None:
    (first,) = _kids(quick)
    assert _states(own) == {first: "active"}
    own.command("keys", "rotate")
    (second,) = set(_states(own)) - {first}
    walked = [_states(own)]

    def signs() -> bool:
        walked.append(_states(own))
        return walked[-1][second] == "active"

    eventually(signs)
    assert walked[-1] == {first: "retiring", second: "active"}
    for states in walked:
        assert list(states.values()).count("active") == 1
        assert states in (
            {first: "active", second: "standby"},
            {first: "retiring", second: "active"},
        )
