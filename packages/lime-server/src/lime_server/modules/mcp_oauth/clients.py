"""Finds a client by what it calls itself: an id that we gave out, or the URL of its document."""

import asyncio
import hashlib
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from logging import getLogger
from typing import Any
from urllib.parse import unquote, urlsplit

from lime_server.core.clock import Clock
from lime_server.core.errors import RateLimited
from lime_server.core.ids import parse_id
from lime_server.core.origin import asking_network
from lime_server.core.ports import Limit, RateLimiter
from lime_server.core.urls import is_web_url
from lime_server.modules.mcp_oauth.client_authentication import MAX_CLIENT_ID
from lime_server.modules.mcp_oauth.client_metadata import json_object, read_jwks, read_metadata
from lime_server.modules.mcp_oauth.errors import (
    InvalidClient,
    InvalidClientMetadata,
    InvalidRedirectUri,
)
from lime_server.modules.mcp_oauth.model import AuthMethod, Client, ClientKind
from lime_server.modules.mcp_oauth.ports import (
    ClientStore,
    Documents,
    DocumentUnavailable,
    Fetched,
    PublicKeys,
)

MOST_DOCUMENTS = 1000
"""Documents remembered at most, about 5 MB; beyond it the longest unused are read again."""
FRESH_FOR_LEAST = timedelta(seconds=60)
"""However short a document's own limit: one sign-in asks for it three times."""
FRESH_FOR_MOST = timedelta(hours=24)
"""However long it is: what a client takes back must stop to work (RFC 9111, section 4.2)."""
FRESH_BY_DEFAULT = timedelta(minutes=5)
"""Where a document does not say; and at most, for one with keys (protocol section 10)."""
STALE_FOR = timedelta(hours=24)
"""How long tokens are still refreshed while a client's server is away (protocol section 6)."""
PER_HOST = Limit(rate=0.5, burst=20)
"""Documents fetched from one host: strangers choose the URLs, and it did not ask for visitors.

One that is known counts by itself, so that nobody can use up what a real client needs.
"""
PER_ASKER = Limit(rate=0.25, burst=20)
"""Documents that one network makes us fetch, from hosts of which it may have any number. Below
PER_HOST, so that it leaves something of a host to others."""
_MEDIA_TYPE = re.compile(r"application/(?:[a-z0-9!#$&^_.-]+\+)?json")
_MAX_AGE = re.compile(r"max-age=\"?([0-9]{1,9})\"?")
_UNWANTED = frozenset({"client_secret", "client_secret_expires_at"})
_METHODS = (None, AuthMethod.NONE, AuthMethod.PRIVATE_KEY_JWT)

log = getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ClientRules:
    """What the operator chose."""

    private_schemes: bool = False
    """Whether apps may be redirected to by schemes of their own."""
    loopback_documents: bool = False
    """Whether documents may come from this machine; only where this server is on it too."""


class Clients:
    """Finds registered clients, and those with a document. Agents are no business of it."""

    def __init__(
        self,
        *,
        store: ClientStore,
        documents: Documents,
        keys: PublicKeys,
        limiter: RateLimiter,
        clock: Clock,
        rules: ClientRules,
    ) -> None:
        """Put the parts together; nothing happens yet."""
        self._store = store
        self._documents = documents
        self._keys = keys
        self._limiter = limiter
        self._clock = clock
        self._rules = rules
        self._known: OrderedDict[str, Client] = OrderedDict()
        self._reading: dict[str, asyncio.Task[Client]] = {}

    async def find(self, unverified_id: str) -> Client | None:
        """The client with this id, for the token endpoint; the log says why there is none.

        While its own server is away, a client is what its document last said. Raises RateLimited.
        """
        try:
            return await self._look(unverified_id, stale_for=STALE_FOR)
        except InvalidClient as error:
            log.info("an OAuth client was not found: %s", error.message)
            return None

    async def look(self, unverified_id: str) -> Client:
        """The client with this id as it is now, for a person who is asked about it.

        Raises InvalidClient, with a sentence for the client's developer, and RateLimited.
        """
        return await self._look(unverified_id, stale_for=timedelta(0))

    async def _look(self, unverified_id: str, stale_for: timedelta) -> Client:
        # 1. An id of ours, as we wrote it.
        if parse_id(unverified_id) == unverified_id:
            client = await self._store.find(unverified_id)
            if client is None:
                raise InvalidClient("There is no client with this client_id: register again.")
            return client
        # 2. The URL of a document, as whoever wrote that has to repeat it.
        if not is_document_url(unverified_id, loopback_too=self._rules.loopback_documents):
            raise InvalidClient(
                "client_id is neither one that was registered here, nor an https URL with a path "
                "and without dot segments, fragment or user name."
            )
        return await self._described(unverified_id, stale_for)

    async def _described(self, url: str, stale_for: timedelta) -> Client:
        now = self._clock.now()
        # 1. Known, and fresh?
        known = self._known.get(url)
        if known is not None and now < _end(known):
            self._known.move_to_end(url)
            return known
        # 2. Ask; once, however many wait for it. Whoever gives up does not stop the others.
        reading = self._reading.get(url)
        if reading is None:
            reading = asyncio.ensure_future(self._read(url, now, known=known is not None))
            self._reading[url] = reading
            reading.add_done_callback(partial(self._was_read, url))
        try:
            return await asyncio.shield(reading)
        except (DocumentUnavailable, RateLimited) as error:
            # 3. Nobody there. A failure is not remembered (draft, section 5.2); the limit per host
            #    keeps the questions few.
            if known is not None and now < _end(known) + stale_for:
                log.info("a client's document could not be read again: %s", error)
                return known
            if isinstance(error, RateLimited):
                raise
            raise InvalidClient(f"The client's document cannot be had: {error}") from None

    def _was_read(self, url: str, reading: "asyncio.Task[Client]") -> None:
        del self._reading[url]
        if not reading.cancelled():
            # Looked at, so that nobody complains when all who waited have left.
            reading.exception()

    async def _read(self, url: str, now: datetime, *, known: bool) -> Client:
        """The client that the document at `url` describes, from now on known."""
        # 1. Fetch it, and the keys, if they are elsewhere on the same server.
        await self._count(url, known=known)
        fetched = await self._documents.fetch(url)
        try:
            document = _document(url, fetched)
            metadata = read_metadata(
                document,
                keys=self._keys,
                default_method=AuthMethod.NONE,
                private_schemes=self._rules.private_schemes,
            )
            jwks = metadata.jwks
            if metadata.jwks_uri is not None:
                jwks = await self._read_keys(url, metadata.jwks_uri, known=known)
        except (InvalidClientMetadata, InvalidRedirectUri) as error:
            # 2. It is there and says something else now: what it said before no longer counts.
            self._known.pop(url, None)
            raise InvalidClient(f"The client's document is not valid: {error.message}") from None
        # 3. Remember it, for as long as it says.
        client = Client(
            client_id=url,
            kind=ClientKind.DOCUMENT,
            name=metadata.name,
            redirect_uris=tuple(uri.text for uri in metadata.redirect_uris),
            auth_method=metadata.auth_method,
            grant_types=metadata.grant_types,
            jwks=jwks,
            created_at=now,
            expires_at=now + _lifetime(fetched.cache_control, keyed=bool(jwks)),
        )
        self._known[url] = client
        self._known.move_to_end(url)
        if len(self._known) > MOST_DOCUMENTS:
            self._known.popitem(last=False)
        return client

    async def _read_keys(
        self, url: str, jwks_uri: str, *, known: bool
    ) -> tuple[Mapping[str, object], ...]:
        # Of the same origin, so that a document cannot send us to somebody else's server.
        if not is_document_url(jwks_uri, loopback_too=self._rules.loopback_documents) or (
            _origin(jwks_uri) != _origin(url)
        ):
            raise InvalidClientMetadata("jwks_uri is a URL of the document's own origin.")
        await self._count(url, known=known)
        fetched = await self._documents.fetch(jwks_uri)
        return read_jwks(json_object(fetched.body), self._keys)

    async def _count(self, url: str, *, known: bool) -> None:
        """Count one fetch for the client at `url`. Raises RateLimited."""
        if known:
            name = hashlib.sha256(url.encode()).hexdigest()
            await self._limiter.take(f"oauth-known-document:{name}", PER_HOST)
            return
        await self._limiter.take(f"oauth-document-asker:{asking_network()}", PER_ASKER)
        await self._limiter.take(f"oauth-document:{urlsplit(url).hostname}", PER_HOST)


def is_document_url(text: str, *, loopback_too: bool = False) -> bool:
    """Whether `text` may be the URL of a client's document (draft, section 3).

    With `loopback_too` also http, to this machine alone.
    """
    schemes = ("https://", "http://") if loopback_too else ("https://",)
    if len(text) > MAX_CLIENT_ID or not text.startswith(schemes) or "#" in text:
        return False
    if not is_web_url(text, loopback_too=loopback_too):
        return False
    path = urlsplit(text).path
    # Also where they are written as %2e: whoever serves the document may read them as dots.
    return path.startswith("/") and not {".", ".."} & set(unquote(path).split("/"))


def _document(url: str, fetched: Fetched) -> dict[str, Any]:
    """What a document says, if it is this URL's. Raises InvalidClientMetadata."""
    # 1. Meant to be one (draft, section 4): not a page or file that somebody could upload there.
    if not _MEDIA_TYPE.fullmatch(fetched.content_type.partition(";")[0].strip().lower()):
        raise InvalidClientMetadata("Its Content-Type is not application/json.")
    document = json_object(fetched.body)
    # 2. Of this very URL, compared as text (draft, section 4).
    if document.get("client_id") != url:
        raise InvalidClientMetadata("client_id in it is not its own URL.")
    # 3. With a name for the consent page (MCP, client registration, "implementation requirements").
    if document.get("client_name") is None:
        raise InvalidClientMetadata("client_name is missing in it.")
    # 4. Public: no secret can be in it (draft, section 4.1).
    if _UNWANTED & document.keys():
        raise InvalidClientMetadata("A document that everybody can read holds no client_secret.")
    if document.get("token_endpoint_auth_method") not in _METHODS:
        raise InvalidClientMetadata("token_endpoint_auth_method in it is none or private_key_jwt.")
    return document


def _lifetime(cache_control: str, *, keyed: bool) -> timedelta:
    """How long a document counts (RFC 9111, section 5.2.2), within our own limits."""
    directives = [one.strip().lower() for one in cache_control.split(",")]
    fresh_for = FRESH_BY_DEFAULT
    for directive in directives:
        if (found := _MAX_AGE.fullmatch(directive)) is not None:
            fresh_for = timedelta(seconds=int(found[1]))
    if {"no-store", "no-cache"} & set(directives):
        fresh_for = FRESH_FOR_LEAST
    most = FRESH_BY_DEFAULT if keyed else FRESH_FOR_MOST
    return min(max(fresh_for, FRESH_FOR_LEAST), most)


def _end(client: Client) -> datetime:
    assert client.expires_at is not None  # noqa: S101 - clients from documents have one
    return client.expires_at


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc
