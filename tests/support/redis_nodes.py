"""Redis or Valkey with Sentinels and as a cluster, on loopback."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import redis

from tests.support.deployment import eventually
from tools.debian_engines import free_port, stopped_afterwards, wait_for

PRIMARY = "lime"
"""The name under which Sentinels know the primary."""
PASSWORD, SENTINELS_PASSWORD = "p:a@s?s", "w#o%r+d"
SLOTS = 16384
# Nothing is written down, and replicas need not wait for more of their kind.
_PLAIN = ("--save", "", "--repl-diskless-sync-delay", "0")
_SHARES = ((0, 5460), (5461, 10922), (10923, SLOTS - 1))


class RedisNode:
    """A Redis that can be killed and started again on its port, with what it wrote down."""

    def __init__(
        self, program: Path, folder: Path, options: Sequence[str], *, password: str | None = None
    ) -> None:
        """`password` is what it asks of everybody; `options` say so to itself."""
        folder.mkdir()
        self.port = free_port()
        self._password = password
        self._folder = folder
        self._arguments = [
            str(program), *options,
            "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder),
        ]  # fmt: skip
        self._started = ExitStack()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Host and port, as an address has them."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Return when it accepts connections; a cluster's or a Sentinel's may not be ready yet."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._arguments, stdout=log, stderr=log)
        self._started.enter_context(stopped_afterwards(self._process))
        wait_for(self.port, self._process)

    def kill(self) -> None:
        """As a machine that loses its power."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Whatever is left of it."""
        self._started.close()

    def ask(self, *words: object) -> Any:
        """The answer to one command."""
        with self.client(decode_responses=True) as client:
            return client.execute_command(*words)

    def client(self, **options: Any) -> redis.Redis:
        """The driver's, to be closed."""
        return redis.Redis(port=self.port, password=self._password, **options)

    def listeners(self, channel: str) -> int:
        """How many servers hear what is published."""
        return int(self.ask("PUBSUB", "NUMSUB", channel)[1])


@contextmanager
def running(nodes: Sequence[RedisNode]) -> Iterator[None]:
    """All of them, while the block runs."""
    with ExitStack() as stack:
        for node in nodes:
            stack.callback(node.stop)
            node.start()
        yield


@contextmanager
def watched_pair(
    program: Path, folder: Path, *, sentinels: int
) -> Iterator[tuple[RedisNode, RedisNode, str]]:
    """A primary, its replica, and Sentinels that agree about them; and their address.

    The pair has one password, and the Sentinels another.
    """
    secrets = ["--requirepass", PASSWORD, "--masterauth", PASSWORD]
    plain = [*_PLAIN, *secrets]
    primary = RedisNode(program, folder / "one", plain, password=PASSWORD)
    following = [*plain, "--replicaof", f"127.0.0.1 {primary.port}"]
    replica = RedisNode(program, folder / "two", following, password=PASSWORD)
    watchers = [
        _sentinel(
            program, folder / f"sentinel-{n}", primary, f"sentinel auth-pass {PRIMARY} {PASSWORD}",
            password=SENTINELS_PASSWORD,
        )
        for n in range(sentinels)
    ]  # fmt: skip
    with ExitStack() as stack:
        stack.enter_context(running([primary, replica]))
        eventually(lambda: "master_link_status:up" in _text(replica, "INFO", "replication"))
        # Only now: they look at the primary's replicas when they start, and then for long no more.
        stack.enter_context(running(watchers))
        for each in watchers:
            eventually(partial(_knows, each, replicas=1, sentinels=sentinels - 1))
        address = _by_sentinels(watchers).replace("//", f"//:{quote(PASSWORD)}@")
        yield primary, replica, f"{address}?sentinel_password={quote(SENTINELS_PASSWORD)}"


@contextmanager
def watched_alone(program: Path, folder: Path) -> Iterator[str]:
    """The address of a primary without a replica, by its only Sentinel."""
    primary = RedisNode(program, folder / "one", _PLAIN)
    watcher = _sentinel(program, folder / "sentinel", primary)
    with running([primary, watcher]):
        eventually(lambda: _knows(watcher, replicas=0, sentinels=0))
        yield _by_sentinels([watcher])


def _by_sentinels(watchers: Sequence[RedisNode]) -> str:
    return f"redis+sentinel://{_hosts(watchers)}/{PRIMARY}/0"


def _hosts(nodes: Sequence[RedisNode]) -> str:
    return ",".join(node.address for node in nodes)


def _sentinel(
    program: Path, folder: Path, primary: RedisNode, *lines: str, password: str | None = None
) -> RedisNode:
    options = [str(folder / "sentinel.conf"), "--sentinel"]
    node = RedisNode(program, folder, options, password=password)
    own = () if password is None else (f"requirepass {password}",)
    # It writes into this file what it finds out.
    (folder / "sentinel.conf").write_text(
        f"sentinel monitor {PRIMARY} 127.0.0.1 {primary.port} 2\n"
        f"sentinel down-after-milliseconds {PRIMARY} 1000\n"
        f"sentinel failover-timeout {PRIMARY} 5000\n"
        + "".join(f"{line}\n" for line in (*lines, *own))
    )
    return node


def _text(node: RedisNode, *words: object) -> str:
    with node.client() as client:
        # As it is, and not as the driver reads it.
        client.response_callbacks.clear()
        return bytes(client.execute_command(*words)).decode()


def _knows(sentinel: RedisNode, *, replicas: int, sentinels: int) -> bool:
    with sentinel.client(decode_responses=True) as client:
        state = client.sentinel_master(PRIMARY)
    return (state["num-slaves"], state["num-other-sentinels"]) == (replicas, sentinels)


def role(node: RedisNode) -> str:
    """`master` or `slave`."""
    return str(node.ask("ROLE")[0])


@contextmanager
def cluster(program: Path, folder: Path) -> Iterator[tuple[list[RedisNode], RedisNode, str]]:
    """Three primaries that share the slots, a replica of the first, and their address."""
    nodes = [_cluster_node(program, folder / f"node-{number}") for number in range(4)]
    primaries, replica = nodes[:3], nodes[3]
    with running(nodes):
        for number, (node, share) in enumerate(zip(primaries, _SHARES, strict=True), start=1):
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number)
            node.ask("CLUSTER", "ADDSLOTSRANGE", *share)
        for node in nodes[1:]:
            nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", node.port, _bus_port(node))
        eventually(lambda: all(_state(node, "cluster_known_nodes") == "4" for node in nodes))
        eventually(lambda: all(is_served(node) for node in nodes))
        replica.ask("CLUSTER", "REPLICATE", primaries[0].ask("CLUSTER", "MYID"))
        eventually(lambda: "master_link_status:up" in _text(replica, "INFO", "replication"))
        eventually(lambda: all(_counts_as_replica(node, replica) for node in primaries))
        yield primaries, replica, f"redis+cluster://{_hosts(nodes)}"


@contextmanager
def cluster_of_one(program: Path, folder: Path) -> Iterator[str]:
    """The address of a cluster of one node, which has every slot."""
    node = _cluster_node(program, folder / "node")
    with running([node]):
        node.ask("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS - 1)
        eventually(lambda: is_served(node))
        yield f"redis+cluster://{node.address}"


def _cluster_node(program: Path, folder: Path) -> RedisNode:
    # A port of its own: the usual one is 10000 higher, and may be too high.
    bus = free_port()
    options = ["--cluster-enabled", "yes", "--cluster-port", str(bus)]
    return RedisNode(program, folder, [*_PLAIN, *options, "--cluster-node-timeout", "1000"])


def _bus_port(node: RedisNode) -> int:
    return int(node.ask("CONFIG", "GET", "cluster-port")["cluster-port"])


def _state(node: RedisNode, what: str) -> str:
    lines = _text(node, "CLUSTER", "INFO").splitlines()
    return dict(line.split(":", 1) for line in lines)[what]


def is_served(node: RedisNode) -> bool:
    """Whether this node holds every slot for served."""
    return _state(node, "cluster_state") == "ok"


def _counts_as_replica(node: RedisNode, replica: RedisNode) -> bool:
    lines = _text(node, "CLUSTER", "NODES").splitlines()
    return any(f":{replica.port}@" in line and "slave" in line for line in lines)
