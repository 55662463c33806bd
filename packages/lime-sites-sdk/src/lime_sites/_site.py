"""`LimeSite`: the client for asyncio."""

import asyncio
import inspect
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from lime_sdk_core import AsyncDriver, ClosedError, Flow, LimeError, Request
from lime_sites import _flows, _setup
from lime_sites._events import Inbox
from lime_sites._handling import Application, Attempt, ErrorHandler, LoginHandler
from lime_sites._listen import failure_of, listen
from lime_sites._setup import CLOSE_GRACE, KEYS_PATIENCE
from lime_sites._tasks import detached, end, keep
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
    from lime_sites.mcp import LimeTokenVerifier

logger = logging.getLogger("lime_sites")

T = TypeVar("T")
H = TypeVar("H", bound=LoginHandler)
E = TypeVar("E", bound=ErrorHandler)


class LimeSite:
    """One site, talking to LIME from an asyncio program.

    Use one per site and process. The event stream is opened when the first `on_login` handler is
    registered, or, if no event loop was running then, with the first call that is awaited.

    Args:
        site_token: the site's secret; `LIME_SITE_TOKEN` if not given.
        base_url: the API base including `/api/v1`; `LIME_API_BASE` if not given. There is no
            default: the token must not go to a host that nobody chose.
        timeout: seconds that one call may take, retries included.
        max_retries: repetitions of a call that failed and may be repeated.
        sse_backoff_base: bound in seconds of the first pause before the stream is opened again;
            it doubles up to 30 s, and each pause is drawn evenly below it.
        http_client: an `httpx.AsyncClient` for proxies, certificates or tests; yours to close.
        issuer: the public URL of LIME, if it is not the API base without `/api/v1`.
        site_id: this site's id; asked for once, when it is needed, if not given.
        jwks_cache_ttl: seconds for which signing keys count as fresh;
            `LIME_JWKS_CACHE_TTL_SECONDS`, or 300, if not given.
        handler_concurrency: logins that are handled at the same time; the events of one login
            are always handled one after the other.
        allow_insecure_http: send the token over plain http to another machine.
        clock: monotonic seconds, for tests.
        wall_clock: Unix seconds, for tests.

    Raises:
        AuthenticationError: there is no site token.
        ConfigurationError: something else is missing or impossible; the message says what to set.
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
        handler_concurrency: int = 16,
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
        self._driver = AsyncDriver(config, http_client, clock=clock)
        self._verifier = options.verifier(config, self, clock=clock, wall_clock=wall_clock)
        self._application = Application()
        self._inbox = Inbox()
        self._backoff_base = sse_backoff_base
        self._handler_concurrency = handler_concurrency
        self._listener: asyncio.Task[None] | None = None
        self._work: set[asyncio.Task[None]] = set()
        self._fetches: set[asyncio.Task[None]] = set()
        self._failure: LimeError | None = None
        self._failure_is_known = False
        self._closed = False

    @property
    def issuer(self) -> str:
        """Whose passports this site accepts."""
        return self._verifier.issuer

    def on_login(self, handler: H) -> H:
        """Register `handler(request_id, passport)`, async or plain, for the logins of this site.

        `passport` is an unverified JWT for `verify_passport`, or None when nobody will come:
        the request expired or was denied. A plain function is called in a thread of its own. No
        context variable is set: the login is not part of the call that opened the stream.

        The event is acknowledged when every handler has returned. One that raises is logged and
        reported to `on_error`, and LIME delivers the event again while the login can still be
        used: be ready to see a request id twice.
        """
        self._application.login_handlers.append(_for_asyncio(handler))
        self._listen_if_possible()
        return handler

    def on_error(self, handler: E) -> E:
        """Register `handler(error)`, async or plain, for what goes wrong in the background.

        It is told of a stream that broke (and is opened again), of a login handler that raised
        (`HandlerError`), and of the end of the stream when LIME refuses this site's token.
        """
        self._application.error_handlers.append(_for_asyncio(handler))
        return handler

    async def create_login_request(self, redirect_url: str | None = None) -> LoginRequestResult:
        """Begin a login; hand the `request_id` to the agent by any channel.

        Args:
            redirect_url: where the login should lead, repeated in its events.
        """
        return await self._run(_flows.create_login_request(redirect_url))

    async def get_login_request(
        self, request_id: str, *, wait: int | None = None
    ) -> LoginRequestResult:
        """Return one of this site's login requests as it stands.

        Args:
            request_id: which one.
            wait: seconds, at most 30, that LIME may hold the answer until the request is final.
                With it (0 as well), an approved request carries a fresh passport.

        Raises:
            ApiError: 404 if this site has no such request.
            ValueError: `request_id` is no id.
        """
        return await self._run(_flows.get_login_request(request_id, wait=wait))

    async def wait_for_login(self, request_id: str, timeout: float = 300.0) -> Passport:  # noqa: ASYNC109 - LIME holds the answer that long
        """Wait until an agent approved and return its proven passport. Needs no event stream.

        Args:
            request_id: which login request.
            timeout: most seconds to wait.

        Raises:
            RequestExpiredError: nobody came.
            RequestDeniedError: the agent refused.
            LoginTimeoutError: nobody answered within `timeout`.
            LimeError: LIME refused, or cannot be reached.
        """
        return await self._run(_flows.wait_for_login(request_id, timeout, self._verifier))

    async def verify_passport(
        self, jwt: str, *, expected_request_id: str | None = None
    ) -> Passport:
        """Return the proven passport, or raise. Needs no I/O once the keys are known.

        Args:
            jwt: what the login handler got.
            expected_request_id: the login request it must answer. Without it, the passport must
                have been made for this very site.

        Raises:
            InvalidPassportError: it proves nothing; the log says why.
            KeysUnavailableError: the signing keys cannot be had, so nothing is known about it.
        """
        return await self._run(self._verifier.verify(jwt, expected_request_id))

    async def create_binding_request(
        self, *, redirect_uri: str, state: str | None = None, code_verifier: str | None = None
    ) -> BindingRequestResult:
        """Ask a signed-in user of yours to bind an agent; send their browser to `connect_url`.

        First keep `binding_id` in the browser's session at your site: the answer counts only in
        that browser. It comes back to `redirect_uri` with `binding_code` and `state`, or with
        `error=access_denied`.

        Args:
            redirect_uri: one of your site's list at LIME, to the letter.
            state: comes back with the browser; LIME makes one if there is none.
            code_verifier: a secret for this browser's session, 43 to 128 URL-safe characters, for
                example `secrets.token_urlsafe(32)`. LIME sees only its hash, and exchanges the
                code for nobody without it.

        Raises:
            ApiError: 400 `REDIRECT_URI_NOT_LISTED`.
            ValueError: `code_verifier` is none.
        """
        return await self._run(_flows.create_binding_request(redirect_uri, state, code_verifier))

    async def exchange_binding_code(
        self,
        code: str,
        *,
        expected_binding_id: str,
        state: str | None = None,
        code_verifier: str | None = None,
    ) -> BindingPassport:
        """Exchange the `binding_code` that a browser brought, and return the proven passport.

        Pass what this browser's session holds, and nothing that the browser says besides the code.
        A code that belongs to another binding, state or verifier is refused and not spent.

        Args:
            code: from the query of the redirect.
            expected_binding_id: the `binding_id` of the request that this session made.
            state: its `state`, if the session holds it.
            code_verifier: what `create_binding_request` was given, if anything.

        Raises:
            BindingCodeError: it cannot be exchanged. Nothing was bound; begin again.
            InvalidPassportError: LIME's answer proves nothing.
            KeysUnavailableError: the signing keys cannot be had. The code is not spent.
            LimeError: LIME refused, or cannot be reached. The same call may be made again while
                the code lives: if it was spent, LIME repeats its first answer.
        """
        flow = _flows.exchange_binding_code(
            code, expected_binding_id, state, code_verifier, self._verifier
        )
        return await self._run(flow)

    async def verify_binding_passport(
        self, jwt: str, *, expected_binding_id: str | None = None
    ) -> BindingPassport:
        """Return the proven binding passport, or raise, for a code that you exchanged by hand.

        It must have been made for this very site.

        Args:
            jwt: what LIME gave for the code.
            expected_binding_id: the binding it must be of. Without it, compare `binding_id`
                with the request that this browser's session made.

        Raises:
            InvalidPassportError: it proves nothing; the log says why.
            KeysUnavailableError: the signing keys cannot be had, so nothing is known about it.
        """
        return await self._run(self._verifier.verify_binding(jwt, expected_binding_id))

    async def list_bindings(
        self, *, cursor: str | None = None, limit: int | None = None
    ) -> BindingPage:
        """Return this site's bindings, latest request first, ended ones too.

        Args:
            cursor: `next_cursor` of the page before.
            limit: most bindings of this page.
        """
        return await self._run(_flows.list_bindings(cursor, limit))

    async def get_binding(self, binding_id: str) -> Binding:
        """Return one of this site's bindings as it stands, also one that nobody answered.

        Raises:
            ApiError: 404 if this site has no such binding.
            ValueError: `binding_id` is no id.
        """
        return await self._run(_flows.get_binding(binding_id))

    async def end_binding(self, binding_id: str) -> Binding:
        """End one of this site's bindings. May be repeated. Raises as `get_binding` does."""
        return await self._run(_flows.end_binding(binding_id))

    def mcp_verifier(
        self,
        *,
        resource: str | None = None,
        domain: str | None = None,
        issuer: str | None = None,
        required_scopes: Sequence[str] | None = None,
    ) -> "LimeTokenVerifier":
        """Return a verifier of this site's MCP access tokens, on this client's connections.

        It shares the cache of signing keys, and ends with this client. Needs the extra `mcp`.

        Args:
            resource: the URL of the MCP server.
            domain: its host name; one of the two is needed, see `LimeTokenVerifier`.
            issuer: LIME's OAuth issuer, if it is not the API base with `/modules/oauth` behind it.
            required_scopes: what a token needs; `mcp` if not given.

        Raises:
            UnpinnedVerifierError: there is neither resource nor domain.
            ConfigurationError: one of them cannot be used.
        """
        from lime_sites.mcp import _verifier  # noqa: PLC0415 - only MCP servers have the extra

        return _verifier.LimeTokenVerifier(
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

    async def run(self) -> None:
        """Receive logins until `aclose`, for a program that does nothing else.

        Raises:
            LimeError: LIME does not want this site any more.
            ClosedError: the client was closed before.
        """
        if self._closed:
            raise ClosedError("this client is closed")
        await asyncio.wait([self._start_listening()])
        self._raise_failure()

    async def aclose(self) -> None:
        """Stop receiving, let running handlers end for at most 5 s, and close the connections.

        Raises:
            LimeError: LIME had refused this site, and neither `run` nor `on_error` had said so.
        """
        self._closed = True
        if self._listener is not None:
            await end({self._listener}, grace=0)
        await end(self._work, grace=CLOSE_GRACE)
        await end(self._fetches, grace=0)
        await self._driver.aclose()
        if not self._failure_is_known:
            self._raise_failure()

    async def __aenter__(self) -> Self:
        self._listen_if_possible()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc is not None:
            # What went wrong inside is what the caller has to see.
            self._failure_is_known = True
        await self.aclose()

    async def _run(self, flow: Flow[T]) -> T:
        self._listen_if_possible()
        return await self._driver.run(flow)

    def _listen_if_possible(self) -> None:
        if self._application.login_handlers and not self._closed and _loop_is_running():
            self._start_listening()

    def _start_listening(self) -> asyncio.Task[None]:
        old = self._listener
        # A program may call `asyncio.run` more than once; a listener ends with its loop. It may
        # also have been cancelled, by somebody who cancelled every task.
        gone = old is not None and (old.done() or old.get_loop().is_closed())
        if old is None or (gone and self._failure is None):
            # What is in hand in this very loop stays in hand.
            if old is None or old.get_loop() is not asyncio.get_running_loop():
                self._inbox = self._inbox.heir()
                self._slots = asyncio.Semaphore(self._handler_concurrency)
                self._link = _Link(self._driver, self._start)
            self._listener = detached(self._listen(), "lime-sites-events")
            return self._listener
        return old

    async def _listen(self) -> None:
        conversation = listen(
            self._link,
            self._application,
            self._inbox,
            consumer=_setup.consumer_id(),
            backoff_base=self._backoff_base,
        )
        try:
            await self._driver.run(conversation)
        except Exception as error:  # noqa: BLE001 - whatever it is, the application has to see it
            self._failure = failure_of(error)
            self._failure_is_known = bool(self._application.error_handlers)
            await self._driver.run(self._application.report(self._failure))
        finally:
            await self._link.close()

    def _raise_failure(self) -> None:
        self._failure_is_known = True
        if self._failure is not None:
            raise self._failure

    def _start(self, work: Flow[None]) -> None:
        keep(self._work, self._in_turn(work))

    async def _in_turn(self, work: Flow[None]) -> None:
        async with self._slots:
            if self._closed:
                # Not begun and not acknowledged: another worker gets it.
                work.close()
                return
            try:
                await self._driver.run(work)
            except Exception:
                logger.exception("an event could not be worked off")

    # What the verifier needs of its host.

    def background(self, flow: Flow[None]) -> None:
        """Run `flow` in a task of its own, which no caller's cancellation ends."""
        keep(self._fetches, self._driver.run(flow))

    async def await_landing(self, landed: Future[None]) -> None:
        """Wait for somebody's fetch of the keys."""
        await asyncio.wait([asyncio.wrap_future(landed)], timeout=KEYS_PATIENCE)


class _Link:
    """The event stream of an asyncio client."""

    def __init__(self, driver: AsyncDriver, start: Callable[[Flow[None]], None]) -> None:
        self._driver = driver
        self._connection = AsyncExitStack()
        self._chunks: AsyncIterator[bytes]
        self.start = start

    async def open(self, request: Request) -> Mapping[str, str]:
        stream = self._driver.stream(request, errors=ERRORS)
        self._chunks = chunks = await self._connection.enter_async_context(stream)
        return chunks.headers

    async def read(self) -> bytes:
        return await anext(self._chunks, b"")

    async def close(self) -> None:
        await self._connection.aclose()


def _for_asyncio(handler: Callable[..., object]) -> Attempt:
    """Return `handler` such that it never holds up the event loop, nor ends its task."""
    # Wanted is the method itself, to see whether it is async, and not just whether there is one.
    called = handler if inspect.isroutine(handler) else getattr(handler, "__call__", handler)  # noqa: B004
    is_async = inspect.iscoroutinefunction(called)

    async def attempt(*args: object) -> BaseException | None:
        try:
            result = handler(*args) if is_async else await asyncio.to_thread(handler, *args)
            if inspect.isawaitable(result):
                await result
        except asyncio.CancelledError as error:
            if _is_being_cancelled():
                raise
            # The handler's own, or of something that it waited for.
            return error
        # Somebody wants the program to end; or this coroutine is closed, and must not go on.
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001 - `Application` logs and reports it
            return error
        return None

    return attempt


def _is_being_cancelled() -> bool:
    """Has somebody asked for the end of the current task?"""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _loop_is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
