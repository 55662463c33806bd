"""Behind something that ends TLS: cookies, addresses and origins are those of the outside."""

import http.client
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import pytest

from tests.attacks.conftest import Letterbox
from tests.attacks.intruder import PASSWORD, Person
from tests.attacks.test_sessions import cookies_of
from tests.support.certificates import certificate_in
from tests.support.deployment import Deployment
from tests.support.server import PortReservation, ServeServer
from tests.support.wire import data, refusal

ME = "/foundation/users/me"
CLIENT = "198.51.100.9"
"""Where the proxy says that its clients are: they are on loopback, as it is itself."""
_PER_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade"}


class TlsEnd:
    """A proxy as many have it: ends TLS, adds whom it serves (so it says) to `X-Forwarded-For`, and passes the rest on."""

    def __init__(self, certificate: Path | None) -> None:
        end = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                end.pass_on(self)

            def do_POST(self) -> None:
                end.pass_on(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.scheme = "http"
        if certificate is not None:
            self.scheme = "https"
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.url = f"{self.scheme}://127.0.0.1:{self._server.server_address[1]}"
        self.backend_port = 0
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def pass_on(self, request: BaseHTTPRequestHandler) -> None:
        """One request to the server, and its answer back."""
        request.close_connection = True
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        headers = [
            (key, value) for key, value in request.headers.items() if key.lower() not in _PER_HOP
        ]
        backend = http.client.HTTPConnection("127.0.0.1", self.backend_port, timeout=20)
        try:
            backend.putrequest(
                request.command, request.path, skip_host=True, skip_accept_encoding=True
            )
            for key, value in headers:
                backend.putheader(key, value)
            backend.putheader("X-Forwarded-For", CLIENT)
            backend.putheader("X-Forwarded-Proto", self.scheme)
            backend.endheaders(body)
            answer = backend.getresponse()
            content = answer.read()
            request.send_response_only(answer.status)
            for key, value in answer.getheaders():
                if key.lower() not in {*_PER_HOP, "content-length"}:
                    request.send_header(key, value)
            request.send_header("Content-Length", str(len(content)))
            request.send_header("Connection", "close")
            request.end_headers()
            request.wfile.write(content)
        finally:
            backend.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate_in(tmp_path_factory.mktemp("tls"), "127.0.0.1")


@pytest.fixture(scope="module")
def front(certificate: Path) -> Iterator[TlsEnd]:
    with TlsEnd(certificate) as front:
        yield front


@pytest.fixture(scope="module")
def side_door(secured: ServeServer) -> Iterator[TlsEnd]:
    """The same server over plain http, as a careless proxy would have it."""
    with TlsEnd(None) as door:
        door.backend_port = int(secured.public_url.rpartition(":")[2])
        yield door


@pytest.fixture(scope="module")
def secured(deployment: Deployment, front: TlsEnd, smtp_url: str) -> Iterator[ServeServer]:
    port = PortReservation()
    settings = {
        **deployment.settings,
        "LIME_PUBLIC_URL": front.url,
        "LIME_SMTP_URL": smtp_url,
        "LIME_CAPTCHA": "none",
        "LIME_TRUSTED_PROXIES": "127.0.0.0/8",
        "LIME_ACCESS_LOG": "false",
    }
    with ServeServer(deployment.folder, name="secured", settings=settings, port=port) as server:
        front.backend_port = port.port
        yield server


@pytest.fixture
def visitor(front: TlsEnd, secured: ServeServer, certificate: Path) -> Iterator[Person]:
    """Somebody with a browser that speaks TLS, and without an account."""
    with Person(front.url) as person:
        person.http.close()
        person.http = httpx.Client(
            base_url=f"{front.url}/api/v1",
            verify=ssl.create_default_context(cafile=certificate),
            trust_env=False,
            timeout=20,
        )
        yield person


def signed_in(visitor: Person, letterbox: Letterbox) -> list[httpx.Response]:
    """The answers on the way from nobody to an owner in a session."""
    register = visitor.post("/foundation/users/register", email=visitor.email, password=PASSWORD)
    data(register, 201)
    code = letterbox.code_for(visitor.email)
    verify = visitor.post("/foundation/users/register/verify", email=visitor.email, code=code)
    login = visitor.post("/foundation/users/login", email=visitor.email, password=PASSWORD)
    assert data(login)["status"] == "SIGNED_IN"
    return [register, verify, login]


def test_signing_in_over_https_sets_cookies_that_only_this_host_and_tls_have(
    visitor: Person, letterbox: Letterbox
) -> None:
    answers = signed_in(visitor, letterbox)
    answers.append(visitor.post("/foundation/users/step-up", password=PASSWORD))
    found = {}
    for answer in answers:
        assert answer.headers["strict-transport-security"] == "max-age=63072000"
        for name, cookie in cookies_of(answer).items():
            found[name] = cookie
            assert cookie["secure"], name
            assert cookie["path"] == "/", name
            assert "domain" not in cookie, name
            assert cookie["samesite"].lower() in {"lax", "strict"}, name
    # What scripts of ours must read is the one that opens nothing by itself.
    readable = {name for name, cookie in found.items() if "httponly" not in cookie}
    assert readable == {"lime_csrf"}
    kept = {name for name in found if name != "lime_csrf"}
    assert {"__Host-lime_session", "__Host-lime_device"} <= kept
    assert all(name.startswith("__Host-") for name in kept)
    # And they work, for reading and for changing.
    assert data(visitor.get(ME))["email"] == visitor.email
    data(visitor.post("/core/agents/register", display_name="Over TLS"), 201)
    gone = cookies_of(visitor.post("/foundation/users/logout"))["__Host-lime_session"]
    # A browser drops a `__Host-` cookie that is not set exactly so, at the end of its life too.
    assert (gone["max-age"], gone["path"]) == ("0", "/")
    assert gone["secure"]


def test_over_plain_http_nobody_is_signed_in(
    visitor: Person, side_door: TlsEnd, letterbox: Letterbox
) -> None:
    signed_in(visitor, letterbox)
    # 1. A browser takes none of the cookies along: they are Secure.
    with httpx.Client(
        base_url=f"{side_door.url}/api/v1",
        cookies=visitor.http.cookies,
        trust_env=False,
        timeout=20,
    ) as downgraded:
        answer = downgraded.get(ME)
        assert "cookie" not in answer.request.headers
        assert refusal(answer) == (401, "NOT_SIGNED_IN")
        # 2. Nor are any set that would work without TLS.
        body = {"email": visitor.email, "password": PASSWORD}
        other_page = downgraded.post(
            "/foundation/users/login", json=body, headers={"Origin": side_door.url}
        )
        assert refusal(other_page) == (403, "CSRF_FAILED")
        assert other_page.headers.get_list("set-cookie") == []
        scripted = downgraded.post("/foundation/users/login", json=body)
        assert all(cookie["secure"] for cookie in cookies_of(scripted).values())
        assert refusal(downgraded.get(ME)) == (401, "NOT_SIGNED_IN")


def test_the_plain_name_of_a_cookie_opens_nothing_over_https(
    visitor: Person, letterbox: Letterbox, certificate: Path
) -> None:
    signed_in(visitor, letterbox)
    secret = str(visitor.http.cookies["__Host-lime_session"])
    csrf = str(visitor.http.cookies["lime_csrf"])
    with httpx.Client(
        base_url=f"{visitor.public_url}/api/v1",
        verify=ssl.create_default_context(cafile=certificate),
        # A neighbouring host can plant a cookie of this name, and none of the other.
        headers={"Cookie": f"lime_session={secret}; lime_csrf={csrf}", "X-CSRF-Token": csrf},
        trust_env=False,
        timeout=20,
    ) as neighbour:
        assert refusal(neighbour.get(ME)) == (401, "NOT_SIGNED_IN")


@pytest.mark.parametrize("path", ["/core/agents/register", "/foundation/users/logout"])
def test_the_origin_of_the_outside_is_the_only_one(
    visitor: Person, letterbox: Letterbox, side_door: TlsEnd, path: str
) -> None:
    signed_in(visitor, letterbox)
    inside = f"http://127.0.0.1:{side_door.backend_port}"
    for origin in (inside, side_door.url, "https://127.0.0.1", "null", "https://evil.example"):
        answer = visitor.send("POST", path, {"display_name": "x"}, {"Origin": origin})
        assert refusal(answer) == (403, "CSRF_FAILED"), origin
    forwarded = {"X-Forwarded-Host": "evil.example", "Origin": "https://evil.example"}
    answer = visitor.send("POST", path, {"display_name": "x"}, forwarded)
    assert refusal(answer) == (403, "CSRF_FAILED")


def test_a_client_does_not_choose_its_address(visitor: Person, letterbox: Letterbox) -> None:
    visitor.http.headers["X-Forwarded-For"] = "203.0.113.5"
    signed_in(visitor, letterbox)
    sessions = data(visitor.get("/foundation/sessions"))["items"]
    assert {one["address"] for one in sessions} == {CLIENT}
    # Nor what the server says of itself.
    said = visitor.send("GET", ME, headers={"X-Forwarded-Proto": "http", "Host": "evil.example"})
    assert said.headers["strict-transport-security"]
    assert "evil.example" not in said.text
