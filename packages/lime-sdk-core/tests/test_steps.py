from urllib.parse import unquote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lime_sdk_core import Request, segment


@given(st.text())
def test_any_text_becomes_one_segment_or_is_refused(text):
    assume(not any("\ud800" <= char <= "\udfff" for char in text))
    if text in {"", ".", ".."}:
        with pytest.raises(ValueError, match="segment"):
            segment(text)
    else:
        quoted = segment(text)
        assert unquote(quoted) == text
        assert Request("GET", f"/a/{quoted}").path.count("/") == 2


def test_half_of_a_surrogate_pair_is_refused():
    with pytest.raises(ValueError, match="surrogates"):
        segment("\ud800")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "a",
        "a/b",
        "//host",
        "/a//b",
        "/../a",
        "/a/..",
        "/./a",
        "/a?x",
        "/a#x",
        "/a b",
        "/a\n",
        "/é",
        "/a\\b",
        "/",
    ],
)
def test_a_path_that_could_name_something_else_is_refused(path):
    with pytest.raises(ValueError, match="absolute"):
        Request("GET", path)


@pytest.mark.parametrize(
    ("method", "declared", "repeatable"),
    [
        ("GET", None, True),
        ("HEAD", None, True),
        ("POST", None, False),
        ("POST", True, True),
        ("GET", False, False),
    ],
)
def test_a_request_is_repeatable_by_method_or_declaration(method, declared, repeatable):
    assert Request(method, "/a", idempotent=declared).repeatable is repeatable
