"""The edge of an application: everything between the socket and a route, in the right order."""

import time
import uuid
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from fastapi import FastAPI
from starlette.types import Scope

from lime_server.core.clock import Clock
from lime_server.core.keyring import KeyRing
from lime_server.core.ports import Probe, TokenHash
from lime_server.infrastructure.web import errors
from lime_server.infrastructure.web.body import Bodies, LargeBodies
from lime_server.infrastructure.web.clients import Network
from lime_server.infrastructure.web.errors import Errors
from lime_server.infrastructure.web.express import Express
from lime_server.infrastructure.web.health import health_routes, metrics_route, watchers_only
from lime_server.infrastructure.web.idempotency import AnswerStore, Idempotency
from lime_server.infrastructure.web.jwks import jwks_route
from lime_server.infrastructure.web.limits import Counter, Limits, RateLimits
from lime_server.infrastructure.web.metrics import Metrics
from lime_server.infrastructure.web.oauth import CrossOrigin
from lime_server.infrastructure.web.trace import Trace
from lime_server.modules.express import ExpressRoute


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """What the edge needs."""

    ring: KeyRing
    clock: Clock
    tokens: TokenHash
    counter: Counter
    limits: RateLimits
    watchers: Sequence[Network]
    """From where metrics and readiness can be read."""
    answers: AnswerStore
    vital: Mapping[str, Probe]
    """Engines without which nothing works."""
    helpful: Mapping[str, Probe] = field(default_factory=dict)
    """Engines without which everything works, but slower."""
    metrics: Metrics = field(default_factory=Metrics)
    secure: bool = False
    """Whether the public URL is https."""
    access_log: bool = True
    max_body_bytes: int = 65536
    large_bodies: LargeBodies | None = None
    """What takes more, and from whom."""
    plain: Collection[str] = ()
    """Paths of OAuth endpoints: refusals have their form."""
    forgotten: Collection[str] = ()
    """Paths of which answers are never repeated."""
    cross_origin: Collection[str] = ()
    """Paths that pages of any origin may call, without credentials."""
    express: Sequence[ExpressRoute] = ()
    """Calls that take the shorter way."""
    body_timeout: float = 10.0
    """Seconds; larger bodies get more."""
    idempotency_window: timedelta = timedelta(hours=24)
    recheck: Callable[[Scope], Awaitable[None]] | None = None
    """Raises what a request deserves whose credential is no longer good."""
    monotonic: Callable[[], float] = time.monotonic


def install(app: FastAPI, edge: Edge) -> None:
    """Put the edge on `app`."""
    watching = watchers_only(edge.watchers, edge.limits.trusted_proxies)
    app.include_router(health_routes(edge.vital, edge.helpful, watching))
    app.include_router(metrics_route(edge.metrics, {**edge.vital, **edge.helpful}, watching))
    app.include_router(jwks_route(edge.ring))
    errors.install(app, plain=edge.plain)
    # Starlette wraps in the order of adding: the last one added is the outermost. Read upwards:
    # every request is traced; whatever fails is rendered; too many are turned away before their
    # body is read; bodies are whole and clean before they are compared or parsed.
    app.add_middleware(Express, routes=edge.express)
    app.add_middleware(
        Idempotency,
        store=edge.answers,
        hasher=edge.tokens,
        clock=edge.clock,
        new_owner=lambda: str(uuid.uuid4()),
        window=edge.idempotency_window,
        recheck=edge.recheck,
        except_at=edge.forgotten,
    )
    app.add_middleware(
        Bodies,
        max_bytes=edge.max_body_bytes,
        timeout=edge.body_timeout,
        large=edge.large_bodies,
    )
    app.add_middleware(
        Limits, counter=edge.counter, limits=edge.limits, tokens=edge.tokens, metrics=edge.metrics
    )
    app.add_middleware(Errors, plain=edge.plain)
    app.add_middleware(CrossOrigin, paths=edge.cross_origin)
    app.add_middleware(
        Trace,
        metrics=edge.metrics,
        monotonic=edge.monotonic,
        secure=edge.secure,
        access_log=edge.access_log,
        trusted_proxies=edge.limits.trusted_proxies,
    )
