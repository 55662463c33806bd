"""In-process stand-ins for LIME, by API base: how the SDKs' test helpers replace the network."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

_mounted: dict[str, Any] = {}


@contextmanager
def mount(base_url: str, transport: object) -> Iterator[None]:
    """Replace the network for `base_url` by `transport` while the context is open.

    It holds for clients that make their first request meanwhile and bring no `http_client`.
    `transport` is an httpx transport that serves blocking and asynchronous clients, such as
    `httpx.MockTransport`. Only code in this process can mount anything: no setting reaches here.

    Raises:
        ValueError: Something is mounted at `base_url` already.
    """
    if base_url in _mounted:
        raise ValueError(f"{base_url} is mounted already")
    _mounted[base_url] = transport
    try:
        yield
    finally:
        del _mounted[base_url]


def mounted() -> Mapping[str, Any]:
    """Return what is mounted where."""
    return MappingProxyType(_mounted)
