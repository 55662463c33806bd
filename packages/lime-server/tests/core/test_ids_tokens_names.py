"""Ids, tokens and names: what is accepted, and what is made."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lime_server.core.errors import InvalidInput
from lime_server.core.ids import new_id, parse_id
from lime_server.core.names import (
    MAX_NAME,
    MAX_TEXT,
    avatar_url,
    description,
    display_name,
    domain_name,
)
from lime_server.core.tokens import Token, TokenKind

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


def test_an_id_is_a_uuid_of_version_7_that_says_when_it_was_made():
    made = UUID(new_id(NOW))
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert made.int >> 80 == int(NOW.timestamp() * 1000)


def test_ids_of_one_moment_differ_and_those_of_later_ones_sort_after():
    assert len({new_id(NOW) for _ in range(1000)}) == 1000
    assert new_id(NOW) < new_id(NOW.replace(year=2027))


@given(st.uuids())
def test_any_uuid_in_its_usual_spelling_is_an_id(uuid):
    assert parse_id(str(uuid)) == parse_id(str(uuid).upper()) == str(uuid)


@given(st.text())
def test_other_text_is_no_id(text):
    assert parse_id(text) is None


@pytest.mark.parametrize("form", ["{%s}", "urn:uuid:%s", "%s\n", " %s", "%s0"])
def test_other_spellings_of_a_uuid_are_no_ids(form):
    assert parse_id(form % new_id(NOW)) is None


@pytest.mark.parametrize("kind", TokenKind)
def test_a_token_has_256_random_bits_and_reads_back(kind):
    token = Token.new(kind)
    assert len(token.text) == 46
    assert token.text.startswith(kind)
    assert Token.parse(kind, token.text) == token
    assert token != Token.new(kind)


def test_a_token_keeps_its_secret_out_of_its_repr():
    token = Token.new(TokenKind.AGENT)
    assert token.text[3:] not in repr(token)


@given(st.text() | st.sampled_from(["at_" + "A" * 44, "at_" + "A" * 42, "st_" + "A" * 43]))
def test_what_does_not_look_like_an_agents_token_is_none(text):
    assert Token.parse(TokenKind.AGENT, text) is None


def test_a_name_is_stripped():
    assert display_name("  Ada's agent ✨ ") == "Ada's agent ✨"
    assert display_name("x" * MAX_NAME) == "x" * MAX_NAME


@pytest.mark.parametrize(
    "text", ["", "  ", "x" * (MAX_NAME + 1), "a\nb", "a\x00b", "a\u202eb", "a\u2028b", "\ud800"]
)
def test_a_name_is_one_printable_line(text):
    with pytest.raises(InvalidInput):
        display_name(text)


@pytest.mark.parametrize("text", ["shop.example", "Shop.Example.", "xn--hop-tya.example", "a-b.co"])
def test_a_domain_is_a_host_name(text):
    assert domain_name(text) == text.lower().removesuffix(".")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost",
        "https://shop.example",
        "shop.example:80",
        "a/b.c",
        "10.0.0.1",
        "0x7f.1",
        "shop.0x7f",
        "-a.example",
    ],
)
def test_what_is_no_host_name_is_no_domain(text):
    with pytest.raises(InvalidInput):
        domain_name(text)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (None, None),
        ("", None),
        (" \n", None),
        ("Buys shoes.\r\nAlso hats.\t", "Buys shoes.\nAlso hats."),
        ("x" * MAX_TEXT, "x" * MAX_TEXT),
    ],
)
def test_a_description_may_have_lines_or_be_absent(text, kept):
    assert description(text) == kept


@pytest.mark.parametrize("text", ["x" * (MAX_TEXT + 1), "a\0b", "a\x1b[31mb", "a\u202eb", "\ud800"])
def test_a_description_holds_nothing_that_acts_on_its_reader(text):
    with pytest.raises(InvalidInput):
        description(text)


@pytest.mark.parametrize("text", [None, "", "https://cdn.example/a.png?size=64"])
def test_an_avatar_is_an_https_url_or_absent(text):
    assert avatar_url(text) == (text or None)


@pytest.mark.parametrize(
    "text",
    [
        "http://cdn.example/a.png",
        "http://127.0.0.1/a.png",
        "javascript:alert(1)",
        "data:image/png;base64,AAAA",
        "//cdn.example/a.png",
        "https:///a.png",
        "https://me@cdn.example/a.png",
        "https://cdn.example:99999/a.png",
        "https://cdn.example/a b.png",
        "https://cdn.example\\@evil.example/",
        "https://cdn.example/" + "a" * MAX_TEXT,
        "https://bücher.example/a.png",
        "https://a..example/",
    ],
)
def test_what_is_no_https_url_is_no_avatar(text):
    with pytest.raises(InvalidInput):
        avatar_url(text)
