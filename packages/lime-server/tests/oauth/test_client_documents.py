"""Clients that bring a document (draft-ietf-oauth-client-id-metadata-document)."""

import asyncio
import contextlib
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm

from lime_server.composition.oauth_clients import client_finder, open_documents
from lime_server.core.errors import RateLimited
from lime_server.core.origin import Origin, coming_from
from lime_server.infrastructure.client_documents import ClientDocuments
from lime_server.infrastructure.fetcher import Fetcher
from lime_server.infrastructure.oauth_crypto import PyJwtKeys
from lime_server.modules.mcp_oauth import clients as module
from lime_server.modules.mcp_oauth.client_metadata import json_object
from lime_server.modules.mcp_oauth.clients import ClientRules, Clients, is_document_url
from lime_server.modules.mcp_oauth.errors import InvalidClient, InvalidClientMetadata
from lime_server.modules.mcp_oauth.model import AuthMethod, ClientKind
from lime_server.modules.mcp_oauth.ports import DocumentUnavailable, Fetched
from lime_server.settings import Settings

URL = "https://app.example/oauth/client.json"
CALLBACK = "http://127.0.0.1/callback"
PRIVATE = ec.generate_private_key(ec.SECP256R1())
PUBLIC = json.loads(ECAlgorithm.to_jwk(PRIVATE.public_key()))
PUBLIC.pop("key_ops", None)
KEYED = {"token_endpoint_auth_method": "private_key_jwt"}


def document(url=URL, **changes):
    facts = {"client_id": url, "client_name": "App", "redirect_uris": [CALLBACK]} | changes
    return {name: value for name, value in facts.items() if value is not None}


def fetched(facts, *, kind="application/json", cache=""):
    body = facts if isinstance(facts, bytes) else json.dumps(facts).encode()
    return Fetched(body, kind, cache)


@pytest.fixture
def clients(small_world):
    """Finds clients, with `documents` for a network."""
    small_world.app()
    made = client_finder(small_world.parts)
    made.documents, made.clock = small_world.documents, small_world.clock
    made.documents.at[URL] = fetched(document())
    return made


async def test_a_document_describes_a_client(clients):
    client = await clients.look(URL)
    assert (client.client_id, client.kind, client.name) == (URL, ClientKind.DOCUMENT, "App")
    assert client.redirect_uris == (CALLBACK,)
    assert client.auth_method is AuthMethod.NONE
    assert client.grant_types == {"authorization_code"}
    assert client.secret_hash is None
    assert await clients.find(URL) == client
    assert clients.documents.asked == [URL]


@pytest.mark.parametrize(
    "facts",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 5000,
        b'{"client_id": "' + URL.encode() + b'", "client_id": "x"}',
        document(client_id=None),
        document(client_id=URL + "/"),
        document(client_id=URL.upper()),
        document(client_id=URL + "?"),
        document(client_id=5),
        document(client_secret="cs_x"),
        document(client_secret_expires_at=0),
        document(token_endpoint_auth_method="client_secret_post"),
        document(token_endpoint_auth_method="client_secret_basic"),
        document(token_endpoint_auth_method="client_secret_jwt"),
        document(token_endpoint_auth_method=5),
        document(token_endpoint_auth_method=["none"]),
        document(redirect_uris=None),
        document(redirect_uris=[]),
        document(redirect_uris=["javascript:alert(1)"]),
        document(redirect_uris=["http://app.example/"]),
        document(grant_types=["client_credentials"]),
        document(client_name="two\nlines"),
        document(client_name=None),
        document(**KEYED),
        document(**KEYED, jwks={"keys": []}),
        document(**KEYED, jwks_uri="https://other.example/jwks.json"),
        document(**KEYED, jwks_uri="https://app.example:444/jwks.json"),
        document(**KEYED, jwks_uri="http://app.example/jwks.json"),
        document(**KEYED, jwks_uri="https://app.example@other.example/jwks.json"),
        document(**KEYED, jwks_uri="https://app.example"),
    ],
)
async def test_a_document_that_does_not_fit_describes_nobody(clients, facts):
    clients.documents.at[URL] = fetched(facts)
    with pytest.raises(InvalidClient, match="not valid"):
        await clients.look(URL)
    assert await clients.find(URL) is None
    # And is not remembered (draft, section 5.2).
    assert clients.documents.asked == [URL, URL]
    clients.documents.at[URL] = fetched(document())
    assert (await clients.look(URL)).name == "App"


@pytest.mark.parametrize(
    ("kind", "fits"),
    [
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("application/vnd.client+json", True),
        ("text/html", False),
        ("text/plain", False),
        ("application/jsonp", False),
        ("", False),
    ],
)
async def test_a_document_says_that_it_is_json(clients, kind, fits):
    clients.documents.at[URL] = fetched(document(), kind=kind)
    assert (await clients.find(URL) is not None) is fits


@pytest.mark.parametrize(
    ("cache", "keyed", "seconds"),
    [
        ("", False, 300),
        ("public", False, 300),
        ("max-age=120", False, 120),
        ('public, MAX-AGE="3600"', False, 3600),
        ("max-age=0", False, 60),
        ("max-age=x", False, 300),
        ("no-store", False, 60),
        ("no-cache, max-age=3600", False, 60),
        ("max-age=999999999", False, 86400),
        ("max-age=3600", True, 300),
        ("max-age=90", True, 90),
    ],
)
async def test_a_document_counts_for_as_long_as_it_says_within_limits(
    clients, cache, keyed, seconds
):
    keys = KEYED | {"jwks": {"keys": [PUBLIC]}} if keyed else {}
    clients.documents.at[URL] = fetched(document(**keys), cache=cache)
    await clients.look(URL)
    clients.documents.at[URL] = fetched(document(client_name="Other"))
    clients.clock.advance(seconds - 1)
    assert (await clients.look(URL)).name == "App"
    clients.clock.advance(1)
    assert (await clients.look(URL)).name == "Other"


async def test_keys_may_be_elsewhere_on_the_same_server(clients):
    where = "https://app.example/jwks.json"
    clients.documents.at[URL] = fetched(document(**KEYED, jwks_uri=where))
    with pytest.raises(InvalidClient, match="cannot be had"):
        await clients.look(URL)
    clients.documents.at[where] = fetched({"keys": [PUBLIC | {"kid": "one"}]})
    client = await clients.look(URL)
    assert [key["kid"] for key in client.jwks] == ["one"]
    assert clients.documents.asked == [URL, where] * 2


async def test_a_hundred_who_ask_at_once_cause_one_fetch(clients):
    found = await asyncio.gather(*(clients.look(URL) for _ in range(100)))
    assert len({id(client) for client in found}) == 1
    assert clients.documents.asked == [URL]


async def test_who_gives_up_does_not_stop_the_others(clients):
    one, other = (asyncio.ensure_future(clients.look(URL)) for _ in range(2))
    await asyncio.sleep(0)
    one.cancel()
    assert (await other).name == "App"
    with pytest.raises(asyncio.CancelledError):
        await one


async def test_a_fetch_that_ends_with_the_server_leaves_nothing_behind(clients):
    asking = asyncio.ensure_future(clients.look(URL))
    await asyncio.sleep(0)
    (reading,) = clients._reading.values()
    reading.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asking
    assert not clients._reading


async def test_tokens_are_refreshed_while_a_clients_server_is_away_but_nobody_is_asked(clients):
    await clients.look(URL)
    del clients.documents.at[URL]
    clients.clock.advance(301)
    assert (await clients.find(URL)).name == "App"
    with pytest.raises(InvalidClient, match="cannot be had"):
        await clients.look(URL)
    clients.clock.advance(86400)
    assert await clients.find(URL) is None


async def test_what_a_client_takes_back_no_longer_counts(clients):
    await clients.look(URL)
    clients.clock.advance(301)
    clients.documents.at[URL] = fetched(b"gone")
    assert await clients.find(URL) is None
    # Nor later, when its server is away.
    del clients.documents.at[URL]
    assert await clients.find(URL) is None


async def test_one_host_is_not_asked_too_often(clients):
    for number in range(20):
        assert await clients.find(f"https://app.example/{number}.json") is None
    with pytest.raises(RateLimited):
        await clients.look("https://app.example/21.json")
    with pytest.raises(RateLimited):
        await clients.find("https://app.example/22.json")
    assert len(clients.documents.asked) == 20
    # Others are, for others.
    with coming_from(Origin("request", "198.51.100.7", None)):
        with pytest.raises(RateLimited):
            await clients.look("https://app.example/23.json")
        assert await clients.find("https://other.example/x") is None
    assert len(clients.documents.asked) == 21


async def test_one_network_does_not_make_us_fetch_from_any_number_of_hosts(clients):
    for number in range(20):
        with coming_from(Origin("request", f"2001:db8::{number:x}", None)):
            assert await clients.find(f"https://{number}.example/c") is None
    with (
        coming_from(Origin("request", "2001:db8::ffff", None)),
        pytest.raises(RateLimited),
    ):
        await clients.look("https://20.example/c")
    assert len(clients.documents.asked) == 20


async def test_strangers_cannot_use_up_what_a_known_client_needs(clients):
    await clients.look(URL)
    clients.clock.advance(301)
    for number in range(19):
        await clients.find(f"https://app.example/{number}.json")
    with pytest.raises(RateLimited):
        await clients.find("https://app.example/19.json")
    # What it says now counts: nobody can keep us from hearing that it changed, either.
    clients.documents.at[URL] = fetched(document(client_name="Other"))
    assert (await clients.look(URL)).name == "Other"


async def test_a_known_client_that_is_asked_too_often_keeps_its_tokens(clients):
    await clients.look(URL)
    clients.clock.advance(301)
    del clients.documents.at[URL]
    for _ in range(20):
        with pytest.raises(InvalidClient, match="cannot be had"):
            await clients.look(URL)
    assert (await clients.find(URL)).name == "App"
    with pytest.raises(RateLimited):
        await clients.look(URL)
    assert len(clients.documents.asked) == 21


async def test_a_bounded_number_of_documents_is_remembered(clients, monkeypatch):
    monkeypatch.setattr(module, "MOST_DOCUMENTS", 2)
    urls = [f"https://{name}.example/c" for name in "abc"]
    for url in urls:
        clients.documents.at[url] = fetched(document(url))
    for url in (*urls[:2], urls[0], urls[2], urls[0], urls[1]):
        await clients.look(url)
    # The longest unused one went, and had to be read again.
    assert clients.documents.asked == [*urls, urls[1]]


@pytest.mark.parametrize(
    "unverified",
    ["", "x", "app", "HTTPS://app.example/x", "https://app.example", "http://app.example/x",
     "https://me@app.example/x", "https://app.example/x#y", "https://app.example/a/../x",
     "https://app.example/./x", "https://app.example/%2e%2E/x", "https://app.example/a b",
     "https://\u0430pp.example/x", "https://app.example\\@evil.example/x",
     "https://app.example/" + "a" * 2048, "javascript:x", "http://127.0.0.1:1/x",
     "http://localhost/x", "0198F5F5-0000-7000-8000-000000000000",
     "0198f5f5-0000-7000-8000-000000000000"],
)  # fmt: skip
async def test_what_is_no_id_is_not_looked_for(clients, unverified):
    with pytest.raises(InvalidClient):
        await clients.look(unverified)
    assert await clients.find(unverified) is None
    assert clients.documents.asked == []


async def test_a_registered_client_is_found_as_its_id_was_written(clients, small_world):
    client = await small_world.client()
    assert await clients.find(client.client_id) == client
    assert await clients.find(client.client_id.upper()) is None


@given(st.text(max_size=60) | st.from_regex(r"\Ahttps?://[a-z.:@0-9]{1,12}/[a-z./%2eE#?]{0,20}\Z"))
def test_a_url_that_may_be_asked_for_says_one_thing_to_everybody(text):
    if not is_document_url(text, loopback_too=True):
        return
    assert text.startswith(("https://", "http://"))
    assert text.isascii()
    assert not {"#", "@", "\\", " "} & set(text.partition("?")[0])
    assert "/../" not in text.partition("?")[0].replace("%2e", ".").replace("%2E", ".") + "/"


@given(st.binary(max_size=60))
def test_any_bytes_are_an_object_or_refused(body):
    with contextlib.suppress(InvalidClientMetadata):
        assert isinstance(json_object(body), dict)


# With a real fetcher.


@contextlib.asynccontextmanager
async def serving(answer):
    asked = []

    async def serve(reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            asked.append((await reader.readuntil(b"\r\n\r\n")).decode().lower())
            writer.write(answer)
            await writer.drain()
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], asked
    finally:
        server.close()


class NoNames:
    async def addresses(self, name):
        raise AssertionError("nothing on this machine is looked up")


def ok(body, *headers):
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_in_development_a_document_may_be_on_this_machine(small_world, host):
    headers = ("Content-Type: application/json", "Cache-Control: max-age=90")
    async with serving(ok(b"{}", *headers)) as (port, asked):
        documents = ClientDocuments(Fetcher(NoNames(), loopback_too=True))
        found = await documents.fetch(f"http://{host}:{port}/c?a=b")
        assert found == Fetched(b"{}", "application/json", "max-age=90")
        assert asked[0].startswith("get /c?a=b http/1.1")
        assert f"host: {host}:{port}" in asked[0]
        # And is found, where the operator says so.
        rules = ClientRules(loopback_documents=True)
        small_world.app()
        clients = Clients(
            store=small_world.oauth.clients,
            documents=documents,
            keys=PyJwtKeys(),
            limiter=small_world.parts.registry.limiter,
            clock=small_world.clock,
            rules=rules,
        )
        with pytest.raises(InvalidClient, match="not its own URL"):
            await clients.look(f"http://{host}:{port}/c")


async def test_without_headers_there_is_nothing_to_say():
    async with serving(ok(b"{}")) as (port, _asked):
        documents = ClientDocuments(Fetcher(NoNames(), loopback_too=True))
        assert await documents.fetch(f"http://127.0.0.1:{port}") == Fetched(b"{}", "", "")


async def test_a_gigabyte_is_not_read():
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n"
    async with serving(head + b"x" * 65536) as (port, _asked):
        documents = ClientDocuments(Fetcher(NoNames(), loopback_too=True))
        with pytest.raises(DocumentUnavailable, match="more than 5120 bytes"):
            await documents.fetch(f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:1/", "http://localhost/x", "https://127.0.0.1/x", "https://169.254.169.254/x",
     "https://[::ffff:10.0.0.1]/x", "http://app.example/x"],
)  # fmt: skip
async def test_otherwise_nothing_private_is_fetched(url):
    settings = Settings(
        public_url="https://lime.example",
        database_url="postgresql://unused",
        master_key="00" * 32,
    )
    with pytest.raises(DocumentUnavailable, match="Only https URLs"):
        await open_documents(settings).fetch(url)


def test_documents_on_this_machine_are_for_a_server_on_this_machine():
    chosen = {
        "database_url": "postgresql://unused",
        "master_key": "00" * 32,
        "mcp_loopback_documents": True,
    }
    assert Settings(public_url="http://127.0.0.1:8080", **chosen).mcp_loopback_documents
    with pytest.raises(ValueError, match="LIME_MCP_LOOPBACK_DOCUMENTS"):
        Settings(public_url="https://lime.example", **chosen)
