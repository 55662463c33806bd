import copy
import pickle

import pytest

from lime_sdk_core import (
    ApiError,
    AuthenticationError,
    ConfigurationError,
    ErrorTable,
    LimeError,
    Problem,
    ProtocolError,
    RateLimitError,
    TransportError,
)

PROBLEM = Problem(418, "TEAPOT", "no coffee", {"pot": 1}, "req-1", 7.0)


class OddError(LimeError):
    pass


def fields(error):
    return (
        error.message,
        error.code,
        error.http_status,
        error.detail,
        error.request_id,
        error.retry_after,
    )


def test_an_error_carries_all_that_lime_said():
    error = ErrorTable().error(PROBLEM)
    assert type(error) is ApiError
    assert fields(error) == ("no coffee", "TEAPOT", 418, {"pot": 1}, "req-1", 7.0)
    assert error.status == 418
    assert str(error) == "no coffee"


def test_the_code_decides_before_the_status():
    table = ErrorTable(by_code={"TEAPOT": OddError}, by_status={418: RateLimitError})
    assert type(table.error(PROBLEM)) is OddError
    assert type(ErrorTable(by_status={418: RateLimitError}).error(PROBLEM)) is RateLimitError


@pytest.mark.parametrize(
    ("status", "kind"), [(401, AuthenticationError), (429, RateLimitError), (403, ApiError)]
)
def test_without_a_table_the_status_decides(status, kind):
    assert type(ErrorTable().error(Problem(status, "X", "x"))) is kind


def test_the_published_ways_to_make_errors_work():
    plain = LimeError("m", code="C", http_status=400, detail={})
    assert fields(plain) == ("m", "C", 400, {}, None, None)
    api = ApiError("C", "m", http_status=400, detail=None)
    assert fields(api) == ("m", "C", 400, None, None, None)


@pytest.mark.parametrize("error", [ErrorTable().error(PROBLEM), OddError.from_problem(PROBLEM)])
@pytest.mark.parametrize("travel", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_an_error_survives_the_way_between_processes(error, travel):
    arrived = travel(error)
    assert type(arrived) is type(error)
    assert fields(arrived) == fields(error)
    assert arrived.args == error.args


def test_the_repr_of_an_error_says_what_is_known_and_no_more():
    assert repr(LimeError("m")) == "LimeError('m')"
    shown = repr(ApiError("C", "m", http_status=400, request_id="r"))
    assert shown == "ApiError('m', code='C', http_status=400, request_id='r')"


@pytest.mark.parametrize(
    "kind", [ConfigurationError, TransportError, ProtocolError, RateLimitError, ApiError]
)
def test_every_error_is_a_lime_error(kind):
    assert issubclass(kind, LimeError)
