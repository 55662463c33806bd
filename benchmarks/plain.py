"""The site login as a careful developer writes it in an afternoon: the yardstick of `login.py`.

    python benchmarks/plain.py --database URL --ready-file FILE [--port N] [--keepalive SECONDS]

The same paths, wire and signatures as `lime-server`: FastAPI with pydantic bodies and
`response_model`, asyncpg with one statement for each step, PyJWT with a key that is parsed once,
tokens stored hashed and looked up for each request, events from a queue in memory, uvicorn on
uvloop and httptools. Nothing in it is slow on purpose, and it does less than `lime-server`: no rate
limits, no leases, no second process, no audit, no metrics, no pruning. It makes its tables in the
database it is given, listens on loopback, and writes who may use it to `--ready-file`, as
`lime-server dev` does.
"""

import argparse
import asyncio
import base64
import hashlib
import json
import os
import secrets
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Generic, TypeAlias, TypeVar
from uuid import UUID, uuid4

# A script's own folder comes first, and in this one is a `jwt.py`, which is not PyJWT.
sys.path.pop(0)

import asyncpg
import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import Depends, FastAPI, Header, HTTPException
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

API = "/api/v1"
DIFFICULTY = 15
LIFETIME = timedelta(seconds=300)
PASSPORT_LIFETIME = 60

SCHEMA = """
    CREATE TABLE IF NOT EXISTS agents (agent_id uuid PRIMARY KEY, owner_id uuid NOT NULL,
        token_hash bytea NOT NULL UNIQUE, active boolean NOT NULL DEFAULT true);
    CREATE TABLE IF NOT EXISTS sites (site_id uuid PRIMARY KEY, display_name text NOT NULL,
        token_hash bytea NOT NULL UNIQUE, active boolean NOT NULL DEFAULT true);
    CREATE TABLE IF NOT EXISTS logins (request_id uuid PRIMARY KEY,
        site_id uuid NOT NULL REFERENCES sites, state text NOT NULL, challenge text NOT NULL,
        difficulty int NOT NULL, expires_at timestamptz NOT NULL,
        agent_id uuid REFERENCES agents, owner_id uuid);
    CREATE INDEX IF NOT EXISTS logins_to_deliver ON logins (site_id) WHERE state = 'APPROVED';
"""

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
T = TypeVar("T")


# The wire


class Envelope(BaseModel, Generic[T]):
    ok: bool = True
    data: T


class Nothing(BaseModel):
    pass


class Approve(BaseModel):
    pow_nonce: str


class Acknowledge(BaseModel):
    ids: list[UUID]


class Created(BaseModel):
    login_request_id: UUID
    site_id: UUID
    status: str
    expires_at: datetime


class SiteView(BaseModel):
    site_id: UUID
    display_name: str


class Puzzle(BaseModel):
    pow_challenge: str
    pow_difficulty: int
    pow_algorithm: str
    expires_at: datetime
    site: SiteView


class Decision(BaseModel):
    request_id: UUID
    site_id: UUID
    status: str
    expires_at: datetime
    approved_agent_id: UUID


# The application


@dataclass
class Office:
    """What the routes share."""

    database: str
    issuer: str
    key: rsa.RSAPrivateKey
    keepalive: float
    kid: str = field(default_factory=lambda: secrets.token_hex(8))
    queues: dict[UUID, set[asyncio.Queue[Any]]] = field(default_factory=dict)
    pool: Pool = field(init=False)


office: Office


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(office.database, min_size=1, max_size=10) as pool:
        office.pool = pool
        yield


app = FastAPI(lifespan=lifespan)


async def agent(x_agent_token: Annotated[str, Header()]) -> Any:
    found = await office.pool.fetchrow(
        "SELECT agent_id, owner_id, active FROM agents WHERE token_hash = $1",
        hashed(x_agent_token),
    )
    if found is None:
        raise HTTPException(401, "INVALID_AGENT_TOKEN")
    if not found["active"]:
        raise HTTPException(403, "AGENT_INACTIVE")
    return found


async def site(x_site_token: Annotated[str, Header()]) -> Any:
    found = await office.pool.fetchrow(
        "SELECT site_id, active FROM sites WHERE token_hash = $1", hashed(x_site_token)
    )
    if found is None:
        raise HTTPException(401, "SITE_TOKEN_INVALID")
    if not found["active"]:
        raise HTTPException(403, "SITE_SUSPENDED")
    return found


@app.post(f"{API}/modules/agent-login/requests", status_code=201)
async def create(site: Annotated[Any, Depends(site)]) -> Envelope[Created]:
    request_id, expires_at = uuid4(), datetime.now(UTC) + LIFETIME
    await office.pool.execute(
        "INSERT INTO logins (request_id, site_id, state, challenge, difficulty, expires_at) "
        "VALUES ($1, $2, 'PENDING', $3, $4, $5)",
        request_id, site["site_id"], secrets.token_urlsafe(32), DIFFICULTY, expires_at,
    )  # fmt: skip
    return Envelope(
        data=Created(
            login_request_id=request_id,
            site_id=site["site_id"],
            status="PENDING",
            expires_at=expires_at,
        )
    )


@app.get(f"{API}/auth/requests/{{request_id}}")
async def look(request_id: UUID) -> Envelope[Puzzle]:
    found = await office.pool.fetchrow(
        "SELECT challenge, difficulty, expires_at, site_id, display_name "
        "FROM logins JOIN sites USING (site_id) "
        "WHERE request_id = $1 AND state = 'PENDING' AND expires_at > now()",
        request_id,
    )
    if found is None:
        raise HTTPException(404, "SITE_LOGIN_REQUEST_NOT_FOUND")
    return Envelope(
        data=Puzzle(
            pow_challenge=found["challenge"],
            pow_difficulty=found["difficulty"],
            pow_algorithm="sha256",
            expires_at=found["expires_at"],
            site=SiteView(site_id=found["site_id"], display_name=found["display_name"]),
        )
    )


@app.post(f"{API}/modules/agent-login/requests/{{request_id}}/approve")
async def approve(
    request_id: UUID, body: Approve, agent: Annotated[Any, Depends(agent)]
) -> Envelope[Decision]:
    found = await office.pool.fetchrow(
        "SELECT challenge, difficulty FROM logins "
        "WHERE request_id = $1 AND state = 'PENDING' AND expires_at > now()",
        request_id,
    )
    if found is None:
        raise HTTPException(404, "SITE_LOGIN_REQUEST_NOT_FOUND")
    if not solved(found["challenge"], body.pow_nonce, found["difficulty"]):
        raise HTTPException(400, "INVALID_POW")
    won = await office.pool.fetchrow(
        "UPDATE logins SET state = 'APPROVED', agent_id = $2, owner_id = $3 "
        "WHERE request_id = $1 AND state = 'PENDING' "
        "RETURNING request_id, site_id, agent_id, owner_id, expires_at",
        request_id, agent["agent_id"], agent["owner_id"],
    )  # fmt: skip
    if won is None:
        raise HTTPException(404, "SITE_LOGIN_REQUEST_NOT_FOUND")
    for queue in office.queues.get(won["site_id"], ()):
        queue.put_nowait(won)
    return Envelope(
        data=Decision(
            request_id=request_id,
            site_id=won["site_id"],
            status="APPROVED",
            expires_at=won["expires_at"],
            approved_agent_id=agent["agent_id"],
        )
    )


@app.get(f"{API}/modules/agent-login/events")
async def events(site: Annotated[Any, Depends(site)]) -> StreamingResponse:
    return StreamingResponse(frames(site["site_id"]), media_type="text/event-stream")


async def frames(site_id: UUID) -> AsyncIterator[str]:
    queue: asyncio.Queue[Any] = asyncio.Queue()
    office.queues.setdefault(site_id, set()).add(queue)
    try:
        waiting = await office.pool.fetch(
            "SELECT request_id, site_id, agent_id, owner_id FROM logins "
            "WHERE site_id = $1 AND state = 'APPROVED' AND expires_at > now()",
            site_id,
        )
        for login in waiting:
            yield approved(login)
        while True:
            try:
                login = await asyncio.wait_for(queue.get(), office.keepalive)
            except TimeoutError:
                yield 'data: {"type":"keepalive"}\n\n'
            else:
                yield approved(login)
    finally:
        office.queues[site_id].discard(queue)


def approved(login: Any) -> str:
    request_id, now = str(login["request_id"]), int(datetime.now(UTC).timestamp())
    claims = {
        "iss": office.issuer,
        "aud": "lime-site-login",
        "sub": str(login["agent_id"]),
        "iat": now,
        "exp": now + PASSPORT_LIFETIME,
        "jti": request_id,
        "request_id": request_id,
        "user_id": str(login["owner_id"]),
        "passport_version": 1,
        "site_id": str(login["site_id"]),
        "azp": str(login["site_id"]),
    }
    header = {"kid": office.kid, "typ": "lime-passport+jwt"}
    data = {
        "type": "approved",
        "login_request_id": request_id,
        "agent_passport_jwt": jwt.encode(claims, office.key, algorithm="RS256", headers=header),
    }
    return f"id: {request_id}\ndata: {json.dumps(data)}\n\n"


@app.post(f"{API}/modules/agent-login/events/ack")
async def acknowledge(body: Acknowledge, site: Annotated[Any, Depends(site)]) -> Envelope[Nothing]:
    await office.pool.execute(
        "UPDATE logins SET state = 'DELIVERED' "
        "WHERE request_id = ANY ($1) AND site_id = $2 AND state = 'APPROVED'",
        body.ids, site["site_id"],
    )  # fmt: skip
    return Envelope(data=Nothing())


@app.get(f"{API}/core/.well-known/jwks.json")
async def jwks() -> dict[str, Any]:
    public = office.key.public_key().public_numbers()
    numbers = {"n": base64url(public.n), "e": base64url(public.e)}
    return {"keys": [{"kty": "RSA", "kid": office.kid, "use": "sig", "alg": "RS256", **numbers}]}


def hashed(token: str) -> bytes:
    """What is stored of a token: it holds 256 random bits, so nothing slower is needed."""
    return hashlib.sha256(token.encode()).digest()


def solved(challenge: str, nonce: str, difficulty: int) -> bool:
    """Whether the work was done (protocol section 4)."""
    digest = hashlib.sha256(f"lime:pow:v1\0{challenge}\0{nonce}".encode()).digest()
    return int.from_bytes(digest, "big") < 1 << (256 - difficulty)


def base64url(number: int) -> str:
    """As RFC 7518 section 2 writes numbers."""
    content = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


async def settle(database: str) -> dict[str, str]:
    """Tables, one agent and one site."""
    agent_token, site_token = f"at_{secrets.token_urlsafe(32)}", f"st_{secrets.token_urlsafe(32)}"
    connection = await asyncpg.connect(database)
    try:
        await connection.execute(SCHEMA)
        await connection.execute(
            "INSERT INTO agents VALUES ($1, $2, $3)", uuid4(), uuid4(), hashed(agent_token)
        )
        await connection.execute(
            "INSERT INTO sites VALUES ($1, 'Demo site', $2)", uuid4(), hashed(site_token)
        )
    finally:
        await connection.close()
    return {"agent_token": agent_token, "site_token": site_token}


def main() -> None:
    """Serve until a signal says stop."""
    global office  # noqa: PLW0603  # an application in one file, as most begin
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--database", required=True, metavar="URL")
    parser.add_argument("--ready-file", required=True, type=Path, metavar="FILE")
    parser.add_argument("--keepalive", type=float, default=15.0, metavar="SECONDS")
    parser.add_argument("--port", type=int, default=0, metavar="N")
    options = parser.parse_args()
    with socket.create_server(("127.0.0.1", options.port), backlog=2048) as sock:
        issuer = f"http://127.0.0.1:{sock.getsockname()[1]}"
        who = asyncio.run(settle(options.database))
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        office = Office(options.database, issuer, key, options.keepalive)
        config = uvicorn.Config(
            app,
            loop="uvloop",
            http="httptools",
            log_level="warning",
            access_log=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )
        # Whoever connects from here on is accepted once the application has started.
        ready = {"api_base": issuer + API, "pid": os.getpid(), **who}
        whole = options.ready_file.with_suffix(".new")
        whole.touch(mode=0o600)
        whole.write_text(json.dumps(ready))
        whole.rename(options.ready_file)
        uvicorn.Server(config).run(sockets=[sock])


if __name__ == "__main__":
    main()
