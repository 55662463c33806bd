"""Where a piece of work comes from: the request it belongs to, and whose that is.

The web edge says so once for each request; whoever writes a record of what was done reads it here.
A context variable, because it concerns everyone on the way and interests nobody but the last.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from ipaddress import IPv6Network, ip_address


@dataclass(frozen=True, slots=True)
class Origin:
    """Which request, from which address. All of it is None for work that no request asked for."""

    request_id: str | None = None
    address: str | None = None
    """The client's address, whole; None if it came over a Unix socket."""
    user_agent: str | None = None
    """What the client says it is, cut to LONGEST_USER_AGENT characters. Never proof of anything."""


LONGEST_USER_AGENT = 256
"""Characters kept of a `User-Agent`: enough for every browser's, and it is shown in lists."""

_trace: ContextVar[str | None] = ContextVar("lime_trace", default=None)
_NOWHERE = Origin()
_current: ContextVar[Origin] = ContextVar("lime_origin", default=_NOWHERE)


def current_origin() -> Origin:
    """The origin of what is being done now."""
    return _current.get()


def asking_network() -> str:
    """What those are counted under who need no account to ask: the address that the request comes
    from, or its /64, which is the least that an IPv6 host owns. `local` without an address.
    """
    text = current_origin().address
    if text is None:
        return "local"
    address = ip_address(text)
    return str(IPv6Network((address, 64), strict=False)) if address.version == 6 else text


@contextmanager
def coming_from(origin: Origin) -> Iterator[None]:
    """Let everything within the block, and the tasks it starts, come from `origin`."""
    token = _current.set(origin)
    try:
        yield
    finally:
        _current.reset(token)


def current_trace() -> str | None:
    """The id of the trace that this is done in (W3C Trace Context), if there is one."""
    return _trace.get()


@contextmanager
def in_trace(trace_id: str) -> Iterator[None]:
    """Let everything within the block, and the tasks it starts, be a part of this trace."""
    token = _trace.set(trace_id)
    try:
        yield
    finally:
        _trace.reset(token)
