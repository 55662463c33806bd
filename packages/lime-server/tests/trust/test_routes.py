"""The routes of the audit log, of KYC and of the operators' console."""

import base64
import hashlib
import json
from types import SimpleNamespace

import httpx
import pytest
from fastapi import FastAPI, Request

from lime_server.core.origin import current_origin
from lime_server.core.urls import API_PATH
from lime_server.foundation.audit import SYSTEM, canonical
from lime_server.foundation.operators import Kind
from lime_server.foundation.sessions import FRESH_FOR, SessionRules, Sessions
from lime_server.infrastructure.kyc import sign_callback
from lime_server.infrastructure.memory.accounts import MemorySessions
from lime_server.infrastructure.memory.limiter import MemoryLimiter
from lime_server.infrastructure.web import errors
from lime_server.infrastructure.web.body import Bodies, LargeBodies
from lime_server.infrastructure.web.errors import Errors
from lime_server.infrastructure.web.metrics import Metrics
from lime_server.infrastructure.web.trace import Trace
from lime_server.modules.audit.routes import router as audit_routes
from lime_server.modules.kyc.routes import CASES
from lime_server.modules.kyc.routes import router as kyc_routes
from lime_server.modules.kyc.wire import LARGEST_BODY, DocumentBody
from lime_server.modules.operator.routes import OperatorParts
from lime_server.modules.operator.routes import router as operator_routes

ORIGIN = "https://lime.example"
OPERATOR = "/foundation/operator"
NOBODY = "0190a2b4-0000-7000-8000-000000000000"


async def application(world, kyc):
    """The routes behind as much of the edge as they notice, and who it can be called as."""
    sessions = Sessions(
        MemorySessions(world.stores.owners._identities),
        world.tokens,
        world.clock,
        SessionRules(origin=ORIGIN),
        MemoryLimiter(lambda: 0.0),
    )
    app = FastAPI()
    for routes in (
        audit_routes(world.audit, sessions),
        kyc_routes(kyc, sessions),
        operator_routes(OperatorParts(world.operators, kyc, world.audit, sessions)),
    ):
        app.include_router(routes, prefix=API_PATH)
    errors.install(app)

    async def owner_of(scope):
        cookie = Request(scope).cookies.get(sessions.rules.cookie)
        return (await sessions.authenticate(cookie)).owner.owner_id

    large = LargeBodies({("POST", API_PATH + CASES): LARGEST_BODY}, owner_of)
    app.add_middleware(Bodies, max_bytes=65536, timeout=5, large=large)
    app.add_middleware(Errors)
    app.add_middleware(
        Trace, metrics=Metrics(), monotonic=lambda: 0.0, secure=True, access_log=False
    )

    async def as_owner(owner):
        signed_in = await sessions.begin(owner)
        return {
            "Cookie": f"{sessions.rules.cookie}={signed_in.token.text}; lime_csrf={signed_in.csrf}",
            "X-CSRF-Token": signed_in.csrf,
            "Origin": ORIGIN,
        }

    return app, as_owner


@pytest.fixture
async def make_api(small_world, help_):
    """Makes a client; with which provider, the test says."""
    world = small_world
    world.tokens = help_.SECRETS.tokens
    clients = []

    async def make(kyc):
        app, as_owner = await application(world, kyc)
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app, client=("192.0.2.7", 1)),
            base_url=f"{ORIGIN}{API_PATH}",
        )
        clients.append(client)
        return SimpleNamespace(
            get=client.get,
            post=client.post,
            ada=await as_owner(world.owner),
            ops=await as_owner(world.operator),
            other=await as_owner(world.other),
        )

    yield make
    for client in clients:
        await client.aclose()


@pytest.fixture
async def api(small_world, make_api):
    return await make_api(small_world.kyc)


def data(response, status=200):
    assert response.status_code == status, response.text
    assert response.headers["cache-control"] == "no-store"
    return response.json()["data"]


def refusal(response):
    assert not response.json()["ok"]
    return response.status_code, response.json()["error"]["code"]


def in_base64(content):
    return base64.b64encode(content).decode()


@pytest.fixture
def application_body(help_):
    document = {
        "name": "my card.pdf",
        "content_type": "application/pdf",
        "content_base64": in_base64(help_.PDF),
    }
    return {"target_level": 2, "documents": [document]}


# The audit log


async def test_an_owner_reads_their_own_log_in_pages(small_world, api):
    world = small_world
    for number in range(3):
        await world.audit.record(
            "agent.renamed",
            owner_id=world.owner.owner_id,
            actor=SYSTEM,
            detail={"number": number},
        )
    first = data(await api.get("/foundation/audit?limit=2", headers=api.ada))
    assert [item["sequence"] for item in first["items"]] == [3, 2]
    cursor = first["next_cursor"]
    rest = data(await api.get(f"/foundation/audit?cursor={cursor}", headers=api.ada))
    (item,) = rest["items"]
    assert rest["next_cursor"] is None
    assert item["actor"] == {"kind": "system", "id": "lime-server"}
    assert (item["target"], item["detail"]) == (None, {"number": 0})
    assert len(item["hash"]) == 64
    # Somebody else sees another one.
    assert len(data(await api.get("/foundation/audit", headers=api.ops))["items"]) == 1


async def test_an_empty_log_has_an_empty_page(api):
    assert data(await api.get("/foundation/audit", headers=api.ada)) == {
        "items": [], "next_cursor": None,
    }  # fmt: skip


@pytest.mark.parametrize("cursor", ["0", "-1", "x", "9" * 30, NOBODY])
async def test_a_cursor_that_is_none_of_ours_is_refused(api, cursor):
    answer = await api.get(f"/foundation/audit?cursor={cursor}", headers=api.ada)
    assert refusal(answer) == (400, "INVALID_REQUEST")


async def test_the_export_is_a_chain_that_can_be_checked(small_world, api):
    world = small_world
    for _ in range(3):
        await world.audit.record("agent.renamed", owner_id=world.owner.owner_id, actor=SYSTEM)
    answer = await api.get("/foundation/audit/export", headers=api.ada)
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["content-disposition"].startswith("attachment")
    previous = "00" * 32
    for line in answer.text.splitlines():
        entry = json.loads(line)
        claimed = entry.pop("hash")
        assert entry["previous"] == previous
        assert hashlib.sha256(canonical(entry)).hexdigest() == claimed
        previous = claimed
    assert len(answer.text.splitlines()) == 3


async def test_a_request_is_told_by_its_id_and_the_clients_address(small_world, api):
    headers = api.ops | {"X-Request-Id": "request-12345"}
    path = f"{OPERATOR}/agents/{small_world.agent.agent_id}/suspend"
    data(await api.post(path, json={"reason": "Spam"}, headers=headers))
    own = data(await api.get("/foundation/audit", headers=api.ops))["items"][0]
    assert (own["request_id"], own["address"]) == ("request-12345", "192.0.2.7")
    theirs = data(await api.get("/foundation/audit", headers=api.ada))["items"][0]
    assert (theirs["request_id"], theirs["address"]) == ("request-12345", None)
    assert current_origin().request_id is None


# Operators


PATHS = [
    ("GET", "/owners"),
    ("GET", f"/owners/{NOBODY}"),
    ("POST", f"/owners/{NOBODY}/suspend"),
    ("POST", f"/owners/{NOBODY}/restore"),
    ("POST", f"/agents/{NOBODY}/suspend"),
    ("POST", f"/agents/{NOBODY}/restore"),
    ("POST", f"/sites/{NOBODY}/suspend"),
    ("POST", f"/sites/{NOBODY}/restore"),
    ("GET", "/kyc/cases"),
    ("GET", f"/kyc/cases/{NOBODY}"),
    ("GET", f"/kyc/cases/{NOBODY}/documents/1"),
    ("POST", f"/kyc/cases/{NOBODY}/decide"),
    ("GET", f"/audit?owner_id={NOBODY}"),
]


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_to_everybody_else_there_is_no_console(api, method, path):
    work = {"GET": api.get, "POST": api.post}[method]
    body = {"json": {"reason": "x", "outcome": "reject"}} if method == "POST" else {}
    if path.endswith(("suspend", "restore")):
        body = {"json": {"reason": "x"}}
    assert refusal(await work(OPERATOR + path, headers=api.ada, **body)) == (404, "NOT_FOUND")
    assert refusal(await work(OPERATOR + path, **body)) == (401, "NOT_SIGNED_IN")


async def test_what_operators_do_to_others_needs_a_fresh_proof(small_world, api, application_body):
    made = data(await api.post(CASES, json=application_body, headers=api.ada), 201)
    case, before = made["case_id"], await small_world.log(small_world.owner)
    small_world.clock.advance(FRESH_FOR.total_seconds())
    stale = [await api.get(f"{OPERATOR}/kyc/cases/{case}/documents/1", headers=api.ops)]
    for kind in Kind:
        for verb in ("suspend", "restore"):
            path = f"{OPERATOR}/{kind}/{small_world.ids[kind]}/{verb}"
            stale.append(await api.post(path, json={"reason": "x"}, headers=api.ops))
    decision = {"outcome": "approve", "level": 2, "reason": "Seen."}
    path = f"{OPERATOR}/kyc/cases/{case}/decide"
    stale.append(await api.post(path, json=decision, headers=api.ops))
    assert [refusal(one) for one in stale] == [(403, "STEP_UP_REQUIRED")] * 8
    assert await small_world.log(small_world.owner) == before
    # Looking around does not, and others still learn nothing.
    data(await api.get(f"{OPERATOR}/kyc/cases/{case}", headers=api.ops))
    hidden = await api.post(path, json=decision, headers=api.ada)
    assert refusal(hidden) == (404, "NOT_FOUND")


@pytest.mark.parametrize("kind", list(Kind))
async def test_an_operator_suspends_and_restores(small_world, api, kind):
    ident = small_world.ids[kind]
    for verb, suspended in (("suspend", True), ("restore", False)):
        answer = await api.post(
            f"{OPERATOR}/{kind}/{ident}/{verb}", json={"reason": "Because."}, headers=api.ops
        )
        assert data(answer) == {
            "kind": kind.target,
            "id": ident,
            "user_id": small_world.owner.owner_id,
            "suspended": suspended,
        }


async def test_a_suspended_owner_is_out_at_the_next_request(small_world, api):
    data(await api.get("/foundation/kyc", headers=api.ada))
    path = f"{OPERATOR}/owners/{small_world.owner.owner_id}/suspend"
    data(await api.post(path, json={"reason": "Because."}, headers=api.ops))
    answer = await api.get("/foundation/kyc", headers=api.ada)
    assert refusal(answer) == (403, "OWNER_SUSPENDED")


@pytest.mark.parametrize(
    "body", [{}, {"reason": ""}, {"reason": "x" * 501}, {"reason": "x", "more": 1}, {"reason": 1}]
)
async def test_a_suspension_needs_a_reason(small_world, api, body):
    path = f"{OPERATOR}/agents/{small_world.agent.agent_id}/suspend"
    answer = await api.post(path, json=body, headers=api.ops)
    assert refusal(answer) == (400, "INVALID_REQUEST")


async def test_operators_do_not_suspend_themselves(small_world, api):
    path = f"{OPERATOR}/owners/{small_world.operator.owner_id}/suspend"
    answer = await api.post(path, json={"reason": "x"}, headers=api.ops)
    assert refusal(answer) == (403, "FORBIDDEN")


async def test_another_pages_request_suspends_nobody(small_world, api):
    path = f"{OPERATOR}/agents/{small_world.agent.agent_id}/suspend"
    for change in ({"Origin": "https://evil.example"}, {"X-CSRF-Token": "x"}):
        answer = await api.post(path, json={"reason": "x"}, headers=api.ops | change)
        assert refusal(answer) == (403, "CSRF_FAILED")
    assert await small_world.log(small_world.owner) == []


async def test_an_operator_finds_owners_and_what_is_theirs(small_world, api):
    found = data(await api.get(f"{OPERATOR}/owners?query=ADA", headers=api.ops))
    (owner,) = found["items"]
    assert (owner["email"], owner["kyc_level"], owner["suspended"]) == ("ada@example.com", 0, False)
    full = data(await api.get(f"{OPERATOR}/owners/{owner['user_id']}", headers=api.ops))
    assert full.items() >= owner.items()
    assert [one["id"] for one in full["agents"]] == [small_world.agent.agent_id]
    assert [one["id"] for one in full["sites"]] == [small_world.site.site_id]
    nobody = await api.get(f"{OPERATOR}/owners/{NOBODY}", headers=api.ops)
    assert refusal(nobody) == (404, "NOT_FOUND")


async def test_an_operator_reads_an_owners_log(small_world, api):
    world = small_world
    await world.audit.record("agent.renamed", owner_id=world.owner.owner_id, actor=SYSTEM)
    path = f"{OPERATOR}/audit?owner_id={world.owner.owner_id}"
    assert len(data(await api.get(path, headers=api.ops))["items"]) == 1
    answer = await api.get(f"{OPERATOR}/audit?owner_id=x", headers=api.ops)
    assert refusal(answer) == (400, "INVALID_REQUEST")


# KYC


async def test_an_owner_becomes_known(small_world, api, application_body, help_):
    before = data(await api.get("/foundation/kyc", headers=api.ada))
    assert before == {"level": 0, "takes_documents": True, "case": None}
    made = data(await api.post(CASES, json=application_body, headers=api.ada), 201)
    assert (made["state"], made["target_level"], made["level"]) == ("SUBMITTED", 2, None)
    assert made["documents"] == [
        {"number": 1, "name": "my card.pdf", "content_type": "application/pdf", "size": len(help_.PDF)}
    ]  # fmt: skip
    assert data(await api.get("/foundation/kyc", headers=api.ada))["case"] == made
    again = await api.post(CASES, json=application_body, headers=api.ada)
    assert refusal(again) == (409, "CONFLICT")

    (waiting,) = data(await api.get(f"{OPERATOR}/kyc/cases", headers=api.ops))["items"]
    assert (waiting["user_id"], waiting["decided_by"]) == (small_world.owner.owner_id, None)
    path = f"{OPERATOR}/kyc/cases/{made['case_id']}"
    assert data(await api.get(path, headers=api.ops)) == waiting
    document = await api.get(f"{path}/documents/1", headers=api.ops)
    assert document.content == help_.PDF
    assert document.headers["content-type"] == "application/pdf"
    assert document.headers["content-disposition"] == "attachment; filename*=UTF-8''my%20card.pdf"
    assert document.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert document.headers["cache-control"] == "no-store"
    for number in ("2", "9", "x"):
        assert (await api.get(f"{path}/documents/{number}", headers=api.ops)).is_client_error

    decision = {"outcome": "approve", "level": 2, "reason": "Seen."}
    done = data(await api.post(f"{path}/decide", json=decision, headers=api.ops))
    assert (done["state"], done["level"]) == ("APPROVED", 2)
    assert done["decided_by"] == small_world.operator.owner_id
    late = await api.post(f"{path}/decide", json=decision, headers=api.other)
    assert refusal(late) == (409, "CONFLICT")
    after = data(await api.get("/foundation/kyc", headers=api.ada))
    assert (after["level"], after["case"]["reason"]) == (2, "Seen.")


async def test_a_case_is_rejected(api, application_body):
    made = data(await api.post(CASES, json=application_body, headers=api.ada), 201)
    path = f"{OPERATOR}/kyc/cases/{made['case_id']}/decide"
    done = data(
        await api.post(path, json={"outcome": "reject", "reason": "Blurred."}, headers=api.ops)
    )
    assert (done["state"], done["level"], done["reason"]) == ("REJECTED", None, "Blurred.")
    rejected = data(await api.get(f"{OPERATOR}/kyc/cases?state=REJECTED", headers=api.ops))
    assert [case["case_id"] for case in rejected["items"]] == [made["case_id"]]


@pytest.mark.parametrize(
    "body",
    [
        {"outcome": "approve", "reason": "x"},
        {"outcome": "approve", "level": 4, "reason": "x"},
        {"outcome": "approve", "level": True, "reason": "x"},
        {"outcome": "reject", "level": 1, "reason": "x"},
        {"outcome": "maybe", "reason": "x"},
        {"outcome": "reject"},
    ],
)
async def test_a_decision_is_whole(api, application_body, body):
    made = data(await api.post(CASES, json=application_body, headers=api.ada), 201)
    path = f"{OPERATOR}/kyc/cases/{made['case_id']}/decide"
    assert refusal(await api.post(path, json=body, headers=api.ops)) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize(
    "change",
    [
        {"target_level": 0},
        {"target_level": True},
        {"documents": []},
        {"state": "APPROVED"},
        {"documents": [{"name": "a", "content_type": "application/pdf", "content_base64": "%%%"}]},
        {"documents": [{"name": "a", "content_type": "application/pdf", "content_base64": "ä"}]},
        {"documents": [{"name": "a", "content_type": "text/html", "content_base64": "PGh0bWw+"}]},
    ],
)
async def test_an_application_that_cannot_be_is_refused(api, application_body, change):
    answer = await api.post(CASES, json=application_body | change, headers=api.ada)
    assert refusal(answer) == (400, "INVALID_REQUEST")


async def test_documents_may_be_larger_than_other_bodies(api, application_body, help_):
    big = in_base64(help_.PDF + bytes(200_000))
    application_body["documents"][0]["content_base64"] = big
    data(await api.post(CASES, json=application_body, headers=api.ada), 201)
    path = f"{OPERATOR}/agents/{NOBODY}/suspend"
    answer = await api.post(path, json={"reason": "x" * 70_000}, headers=api.ops)
    assert refusal(answer) == (413, "BODY_TOO_LARGE")


def test_what_a_document_holds_does_not_show():
    body = DocumentBody(name="a", content_type="application/pdf", content_base64="c2VjcmV0")
    assert "c2VjcmV0" not in repr(body)


async def test_a_providers_webhook_needs_its_signature_and_nothing_else(
    small_world, make_api, help_
):
    world = small_world
    kyc = world.reviewed_by(help_.ScriptedKyc())
    api = await make_api(kyc)
    made = data(await api.post(CASES, json={"target_level": 1}, headers=api.ada), 201)
    reference = (await kyc.case(made["case_id"])).reference
    said = {"event_id": "e1", "reference": reference, "outcome": "approved"}
    body = json.dumps(said).encode()
    headers = {
        "Content-Type": "application/json",
        "X-Kyc-Signature": sign_callback(help_.WEBHOOK_SECRET, body, world.clock.now()),
    }
    path = "/foundation/kyc/webhooks/scripted"
    unsigned = await api.post(path, content=body)
    assert refusal(unsigned) == (401, "UNAUTHENTICATED")
    done = data(await api.post(path, content=body, headers=headers))
    assert done == {"case_id": made["case_id"], "state": "APPROVED"}
    assert refusal(await api.post(path, content=body, headers=headers)) == (409, "CONFLICT")
    elsewhere = await api.post("/foundation/kyc/webhooks/manual", content=body, headers=headers)
    assert refusal(elsewhere) == (404, "NOT_FOUND")
    assert data(await api.get("/foundation/kyc", headers=api.ada))["level"] == 1
