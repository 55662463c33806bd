"""The five steps of a login, as the server sees them (protocol section 3)."""

import asyncio
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address

from lime_server.core.agents import Agent
from lime_server.core.clock import Clock
from lime_server.core.errors import InvalidInput, MissingPowNonce, SiteLoginRequestNotFound
from lime_server.core.failpoints import reach
from lime_server.core.ids import new_id, parse_id
from lime_server.core.ports import PowCheck, Wakeup
from lime_server.core.urls import unambiguous
from lime_server.foundation.sites import Site
from lime_server.modules.site_login.model import DueEvent, Event, KnownLogin, Login, State
from lime_server.modules.site_login.ports import TOPIC, LoginStore, Tally, Watch

MAX_REDIRECT_URL = 2048
"""Characters of a redirect URL: what browsers and proxies agree to carry."""


@dataclass(frozen=True, slots=True)
class LoginRules:
    """What the operator chose."""

    difficulty: int
    """Leading zero bits of the puzzle."""
    lifetime: timedelta
    """How long a request can be approved."""
    delivery_window: timedelta
    """How long after the decision its event is sent."""


class SiteLogin:
    """Creates login requests and lets agents decide them."""

    def __init__(
        self,
        *,
        logins: LoginStore,
        puzzles: PowCheck,
        bell: Wakeup,
        watch: Watch,
        tally: Tally,
        clock: Clock,
        rules: LoginRules,
    ) -> None:
        """Put the parts together; nothing happens yet."""
        self._logins = logins
        self._puzzles = puzzles
        self._bell = bell
        self._watch = watch
        self._tally = tally
        self._clock = clock
        self._rules = rules

    async def create(self, site: Site, redirect_url: str | None) -> Login:
        """Step 1: the site asks for a login. Raises InvalidInput for an unfit `redirect_url`."""
        now = self._clock.now()
        login = Login(
            request_id=new_id(now),
            site_id=site.site_id,
            state=State.PENDING,
            challenge=self._puzzles.new_challenge(),
            difficulty=self._rules.difficulty,
            redirect_url=None if redirect_url is None else fit_redirect_url(redirect_url),
            created_at=now,
            expires_at=now + self._rules.lifetime,
        )
        await self._logins.add(login)
        await reach("create.after_commit")
        self._tally.login("created")
        return login

    async def look(self, unverified_id: str) -> KnownLogin:
        """Step 2: an agent, still unknown, asks what it would have to solve and for whom.

        Raises SiteLoginRequestNotFound unless the request can be approved now.
        """
        known = await self._find(unverified_id)
        if not known.login.is_pending or known.site.suspended:
            raise SiteLoginRequestNotFound
        return known

    async def approve(self, agent: Agent, unverified_id: str, nonce: str | None) -> Login:
        """Step 4: the agent lets itself in.

        Raises MissingPowNonce, InvalidPow (the request stays pending), or SiteLoginRequestNotFound.
        """
        # 1. An answer is needed, whatever the request. What is known of `agent` is as old as this.
        asked_at = self._clock.now()
        if not nonce:
            raise MissingPowNonce
        # 2. Read it as it stands now, so that an expired login cannot be approved.
        known = await self._find(unverified_id)
        old = known.login
        # 3. A lost answer may be asked for again. The work was checked the first time.
        if old.was_approved_by(agent):
            return old
        # 4. Decided in any other way, or by anybody else, it no longer exists for this agent.
        if not old.is_pending or known.site.suspended:
            raise SiteLoginRequestNotFound
        # 5. Was the work done?
        self._puzzles.check(old.challenge, nonce, old.difficulty)
        # 6. Decide, in memory.
        new = old.approved_by(agent, self._clock.now())
        # 7. Write it together with its event, if nobody was faster. That may have been this very
        #    agent, with the same answer sent twice.
        if not await self._decide(known, new, agent, asked_at):
            return await self._decided_before(agent, unverified_id, State.APPROVED)
        self._tally.login("approved")
        return new

    async def deny(self, agent: Agent, unverified_id: str) -> Login:
        """Step 4, the other way: the agent refuses. Costs no work, and tells the site at once.

        Raises SiteLoginRequestNotFound unless the request is pending or was denied by this agent.
        """
        asked_at = self._clock.now()
        known = await self._find(unverified_id)
        old = known.login
        if old.was_denied_by(agent):
            return old
        if not old.is_pending or known.site.suspended:
            raise SiteLoginRequestNotFound
        new = old.denied_by(agent, self._clock.now())
        if not await self._decide(known, new, agent, asked_at):
            return await self._decided_before(agent, unverified_id, State.DENIED)
        self._tally.login("denied")
        return new

    async def status(self, site: Site, unverified_id: str) -> Login:
        """The site's view of its own request. Raises SiteLoginRequestNotFound for any other."""
        known = await self._find(unverified_id)
        if known.login.site_id != site.site_id:
            raise SiteLoginRequestNotFound
        return known.login

    async def outcome(self, site: Site, unverified_id: str, *, wait: float) -> Login:
        """The site's view once its request is final, or after `wait` seconds, whatever comes first.

        Raises SiteLoginRequestNotFound as `status` does. Holds no connection while it waits.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        # Listen, then read: a decision between the two would otherwise go unnoticed.
        with self._watch.watching(unverified_id.lower()) as rung:
            while True:
                login = await self.status(site, unverified_id)
                left = deadline - loop.time()
                if not login.is_pending or left <= 0 or self._watch.draining:
                    return login
                # A pending request expires by itself, which rings no bell.
                expiry = (login.expires_at - self._clock.now()).total_seconds()
                try:
                    async with asyncio.timeout(max(0.0, min(left, expiry))):
                        await rung.wait()
                except TimeoutError:
                    pass
                rung.clear()

    async def _find(self, unverified_id: str) -> KnownLogin:
        request_id = parse_id(unverified_id)
        known = None if request_id is None else await self._logins.find(request_id)
        if known is None:
            raise SiteLoginRequestNotFound
        return KnownLogin(known.login.at(self._clock.now()), known.site)

    async def _decide(self, known: KnownLogin, new: Login, agent: Agent, read_at: datetime) -> bool:
        """Write `new` and tell the site; False if somebody was faster. `agent` is of `read_at`."""
        event = Event.telling(new, now=self._clock.now(), window=self._rules.delivery_window)
        # Mostly the site has a stream here. Then the event is written as that stream's, and goes
        # there without being read again: it is as fresh as `agent` and the site are.
        with self._watch.place(new.site_id) as place:
            await reach("approve.before_commit")
            if not await self._logins.decide(known.login, new, event, place.lease):
                return False
            await reach("approve.after_commit")
            place.give(
                DueEvent(event, agent, known.site.suspended, acknowledged=False, read_at=read_at)
            )
        # Only now wake whoever waits: they will read what was just written.
        await self._bell.ring(TOPIC, f"{new.site_id}/{new.request_id}")
        await reach("approve.after_wakeup")
        return True

    async def _decided_before(self, agent: Agent, unverified_id: str, wanted: State) -> Login:
        """What was decided by a faster writer, if that was this agent with the same decision."""
        login = (await self._find(unverified_id)).login
        same = login.is_approved if wanted is State.APPROVED else login.state is wanted
        if not same or login.agent_id != agent.agent_id:
            raise SiteLoginRequestNotFound
        return login


def fit_redirect_url(text: str) -> str:
    """`text` if a browser may be sent there: https, or http on loopback for development.

    Raises InvalidInput for anything else, for user names in it, and for white space or control
    characters, which browsers read in ways of their own.
    """
    if len(text) <= MAX_REDIRECT_URL and re.fullmatch(r"[!-~]+", text) and "\\" not in text:
        try:
            parts = unambiguous(text)
            host, _ = parts.hostname, parts.port
        except ValueError:
            host = None
        else:
            secure = parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))
            if host and secure and "@" not in parts.netloc:
                return text
    raise InvalidInput(
        f"redirect_url must be an https URL (http only on loopback) of at most {MAX_REDIRECT_URL} "
        "printable ASCII characters, without a user name.",
        detail={"field": "redirect_url"},
    )


def _is_loopback(host: str | None) -> bool:
    if host is None or host == "localhost":
        return host is not None
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
