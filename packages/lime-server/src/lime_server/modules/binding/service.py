"""Agent binding, as the server sees it (protocol section 9)."""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from logging import getLogger
from urllib.parse import urlencode

from lime_server.core.agents import Agent
from lime_server.core.clock import Clock
from lime_server.core.errors import (
    BindingCodeInvalid,
    BindingNotFound,
    Forbidden,
    InvalidInput,
    NotFound,
    RedirectUriNotListed,
)
from lime_server.core.ids import new_id, parse_id
from lime_server.core.ports import TokenHash, Transactions
from lime_server.core.tokens import Token, TokenKind
from lime_server.foundation.audit import Actor, Audit, Target
from lime_server.foundation.sites import Site
from lime_server.modules.binding.model import Binding, BindingState, EndedBy, KnownBinding
from lime_server.modules.binding.passports import BindingPassports
from lime_server.modules.binding.ports import (
    BindingStore,
    OwnedAgents,
    RedirectUris,
    SiteStanding,
)

MAX_STATE = 512
"""Characters of a site's `state`: enough for a signed cookie's worth, and the URL stays short."""
_STATE = re.compile(rf"[!-~]{{1,{MAX_STATE}}}")  # visible ASCII (RFC 6749, appendix A.5)
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # SHA-256 in base64url (RFC 7636, section 4.2)
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636, section 4.1
_PRUNED_AT_ONCE = 500
"""Rows per statement: short enough that nobody waits behind it."""

log = getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BindingRules:
    """What the operator chose."""

    lifetime: timedelta
    """How long a human has to answer."""
    code_lifetime: timedelta
    """How long a site has to exchange a code."""
    retention: timedelta
    """How long a request that led to nothing is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a site wants, not checked yet."""

    redirect_uri: str
    state: str | None = None
    code_challenge: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a site shows to get a passport, not checked yet."""

    code: str = field(repr=False)
    binding_id: str | None = None
    state: str | None = field(default=None, repr=False)
    code_verifier: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What a code was exchanged for."""

    binding: Binding
    passport: str = field(repr=False)


def _new_state() -> str:
    return secrets.token_urlsafe(24)  # 192 bits: nobody guesses which browser is meant


class Bindings:
    """Lets humans bind their agents to accounts at sites, and lets both sides end that."""

    def __init__(
        self,
        *,
        store: BindingStore,
        agents: OwnedAgents,
        redirect_uris: RedirectUris,
        standing: SiteStanding,
        tokens: TokenHash,
        passports: BindingPassports,
        audit: Audit,
        transactions: Transactions,
        clock: Clock,
        rules: BindingRules,
        new_state: Callable[[], str] = _new_state,
    ) -> None:
        """Put the parts together; nothing happens yet."""
        self._store = store
        self._agents = agents
        self._redirect_uris = redirect_uris
        self._standing = standing
        self._tokens = tokens
        self._passports = passports
        self._audit = audit
        self._transactions = transactions
        self._clock = clock
        self._rules = rules
        self._new_state = new_state

    # The site asks, its human answers, the site gets its passport.

    async def create(self, site: Site, wish: Wish) -> Binding:
        """A site asks for a binding.

        Raises RedirectUriNotListed, or InvalidInput for an unfit `state` or `code_challenge`.
        """
        # 1. Only where the site's owner said before, to the letter: whoever gets hold of a site's
        #    token still cannot have codes sent elsewhere.
        if wish.redirect_uri not in await self._redirect_uris.redirect_uris(site.site_id):
            raise RedirectUriNotListed
        # 2. What binds the answer to the site's browser.
        if wish.state is not None:
            _require(_STATE, wish.state, "state")
        if wish.code_challenge is not None:
            _require(_CHALLENGE, wish.code_challenge, "code_challenge")
        # 3. Keep it.
        now = self._clock.now()
        binding = Binding(
            binding_id=new_id(now),
            site_id=site.site_id,
            state=BindingState.PENDING,
            redirect_uri=wish.redirect_uri,
            browser_state=self._new_state() if wish.state is None else wish.state,
            code_challenge=wish.code_challenge,
            created_at=now,
            expires_at=now + self._rules.lifetime,
        )
        await self._store.add(binding)
        return binding

    async def look(self, unverified_id: str) -> KnownBinding:
        """A signed-in human asks which site wants what.

        Raises BindingNotFound unless the request can be answered now.
        """
        known = await self._find(unverified_id)
        if not known.binding.is_pending or await self._is_suspended(known):
            raise BindingNotFound
        return known

    async def approve(self, owner_id: str, unverified_id: str, unverified_agent_id: str) -> str:
        """The human picked an agent; returns where the browser must go, with the code.

        Raises BindingNotFound, NotFound for an agent that is not this owner's, AgentUserSuspended
        or AgentInactive. Of several answers to one request exactly one counts.
        """
        # 1. Read it as it stands now, so that an expired request cannot be approved.
        old = (await self.look(unverified_id)).binding
        # 2. Is it this owner's agent, and may it act?
        agent = await self._agents.owned_by(owner_id, unverified_agent_id)
        agent.require_good_standing()
        # 3. Decide, in memory. Only the code's hash is kept.
        now = self._clock.now()
        code = Token.new(TokenKind.BINDING_CODE)
        new = old.approved_for(
            agent.agent_id,
            owner_id=owner_id,
            code_hash=self._tokens.hash(code.text),
            now=now,
            until=now + self._rules.code_lifetime,
        )
        # 4. Write it, if nobody was faster, together with the record of it.
        await self._write(
            old,
            new,
            "binding.approved",
            Actor("owner", owner_id),
            agent_id=agent.agent_id,
        )
        # 5. The code travels through the browser; the passport never does.
        return _going_back(new, binding_code=code.text)

    async def refuse(self, owner_id: str, unverified_id: str) -> str:
        """The human said no; returns where the browser must go. May be repeated.

        Raises BindingNotFound unless the request is pending or was refused by this owner.
        """
        known = await self._find(unverified_id)
        old = known.binding
        if old.state is BindingState.REFUSED and old.owner_id == owner_id:
            return _refusal(old)
        if not old.is_pending or await self._is_suspended(known):
            raise BindingNotFound
        new = old.refused_by(owner_id, self._clock.now())
        await self._write(old, new, "binding.refused", Actor("owner", owner_id))
        return _refusal(new)

    async def exchange(self, site: Site, claim: Claim) -> Exchanged:
        """The site shows the code it got and receives the passport, once.

        Raises BindingCodeInvalid whatever is wrong; the log says what.
        """
        # 1. Is it a code by its shape?
        code = Token.parse(TokenKind.BINDING_CODE, claim.code)
        if code is None:
            raise _refused_code("not a code")
        # 2. Whose is it? Looked up by keyed hash; a spent one is not found.
        known = await self._store.by_code(self._tokens.hash(code.text))
        if known is None:
            raise _refused_code("unknown or spent")
        # 3. The site that asked, in time, and for the browser that it sent. A claim that fails
        #    here does not spend the code: a stranger could otherwise spoil it.
        now = self._clock.now()
        old = known.binding.at(now)
        reason = _why_not(old, site, claim)
        if reason is not None:
            raise _refused_code(reason)
        # 4. May the agent act, now?
        agent = await self._agent_of(old)
        # 5. Spend the code, if nobody was faster, together with the record of it. The passport is
        #    made within: if nothing can be signed now, the code can be shown again.
        new = old.exchanged(now)
        async with self._transactions.transaction():
            if not await self._store.replace(old, new):
                raise _refused_code("spent meanwhile")
            passport = await self._passports.mint(new, agent)
            await self._record("binding.made", new, Actor("site", site.site_id))
        # 6. Only what was committed is handed on.
        return Exchanged(new, passport)

    # Afterwards, by either side.

    async def of_owner(
        self, owner_id: str, *, before: str | None, limit: int
    ) -> Sequence[KnownBinding]:
        """This owner's bindings, ended ones too, latest request first."""
        return await self._store.of_owner(owner_id, before=before, limit=limit)

    async def of_site(
        self, site: Site, *, before: str | None, limit: int
    ) -> Sequence[KnownBinding]:
        """This site's bindings, ended ones too, latest request first."""
        return await self._store.of_site(site.site_id, before=before, limit=limit)

    async def status(self, site: Site, unverified_id: str) -> Binding:
        """The site's view of one of its own. Raises BindingNotFound for any other."""
        binding = (await self._find(unverified_id)).binding
        if binding.site_id != site.site_id:
            raise BindingNotFound
        return binding

    async def end_by_owner(self, owner_id: str, unverified_id: str) -> KnownBinding:
        """The owner ends a binding. May be repeated.

        Raises BindingNotFound unless it is one that this owner made.
        """
        known = await self._find(unverified_id)
        if known.binding.owner_id != owner_id:
            raise BindingNotFound
        actor = Actor("owner", owner_id)
        return replace(known, binding=await self._end(known.binding, EndedBy.OWNER, actor))

    async def end_by_site(self, site: Site, unverified_id: str) -> Binding:
        """The site ends a binding. May be repeated. Raises BindingNotFound as `status` does."""
        binding = await self.status(site, unverified_id)
        return await self._end(binding, EndedBy.SITE, Actor("site", site.site_id))

    async def prune(self) -> None:
        """Delete old requests that led to nothing. Any number of servers may do so at once."""
        before = self._clock.now() - self._rules.retention
        while await self._store.prune(before, limit=_PRUNED_AT_ONCE) == _PRUNED_AT_ONCE:
            pass

    async def _end(self, old: Binding, side: EndedBy, actor: Actor) -> Binding:
        if not old.was_made:
            raise BindingNotFound
        if not old.is_active:
            return old
        new = old.ended(side, self._clock.now())
        try:
            await self._write(old, new, "binding.ended", actor)
        except BindingNotFound:
            # Ended by somebody faster: who it was is for the record to say.
            return (await self._find(old.binding_id)).binding
        return new

    async def _find(self, unverified_id: str) -> KnownBinding:
        binding_id = parse_id(unverified_id)
        known = None if binding_id is None else await self._store.find(binding_id)
        if known is None:
            raise BindingNotFound
        return replace(known, binding=known.binding.at(self._clock.now()))

    async def _is_suspended(self, known: KnownBinding) -> bool:
        return bool(await self._standing.suspended([known.binding.site_id]))

    async def _agent_of(self, binding: Binding) -> Agent:
        try:
            agent = await self._agents.owned_by(str(binding.owner_id), str(binding.agent_id))
            agent.require_good_standing()
        except (NotFound, Forbidden) as error:
            # What is the matter with it is between its owner and us.
            raise _refused_code(f"the agent may not act: {error.code}") from None
        return agent

    async def _write(
        self, old: Binding, new: Binding, action: str, actor: Actor, **detail: object
    ) -> None:
        """Write `new` and a record of it, both or neither. Raises BindingNotFound if too late."""
        async with self._transactions.transaction():
            if not await self._store.replace(old, new):
                raise BindingNotFound
            await self._record(action, new, actor, **detail)

    async def _record(self, action: str, binding: Binding, actor: Actor, **detail: object) -> None:
        await self._audit.record(
            action,
            owner_id=str(binding.owner_id),
            actor=actor,
            target=Target("binding", binding.binding_id),
            detail={"site_id": binding.site_id, **detail},
        )


def challenge_of(code_verifier: str) -> str:
    """The S256 challenge of a verifier (RFC 7636, section 4.2)."""
    digest = hashlib.sha256(code_verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _why_not(binding: Binding, site: Site, claim: Claim) -> str | None:
    """Why `claim` does not prove what it must, or None if it does."""
    if binding.site_id != site.site_id:
        return "another site's"
    if not binding.is_approved:
        return "expired"
    if claim.binding_id is not None and claim.binding_id.lower() != binding.binding_id:
        return "another binding's"
    if claim.state is not None and not _same(claim.state, binding.browser_state):
        return "another browser's state"
    if (claim.code_verifier is None) != (binding.code_challenge is None):
        # One that nobody asked for is a sign that somebody took the challenge out (RFC 9700,
        # section 2.1.1).
        return "a verifier without a challenge, or the reverse"
    if claim.code_verifier is None or binding.code_challenge is None:
        return None
    if not _VERIFIER.fullmatch(claim.code_verifier):
        return "not a verifier"
    if not _same(challenge_of(claim.code_verifier), binding.code_challenge):
        return "another browser's verifier"
    return None


def _same(one: str, other: str) -> bool:
    # By bytes, because text that is not ASCII is refused otherwise, and with surrogates kept.
    return hmac.compare_digest(
        one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass")
    )


def _require(pattern: re.Pattern[str], text: str, name: str) -> None:
    if not pattern.fullmatch(text):
        raise InvalidInput(f"{name} has another form.", detail={"field": name})


def _going_back(binding: Binding, **answer: str) -> str:
    """The redirect URI with an answer added to whatever query it has."""
    joint = "&" if "?" in binding.redirect_uri else "?"
    return binding.redirect_uri + joint + urlencode({**answer, "state": binding.browser_state})


def _refusal(binding: Binding) -> str:
    return _going_back(binding, error="access_denied")  # as in RFC 6749, section 4.1.2.1


def _refused_code(reason: str) -> BindingCodeInvalid:
    log.info("a binding code was refused: %s", reason)
    return BindingCodeInvalid()
