import asyncio
import contextlib
import gzip
import socket
import socketserver
import threading
import traceback
from dataclasses import replace

import httpx
import pytest

from lime_sdk_core import (
    Attempt,
    Config,
    ConfigurationError,
    LimeError,
    ProtocolError,
    Request,
    RetryPolicy,
    SyncDriver,
    TransportError,
    call,
)
from lime_sdk_core._http import MOST_AT_ONCE, AsyncHttp, SyncHttp, SyncStream, translate

TOKEN = "at_very-secret-0123456789"
GET = Request("GET", "/a")


def ask(request=GET):
    return (yield from call(request, lambda found: found))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (httpx.ConnectTimeout(""), "no connection in time"),
        (httpx.PoolTimeout(""), "no free connection in time"),
        (httpx.ReadTimeout(""), "no complete answer in time"),
        (TimeoutError(), "no complete answer in time"),
        (httpx.ProxyError("407 for user:pa55"), "the proxy refused"),
        (
            httpx.ConnectError(f"bad certificate {TOKEN}"),
            "no connection (bad certificate [secret])",
        ),
        (httpx.ConnectError(""), "no connection"),
        (httpx.RemoteProtocolError("x"), "the connection ended early or did not speak HTTP"),
        (httpx.ReadError(""), "the connection failed"),
        (httpx.InvalidURL("x"), "the connection failed"),
    ],
)
def test_a_failed_connection_says_how_it_failed(config, error, said):
    assert translate(error, config).message == f"LIME did not answer: {said}."


def failing(request):
    raise httpx.ReadError(f"after sending {TOKEN}", request=request)


def echoing(request):
    # What a debugging proxy does: show everything it was sent.
    body = {
        "ok": False,
        "error": {
            "code": "ODD",
            "message": str(dict(request.headers)),
            "detail": dict(request.headers),
        },
    }
    return httpx.Response(400, json=body, headers={"X-Request-Id": TOKEN})


def echoing_success(request):
    refused = echoing(request)
    return httpx.Response(200, content=refused.content, headers=refused.headers)


def echoing_redirect(request):
    return httpx.Response(302, headers={"X-Request-Id": TOKEN, "Location": f"/{TOKEN}"})


@pytest.mark.parametrize("handler", [failing, echoing, echoing_success, echoing_redirect])
def test_the_token_stays_out_of_everything_an_error_shows(driver, config, caplog, handler):
    caplog.set_level("DEBUG")
    with pytest.raises(LimeError) as caught:
        driver(handler).run(ask())
    chain = []
    error = caught.value
    while error is not None:
        chain.append(error)
        error = error.__cause__ or error.__context__
    assert chain == [caught.value]
    shown = "".join(traceback.format_exception(caught.value, chain=True))
    for text in (shown, repr(caught.value), repr(vars(caught.value)), caplog.text):
        assert TOKEN not in text


@pytest.mark.parametrize("handler", [failing])
def test_no_frame_of_the_http_library_is_kept_by_an_error(driver, handler):
    with pytest.raises(TransportError) as caught:
        driver(handler).run(ask())
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    assert not [name for name in files if "httpx" in name]


def test_an_answer_that_is_too_long_is_refused(driver, config):
    small = replace(config, max_response_bytes=10)
    with pytest.raises(ProtocolError, match="more than 10 bytes"):
        driver(lambda request: httpx.Response(200, content=b"x" * 11), config=small).run(ask())
    with pytest.raises(ProtocolError, match="no LIME envelope"):
        driver(lambda request: httpx.Response(200, content=b"x" * 10), config=small).run(ask())
    with pytest.raises(ProtocolError, match="more than 10 bytes"):
        driver(lambda request: httpx.Response(404, content=b"x" * 11), config=small).read(GET)


def test_a_compressed_answer_is_refused_before_it_is_unpacked(driver):
    def handler(request):
        return httpx.Response(
            200,
            stream=httpx.ByteStream(gzip.compress(b"x" * 1_000_000)),
            headers={"Content-Encoding": "gzip"},
        )

    with pytest.raises(ProtocolError, match="compressed"):
        driver(handler).run(ask())
    with pytest.raises(ProtocolError, match="compressed"):
        driver(handler).read(GET)


def test_proxies_of_the_environment_are_not_used_for_this_machine(config, monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "http://proxy.invalid:3128")
    local = replace(config, base_url="http://127.0.0.1:1/api/v1")
    near, far = SyncHttp(local, None, float), SyncHttp(config, None, float)
    assert not near._client._mounts
    assert far._client._mounts
    near.close()
    far.close()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ALL_PROXY", "socks5://user:pa55@proxy.invalid", "SOCKS"),
        ("ALL_PROXY", "socks4://user:pa55@proxy.invalid", "not the address of a proxy"),
        ("HTTPS_PROXY", "http://[user:pa55", "not the address of a proxy"),
        ("SSL_CERT_FILE", "/nonexistent/pa55", "cannot be read"),
    ],
)
def test_an_environment_that_cannot_be_used_is_said_so(driver, monkeypatch, name, value, said):
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=said) as caught:
        driver().run(ask())
    told = "".join(traceback.format_exception(caught.value))
    assert "pa55" not in told
    assert caught.value.__context__ is None


class Trickle(httpx.SyncByteStream, httpx.AsyncByteStream):
    """Bytes without end, each of which moves the clock by a second."""

    def __init__(self, clock):
        self.clock = clock

    def __iter__(self):
        while True:
            self.clock[0] += 1.0
            yield b"x"

    async def __aiter__(self):
        while True:
            await asyncio.Event().wait()
            yield b"x"


def test_bytes_that_trickle_do_not_stretch_a_blocking_call(config):
    clock = [0.0]
    transport = httpx.MockTransport(lambda r: httpx.Response(200, stream=Trickle(clock)))
    once = replace(config, retry=RetryPolicy(max_retries=0), timeout=5.0)
    driver = SyncDriver(once, httpx.Client(transport=transport), clock=lambda: clock[0])
    with pytest.raises(TransportError, match="in time"):
        driver.run(ask())
    assert clock[0] == 6.0


def test_bytes_that_never_come_end_an_async_call(config):
    async def main():
        transport = httpx.MockTransport(lambda r: httpx.Response(200, stream=Trickle([0.0])))
        http = AsyncHttp(config, httpx.AsyncClient(transport=transport))
        await http.attempt(Attempt(GET, 0.0))

    with pytest.raises(TransportError, match="in time"):
        asyncio.run(main())


@contextlib.contextmanager
def server(*chunks: bytes, then=lambda connection: None):
    """Answers one connection on loopback with `chunks`, then does as `then` says."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                for chunk in chunks:
                    connection.sendall(chunk)
                then(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/api/v1"
        finally:
            thread.join()


HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def wait_for_the_end(connection):
    connection.recv(1)


def test_a_reader_wakes_up_when_another_thread_aborts_its_stream(config):
    with server(HEAD, b"5\r\nhello\r\n", then=wait_for_the_end) as base_url:
        driver = SyncDriver(replace(config, base_url=base_url))
        with driver.stream(GET) as stream:
            assert next(stream) == b"hello"
            waker = threading.Thread(target=stream.abort)
            waker.start()
            with pytest.raises(TransportError, match="ended early"):
                next(stream)
            waker.join()
            stream.abort()
        driver.close()


def test_a_blocking_call_leaves_each_phase_only_what_is_left(config):
    clock = [0.0]

    def late(connection):
        clock[0] = 999.9
        connection.sendall(HEAD)
        connection.recv(1)

    with server(then=late) as base_url:
        once = replace(config, base_url=base_url, retry=RetryPolicy(max_retries=0), timeout=1000.0)
        driver = SyncDriver(once, clock=lambda: clock[0])
        # The head took nearly all the time there was: the body has not another thousand seconds.
        with pytest.raises(TransportError, match="in time"):
            driver.run(ask())
        driver.close()


def test_a_blocking_call_that_is_late_fails_at_once(config):
    with server(then=wait_for_the_end) as base_url:
        once = replace(config, base_url=base_url, retry=RetryPolicy(max_retries=0), timeout=1000.0)
        times = iter([0.0, 0.0])
        driver = SyncDriver(once, clock=lambda: next(times, 2000.0))
        with pytest.raises(TransportError, match="in time"):
            driver.run(ask())
        driver.close()


def test_a_stream_without_a_socket_can_be_aborted_too():
    SyncStream(httpx.Response(200, content=b""), lambda work: work()).abort()


def test_a_connection_that_breaks_within_an_answer_is_a_transport_error(driver, config):
    with server(HEAD, b"5\r\nhel") as base_url:
        once = replace(config, base_url=base_url, retry=RetryPolicy(max_retries=0))
        running = driver(config=once)
        with pytest.raises(TransportError, match="ended early"):
            running.run(ask())
        running.close()


def test_a_real_connection_gives_its_answer(driver, config: Config):
    body = b'{"ok": true, "data": 5}'
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body)
    with server(head, body[:9], body[9:]) as base_url:
        running = driver(config=replace(config, base_url=base_url))
        assert running.run(ask()) == 5
        running.close()


class Moody(socketserver.ThreadingTCPServer):
    """A server that takes connections, and answers only while it is in the mood."""

    request_queue_size = 512
    answers = False


class Visit(socketserver.StreamRequestHandler):
    """Lasts until the client goes."""

    def handle(self):
        with contextlib.suppress(OSError):
            while self.rfile.readline() not in {b"\r\n", b""}:
                pass
            if self.server.answers:
                answer = b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n" + b'{"ok": true}'
                self.wfile.write(answer)
            self.rfile.read()


@pytest.fixture
def moody():
    with Moody(("127.0.0.1", 0), Visit) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


async def trials(config, moody, count):
    """What becomes of so many tries at once, and of one more once the server is well."""
    host, port = moody.server_address
    http = AsyncHttp(replace(config, base_url=f"http://{host}:{port}"), None)
    moody.answers = False
    step = Attempt(GET, 0.3)
    became = []
    # Some are left behind by each burst, and a few bursts use up all that there are.
    for _ in range(3):
        became += await asyncio.gather(
            *(http.attempt(step) for _ in range(count)), return_exceptions=True
        )
    moody.answers = True
    reply = await http.attempt(Attempt(GET, 10))
    await http.aclose()
    return became, reply


def test_a_hundred_tries_that_got_no_answer_leave_room_for_the_next(config, moody):
    # Twice, because turns belong to a loop.
    for _ in range(2):
        became, reply = asyncio.run(trials(config, moody, 3 * MOST_AT_ONCE))
        assert {type(error) for error in became} == {TransportError}
        assert reply.status == 200


async def test_turns_are_of_the_loop_that_uses_the_client(config):
    http = AsyncHttp(config, httpx.AsyncClient(transport=httpx.MockTransport(echoing)))
    turn = http._turn()
    assert http._turn() is turn
    other = await asyncio.to_thread(lambda: asyncio.run(turn_of(http)))
    assert other is not turn
    await http._client.aclose()


async def turn_of(http):
    return http._turn()
