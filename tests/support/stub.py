"""A stand-in for the other side of the wire: a loopback HTTP server that says what a test tells it to, and counts.

For promises about clients: what they do with answers that a good server would never give.
"""

import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Seen:
    """One request as it arrived; `path` is raw, with its query and its percent signs."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Says:
    """An answer. `frames` makes it an event stream that stays open after them until the stub closes."""

    body: object = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    frames: Iterable[str] | None = None


Route = Callable[[Seen], Says]


def ok(data: object, status: int = 200) -> Says:
    """A success envelope."""
    return Says({"ok": True, "data": data}, status)


class Stub:
    """A context manager; routes are found by method and raw path below `/api/v1`, without the query."""

    def __init__(self, routes: dict[tuple[str, str], Route]) -> None:
        self.routes = routes
        self.seen: list[Seen] = []
        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )

    @property
    def public_url(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def api_base(self) -> str:
        """What an SDK wants as its base."""
        return f"{self.public_url}/api/v1"

    def count(self, path: str) -> int:
        """How many requests asked for this path below `/api/v1`."""
        return sum(1 for each in self.seen if each.path.partition("?")[0] == f"/api/v1{path}")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(stub: Stub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            seen = Seen(
                self.command,
                self.path,
                {k.lower(): v for k, v in self.headers.items()},
                self.rfile.read(length),
            )
            stub.seen.append(seen)
            route = stub.routes.get(
                (self.command, self.path.partition("?")[0].removeprefix("/api/v1"))
            )
            says = (
                route(seen)
                if route
                else Says(
                    {"ok": False, "error": {"code": "NOT_FOUND", "message": "no such path"}}, 404
                )
            )
            if says.frames is None:
                self.whole(says)
            else:
                self.stream(says.frames)

        do_GET = do_POST = answer  # noqa: N815  # the names that http.server calls

        def whole(self, says: Says) -> None:
            body = says.body if isinstance(says.body, bytes) else json.dumps(says.body).encode()
            self.send_response(says.status)
            for key, value in {
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
                **says.headers,
            }.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(body)

        def stream(self, frames: Iterable[str]) -> None:
            self.close_connection = True
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            for frame in frames:
                self.wfile.write(frame.encode())
                self.wfile.flush()
            stub.closing.wait()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
            """Tests speak through their assertions."""

    return Handler
