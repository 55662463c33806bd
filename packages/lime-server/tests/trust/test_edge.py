"""What the web edge does for log and KYC: large bodies where they belong, and origins."""

import asyncio

import pytest

from lime_server.core.errors import BodyTooLarge, NotSignedIn, RequestTooSlow, Unavailable
from lime_server.core.origin import LONGEST_USER_AGENT, Origin, coming_from, current_origin
from lime_server.infrastructure.web.body import (
    LARGE_AT_ONCE,
    LARGE_FROM_NETWORK,
    LEAST_RATE,
    LONGEST,
    Bodies,
    LargeBodies,
    patience_for,
)
from lime_server.infrastructure.web.metrics import Metrics
from lime_server.infrastructure.web.trace import Trace
from lime_server.settings import Settings, SettingsError, load


async def owner_of(scope):
    return dict(scope["headers"]).get(b"owner", b"Ada").decode()


LARGE = LargeBodies({("POST", "/documents"): 100}, owner_of)


def scope(path="/documents", method="POST", headers=(), client=("192.0.2.7", 1)):
    return {
        "type": "http", "method": method, "path": path, "headers": list(headers), "client": client,
    }  # fmt: skip


def length(size):
    return [(b"content-length", str(size).encode())]


CHUNKED = [(b"transfer-encoding", b"chunked")]


def sender(*chunks):
    messages = [
        {"type": "http.request", "body": chunk, "more_body": index + 1 < len(chunks)}
        for index, chunk in enumerate(chunks)
    ]

    async def receive():
        return messages.pop(0)

    return receive


async def drop(_message):
    pass


async def drop_all(_scope, _receive, _send):
    pass


@pytest.mark.parametrize(
    ("headers", "chunks"),
    [(length(50), [b"x" * 50]), (length(5), [b"x" * 5]), (CHUNKED, [b"x" * 30, b"x" * 30])],
)
async def test_a_route_that_takes_more_gets_it_whole(headers, chunks):
    seen = []

    async def app(_scope, receive, _send):
        seen.append((await receive())["body"])

    bodies = Bodies(app, max_bytes=10, timeout=5, large=LARGE)
    await bodies(scope(headers=headers), sender(*chunks), drop)
    assert seen == [b"".join(chunks)]


@pytest.mark.parametrize(
    ("where", "headers", "chunks"),
    [
        ({}, length(101), []),
        ({}, CHUNKED, [b"x" * 60, b"x" * 60]),
        ({"path": "/other"}, length(11), []),
        ({"method": "PUT"}, length(11), []),
        ({"path": "/other"}, CHUNKED, [b"x" * 11]),
    ],
)
async def test_more_than_that_is_refused_and_so_it_is_elsewhere(where, headers, chunks):
    bodies = Bodies(drop, max_bytes=10, timeout=5, large=LARGE)
    with pytest.raises(BodyTooLarge):
        await bodies(scope(**where, headers=headers), sender(*chunks), drop)


async def test_only_some_large_bodies_are_held_at_once():
    inside, done = asyncio.Semaphore(0), asyncio.Event()

    async def app(_scope, _receive, _send):
        inside.release()
        await done.wait()

    bodies = Bodies(app, max_bytes=10, timeout=5, large=LARGE)
    held = []

    def start(size, owner="Ada", network=0):
        who = [*length(size), (b"owner", owner.encode())]
        with coming_from(Origin(address=f"192.0.2.{network}")):
            return asyncio.create_task(bodies(scope(headers=who), sender(b"x" * size), drop))

    async def hold(*who):
        held.append(start(50, *who))
        await inside.acquire()

    async def no_room(*who):
        with pytest.raises(Unavailable) as refused:
            await start(50, *who)
        assert refused.value.retry_after == 1

    # One owner has some of the room, wherever they come from.
    await hold("Ada", 0)
    await hold("Ada", 1)
    await no_room("Ada", 2)
    # One network has some of it, whoever is there.
    for n in range(LARGE_FROM_NETWORK - 1):
        await hold(f"neighbour {n}", 0)
    await no_room("neighbour", 0)
    # Others have the rest of it, and then nobody has any.
    for n in range(len(held), LARGE_AT_ONCE):
        await hold(f"other {n}", 100 + n)
    await no_room("Bob", 99)
    # Small ones are served meanwhile.
    held.append(start(5))
    await inside.acquire()
    done.set()
    await asyncio.gather(*held)
    await asyncio.gather(start(50), start(50))
    assert not bodies._held


@pytest.mark.parametrize("headers", [length(50), CHUNKED])
async def test_nobodys_large_body_is_refused_unread(headers):
    async def nobody(_scope):
        raise NotSignedIn

    bodies = Bodies(drop, max_bytes=10, timeout=5, large=LargeBodies(LARGE.limits, nobody))
    with pytest.raises(NotSignedIn) as refused:
        await bodies(scope(headers=headers), None, drop)
    assert refused.value.unread
    assert not bodies._held


async def test_a_large_body_may_come_slowly_and_a_small_one_may_not():
    async def receive():
        await asyncio.sleep(0.1)
        return {"type": "http.request", "body": b"x"}

    large = LargeBodies({("POST", "/documents"): 10 * LEAST_RATE}, owner_of)
    bodies = Bodies(drop_all, max_bytes=10, timeout=0.01, large=large)
    await bodies(scope(headers=length(10 * LEAST_RATE)), receive, drop)
    await bodies(scope(headers=CHUNKED), receive, drop)
    for slow in (scope(headers=length(1)), scope(path="/other", headers=CHUNKED)):
        with pytest.raises(RequestTooSlow):
            await bodies(slow, receive, drop)


@pytest.mark.parametrize(
    ("size", "seconds"), [(0, 10), (LEAST_RATE, 11), (14_000_000, 223.6), (1 << 40, LONGEST)]
)
def test_the_time_of_a_large_body_is_that_of_its_length_and_has_an_end(size, seconds):
    assert patience_for(size, 10) == pytest.approx(seconds, abs=0.1)


@pytest.mark.parametrize(
    ("client", "headers", "expected"),
    [
        (("192.0.2.7", 1), [], Origin("request-12345", "192.0.2.7", None)),
        (("2001:db8::7", 1), [], Origin("request-12345", "2001:db8::7", None)),
        (None, [], Origin("request-12345", None, None)),
        (("10.0.0.1", 1), [(b"x-forwarded-for", b"198.51.100.9, 192.0.2.8")], Origin("request-12345", "192.0.2.8", None)),
        (("192.0.2.7", 1), [(b"user-agent", b"B" * 300)], Origin("request-12345", "192.0.2.7", "B" * LONGEST_USER_AGENT)),
    ],
)  # fmt: skip
async def test_a_request_says_where_it_comes_from(client, headers, expected):
    seen = []

    async def app(_scope, _receive, _send):
        seen.append(current_origin())

    settings = Settings(
        public_url="https://lime.example",
        database_url="postgresql://unused",
        master_key="00" * 32,
        trusted_proxies="10.0.0.0/8",
    )
    trace = Trace(
        app,
        metrics=Metrics(),
        monotonic=lambda: 0.0,
        secure=True,
        access_log=False,
        trusted_proxies=settings.trusted_proxies,
    )
    named = [(b"x-request-id", b"request-12345"), *headers]
    await trace(scope(headers=named, client=client), sender(), drop)
    assert seen == [expected]


@pytest.mark.parametrize("choice", [{"kyc_provider": "scripted"}, {"kyc_webhook_secret": "s" * 32}])
def test_a_script_and_its_secret_go_together(choice):
    with pytest.raises(SettingsError, match="LIME_KYC_WEBHOOK_SECRET"):
        load(
            {},
            public_url="https://lime.example",
            database_url="postgresql://unused",
            master_key="00" * 32,
            **choice,
        )


def test_a_secret_for_webhooks_is_no_short_word():
    with pytest.raises(SettingsError) as refused:
        load(
            {},
            public_url="https://lime.example",
            database_url="postgresql://unused",
            master_key="00" * 32,
            kyc_provider="scripted",
            kyc_webhook_secret="hunter2",
        )
    assert "hunter2" not in str(refused.value)
