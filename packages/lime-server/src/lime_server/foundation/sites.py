"""Sites: backends that accept agents, and how one proves to be itself to us."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from lime_server.core.clock import Clock
from lime_server.core.errors import (
    NotFound,
    SiteSuspended,
    SiteTokenAuthUnavailable,
    SiteTokenInvalid,
    SiteTokenMissing,
    Unavailable,
)
from lime_server.core.ids import new_id, parse_id
from lime_server.core.names import display_name as clean_name
from lime_server.core.names import domain_name
from lime_server.core.ports import TokenHash
from lime_server.core.tokens import Token, TokenKind


@dataclass(frozen=True, slots=True)
class Site:
    """A site.

    `suspended` is true when it may not be served: it or its owner is suspended, or the owner
    switched it off (`active`).
    """

    site_id: str
    owner_id: str
    display_name: str
    domain: str | None
    domain_verified: bool
    suspended: bool
    created_at: datetime
    active: bool = True
    """The owner's own switch."""
    last_used_at: datetime | None = None
    """To the minute."""


@dataclass(frozen=True, slots=True)
class Admission:
    """A site that has proved to be itself, and with which token: that one may end before it."""

    site: Site
    token_hash: bytes = field(repr=False)


class SiteStore(Protocol):
    """Where sites are kept."""

    async def add(self, site: Site, token_hash: bytes) -> None:
        """Keep a new site and the hash of its token.

        Raises `core.errors.NotFound` if there is no such owner.
        """
        ...

    async def by_token(self, token_hash: bytes, now: datetime) -> Site | None:
        """The site whose token, which works at `now`, has this hash.

        Raises `core.errors.Unavailable`.
        """
        ...

    async def by_id(self, site_id: str) -> Site | None:
        """The site with this id, a UUID, unless it was deleted."""
        ...

    async def redirect_uris(self, site_ids: Collection[str]) -> Mapping[str, tuple[str, ...]]:
        """Where browsers may be sent back to, for each of these sites that there is."""
        ...

    async def suspended(self, site_ids: Collection[str]) -> set[str]:
        """Those of `site_ids` that are suspended, or no longer there."""
        ...

    async def spent(self, token_hashes: Collection[bytes], now: datetime) -> set[bytes]:
        """Those of these tokens, by hash, that let no site in at `now` (any more)."""
        ...


class Sites:
    """Registers sites and recognises them."""

    def __init__(
        self,
        store: SiteStore,
        tokens: TokenHash,
        clock: Clock,
        *,
        note_use: Callable[[bytes], None] = lambda _token_hash: None,
    ) -> None:
        """Keep sites in `store`, their tokens hashed with `tokens`.

        `note_use` is told the hash of every token that let its holder in; it must return at once.
        """
        self._store = store
        self._tokens = tokens
        self._clock = clock
        self._note_use = note_use

    async def register(
        self, owner_id: str, display_name: str, *, domain: str | None = None
    ) -> tuple[Site, Token]:
        """Make a site; the token is returned once and never again.

        Its domain is a claim until it is proven. Raises InvalidInput for a name or domain that is
        none, NotFound if `owner_id` is nobody's.
        """
        now = self._clock.now()
        site = Site(
            site_id=new_id(now),
            owner_id=owner_id,
            display_name=clean_name(display_name),
            domain=None if domain is None else domain_name(domain),
            domain_verified=False,
            suspended=False,
            created_at=now,
        )
        token = Token.new(TokenKind.SITE)
        await self._store.add(site, self._tokens.hash(token.text))
        return site, token

    async def owned_by(self, owner_id: str, unverified_id: str) -> Site:
        """This owner's site. Raises NotFound for anybody else's, a deleted one, and no id."""
        site_id = parse_id(unverified_id)
        site = None if site_id is None else await self._store.by_id(site_id)
        if site is None or site.owner_id != owner_id:
            raise NotFound
        return site

    async def redirect_uris(self, site_id: str) -> tuple[str, ...]:
        """Where this site may have browsers sent back to, each to be matched exactly."""
        return (await self.all_redirect_uris([site_id])).get(site_id, ())

    async def all_redirect_uris(self, site_ids: Collection[str]) -> Mapping[str, tuple[str, ...]]:
        """The same, for each of these sites that there is."""
        return await self._store.redirect_uris(site_ids)

    async def authenticate(self, unverified_token: str | None) -> Site:
        """The site that holds this token, in good standing (table of protocol section 2)."""
        return (await self.admit(unverified_token)).site

    async def admit(self, unverified_token: str | None) -> Admission:
        """The same, for what outlives a request and must end when the token does."""
        # 1. Is there a token at all?
        if not unverified_token:
            raise SiteTokenMissing
        # 2. Is it one of ours by its shape? A passport or an agent's token is not.
        token = Token.parse(TokenKind.SITE, unverified_token)
        if token is None:
            raise SiteTokenInvalid
        # 3. Whose is it? Looked up by keyed hash, so that timing says nothing about stored tokens.
        try:
            token_hash = self._tokens.hash(token.text)
            site = await self._store.by_token(token_hash, self._clock.now())
        except Unavailable as error:
            raise SiteTokenAuthUnavailable(retry_after=error.retry_after) from error
        if site is None:
            raise SiteTokenInvalid
        # 4. May it act?
        if site.suspended:
            raise SiteSuspended
        self._note_use(token_hash)
        return Admission(site, token_hash)
