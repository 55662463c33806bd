"""What a client is made of: arguments, environment, and errors that say what to set."""

import inspect
import os
import pickle
from importlib.metadata import version
from typing import Any

import pytest

import lime_sites
from lime_sites import (
    ApiError,
    AuthenticationError,
    ConfigurationError,
    HandlerError,
    InvalidPassportError,
    LimeError,
    LimeSite,
    LimeSiteSync,
    LoginResult,
    PassportVerificationResult,
    RateLimitError,
    RequestExpiredError,
    SiteAuthUnavailableError,
)
from lime_sites._setup import cache_ttl, consumer_id, issuer_of
from lime_sites.testing import FakeLime

BASE = "https://lime.example/api/v1"
KINDS = [LimeSite, LimeSiteSync]


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LIME_SITE_TOKEN", "LIME_API_BASE", "LIME_JWKS_CACHE_TTL_SECONDS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("kind", KINDS)
def test_everything_can_come_from_the_environment(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIME_SITE_TOKEN", "st_secret")
    monkeypatch.setenv("LIME_API_BASE", BASE + "/")
    monkeypatch.setenv("LIME_JWKS_CACHE_TTL_SECONDS", "60")
    site = kind()
    assert site.issuer == "https://lime.example"
    assert site._verifier.cache._ttl == 60


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_token_the_error_says_what_to_set(kind: Any) -> None:
    with pytest.raises(AuthenticationError, match="LIME_SITE_TOKEN"):
        kind(base_url=BASE)


@pytest.mark.parametrize("kind", KINDS)
def test_there_is_no_default_host(kind: Any) -> None:
    with pytest.raises(ConfigurationError, match="LIME_API_BASE"):
        kind(site_token="st_secret")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"base_url": "https://lime.example"}, "issuer="),
        ({"base_url": "http://lime.example/api/v1"}, "http"),
        ({"handler_concurrency": 0}, "handler_concurrency"),
        ({"sse_backoff_base": 0}, "sse_backoff_base"),
        ({"jwks_cache_ttl": 0}, "jwks_cache_ttl"),
        ({"timeout": 0}, "timeout"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_work_is_refused_at_once(kind: Any, options: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        kind(**{"site_token": "st_secret", "base_url": BASE, **options})


def test_the_issuer_can_differ_from_the_api_base() -> None:
    site = LimeSite(
        site_token="st_secret", base_url="http://127.0.0.1:1/lime", issuer="https://lime.example"
    )
    assert site.issuer == "https://lime.example"
    assert issuer_of("https://example.com/lime/api/v1") == "https://example.com/lime"


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf"])
def test_a_cache_life_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="LIME_JWKS_CACHE_TTL_SECONDS"):
        cache_ttl({"LIME_JWKS_CACHE_TTL_SECONDS": text})


def test_the_cache_life_is_the_protocols_unless_set() -> None:
    assert cache_ttl({}) == 300


def test_a_process_keeps_its_name_and_shares_it_with_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mine = consumer_id()
    assert consumer_id() == mine
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert consumer_id() != mine


def test_both_clients_take_the_same_arguments_and_have_the_same_methods() -> None:
    def names(kind: Any) -> set[str]:
        closing = {"aclose": "close"}
        return {closing.get(name, name) for name in vars(kind) if not name.startswith("_")}

    ours = inspect.signature(LimeSite).parameters
    assert list(ours) == list(inspect.signature(LimeSiteSync).parameters)
    assert names(LimeSite) == names(LimeSiteSync)


def test_all_is_what_can_be_imported() -> None:
    assert sorted(lime_sites.__all__) == lime_sites.__all__
    for name in lime_sites.__all__:
        assert hasattr(lime_sites, name)
    assert lime_sites.__version__ == version("lime-sites-sdk")


def test_errors_are_made_and_related_as_they_were_in_version_2() -> None:
    error = LimeError("no", code="X", http_status=400, detail={"a": 1})
    assert (error.message, error.code, error.http_status, error.detail) == (
        "no",
        "X",
        400,
        {"a": 1},
    )
    for kind in (AuthenticationError, RequestExpiredError, InvalidPassportError, RateLimitError):
        assert issubclass(kind, LimeError)
        assert kind("no").message == "no"
    api = SiteAuthUnavailableError("CODE", "no", http_status=503)
    assert isinstance(api, ApiError)
    assert (api.code, api.message, api.http_status, api.status) == ("CODE", "no", 503, 503)


def test_names_of_version_2_are_still_there() -> None:
    assert PassportVerificationResult is lime_sites.Passport
    result = LoginResult("login-1", "jwt", redirect_url="https://shop.example")
    assert "jwt" not in repr(result)


def test_a_handlers_error_survives_a_process_boundary() -> None:
    # Not a test of security: only of what we make ourselves.
    again = pickle.loads(pickle.dumps(HandlerError("login-1")))
    assert again.login_request_id == "login-1"


async def test_the_token_is_shown_nowhere(
    make: Any, fake: FakeLime, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    site = make()
    fake.forget_site()
    fake.go_down()
    errors = []
    for call in (site.create_login_request(), site.verify_passport("x.y.z")):
        with pytest.raises(LimeError) as caught:
            await call
        errors.append(caught.value)
    shown = f"{site.site!r} {site.site.__dict__!r} {errors!r} {caplog.text}"
    for error in errors:
        shown += f"{error.__cause__!r} {error.__context__!r} {vars(error)!r}"
    assert fake.site_token not in shown
