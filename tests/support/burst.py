"""Requests that really arrive together, for promises about races."""

import http.client
import socket
from collections.abc import Sequence
from contextlib import ExitStack

import httpx

PATIENCE = 20.0


def at_once(requests: Sequence[httpx.Request]) -> list[httpx.Response]:
    """Send all of these so that they arrive together, each on a connection of its own.

    Every request waits on its connection without its last byte; then the last bytes follow one
    another within microseconds. A client that builds one request after the other never gets there:
    the first is answered before the third is sent.
    """
    with ExitStack() as open_sockets:
        sockets = []
        for request in requests:
            address = (request.url.host, request.url.port or 80)
            connection = open_sockets.enter_context(socket.create_connection(address, PATIENCE))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(_written(request)[:-1])
            sockets.append((request, connection))
        for request, connection in sockets:
            connection.sendall(_written(request)[-1:])
        return [_answer(request, connection) for request, connection in sockets]


def _written(request: httpx.Request) -> bytes:
    head = [request.method.encode() + b" " + request.url.raw_path + b" HTTP/1.1"]
    head += [name + b": " + value for name, value in request.headers.raw]
    return b"\r\n".join(head) + b"\r\n\r\n" + request.content


def _answer(request: httpx.Request, connection: socket.socket) -> httpx.Response:
    response = http.client.HTTPResponse(connection)
    response.begin()
    return httpx.Response(response.status, content=response.read(), request=request)
