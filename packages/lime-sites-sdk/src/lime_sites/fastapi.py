"""A ready login for FastAPI: a page to wait on, start, status, events, and who is signed in.

    site = LimeSite()
    login = login_router(site, secret=os.environ["SESSION_SECRET"])
    app.include_router(login)

    @app.get("/me")
    async def me(agent: Annotated[SignedInAgent, Depends(login.current_agent)]) -> str:
        return agent.agent_id

`/login/waiting?next=/me` is a page of its own: it starts a login, shows what to give to the agent,
and goes on to `/me` when the agent is in. The other routes are for pages of yours.

The browser that starts a login gets a cookie that binds it to the login request; only there does
the approval become a session. Nothing is kept in memory, so any number of workers may serve it.

Needs the extra: `pip install lime-sites-sdk[fastapi]`.
"""

import ipaddress
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass
from http import HTTPStatus
from math import ceil
from typing import Annotated, Any, Final
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Header, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse, StreamingResponse
from pydantic import TypeAdapter, ValidationError

from lime_sites._cookies import SignedValue
from lime_sites._site import LimeSite
from lime_sites._types import LoginRequestResult, Passport
from lime_sites._waiting import HEADERS, LONGEST_PATH, Waiting, same_site_path, waiting_path
from lime_sites.errors import (
    ApiError,
    InvalidPassportError,
    LimeError,
    LoginTimeoutError,
    RequestDeniedError,
    RequestExpiredError,
)

__all__ = ["LoginRouter", "SignedInAgent", "login_router"]

logger = logging.getLogger("lime_sites")

PENDING: Final = "PENDING"
APPROVED: Final = "APPROVED"
DENIED: Final = "DENIED"
EXPIRED: Final = "EXPIRED"
UNAVAILABLE: Final = "UNAVAILABLE"

PENDING_SECONDS: Final = 300
"""Life of the cookie that binds a browser to its login: the login request's own."""

SESSION_SECONDS: Final = 8 * 3600
"""Life of a session unless told otherwise: a working day."""

EVENT_WAIT: Final = 15
"""Seconds between two signs of life on the browser's event stream."""


@dataclass(frozen=True, slots=True)
class SignedInAgent:
    """The agent of this browser session, as its passport proved it."""

    agent_id: str
    user_id: str | None
    kyc_level: int | None


@dataclass(frozen=True, slots=True)
class _Pending:
    """The login that a browser has started."""

    request_id: str
    ends_at: float
    """Unix seconds."""


_AGENT = TypeAdapter(SignedInAgent)
_PENDING = TypeAdapter(_Pending)


def login_router(
    site: LimeSite,
    *,
    secret: str,
    prefix: str = "/login",
    session_seconds: int = SESSION_SECONDS,
    secure: bool | None = None,
    after_login: str = "/",
    wall_clock: Callable[[], float] = time.time,
) -> "LoginRouter":
    """Return a router with a page to wait on, and what pages of your own need.

    `GET /waiting` and `POST /begin` are the page and its button; `POST /start`, `GET /status`,
    `GET /events` and `POST /logout` are for scripts.

    Args:
        site: the client; the application closes it.
        secret: signs the cookies; at least 32 characters, the same for all workers.
        prefix: where the routes are.
        session_seconds: how long a session lasts.
        secure: whether cookies are `Secure` and have the `__Host-` prefix. By default they are,
            unless the request is for plain http on a loopback host. Say `True` behind a proxy
            that puts its own loopback address into `Host`.
        after_login: the path that the waiting page goes to, unless its `?next=` names another one
            of this site.
        wall_clock: Unix seconds.

    Raises:
        ValueError: the secret is too short, or `after_login` is no path of this site.
    """
    if same_site_path(after_login, "") != after_login or not after_login:
        raise ValueError("after_login is a path of this site, such as /members")
    pending = SignedValue(secret, kind="pending", max_age=PENDING_SECONDS, wall_clock=wall_clock)
    session = SignedValue(secret, kind="session", max_age=session_seconds, wall_clock=wall_clock)
    return LoginRouter(
        site,
        # Not named as LIME's own cookies: on a developer's machine both servers have the same host,
        # and cookies do not know of ports (RFC 6265, section 8.5).
        _Cookie("lime_site_login", pending, secure=secure),
        _Cookie("lime_site_agent", session, secure=secure),
        prefix,
        after_login=after_login,
        wall_clock=wall_clock,
    )


class LoginRouter(APIRouter):
    """What `login_router` returns."""

    def __init__(
        self,
        site: LimeSite,
        pending: "_Cookie",
        session: "_Cookie",
        prefix: str,
        *,
        after_login: str,
        wall_clock: Callable[[], float],
    ) -> None:
        super().__init__(prefix=prefix, tags=["login"])
        self._site = site
        self._pending = pending
        self._session = session
        self._after_login = after_login
        self._wall_clock = wall_clock
        from_here = [Depends(_from_this_site)]
        self.add_api_route(
            "/start", self._start, methods=["POST"], status_code=201, dependencies=from_here
        )
        self.add_api_route("/waiting", self._waiting, methods=["GET"], response_class=HTMLResponse)
        self.add_api_route(
            "/begin",
            self._begin,
            methods=["POST"],
            status_code=303,
            response_class=RedirectResponse,
            dependencies=from_here,
        )
        self.add_api_route("/status", self._status, methods=["GET"])
        self.add_api_route("/events", self._events, methods=["GET"])
        self.add_api_route(
            "/logout", self._logout, methods=["POST"], status_code=204, dependencies=from_here
        )

    async def current_agent(self, request: Request) -> SignedInAgent:
        """Return who is signed in: a dependency for routes of the application.

        Raises:
            HTTPException: 401 if nobody is.
        """
        agent = self._signed_in(request)
        if agent is None:
            raise HTTPException(HTTPStatus.UNAUTHORIZED, "no agent is signed in")
        return agent

    async def _start(self, request: Request, response: Response) -> dict[str, str]:
        """Begin a login and bind it to this browser."""
        try:
            login = await self._site.create_login_request()
        except LimeError as error:
            raise _unavailable(error) from None
        self._remember(request, response, login)
        return {"status": PENDING, "request_id": login.request_id}

    async def _begin(self, request: Request) -> Response:
        """Begin a login for a browser that may have no scripts, and show the page to wait on."""
        onward = same_site_path(await _next_in_form(request), self._after_login)
        try:
            login = await self._site.create_login_request()
        except LimeError as error:
            unavailable = _unavailable(error)
            return _page(Waiting("BUSY", onward), HTTPStatus.SERVICE_UNAVAILABLE, unavailable)
        response = RedirectResponse(waiting_path(onward), HTTPStatus.SEE_OTHER)
        self._remember(request, response, login)
        return response

    async def _waiting(
        self, request: Request, unverified: Annotated[str | None, Query(alias="next")] = None
    ) -> Response:
        """Show how this browser's login stands, and go on when it is over and done."""
        onward = same_site_path(unverified, self._after_login)
        if onward.partition("?")[0] == request.url.path:
            # To go on to where one is would not end.
            onward = self._after_login
        # 1. Is there one? If not, perhaps because it is done already.
        pending = self._pending_login(request)
        if pending is None:
            if self._signed_in(request) is not None:
                return RedirectResponse(onward, HTTPStatus.SEE_OTHER)
            return _page(Waiting("NONE", onward))
        # 2. How does it stand?
        try:
            found = await self._find(pending.request_id, 0)
        except InvalidPassportError:
            refused = _page(Waiting("REFUSED", onward), HTTPStatus.FORBIDDEN)
            self._pending.clear(request, refused)
            return refused
        except LimeError as error:
            unavailable = _unavailable(error)
            state = Waiting("UNAVAILABLE", onward)
            return _page(state, HTTPStatus.SERVICE_UNAVAILABLE, unavailable)
        if found == PENDING:
            left = max(0, ceil(pending.ends_at - self._wall_clock()))
            return _page(Waiting(PENDING, onward, pending.request_id, left))
        # 3. It is over.
        if isinstance(found, str):
            response: Response = _page(Waiting(found, onward))
        else:
            response = RedirectResponse(onward, HTTPStatus.SEE_OTHER)
            self._open(request, response, found)
        self._pending.clear(request, response)
        return response

    def _remember(self, request: Request, response: Response, login: LoginRequestResult) -> None:
        """Bind `login` to this browser."""
        # Its cookie ends in any case, whatever LIME's clock says.
        ends_at = min(login.expires_at.timestamp(), self._wall_clock() + PENDING_SECONDS)
        self._pending.write(request, response, asdict(_Pending(login.request_id, ends_at)))

    def _pending_login(self, request: Request) -> _Pending | None:
        try:
            return _PENDING.validate_python(self._pending.read(request))
        except ValidationError:
            return None

    def _signed_in(self, request: Request) -> SignedInAgent | None:
        try:
            return _AGENT.validate_python(self._session.read(request))
        except ValidationError:
            return None

    def _open(self, request: Request, response: Response, passport: Passport) -> SignedInAgent:
        """Make a session of a proven passport."""
        agent = SignedInAgent(passport.agent_id, passport.user_id, passport.kyc_level)
        self._session.write(request, response, asdict(agent))
        return agent

    async def _status(self, request: Request, response: Response) -> dict[str, str]:
        """Say how this browser's login stands; an approved one becomes a session here."""
        response.headers["cache-control"] = "no-store"
        pending = self._pending_login(request)
        if pending is None:
            agent = await self.current_agent(request)
            return {"status": APPROVED, "agent_id": agent.agent_id}
        try:
            found = await self._find(pending.request_id, 0)
        except InvalidPassportError:
            raise HTTPException(HTTPStatus.FORBIDDEN, "the passport is not valid") from None
        except LimeError as error:
            raise _unavailable(error) from None
        if found == PENDING:
            return {"status": PENDING, "request_id": pending.request_id}
        self._pending.clear(request, response)
        if isinstance(found, str):
            return {"status": found}
        agent = self._open(request, response, found)
        return {"status": APPROVED, "agent_id": agent.agent_id}

    async def _events(self, request: Request) -> StreamingResponse:
        """Tell the browser by server-sent events when its login is over, so that it asks how."""
        pending = self._pending_login(request)
        if pending is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, "no login was started here")
        return StreamingResponse(
            self._tell(pending.request_id),
            media_type="text/event-stream",
            # The last is for nginx, which would hold events back.
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )

    async def _tell(self, request_id: str) -> AsyncIterator[str]:
        yield ": open\n\n"
        state = PENDING
        while state == PENDING:
            state = await self._follow(request_id)
            yield f"data: {json.dumps({'status': state})}\n\n"

    async def _follow(self, request_id: str) -> str:
        """Wait for the end of the login, but not for long, and return its state."""
        try:
            found = await self._find(request_id, EVENT_WAIT)
        except LimeError:
            return UNAVAILABLE
        return found if isinstance(found, str) else APPROVED

    async def _logout(self, request: Request, response: Response) -> None:
        """End this browser's session, and a login that it has begun."""
        self._session.clear(request, response)
        # Whoever uses the browser next would be signed in by its approval.
        self._pending.clear(request, response)

    async def _find(self, request_id: str, seconds: float) -> Passport | str:
        """Return the login's passport, or the state that it is in after so many seconds."""
        try:
            return await self._site.wait_for_login(request_id, seconds)
        except LoginTimeoutError:
            return PENDING
        except RequestDeniedError:
            return DENIED
        except RequestExpiredError:
            return EXPIRED
        except ApiError as error:
            if error.http_status == HTTPStatus.NOT_FOUND:
                # So old that LIME has forgotten it.
                return EXPIRED
            raise


class _Cookie:
    """A signed cookie that scripts cannot read and other sites cannot send along."""

    def __init__(self, name: str, signed: SignedValue, *, secure: bool | None) -> None:
        self._name = name
        self._signed = signed
        self._secure = secure

    def read(self, request: Request) -> Any:
        return self._signed.load(request.cookies.get(self._name_for(request)))

    def write(self, request: Request, response: Response, value: object) -> None:
        self._set(request, response, self._signed.dump(value), self._signed.max_age)

    def clear(self, request: Request, response: Response) -> None:
        self._set(request, response, "", 0)

    def _set(self, request: Request, response: Response, text: str, max_age: int) -> None:
        response.set_cookie(
            self._name_for(request),
            text,
            max_age=max_age,
            path="/",
            secure=self._is_secure(request),
            httponly=True,
            samesite="lax",
        )

    def _name_for(self, request: Request) -> str:
        # The prefix makes browsers refuse the cookie from a subdomain or over plain http.
        return f"__Host-{self._name}" if self._is_secure(request) else self._name

    def _is_secure(self, request: Request) -> bool:
        return not _is_loopback(request) if self._secure is None else self._secure


def _is_loopback(request: Request) -> bool:
    """Is this plain http on the developer's own machine, where `Secure` cookies would not work?

    Behind a proxy the scheme is often http as well, so the host decides.
    """
    host = request.url.hostname or ""
    if request.url.scheme != "http":
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _from_this_site(sec_fetch_site: Annotated[str | None, Header()] = None) -> None:
    """Refuse what a page of somebody else's made the browser send (W3C Fetch Metadata)."""
    if sec_fetch_site == "cross-site":
        raise HTTPException(HTTPStatus.FORBIDDEN, "not from another site")


async def _next_in_form(request: Request) -> str | None:
    """Where a form wants to go on to. Read by hand: forms of one field need no parser package."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        # A path may be escaped throughout, three characters for one.
        if len(body) > 4 * LONGEST_PATH:
            return None
    return parse_qs(body.decode("latin-1")).get("next", [None])[0]


def _page(
    waiting: Waiting, status: int = HTTPStatus.OK, because: HTTPException | None = None
) -> HTMLResponse:
    more = dict(because.headers or {}) if because is not None else {}
    return HTMLResponse(waiting.page, status, HEADERS | more)


def _unavailable(error: LimeError) -> HTTPException:
    logger.warning("LIME could not be asked: %s", error)
    wait = {} if error.retry_after is None else {"retry-after": str(ceil(error.retry_after))}
    return HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "login is not available", headers=wait)
