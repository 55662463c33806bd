"""Redirect URIs: what can be registered, and what fits what was registered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lime_server.modules.mcp_oauth.errors import InvalidRedirectUri
from lime_server.modules.mcp_oauth.redirects import (
    MAX_REDIRECT_URI,
    RedirectKind,
    find_redirect,
    going_back,
    parse_redirect_uri,
)

APP = "https://app.example/callback"
LOOPBACK = "http://127.0.0.1/callback"


@pytest.mark.parametrize(
    ("text", "kind", "host"),
    [
        (APP, "web", "app.example"),
        ("https://App.Example:8443/a?b=c", "web", "app.example:8443"),
        ("https://localhost:3000/callback", "web", "localhost:3000"),
        (LOOPBACK, "loopback", "127.0.0.1"),
        ("http://127.0.0.1:33418", "loopback", "127.0.0.1:33418"),
        ("http://[::1]:1/cb", "loopback", "[::1]:1"),
        ("http://localhost:65535/cb?x=y", "loopback", "localhost:65535"),
    ],
)
def test_https_and_this_machine_can_be_registered(text, kind, host):
    uri = parse_redirect_uri(text)
    assert (uri.text, uri.kind, uri.host) == (text, RedirectKind(kind), host)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "callback",
        "//app.example/callback",
        "javascript:alert(1)",
        "javascript://app.example/%0aalert(1)",
        "data:text/html,hello",
        "file:///etc/passwd",
        "vbscript:x",
        "ftp://app.example/",
        "blob:https://app.example/1",
        "urn:ietf:wg:oauth:2.0:oob",
        "http://app.example/callback",
        "http://127.0.0.2/callback",
        "http://127.0.0.1.evil.example/callback",
        "http://localhost.evil.example/callback",
        "http://127.0.0.1@evil.example/callback",
        "http://127.0.0.1:80@evil.example/callback",
        "http://localhost:0/",
        "http://localhost:65536/",
        "http://localhost:/x",
        "http://0x7f.1/",
        "HTTP://localhost/",
        "HTTPS://app.example/",
        "https://user@app.example/",
        "https://user:word@app.example/",
        "https://",
        "https:///callback",
        "https://app.example:99999/",
        "https://app.example/#fragment",
        "https://app.example/#",
        "https://app.example/a b",
        "https://app.example/\\evil",
        "https://app.example/\n",
        "https://app.example/<script>",
        "https://\u0430pp.example/",
        "https://app.example/?code=mine",
        "https://app.example/?a=b&state=",
        "https://app.example/?iss=https%3A%2F%2Fevil.example",
        "https://app.example/?%65rror=x",
        "https://app.example/" + "a" * MAX_REDIRECT_URI,
        "com.example.app:/callback",
        "com.example.app://callback",
    ],
)
def test_nothing_else_can(text):
    with pytest.raises(InvalidRedirectUri):
        parse_redirect_uri(text)
    # And not even a client that has it registered, from wherever, is answered there.
    assert find_redirect([text], text) is None


@pytest.mark.parametrize("text", ["com.example.app:/callback", "com.example.app://callback/x"])
def test_an_apps_own_scheme_can_be_registered_where_the_operator_says_so(text):
    uri = parse_redirect_uri(text, private_schemes=True)
    assert (uri.kind, uri.host) == (RedirectKind.PRIVATE_USE, "com.example.app")
    assert find_redirect([text], text, private_schemes=True) == uri


@pytest.mark.parametrize(
    "text", ["app:/callback", "javascript:/x", "com.example.app:callback", "a.b://me@host/"]
)
def test_a_scheme_that_nobody_owns_cannot(text):
    with pytest.raises(InvalidRedirectUri):
        parse_redirect_uri(text, private_schemes=True)


@pytest.mark.parametrize(
    ("registered", "asked"),
    [
        (LOOPBACK, "http://127.0.0.1:1/callback"),
        ("http://127.0.0.1:33418/callback", "http://127.0.0.1:2/callback"),
        ("http://127.0.0.1:33418/callback", LOOPBACK),
        ("http://[::1]/", "http://[::1]:60000/"),
        ("http://localhost:1/cb?a=b", "http://localhost:2/cb?a=b"),
    ],
)
def test_a_program_on_this_machine_may_listen_on_any_port(registered, asked):
    found = find_redirect([APP, registered], asked)
    assert found is not None
    assert found.text == asked


@pytest.mark.parametrize(
    ("registered", "asked"),
    [
        (LOOPBACK, "http://localhost:1/callback"),
        (LOOPBACK, "http://127.0.0.1:1/callback/"),
        (LOOPBACK, "http://127.0.0.1:1/Callback"),
        (LOOPBACK, "http://127.0.0.1:1/callback?a=b"),
        (LOOPBACK, "http://127.0.0.1:1/x/../callback"),
        (LOOPBACK, "http://127.0.0.1:99999/callback"),
        (LOOPBACK, "https://127.0.0.1:1/callback"),
        ("https://localhost:1/callback", "https://localhost:2/callback"),
        (APP, APP + "/"),
        (APP, APP + "/../evil"),
        (APP, APP + "?a=b"),
        (APP, APP + "&redirect_uri=https://evil.example"),
        (APP, APP.upper()),
        (APP, "https://app.example:443/callback"),
        (APP, "https://app.example/%63allback"),
        (APP, "https://app.example./callback"),
        (APP, "https://app.example.evil.example/callback"),
        (APP, "https://evil-app.example/callback"),
        (APP, "https://app.example/call"),
        (APP, "https://app.example/"),
    ],
)
def test_everything_else_fits_to_the_letter_or_not_at_all(registered, asked):
    assert find_redirect([registered], asked) is None


urls = st.from_regex(
    r"\A(https?|javascript|com\.app)://?[a-z0-9@.:\[\]%]{0,12}[/?#a-z0-9.=&%]{0,12}\Z",
    alphabet=st.characters(max_codepoint=127),
)


@given(st.lists(urls, max_size=4), urls)
def test_what_fits_was_registered_or_differs_in_a_loopback_port_alone(registered, asked):
    found = find_redirect(registered, asked)
    if found is None:
        return
    assert found.text == asked
    if asked not in registered:
        assert found.kind is RedirectKind.LOOPBACK
        assert asked.startswith(("http://127.0.0.1", "http://[::1]", "http://localhost"))


@given(urls | st.text(max_size=40))
def test_what_can_be_registered_fits_itself_and_takes_an_answer(text):
    try:
        uri = parse_redirect_uri(text)
    except InvalidRedirectUri:
        return
    assert find_redirect([text], text) == uri
    assert "#" not in text
    assert going_back(text, code="c", state="a b&c", nothing=None).startswith(text)


@given(st.integers(1, 65535), st.integers(1, 65535))
def test_no_port_of_this_machine_is_special(one, other):
    assert find_redirect([f"http://localhost:{one}/cb"], f"http://localhost:{other}/cb") is not None


def test_an_answer_is_added_to_the_query_that_is_there():
    assert going_back(APP, code="x", state=None) == APP + "?code=x"
    assert going_back(APP + "?a=b", error="e f", iss="i") == APP + "?a=b&error=e+f&iss=i"
