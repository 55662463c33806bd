"""Access tokens for MCP servers: how many a core issues, and how many it verifies.

    python benchmarks/mcp.py [--quick] [--rounds N] [--tokens N] [--verifications N] [--json FILE]

Issued: `lime-server dev` on loopback with its own engines answers `client_credentials` with an
agent's token and a `resource`; counted is the processor time of its process, without PostgreSQL's.
Beside it stands Authlib's authorization server on Flask, with the same grant, RS256 and RFC 9068,
called in this process: it has no socket, no HTTP parser, no database and one client in a dict, and
so less to do than any server that could be deployed. Below both is a bare signature.

Verified: `lime_sites.mcp` with warm keys beside PyJWT with its key object made beforehand; PyJWT
checks signature, issuer, audience and times, ours all of protocol section 6 and the resource.

Contenders take turns within each round; figures are medians over rounds, and ratios are taken
within a round. Figures are for comparing; nothing is asserted.
"""

import argparse
import base64
import http.client
import io
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

# A script's own folder comes first, and in this one are a `jwt.py` and an `mcp.py`, which are not
# the libraries of those names. The helper that starts servers belongs to the tests.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import httpx
import jwt
from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc6749.util import scope_to_list
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from flask import Flask, Response
from joserfc.jwk import KeySet, RSAKey
from rich.console import Console
from rich.table import Table

import lime_jwt
from lime_sites.mcp import LimeTokenVerifierSync
from tests.support.server import DevServer

RESOURCE = "https://mcp.shop.com/mcp"
FORM = urlencode({"grant_type": "client_credentials", "resource": RESOURCE}).encode()
FORM_TYPE = "application/x-www-form-urlencoded"
OURS, AUTHLIB = "lime-server", "Authlib"
VERIFIER, PYJWT = "lime_sites.mcp", "PyJWT"
LANES = 8
"""Connections at once: enough that the server never waits for this process."""
SETTINGS = {
    "LIME_RATE_PER_TOKEN": "off",
    "LIME_RATE_PER_ADDRESS": "off",
    "LIME_LOG_LEVEL": "warning",
}

Rounds = dict[str, list[float]]


def main() -> None:
    """Measure and print."""
    options = arguments()
    console = Console()
    with (
        tempfile.TemporaryDirectory(prefix="lime-bench-") as folder,
        DevServer(Path(folder), environment=SETTINGS) as server,
    ):
        key = lime_jwt.SigningKey.generate()
        issuing = issued(server, Peer(key), key, options)
        verifying = verified(server, options)
    console.print(compared("Tokens issued", OURS, issuing))
    console.print(compared("Tokens verified", VERIFIER, verifying))
    if options.json:
        text = json.dumps(figures(issuing, verifying), indent=1)
        options.json.write_text(text + "\n", encoding="utf-8")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="only see that it runs")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each contender")
    parser.add_argument("--tokens", type=int, default=400, help="tokens issued in each turn")
    parser.add_argument("--verifications", type=int, default=2000, help="in each turn")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here, too")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.tokens, options.verifications = 2, 16, 20
    return options


# Issuing


def issued(
    server: DevServer, peer: "Peer", key: lime_jwt.SigningKey, options: argparse.Namespace
) -> Rounds:
    """Processor seconds per token."""
    ask(server, LANES)  # connections to the database, compiled statements, code paths
    peer.token()
    claims = {"iss": "https://peer.example", "sub": "x" * 36, "aud": ["mcp", RESOURCE]}
    times: Rounds = {OURS: [], AUTHLIB: [], "a bare signature": []}
    for _ in range(options.rounds):
        before = cpu_seconds(server.ready["pid"])
        ask(server, options.tokens)
        spent = cpu_seconds(server.ready["pid"]) - before
        # A quick run may end within one tick of that clock.
        times[OURS].append(max(spent, 0.01) / options.tokens)
        times[AUTHLIB].append(own_cpu(peer.token, options.tokens))
        sign = own_cpu(lambda: key.sign(claims, typ="at+jwt"), options.tokens)
        times["a bare signature"].append(sign)
    return times


def ask(server: DevServer, count: int) -> str:
    """So many tokens for the agent, over a few connections at once; the last one."""
    url = urlsplit(server.api_base)
    pair = f"{server.ready['agent_id']}:{server.ready['agent_token']}".encode()
    headers = {
        "Authorization": f"Basic {base64.b64encode(pair).decode()}",
        "Content-Type": FORM_TYPE,
    }

    def lane(number: int) -> str:
        connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=30)
        text = b"{}"
        for _ in range(number):
            connection.request("POST", f"{url.path}/modules/oauth/token", FORM, headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                raise RuntimeError(f"{answer.status} {text.decode()}")
        connection.close()
        return str(json.loads(text)["access_token"])

    with ThreadPoolExecutor(LANES) as pool:
        return list(pool.map(lane, [count // LANES] * LANES))[-1]


class Client:
    """The peer's one client, as Authlib wants it."""

    client_id, client_secret = "0190a2b4-0000-7000-8000-000000000000", "at_" + "A" * 43

    def get_client_id(self) -> str:
        """Who it is."""
        return self.client_id

    def get_allowed_scope(self, scope: str) -> str:
        """Everything."""
        return " ".join(scope_to_list(scope) or ["mcp"])

    def check_client_secret(self, client_secret: str) -> bool:
        """Whether it is the one."""
        return client_secret == self.client_secret

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        """By HTTP Basic."""
        return method == "client_secret_basic"

    def check_grant_type(self, grant_type: str) -> bool:
        """As an agent does."""
        return grant_type == "client_credentials"


class Peer:
    """Authlib's authorization server, as its documentation sets one up, without a database."""

    def __init__(self, key: lime_jwt.SigningKey) -> None:
        """Sign with `key`, which is parsed once."""
        keys = KeySet([RSAKey.import_key(key.to_pkcs8(), {"kid": key.kid, "use": "sig"})])
        client = Client()

        class Generator(JWTBearerTokenGenerator):  # type: ignore[misc]
            def get_jwks(self) -> KeySet:
                return keys

            def get_audiences(self, *_: object) -> list[str]:
                return ["mcp", RESOURCE]

        app = Flask("peer")
        server = AuthorizationServer(
            app,
            query_client=lambda client_id: client if client_id == client.client_id else None,
            save_token=lambda *_: None,
        )
        server.register_token_generator("default", Generator(issuer="https://peer.example"))
        server.register_grant(grants.ClientCredentialsGrant)

        @app.post("/token")
        def token() -> Response:
            answer: Response = server.create_token_response()
            return answer

        self._app = app
        pair = f"{client.client_id}:{client.client_secret}".encode()
        self._environ = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/token",
            "SERVER_NAME": "peer.example",
            "SERVER_PORT": "443",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "CONTENT_TYPE": FORM_TYPE,
            "CONTENT_LENGTH": str(len(FORM)),
            "HTTP_AUTHORIZATION": f"Basic {base64.b64encode(pair).decode()}",
            "wsgi.url_scheme": "https",
        }

    def token(self) -> str:
        """One token, by a call of the WSGI application."""
        told: list[str] = []

        def begin(status: str, *_: object) -> Callable[[bytes], object]:
            told.append(status)
            return lambda _: None  # what nobody has called for years

        body = self._app.wsgi_app({**self._environ, "wsgi.input": io.BytesIO(FORM)}, begin)
        text = b"".join(body)
        if not told[0].startswith("200"):
            raise RuntimeError(f"{told[0]} {text.decode()}")
        return str(json.loads(text)["access_token"])


# Verifying


def verified(server: DevServer, options: argparse.Namespace) -> Rounds:
    """Processor seconds per token, one thread."""
    token = ask(server, LANES)
    issuer = f"{server.api_base}/modules/oauth"
    jwks = httpx.get(f"{server.api_base}/core/.well-known/jwks.json", trust_env=False).json()
    public = jwt.PyJWKSet.from_dict(jwks)[jwt.get_unverified_header(token)["kid"]].key

    def with_pyjwt() -> object:
        return jwt.decode(
            token,
            public,
            algorithms=["RS256"],
            audience=RESOURCE,
            issuer=issuer,
            leeway=30,
            options={"require": ["exp", "iat", "sub", "jti"]},
        )

    times: Rounds = {VERIFIER: [], PYJWT: []}
    with LimeTokenVerifierSync(resource=RESOURCE, base_url=server.api_base) as verifier:
        verifier.verify(token)
        for _ in range(options.rounds):
            ours = own_cpu(lambda: verifier.verify(token), options.verifications)
            times[VERIFIER].append(ours)
            times[PYJWT].append(own_cpu(with_pyjwt, options.verifications))
    return times


def own_cpu(work: Callable[[], object], count: int) -> float:
    """Processor seconds of this process for one call, over so many."""
    start = time.process_time()
    for _ in range(count):
        work()
    return (time.process_time() - start) / count


def cpu_seconds(pid: Any) -> float:
    """Processor seconds of one process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def figures(issuing: Rounds, verifying: Rounds) -> dict[str, Any]:
    """What the tables say, for programs; of every ratio more is better."""

    def micros(times: Rounds, ours: str, peer: str) -> dict[str, Any]:
        return {
            "value": round(statistics.median(times[ours]) * 1e6, 1),
            "unit": "µs",
            "ratio": round(ratio(times, ours, peer), 3),
            "peer": f"{statistics.median(times[peer]) * 1e6:,.0f} µs",
        }

    return {
        "mcp.issue_us": micros(issuing, OURS, AUTHLIB),
        "mcp.verify_us": micros(verifying, VERIFIER, PYJWT),
    }


def ratio(times: Rounds, ours: str, peer: str) -> float:
    """How many times ours the peer's time is; the median over rounds."""
    pairs = zip(times[ours], times[peer], strict=True)
    return statistics.median(theirs / own for own, theirs in pairs)


def compared(title: str, first: str, times: Rounds) -> Table:
    """How many fit into a second of one core, and how often the first one's time each takes."""
    table = Table("", "per second and core", "µs", f"times {first}", title=title)
    for name, taken in times.items():
        median, slower = statistics.median(taken), f"{ratio(times, first, name):.2f}"
        table.add_row(name, f"{1 / median:,.0f}", f"{median * 1e6:,.1f}", slower)
    return table


if __name__ == "__main__":
    main()
