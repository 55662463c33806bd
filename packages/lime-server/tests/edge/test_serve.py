"""The runner, over raw sockets: what the limits cut, and how everything ends."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sys
import time

import httpx
import pytest
from fastapi import FastAPI, Request
from pydantic import SecretStr
from starlette.responses import StreamingResponse
from structlog.testing import capture_logs

from lime_server.composition import open_parts
from lime_server.composition import run as composition_run
from lime_server.composition.run import run
from lime_server.infrastructure import serve as subject
from lime_server.infrastructure.postgres.migrator import DatabaseOlderError
from lime_server.infrastructure.serve import bind, new_event_loop, serve
from lime_server.infrastructure.web.asgi import FULL
from lime_server.infrastructure.web.body import Bodies
from lime_server.infrastructure.web.errors import Errors
from lime_server.infrastructure.web.metrics import Metrics
from lime_server.settings import Settings, SettingsError

COMMON = {"public_url": "http://127.0.0.1", "database_url": "postgresql:///x", "master_key": "x"}


class Site:
    """An application with a stream, a slow request, and a record of what reached it."""

    def __init__(self, body_timeout=10.0) -> None:
        self.paths = []
        self.left = asyncio.Event()
        self.drained = asyncio.Event()
        self.slow = asyncio.Event()
        self.streaming = asyncio.Event()
        self.closed = False
        self.app = FastAPI(lifespan=self.lifespan)
        self.app.post("/echo")(self.echo)
        self.app.get("/")(self.root)
        self.app.get("/stream")(self.stream)
        self.app.get("/slow")(self.wait)
        for path in ("/health/live", "/health/ready", "/metrics"):
            self.app.api_route(path, methods=["GET", "HEAD", "POST"])(self.health)
        self.app.add_middleware(Bodies, max_bytes=65536, timeout=body_timeout)
        self.app.add_middleware(Errors)

    @contextlib.asynccontextmanager
    async def lifespan(self, app):
        yield
        self.closed = True

    async def root(self):
        self.paths.append("/")
        return "ok"

    async def health(self, request: Request):
        self.paths.append(request.url.path)
        return "full" if FULL in request.scope["extensions"] else "room"

    async def echo(self, request: Request):
        self.paths.append("/echo")
        return (await request.body()).decode()

    async def stream(self):
        async def frames():
            yield b"hello\n"
            self.streaming.set()
            await self.drained.wait()
            yield b"goaway\n"

        return StreamingResponse(frames())

    async def wait(self):
        self.streaming.set()
        await self.slow.wait()


class Server:
    """A running server, and raw conversations with it."""

    def __init__(self, site, metrics, sock, stop, task) -> None:
        self.site = site
        self.metrics = metrics
        self.port = sock.getsockname()[1]
        self.stop = stop
        self.task = task

    async def open(self):
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def say(self, *parts: bytes) -> bytes:
        """Send `parts`, and read until the server closes."""
        reader, writer = await self.open()
        for part in parts:
            writer.write(part)
            with contextlib.suppress(ConnectionError):
                await writer.drain()
        answer = b""
        # A server that refuses while we still send resets the connection after its answer.
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(65536):
                answer += chunk
        writer.close()
        return answer

    @contextlib.asynccontextmanager
    async def filled(self, count):
        """So many connections, each of which was answered and is kept."""
        held = [await self.open() for _ in range(count)]
        for reader, writer in held:
            writer.write(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
            await reader.readuntil(b'"ok"')
        yield
        for _, writer in held:
            writer.close()

    def figure(self, name: str) -> float:
        """What is counted under `name`."""
        (line,) = re.findall(rf"^{name} (.*)$", self.metrics.render().decode(), re.MULTILINE)
        return float(line)

    async def end(self) -> None:
        self.stop.set()
        await self.task


@pytest.fixture
async def start():
    running = []

    async def make(**options):
        settings = Settings(**{**COMMON, **options})
        site, ready, stop = Site(settings.body_timeout), asyncio.Event(), asyncio.Event()
        metrics = Metrics()
        sock = bind("127.0.0.1", 0)
        task = asyncio.create_task(
            serve(
                site.app,
                sock,
                settings,
                tally=metrics,
                drain=site.drained.set,
                leave=site.left.set,
                on_ready=ready.set,
                stop=stop,
            )
        )
        server = Server(site, metrics, sock, stop, task)
        running.append(server)
        await ready.wait()
        return server

    yield make
    for server in running:
        server.site.slow.set()
        await server.end()


def parsed(answer):
    """Status and error code of one raw answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"\r\nconnection: close" in head
    assert b"\r\nx-request-id: " in head
    assert b"server:" not in head
    return int(head.split()[1]), json.loads(body)["error"]["code"]


HOST = b"Host: a\r\n"
CLOSE = b"Connection: close\r\n"


async def test_an_ordinary_request_is_answered_without_a_name_of_the_server(start):
    server = await start()
    answer = await server.say(b"GET / HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b'"ok"')
    assert b"uvicorn" not in answer


async def test_requests_on_one_connection_are_answered_in_order(start):
    server = await start()
    post = b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\n\r\n"
    last = b"GET / HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n"
    answer = await server.say(post + b"a" + post, b"b", last[:7], last[7:])
    assert [part[:6] for part in answer.split(b"\r\n\r\n")[1:]] == [b'"a"HTT', b'"b"HTT', b'"ok"']


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length : 5\r\n",
        b"Transfer-Encoding: gzip\r\n",
        b"transfer-encoding: identity\r\n",
        b"X: a\r\n folded\r\n",
    ],
)
async def test_a_smuggled_request_is_not_served(start, headers):
    server = await start()
    inner = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    answer = await server.say(
        b"POST /echo HTTP/1.1\r\n" + HOST + headers + b"\r\n0\r\n\r\n" + inner
    )
    assert parsed(answer) == (400, "INVALID_REQUEST")
    assert server.site.paths == []


@pytest.mark.parametrize(
    "request_",
    [b"\x16\x03\x01\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
)
async def test_what_is_no_request_gets_an_envelope(start, request_):
    server = await start()
    assert parsed(await server.say(request_)) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize(
    "parts",
    [
        [b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n\r\n"],
        [b"GET / HTTP/1.1\r\nX: " + b"a" * 20000 + b"\r\n\r\n"],
        [b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 3000 + b"\r\n"],
        # Never complete, so the parser never tells of them.
        [b"GET / HTTP/1.1\r\nX: " + b"a" * 20000],
        [b"GET / HTTP/1.1\r\nX: ", b"a" * 10000, b"a" * 10000],
    ],
)
async def test_large_headers_are_cut(start, parts):
    server = await start()
    assert parsed(await server.say(*parts)) == (431, "HEADERS_TOO_LARGE")


async def test_a_large_body_is_not_mistaken_for_headers(start):
    server = await start()
    head = b"POST /echo HTTP/1.1\r\n" + HOST + CLOSE + b"Content-Length: 60000\r\n\r\n"
    answer = await server.say(head + b"a" * 30000, b"a" * 30000)
    assert answer.startswith(b"HTTP/1.1 200")


async def test_slow_headers_are_cut(start):
    server = await start(header_timeout=0.05)
    assert parsed(await server.say(b"GET / HTTP/1.1\r\n")) == (408, "REQUEST_TIMEOUT")


@pytest.mark.parametrize("said", [b"", b"\r\n\r\n"])
async def test_a_connection_that_asks_nothing_is_closed(start, said):
    server = await start(header_timeout=0.05)
    assert await server.say(said) == b""


async def test_a_second_request_has_as_little_time_as_the_first(start):
    server = await start(header_timeout=0.05)
    first = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"
    answer = await server.say(first + b"GET /")
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"HTTP/1.1 408" in answer
    reader, writer = await server.open()
    writer.write(first)
    await reader.readuntil(b'"ok"')
    writer.write(b"GET /")
    assert parsed(await reader.read()) == (408, "REQUEST_TIMEOUT")
    writer.close()


async def test_a_stream_is_not_cut_by_what_its_reader_says(start):
    server = await start(header_timeout=0.05)
    reader, writer = await server.open()
    writer.write(b"GET /stream HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n")
    await reader.readuntil(b"hello\n")
    writer.write(b"\r\n")
    again, other = await server.open()
    assert await again.read() == b""  # A later connection has been cut meanwhile.
    other.close()
    server.site.drained.set()
    assert b"goaway\n" in await reader.read()
    writer.close()


async def test_an_answer_under_way_is_not_mixed_with_a_refusal(start):
    server = await start()
    reader, writer = await server.open()
    writer.write(b"GET /stream HTTP/1.1\r\n" + HOST + b"\r\n")
    await reader.readuntil(b"hello\n")
    writer.write(b"GET / HTTP/1.1\r\nX: " + b"a" * 20000)
    assert b"HTTP/1.1" not in await reader.read()
    writer.close()


async def test_what_is_said_after_a_refusal_is_not_read(start):
    server = await start()
    reader, writer = await server.open()
    writer.write(b"nonsense\r\n\r\n")
    writer.write(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
    with contextlib.suppress(ConnectionError):
        await reader.read()
    writer.close()
    assert server.site.paths == []


async def test_a_refused_connection_reads_no_further(start):
    # The chunk that follows may already be under way when the transport is closing.
    from lime_server.infrastructure.protocol import guarded

    kind = guarded(max_header_bytes=100, header_timeout=1, max_connections=1, tally=Metrics())

    class Closing:
        def is_closing(self):
            return True

    protocol = kind.__new__(kind)
    protocol.transport = Closing()
    assert protocol.data_received(b"GET / HTTP/1.1\r\n\r\n") is None


async def test_one_connection_too_many_is_told_to_come_back(start):
    server = await start(max_connections=10)
    async with server.filled(10):
        answer = await server.say(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
    assert parsed(answer) == (503, "UNAVAILABLE")
    assert b"retry-after: 1" in answer


@pytest.mark.parametrize("path", [b"/health/live", b"/health/ready", b"/metrics"])
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize("body", [b"", b"Content-Length: 0\r\n"])
async def test_a_full_server_still_answers_those_who_watch_it(start, method, path, body):
    server = await start(max_connections=10)
    request = method + b" " + path + b" HTTP/1.1\r\n" + HOST + body + b"\r\n"
    async with server.filled(10):
        # Once for each connection, whatever else it asks.
        answer = await server.say(request + request)
    assert answer.count(b"HTTP/1.1 ") == answer.count(b"HTTP/1.1 200 OK\r\n") == 1
    assert answer.count(b"\r\nconnection: close\r\n") == 1
    assert answer.endswith(b'"full"' if method == b"GET" else b"\r\n\r\n")
    assert server.site.paths.count(path.decode()) == 1
    assert server.figure("lime_connections_refused_total") == 0


@pytest.mark.parametrize(
    "request_",
    [
        b"POST /health/live HTTP/1.1\r\n",
        b"GET /health/lively HTTP/1.1\r\n",
        # What would have to be awaited.
        b"GET /health/live HTTP/1.1\r\nContent-Length: 10\r\n",
        b"GET /health/live HTTP/1.1\r\nTransfer-Encoding: chunked\r\n",
    ],
)
async def test_nothing_else_gets_into_a_full_server(start, request_):
    server = await start(max_connections=10)
    async with server.filled(10):
        assert parsed(await server.say(request_ + HOST + b"\r\n")) == (503, "UNAVAILABLE")
    assert set(server.site.paths) == {"/"}


async def test_a_server_with_room_does_not_call_itself_full(start):
    server = await start(max_connections=10)
    async with server.filled(9):
        request = b"GET /health/ready HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n"
        assert (await server.say(request)).endswith(b'"room"')


async def test_what_is_refused_is_counted_and_said_now_and_then(start, monkeypatch):
    monkeypatch.setattr("lime_server.infrastructure.protocol.SAID_EVERY", 300)
    server = await start(max_connections=10)
    assert server.figure("lime_connections_allowed") == 10
    with capture_logs() as lines:
        async with server.filled(10):
            for _ in range(3):
                await server.say(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
            assert server.figure("lime_connections") >= 10
            monkeypatch.setattr("lime_server.infrastructure.protocol.SAID_EVERY", 0)
            await server.say(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
    assert server.figure("lime_connections_refused_total") == 4
    assert [(line["event"], line["refused"], line["allowed"]) for line in lines] == [
        ("too many connections", 1, 10),
        ("too many connections", 3, 10),
    ]
    await server.end()
    assert server.figure("lime_connections") == 0


async def test_chunks_are_a_body_however_they_are_spelt(start):
    server = await start()
    coding = b"TRANSFER-ENCODING: \t Chunked \r\n"
    answer = await server.say(
        b"POST /echo HTTP/1.1\r\n" + HOST + CLOSE + coding + b"\r\n1\r\na\r\n0\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b'"a"')


async def test_an_upgrade_is_not_taken_up(start):
    server = await start()
    upgrade = b"Connection: close, upgrade\r\nUpgrade: websocket\r\n"
    answer = await server.say(b"GET / HTTP/1.1\r\n" + HOST + upgrade + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"Content-Length: 5\r\n\r\nab", 408, b"REQUEST_TIMEOUT"),
        (b"Content-Length: 99999999\r\n\r\nab", 413, b"BODY_TOO_LARGE"),
    ],
)
async def test_a_slow_or_endless_body_ends_the_connection(start, body, status, code):
    server = await start(body_timeout=0.05)
    answer = await server.say(b"POST /echo HTTP/1.1\r\n" + HOST + body)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert code in answer
    assert server.site.paths == []


# How it ends


async def test_open_streams_say_goodbye_at_the_end(start):
    server = await start()
    told = asyncio.create_task(server.say(b"GET /stream HTTP/1.1\r\n" + HOST + b"\r\n"))
    await server.site.streaming.wait()
    await server.end()
    assert b"hello\n" in await told
    assert b"goaway\n" in await told
    assert server.site.closed


async def test_an_idle_connection_keeps_nobody(start):
    server = await start()
    reader, writer = await server.open()
    await server.end()
    assert await reader.read() == b""
    writer.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_in_an_orderly_way(start, number):
    server = await start()
    os.kill(os.getpid(), number)
    await server.task
    assert server.site.closed
    assert server.stop.is_set()


async def test_a_second_signal_does_not_wait_for_anybody(start):
    server = await start(shutdown_timeout=300)
    told = asyncio.create_task(server.say(b"GET /slow HTTP/1.1\r\n" + HOST + b"\r\n"))
    await server.site.streaming.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    await server.stop.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    await server.task
    assert (await told).startswith(b"HTTP/1.1 500")
    assert server.site.closed


async def test_it_says_that_it_leaves_before_anything_ends(start):
    server = await start(shutdown_delay=300)
    told = asyncio.create_task(server.say(b"GET /stream HTTP/1.1\r\n" + HOST + b"\r\n"))
    await server.site.streaming.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    await server.site.left.wait()
    # New connections are accepted and answered, and streams go on.
    assert b"200 OK" in await server.say(
        b"GET / HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n"
    )
    assert not server.site.drained.is_set()
    # A second signal ends the delay, and nothing else.
    os.kill(os.getpid(), signal.SIGTERM)
    await server.task
    assert b"goaway\n" in await told
    assert server.site.closed


async def test_the_delay_ends_by_itself(start):
    server = await start(shutdown_delay=0.001)
    await server.end()
    assert server.site.left.is_set()
    assert server.site.closed


async def test_where_signals_cannot_be_heard_there_is_another_way(start, monkeypatch):
    def refuse(*_):
        raise NotImplementedError

    monkeypatch.setattr(asyncio.get_running_loop(), "add_signal_handler", refuse, raising=False)
    server = await start()
    await server.end()
    assert server.site.closed


async def test_it_serves_without_being_watched():
    site = Site()
    sock = bind("127.0.0.1", 0)
    task = asyncio.create_task(
        serve(site.app, sock, Settings(**COMMON), tally=Metrics(), drain=site.drained.set)
    )
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{sock.getsockname()[1]}/")
    assert answer.json() == "ok"
    os.kill(os.getpid(), signal.SIGTERM)
    await task
    assert sock.fileno() == -1


# The socket and the loop


def test_the_system_chooses_a_port():
    with bind("127.0.0.1", 0) as sock:
        assert sock.getsockname()[1] > 0
        with pytest.raises(SettingsError, match=r"cannot listen on 127\.0\.0\.1 port \d+: "):
            bind("127.0.0.1", sock.getsockname()[1])


def test_an_address_that_is_not_ours_is_refused_with_a_sentence():
    with pytest.raises(SettingsError, match="cannot listen on not a host"):
        bind("not a host", 0)


def test_ipv6_works_where_there_is_any():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with bind("::1", 0) as sock:
        assert sock.family is socket.AF_INET6


def test_the_fast_loop_is_used_where_it_exists(monkeypatch):
    loop = new_event_loop()
    assert type(loop).__module__ == "uvloop"
    loop.close()
    monkeypatch.setitem(sys.modules, "uvloop", None)
    loop = new_event_loop()
    assert type(loop).__module__.startswith("asyncio")
    loop.close()
    assert subject.KEEP_ALIVE > 60


async def test_it_may_open_as_many_files_as_the_system_allows(start, monkeypatch):
    raised = []
    monkeypatch.setattr(subject, "raise_limit", lambda: raised.append(True))
    await start()
    assert raised


# The whole


async def test_a_whole_server_runs_from_its_settings(migrated_postgres_url, redis_url, tmp_path):
    sock = bind("127.0.0.1", 0)
    base = f"http://127.0.0.1:{sock.getsockname()[1]}"
    settings = Settings(
        public_url=base,
        database_url=migrated_postgres_url,
        redis_url=redis_url,
        master_key_file=tmp_path / "master.key",
        shutdown_delay=300,
    )
    ready, stop = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(run(settings, sock=sock, on_ready=ready.set, stop=stop))
    await asyncio.wait(
        [task, asyncio.create_task(ready.wait())], return_when=asyncio.FIRST_COMPLETED
    )
    async with httpx.AsyncClient(base_url=base) as client:
        health = await client.get("/health/ready")
        assert health.json() == {"status": "ok", "engines": {"postgres": "up", "redis": "up"}}
        figures = (await client.get("/metrics")).text
        assert 'lime_engine_up{engine="postgres"} 1.0' in figures
        assert 'lime_engine_up{engine="redis"} 1.0' in figures
        # Within minutes of now, by whichever clock.
        (read,) = re.findall(r"^lime_signing_keys_read_time_seconds (\S+)$", figures, re.MULTILINE)
        assert abs(float(read) - time.time()) < 300
        assert re.search(r"^lime_connections_allowed 20000\.0$", figures, re.MULTILINE)
        keys = await client.get("/api/v1/core/.well-known/jwks.json")
        assert len(keys.json()["keys"]) == 1
        stop.set()
        while (health := await client.get("/health/ready")).status_code == 200:
            pass
        assert (health.status_code, health.json()["status"]) == (503, "leaving")
        assert (await client.get("/health/live")).status_code == 200
    os.kill(os.getpid(), signal.SIGTERM)
    await task


async def test_a_server_that_cannot_start_leaves_no_socket(unused_settings, postgres_url):
    sock = bind("127.0.0.1", 0)
    changes = {"database_url": SecretStr(postgres_url)}
    with pytest.raises(DatabaseOlderError):
        await run(unused_settings.model_copy(update=changes), sock=sock)
    assert sock.fileno() == -1


async def said(caplog, words):
    while words not in caplog.text:  # noqa: ASYNC110 - a log has no event
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("how", ["signal", "event"])
async def test_a_server_that_waits_for_postgres_ends_when_it_is_told(unused_settings, caplog, how):
    sock, stop = bind("127.0.0.1", 0), asyncio.Event()
    task = asyncio.create_task(run(unused_settings, sock=sock, stop=stop))
    await said(caplog, "waiting for PostgreSQL, asked again in 0.25 s: it cannot be reached")
    if how == "signal":
        os.kill(os.getpid(), signal.SIGTERM)
    else:
        stop.set()
    await task
    assert sock.fileno() == -1


async def test_a_server_that_connects_to_nowhere_ends_when_it_is_told(unused_settings):
    # An address that accepts and says nothing, as a firewall or a stopped engine does.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.setblocking(False)
        url = f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/none?sslmode=disable"
        changes = {"database_url": SecretStr(url), "database_timeout": 60}
        stop = asyncio.Event()
        task = asyncio.create_task(run(unused_settings.model_copy(update=changes), stop=stop))
        connection, _ = await asyncio.get_running_loop().sock_accept(silent)
        stop.set()
        await asyncio.wait_for(task, 30)
        connection.close()


async def test_a_server_starts_once_postgres_is_there(
    unused_settings, monkeypatch, migrated_postgres_url
):
    there = unused_settings.model_copy(update={"database_url": SecretStr(migrated_postgres_url)})
    tried = []

    def opened(settings, **how):
        tried.append(settings)
        return open_parts(settings if len(tried) == 1 else there, **how)

    monkeypatch.setattr(composition_run, "open_parts", opened)
    stop = asyncio.Event()
    await run(unused_settings, stop=stop, on_ready=stop.set)
    assert len(tried) == 2


async def test_what_takes_too_long_at_the_start_is_no_signal(unused_settings, monkeypatch):
    def slow(_settings, **_how):
        raise TimeoutError

    monkeypatch.setattr(composition_run, "open_parts", slow)
    with pytest.raises(TimeoutError):
        await run(unused_settings)


@pytest.fixture
def unused_settings(tmp_path):
    return Settings(
        public_url="http://127.0.0.1",
        port=0,
        database_url=f"postgresql://nobody@/none?host={tmp_path}",
        database_timeout=1,
        master_key_file=tmp_path / "master.key",
    )
