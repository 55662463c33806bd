"""Where Redis is: one server, a primary that Sentinels know, or a cluster.

The addresses of the latter two are written as other Python programs write them:
`redis+sentinel://host:port,host:port/name/0` and `redis+cluster://host:port,host:port`, and with
`rediss+` for TLS.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import parse_qsl, unquote, urlencode

from redis.asyncio.connection import Connection, SSLConnection, parse_url
from redis.exceptions import RedisError

SENTINEL_PORT = 26379
CLUSTER_PORT = 6379


class Host(NamedTuple):
    """Where one server listens."""

    name: str
    port: int


@dataclass(frozen=True, slots=True)
class OneServer:
    """A server that stays where it is."""

    url: str = field(repr=False)
    """In the driver's own words: `redis://`, `rediss://` or `unix://`."""


@dataclass(frozen=True, slots=True)
class BySentinel:
    """Whichever server is the primary of `service` now; the Sentinels say which it is."""

    sentinels: tuple[Host, ...]
    service: str
    options: Mapping[str, Any] = field(repr=False)
    """The driver's, for the primary: user, password, database, TLS."""
    sentinel_options: Mapping[str, Any] = field(repr=False)
    """The same for the Sentinels, who know other users."""


@dataclass(frozen=True, slots=True)
class ACluster:
    """Several primaries that share the keys. There is one database in it."""

    nodes: tuple[Host, ...]
    """Some of them; they know the others."""
    options: Mapping[str, Any] = field(repr=False)


Address: TypeAlias = OneServer | BySentinel | ACluster

_MANY = re.compile(
    r"(?P<scheme>rediss?)\+(?P<kind>sentinel|cluster)://"
    r"(?:(?P<user>[^@/?#]*)@)?(?P<hosts>[^@/?#]+)(?P<path>/[^?#]*)?(?:\?(?P<query>[^#]*))?",
    re.IGNORECASE,
)
_HOST = re.compile(r"(?P<name>[^\[\]:]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?")
_SENTINEL_PATH = re.compile(r"/(?P<service>[^/]+)(?:/(?P<database>[0-9]*))?")
_OF_A_POOL = frozenset({"max_connections", "timeout"})
"""Options of an address that are not for a single connection."""
_SENTINEL_USER = {"sentinel_username": "username", "sentinel_password": "password"}


def parse(url: str) -> Address:
    """Read the address. Raises ValueError, which says how to write it and shows nothing of it."""
    many = _MANY.fullmatch(url)
    if many is None:
        if not re.match(r"(?:rediss?|unix)://", url, re.IGNORECASE) or "," in _authority(url):
            raise ValueError(_HOW)
        _driver_options(url)
        return OneServer(url)
    if many["kind"].lower() == "sentinel":
        return _by_sentinel(many)
    return _a_cluster(many)


def _authority(url: str) -> str:
    return re.split(r"[/?#]", url.partition("://")[2].rpartition("@")[2])[0]


def _by_sentinel(many: "re.Match[str]") -> BySentinel:
    path = _SENTINEL_PATH.fullmatch(many["path"] or "")
    if path is None:
        raise ValueError("name the primary, and nothing but a database after it: …/mymaster/0")
    query = parse_qsl(many["query"] or "", keep_blank_values=True)
    theirs = {_SENTINEL_USER[name]: value for name, value in query if name in _SENTINEL_USER}
    rest = [(name, value) for name, value in query if name not in _SENTINEL_USER]
    options = _options(many, rest, database=path["database"] or "0")
    tls = {name: value for name, value in options.items() if name.startswith("ssl")}
    return BySentinel(
        sentinels=_hosts(many["hosts"], SENTINEL_PORT),
        service=unquote(path["service"]),
        options=options,
        sentinel_options={**tls, **theirs},
    )


def _a_cluster(many: "re.Match[str]") -> ACluster:
    query = parse_qsl(many["query"] or "", keep_blank_values=True)
    if (many["path"] or "/") not in {"/", "/0"} or any(name == "db" for name, _ in query):
        raise ValueError("a cluster has no numbered databases: leave the number out")
    return ACluster(
        nodes=_hosts(many["hosts"], CLUSTER_PORT), options=_options(many, query, database="0")
    )


def _hosts(text: str, usual_port: int) -> tuple[Host, ...]:
    found = []
    for each in text.split(","):
        match = _HOST.fullmatch(each)
        port = int(match["port"] or usual_port) if match else 0
        if match is None or not 1 <= port <= 65535:
            raise ValueError("write hosts as name:port or [address]:port, separated by commas")
        found.append(Host(match["name"].strip("[]"), port))
    return tuple(found)


def _options(
    many: "re.Match[str]", query: list[tuple[str, str]], *, database: str
) -> dict[str, Any]:
    """What the driver would make of the same address if it named one server."""
    user = f"{many['user']}@" if many["user"] else ""
    one = f"{many['scheme'].lower()}://{user}one/{database}?{urlencode(query)}"
    options = _driver_options(one)
    del options["host"]
    if options.pop("connection_class", None) is SSLConnection:
        options["ssl"] = True
    return options


def _driver_options(url: str) -> dict[str, Any]:
    try:
        options: dict[str, Any] = dict(parse_url(url))
        # Made and not opened. The driver takes any option until it first connects, which would be
        # in the middle of somebody's request.
        of_one = {name: value for name, value in options.items() if name not in _OF_A_POOL}
        of_one.pop("connection_class", Connection)(**of_one)
    except (ValueError, TypeError, RedisError):
        # What the driver says may hold a part of what it was given: a password with a stray colon
        # is a port to it.
        raise ValueError(_HOW) from None
    return options


_HOW = (
    "write redis://host/0, unix:///path, redis+sentinel://host:26379,host:26379/mymaster/0 or "
    "redis+cluster://host:6379,host:6379; rediss for TLS, and only with it options that begin with "
    "ssl_; special characters of a password as %XX"
)
