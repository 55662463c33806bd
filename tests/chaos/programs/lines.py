"""Orders from the rig, line by line."""

import asyncio
from collections.abc import AsyncIterator
from typing import TextIO

BARRIER = "barrier"
"""Begins an order that is only written down: whoever reads it knows that all before it were taken."""

ENDED = "ended"
"""What a program says when a login that it was told of has come to its end, well or badly."""


async def lines_in(stream: TextIO) -> AsyncIterator[str]:
    """Every line of `stream`, a pipe, until its other end is closed."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), stream
    )
    while line := await reader.readline():
        yield line.decode().strip()
