"""The official client, version 1, with the providers that come with it."""

import os
from urllib.parse import parse_qsl, urlsplit

import anyio
import httpx
from mcp import ClientSession
from mcp.client.auth import OAuthClientProvider
from mcp.client.auth.extensions.client_credentials import (
    ClientCredentialsOAuthProvider,
    PrivateKeyJWTOAuthProvider,
    SignedJWTParameters,
)
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata
from talk import Storage, client_metadata, come_back, obey, open_browser

SERVER = os.environ["SERVER_URL"]
STORAGE = Storage()


def provider():
    """The one for what this program is to do."""
    match os.environ["HOW"]:
        case "secret":
            return ClientCredentialsOAuthProvider(
                SERVER,
                STORAGE,
                client_id=os.environ["CLIENT_ID"],
                client_secret=os.environ["CLIENT_SECRET"],
                token_endpoint_auth_method=os.environ["METHOD"],
                issuer=os.environ["ISSUER"],
            )
        case "key":
            client_id = os.environ["CLIENT_ID"]
            signing = SignedJWTParameters(
                issuer=client_id,
                subject=client_id,
                signing_key=os.environ["KEY"],
                signing_algorithm="ES256",
            )
            return PrivateKeyJWTOAuthProvider(
                SERVER,
                STORAGE,
                client_id=client_id,
                assertion_provider=signing.create_assertion_provider(),
                issuer=os.environ["ISSUER"],
            )
    metadata = OAuthClientMetadata(**client_metadata())
    made = OAuthClientProvider(SERVER, metadata, STORAGE, open_browser, came_back)
    if "DOCUMENT_URL" in os.environ:
        # The constructor insists on https, which nothing on loopback has.
        made.context.client_metadata_url = os.environ["DOCUMENT_URL"]
    return made


async def came_back() -> tuple[str, str | None]:
    query = dict(parse_qsl(urlsplit(await come_back()).query))
    return query["code"], query["state"]


AUTH = provider()


async def call():
    # Its connection keeps waiting for what a server may have to say.
    async with (
        httpx.AsyncClient(auth=AUTH, timeout=httpx.Timeout(30, read=300)) as http,
        streamable_http_client(SERVER, http_client=http) as (reading, writing, _),
        ClientSession(reading, writing) as session,
    ):
        await session.initialize()
        result = await session.call_tool("whoami", {})
    assert not result.isError, result
    return result.structuredContent


def age():
    AUTH.context.token_expiry_time = 1.0


anyio.run(obey, call, age, lambda: STORAGE.tokens)
