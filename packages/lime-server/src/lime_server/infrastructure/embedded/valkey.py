"""Valkey for one folder. It keeps nothing: it holds nothing that would be missed."""

from __future__ import annotations

import signal
import socket
from pathlib import Path
from urllib.parse import quote

from lime_server.infrastructure.embedded.folder import DataFolder, RunFolder
from lime_server.infrastructure.embedded.process import Command, Process, spawn

SOCKET = "valkey.sock"
# Logical databases; tests take one each.
DATABASES = 16

_OPTIONS = {
    "port": "0",  # no TCP
    "unixsocket": SOCKET,  # relative to the working directory: no length limit, no quoting
    "unixsocketperm": "700",
    "save": "",
    "appendonly": "no",
    "databases": str(DATABASES),
    "daemonize": "no",
}
# Seconds for the answer to a PING.
_PATIENCE = 1.0


def start_valkey(program: Path, folder: DataFolder, run: RunFolder) -> Process:
    """Start the server; `is_ready` tells when it can be used."""
    options = [word for name, value in _OPTIONS.items() for word in (f"--{name}", value)]
    return spawn(
        Command(
            name="Valkey",
            arguments=(str(program), *options),
            cwd=run.sockets,
            log=folder.log("valkey"),
            identity=run.identity,
            folder=None,
            when_orphaned=signal.SIGKILL,
            stopping=((signal.SIGTERM, 2.0),),
        )
    )


def url(run: RunFolder, database: int = 0) -> str:
    """Where redis-py finds it."""
    return f"unix://{quote(str(run.sockets / SOCKET))}?db={database}"


def is_ready(run: RunFolder) -> bool:
    """Whether the server answers."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_PATIENCE)
        try:
            connection.connect(str(run.sockets / SOCKET))
            connection.sendall(b"PING\r\n")
            return connection.recv(7) == b"+PONG\r\n"
        except OSError:
            return False
