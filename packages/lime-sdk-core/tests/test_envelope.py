import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from lime_sdk_core import (
    ApiError,
    ErrorTable,
    LimeError,
    ProtocolError,
    RateLimitError,
    Reply,
    as_model,
)
from lime_sdk_core.envelope import check_status, request_id, retry_after, unwrap

NOW = datetime(2026, 11, 23, 10, 0, 0, tzinfo=UTC)
TABLE = ErrorTable()


def reply(status, body, **headers):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, headers, raw)


def refused(status, body, **headers):
    with pytest.raises(LimeError) as caught:
        unwrap(reply(status, body, **headers), TABLE)
    return caught.value


def test_a_success_envelope_gives_its_data():
    assert unwrap(reply(200, {"ok": True, "data": {"a": 1}, "new": 2}), TABLE) == {"a": 1}
    assert unwrap(reply(201, {"ok": True, "data": None}), TABLE) is None


def test_an_error_envelope_gives_the_error_it_names():
    error = refused(
        409,
        {"ok": False, "error": {"code": "SOME_CODE", "message": "why", "detail": {"a": 1}}},
        **{"x-request-id": "abc-1"},
    )
    assert type(error) is ApiError
    assert (error.code, error.message, error.detail) == ("SOME_CODE", "why", {"a": 1})
    assert (error.http_status, error.request_id) == (409, "abc-1")


def test_the_pause_that_lime_asks_for_is_in_the_error():
    body = {"ok": False, "error": {"code": "RATE_LIMIT_EXCEEDED", "message": "slow down"}}
    with pytest.raises(RateLimitError) as caught:
        unwrap(Reply(429, {}, json.dumps(body).encode(), retry_after=3.0), TABLE)
    assert caught.value.retry_after == 3.0


def test_an_error_that_comes_with_a_success_status_is_still_an_error():
    error = refused(200, {"ok": False, "error": {"code": "ODD", "message": "m"}})
    assert (type(error), error.code, error.http_status) == (ApiError, "ODD", 200)


@pytest.mark.parametrize("status", [400, 404, 500, 502])
@pytest.mark.parametrize("body", [b"<html>bad gateway</html>", b"", b"[]", b'{"error": "x"}'])
def test_an_error_page_of_something_else_is_an_api_error_with_its_status(status, body):
    error = refused(status, body)
    assert (type(error), error.code, error.http_status) == (ApiError, f"HTTP_{status}", status)


def test_a_404_without_envelope_hints_at_the_api_base():
    assert "/api/v1" in refused(404, b"not here").message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[1]",
        b"{}",
        b'{"ok": true}',
        b'{"ok": 1, "data": {}}',
        b'{"ok": "true", "data": {}}',
        b'{"ok": true, "data": NaN}',
        b'{"ok": true, "data": {}, "x": Infinity}',
        b"\xff\xfe",
        '{"ok": true, "data": {}}'.encode("utf-16"),
        b"[" * 100_000,
        b'{"ok": true, "data": ' + b"9" * 5000 + b"}",
    ],
)
def test_a_success_without_an_envelope_is_no_success(body):
    assert type(refused(200, body)) is ProtocolError


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_refused_with_its_reason(status):
    error = refused(status, b"", location="https://elsewhere.example")
    assert type(error) is ProtocolError
    assert "redirect" in error.message
    assert "elsewhere" not in error.message


@pytest.mark.parametrize("code", ["lower", "", "A" * 65, "A B", 5, None, "A\n"])
def test_a_code_that_is_none_is_replaced_by_the_status(code):
    error = refused(400, {"ok": False, "error": {"code": code, "message": "m"}})
    assert error.code == "HTTP_400"


def test_a_message_from_outside_is_one_printable_line_of_bounded_length():
    hostile = "a\x1b[2J\r\nb\ud800\u202e" + "x" * 10_000
    error = refused(400, {"ok": False, "error": {"code": "C", "message": hostile}})
    assert error.message.isprintable()
    assert len(error.message) <= 500
    error.message.encode()


@pytest.mark.parametrize("message", [None, "", 5, ["x"]])
def test_a_missing_message_is_replaced_by_the_status(message):
    error = refused(400, {"ok": False, "error": {"code": "C", "message": message}})
    assert error.message == "HTTP 400 without LIME's error envelope."


def test_a_message_of_nothing_printable_says_so():
    error = refused(400, {"ok": False, "error": {"code": "C", "message": "\n\x00"}})
    assert error.message == "(no message)"


@pytest.mark.parametrize("detail", [None, [], "x"])
def test_a_detail_that_is_no_object_is_left_out(detail):
    body = {"ok": False, "error": {"code": "C", "message": "m", "detail": detail}}
    assert refused(400, body).detail is None


@given(status=st.integers(100, 599), body=st.binary(max_size=200))
def test_any_bytes_give_a_value_or_a_typed_error(status, body):
    _value_or_typed_error(status, body)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["ok", "data", "error", "code", "message", "detail"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(status=st.integers(100, 599), value=JSON)
def test_any_json_gives_a_value_or_a_typed_error(status, value):
    _value_or_typed_error(status, json.dumps(value).encode())


def _value_or_typed_error(status, body):
    try:
        unwrap(Reply(status, {}, body), TABLE)
    except LimeError:
        return
    assert 200 <= status < 300
    assert json.loads(body)["ok"] is True


def test_a_document_without_envelope_passes_by_its_status():
    assert check_status(reply(200, b"{}"), TABLE).status == 200
    assert check_status(reply(304, b""), TABLE, accept=(304,)).status == 304


@pytest.mark.parametrize(
    ("status", "kind"), [(304, ProtocolError), (404, ApiError), (429, RateLimitError)]
)
def test_a_document_that_did_not_come_is_a_typed_error(status, kind):
    with pytest.raises(kind):
        check_status(reply(status, b""), TABLE)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"retry-after": "99999999999999999999"}, 86_400.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "٣"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Mon, 23 Nov 2026 10:00:30 GMT"}, 30.0),
        ({"retry-after": "Mon, 23 Nov 2026 10:00:30 -0000"}, 30.0),
        ({"retry-after": "Mon, 23 Nov 2026 09:00:00 GMT"}, 0.0),
        ({"retry-after": "Mon, 23 Nov 2099 10:00:00 GMT"}, 86_400.0),
        ({"retry-after": "Mon, 99 Nov 2026 10:00:00 GMT"}, None),
        (
            {
                "retry-after": "Mon, 23 Nov 2026 12:00:05 GMT",
                "date": "Mon, 23 Nov 2026 12:00:00 GMT",
            },
            5.0,
        ),
        ({"retry-after": "Mon, 23 Nov 2026 10:00:30 GMT", "date": "nonsense"}, 30.0),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(headers, seconds):
    assert retry_after(headers, now=NOW) == seconds


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_retry_after_gives_a_bounded_pause_or_none(text, date):
    found = retry_after({"retry-after": text, "date": date}, now=NOW)
    assert found is None or 0 <= found <= 86_400


@pytest.mark.parametrize("value", ["", "a b", "a\x1b[", "x" * 129, "é"])
def test_a_request_id_that_is_no_token_is_left_out(value):
    assert request_id({"x-request-id": value}) is None


class _Thing(BaseModel):
    name: str
    size: int


def test_a_model_reads_data_and_ignores_what_it_does_not_know():
    thing = as_model(_Thing)({"name": "a", "size": 1, "new": True})
    assert (thing.name, thing.size) == ("a", 1)


@pytest.mark.parametrize(
    ("data", "named"),
    [({"name": "s3cret", "size": "s3cret"}, "size"), ("s3cret", "the whole"), ({}, "name, size")],
)
def test_data_of_another_shape_is_refused_by_field_and_without_its_values(data, named):
    with pytest.raises(ProtocolError) as caught:
        as_model(_Thing)(data)
    assert caught.value.message == f"LIME's answer does not fit Thing: {named}"
    assert caught.value.__context__ is None
