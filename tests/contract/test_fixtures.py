"""Bytes that tie both sides: the server writes them, the SDKs read them, and the live server sends nothing else."""

import importlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from lime_agents._errors import AGENT_ERRORS
from lime_sdk_core import LimeError, RateLimitError, Reply
from lime_sdk_core.envelope import unwrap
from lime_server.core.errors import RateLimited
from lime_server.modules.http import success
from lime_server.modules.site_login import wire as site_login
from lime_server.modules.site_login.model import Event, EventKind
from lime_sites._wire import read_frame
from lime_sites.errors import ERRORS as SITE_ERRORS
from tests.contract.promises import promise
from tests.support.events import Frame
from tests.support.wire import Agent, Site, Wire, data

FOLDER = Path(__file__).parent / "fixtures"
FIXTURES: dict[str, dict[str, Any]] = {
    file.stem: json.loads(file.read_text()) for file in sorted(FOLDER.glob("*.json"))
}
BODIES = sorted(name for name in FIXTURES if not name.startswith("frame-") and name != "error")
FRAMES = sorted(name for name in FIXTURES if name.startswith("frame-"))

REQUEST = "01939f6e-7c5a-7b21-9d44-3e5a0a6f1c01"
PASSPORT = "eyJhbGciOiJSUzI1NiJ9.e30.c2ln"


def _bytes(name: str) -> bytes:
    return str(FIXTURES[name]["bytes"]).encode()


def _named(dotted: str) -> Any:
    module, name = dotted.split(":")
    return getattr(importlib.import_module(module), name)


def _event(kind: EventKind, redirect_url: str | None = None) -> Event:
    now = datetime(2026, 11, 23, 10, tzinfo=UTC)
    return Event(
        event_id=REQUEST,
        site_id="01939f6e-0000-7f00-8a55-2d3f0f6a9b02",
        request_id=REQUEST,
        kind=kind,
        agent_id=None,
        redirect_url=redirect_url,
        created_at=now,
        deliver_until=now,
    )


WRITERS: dict[str, Callable[[], bytes]] = {
    "frame-approved": lambda: site_login.event_frame(_event(EventKind.APPROVED), PASSPORT),
    "frame-approved-with-redirect": lambda: site_login.event_frame(
        _event(EventKind.APPROVED, "https://shop.example/back"), PASSPORT
    ),
    "frame-expired": lambda: site_login.event_frame(_event(EventKind.EXPIRED), None),
    "frame-denied": lambda: site_login.event_frame(_event(EventKind.DENIED), None),
    "frame-keepalive": lambda: site_login.KEEPALIVE,
    "frame-goaway": lambda: site_login.GOAWAY,
    "frame-error": lambda: site_login.error_frame("SITE_SUSPENDED", "This site is suspended."),
}


@promise("fixtures:server")
@pytest.mark.parametrize("name", BODIES)
def test_the_server_writes_every_body_to_the_byte(name: str) -> None:
    model: type[BaseModel] = _named(FIXTURES[name]["server"])
    written = success(model.model_validate(json.loads(_bytes(name))["data"]))
    assert written.body == _bytes(name)


@promise("fixtures:server")
@pytest.mark.parametrize("name", FRAMES)
def test_the_server_writes_every_frame_to_the_byte(name: str) -> None:
    assert WRITERS[name]() == _bytes(name)


def _with_a_field_of_tomorrow(value: Any) -> Any:
    """The same, with one more field in every object."""
    if isinstance(value, dict):
        return {
            **{key: _with_a_field_of_tomorrow(each) for key, each in value.items()},
            "added_tomorrow": [1],
        }
    return value


@promise("fixtures:sdks")
@pytest.mark.parametrize("name", BODIES)
def test_the_sdks_read_every_body(name: str) -> None:
    for dotted in FIXTURES[name]["readers"]:
        model: type[BaseModel] = _named(dotted)
        errors = SITE_ERRORS if dotted.startswith("lime_sites") else AGENT_ERRORS
        today = unwrap(Reply(200, {}, _bytes(name)), errors)
        later = json.dumps(_with_a_field_of_tomorrow(json.loads(_bytes(name)))).encode()
        tomorrow = unwrap(Reply(200, {}, later), errors)
        found = model.model_validate(today)
        assert model.model_validate(tomorrow) == found
        # Read, not merely tolerated: every field that the reader knows has the value of the fixture.
        assert isinstance(today, dict)
        read = found.model_dump(mode="json")
        assert read
        for key, value in today.items():
            if key in read and not isinstance(value, dict):
                assert read[key] == value, key


@promise("fixtures:sdks")
@pytest.mark.parametrize("name", FRAMES)
def test_the_sdk_reads_every_frame(name: str) -> None:
    frame = Frame.parse(_bytes(name))
    assert frame is not None
    found = read_frame(json.dumps(frame.body))
    assert found is not None
    assert found.model_dump(mode="json", exclude_none=True) == frame.body
    assert read_frame(json.dumps(_with_a_field_of_tomorrow(frame.body))) == found


@promise("fixtures:sdks", "fixtures:server")
def test_both_sides_agree_on_an_error() -> None:
    written = json.loads(_bytes("error"))["error"]
    assert written["code"] == RateLimited.code
    for errors in (SITE_ERRORS, AGENT_ERRORS):
        with pytest.raises(LimeError) as raised:
            unwrap(Reply(429, {"retry-after": "3"}, _bytes("error")), errors)
        assert isinstance(raised.value, RateLimitError)
        assert (raised.value.code, raised.value.message) == (written["code"], written["message"])
        assert raised.value.detail == written["detail"]


def _shape(value: Any) -> Any:
    """The fields of an object, and of those within it."""
    return {key: _shape(each) for key, each in value.items()} if isinstance(value, dict) else ...


def _like(name: str) -> Any:
    return _shape(json.loads(_bytes(name))["data"])


@promise("fixtures:live")
def test_the_live_server_sends_exactly_these_fields(wire: Wire, agent: Agent, site: Site) -> None:
    created = data(wire.create(site), 201)
    request_id = created["login_request_id"]
    assert _shape(created) == _like("login-request-created")
    assert _shape(data(wire.view(site, request_id))) == _like("login-request-pending")
    assert _shape(data(wire.challenge(request_id))) == _like("puzzle")
    assert _shape(wire.approved(agent, request_id)) == _like("approval")
    assert _shape(data(wire.view(site, request_id, wait=5))) == _like("login-request-approved")
    assert _shape(data(wire.deny(agent, wire.new_request(site)))) == _like("denial")
    assert _shape(data(wire.acknowledge(site))) == _like("acknowledged")
    assert _shape(data(wire.http.get("/core/agents/me/profile", headers=agent.headers))) == _like(
        "profile"
    )
    assert _shape(data(wire.http.get("/foundation/sites/me", headers=site.headers))) == _like(
        "site-me"
    )


@promise("fixtures:live")
def test_the_live_server_sends_frames_of_exactly_these_bytes(
    wire: Wire, agent: Agent, site: Site
) -> None:
    with wire.events(site) as stream:
        approved = stream.of(wire.login(agent, site))
        denied_id = wire.new_request(site)
        wire.deny(agent, denied_id)
        denied = stream.of(denied_id)
    passport = approved.body["agent_passport_jwt"]
    fixture = _bytes("frame-approved").replace(REQUEST.encode(), approved.request_id.encode())
    assert approved.raw + b"\n" == fixture.replace(PASSPORT.encode(), passport.encode())
    assert denied.raw + b"\n" == _bytes("frame-denied").replace(
        REQUEST.encode(), denied_id.encode()
    )
