"""Idempotency-Key: done once, answered twice."""

import asyncio
import itertools
from datetime import timedelta

import pytest

from lime_server.core.errors import (
    IdempotencyKeyInUse,
    IdempotencyKeyReused,
    InvalidInput,
    NotFound,
    Unavailable,
)
from lime_server.infrastructure.memory.answers import MemoryAnswers
from lime_server.infrastructure.postgres import answers as postgres_answers
from lime_server.infrastructure.postgres.answers import PostgresAnswers
from lime_server.infrastructure.web import idempotency
from lime_server.infrastructure.web.idempotency import Answer, Idempotency, Record

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
OWNERS = [f"00000000-0000-4000-8000-{n:012}" for n in range(100)]
ANSWER = Answer(201, "application/json", b'{"token":"st_shown_once"}')


@pytest.fixture
def store(request, derived):
    if request.param == "memory":
        return MemoryAnswers()
    return PostgresAnswers(request.getfixturevalue("database"), derived.answers)


both = pytest.mark.parametrize("store", ["memory", "postgres"], indirect=True)


# The store


def begin(store, clock, owner=0, fingerprint=b"body"):
    now = clock.now()
    return store.begin(b"scope", fingerprint, owner=OWNERS[owner], now=now, until=now + MINUTE)


@both
async def test_the_first_one_takes_the_key_and_the_second_learns_that_it_did(store, clock):
    assert await begin(store, clock, 0) is None
    assert await begin(store, clock, 1, b"other") == Record(b"body", None)


@both
async def test_of_many_at_once_one_takes_the_key(store, clock):
    found = await asyncio.gather(*(begin(store, clock, n) for n in range(10)))
    assert found.count(None) == 1


@both
async def test_an_answer_is_kept_until_it_expires(store, clock):
    await begin(store, clock)
    await store.finish(b"scope", ANSWER, owner=OWNERS[0], expires_at=clock.now() + DAY)
    clock.advance(86399)
    assert await begin(store, clock, 1) == Record(b"body", ANSWER)
    clock.advance(1)
    assert await begin(store, clock, 1, b"new") is None
    assert await begin(store, clock, 2) == Record(b"new", None)


@both
async def test_a_crash_in_between_locks_nobody_out_for_long(store, clock):
    await begin(store, clock, 0)
    clock.advance(59)
    assert await begin(store, clock, 1) is not None
    clock.advance(1)
    assert await begin(store, clock, 1) is None
    # Whoever was taken for dead does not overwrite the other's work.
    await store.finish(b"scope", ANSWER, owner=OWNERS[0], expires_at=clock.now() + DAY)
    await store.abandon(b"scope", owner=OWNERS[0])
    assert await begin(store, clock, 2) == Record(b"body", None)


@both
async def test_an_abandoned_key_is_free(store, clock):
    await begin(store, clock, 0)
    await store.abandon(b"scope", owner=OWNERS[0])
    assert await begin(store, clock, 1) is None


@both
async def test_an_answer_cannot_be_abandoned(store, clock):
    await begin(store, clock, 0)
    await store.finish(b"scope", ANSWER, owner=OWNERS[0], expires_at=clock.now() + DAY)
    await store.abandon(b"scope", owner=OWNERS[0])
    assert await begin(store, clock, 1) == Record(b"body", ANSWER)


@both
async def test_what_has_expired_is_swept(store, clock, monkeypatch):
    monkeypatch.setattr(postgres_answers, "BATCH", 2)
    now = clock.now()
    for n in range(5):
        await store.begin(b"%d" % n, b"", owner=OWNERS[n], now=now, until=now + MINUTE)
    await begin(store, clock)
    await store.finish(b"scope", ANSWER, owner=OWNERS[0], expires_at=now + DAY)
    assert await store.sweep(now) == 0
    assert await store.sweep(now + MINUTE) == 5
    assert await begin(store, clock, 1) is not None


async def test_a_kept_answer_cannot_be_read_in_the_database(database, derived, clock):
    store = PostgresAnswers(database, derived.answers)
    await begin(store, clock)
    await store.finish(b"scope", ANSWER, owner=OWNERS[0], expires_at=clock.now() + DAY)
    row = await database.fetchrow("SELECT * FROM infrastructure.idempotency")
    assert b"shown_once" not in row["sealed_body"]


async def test_a_key_that_is_freed_while_being_looked_up_is_taken(derived, clock):
    class Database:
        """Says once that the key is taken, and then that there is no such row."""

        taken = iter([None, True])

        async def fetchval(self, *_):
            return next(self.taken)

        async def fetchrow(self, *_):
            return None

    assert await begin(PostgresAnswers(Database(), derived.answers), clock) is None


# The middleware


class Application:
    """Answers what it is told to, and counts."""

    def __init__(self) -> None:
        self.runs = 0
        self.bodies = []
        self.status = 201
        self.headers = [(b"content-type", b"application/json")]
        self.chunks = [b"answer ", b"%d"]
        self.error = None
        self.gate = None

    async def __call__(self, scope, receive, send):
        self.runs += 1
        run = self.runs
        self.bodies.append((await receive())["body"])
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        for n, chunk in enumerate(self.chunks, 1):
            body = chunk % run if b"%d" in chunk else chunk
            more = n < len(self.chunks)
            await send({"type": "http.response.body", "body": body, "more_body": more})


class Caller:
    """Sends requests through the middleware."""

    def __init__(self, middleware) -> None:
        self.middleware = middleware

    async def __call__(self, body=b"{}", key="key-1", method="POST", path="/x", **headers):
        if key is not None:
            headers["idempotency-key"] = key
        request = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": [
                (name.replace("_", "-").encode(), value.encode("latin-1"))
                for name, value in headers.items()
            ],
        }
        sent = []

        async def receive():
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message):
            sent.append(message)

        await self.middleware(request, receive, send)
        head = dict(sent[0]["headers"])
        content = b"".join(message["body"] for message in sent[1:])
        return sent[0]["status"], content, b"idempotency-replayed" in head


@pytest.fixture
def app():
    return Application()


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def make_call(app, derived, clock, pauses):
    def make(store):
        async def sleep(seconds):
            pauses.append(seconds)
            await asyncio.sleep(0)

        owners = itertools.cycle(OWNERS)
        return Caller(
            Idempotency(
                app,
                store=store,
                hasher=derived.tokens,
                clock=clock,
                new_owner=lambda: next(owners),
                sleep=sleep,
            )
        )

    return make


@pytest.fixture
def call(make_call):
    return make_call(MemoryAnswers())


@both
async def test_the_same_request_gets_the_first_answer_again(make_call, store, app):
    call = make_call(store)
    assert await call() == (201, b"answer 1", False)
    assert await call() == (201, b"answer 1", True)
    assert app.runs == 1
    assert app.bodies == [b"{}"]


async def test_the_same_key_with_another_body_is_refused(call, app):
    await call()
    with pytest.raises(IdempotencyKeyReused):
        await call(body=b"{ }")
    assert app.runs == 1


@pytest.mark.parametrize(
    "change",
    [
        {"key": "key-2"},
        {"method": "DELETE"},
        {"path": "/y"},
        {"x_agent_token": "at_other"},
        {"x_site_token": "st_other"},
        {"cookie": "session=1"},
        {"authorization": "Basic x"},
    ],
)
async def test_another_request_is_another_request(call, app, change):
    await call()
    assert await call(**change) == (201, b"answer 2", False)


@pytest.mark.parametrize("request_", [{"key": None}, {"method": "GET"}])
async def test_without_a_key_or_a_need_nothing_is_remembered(call, app, request_):
    await call(**request_)
    await call(**request_)
    assert app.runs == 2


async def test_what_is_not_http_is_passed_on(call):
    seen = []

    async def app(scope, receive, send):
        seen.append(scope)

    call.middleware._app = app
    await call.middleware({"type": "lifespan"}, None, None)
    assert seen == [{"type": "lifespan"}]


@pytest.mark.parametrize("key", ["", "white space", "x" * 256, "é"])
async def test_a_key_is_visible_ascii(call, key):
    with pytest.raises(InvalidInput, match="Idempotency-Key"):
        await call(key=key)


async def test_an_answer_is_forgotten_after_its_window(call, app, clock):
    await call()
    clock.advance(24 * 3600)
    assert await call() == (201, b"answer 2", False)


@pytest.mark.parametrize("status", [200, 204, 410])
async def test_answers_that_will_not_change_are_kept(call, app, status):
    app.status = status
    assert await call() == (status, b"answer 1", False)
    assert await call() == (status, b"answer 1", True)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 408, 409, 413, 422, 429, 500, 503])
async def test_answers_that_may_change_are_not_kept(call, app, status):
    app.status = status
    await call()
    app.status = 200
    assert await call() == (200, b"answer 2", False)


async def test_an_answer_without_a_type_is_kept_without_one(call, app):
    app.headers = []
    await call()
    assert await call() == (201, b"answer 1", True)


@pytest.mark.parametrize("error", [NotFound(), RuntimeError("bug"), Unavailable()])
async def test_an_error_frees_the_key(call, app, error):
    app.error = error
    with pytest.raises(type(error)):
        await call()
    app.error = None
    assert await call() == (201, b"answer 2", False)


async def test_an_answer_too_large_to_keep_is_still_given(call, app):
    app.chunks = [b"x" * idempotency.LARGEST_ANSWER, b"y", b"z"]
    for run in (1, 2):
        status, body, replayed = await call()
        assert (status, len(body), replayed) == (201, idempotency.LARGEST_ANSWER + 2, False)
        assert app.runs == run


async def test_a_request_that_was_cut_off_frees_the_key(call, app, until):
    app.gate = asyncio.Event()
    first = asyncio.create_task(call())
    await until(lambda: app.runs)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    app.gate = None
    assert await call() == (201, b"answer 2", False)


@both
async def test_of_two_at_once_one_runs_and_both_get_its_answer(make_call, store, app):
    call = make_call(store)
    app.gate = asyncio.Event()

    async def sleep(seconds):
        # The second one waits: now the first may go on, and the pause ends when it is done.
        app.gate.set()
        await asyncio.wait(two, return_when=asyncio.FIRST_COMPLETED)

    call.middleware._sleep = sleep
    two = [asyncio.create_task(call()) for _ in range(2)]
    answers = await asyncio.gather(*two)
    assert sorted(answers) == [(201, b"answer 1", False), (201, b"answer 1", True)]
    assert app.runs == 1


async def test_nobody_waits_for_ever(call, app, pauses, until):
    app.gate = asyncio.Event()
    first = asyncio.create_task(call())
    await until(lambda: app.runs)
    with pytest.raises(IdempotencyKeyInUse) as caught:
        await call()
    assert caught.value.retry_after == 1
    assert pauses[:5] == [0.01, 0.02, 0.05, 0.1, 0.1]
    assert idempotency.WAIT <= sum(pauses) <= idempotency.WAIT + 0.1
    app.gate.set()
    assert await first == (201, b"answer 1", False)


async def test_a_store_that_cannot_answer_stops_the_request(make_call, app):
    class Absent(MemoryAnswers):
        async def begin(self, *args, **kwargs):
            raise Unavailable

    with pytest.raises(Unavailable):
        await make_call(Absent())()
    assert app.runs == 0


async def test_a_store_that_cannot_keep_an_answer_does_not_take_it_back(make_call, app):
    class Forgetful(MemoryAnswers):
        async def finish(self, *args, **kwargs):
            raise Unavailable

    assert await make_call(Forgetful())() == (201, b"answer 1", False)


async def test_an_answer_is_repeated_only_to_whoever_could_still_ask(app, derived, clock):
    good = True

    async def recheck(scope):
        if not good:
            raise NotFound

    call = Caller(
        Idempotency(
            app,
            store=MemoryAnswers(),
            hasher=derived.tokens,
            clock=clock,
            new_owner=lambda: OWNERS[0],
            recheck=recheck,
        )
    )
    assert await call() == (201, b"answer 1", False)
    assert await call() == (201, b"answer 1", True)
    good = False
    with pytest.raises(NotFound):
        await call()
    assert app.runs == 1


async def test_an_answer_that_sets_a_cookie_is_not_kept(app, make_call):
    app.headers = [*app.headers, (b"set-cookie", b"lime_session=secret")]
    call = make_call(MemoryAnswers())
    assert await call() == (201, b"answer 1", False)
    assert await call() == (201, b"answer 2", False)
