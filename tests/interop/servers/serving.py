"""Serves an app on a port of loopback, and says where."""

import socket
import sys
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp


def serve(create_app: Callable[[str], ASGIApp]) -> None:
    """Until the process is ended. `create_app` is told the server's own URL, without a path."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://localhost:{listening.getsockname()[1]}"
        app = create_app(url)
        # It listens already: nobody has to wait until the server is ready.
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()
        config = uvicorn.Config(app, ws="none", log_level="warning", timeout_graceful_shutdown=1)
        uvicorn.Server(config).run(sockets=[listening])
