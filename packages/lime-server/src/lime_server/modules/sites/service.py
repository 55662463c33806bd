"""What an owner does with sites. Every change and its line in the audit log are one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from lime_server.core.clock import Clock
from lime_server.core.errors import Conflict, InvalidInput, NotFound
from lime_server.core.held_tokens import HeldToken, HeldTokens
from lime_server.core.ids import parse_id
from lime_server.core.names import domain_name
from lime_server.core.pages import Page, page, parse_cursor
from lime_server.core.ports import Limit, TokenHash, Transactions
from lime_server.core.tokens import Token
from lime_server.core.urls import is_web_url
from lime_server.foundation.audit import Actor, Audit, Target
from lime_server.foundation.sites import Site, Sites
from lime_server.modules.sites.ports import ProofMissingError, ProofReader, SiteRegistry, Slowing
from lime_server.modules.sites.proof import Method, Proof

MAX_SITES = 1000
"""Sites of one owner: more than anybody tells apart by name."""
MAX_REDIRECT_URIS = 20
"""Redirect URIs of one site: production, staging, and a few developers."""
MAX_REDIRECT_URI = 2048
"""Characters of one: what browsers and proxies agree to carry."""
CHECKS = Limit(rate=1 / 6, burst=10)
"""Domain checks per owner, ten a minute: each makes this server ask somebody else's."""


@dataclass(frozen=True, slots=True)
class ListedSite:
    """A site with what only its owner and its own logins need."""

    site: Site
    redirect_uris: tuple[str, ...]


class OwnedSites:
    """The owner's side of sites. `owner_id` is always that of the session that asks."""

    def __init__(
        self,
        *,
        sites: Sites,
        registry: SiteRegistry,
        tokens: HeldTokens,
        transactions: Transactions,
        audit: Audit,
        clock: Clock,
        proofs: ProofReader,
        proof_secrets: TokenHash,
        slowing: Slowing,
        loopback_too: bool,
    ) -> None:
        """Put the parts together.

        `loopback_too` allows redirect URIs that are http on loopback: for development.
        """
        self._sites = sites
        self._registry = registry
        self._tokens = tokens
        self._transactions = transactions
        self._audit = audit
        self._clock = clock
        self._proofs = proofs
        self._proof_secrets = proof_secrets
        self._slowing = slowing
        self._loopback_too = loopback_too

    async def register(
        self, owner_id: str, display_name: str, *, domain: str | None
    ) -> tuple[ListedSite, Token]:
        """Make a site; its token is returned once.

        Raises InvalidInput for a name or domain that is none, and Conflict beyond MAX_SITES.
        """
        async with self._transactions.transaction():
            if await self._registry.count(owner_id) >= MAX_SITES:
                raise Conflict(f"An owner has at most {MAX_SITES} sites: delete one first.")
            site, token = await self._sites.register(owner_id, display_name, domain=domain or None)
            detail = {"display_name": site.display_name, "domain": site.domain}
            await self._record("site.registered", site, detail)
        return ListedSite(site, ()), token

    async def page(
        self, owner_id: str, *, unverified_cursor: str | None, limit: int
    ) -> Page[ListedSite]:
        """This owner's sites, newest first. Raises InvalidInput for a cursor that is none."""
        before = parse_cursor(unverified_cursor)
        rows = await self._registry.page(owner_id, before=before, limit=limit + 1)
        found = page(rows, limit, lambda site: site.site_id)
        uris = await self._sites.all_redirect_uris([site.site_id for site in found.items])
        items = [ListedSite(site, uris.get(site.site_id, ())) for site in found.items]
        return Page(items, found.next_cursor)

    async def read(self, owner_id: str, unverified_id: str) -> ListedSite:
        """This owner's site. Raises NotFound for any other."""
        return await self._listed(await self._sites.owned_by(owner_id, unverified_id))

    async def change(
        self, owner_id: str, unverified_id: str, edit: Callable[[Site], Site]
    ) -> ListedSite:
        """Make of this owner's site what `edit` makes of it. Raises NotFound, and what that does.

        What it changed is written to the audit log, by name. No change leaves no trace.
        """
        async with self._transactions.transaction():
            # 1. As it is now, and stays until we are done.
            old = await self._locked(owner_id, unverified_id)
            # 2. Decide, in memory.
            new = edit(old)
            changed = [name for name in _CHANGEABLE if getattr(old, name) != getattr(new, name)]
            # 3. Both, or neither.
            if changed:
                await self._registry.change(new)
                detail = {name: getattr(new, name) for name in changed}
                await self._record("site.changed", new, detail)
        return await self._listed(new)

    async def set_redirect_uris(
        self, owner_id: str, unverified_id: str, unverified_uris: Sequence[str]
    ) -> ListedSite:
        """Replace the list of where browsers may be sent back to.

        Raises InvalidInput for a URI that is unfit, or too many, and NotFound. No change leaves no
        trace.
        """
        uris = self._fit(unverified_uris)
        async with self._transactions.transaction():
            site = await self._locked(owner_id, unverified_id)
            if uris != await self._sites.redirect_uris(site.site_id):
                await self._registry.set_redirect_uris(site.site_id, uris)
                await self._record("site.redirect-uris.changed", site, {"redirect_uris": uris})
        return ListedSite(site, uris)

    async def delete(self, owner_id: str, unverified_id: str) -> None:
        """Delete this owner's site for good. Raises NotFound."""
        async with self._transactions.transaction():
            site = await self._locked(owner_id, unverified_id)
            await self._registry.bury(site.site_id, self._clock.now())
            await self._record("site.deleted", site, {"display_name": site.display_name})

    async def tokens(self, owner_id: str, unverified_id: str) -> list[HeldToken]:
        """The tokens of this owner's site that work now, newest first. Raises NotFound."""
        site = await self._sites.owned_by(owner_id, unverified_id)
        return await self._tokens.of(site.site_id)

    async def rotate(
        self, owner_id: str, unverified_id: str, overlap: timedelta
    ) -> tuple[HeldToken, Token]:
        """A new token, returned once; the others work for `overlap`.

        Raises what `HeldTokens.rotate` raises, and NotFound.
        """
        async with self._transactions.transaction():
            site = await self._locked(owner_id, unverified_id)
            held, token = await self._tokens.rotate(site.site_id, overlap)
            detail = {"token_id": held.token_id, "overlap_seconds": int(overlap.total_seconds())}
            await self._record("site.token.rotated", site, detail)
        return held, token

    async def claim_domain(self, owner_id: str, unverified_id: str, domain: str) -> Proof:
        """Say that a site is at `domain`; what is returned has to be found there to prove it.

        Another domain than before is unproven; the same one stays as it is. Raises InvalidInput for
        what is no domain, and NotFound.
        """
        name = domain_name(domain)

        def claimed(site: Site) -> Site:
            same = site.domain == name
            return replace(site, domain=name, domain_verified=same and site.domain_verified)

        listed = await self.change(owner_id, unverified_id, claimed)
        return self._proof(listed.site.site_id, name)

    async def check_domain(self, owner_id: str, unverified_id: str, method: Method) -> str | None:
        """Look for the proof: None once the domain is proven, else a sentence on what is wrong.

        A proof that is not found takes nothing away: whatever was proven before stays. Raises
        InvalidInput for a site without a domain, RateLimited, and NotFound.
        """
        # 1. Whose, and what is claimed?
        site = await self._sites.owned_by(owner_id, unverified_id)
        if site.domain is None:
            raise InvalidInput("This site has no domain yet.", detail={"field": "domain"})
        # 2. Not too often: somebody else's server is asked.
        await self._slowing.take(f"domain-check:{owner_id}", CHECKS)
        # 3. Look. Outside of any transaction: this takes seconds.
        domain = site.domain
        try:
            await self._proof(site.site_id, domain).find(method, self._proofs)
        except ProofMissingError as missing:
            return str(missing)

        # 4. Write it, unless another domain is claimed by now.
        def proven(now: Site) -> Site:
            if now.domain != domain:
                raise Conflict("The domain was changed meanwhile: check it again.")
            return replace(now, domain_verified=True)

        await self.change(owner_id, unverified_id, proven)
        return None

    def _proof(self, site_id: str, domain: str) -> Proof:
        return Proof.of(site_id, domain, self._proof_secrets)

    def _fit(self, unverified_uris: Sequence[str]) -> tuple[str, ...]:
        if len(unverified_uris) > MAX_REDIRECT_URIS:
            raise InvalidInput(
                f"At most {MAX_REDIRECT_URIS} redirect URIs.", detail={"field": "redirect_uris"}
            )
        for index, uri in enumerate(unverified_uris):
            fits = len(uri) <= MAX_REDIRECT_URI and is_web_url(uri, loopback_too=self._loopback_too)
            # Matched to the byte: a wildcard would match nothing, and a fragment never arrives.
            if not fits or "#" in uri or "*" in uri:
                raise InvalidInput(
                    "A redirect URI is an https URL in full, without a fragment, a wildcard or a "
                    f"user name, of at most {MAX_REDIRECT_URI} printable ASCII characters.",
                    detail={"field": f"redirect_uris.{index}"},
                )
        return tuple(dict.fromkeys(unverified_uris))

    async def _listed(self, site: Site) -> ListedSite:
        return ListedSite(site, await self._sites.redirect_uris(site.site_id))

    async def _locked(self, owner_id: str, unverified_id: str) -> Site:
        site_id = parse_id(unverified_id)
        site = None if site_id is None else await self._registry.lock(owner_id, site_id)
        if site is None:
            raise NotFound
        return site

    async def _record(self, action: str, site: Site, detail: Mapping[str, object]) -> None:
        await self._audit.record(
            action,
            owner_id=site.owner_id,
            actor=Actor("owner", site.owner_id),
            target=Target("site", site.site_id),
            detail=detail,
        )


_CHANGEABLE = ("display_name", "active", "domain", "domain_verified")
