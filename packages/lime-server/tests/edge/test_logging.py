"""Logs: structured, and without secrets whoever writes them."""

import io
import json
import logging

import pytest
import structlog

from lime_server.core.origin import Origin, coming_from, in_trace
from lime_server.logging import HIDDEN, configure
from tests.support.logs import lent_logging

AGENT = "at_" + "a1B2" * 11
SITE = "st_" + "c3_-" * 11
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


@pytest.fixture
def restored():
    """Puts the process's logging back as it was."""
    with lent_logging():
        yield


@pytest.fixture
def lines(restored):
    """Everything logged as JSON."""
    stream = io.StringIO()
    configure(stream=stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_holds_what_was_bound_to_the_request(lines):
    with coming_from(Origin("r1")):
        structlog.get_logger("lime").info("hello", count=1)
        logging.getLogger("other").warning("%s", "there", extra={"colour": "blue"})
    first, second = lines()
    assert (first["event"], first["request_id"], first["count"]) == ("hello", "r1", 1)
    assert (second["event"], second["request_id"], second["colour"]) == ("there", "r1", "blue")
    assert first["timestamp"].endswith("Z")


def test_a_line_can_be_found_by_its_trace(lines):
    with coming_from(Origin("r1")), in_trace("0af7"):
        structlog.get_logger("lime").info("hello")
        logging.getLogger("other").warning("there")
    structlog.get_logger("lime").info("later")
    first, second, later = lines()
    assert first["trace_id"] == second["trace_id"] == "0af7"
    assert "trace_id" not in later


def test_what_lies_below_the_level_is_not_written(lines):
    structlog.get_logger("lime").debug("hello")
    assert lines() == []


@pytest.mark.parametrize("secret", [AGENT, SITE, JWT, JWT[:20] + ".x"])
def test_a_credential_is_hidden_wherever_it_stands(lines, secret):
    log = structlog.get_logger("lime")
    message = f"got {secret}!"
    log.info(message)
    log.info("x", value=secret, deep={"list": [{"of": f"x {secret}"}], "tuple": (secret,)})
    log.info("x", raw=f"bytes {secret}".encode(), thing=Exception(secret))
    logging.getLogger("uvicorn.error").warning("got %s", secret)
    try:
        raise ValueError(secret)
    except ValueError:
        log.exception("failed")
        logging.getLogger("asyncio").exception("failed too")
    written = json.dumps(lines())
    assert secret not in written
    assert written.count(HIDDEN) == 9


def test_a_value_is_hidden_by_the_name_it_goes_under(lines):
    structlog.get_logger("lime").info(
        "x",
        agent_token="t",
        master_key="m",
        deep={"Authorization": "b", "password": b"p"},
        pow_nonce="1",
    )
    (line,) = lines()
    assert line["agent_token"] == line["master_key"] == line["pow_nonce"] == HIDDEN
    assert line["deep"] == {"Authorization": HIDDEN, "password": HIDDEN}


def test_numbers_and_flags_are_no_secrets(lines):
    structlog.get_logger("lime").info("x", token_count=3, passport=None, has_token=True, ratio=0.5)
    (line,) = lines()
    assert (line["token_count"], line["passport"], line["has_token"]) == (3, None, True)
    assert line["ratio"] == 0.5


def test_passwords_in_urls_are_hidden(lines):
    structlog.get_logger("lime").info("postgresql://lime:hunter2@db/x and ?password=hunter3&x=1")
    assert "hunter" not in json.dumps(lines())


def test_uvicorn_does_not_say_everything_twice(lines):
    logging.getLogger("uvicorn.error").info("started", extra={"color_message": "\x1b[1mstarted"})
    (line,) = lines()
    assert "color_message" not in line


def test_people_get_lines_they_can_read(restored):
    stream = io.StringIO()
    configure(style="console", level="debug", stream=stream)
    try:
        raise ValueError(AGENT)
    except ValueError:
        structlog.get_logger("lime").exception("failed", site="s1")
    written = stream.getvalue()
    assert "failed" in written
    assert "site=s1" in written
    assert f"ValueError: {HIDDEN}" in written
