"""FastMCP's client, with the providers that come with it."""

import asyncio
import os
import warnings
import webbrowser

import anyio
import httpx2
from fastmcp import Client
from fastmcp.client.auth import (
    ClientCredentialsOAuthProvider,
    OAuth,
    PrivateKeyJWTOAuthProvider,
    SignedJWTParameters,
)
from talk import come_back, obey, say

SERVER = os.environ["SERVER_URL"]
TASKS = set()

# Tokens are kept in memory, which is where this program wants them.
warnings.filterwarnings("ignore", message="Using in-memory token storage")


def provider():
    """The one for what this program is to do."""
    match os.environ["HOW"]:
        case "secret":
            return ClientCredentialsOAuthProvider(
                SERVER,
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
                client_id=client_id,
                assertion_provider=signing.create_assertion_provider(),
                issuer=os.environ["ISSUER"],
            )
    method = os.environ.get("METHOD", "none")
    made = OAuth(
        SERVER,
        client_name=os.environ["CLIENT_NAME"],
        additional_client_metadata={"token_endpoint_auth_method": method},
    )
    if "DOCUMENT_URL" in os.environ:
        # The constructor insists on https, which nothing on loopback has.
        made.context.client_metadata_url = os.environ["DOCUMENT_URL"]
    return made


def open_browser(url):
    """Have the test send its browser there; it tells where the browser would come back to."""
    say(open=url)
    task = asyncio.get_running_loop().create_task(forward())
    TASKS.add(task)
    task.add_done_callback(TASKS.discard)
    return True


async def forward():
    """Go there instead of the browser: FastMCP listens for it."""
    back = await come_back()
    async with httpx2.AsyncClient() as browser:
        (await browser.get(back)).raise_for_status()


webbrowser.open = open_browser
AUTH = provider()


async def call():
    async with Client(SERVER, auth=AUTH) as client:
        result = await client.call_tool("whoami", {})
    return result.structured_content


def age():
    AUTH.context.token_expiry_time = 1.0


anyio.run(obey, call, age, lambda: AUTH.context.current_tokens)
