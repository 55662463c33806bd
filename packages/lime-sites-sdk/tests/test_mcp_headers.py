"""`Authorization` and `WWW-Authenticate`, and the metadata that the latter points to."""

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.client.auth.utils import (
    build_protected_resource_metadata_discovery_urls,
    extract_field_from_www_auth,
    extract_resource_metadata_from_www_auth,
    extract_scope_from_www_auth,
)
from mcp.shared.auth import ProtectedResourceMetadata

from lime_sites.mcp import (
    BadAuthorizationError,
    bearer_token,
    metadata_path,
    metadata_url,
    protected_resource_metadata,
    www_authenticate,
)
from lime_sites.mcp._challenge import MAX_HEADER

TOKEN = st.from_regex(r"[A-Za-z0-9\-._~+/]{1,80}={0,2}", fullmatch=True)
SCOPE = st.from_regex(r"[\x21\x23-\x5b\x5d-\x7e]{1,20}", fullmatch=True)
TEXT = st.from_regex(r"[\x20-\x21\x23-\x5b\x5d-\x7e]{1,60}", fullmatch=True)


@given(TOKEN, st.sampled_from(["Bearer", "bearer", "BEARER"]), st.integers(1, 3))
def test_a_token_comes_through_whatever_the_case_of_the_scheme(
    token: str, scheme: str, spaces: int
) -> None:
    assert bearer_token([scheme + " " * spaces + token]) == token


@given(st.lists(st.text(max_size=40), max_size=3))
def test_any_headers_are_a_token_or_none_or_refused(values: list[str]) -> None:
    try:
        token = bearer_token(values)
    except BadAuthorizationError:
        return
    if token is not None:
        assert len(values) == 1
        assert values[0].lower().startswith("bearer ")
        assert values[0].rstrip(" ").endswith(token)
        assert " " not in token


@pytest.mark.parametrize("values", [[], [""], ["Basic YTpi"], ["Bearertoken"], ["token"]])
def test_a_request_without_a_bearer_token_has_none(values: list[str]) -> None:
    assert bearer_token(values) is None


@pytest.mark.parametrize(
    "values",
    [
        ["Bearer"],
        ["Bearer "],
        ["Bearer a b"],
        ["Bearer a,b"],
        ["Bearer a\n"],
        ["Bearer a, Bearer b"],
        ["Bearer ä"],
        ["Bearer a", "Bearer a"],
        ["Basic YTpi", "Bearer a"],
        ["Bearer " + "a" * MAX_HEADER],
    ],
)
def test_what_is_not_exactly_one_token_is_not_guessed_at(values: list[str]) -> None:
    with pytest.raises(BadAuthorizationError):
        bearer_token(values)


def _answer(challenge: str, status: int = 401) -> httpx2.Response:
    return httpx2.Response(status, headers={"WWW-Authenticate": challenge})


@given(st.lists(SCOPE, min_size=1, max_size=4), TEXT)
def test_the_official_client_reads_what_the_challenge_says(
    scopes: list[str], description: str
) -> None:
    url = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
    answer = _answer(
        www_authenticate(url, error="invalid_token", description=description, scopes=scopes)
    )
    assert extract_resource_metadata_from_www_auth(answer) == url
    assert extract_field_from_www_auth(answer, "error") == "invalid_token"


def test_the_challenge_reads_as_the_specifications_show_it() -> None:
    assert www_authenticate() == "Bearer"
    challenge = www_authenticate(
        "https://a.example/m", error="insufficient_scope", description="No.", scopes=["a", "b"]
    )
    assert challenge == (
        'Bearer error="insufficient_scope", error_description="No.", scope="a b", '
        'resource_metadata="https://a.example/m"'
    )
    assert extract_scope_from_www_auth(_answer(challenge, 403)) == "a b"


@pytest.mark.parametrize("bad", ['"', "\\", "\n", "a\r\nSet-Cookie: b", "ä", "\x7f", ""])
def test_nothing_breaks_out_of_a_challenge(bad: str) -> None:
    for make in (
        lambda: www_authenticate(bad),
        lambda: www_authenticate(error=bad),
        lambda: www_authenticate(description=bad),
        lambda: www_authenticate(scopes=[bad]),
        lambda: www_authenticate(scopes=["two words"]),
    ):
        with pytest.raises(ValueError, match="not a"):
            make()


@pytest.mark.parametrize(
    ("resource", "path"),
    [
        ("https://mcp.example.com", "/.well-known/oauth-protected-resource"),
        ("https://mcp.example.com/", "/.well-known/oauth-protected-resource"),
        ("https://mcp.example.com/mcp", "/.well-known/oauth-protected-resource/mcp"),
        ("https://mcp.example.com:8443/a/mcp/", "/.well-known/oauth-protected-resource/a/mcp/"),
    ],
)
def test_the_metadata_is_where_clients_look_for_it(resource: str, path: str) -> None:
    assert metadata_path(resource) == path
    assert metadata_url(resource).endswith(f"com{path}") or ":8443" in metadata_url(resource)
    urls = build_protected_resource_metadata_discovery_urls(None, resource.removesuffix("mcp/"))
    assert metadata_url(resource).removesuffix("mcp/") in urls


def test_the_metadata_says_whose_tokens_are_accepted() -> None:
    issuer = "https://lime.example/api/v1/modules/oauth"
    resource = "https://mcp.example.com/mcp"
    assert protected_resource_metadata(resource, issuer) == {
        "resource": resource,
        "authorization_servers": [issuer],
        "bearer_methods_supported": ["header"],
    }
    full = protected_resource_metadata(
        resource, issuer, scopes=["mcp"], name="Reports", documentation="https://example.com/docs"
    )
    read = ProtectedResourceMetadata.model_validate(full)
    assert str(read.resource) == resource
    assert [str(url) for url in read.authorization_servers] == [issuer]
    assert read.scopes_supported == ["mcp"]
    assert read.resource_name == "Reports"
    assert str(read.resource_documentation) == "https://example.com/docs"
