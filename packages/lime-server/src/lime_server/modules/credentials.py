"""Who is asking? The dependencies that routes of every module use, and how they can fail."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request

from lime_server.core.agents import Agent, Agents
from lime_server.core.errors import (
    AgentInactive,
    AgentUserSuspended,
    AuthUnavailable,
    CsrfFailed,
    InvalidAgentToken,
    MissingAgentToken,
    NotFound,
    NotSignedIn,
    OwnerSuspended,
    RateLimited,
    SiteSuspended,
    SiteTokenAuthUnavailable,
    SiteTokenInvalid,
    SiteTokenMissing,
    StepUpRequired,
    Unavailable,
)
from lime_server.foundation.sessions import Session, Sessions
from lime_server.foundation.sites import Admission, Site, Sites
from lime_server.modules import http

AGENT_FAILURES = (
    MissingAgentToken,
    InvalidAgentToken,
    AgentInactive,
    AgentUserSuspended,
    RateLimited,
    AuthUnavailable,
    Unavailable,
)
SITE_FAILURES = (
    SiteTokenMissing,
    SiteTokenInvalid,
    SiteSuspended,
    RateLimited,
    SiteTokenAuthUnavailable,
    Unavailable,
)
SESSION_FAILURES = (NotSignedIn, OwnerSuspended, CsrfFailed, RateLimited, Unavailable)
FRESH_SESSION_FAILURES = (*SESSION_FAILURES, StepUpRequired)

CSRF_COOKIE = "lime_csrf"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def agent_of(agents: Agents) -> Callable[..., Awaitable[Agent]]:
    """A dependency that gives the agent whose token came with the request."""

    async def current_agent(
        unverified_token: Annotated[str | None, Depends(http.agent_token)],
    ) -> Agent:
        return await agents.authenticate(unverified_token)

    return current_agent


def site_of(sites: Sites) -> Callable[..., Awaitable[Site]]:
    """A dependency that gives the site whose token came with the request."""

    async def current_site(
        unverified_token: Annotated[str | None, Depends(http.site_token)],
    ) -> Site:
        return await sites.authenticate(unverified_token)

    return current_site


def admission_of(sites: Sites) -> Callable[..., Awaitable[Admission]]:
    """The same, with the token's hash: for what stays open, and must end when the token does."""

    async def current_admission(
        unverified_token: Annotated[str | None, Depends(http.site_token)],
    ) -> Admission:
        return await sites.admit(unverified_token)

    return current_admission


def session_of(
    sessions: Sessions, *, suspended_too: bool = False
) -> Callable[..., Awaitable[Session]]:
    """A dependency that gives the session of the owner who is asking.

    A request that changes something must come from one of our own pages. An owner who is suspended
    is let in nowhere, except with `suspended_too`: they may see who they are, and leave.
    """

    async def current_session(
        request: Request,
        _documented_cookie: Annotated[str | None, Depends(http.session_cookie)],
        unverified_csrf: Annotated[str | None, Depends(http.csrf_token)],
    ) -> Session:
        # 1. Who is it?
        unverified_cookie = request.cookies.get(sessions.rules.cookie)
        session = await sessions.authenticate(unverified_cookie)
        # 2. Do they want this, or does another site's page want it in their name?
        if request.method not in _SAFE:
            same_origin(request, sessions)
            _require_csrf(request, sessions, unverified_cookie or "", unverified_csrf or "")
            await sessions.count_change(session)
        # 3. May they act?
        if session.owner.suspended and not suspended_too:
            raise OwnerSuspended
        return session

    return current_session


def same_origin(request: Request, sessions: Sessions) -> None:
    """Return unless a browser says that another site's page sent this. Raises CsrfFailed.

    Both headers are beyond the reach of scripts. Who sends neither is no browser of the last years.
    """
    origin = request.headers.get("origin")
    if origin is not None and origin != sessions.rules.origin:
        raise CsrfFailed
    if request.headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
        raise CsrfFailed


def _require_csrf(
    request: Request, sessions: Sessions, unverified_cookie: str, unverified_csrf: str
) -> None:
    # The cookie shows that the page could read it, and the token that it is this session's.
    if request.cookies.get(CSRF_COOKIE) != unverified_csrf:
        raise CsrfFailed
    if not sessions.is_csrf_token(unverified_cookie, unverified_csrf):
        raise CsrfFailed


def fresh_session_of(sessions: Sessions) -> Callable[..., Awaitable[Session]]:
    """The same, for what needs a password or second factor proven in the last ten minutes."""

    async def fresh_session(
        session: Annotated[Session, Depends(session_of(sessions))],
    ) -> Session:
        if not sessions.is_fresh(session):
            raise StepUpRequired
        return session

    return fresh_session


def operator_of(sessions: Sessions, *, fresh: bool = False) -> Callable[..., Awaitable[Session]]:
    """The same, for operators. To everybody else there is no such path.

    With `fresh` the proof must be as recent as `fresh_session_of` wants it: for what an operator
    does to somebody else, and for what is somebody else's secret.
    """

    async def operators_session(
        session: Annotated[Session, Depends(session_of(sessions))],
    ) -> Session:
        # 1. An operator at all? First, so that nobody else learns that there is something here.
        if not session.owner.operator:
            raise NotFound
        # 2. At the keyboard?
        if fresh and not sessions.is_fresh(session):
            raise StepUpRequired
        return session

    return operators_session
