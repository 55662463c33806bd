"""What a site does with LIME, the same for both clients."""

import asyncio
import contextvars
import functools
import threading
from typing import Any

import pytest

from lime_sites import (
    ApiError,
    AuthenticationError,
    ClosedError,
    HandlerError,
    LimeError,
    LoginTimeoutError,
    ProtocolError,
    RateLimitError,
    RequestDeniedError,
    RequestExpiredError,
    SiteAuthUnavailableError,
    TransportError,
)
from lime_sites._events import Delivery
from lime_sites.testing import FakeLime

REQUEST = contextvars.ContextVar("REQUEST", default="none")

ACK = ("POST", "/modules/agent-login/events/ack")
EVENTS = ("GET", "/modules/agent-login/events")


async def test_a_login_request_is_made_and_looked_at(site: Any, fake: FakeLime) -> None:
    made = await site.create_login_request()
    assert made.status == "PENDING"
    assert made.site_id == fake.site_id
    assert made.expires_at == fake.logins[made.request_id].expires_at
    assert not made.is_final
    found = await site.get_login_request(made.request_id)
    assert found == made


async def test_a_redirect_url_travels_along(site: Any, fake: FakeLime) -> None:
    made = await site.create_login_request(redirect_url="https://shop.example/cart")
    assert fake.logins[made.request_id].redirect_url == "https://shop.example/cart"


async def test_an_approved_request_carries_a_passport_when_asked_for(
    site: Any, fake: FakeLime
) -> None:
    made = await site.create_login_request()
    fake.approve(made.request_id)
    assert (await site.get_login_request(made.request_id)).agent_passport_jwt is None
    found = await site.get_login_request(made.request_id, wait=0)
    assert found.is_approved
    assert found.is_final
    assert found.agent_passport_jwt not in repr(found)
    passport = await site.verify_passport(
        found.agent_passport_jwt, expected_request_id=made.request_id
    )
    assert passport.agent_id == "agent-1"


@pytest.mark.parametrize("status", ["REVIEW", "approved", "PRE_APPROVED", "APPROVED "])
async def test_an_unknown_state_is_no_approval(site: Any, fake: FakeLime, status: str) -> None:
    made = await site.create_login_request()
    fake.logins[made.request_id].status = status
    found = await site.get_login_request(made.request_id, wait=0)
    assert found.status == status
    assert not found.is_approved
    assert not found.is_final
    with pytest.raises(LoginTimeoutError):
        await site.wait_for_login(made.request_id, 0.01)


@pytest.mark.parametrize("hostile", ["../../foundation/sites/me", "a/b", "?x=y", "x" * 10_000])
async def test_a_request_id_stays_one_segment(site: Any, fake: FakeLime, hostile: str) -> None:
    with pytest.raises(ApiError):
        await site.get_login_request(hostile)
    ((_, path),) = fake.calls
    assert path.startswith("/modules/agent-login/requests/")


@pytest.mark.parametrize("hostile", ["", ".", ".."])
async def test_what_cannot_be_a_segment_is_refused(site: Any, fake: FakeLime, hostile: str) -> None:
    with pytest.raises(ValueError, match="segment"):
        await site.get_login_request(hostile)
    assert fake.calls == []


ERRORS: list[tuple[int, str, type[LimeError]]] = [
    (401, "SITE_TOKEN_MISSING", AuthenticationError),
    (401, "SITE_TOKEN_INVALID", AuthenticationError),
    (403, "SITE_SUSPENDED", AuthenticationError),
    (404, "SITE_LOGIN_REQUEST_NOT_FOUND", ApiError),
    (409, "SITE_LOGIN_REQUEST_EXPIRED", RequestExpiredError),
    (429, "RATE_LIMIT_EXCEEDED", RateLimitError),
    (500, "INTERNAL_ERROR", ApiError),
    (503, "SITE_TOKEN_AUTH_UNAVAILABLE", SiteAuthUnavailableError),
]


@pytest.mark.parametrize(("status", "code", "kind"), ERRORS, ids=[code for _, code, _ in ERRORS])
async def test_errors_are_typed_and_say_all(
    site: Any, fake: FakeLime, status: int, code: str, kind: type[LimeError]
) -> None:
    fake.fail(status, code)
    with pytest.raises(kind) as caught:
        await site.create_login_request()
    error = caught.value
    assert type(error) is kind
    assert (error.http_status, error.code) == (status, code)
    assert error.request_id is not None
    assert fake.site_token not in f"{error!r} {error.__cause__!r} {error.__context__!r}"


async def test_a_login_reaches_the_handler_and_is_acknowledged(site: Any, fake: FakeLime) -> None:
    seen: list[str] = []

    @site.on_login
    async def handle(request_id: str, passport: str | None) -> None:
        assert passport is not None
        verified = await site.verify_passport(passport, expected_request_id=request_id)
        seen.append(verified.agent_id)

    made = await site.create_login_request()
    await fake.approve(made.request_id, agent_id="agent-7").handled()
    assert seen == ["agent-7"]
    assert fake.logins[made.request_id].status == "DELIVERED"


@pytest.mark.parametrize("end", ["deny", "expire"])
async def test_when_nobody_comes_the_handler_gets_no_passport(
    site: Any, fake: FakeLime, end: str
) -> None:
    seen: list[tuple[str, str | None]] = []
    site.on_login(lambda *event: seen.append(event))
    made = await site.create_login_request()
    await getattr(fake, end)(made.request_id).handled()
    assert seen == [(made.request_id, None)]


async def _async_handler(seen: list[Any], *event: Any) -> None:
    seen.append(event)


class _CallableHandler:
    def __init__(self, seen: list[Any]) -> None:
        self.seen = seen

    async def __call__(self, *event: Any) -> None:
        self.seen.append(event)


HANDLERS: dict[str, Any] = {
    "plain": lambda seen: lambda *event: seen.append(event),
    "plain that returns something to await": lambda seen: (
        lambda *event: _async_handler(seen, *event)
    ),
    "partial": lambda seen: functools.partial(_async_handler, seen),
    "object": _CallableHandler,
}


@pytest.mark.parametrize("kind", HANDLERS)
async def test_a_handler_may_be_anything_that_can_be_called(
    site: Any, fake: FakeLime, kind: str
) -> None:
    seen: list[Any] = []
    handler = HANDLERS[kind](seen)
    assert site.on_login(handler) is handler
    made = await site.create_login_request()
    await fake.deny(made.request_id).handled()
    assert seen == [(made.request_id, None)]


# The last two are no `Exception`: they are meant for a program, a thread or a task.
RAISED = pytest.mark.parametrize("raised", [LookupError, SystemExit, asyncio.CancelledError])


@RAISED
async def test_a_failing_handler_is_reported_and_gets_the_event_again(
    site: Any, fake: FakeLime, caplog: pytest.LogCaptureFixture, raised: type[BaseException]
) -> None:
    reported: list[LimeError] = []
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    attempts: list[str] = []
    others: list[str] = []

    @site.on_error
    def report(error: LimeError) -> None:
        reported.append(error)
        loop.call_soon_threadsafe(told.set)

    @site.on_login
    def handle(request_id: str, passport: str | None) -> None:
        attempts.append(request_id)
        if len(attempts) == 1:
            raise raised("the database is away")

    site.on_login(lambda request_id, _: others.append(request_id))
    made = await site.create_login_request()
    event = fake.approve(made.request_id)
    await told.wait()
    (error,) = reported
    assert isinstance(error, HandlerError)
    assert error.login_request_id == made.request_id
    assert type(error.__cause__) is raised
    assert "the database is away" in caplog.text
    # It may be offered again before the first attempt is quite over.
    while not event.is_acknowledged:
        fake.deliver_again()
        await asyncio.sleep(0.001)
    assert attempts == [made.request_id] * 2
    assert others == [made.request_id] * 2


@pytest.mark.parametrize("is_async", [False, True])
async def test_handlers_know_nothing_of_the_call_that_opened_the_stream(
    site: Any, fake: FakeLime, is_async: bool
) -> None:
    seen: list[tuple[str, str]] = []

    def handle(*event: Any) -> None:
        seen.append(("login", REQUEST.get()))
        REQUEST.set("an earlier login")

    def report(error: LimeError) -> None:
        seen.append(("error", REQUEST.get()))
        REQUEST.set("an earlier error")

    async def handle_async(*event: Any) -> None:
        handle(*event)

    async def report_async(error: LimeError) -> None:
        report(error)

    site.on_error(report_async if is_async else report)

    async def request() -> str:
        REQUEST.set("of one visitor")
        site.on_login(handle_async if is_async else handle)
        return str((await site.create_login_request()).request_id)

    request_id = await asyncio.create_task(request())
    await _until(lambda: bool(fake._streams))
    fake.send({"type": "error", "code": "SAID", "message": "for the error handler"})
    await _until(lambda: len(seen) == 1)
    await fake.deny(request_id).handled()
    assert seen == [("error", "none"), ("login", "none")]


@RAISED
@pytest.mark.parametrize("is_async", [False, True])
async def test_an_error_handler_that_fails_is_only_logged(
    site: Any,
    fake: FakeLime,
    caplog: pytest.LogCaptureFixture,
    raised: type[BaseException],
    is_async: bool,
) -> None:
    seen: list[str] = []

    def report(error: LimeError) -> None:
        raise raised("no pager")

    async def report_async(error: LimeError) -> None:
        report(error)

    site.on_error(report_async if is_async else report)
    site.on_login(lambda request_id, _: seen.append(request_id))
    fake.go_down()
    await _until(lambda: "no pager" in caplog.text)
    fake.come_back()
    made = await site.create_login_request()
    await fake.deny(made.request_id).handled()
    assert seen == [made.request_id]


async def test_an_event_that_comes_twice_is_handled_once(site: Any, fake: FakeLime) -> None:
    seen: list[str] = []
    site.on_login(lambda request_id, _: seen.append(request_id))
    made = await site.create_login_request()
    event = fake.approve(made.request_id)
    await event.handled()
    # The acknowledgement was lost on its way.
    frame = {"type": "denied", "login_request_id": made.request_id}
    fake.send(frame, event_id=event.event_id)
    await _until(lambda: fake.calls.count(ACK) == 2)
    assert seen == [made.request_id]


@pytest.mark.parametrize(
    ("concurrency", "second_login"),
    [(1, "login-2"), (2, "login-1")],
    ids=["waiting for a slot", "behind an earlier event of its login"],
)
async def test_an_event_that_comes_again_before_its_turn_is_handled_with_the_new_passport(
    make: Any, fake: FakeLime, concurrency: int, second_login: str
) -> None:
    site = make(handler_concurrency=concurrency)
    begun, go_on, all_read, done = (threading.Event() for _ in range(4))
    seen: list[tuple[str, str | None]] = []
    ids: list[str] = []
    for _ in range(2):
        event = fake.deny((await site.create_login_request()).request_id)
        # Their frames are written below.
        event.acknowledge()
        ids.append(event.event_id)

    @site.on_login
    def handle(request_id: str, passport: str | None) -> None:
        seen.append((request_id, passport))
        begun.set()
        assert go_on.wait(10)
        if len(seen) == 2:
            done.set()

    site.on_error(lambda _: all_read.set())

    def approve(request_id: str, passport: str, event_id: str) -> None:
        frame = {"type": "approved", "agent_passport_jwt": passport}
        fake.send({**frame, "login_request_id": request_id}, event_id=event_id)

    await _until(lambda: bool(fake._streams))
    approve("login-1", "first", ids[0])
    assert await asyncio.to_thread(begun.wait, 10)
    # The leases run out, and LIME signs a new passport for each delivery.
    for number in range(3):
        approve("login-1", f"too late {number}", ids[0])
        approve(second_login, f"second {number}", ids[1])
    # A stream is read in order: whoever has heard of this has read what came before.
    fake.send({"type": "error", "code": "MARK", "message": "read"})
    assert await asyncio.to_thread(all_read.wait, 10)
    go_on.set()
    assert await asyncio.to_thread(done.wait, 10)
    assert seen == [("login-1", "first"), (second_login, "second 2")]


async def test_a_lost_acknowledgement_is_logged_and_made_good(
    site: Any, fake: FakeLime, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []

    def handle(request_id: str, passport: str | None) -> None:
        if not seen:
            fake.fail(500, "INTERNAL_ERROR")
        seen.append(request_id)

    site.on_login(handle)
    made = await site.create_login_request()
    event = fake.approve(made.request_id)
    await _until(lambda: "could not be acknowledged" in caplog.text)
    assert not event.is_acknowledged
    while not event.is_acknowledged:
        fake.deliver_again()
        await asyncio.sleep(0.001)
    assert seen == [made.request_id]


@pytest.mark.parametrize("trouble", ["go_down", "end_streams", "say_goodbye"])
async def test_the_stream_comes_back(site: Any, fake: FakeLime, trouble: str) -> None:
    seen: list[str] = []
    site.on_login(lambda request_id, _: seen.append(request_id))
    made = await site.create_login_request()
    await _until(lambda: EVENTS in fake.calls)
    getattr(fake, trouble)()
    fake.come_back()
    await fake.approve(made.request_id).handled()
    assert seen == [made.request_id]
    assert fake.calls.count(EVENTS) >= 2


@pytest.mark.parametrize("trouble", ["forget_site", "suspend_site"])
async def test_a_site_that_is_not_wanted_any_more_stops_and_the_application_sees_it(
    make: Any, fake: FakeLime, trouble: str, caplog: pytest.LogCaptureFixture
) -> None:
    told, untold = make(), make()
    reported: list[LimeError] = []
    told.on_error(reported.append)
    for site in (told, untold):
        site.on_login(lambda *_: None)
    await _until(lambda: fake.calls.count(EVENTS) == 2)
    getattr(fake, trouble)()
    with pytest.raises(AuthenticationError):
        await told.run()
    (error,) = reported
    assert isinstance(error, AuthenticationError)
    await told.end()
    await _until(lambda: caplog.text.count("ended for good") == 2)
    with pytest.raises(AuthenticationError):
        await untold.end()
    await untold.end()


async def test_run_receives_logins_until_the_end(site: Any, fake: FakeLime) -> None:
    running = asyncio.create_task(site.run())
    await _until(lambda: EVENTS in fake.calls)
    assert not running.done()
    await site.end()
    await running
    with pytest.raises(ClosedError):
        await site.run()


async def test_a_closed_client_asks_nothing(site: Any, fake: FakeLime) -> None:
    site.on_login(lambda *_: None)
    await site.end()
    calls = list(fake.calls)
    with pytest.raises(ClosedError):
        await site.create_login_request()
    site.on_login(lambda *_: None)
    await site.end()
    assert fake.calls == calls


async def test_closing_lets_a_running_handler_end(site: Any, fake: FakeLime) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    ended: list[str] = []

    @site.on_login
    def handle(request_id: str, passport: str | None) -> None:
        loop.call_soon_threadsafe(begun.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result()
        ended.append(request_id)

    made = await site.create_login_request()
    event = fake.approve(made.request_id)
    await begun.wait()
    closing = asyncio.create_task(site.end())
    await asyncio.sleep(0)
    go_on.set()
    await closing
    assert ended == [made.request_id]
    assert event.is_acknowledged


async def test_waiting_ends_with_a_proven_passport(site: Any, fake: FakeLime) -> None:
    made = await site.create_login_request()
    waiting = asyncio.create_task(site.wait_for_login(made.request_id, 30))
    await _until(lambda: ("GET", f"/modules/agent-login/requests/{made.request_id}") in fake.calls)
    fake.approve(made.request_id, agent_id="agent-7")
    passport = await waiting
    assert (passport.agent_id, passport.request_id) == ("agent-7", made.request_id)


@pytest.mark.parametrize(
    ("end", "error"), [("deny", RequestDeniedError), ("expire", RequestExpiredError)]
)
async def test_waiting_ends_when_nobody_will_come(
    site: Any, fake: FakeLime, end: str, error: type[LimeError]
) -> None:
    made = await site.create_login_request()
    getattr(fake, end)(made.request_id)
    with pytest.raises(error):
        await site.wait_for_login(made.request_id)


async def test_waiting_for_an_approval_of_long_ago_is_too_late(site: Any, fake: FakeLime) -> None:
    made = await site.create_login_request()
    fake.approve(made.request_id)
    fake.passport_of = lambda login: None  # type: ignore[assignment,method-assign,return-value]
    with pytest.raises(RequestExpiredError):
        await site.wait_for_login(made.request_id)


async def test_waiting_for_a_request_of_another_site_fails_at_once(site: Any) -> None:
    with pytest.raises(ApiError) as caught:
        await site.wait_for_login("7b1c3c3e-0000-4000-8000-000000000009")
    assert caught.value.http_status == 404


async def test_waiting_does_not_forgive_a_wrong_token(site: Any, fake: FakeLime) -> None:
    made = await site.create_login_request()
    fake.forget_site()
    with pytest.raises(AuthenticationError):
        await site.wait_for_login(made.request_id)


async def test_answers_of_another_shape_are_no_logins(site: Any, fake: FakeLime) -> None:
    import httpx

    body = {"ok": True, "data": {"login_request_id": "x", "status": "PENDING", "expires_at": 7.5}}
    fake._planned.append(httpx.Response(201, json={**body, "data": {"status": "PENDING"}}))
    with pytest.raises(ProtocolError, match="LoginRequest"):
        await site.create_login_request()


async def _until(condition: Any) -> None:
    """Let others work until `condition` holds; the test's own time limit ends a wait for ever."""
    while not condition():  # noqa: ASYNC110 - what is waited for happens in threads and in the fake
        await asyncio.sleep(0.001)


def test_a_client_can_be_made_and_asked_without_an_event_loop(fake: FakeLime) -> None:
    site = fake.site()
    seen: list[str] = []

    @site.on_login
    async def handle(request_id: str, passport: str | None) -> None:
        seen.append(request_id)

    async def main() -> None:
        async with site:
            made = await site.create_login_request()
            await fake.deny(made.request_id).handled()

    asyncio.run(main())
    assert len(seen) == 1


def test_a_second_event_loop_hears_of_logins_too(fake: FakeLime) -> None:
    site = fake.site(site_id="site-7")
    seen: list[str] = []

    @site.on_login
    async def handle(request_id: str, passport: str | None) -> None:
        seen.append(request_id)

    async def main() -> None:
        made = await site.create_login_request()
        await fake.deny(made.request_id).handled()

    asyncio.run(main())
    asyncio.run(main())
    assert len(seen) == 2
    asyncio.run(site.aclose())


async def test_an_error_inside_is_not_hidden_by_one_of_the_stream(fake: FakeLime) -> None:
    fake.forget_site()

    async def program() -> None:
        async with fake.site(sse_backoff_base=0.001) as site:
            site.on_login(lambda *_: None)
            assert site._listener is not None
            await asyncio.wait([site._listener])
            raise LookupError

    with pytest.raises(LookupError):
        await program()


def test_the_same_goes_for_the_blocking_client(fake: FakeLime) -> None:
    fake.forget_site()

    def program() -> None:
        with fake.site_sync(sse_backoff_base=0.001) as site:
            site.on_login(lambda *_: None)
            assert site._listener is not None
            site._listener.join()
            raise LookupError

    with pytest.raises(LookupError):
        program()


async def test_different_logins_are_handled_at_the_same_time_up_to_a_bound(fake: FakeLime) -> None:
    async with fake.site(handler_concurrency=2) as site:
        running, most = set(), 0
        go_on = asyncio.Event()

        @site.on_login
        async def handle(request_id: str, passport: str | None) -> None:
            nonlocal most
            running.add(request_id)
            most = max(most, len(running))
            if most == 2:
                go_on.set()
            await go_on.wait()
            running.remove(request_id)

        events = []
        for _ in range(5):
            made = await site.create_login_request()
            events.append(fake.deny(made.request_id))
        for event in events:
            await event.handled()
        assert most == 2


async def test_a_handler_may_close_the_client(fake: FakeLime) -> None:
    site = fake.site()
    closed = asyncio.Event()

    @site.on_login
    async def handle(request_id: str, passport: str | None) -> None:
        await site.aclose()
        closed.set()

    made = await site.create_login_request()
    fake.deny(made.request_id)
    await closed.wait()
    with pytest.raises(ClosedError):
        await site.create_login_request()


async def test_a_handler_that_was_cancelled_gets_the_event_again(fake: FakeLime) -> None:
    async with fake.site() as site:
        attempts = 0

        @site.on_login
        async def handle(request_id: str, passport: str | None) -> None:
            nonlocal attempts
            attempts += 1
            if attempts == 1:
                raise asyncio.CancelledError

        made = await site.create_login_request()
        event = fake.approve(made.request_id)
        await _until(lambda: attempts == 1)
        while not event.is_acknowledged:
            fake.deliver_again()
            await asyncio.sleep(0.001)
        assert attempts == 2


def test_a_blocking_handler_may_close_the_client(fake: FakeLime) -> None:
    site = fake.site_sync()
    closed = threading.Event()

    @site.on_login
    def handle(request_id: str, passport: str | None) -> None:
        site.close()
        closed.set()

    made = site.create_login_request()
    fake.deny(made.request_id)
    assert closed.wait(10)


def test_threads_that_a_fork_has_lost_are_started_again(fake: FakeLime) -> None:
    with fake.site_sync() as site:
        # A fork leaves thread objects without threads.
        site._listen = site._work_off = lambda: None  # type: ignore[method-assign]  # as if lost
        site.on_login(lambda *_: None)
        lost = site._listener
        assert lost is not None
        lost.join()
        del site._listen, site._work_off
        # What the parent has in hand is its own business: here it must be taken when it comes.
        site._inbox.offer(Delivery("e1", "l1", None))
        parents = site._inbox
        made = site.create_login_request()
        assert site._listener is not lost
        assert site._inbox is not parents
        fake.deny(made.request_id).wait_handled()


def test_the_issuer_is_the_public_url(fake: FakeLime) -> None:
    assert fake.site().issuer == fake.site_sync().issuer == fake.issuer


async def test_waiting_forgives_a_lime_that_is_away(site: Any, fake: FakeLime) -> None:
    made = await site.create_login_request()
    fake.approve(made.request_id)
    fake.fail(503, "SITE_TOKEN_AUTH_UNAVAILABLE")
    assert (await site.wait_for_login(made.request_id)).agent_id == "agent-1"


async def test_waiting_ends_with_the_last_error_of_a_lime_that_stays_away(
    site: Any, fake: FakeLime
) -> None:
    made = await site.create_login_request()
    fake.go_down()
    with pytest.raises(TransportError):
        await site.wait_for_login(made.request_id, 0.01)


async def test_without_a_handler_nothing_is_acknowledged(site: Any, fake: FakeLime) -> None:
    made = await site.create_login_request()
    event = fake.approve(made.request_id)
    running = asyncio.create_task(site.run())
    await _until(lambda: event.sent == 1)
    seen: list[str] = []
    site.on_login(lambda request_id, _: seen.append(request_id))
    while not event.is_acknowledged:
        fake.deliver_again()
        await asyncio.sleep(0.001)
    assert seen == [made.request_id]
    await site.end()
    await running


async def test_a_defect_of_the_stream_is_not_hidden(
    site: Any, fake: FakeLime, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(stream: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(fake, "_connect", stumble)
    site.on_login(lambda *_: None)
    with pytest.raises(LimeError, match="defect") as caught:
        await site.run()
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert "ended by a defect" in caplog.text


async def test_a_defect_in_one_event_does_not_stop_the_others(
    site: Any, fake: FakeLime, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    acknowledge = fake._acknowledge

    def stumble_once(ids: list[str]) -> Any:
        if len(seen) == 1:
            raise ZeroDivisionError
        return acknowledge(ids)

    monkeypatch.setattr(fake, "_acknowledge", stumble_once)
    site.on_login(lambda request_id, _: seen.append(request_id))
    first, second = [await site.create_login_request() for _ in range(2)]
    fake.deny(first.request_id)
    await _until(lambda: "could not be worked off" in caplog.text)
    await fake.deny(second.request_id).handled()
    assert seen == [first.request_id, second.request_id]


def test_a_handler_that_wants_to_exit_does_not_end_its_thread(fake: FakeLime) -> None:
    with fake.site_sync(handler_concurrency=1) as site:
        seen: list[str] = []

        @site.on_login
        def handle(request_id: str, passport: str | None) -> None:
            seen.append(request_id)
            if len(seen) == 1:
                raise SystemExit

        first, second = (site.create_login_request() for _ in range(2))
        fake.deny(first.request_id)
        fake.deny(second.request_id).wait_handled()
        assert seen == [first.request_id, second.request_id]


def test_an_interrupted_program_ends_in_a_handler_too(fake: FakeLime) -> None:
    async def main() -> None:
        async with fake.site() as site:

            @site.on_login
            async def handle(request_id: str, passport: str | None) -> None:
                raise KeyboardInterrupt

            fake.deny((await site.create_login_request()).request_id)
            await asyncio.Event().wait()

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())


async def test_a_handler_that_closing_cancels_did_not_fail(
    fake: FakeLime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lime_sites._site.CLOSE_GRACE", 0)
    reported: list[LimeError] = []
    begun = asyncio.Event()
    async with fake.site() as site:
        site.on_error(reported.append)

        @site.on_login
        async def handle(request_id: str, passport: str | None) -> None:
            begun.set()
            await asyncio.Event().wait()

        event = fake.deny((await site.create_login_request()).request_id)
        await begun.wait()
    assert reported == []
    assert not event.is_acknowledged


# What stops the thread is seen by pytest.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_listener_that_somebody_stopped_is_started_again_and_knows_what_is_in_hand(
    make: Any, fake: FakeLime, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make(handler_concurrency=2)
    begun, go_on = threading.Event(), threading.Event()
    seen: list[str] = []
    connect = fake._connect

    def stop_once(stream: Any) -> Any:
        monkeypatch.setattr(fake, "_connect", connect)
        # Neither driver takes this for a failure of the conversation.
        raise asyncio.CancelledError if site.is_async else SystemExit

    @site.on_login
    def handle(request_id: str, passport: str | None) -> None:
        seen.append(request_id)
        begun.set()
        assert go_on.wait(10)

    first = await site.create_login_request()
    in_hand = fake.deny(first.request_id)
    assert await asyncio.to_thread(begun.wait, 10)
    monkeypatch.setattr(fake, "_connect", stop_once)
    stopped = site.site._listener
    fake.end_streams()
    await _until(lambda: stopped.done() if site.is_async else not stopped.is_alive())
    second = await site.create_login_request()
    assert site.site._listener is not stopped
    event = fake.deny(second.request_id)
    await _until(lambda: len(seen) == 2)
    go_on.set()
    await event.handled()
    await in_hand.handled()
    # The one in hand came again on the new stream, and was recognised.
    assert in_hand.sent == 2
    assert seen == [first.request_id, second.request_id]


async def test_what_was_not_begun_when_the_client_closed_is_left_to_others(
    make: Any, fake: FakeLime
) -> None:
    site = make(handler_concurrency=1)
    begun, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    seen: list[str] = []

    @site.on_login
    def handle(request_id: str, passport: str | None) -> None:
        seen.append(request_id)
        loop.call_soon_threadsafe(begun.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result()

    first, second = [await site.create_login_request() for _ in range(2)]
    fake.deny(first.request_id)
    await begun.wait()
    left = fake.deny(second.request_id)
    await _until(lambda: site.site._inbox._pending == 2)
    closing = asyncio.create_task(site.end())
    stopped = getattr(site.site, "_stopped", None)
    await _until(lambda: site.site._closed if stopped is None else stopped.is_set())
    go_on.set()
    await closing
    assert seen == [first.request_id]
    assert not left.is_acknowledged
