"""Is the server alive, and can it work?"""

from collections.abc import Mapping

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from lime_server.core.ports import Probe
from lime_server.infrastructure.web.metrics import Metrics


def health_routes(vital: Mapping[str, Probe], helpful: Mapping[str, Probe]) -> APIRouter:
    """`/health/live` and `/health/ready`.

    Without one of `vital` (PostgreSQL) nothing works; without one of `helpful` (Redis) everything
    does, but slower.
    """
    routes = APIRouter(prefix="/health", include_in_schema=False)

    @routes.api_route("/live", methods=["GET", "HEAD"])
    async def live() -> Response:
        """The process runs and its event loop turns. Says nothing about engines: a restart of
        this process would not mend them.
        """
        return JSONResponse({"status": "ok"})

    @routes.api_route("/ready", methods=["GET", "HEAD"])
    async def ready() -> Response:
        """200 `ok`, 200 `degraded` or 503 `unavailable`, with the state of each engine."""
        broken = [name for name, probe in vital.items() if not await probe.ready()]
        weak = [name for name, probe in helpful.items() if not await probe.ready()]
        status = "unavailable" if broken else "degraded" if weak else "ok"
        engines = {
            name: "down" if name in broken or name in weak else "up" for name in (*vital, *helpful)
        }
        return JSONResponse({"status": status, "engines": engines}, 503 if broken else 200)

    return routes


def metrics_route(metrics: Metrics) -> APIRouter:
    """`/metrics`, for Prometheus."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/metrics")
    async def read() -> Response:
        """Every figure, as text."""
        return Response(metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return routes
