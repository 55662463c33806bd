"""The races of the token endpoint, over real sockets, on one server and on two."""

import base64
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from lime_server.composition.mcp_oauth import open_oauth
from lime_server.core.ids import new_id
from lime_server.core.tokens import Token, TokenKind
from lime_server.infrastructure.crypto import Secrets
from lime_server.infrastructure.oauth_crypto import PyJwtKeys
from lime_server.infrastructure.postgres.pool import open_database
from lime_server.modules.mcp_oauth.client_authentication import ASSERTION_TYPE
from lime_server.modules.mcp_oauth.model import (
    AuthMethod,
    AuthorizationCode,
    Client,
    ClientKind,
    Grant,
    GrantType,
)
from tests.support.burst import at_once
from tests.support.deployment import Deployment, Engines
from tests.support.engines import Databases

TOKEN = "/modules/oauth/token"
CALLBACK = "http://127.0.0.1:1/callback"
VERIFIER = "v" * 43
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
)
RESOURCE = "https://mcp.shop.com/mcp"
KEY = ec.generate_private_key(ec.SECP256R1())


class Desk:
    """Makes what the consent page will make."""

    def __init__(self, deployment: Deployment, databases: Databases, url: str) -> None:
        self.deployment = deployment
        self._databases = databases
        self._url = url
        key = bytes.fromhex(deployment.settings["LIME_MASTER_KEY"])
        self._tokens = Secrets.derived_from(key).tokens
        self.owner = deployment.owner()
        self.agent = deployment.agent(owner=self.owner)

    def code(self) -> dict[str, str]:
        """The form that exchanges a fresh code."""

        async def make() -> dict[str, str]:
            async with open_database(self._url, size=2, patience=10) as database:
                await database.execute(
                    "UPDATE core.agents SET capabilities = $2 WHERE agent_id = $1",
                    self.agent.agent_id,
                    ["oauth:mcp"],
                )
                stores, now = open_oauth(database), datetime.now(UTC)
                client = Client(
                    client_id=new_id(now),
                    kind=ClientKind.REGISTERED,
                    name="Tool",
                    redirect_uris=(CALLBACK,),
                    auth_method=AuthMethod.NONE,
                    grant_types=frozenset(GrantType),
                    created_at=now,
                )
                await stores.clients.add(client)
                grant = await stores.grants.add_or_renew(
                    Grant(
                        grant_id=new_id(now),
                        owner_id=self.owner.owner_id,
                        agent_id=self.agent.agent_id,
                        client_id=client.client_id,
                        client_name="Tool",
                        redirect_host="127.0.0.1",
                        resource=RESOURCE,
                        scopes=("mcp",),
                        created_at=now,
                    )
                )
                code = Token.new(TokenKind.AUTHORIZATION_CODE)
                await stores.codes.add(
                    AuthorizationCode(
                        code_hash=self._tokens.hash(code.text),
                        grant_id=grant.grant_id,
                        family_id=new_id(now),
                        client_id=client.client_id,
                        redirect_uri=CALLBACK,
                        code_challenge=CHALLENGE,
                        resource=RESOURCE,
                        scopes=("mcp",),
                        expires_at=now + timedelta(seconds=60),
                    )
                )
                jwk = json.loads(ECAlgorithm.to_jwk(KEY.public_key()))
                jwk.pop("key_ops", None)
                await stores.agent_keys.replace(self.agent.agent_id, [PyJwtKeys().clean(jwk)])
                return {
                    "grant_type": "authorization_code",
                    "client_id": client.client_id,
                    "code": code.text,
                    "redirect_uri": CALLBACK,
                    "code_verifier": VERIFIER,
                }

        return self._databases.run(make())


@pytest.fixture(scope="module")
def pair(
    tmp_path_factory: pytest.TempPathFactory, databases: Databases, session_redis_url: str
) -> Iterator[SimpleNamespace]:
    """Two servers on one database, and a desk."""
    folder = tmp_path_factory.mktemp("races")
    with databases.fresh() as url:
        deployment = Deployment(folder, Engines(url, session_redis_url), databases)
        desk = Desk(deployment, databases, url)
        with deployment.pair() as (left, right):
            yield SimpleNamespace(desk=desk, left=left.api_base, right=right.api_base)


def _post(base: str, form: dict[str, str]) -> httpx.Request:
    return httpx.Request("POST", base + TOKEN, data=form)


def test_of_fifty_exchanges_that_arrive_together_one_wins(pair: SimpleNamespace) -> None:
    form = pair.desk.code()
    answers = at_once([_post(pair.left, form) for _ in range(50)])
    _one_won(pair, form, answers)


def test_of_fifty_exchanges_at_two_servers_one_wins(pair: SimpleNamespace) -> None:
    form = pair.desk.code()
    answers = at_once([_post(base, form) for _ in range(25) for base in (pair.left, pair.right)])
    _one_won(pair, form, answers)


def _one_won(pair: SimpleNamespace, form: dict[str, str], answers: list[httpx.Response]) -> None:
    (won,) = [answer.json() for answer in answers if answer.status_code == 200]
    lost = [answer for answer in answers if answer.status_code != 200]
    assert [(each.status_code, each.json()["error"]) for each in lost] == [
        (400, "invalid_grant")
    ] * 49
    refresh = {
        "grant_type": "refresh_token",
        "client_id": form["client_id"],
        "refresh_token": won["refresh_token"],
    }
    (answer,) = at_once([_post(pair.right, refresh)])
    assert answer.json()["error"] == "invalid_grant"


def test_refreshes_at_both_servers_at_once_all_succeed_within_the_grace(
    pair: SimpleNamespace,
) -> None:
    form = pair.desk.code()
    (first,) = at_once([_post(pair.left, form)])
    refresh = {
        "grant_type": "refresh_token",
        "client_id": form["client_id"],
        "refresh_token": first.json()["refresh_token"],
    }
    answers = at_once([_post(base, refresh) for _ in range(5) for base in (pair.left, pair.right)])
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 10


def test_an_assertion_that_one_server_saw_is_spent_at_the_other(pair: SimpleNamespace) -> None:
    pair.desk.code()
    agent_id = pair.desk.agent.agent_id
    issuer = httpx.get(f"{pair.left}/modules/oauth/.well-known/oauth-authorization-server").json()[
        "issuer"
    ]
    now = int(datetime.now(UTC).timestamp())
    claims = {
        "iss": agent_id,
        "sub": agent_id,
        "aud": issuer,
        "exp": now + 60,
        "jti": "once",
    }
    form = {
        "grant_type": "client_credentials",
        "resource": RESOURCE,
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": jwt.encode(claims, KEY, algorithm="ES256"),
    }
    answers = at_once([_post(base, form) for _ in range(5) for base in (pair.left, pair.right)])
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 9
