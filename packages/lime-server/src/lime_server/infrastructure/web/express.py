"""Finds the calls that take the shorter way (`modules.express`), and speaks ASGI for them."""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from lime_server.core.urls import API_PATH
from lime_server.infrastructure.web.asgi import Headers, replayed
from lime_server.modules.express import Call, ExpressRoute

_HEADERS: Headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]


@dataclass(frozen=True, slots=True)
class _Stop:
    """A route as this file looks for it. `path` is what logs and metrics call it."""

    path: str
    before: str
    after: str
    route: ExpressRoute


class Express:
    """Pure ASGI middleware, the innermost one: what it does not know goes on."""

    def __init__(self, app: ASGIApp, *, routes: Sequence[ExpressRoute]) -> None:
        """Answer `routes`; `app` answers everything else, and what their handlers hand back."""
        self._app = app
        self._plain: dict[tuple[str, str], _Stop] = {}
        self._with_id: dict[str, list[_Stop]] = {}
        for route in routes:
            path = API_PATH + route.path
            before, _, rest = path.partition("{")
            stop = _Stop(route.path, before, rest.partition("}")[2], route)
            if rest:
                self._with_id.setdefault(route.method, []).append(stop)
            else:
                self._plain[route.method, path] = stop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Raises what the handlers raise."""
        found = self._find(scope) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        stop, unverified_id = found
        scope["route"] = stop
        body = b""
        if stop.route.method == "POST":
            first = await receive()
            body, receive = first.get("body", b""), replayed(first, receive)
        reply = await stop.route.answer(Call(scope["headers"], unverified_id, body))
        if reply is None:
            await self._app(scope, receive, send)
            return
        length = (b"content-length", str(len(reply.body)).encode())
        headers = [*_HEADERS, length]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    def _find(self, scope: Scope) -> tuple[_Stop, str] | None:
        """The route and its parameter. None for another path, and for any that has a query."""
        method, path = scope["method"], scope["path"]
        if scope["query_string"]:
            return None
        if (stop := self._plain.get((method, path))) is not None:
            return stop, ""
        for stop in self._with_id.get(method, ()):
            if path.startswith(stop.before) and path.endswith(stop.after):
                unverified_id = path[len(stop.before) : len(path) - len(stop.after)]
                if unverified_id and "/" not in unverified_id:
                    return stop, unverified_id
        return None
