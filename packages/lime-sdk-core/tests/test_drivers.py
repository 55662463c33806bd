import asyncio
import json
from base64 import b64decode
from threading import get_ident

import httpx
import pytest

from lime_sdk_core import (
    ApiError,
    AsyncDriver,
    Callback,
    ClosedError,
    Config,
    ConfigurationError,
    Now,
    Offload,
    Random,
    Request,
    Sleep,
    SyncDriver,
    TransportError,
    call,
    call_document,
    mount,
)


def data(value):
    return httpx.Response(200, json={"ok": True, "data": value})


GET = Request("GET", "/a")


def ask(request=GET):
    return (yield from call(request, lambda found: found))


def one(step):
    return (yield step)


def test_a_request_carries_what_it_should_and_goes_where_it_should(driver):
    seen = []

    def handler(request):
        seen.append(request)
        return data("x")

    request = Request(
        "POST", "/a/b%2Fc", json={"k": "é"}, params={"wait": "25"}, headers={"idempotency-key": "1"}
    )
    assert driver(handler).run(ask(request)) == "x"
    [sent] = seen
    assert sent.method == "POST"
    assert str(sent.url) == "https://lime.example/api/v1/a/b%2Fc?wait=25"
    assert json.loads(sent.content) == {"k": "é"}
    assert sent.headers["x-agent-token"].startswith("at_")
    assert sent.headers["content-type"] == "application/json"
    assert sent.headers["accept"] == "application/json"
    assert sent.headers["accept-encoding"] == "identity"
    assert sent.headers["idempotency-key"] == "1"
    assert sent.headers["user-agent"].startswith("lime-test/4.0.0 (python ")


def test_a_public_request_carries_no_token(driver):
    seen = []
    driver(lambda request: seen.append(request) or data(1)).run(
        ask(Request("GET", "/a", authenticated=False))
    )
    assert "x-agent-token" not in seen[0].headers
    assert "content-type" not in seen[0].headers


def test_an_oauth_request_is_a_form_with_the_token_as_a_password(driver):
    seen = []
    request = Request("POST", "/token", form={"resource": "https://é/?a b"}, basic_user="a:1")
    running = driver(lambda sent: seen.append(sent) or data(1))
    running.run(ask(request))
    [sent] = seen
    assert sent.headers["content-type"] == "application/x-www-form-urlencoded"
    assert sent.content == b"resource=https%3A%2F%2F%C3%A9%2F%3Fa+b"
    user, _, password = b64decode(sent.headers["authorization"].removeprefix("Basic ")).partition(
        b":"
    )
    assert user == b"a%3A1"
    assert password.startswith(b"at_")
    assert "x-agent-token" not in sent.headers
    assert password.decode() not in repr(request)


def test_a_failed_request_is_sent_again_after_a_pause(driver):
    answers = iter(
        [httpx.Response(503), httpx.Response(429, headers={"Retry-After": "2"}), data(7)]
    )
    running = driver(lambda request: next(answers))
    assert running.run(ask()) == 7
    assert running.sleeps == [0.125, 2.125]


def test_a_flow_sees_the_last_failure(driver):
    def refuse(request):
        raise httpx.ConnectError("[Errno 111] Connection refused")

    running = driver(refuse)
    with pytest.raises(TransportError, match=r"no connection \(\[Errno 111\] Connection refused\)"):
        running.run(ask())
    assert len(running.sleeps) == 3


def test_a_redirect_is_not_followed(driver):
    calls = []

    def handler(request):
        calls.append(str(request.url))
        return httpx.Response(307, headers={"Location": "https://evil.example/"})

    with pytest.raises(Exception, match="redirect"):
        driver(handler).run(ask())
    assert calls == ["https://lime.example/api/v1/a"]


def test_a_client_that_follows_redirects_does_not_for_us(config):
    calls = []

    def handler(request):
        calls.append(str(request.url))
        return httpx.Response(307, headers={"Location": "https://evil.example/"})

    client = httpx.Client(transport=httpx.MockTransport(handler), follow_redirects=True)
    with pytest.raises(Exception, match="redirect"):
        SyncDriver(config, client).run(ask())
    assert len(calls) == 1


def test_a_document_comes_with_its_headers_and_its_accepted_statuses(driver):
    running = driver(lambda request: httpx.Response(304, headers={"ETag": '"1"'}))
    reply = running.run(call_document(Request("GET", "/jwks"), accept=(304,)))
    assert (reply.status, reply.headers["etag"]) == (304, '"1"')


def test_small_steps_are_answered(driver):
    running = driver(clock=lambda: 5.0, draw=lambda: 0.25)
    assert running.run(one(Now())) == 5.0
    assert running.run(one(Random())) == 0.25
    assert running.run(one(Sleep(3.0))) is None
    assert running.run(one(Callback(max, (1, 2)))) == 2
    assert running.run(one(Offload(lambda: "done"))) == "done"
    assert running.sleeps == [3.0]


def test_work_is_done_off_the_event_loop(config):
    async def main():
        return await AsyncDriver(config).run(one(Offload(get_ident))), get_ident()

    worker, loop = asyncio.run(main())
    assert worker != loop


def test_an_async_callback_is_awaited(config):
    async def double(number):
        await asyncio.sleep(0)
        return 2 * number

    assert asyncio.run(AsyncDriver(config).run(one(Callback(double, (4,))))) == 8


def test_an_async_callback_is_refused_by_the_blocking_driver(config):
    async def never():
        raise AssertionError

    with pytest.raises(TypeError, match="blocking"):
        SyncDriver(config).run(one(Callback(never)))


def test_an_awaitable_that_is_no_coroutine_is_refused_too(config):
    class Later:
        def __await__(self):
            raise AssertionError

    with pytest.raises(TypeError, match="blocking"):
        SyncDriver(config).run(one(Callback(Later)))


def test_an_error_of_the_application_reaches_it_unchanged(driver):
    error = KeyError("mine")

    def fail():
        raise error

    with pytest.raises(KeyError) as caught:
        driver().run(one(Callback(fail)))
    assert caught.value is error


def test_a_flow_that_stops_early_is_closed(config):
    ended = []

    def flow():
        try:
            yield Sleep(60)
        finally:
            ended.append(True)

    async def main():
        task = asyncio.create_task(AsyncDriver(config).run(flow()))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return task.cancelled()

    assert asyncio.run(main())
    assert ended == [True]


@pytest.mark.parametrize("given", [False, True])
def test_a_closed_client_makes_no_request(driver, given):
    running = driver((lambda request: data(1)) if given else None)
    running.close()
    running.close()
    with pytest.raises(ClosedError):
        running.run(ask())
    with pytest.raises(ClosedError):
        running.read(Request("GET", "/a"))


def test_a_given_client_stays_open_and_an_own_one_is_closed(config):
    async def main():
        async with httpx.AsyncClient(transport=httpx.MockTransport(lambda r: data(1))) as client:
            driver = AsyncDriver(config, client)
            await driver.run(ask())
            await driver.aclose()
            assert not client.is_closed

        with mount(config.base_url, httpx.MockTransport(lambda r: data(1))):
            driver = AsyncDriver(config)
            await driver.run(ask())
            own = driver._http
            await driver.aclose()
            assert own._client.is_closed

    asyncio.run(main())
    with httpx.Client(transport=httpx.MockTransport(lambda r: data(1))) as client:
        driver = SyncDriver(config, client)
        driver.run(ask())
        driver.close()
        assert not client.is_closed
    with mount(config.base_url, httpx.MockTransport(lambda r: data(1))):
        driver = SyncDriver(config)
        driver.run(ask())
        own = driver._http
        driver.close()
        assert own._client.is_closed


def test_a_client_of_the_wrong_kind_is_refused(config):
    with httpx.Client() as client, pytest.raises(ConfigurationError, match=r"httpx\.AsyncClient"):
        AsyncDriver(config, client)
    with pytest.raises(ConfigurationError, match=r"httpx\.Client"):
        SyncDriver(config, object())


def test_a_given_client_that_was_closed_is_a_typed_error(config):
    client = httpx.Client()
    client.close()
    with pytest.raises(ClosedError, match="http_client"):
        SyncDriver(config, client).run(ask())

    async def main():
        client = httpx.AsyncClient()
        await client.aclose()
        await AsyncDriver(config, client).run(ask())

    with pytest.raises(ClosedError, match="http_client"):
        asyncio.run(main())


def test_one_client_serves_several_event_loops(config):
    with mount(config.base_url, httpx.MockTransport(lambda r: data(1))):
        driver = AsyncDriver(config)

        async def twice():
            await driver.run(ask())
            first = driver._http
            await driver.run(ask())
            return first is driver._http

        assert asyncio.run(twice())
        before = driver._http
        assert asyncio.run(twice())
        assert driver._http is not before


def test_a_client_can_be_closed_in_another_event_loop_than_it_was_used_in(config):
    with mount(config.base_url, httpx.MockTransport(lambda r: data(1))):
        driver = AsyncDriver(config)
        asyncio.run(driver.run(ask()))
        old = driver._http._client
        asyncio.run(driver.aclose())
    # Its connections ended with their loop: to touch them now would be an error.
    assert not old.is_closed
    with pytest.raises(ClosedError):
        asyncio.run(driver.run(ask()))


def test_a_fork_makes_connections_of_its_own(config, monkeypatch):
    with mount(config.base_url, httpx.MockTransport(lambda r: data(1))):
        driver = SyncDriver(config)
        driver.run(ask())
        parents = driver._http
        monkeypatch.setattr("lime_sdk_core._drive.os.getpid", lambda: -1)
        driver.run(ask())
        own = driver._http
        assert own is not parents
        driver.run(ask())
        assert driver._http is own
        driver.close()
    assert not parents._client.is_closed
    parents.close()


def test_the_timeout_of_a_request_wins_over_the_clients(driver):
    limits = []

    def handler(request):
        limits.append(request.extensions["timeout"])
        return data(1)

    running = driver(handler)
    running.run(ask())
    running.run(ask(Request("GET", "/a", timeout=3.0)))
    # Half of it for the first try.
    assert [(limit["read"], limit["connect"]) for limit in limits] == [(15.0, 10.0), (1.5, 1.5)]


def test_a_stream_gives_its_bytes(driver):
    def handler(request):
        assert request.headers["accept"] == "text/event-stream"
        assert request.extensions["timeout"]["read"] == 40.0
        return httpx.Response(200, content=b"data: 1\n\n")

    request = Request("GET", "/a", headers={"accept": "text/event-stream"}, timeout=40.0)
    assert b"".join(driver(handler).read(request)) == b"data: 1\n\n"


def test_a_stream_that_is_refused_is_a_typed_error(driver):
    body = {"ok": False, "error": {"code": "SITE_SUSPENDED", "message": "no"}}
    with pytest.raises(ApiError) as caught:
        driver(lambda request: httpx.Response(403, json=body)).read(Request("GET", "/a"))
    assert caught.value.code == "SITE_SUSPENDED"


def test_a_stream_without_a_connection_is_a_transport_error(driver):
    def refuse(request):
        raise httpx.ConnectTimeout("")

    with pytest.raises(TransportError, match="no connection in time"):
        driver(refuse).read(Request("GET", "/a"))


def test_a_success_other_than_200_opens_an_empty_stream(driver):
    assert driver(lambda request: httpx.Response(204)).read(Request("GET", "/a")) == []


def test_two_stand_ins_cannot_share_an_api_base(config: Config):
    with (
        mount(config.base_url, object()),
        pytest.raises(ValueError, match="mounted already"),
        mount(config.base_url, object()),
    ):
        pass
