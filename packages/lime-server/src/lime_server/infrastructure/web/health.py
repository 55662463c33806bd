"""Is the server alive, and can it work?"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from starlette.responses import JSONResponse, Response

from lime_server.core.ports import Probe
from lime_server.infrastructure.web.asgi import FULL
from lime_server.infrastructure.web.clients import Network, is_certainly_within
from lime_server.infrastructure.web.metrics import Metrics

Watching = Callable[[Request], None]
PATIENCE = 1.0
"""Seconds in which an engine has to answer to count as up in `/metrics`. Prometheus gives up on all
figures after ten, unless told otherwise, and an engine that is away may take as long."""


def watchers_only(networks: Sequence[Network], trusted: Sequence[Network]) -> Watching:
    """A dependency that answers 404, as for any unknown path, unless the client is in `networks`.

    How busy a server is, and which of its engines is down, helps whoever attacks it.
    """

    def watching(request: Request) -> None:
        if not is_certainly_within(request.scope, networks, trusted):
            raise HTTPException(404)

    return watching


def leave(app: FastAPI) -> None:
    """Let `/health/ready` of `app` say from now on that this server is about to end."""
    app.state.leaving = True


def health_routes(
    vital: Mapping[str, Probe], helpful: Mapping[str, Probe], watching: Watching
) -> APIRouter:
    """`/health/live` and `/health/ready`.

    Without one of `vital` (PostgreSQL) nothing works; without one of `helpful` (Redis) everything
    does, but slower. Which it is is told to those whom `watching` lets through.
    """
    routes = APIRouter(prefix="/health", include_in_schema=False)

    @routes.api_route("/live", methods=["GET", "HEAD"])
    async def live() -> Response:
        """The process runs and its event loop turns. Says nothing about engines: a restart of
        this process would not mend them.
        """
        return JSONResponse({"status": "ok"})

    @routes.api_route("/ready", methods=["GET", "HEAD"], dependencies=[Depends(watching)])
    async def ready(request: Request) -> Response:
        """200 `ok`, 200 `degraded`, 503 `unavailable`, with the state of each engine; 503 `full`
        while other connections are refused; 503 `leaving` when this server is about to end:
        requests are still answered, and better sent elsewhere.
        """
        if getattr(request.app.state, "leaving", False):
            return JSONResponse({"status": "leaving", "engines": {}}, 503)
        broken = [name for name, probe in vital.items() if not await probe.ready()]
        weak = [name for name, probe in helpful.items() if not await probe.ready()]
        full = FULL in request.scope.get("extensions", {})
        status = "unavailable" if broken else "full" if full else "degraded" if weak else "ok"
        engines = {
            name: "down" if name in broken or name in weak else "up" for name in (*vital, *helpful)
        }
        return JSONResponse({"status": status, "engines": engines}, 503 if broken or full else 200)

    return routes


def metrics_route(metrics: Metrics, engines: Mapping[str, Probe], watching: Watching) -> APIRouter:
    """`/metrics`, for Prometheus, and for those whom `watching` lets through.

    Who asks learns whether each of `engines` answers now, and waits for none of them.
    """
    routes = APIRouter(include_in_schema=False)

    @routes.get("/metrics", dependencies=[Depends(watching)])
    async def read() -> Response:
        """Every figure, as text."""
        answers = await asyncio.gather(*map(_answers, engines.values()))
        for name, up in zip(engines, answers, strict=True):
            metrics.engine(name, up=up)
        return Response(metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return routes


async def _answers(probe: Probe) -> bool:
    try:
        async with asyncio.timeout(PATIENCE):
            return await probe.ready()
    except TimeoutError:
        return False
