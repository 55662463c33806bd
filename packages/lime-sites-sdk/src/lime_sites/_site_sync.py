"""`LimeSiteSync`: the client for programs with threads."""

import asyncio
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import wait as wait_for_futures
from contextlib import ExitStack
from contextvars import Context
from queue import SimpleQueue
from threading import Event, Thread, current_thread
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from lime_sdk_core import ClosedError, Flow, LimeError, Request, SyncDriver
from lime_sdk_core._forks import lock_of
from lime_sites import _flows, _setup
from lime_sites._events import Inbox
from lime_sites._handling import Application, Attempt, ErrorHandler, LoginHandler
from lime_sites._listen import failure_of, listen
from lime_sites._setup import CLOSE_GRACE, KEYS_PATIENCE
from lime_sites._types import (
    Binding,
    BindingPage,
    BindingPassport,
    BindingRequestResult,
    LoginRequestResult,
    Passport,
)
from lime_sites.errors import ERRORS

if TYPE_CHECKING:
    from lime_sdk_core._http import SyncStream
    from lime_sites.mcp import LimeTokenVerifierSync

logger = logging.getLogger("lime_sites")

T = TypeVar("T")
H = TypeVar("H", bound=LoginHandler)
E = TypeVar("E", bound=ErrorHandler)


class LimeSiteSync:
    """One site, talking to LIME from a program without asyncio. Threads may share it.

    Use one per site and process. The event stream is read in daemon threads, which begin when the
    first `on_login` handler is registered; with a server that forks its workers, register in the
    worker. Arguments and errors are those of `LimeSite`, with an `httpx.Client`, and with fewer
    logins handled at a time, because each takes a thread.
    """

    def __init__(
        self,
        *,
        site_token: str | None = None,
        base_url: str | None = None,
        timeout: float = 30.0,
        max_retries: int = 3,
        sse_backoff_base: float = 0.5,
        http_client: object | None = None,
        issuer: str | None = None,
        site_id: str | None = None,
        jwks_cache_ttl: float | None = None,
        handler_concurrency: int = 4,
        allow_insecure_http: bool = False,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        options = _setup.Options(
            site_token=site_token,
            base_url=base_url,
            issuer=issuer,
            site_id=site_id,
            timeout=timeout,
            max_retries=max_retries,
            sse_backoff_base=sse_backoff_base,
            jwks_cache_ttl=jwks_cache_ttl,
            handler_concurrency=handler_concurrency,
            allow_insecure_http=allow_insecure_http,
        )
        config = options.config()
        self._stopped = Event()
        self._driver = SyncDriver(
            config,
            http_client,
            clock=clock,
            # So that `close` ends every pause.
            sleep=self._stopped.wait,
        )
        self._verifier = options.verifier(config, self, clock=clock, wall_clock=wall_clock)
        self._application = Application()
        self._backoff_base = sse_backoff_base
        self._handler_concurrency = handler_concurrency
        self._prepare(Inbox())
        self._lock = lock_of(self)
        self._listener: Thread | None = None
        self._workers: list[Thread] = []
        self._fetch: Thread | None = None
        self._failure: LimeError | None = None
        self._failure_is_known = False

    @property
    def issuer(self) -> str:
        """Whose passports this site accepts."""
        return self._verifier.issuer

    def on_login(self, handler: H) -> H:
        """Register `handler(request_id, passport)`, as `LimeSite.on_login` does.

        It is called in one of this client's threads; an async function gets an event loop there.
        """
        self._application.login_handlers.append(_for_threads(handler))
        self._listen_if_wanted()
        return handler

    def on_error(self, handler: E) -> E:
        """Register `handler(error)` for the background, as `LimeSite.on_error` does."""
        self._application.error_handlers.append(_for_threads(handler))
        return handler

    def create_login_request(self, redirect_url: str | None = None) -> LoginRequestResult:
        """Begin a login, as `LimeSite.create_login_request` does."""
        return self._run(_flows.create_login_request(redirect_url))

    def get_login_request(self, request_id: str, *, wait: int | None = None) -> LoginRequestResult:
        """Return one of this site's login requests, as `LimeSite.get_login_request` does."""
        return self._run(_flows.get_login_request(request_id, wait=wait))

    def wait_for_login(self, request_id: str, timeout: float = 300.0) -> Passport:
        """Wait for an approval, as `LimeSite.wait_for_login` does, and return its passport."""
        return self._run(_flows.wait_for_login(request_id, timeout, self._verifier))

    def verify_passport(self, jwt: str, *, expected_request_id: str | None = None) -> Passport:
        """Return the proven passport, or raise, as `LimeSite.verify_passport` does."""
        return self._run(self._verifier.verify(jwt, expected_request_id))

    def create_binding_request(
        self, *, redirect_uri: str, state: str | None = None, code_verifier: str | None = None
    ) -> BindingRequestResult:
        """Ask a user to bind an agent, as `LimeSite.create_binding_request` does."""
        return self._run(_flows.create_binding_request(redirect_uri, state, code_verifier))

    def exchange_binding_code(
        self,
        code: str,
        *,
        expected_binding_id: str,
        state: str | None = None,
        code_verifier: str | None = None,
    ) -> BindingPassport:
        """Exchange a code for a proven passport, as `LimeSite.exchange_binding_code` does."""
        flow = _flows.exchange_binding_code(
            code, expected_binding_id, state, code_verifier, self._verifier
        )
        return self._run(flow)

    def verify_binding_passport(
        self, jwt: str, *, expected_binding_id: str | None = None
    ) -> BindingPassport:
        """Return the proven binding passport, as `LimeSite.verify_binding_passport` does."""
        return self._run(self._verifier.verify_binding(jwt, expected_binding_id))

    def list_bindings(self, *, cursor: str | None = None, limit: int | None = None) -> BindingPage:
        """Return this site's bindings, as `LimeSite.list_bindings` does."""
        return self._run(_flows.list_bindings(cursor, limit))

    def get_binding(self, binding_id: str) -> Binding:
        """Return one of this site's bindings, as `LimeSite.get_binding` does."""
        return self._run(_flows.get_binding(binding_id))

    def end_binding(self, binding_id: str) -> Binding:
        """End one of this site's bindings, as `LimeSite.end_binding` does."""
        return self._run(_flows.end_binding(binding_id))

    def mcp_verifier(
        self,
        *,
        resource: str | None = None,
        domain: str | None = None,
        issuer: str | None = None,
        required_scopes: Sequence[str] | None = None,
    ) -> "LimeTokenVerifierSync":
        """Return a verifier of this site's MCP access tokens, on this client's connections.

        It shares the cache of signing keys, and ends with this client. Needs the extra `mcp`.

        Args:
            resource: the URL of the MCP server.
            domain: its host name; one of the two is needed, see `LimeTokenVerifierSync`.
            issuer: LIME's OAuth issuer, if it is not the API base with `/modules/oauth` behind it.
            required_scopes: what a token needs; `mcp` if not given.

        Raises:
            UnpinnedVerifierError: there is neither resource nor domain.
            ConfigurationError: one of them cannot be used.
        """
        from lime_sites.mcp import _verifier  # noqa: PLC0415 - only MCP servers have the extra

        return _verifier.LimeTokenVerifierSync(
            resource=resource,
            domain=domain,
            issuer=issuer,
            required_scopes=_verifier.DEFAULT_SCOPES
            if required_scopes is None
            else required_scopes,
            shared=_verifier.Shared(
                self._driver, self._verifier.cache, self, self._verifier.wall_clock
            ),
        )

    def run(self) -> None:
        """Receive logins until another thread calls `close`, for a program that does nothing else.

        Raises:
            LimeError: LIME does not want this site any more.
            ClosedError: the client was closed before.
        """
        if self._stopped.is_set():
            raise ClosedError("this client is closed")
        self._start_listening().join()
        self._raise_failure()

    def close(self) -> None:
        """Stop receiving, let running handlers end for at most 5 s, and close the connections.

        Raises:
            LimeError: LIME had refused this site, and neither `run` nor `on_error` had said so.
        """
        self._stopped.set()
        self._link.abort()
        with self._lock:
            threads = [self._listener, *self._workers]
        for _ in self._workers:
            self._work.put(None)
        deadline = time.monotonic() + CLOSE_GRACE
        for thread in threads:
            if thread is not None and thread is not current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))
        self._driver.close()
        if not self._failure_is_known:
            self._raise_failure()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc is not None:
            # What went wrong inside is what the caller has to see.
            self._failure_is_known = True
        self.close()

    def _run(self, flow: Flow[T]) -> T:
        self._listen_if_wanted()
        return self._driver.run(flow)

    def _listen_if_wanted(self) -> None:
        if self._application.login_handlers and not self._stopped.is_set():
            self._start_listening()

    def _start_listening(self) -> Thread:
        with self._lock:
            gone = self._listener is not None and not self._listener.is_alive()
            if self._listener is None or (gone and self._failure is None):
                # After a fork the parent's threads are gone, and this process needs its own. Where
                # only the listener has ended, its workers go on with what is in hand.
                if not any(worker.is_alive() for worker in self._workers):
                    self._prepare(self._inbox.heir())
                    self._workers = [
                        _daemon(self._work_off, f"lime-sites-handler-{number}")
                        for number in range(self._handler_concurrency)
                    ]
                self._listener = _daemon(self._listen, "lime-sites-events")
            return self._listener

    def _prepare(self, inbox: Inbox) -> None:
        """Begin without work: what a fork's parent has in hand is handled there."""
        self._inbox = inbox
        self._work: SimpleQueue[Flow[None] | None] = SimpleQueue()
        self._link = _Link(self._driver, self._stopped, self._work.put)

    def _listen(self) -> None:
        conversation = listen(
            self._link,
            self._application,
            self._inbox,
            consumer=_setup.consumer_id(),
            backoff_base=self._backoff_base,
        )
        try:
            self._driver.run(conversation)
        except Exception as error:  # noqa: BLE001 - whatever it is, the application has to see it
            if self._stopped.is_set():
                return
            self._failure = failure_of(error)
            self._failure_is_known = bool(self._application.error_handlers)
            self._driver.run(self._application.report(self._failure))
        finally:
            self._link.close()

    def _work_off(self) -> None:
        while (work := self._work.get()) is not None:
            if self._stopped.is_set():
                # Not begun and not acknowledged: another worker gets it.
                work.close()
                continue
            try:
                self._driver.run(work)
            # Whatever it is would end this thread only, and perhaps unnoticed.
            except BaseException:
                logger.exception("an event could not be worked off")

    def _raise_failure(self) -> None:
        self._failure_is_known = True
        if self._failure is not None:
            raise self._failure

    # What the verifier needs of its host.

    def background(self, flow: Flow[None]) -> None:
        """Run `flow` in a thread of its own: who has usable keys does not wait for newer ones."""
        self._fetch = _daemon(lambda: self._driver.run(flow), "lime-sites-keys")

    def await_landing(self, landed: Future[None]) -> None:
        """Wait for somebody's fetch of the keys."""
        wait_for_futures([landed], timeout=KEYS_PATIENCE)


class _Link:
    """The event stream of a blocking client. All but `abort` runs in the listening thread."""

    def __init__(
        self, driver: SyncDriver, stopped: Event, start: Callable[[Flow[None]], None]
    ) -> None:
        self._driver = driver
        self._stopped = stopped
        self._connection = ExitStack()
        self._chunks: SyncStream | None = None
        self.start = start

    def open(self, request: Request) -> Mapping[str, str]:
        """Connect and return the answer's headers."""
        self._check_open()
        stream = self._connection.enter_context(self._driver.stream(request, errors=ERRORS))
        self._chunks = stream
        # `abort` may have come before there was anything to abort.
        self._check_open()
        return stream.headers

    def read(self) -> bytes:
        """Return the next bytes, or none at the end."""
        chunk = b""
        try:
            chunk = next(self._chunks, b"")  # type: ignore[arg-type]  # opened before it is read
        finally:
            # Whatever the read says, it may be only the echo of `abort`.
            self._check_open()
        return chunk

    def close(self) -> None:
        """Disconnect."""
        self._chunks = None
        self._connection.close()

    def abort(self) -> None:
        """Wake up the listening thread, from another one."""
        chunks = self._chunks
        if chunks is not None:
            chunks.abort()

    def _check_open(self) -> None:
        if self._stopped.is_set():
            raise ClosedError("this client is closed")


def _for_threads(handler: Callable[..., object]) -> Attempt:
    """Return `handler` such that it can be called without an event loop, and ends no thread."""

    def attempt(*args: object) -> BaseException | None:
        try:
            result = handler(*args)
            if inspect.isawaitable(result):
                asyncio.run(_await(result))
        # Also `SystemExit` and `KeyboardInterrupt`: in our threads, none of which is the main one,
        # they would not end the program, but only what the thread is for.
        except BaseException as error:  # noqa: BLE001 - `Application` logs and reports it
            return error
        return None

    return attempt


async def _await(result: Awaitable[object]) -> None:
    await result


def _daemon(work: Callable[[], None], name: str) -> Thread:
    # Without the context variables of who starts it, which some builds of Python would hand on.
    thread = Thread(target=Context().run, args=(work,), name=name, daemon=True)
    thread.start()
    return thread
