"""The fake LIME."""

import json
import secrets
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED
from concurrent.futures import wait as wait_for_futures
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import cache
from threading import RLock
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

import httpx

from lime_jwt import TYP_ACCESS, TYP_BINDING, TYP_LOGIN, SigningKey, encode_jwks
from lime_sdk_core import mount
from lime_sites._site import LimeSite
from lime_sites._site_sync import LimeSiteSync
from lime_sites._types import APPROVED
from lime_sites.testing._bindings import BINDING_LIFETIME, FakeBinding
from lime_sites.testing._records import FakeEvent, FakeLogin, Promise, first_of, promise
from lime_sites.testing._streams import AsyncStream, BlockingStream, End, Stream

LIFETIME: Final = 300
"""Seconds of life of a login request: protocol section 10."""

PASSPORT_LIFETIME: Final = 60
"""Seconds of life of a passport: protocol section 10."""

ACCESS_LIFETIME: Final = 300
"""Seconds of life of an access token: protocol section 10."""


class FakeLime:
    """What a site sees of LIME.

    Attributes:
        base_url: its API base. The name never resolves (RFC 6761), so nothing leaves the process.
        issuer: the `iss` of its passports.
        oauth_issuer: the `iss` of its access tokens.
        site_id: the site that the token belongs to.
        site_token: the token that it accepts.
        logins: all login requests, by id.
        bindings: all agent bindings, by id.
        calls: method and path of every request so far, for assertions.
        transport: an httpx transport that ends here, for clients of your own.
    """

    def __init__(
        self,
        *,
        issuer: str = "https://fake-lime-for-sites.invalid",
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.issuer = issuer
        self.base_url = f"{issuer}/api/v1"
        self.oauth_issuer = f"{self.base_url}/modules/oauth"
        self.site_id = str(uuid4())
        self.site_token = f"st_{secrets.token_urlsafe(32)}"
        self.logins: dict[str, FakeLogin] = {}
        self.bindings: dict[str, FakeBinding] = {}
        # By Idempotency-Key and body: what was answered when a code was exchanged.
        self._exchanged: dict[tuple[str, bytes], bytes] = {}
        self.calls: list[tuple[str, str]] = []
        self.transport = _Transport(self)
        self._wall_clock = wall_clock
        self._lock = RLock()
        self._events: dict[str, FakeEvent] = {}
        self._streams: list[Stream] = []
        self._key_number = 0
        self._keys = [_key(0)]
        self._is_down = False
        self._refusal: tuple[int, str] | None = None
        self._planned: list[httpx.Response] = []
        self._trouble = promise()

    # Clients.

    def site(self, **options: Any) -> LimeSite:
        """Return a client of this fake; `options` as for `LimeSite`."""
        client = httpx.AsyncClient(transport=self.transport)
        given = {"site_token": self.site_token, "base_url": self.base_url, "http_client": client}
        return LimeSite(**{**given, **options})

    def site_sync(self, **options: Any) -> LimeSiteSync:
        """Return a blocking client of this fake; `options` as for `LimeSiteSync`."""
        client = httpx.Client(transport=self.transport)
        given = {"site_token": self.site_token, "base_url": self.base_url, "http_client": client}
        return LimeSiteSync(**{**given, **options})

    def mounted(self) -> AbstractContextManager[None]:
        """Let every site made with this fake's `base_url` end here while the context is open."""
        return mount(self.base_url, self.transport)

    # What agents and time do.

    def approve(
        self,
        request_id: str,
        *,
        agent_id: str = "agent-1",
        user_id: str = "owner-1",
        kyc_level: int = 0,
    ) -> FakeEvent:
        """Let an agent approve; the site gets a passport."""
        with self._lock:
            login = self.logins[request_id]
            login.agent_id, login.user_id, login.kyc_level = agent_id, user_id, kyc_level
            return self._settle(login, "APPROVED")

    def deny(self, request_id: str) -> FakeEvent:
        """Let the agent refuse."""
        with self._lock:
            return self._settle(self.logins[request_id], "DENIED")

    def expire(self, request_id: str) -> FakeEvent:
        """Let the request's time run out."""
        with self._lock:
            return self._settle(self.logins[request_id], "EXPIRED")

    def _settle(self, login: FakeLogin, status: str) -> FakeEvent:
        if login.status != "PENDING":
            raise ValueError(f"the login is {login.status}, not PENDING")
        login.status = status
        event = FakeEvent(str(uuid4()), status.lower(), login)
        self._events[event.event_id] = event
        login.settled.set_result(None)
        self._send(event)
        return event

    # What humans do.

    def bind(self, binding_id: str, *, agent_id: str = "agent-1", user_id: str = "owner-1") -> str:
        """Let the human pick an agent; return the URL that their browser opens at the site."""
        with self._lock:
            return self.bindings[binding_id].approve(agent_id, user_id)

    def refuse_binding(self, binding_id: str) -> str:
        """Let the human say no; return the URL that their browser opens at the site."""
        with self._lock:
            return self.bindings[binding_id].refuse()

    def end_binding(self, binding_id: str) -> None:
        """Let the owner of the agent end a binding."""
        with self._lock:
            self.bindings[binding_id].end("owner", self._now())

    # Passports.

    def passport(
        self,
        request_id: str,
        *,
        agent_id: str = "agent-1",
        claims: Mapping[str, object] | None = None,
    ) -> str:
        """Return a passport for `request_id`, signed with the published key.

        Args:
            request_id: the login that it answers.
            agent_id: who it is about.
            claims: replace those that a passport would have; None removes one.
        """
        return self._sign(self._claims(request_id, agent_id), claims or {})

    def binding_passport(
        self,
        binding_id: str,
        *,
        agent_id: str = "agent-1",
        claims: Mapping[str, object] | None = None,
    ) -> str:
        """Return a passport for `binding_id`; arguments as for `passport`."""
        login = self._claims("", agent_id)
        own = {"aud": "lime-binding", "binding_id": binding_id}
        kept = ("iss", "sub", "iat", "exp", "jti", "user_id", "site_id")
        good = {**{name: login[name] for name in kept}, **own}
        return self._sign(good, claims or {}, typ=TYP_BINDING)

    def access_token(
        self,
        *,
        resource: str | None = None,
        domain: str | None = None,
        agent_id: str = "agent-1",
        scope: str = "mcp",
        claims: Mapping[str, object] | None = None,
    ) -> str:
        """Return an access token for an MCP server.

        Args:
            resource: the server's URL; without it, a token in the short form.
            domain: the server's host, if there is no resource to take it from.
            agent_id: who acts.
            scope: what the token allows.
            claims: replace those that a token would have; None removes one.
        """
        login = self._claims("", agent_id)
        good = {
            **{name: login[name] for name in ("sub", "iat", "jti")},
            "iss": self.oauth_issuer,
            "aud": "mcp" if resource is None else ["mcp", resource],
            "exp": int(self._wall_clock()) + ACCESS_LIFETIME,
            "domain": domain or urlsplit(resource or "").hostname,
            "client_id": agent_id,
            "scope": scope,
        }
        return self._sign(good, claims or {}, typ=TYP_ACCESS)

    def expired_passport(self, request_id: str) -> str:
        """Return a passport that was good an hour ago."""
        past = int(self._wall_clock()) - 3600
        return self.passport(request_id, claims={"iat": past, "exp": past + PASSPORT_LIFETIME})

    def forged_passport(self, request_id: str) -> str:
        """Return a passport whose signature is another one's: right key id, wrong key."""
        header, claims, _ = self.passport(request_id).split(".")
        _, _, signature = self.passport(str(uuid4())).split(".")
        return f"{header}.{claims}.{signature}"

    def _claims(self, request_id: str, agent_id: str) -> dict[str, object]:
        now = int(self._wall_clock())
        return {
            "iss": self.issuer,
            "aud": "lime-site-login",
            "sub": agent_id,
            "iat": now,
            "exp": now + PASSPORT_LIFETIME,
            "jti": str(uuid4()),
            "request_id": request_id,
            "user_id": "owner-1",
            "passport_version": 1,
            "site_id": self.site_id,
            "azp": self.site_id,
            "kyc_level": 0,
        }

    def _sign(
        self, claims: dict[str, object], changes: Mapping[str, object], *, typ: str = TYP_LOGIN
    ) -> str:
        merged = {**claims, **changes}
        kept = {name: value for name, value in merged.items() if value is not None}
        return self._keys[-1].sign(kept, typ=typ)

    def _login_passport(self, login: FakeLogin, event_id: str) -> str:
        own = {"jti": event_id, "user_id": login.user_id, "kyc_level": login.kyc_level}
        return self.passport(login.request_id, agent_id=str(login.agent_id), claims=own)

    # Trouble.

    def rotate_keys(self, *, withdraw: bool = False) -> None:
        """Sign with a new key; with `withdraw`, publish the old ones no longer."""
        self._key_number += 1
        self._keys = [*([] if withdraw else self._keys), _key(self._key_number)]

    def go_down(self) -> None:
        """Break every connection and refuse new ones."""
        with self._lock:
            self._is_down = True
            self._end_streams(End.BROKEN)

    def come_back(self) -> None:
        """Accept connections again."""
        self._is_down = False

    def say_goodbye(self) -> None:
        """End the event streams as a server does that shuts down."""
        self.send({"type": "goaway"})

    def end_streams(self) -> None:
        """End the event streams as a server does after some minutes."""
        with self._lock:
            self._end_streams(End.CLEAN)

    def _end_streams(self, end: bytes | Exception) -> None:
        # Answers that are being held end as well.
        self._trouble.set_result(None)
        self._trouble = promise()
        for stream in self._streams:
            stream.put(end)
        self._streams.clear()

    def forget_site(self) -> None:
        """From now on the token is unknown."""
        self._refuse(401, "SITE_TOKEN_INVALID")

    def suspend_site(self) -> None:
        """From now on the site is suspended."""
        self._refuse(403, "SITE_SUSPENDED")

    def _refuse(self, status: int, code: str) -> None:
        with self._lock:
            self._refusal = (status, code)
            self._end_streams(End.CLEAN)

    def fail(self, status: int, code: str, *, times: int = 1) -> None:
        """Answer the next `times` requests with an error."""
        self._planned += [_error(status, code) for _ in range(times)]

    # The event stream.

    def send(self, frame: Mapping[str, object], *, event_id: str | None = None) -> None:
        """Write `frame` to every open event stream, whatever it says."""
        with self._lock:
            for stream in self._open_streams():
                stream.put(_event(frame, event_id))

    def deliver_again(self) -> None:
        """Send what was not acknowledged again, as LIME does when a lease has run out."""
        with self._lock:
            for event in self._events.values():
                self._send(event)

    def _send(self, event: FakeEvent) -> None:
        # To one of the site's workers, as the leases of the real one see to.
        for stream in self._open_streams()[:1]:
            self._write(event, stream)

    def _write(self, event: FakeEvent, stream: Stream) -> None:
        if event.is_acknowledged:
            return
        login = event.login
        frame: dict[str, object] = {"type": event.type, "login_request_id": login.request_id}
        if event.type == "approved":
            frame["agent_passport_jwt"] = self._login_passport(login, event.event_id)
            if login.redirect_url is not None:
                frame["redirect_url"] = login.redirect_url
        event.sent += 1
        stream.put(_event(frame, event.event_id))

    def _open_streams(self) -> list[Stream]:
        self._streams = [stream for stream in self._streams if stream.is_open]
        return self._streams

    def _connect(self, stream: Stream) -> httpx.Response:
        with self._lock:
            self._open_streams().append(stream)
            stream.put(_event({"type": "keepalive"}, None))
            for event in self._events.values():
                self._write(event, stream)
        return httpx.Response(
            200,
            headers={"content-type": "text/event-stream; charset=utf-8"},
            stream=stream,
            extensions={"network_stream": stream},
        )

    # Requests.

    def arrive(self, request: httpx.Request) -> tuple[list[Promise], float]:
        """Note `request`; return what its answer has to wait for, and for how many seconds."""
        path = request.url.path.removeprefix("/api/v1")
        with self._lock:
            self.calls.append((request.method, path))
            login = self.logins.get(path.rpartition("/")[2])
            wait = request.url.params.get("wait")
            if login is None or wait is None or self._is_in_trouble(request):
                return [], 0.0
            return [login.settled, self._trouble], float(wait)

    def _is_in_trouble(self, request: httpx.Request) -> bool:
        return self._is_down or bool(self._planned) or self._refused(request) is not None

    def answer(self, request: httpx.Request, make_stream: type[Stream]) -> httpx.Response:
        """Answer `request`; a stream gets a body made by `make_stream`."""
        path = request.url.path.removeprefix("/api/v1")
        with self._lock:
            if self._is_down:
                raise httpx.ConnectError("nobody listens", request=request)
            if self._planned:
                return self._planned.pop(0)
            if path == "/core/.well-known/jwks.json":
                return httpx.Response(200, content=encode_jwks(self._keys))
            return self._refused(request) or self._route(request, path, make_stream)

    def _refused(self, request: httpx.Request) -> httpx.Response | None:
        token = request.headers.get("x-site-token")
        if token is None:
            return _error(401, "SITE_TOKEN_MISSING")
        if token != self.site_token:
            return _error(401, "SITE_TOKEN_INVALID")
        return None if self._refusal is None else _error(*self._refusal)

    def _route(
        self, request: httpx.Request, path: str, make_stream: type[Stream]
    ) -> httpx.Response:
        match request.method, path.split("/")[1:]:
            case "GET", ["foundation", "sites", "me"]:
                return _ok(site_id=self.site_id, display_name="Test site")
            case "POST", ["modules", "agent-login", "requests"]:
                return self._create(json.loads(request.content))
            case "GET", ["modules", "agent-login", "requests", request_id]:
                return self._look_at(request_id, with_passport="wait" in request.url.params)
            case "GET", ["modules", "agent-login", "events"]:
                return self._connect(make_stream())
            case "POST", ["modules", "agent-login", "events", "ack"]:
                return self._acknowledge(json.loads(request.content)["ids"])
            case method, ["modules", "bindings", *rest]:
                return self._route_binding(request, method, rest)
        return _error(404, "NOT_FOUND")

    def _route_binding(
        self, request: httpx.Request, method: str, rest: list[str]
    ) -> httpx.Response:
        match method, rest:
            case "POST", ["requests"]:
                return self._ask_for_binding(json.loads(request.content))
            case "POST", ["exchange"]:
                return self._exchange_once(request)
            case "GET", ["of-site"]:
                made = [each.shown() for each in self.bindings.values() if each.was_made]
                return _ok(items=made[::-1], next_cursor=None)
            case "GET" | "DELETE", ["of-site", binding_id]:
                return self._one_binding(method, binding_id)
        return _error(404, "NOT_FOUND")

    def _ask_for_binding(self, body: Mapping[str, Any]) -> httpx.Response:
        ends = datetime.fromtimestamp(int(self._wall_clock()) + BINDING_LIFETIME, tz=UTC)
        binding = FakeBinding.asked(body, ends)
        self.bindings[binding.binding_id] = binding
        return _ok(
            201,
            connect_url=f"{self.issuer}/connect?id={binding.binding_id}",
            state=binding.state,
            **{name: binding.shown()[name] for name in ("binding_id", "status", "expires_at")},
        )

    def _exchange_once(self, request: httpx.Request) -> httpx.Response:
        key = request.headers.get("idempotency-key")
        known = self._exchanged.get((key, request.content))
        if known is not None:
            return httpx.Response(200, content=known)
        answer = self._exchange(json.loads(request.content))
        if key is not None and answer.is_success:
            self._exchanged[key, request.content] = answer.content
        return answer

    def _exchange(self, claim: Mapping[str, Any]) -> httpx.Response:
        binding = next((each for each in self.bindings.values() if each.accepts(claim)), None)
        if binding is None:
            return _error(400, "BINDING_CODE_INVALID")
        binding.bind(self._now())
        passport = self.binding_passport(
            binding.binding_id,
            agent_id=str(binding.agent_id),
            claims={"user_id": binding.user_id},
        )
        return _ok(passport=passport, binding_id=binding.binding_id)

    def _one_binding(self, method: str, binding_id: str) -> httpx.Response:
        binding = self.bindings.get(binding_id)
        if binding is None or (method == "DELETE" and not binding.was_made):
            return _error(404, "BINDING_NOT_FOUND")
        if method == "DELETE":
            binding.end("site", self._now())
        return _ok(**binding.shown())

    def _now(self) -> datetime:
        return datetime.fromtimestamp(int(self._wall_clock()), tz=UTC)

    def _create(self, body: Mapping[str, Any]) -> httpx.Response:
        ends = datetime.fromtimestamp(int(self._wall_clock()) + LIFETIME, tz=UTC)
        login = FakeLogin(str(uuid4()), ends, body.get("redirect_url"))
        self.logins[login.request_id] = login
        return self._shown(login, 201)

    def _look_at(self, request_id: str, *, with_passport: bool) -> httpx.Response:
        login = self.logins.get(request_id)
        if login is None:
            return _error(404, "SITE_LOGIN_REQUEST_NOT_FOUND")
        if with_passport and login.status in APPROVED:
            return self._shown(login, 200, agent_passport_jwt=self.passport_of(login))
        return self._shown(login, 200)

    def passport_of(self, login: FakeLogin) -> str:
        """Return a fresh passport of an approved login."""
        event = next(event for event in self._events.values() if event.login is login)
        return self._login_passport(login, event.event_id)

    def _shown(self, login: FakeLogin, status: int, **more: object) -> httpx.Response:
        return _ok(
            status,
            login_request_id=login.request_id,
            status=login.status,
            expires_at=login.expires_at.isoformat(),
            site_id=self.site_id,
            **more,
        )

    def _acknowledge(self, ids: list[str]) -> httpx.Response:
        for event_id in ids:
            event = self._events[event_id]
            if event.type == "approved":
                event.login.status = "DELIVERED"
            event.acknowledge()
        return _ok(acknowledged=len(ids))


class _Transport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Brings requests to the fake."""

    def __init__(self, fake: FakeLime) -> None:
        self._fake = fake

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        promises, seconds = self._fake.arrive(request)
        wait_for_futures(promises, timeout=seconds, return_when=FIRST_COMPLETED)
        return self._fake.answer(request, BlockingStream)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        promises, seconds = self._fake.arrive(request)
        await first_of(promises, seconds)
        return self._fake.answer(request, AsyncStream)


@cache
def _key(_number: int) -> SigningKey:
    # Shared by all fakes of a process: making one takes longer than everything else here.
    return SigningKey.generate()


def _event(frame: Mapping[str, object], event_id: str | None) -> bytes:
    numbered = "" if event_id is None else f"id: {event_id}\n"
    return f"{numbered}data: {json.dumps(frame)}\n\n".encode()


def _ok(http_status: int = 200, /, **data: object) -> httpx.Response:
    return httpx.Response(http_status, json={"ok": True, "data": data}, headers=_request_id())


def _error(status: int, code: str) -> httpx.Response:
    body = {"ok": False, "error": {"code": code, "message": f"The fake LIME says {code}."}}
    return httpx.Response(status, json=body, headers=_request_id())


def _request_id() -> dict[str, str]:
    return {"X-Request-Id": uuid4().hex}
