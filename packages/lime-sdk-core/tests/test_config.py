import pytest

from lime_sdk_core import (
    AuthenticationError,
    Config,
    ConfigurationError,
    check_base_url,
    user_agent,
)

TOKEN = "at_very-secret"


def resolve(**changes):
    arguments = {
        "product": "p",
        "version": "1",
        "header": "X-Agent-Token",
        "credential_env": "LIME_AGENT_TOKEN",
        "credential_argument": "agent_token",
        "token": None,
        "base_url": None,
        "environ": {},
    }
    return Config.resolve(**(arguments | changes))


def test_arguments_win_over_the_environment():
    env = {"LIME_AGENT_TOKEN": "at_env", "LIME_API_BASE": "https://env.example/api/v1"}
    config = resolve(token="at_arg", base_url="https://arg.example/api/v1/", environ=env)
    assert config.credential.secret.reveal() == "at_arg"
    assert config.base_url == "https://arg.example/api/v1"


def test_the_environment_is_used_where_an_argument_is_missing(monkeypatch):
    monkeypatch.setenv("LIME_AGENT_TOKEN", " at_env\n")
    monkeypatch.setenv("LIME_API_BASE", " https://env.example/api/v1\n")
    config = resolve(environ=None)
    assert config.credential.secret.reveal() == "at_env"
    assert config.base_url == "https://env.example/api/v1"


def test_without_a_token_the_error_says_what_to_set():
    with pytest.raises(AuthenticationError, match=r"agent_token= or set LIME_AGENT_TOKEN"):
        resolve(base_url="https://lime.example")


def test_without_an_api_base_the_error_says_what_to_set():
    with pytest.raises(ConfigurationError, match=r"base_url= or set LIME_API_BASE"):
        resolve(token=TOKEN)


@pytest.mark.parametrize(
    "change",
    [
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": float("nan")},
        {"timeout": float("inf")},
        {"max_retries": -1},
    ],
)
def test_impossible_settings_are_refused(change):
    with pytest.raises(ConfigurationError, match=next(iter(change))):
        resolve(token=TOKEN, base_url="https://lime.example", **change)


def test_a_configuration_shows_no_token():
    config = resolve(token=TOKEN, base_url="https://lime.example")
    assert TOKEN not in repr(config)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "lime.example",
        "ftp://lime.example",
        "https://",
        "https:///api",
        "//lime.example",
        "https://lime.example:x",
        "https://lime.example:99999",
        "https://[::1",
        "https://li me.example",
        "https://lime.example/\x00",
    ],
)
def test_what_is_no_http_url_is_refused(url):
    with pytest.raises(ConfigurationError, match="absolute"):
        check_base_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://user:pa55@lime.example",
        "https://lime.example?key=pa55",
        "https://lime.example#pa55",
    ],
)
def test_a_url_with_more_than_a_place_in_it_is_refused_without_being_repeated(url):
    with pytest.raises(ConfigurationError) as caught:
        check_base_url(url)
    assert "pa55" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["http://lime.example", "http://10.0.0.1/api/v1", "http://localhost.example", "http://0.0.0.0"],
)
def test_a_token_does_not_travel_in_clear_text_unless_that_was_asked_for(url):
    with pytest.raises(ConfigurationError, match="clear text"):
        resolve(token=TOKEN, base_url=url)
    assert resolve(token=TOKEN, base_url=url, allow_insecure_http=True).base_url == url
    env = {"LIME_ALLOW_INSECURE_HTTP": "1"}
    assert resolve(token=TOKEN, base_url=url, environ=env).base_url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8000",
        "http://lime.localhost",
        "http://127.8.9.1:1/api/v1",
        "http://[::1]:80/x",
    ],
)
def test_this_machine_may_be_reached_over_plain_http(url):
    config = resolve(token=TOKEN, base_url=url)
    assert config.base_url == url
    assert config.is_local


def test_another_machine_is_not_local():
    assert not resolve(token=TOKEN, base_url="https://lime.example").is_local


def test_the_user_agent_names_product_python_and_platform(monkeypatch):
    monkeypatch.setattr("platform.python_version", lambda: "3.11.7")
    monkeypatch.setattr("sys.platform", "linux")
    assert user_agent("lime-agents-sdk", "4.0.0") == "lime-agents-sdk/4.0.0 (python 3.11.7; linux)"
