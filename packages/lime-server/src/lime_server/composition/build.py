"""Pure wiring: parts in, application out."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from functools import partial
from logging import getLogger

from fastapi import APIRouter, FastAPI, Request
from starlette.types import Scope

from lime_server import __version__
from lime_server.composition import docs
from lime_server.composition.binding import binding_parts
from lime_server.composition.mcp_oauth import oauth_pruning, token_parts
from lime_server.composition.oauth_clients import client_finder, client_parts
from lime_server.composition.openapi import describe
from lime_server.composition.parts import Background, Parts
from lime_server.composition.registry import owners_desk
from lime_server.core.errors import OwnerSuspended
from lime_server.core.urls import API_PATH
from lime_server.infrastructure.web.body import LargeBodies
from lime_server.infrastructure.web.edge import Edge, install
from lime_server.infrastructure.web.health import leave
from lime_server.infrastructure.web.limits import RateLimits
from lime_server.infrastructure.web.mailbox import mailbox_route
from lime_server.infrastructure.web.portal import install as install_portal
from lime_server.infrastructure.web.portal_export import NO_PORTAL, Export
from lime_server.modules.accounts.routes import PASSKEY_OPTIONS
from lime_server.modules.accounts.routes import router as account_routes
from lime_server.modules.audit.routes import router as audit_routes
from lime_server.modules.binding.routes import router as binding_routes
from lime_server.modules.express import ExpressRoute
from lime_server.modules.kyc.routes import CASES as KYC_CASES
from lime_server.modules.kyc.routes import router as kyc_routes
from lime_server.modules.kyc.wire import LARGEST_BODY as LARGEST_KYC_BODY
from lime_server.modules.mcp_oauth.client_routes import client_router
from lime_server.modules.mcp_oauth.metadata import (
    CROSS_ORIGIN_PATHS,
    PLAIN_PATHS,
    metadata,
)
from lime_server.modules.mcp_oauth.token_routes import metadata_router, token_router
from lime_server.modules.operator.routes import OperatorParts
from lime_server.modules.operator.routes import router as operator_routes
from lime_server.modules.site_login.delivery import Delivery, DeliveryTiming
from lime_server.modules.site_login.express import express
from lime_server.modules.site_login.passports import Passports
from lime_server.modules.site_login.routes import SiteLoginParts
from lime_server.modules.site_login.routes import router as site_login_routes
from lime_server.modules.site_login.service import LoginRules, SiteLogin
from lime_server.modules.site_login.stream import StreamParts, StreamTiming
from lime_server.modules.site_login.sweep import Sweep, SweepRules
from lime_server.modules.whoami.routes import router as whoami_routes

log = getLogger(__name__)

_ANSWERS_SWEPT_EVERY = 60.0
"""Seconds; what has expired is not given out any more in any case."""
_BINDINGS_SWEPT_EVERY = 60.0
"""Seconds; requests and codes expire by themselves."""
_OAUTH_SWEPT_EVERY = 600.0
"""Seconds; codes and tokens expire by themselves, and clients are kept for a month."""
_KYC_SWEPT_EVERY = 600.0
"""Seconds; a case expires by itself, and documents are kept for weeks."""

_ACCOUNTS_SWEPT_EVERY = 60.0
"""Seconds; sessions and codes that have ended open nothing in any case."""


def build(parts: Parts, portal: Export = NO_PORTAL) -> FastAPI:
    """The application, with `portal` as its web pages.

    Its background work runs within its lifespan. `app.state.leave()` makes readiness fail, and
    nothing else; `app.state.drain()` ends all event streams with `goaway`, at once and for good:
    call it before waiting for connections to close.
    """
    settings = parts.settings
    delivery = Delivery(
        events=parts.events,
        standing=parts.standing,
        bell=parts.bell,
        tally=parts.metrics,
        clock=parts.clock,
        timing=DeliveryTiming(
            settings.poll_interval, _seconds(settings.delivery_lease), settings.streams_per_site
        ),
    )
    desk = owners_desk(
        parts.registry,
        agents=parts.agents,
        sites=parts.sites,
        sessions=parts.sessions,
        delivery=delivery,
        transactions=parts.transactions,
        audit=parts.audit,
        bell=parts.bell,
        clock=parts.clock,
        loopback_too=settings.public_url.is_loopback,
    )
    bindings = binding_parts(parts)
    clients = client_finder(parts)
    oauth = client_parts(parts, clients)
    app = FastAPI(
        title="LIME",
        version=__version__,
        description="Passports for AI agents. `docs/protocol.md` is the text behind this page.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json" if settings.docs else None,
        # We bring our own; the framework would ask at each request whether somebody set it up.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        # A redirect would name the host that the caller sent, and take its token there.
        redirect_slashes=False,
        lifespan=_lifespan(
            [
                *parts.background,
                parts.accounts.post.run,
                parts.accounts.later.run,
                partial(_every, _ACCOUNTS_SWEPT_EVERY, parts.accounts.sweep),
                delivery.run,
                desk.presence.run,
                *(use.run for use in parts.registry.uses),
                _sweep(parts).run,
                partial(
                    _every, _ANSWERS_SWEPT_EVERY, lambda: parts.answers.sweep(parts.clock.now())
                ),
                partial(_every, _KYC_SWEPT_EVERY, parts.kyc.sweep),
                partial(_every, _BINDINGS_SWEPT_EVERY, bindings.bindings.prune),
                partial(_every, _OAUTH_SWEPT_EVERY, oauth_pruning(parts).once),
                partial(_every, _OAUTH_SWEPT_EVERY, oauth.registration.prune),
                partial(parts.ring.run, interval=settings.key_refresh_interval, bell=parts.bell),
            ]
        ),
    )
    api = APIRouter(prefix=API_PATH)
    site_login = _site_login(parts, delivery)
    api.include_router(site_login_routes(site_login))
    # Before the sites by id: `me` is none.
    api.include_router(whoami_routes(parts.agents, parts.sites))
    for routes in desk.routes:
        api.include_router(routes)
    api.include_router(binding_routes(bindings))
    api.include_router(token_router(token_parts(parts, clients)))
    api.include_router(client_router(oauth))
    api.include_router(account_routes(parts.accounts.routes))
    api.include_router(audit_routes(parts.audit, parts.sessions))
    api.include_router(kyc_routes(parts.kyc, parts.sessions))
    api.include_router(
        operator_routes(OperatorParts(parts.operators, parts.kyc, parts.audit, parts.sessions))
    )
    app.include_router(api)
    app.include_router(metadata_router(metadata(settings.public_url, settings.mcp_scopes)))
    if parts.accounts.mailbox is not None:
        app.include_router(mailbox_route(parts.accounts.mailbox))
    install(app, _edge(parts, express(site_login)))
    describe(app, session_cookie=parts.sessions.rules.cookie, forgotten=_FORGOTTEN)
    if settings.docs:
        docs.install(app)
    install_portal(app, portal, turnstile=settings.captcha == "turnstile")
    app.state.drain = partial(_drain, delivery.drain, desk.monitor.drain)
    app.state.leave = partial(leave, app)
    return app


def _drain(*drains: Callable[[], None]) -> None:
    for drain in drains:
        drain()


def _site_login(parts: Parts, delivery: Delivery) -> SiteLoginParts:
    settings = parts.settings
    passports = Passports(
        events=parts.events,
        signer=parts.signer,
        clock=parts.clock,
        issuer=str(settings.public_url),
        lifetime=settings.passport_lifetime,
    )
    logins = SiteLogin(
        logins=parts.logins,
        puzzles=parts.puzzles,
        bell=parts.bell,
        watch=delivery,
        tally=parts.metrics,
        clock=parts.clock,
        rules=LoginRules(
            difficulty=settings.difficulty,
            lifetime=_seconds(settings.login_lifetime),
            delivery_window=_seconds(settings.delivery_window),
        ),
    )
    timing = StreamTiming(
        settings.keepalive_interval, settings.stream_lifetime, settings.stream_patience
    )
    streams = StreamParts(delivery, passports, timing)
    return SiteLoginParts(logins, parts.agents, parts.sites, passports, streams)


def _sweep(parts: Parts) -> Sweep:
    settings = parts.settings
    return Sweep(
        logins=parts.logins,
        bell=parts.bell,
        tally=parts.metrics,
        clock=parts.clock,
        rules=SweepRules(
            interval=settings.sweep_interval,
            lifetime=_seconds(settings.login_lifetime),
            delivery_window=_seconds(settings.delivery_window),
            retention=_seconds(settings.retention),
        ),
    )


_FORGOTTEN = PLAIN_PATHS | {API_PATH + PASSKEY_OPTIONS}
"""Paths where `Idempotency-Key` means nothing: a code that is exchanged twice must be noticed, and
strangers are given a fresh challenge each."""


def _edge(parts: Parts, shorter: Sequence[ExpressRoute]) -> Edge:
    settings = parts.settings
    return Edge(
        ring=parts.ring,
        clock=parts.clock,
        tokens=parts.tokens,
        counter=parts.counter,
        limits=RateLimits(
            per_address=settings.rate_per_address,
            per_token=settings.rate_per_token,
            per_request=settings.rate_per_request,
            trusted_proxies=settings.trusted_proxies,
        ),
        watchers=settings.operations_networks,
        answers=parts.answers,
        vital=parts.vital,
        helpful=parts.helpful,
        metrics=parts.metrics,
        secure=settings.public_url.is_secure,
        access_log=settings.access_log,
        max_body_bytes=settings.max_body_bytes,
        large_bodies=LargeBodies(
            {("POST", API_PATH + KYC_CASES): max(LARGEST_KYC_BODY, settings.max_body_bytes)},
            partial(_sending_owner, parts),
        ),
        plain=PLAIN_PATHS,
        forgotten=_FORGOTTEN,
        cross_origin=CROSS_ORIGIN_PATHS,
        express=shorter,
        body_timeout=settings.body_timeout,
        idempotency_window=_seconds(settings.idempotency_window),
        recheck=partial(_recheck, parts),
    )


async def _recheck(parts: Parts, scope: Scope) -> None:
    """Raise unless every credential of the request is still good."""
    request = Request(scope)
    if (token := request.headers.get("x-agent-token")) is not None:
        await parts.agents.authenticate(token)
    if (token := request.headers.get("x-site-token")) is not None:
        await parts.sites.authenticate(token)
    if parts.sessions.rules.cookie in request.cookies:
        await _sending_owner(parts, scope)


async def _sending_owner(parts: Parts, scope: Scope) -> str:
    """The owner in whose session a request is made; raises what its route would otherwise."""
    cookie = Request(scope).cookies.get(parts.sessions.rules.cookie)
    session = await parts.sessions.authenticate(cookie)
    if session.owner.suspended:
        raise OwnerSuspended
    return session.owner.owner_id


def _lifespan(
    background: list[Background],
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.ensure_future(work()) for work in background]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    return lifespan


async def _every(seconds: float, work: Callable[[], Awaitable[object]]) -> None:
    """Do `work` now and then; a failure is for the next time."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except Exception:
            log.exception("periodic work failed")


def _seconds(number: float) -> timedelta:
    return timedelta(seconds=number)
