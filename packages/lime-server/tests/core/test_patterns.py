"""The patterns of the document and the functions that decide agree."""

import re
import unicodedata
from base64 import b64encode
from urllib.parse import urlsplit

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from lime_server.core import names, patterns
from lime_server.core.errors import InvalidInput
from lime_server.core.ids import parse_id
from lime_server.core.urls import is_web_url
from lime_server.modules.site_login.service import fit_redirect_url


def accepted(decide, text):
    try:
        decide(text)
    except InvalidInput:
        return False
    return True


def fits(pattern, text):
    # As JSON Schema reads it: `$` is the very end, which Python's is not after a line break.
    return re.search(pattern.removesuffix("$") + r"\Z", text) is not None


# The characters that rules are about, and a few that they are not; unassigned ones may become
# anything with the next version of Unicode.
EDGES = [
    char
    for char in map(chr, range(0x110000))
    if unicodedata.category(char) in {"Cc", "Cf", "Zl", "Zp"} or char.isspace()
]
TEXTS = st.text(st.sampled_from([*EDGES, "a", "B", "0", "é", "-", ".", "\U0001f600"]), max_size=12)


@pytest.mark.parametrize("char", EDGES)
def test_every_character_that_is_no_letter_is_judged_alike(char):
    for text in (char, f"a{char}", f"a{char}b", f"{char}b", f"a{char}{char}b", f"\r\n{char}b"):
        assert fits(patterns.LINE, text) == accepted(names.display_name, text), repr(text)
        assert fits(patterns.TEXT, text) == accepted(names.description, text), repr(text)


@given(TEXTS)
def test_names_and_descriptions_fit_their_patterns_or_are_refused(text):
    assert fits(patterns.LINE, text) == accepted(names.display_name, text)
    assert fits(patterns.LINE, text) == accepted(names.reason, text)
    assert fits(patterns.TEXT, text) == accepted(names.description, text)


@given(st.uuids() | st.text("0123456789abcdefABCDEF-", max_size=40))
def test_ids_fit_their_pattern_or_are_refused(text):
    assert fits(patterns.ID, str(text)) == (parse_id(str(text)) is not None)


@given(st.from_regex(re.compile(patterns.DOMAIN, re.ASCII)) | st.text("aB0-. \n", max_size=12))
def test_domains_fit_their_pattern_or_are_refused(text):
    assume(len(text.strip()) <= 253)
    assert fits(patterns.DOMAIN, text) == accepted(names.domain_name, text)


def urls(pattern):
    pieces = ["https", "http", "HTTPS", "://", ":", "/", "?", "#", "*", "@", "\\", "[::1]", "[1::2]",
              "[1::2::3]", "localhost", "a.localhost", "127.0.0.1", "127.0.0.256", "127.1", "1.2.3.4",
              "shop.example", "-a", "a-", "A", "65535", "65536", "080", " ", "\n", "é", "%", "_", "]"]  # fmt: skip
    likely = st.tuples(
        st.sampled_from(["https://", "http://", "HTTPS://", "//", ""]),
        st.lists(st.sampled_from(pieces), max_size=4).map("".join),
    ).map("".join)
    return likely | st.from_regex(pattern)


def host_fits(text):
    """Whether the host is no longer than a host may be, which no pattern here says."""
    try:
        return len(urlsplit(text.strip()).hostname or "") <= 253
    except ValueError:
        return True


@given(urls(patterns.AVATAR_URL))
@example("https://shop.example[::1]/")
def test_avatars_fit_their_pattern_or_are_refused(text):
    assume(len(text) <= names.MAX_TEXT and host_fits(text))
    assert fits(patterns.AVATAR_URL, text) == accepted(names.avatar_url, text)


@given(urls(patterns.REDIRECT_URI))
@example("https://[::1].shop.example/")
def test_redirect_uris_fit_their_pattern_or_are_refused(text):
    assume(host_fits(text))
    good = is_web_url(text, loopback_too=True) and "#" not in text and "*" not in text
    assert fits(patterns.REDIRECT_URI, text) == good


@given(urls(patterns.REDIRECT_URL))
@example("https://shop.example[::1]/")
def test_redirect_urls_fit_their_pattern_or_are_refused(text):
    assume(len(text) <= 2048)
    assert fits(patterns.REDIRECT_URL, text) == accepted(fit_redirect_url, text)


@given(st.binary(max_size=40))
def test_base64_fits_its_pattern(raw):
    text = b64encode(raw).decode()
    assert fits(patterns.BASE64, text)
    assert not fits(patterns.BASE64, text + "A")
    assert not fits(patterns.BASE64, f"{text}\n")
