"""The public URL: one address, one spelling."""

import pytest

from lime_server.core.urls import PublicUrl


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("https://lime.example", "https://lime.example"),
        ("HTTPS://Lime.Example:443", "https://lime.example"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://lime.example:80", "http://lime.example"),
        ("https://lime.example:80", "https://lime.example:80"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("https://[2001:DB8:0::1]", "https://[2001:db8::1]"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ],
)
def test_one_address_has_one_spelling(given, shown):
    assert str(PublicUrl.parse(given)) == shown


@pytest.mark.parametrize(
    "given",
    [
        "",
        "lime.example",
        "ftp://lime.example",
        "https://",
        "https://lime.example/",
        "https://lime.example/path",
        "https://lime.example?",
        "https://lime.example#",
        "https://user:secret@lime.example",
        "https://lime.example:99999",
        "https://[::1",
        "https://lime_example",
        "https://-lime.example",
        "https://lime..example",
        "https://büro.example",
        "https://lime.example\n",
        "https://" + "a" * 64 + ".example",
        "https://" + "a." * 130 + "example",
    ],
)
def test_anything_more_or_less_is_refused(given):
    with pytest.raises(ValueError, match="the public URL") as caught:
        PublicUrl.parse(given)
    assert "secret" not in str(caught.value)


def test_the_api_lives_under_it():
    assert PublicUrl.parse("https://a.example").api_base == "https://a.example/api/v1"


@pytest.mark.parametrize(
    ("given", "loopback", "secure"),
    [
        ("http://127.0.0.2", True, False),
        ("http://[::1]", True, False),
        ("http://localhost:3", True, False),
        ("https://lime.localhost", True, True),
        ("https://lime.example", False, True),
        ("http://10.0.0.1", False, False),
    ],
)
def test_it_knows_who_can_reach_it_and_who_can_listen(given, loopback, secure):
    url = PublicUrl.parse(given)
    assert (url.is_loopback, url.is_secure) == (loopback, secure)
