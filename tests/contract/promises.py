"""What the protocol promises: one entry for each of its sentences that can be broken.

`test_manifest.py` holds this table and the tests together: a promise without a test fails, and so does a test without a
promise. README.md beside this file explains how to add one. Sources are sections of `docs/protocol.md`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import pytest

_Test = TypeVar("_Test", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Promise:
    """One sentence that can be broken."""

    source: str
    """Section of `docs/protocol.md`, and the place in it."""

    says: str
    """What must be true, in one or two sentences."""


def promise(*ids: str) -> Callable[[_Test], _Test]:
    """Mark a test as the one that checks these promises.

    Only literal ids: the manifest's own test finds them without running anything.

    Raises:
        KeyError: for an id that is not in the manifest.
    """
    for each in ids:
        PROMISES[each]
    return pytest.mark.promise(*ids)


_CONVENTIONS = {
    "conventions:api-base": Promise(
        "protocol 1", "Every path lives below {public_url}/api/v1, and nowhere else."
    ),
    "conventions:public-url": Promise(
        "protocol 1", "Nothing that is signed is derived from Host or a forwarding header."
    ),
    "conventions:json": Promise(
        "protocol 1", "Bodies are JSON in UTF-8, whatever script a name is written in."
    ),
    "conventions:times": Promise("protocol 1", "Times are RFC 3339 in UTC, ending in Z."),
    "conventions:ids": Promise("protocol 1", "Ids are UUID strings in their canonical form."),
    "conventions:success-envelope": Promise(
        "protocol 1", 'A success is {"ok": true, "data": {...}} and nothing more.'
    ),
    "conventions:error-envelope": Promise(
        "protocol 1",
        'Every refusal is {"ok": false, "error": {code, message, detail?}}, also for a wrong path, method or body.',
    ),
    "conventions:spec-documents": Promise("protocol 1", "JWKS has no envelope."),
    "conventions:request-id:made": Promise(
        "protocol 1", "Every response carries X-Request-Id, a different one each time."
    ),
    "conventions:request-id:accepted": Promise(
        "protocol 1", "A sane X-Request-Id of the caller comes back."
    ),
    "conventions:request-id:replaced": Promise(
        "protocol 1", "An X-Request-Id that is no sane token is replaced."
    ),
    "conventions:rate-limit": Promise(
        "protocol 1", "429 carries Retry-After in whole seconds and RATE_LIMIT_EXCEEDED."
    ),
    "conventions:idempotency:same": Promise(
        "protocol 1", "The same Idempotency-Key with the same body gives the first answer."
    ),
    "conventions:idempotency:at-once": Promise(
        "protocol 1", "Ten equal requests at once under one key do their work once."
    ),
    "conventions:idempotency:other": Promise(
        "protocol 1", "The same key with another body gives 409 IDEMPOTENCY_KEY_REUSED."
    ),
    "conventions:idempotency:scope": Promise(
        "protocol 1", "One caller's key means nothing for another caller."
    ),
}

_CREDENTIALS = {
    "credentials:agent-header": Promise(
        "protocol 2", "An agent token proves its agent in X-Agent-Token and in no other header."
    ),
    "credentials:site-header": Promise(
        "protocol 2", "A site token proves its site in X-Site-Token and in no other header."
    ),
    "credentials:shape": Promise(
        "protocol 2", "Agent tokens are at_..., site tokens st_..., of at least 256 random bits."
    ),
    "credentials:only-a-hash": Promise(
        "protocol 2", "The server stores neither a token nor an unkeyed hash of it."
    ),
    "credentials:shown-once": Promise(
        "protocol 2", "No route ever answers with a token after it was issued."
    ),
    "credentials:passport-is-no-token": Promise(
        "protocol 2", "A passport is refused with 401 where a token is wanted."
    ),
    "credentials:agent-missing": Promise(
        "protocol 2, table", "No agent token: 401 MISSING_AGENT_TOKEN."
    ),
    "credentials:agent-unknown": Promise(
        "protocol 2, table", "An unknown agent token: 401 INVALID_AGENT_TOKEN."
    ),
    "credentials:agent-inactive": Promise(
        "protocol 2, table", "An agent that is switched off: 403 AGENT_INACTIVE."
    ),
    "credentials:owner-suspended": Promise(
        "protocol 2, table", "The owner is suspended: 403 AGENT_USER_SUSPENDED."
    ),
    "credentials:site-missing": Promise(
        "protocol 2, table", "No site token: 401 SITE_TOKEN_MISSING."
    ),
    "credentials:site-unknown": Promise(
        "protocol 2, table", "An unknown site token: 401 SITE_TOKEN_INVALID."
    ),
    "credentials:site-suspended": Promise(
        "protocol 2, table", "A suspended site: 403 SITE_SUSPENDED."
    ),
    "credentials:store-down": Promise(
        "protocol 2, table",
        "A credential store that cannot answer fails closed: 503 AUTH_UNAVAILABLE to agents, SITE_TOKEN_AUTH_UNAVAILABLE to sites.",
    ),
}

_SITE_LOGIN = {
    "site-login:five-steps": Promise(
        "protocol 3",
        "Five steps from end to end without a browser: a passport on the site's stream.",
    ),
    "site-login:create": Promise(
        "protocol 3, step 1", "201 {login_request_id, status: PENDING, expires_at, site_id}."
    ),
    "site-login:create:no-body": Promise("protocol 3, step 1", "The body may be {}, or absent."),
    "site-login:create:redirect-url": Promise(
        "protocol 3, step 1", "A redirect_url is accepted, and comes back with the event."
    ),
    "site-login:create:bad-redirect-url": Promise(
        "protocol 3, step 1", "What is no web address is no redirect_url."
    ),
    "site-login:challenge": Promise(
        "protocol 3, step 2", "Without a credential: 200 with pow_challenge and pow_difficulty."
    ),
    "site-login:challenge:extras": Promise(
        "protocol 3, step 2",
        "It names the algorithm, the expiry and the site, before work is spent.",
    ),
    "site-login:challenge:unknown": Promise(
        "protocol 3, step 2", "404 SITE_LOGIN_REQUEST_NOT_FOUND for an id that was never given out."
    ),
    "site-login:challenge:expired": Promise(
        "protocol 3, step 2", "The same 404 once the request has expired."
    ),
    "site-login:challenge:denied": Promise(
        "protocol 3, step 2", "The same 404 once the request was denied."
    ),
    "site-login:challenge:approved": Promise(
        "protocol 3, step 2", "The same 404 once the request was approved."
    ),
    "site-login:approve": Promise(
        "protocol 3, step 4", "200 {request_id, site_id, status, expires_at, approved_agent_id}."
    ),
    "site-login:approve:missing-nonce": Promise(
        "protocol 3, step 4", "400 MISSING_POW_NONCE without a nonce."
    ),
    "site-login:approve:invalid-pow": Promise(
        "protocol 3, step 4", "400 INVALID_POW leaves the request PENDING; it may be tried again."
    ),
    "site-login:approve:same-agent-again": Promise(
        "protocol 3, step 4", "The same agent again gets 200 with the same outcome."
    ),
    "site-login:approve:other-agent": Promise(
        "protocol 3, step 4", "Another agent gets 404 once the request is approved."
    ),
    "site-login:approve:one-winner": Promise(
        "protocol 3, step 4",
        "Of fifty agents approving one request at once, exactly one succeeds; the others get 404.",
    ),
    "site-login:deny": Promise(
        "protocol 3, step 4", "POST .../deny answers 200 with status DENIED."
    ),
    "site-login:view": Promise(
        "protocol 3, site's view",
        "200 {login_request_id, status, expires_at} to the site that asked for it.",
    ),
    "site-login:view:other-site": Promise(
        "protocol 3, site's view", "Another site's request is 404."
    ),
    "site-login:states:delivered": Promise(
        "protocol 3, states", "APPROVED becomes DELIVERED when the site acknowledges."
    ),
    "site-login:states:expired": Promise(
        "protocol 3, states", "PENDING becomes EXPIRED when its time is over."
    ),
    "site-login:states:final": Promise(
        "protocol 3, states",
        "What is approved, delivered, denied or expired never becomes anything else.",
    ),
    "site-login:wait:approved": Promise(
        "protocol 3, long poll",
        "?wait= answers as soon as the request is approved, with the passport.",
    ),
    "site-login:wait:denied": Promise(
        "protocol 3, long poll",
        "?wait= answers as soon as the request is denied, without a passport.",
    ),
    "site-login:wait:expired": Promise(
        "protocol 3, long poll",
        "?wait= answers as soon as the request has expired, without a passport.",
    ),
    "site-login:wait:pending": Promise(
        "protocol 3, long poll", "?wait= answers PENDING when the seconds are over."
    ),
    "site-login:wait:limit": Promise("protocol 3, long poll", "?wait= is at most 30 seconds."),
}

_PROOF_OF_WORK = {
    "pow:digest": Promise(
        "protocol 4",
        'The digest is SHA-256("lime:pow:v1" || 0 || challenge || 0 || nonce); no other formula counts.',
    ),
    "pow:threshold": Promise(
        "protocol 4", "Valid below 2^(256 - difficulty): one zero bit less is refused."
    ),
    "pow:nonce:any": Promise(
        "protocol 4",
        "Any nonce that satisfies the rule is accepted: not only digits, not only the smallest.",
    ),
    "pow:nonce:longest": Promise(
        "protocol 4", "A nonce of 64 bytes is accepted; one of 65 is refused."
    ),
    "pow:nonce:printable": Promise(
        "protocol 4",
        "A nonce that is not printable ASCII is refused, even if it satisfies the rule.",
    ),
    "pow:challenge": Promise(
        "protocol 4",
        "Our challenge is 43 base64url characters, 256 random bits, never the same twice.",
    ),
    "pow:difficulty": Promise("protocol 4", "The default difficulty is 15."),
    "pow:not-a-bot-test": Promise(
        "protocol 4", "No document of ours calls the proof of work a bot test."
    ),
    "pow:own-request": Promise(
        "protocol 4", "A challenge belongs to one request: its nonce opens no other."
    ),
    "pow:solver:maximum": Promise(
        "protocol 4", "A solver refuses a difficulty above 26 before it starts, with a typed error."
    ),
    "pow:solver:deadline": Promise(
        "protocol 4", "A solver stops at its deadline with a typed error."
    ),
}

_EVENTS = {
    "events:media-type": Promise(
        "protocol 5", "The stream is text/event-stream and is cached by nobody."
    ),
    "events:frame": Promise(
        "protocol 5", "Each frame has one data line, ended by LF, holding one JSON object."
    ),
    "events:refused": Promise(
        "protocol 5", "Without a good site token there is no stream but an error envelope."
    ),
    "events:approved": Promise(
        "protocol 5, table",
        "approved carries login_request_id and agent_passport_jwt, redirect_url only if given.",
    ),
    "events:expired": Promise(
        "protocol 5, table", "expired carries login_request_id: nobody came."
    ),
    "events:denied": Promise("protocol 5, table", "denied carries login_request_id."),
    "events:keepalive": Promise(
        "protocol 5, table", "keepalive comes again and again while nothing happens."
    ),
    "events:error": Promise(
        "protocol 5, table", "error says code and message, and then the stream ends."
    ),
    "events:goaway": Promise(
        "protocol 5, table",
        "goaway comes before the stream ends at a shutdown, and the process ends promptly.",
    ),
    "events:unknown-type": Promise(
        "protocol 5, table", "A client ignores a frame of a type that it does not know."
    ),
    "events:life": Promise(
        "protocol 5", "The server ends a stream after its life; a client comes back by itself."
    ),
    "delivery:again": Promise("protocol 5", "An event that was not acknowledged is sent again."),
    "delivery:acknowledged": Promise(
        "protocol 5", "An event that was acknowledged is not sent again."
    ),
    "delivery:acknowledge:foreign": Promise(
        "protocol 5", "Another site's acknowledgement changes nothing and reveals nothing."
    ),
    "delivery:acknowledge:repeated": Promise(
        "protocol 5", "Acknowledging twice, or something that never was, is no error."
    ),
    "delivery:window": Promise(
        "protocol 5", "After the delivery window an event is not sent any more."
    ),
    "delivery:late-site": Promise(
        "protocol 5", "A site that connects late gets what was approved before."
    ),
    "delivery:minted-when-sent": Promise(
        "protocol 5",
        "The passport is minted when it is sent, so it is fresh however late the site comes.",
    ),
    "delivery:event-id": Promise(
        "protocol 5",
        "A passport's jti is the event's id and the frame's id, the same at every delivery.",
    ),
    "delivery:silent-client": Promise(
        "protocol 5",
        "To a stream that never acknowledges, an event counts as delivered once the stream has outlived a later heartbeat.",
    ),
    "delivery:consumers": Promise(
        "protocol 5", "Streams with ?consumer= share the work: each event goes to one of them."
    ),
    "delivery:consumer-gone": Promise(
        "protocol 5", "What was leased to a consumer that went away goes to another one."
    ),
    "delivery:broadcast": Promise(
        "protocol 5", "Without ?consumer= every stream of the site sees every event."
    ),
    "delivery:isolation": Promise("protocol 5", "A site never sees another site's events."),
    "delivery:killed-server": Promise(
        "protocol 5",
        "kill -9 of the server between approval and delivery: the passport comes once the stream is back.",
    ),
    "delivery:deaf-redis": Promise(
        "protocol 5", "Redis only wakes: without it logins complete, and readiness says degraded."
    ),
    "delivery:bell": Promise(
        "protocol 5",
        "Redis wakes listeners: what is decided at one server is heard at another without the slow poll.",
    ),
    "delivery:two-servers": Promise(
        "protocol 5",
        "A thousand logins through two server processes on one database: each site sees exactly its own, every passport verifies.",
    ),
    "delivery:switched-off-meanwhile": Promise(
        "protocol 5", "No passport is minted for an agent that was switched off after the approval."
    ),
}

_PASSPORTS = {
    "passports:header": Promise(
        "protocol 6", "JWS compact, RS256, header exactly {alg, kid, typ}, typ lime-passport+jwt."
    ),
    "passports:rsa": Promise(
        "protocol 6",
        "Keys are RSA of 2048 bits or more, and a published key verifies the signature.",
    ),
    "passports:jwks": Promise(
        "protocol 6",
        "JWKS follows RFC 7517, names kid, alg and use, and publishes no private member.",
    ),
    "passports:jwks:cacheable": Promise(
        "protocol 6", "JWKS is cacheable for 300 s and answers If-None-Match with 304."
    ),
    "passports:claims": Promise(
        "protocol 6, table",
        "iss, aud, sub, iat, exp, jti, request_id, user_id, passport_version are as the table says.",
    ),
    "passports:claims:ours": Promise(
        "protocol 6, table", "site_id, azp = site id and kyc_level are there, and nothing unlisted."
    ),
    "verifier:returns-or-raises": Promise(
        "protocol 6", "A verifier returns the proven passport or raises."
    ),
    "verifier:size": Promise("protocol 6", "More than 16 KiB is refused."),
    "verifier:segments": Promise(
        "protocol 6", "Three segments of canonical base64url, or it is refused."
    ),
    "verifier:algorithm": Promise("protocol 6", "alg is RS256 and nothing else."),
    "verifier:kid": Promise("protocol 6", "A kid must be present."),
    "verifier:crit": Promise("protocol 6", "crit is refused."),
    "verifier:embedded-key": Promise("protocol 6", "jwk, jku and x5* are never key sources."),
    "verifier:typ": Promise(
        "protocol 6", "typ is absent, JWT or the login's own; another kind's is refused."
    ),
    "verifier:signature": Promise(
        "protocol 6", "A flipped bit anywhere is refused, and so is another key's signature."
    ),
    "verifier:issuer-key": Promise(
        "protocol 6",
        "Keys are found by (issuer, kid): no issuer can forge another's passports under an equal kid.",
    ),
    "verifier:weak-key": Promise(
        "protocol 6",
        "A key of less than 2048 bits, with the exponent 3, or published with its private half proves nothing.",
    ),
    "verifier:issuer": Promise(
        "protocol 6",
        "iss equals the expected issuer: no prefix match; case matters only after the host.",
    ),
    "verifier:audience": Promise(
        "protocol 6", "aud is the plain string lime-site-login: no list, no other audience."
    ),
    "verifier:times": Promise(
        "protocol 6",
        "exp, iat and nbf are integers, not booleans, strings or fractions, and exp and iat are there.",
    ),
    "verifier:leeway": Promise("protocol 6", "Times count with 30 s of leeway, and not with more."),
    "verifier:life": Promise("protocol 6", "A life of more than 120 s is refused."),
    "verifier:names": Promise("protocol 6", "sub and jti are there and not empty."),
    "verifier:bound": Promise(
        "protocol 6",
        "request_id equals the one expected, or site_id the verifier's own: site A's passport opens no site B.",
    ),
    "verifier:always-bound": Promise(
        "protocol 6",
        "Our SDK has no way to verify a login passport without a request id or a site id.",
    ),
    "jwks-cache:warm": Promise("protocol 6, cache", "Verification with a warm cache makes no I/O."),
    "jwks-cache:one-in-flight": Promise(
        "protocol 6, cache", "Fifty cold verifications at once cause one fetch."
    ),
    "jwks-cache:unknown-kid": Promise(
        "protocol 6, cache",
        "A thousand unknown kids cause at most one fetch per interval, and delay no good key.",
    ),
    "jwks-cache:stale-if-error": Promise(
        "protocol 6, cache", "A failed fetch keeps the keys at hand."
    ),
    "jwks-cache:withdrawn": Promise(
        "protocol 6, cache", "A withdrawn key stops working after the next good fetch."
    ),
    "rotation:published-first": Promise(
        "protocol 6, rotation",
        "A new key is published before it signs: the old one goes on signing.",
    ),
    "rotation:old-stays": Promise(
        "protocol 6, rotation",
        "An old key stays published after it stopped signing, and its passports verify.",
    ),
    "rotation:states": Promise(
        "protocol 6, rotation", "Keys go standby, active, retiring, gone; one at a time is active."
    ),
}

_PEOPLE = {
    "agents:profile": Promise(
        "protocol 7",
        "{agent_id, user_id, display_name, avatar_url, description} of the agent whose token it is.",
    ),
    "sites:me": Promise(
        "protocol 7",
        "{site_id, display_name, domain, domain_verified} of the site whose token it is.",
    ),
}

_BINDING = {
    "binding:create": Promise(
        "protocol 9, step 1",
        "201 {binding_id, connect_url, status PENDING, expires_at, site_id, state}; connect_url is under the public URL.",
    ),
    "binding:redirect-uri": Promise(
        "protocol 9, step 1", "A redirect URI is, to the letter, one of the site's list."
    ),
    "binding:look": Promise(
        "protocol 9, step 2",
        "A signed-in human sees which site asks, where the browser will go and what is learned.",
    ),
    "binding:approve": Promise(
        "protocol 9, step 3",
        "The browser returns to redirect_uri with binding_code and state, and without a JWT.",
    ),
    "binding:own-agents": Promise(
        "protocol 9, step 2", "Only an agent of the human's own, switched on, can be picked."
    ),
    "binding:refuse": Promise(
        "protocol 9, step 3", "A refusal returns with error=access_denied and state."
    ),
    "binding:one-answer": Promise(
        "protocol 9, step 2", "Of fifty answers to one request at once, exactly one counts."
    ),
    "binding:exchange": Promise(
        "protocol 9, step 4", "A code gives a passport with exactly the claims of section 6."
    ),
    "binding:exchange:once": Promise(
        "protocol 9, step 4", "Of fifty exchanges of one code at once, exactly one succeeds."
    ),
    "binding:exchange:own-site": Promise(
        "protocol 9, step 4", "Another site cannot exchange a code, nor spoil it."
    ),
    "binding:exchange:browser": Promise(
        "protocol 9, step 4",
        "With a binding id, state or verifier of another browser a code is refused and not spent.",
    ),
    "binding:exchange:suspended": Promise(
        "protocol 9, step 4", "There is no passport for an agent whose owner was suspended."
    ),
    "binding:expiry": Promise(
        "protocol 9, states", "Requests and codes expire, and then answer like unknown ones."
    ),
    "binding:lists": Promise(
        "protocol 9, states", "Both sides list their own bindings, ended ones told apart."
    ),
    "binding:end": Promise(
        "protocol 9, states", "Either side ends its own binding, once; nobody else can."
    ),
    "binding:credentials": Promise(
        "protocol 9", "A site's routes take its token and a human's routes a session, never both."
    ),
    "sdks:binding": Promise("protocol 9", "Both clients of the sites SDK make and end a binding."),
}

_MCP = {
    "mcp:metadata:places": Promise(
        "protocol 8", "The metadata is the same document, to the byte, at four places."
    ),
    "mcp:metadata:issuer": Promise(
        "protocol 8", "The issuer is made from the public URL, whatever a request says."
    ),
    "mcp:metadata:content": Promise(
        "protocol 8",
        "The metadata names every endpoint, method and grant, S256, iss and documents; jwks_uri is same-origin.",
    ),
    "mcp:short-form": Promise(
        "protocol 8",
        "The short form answers with exactly access_token, token_type Bearer and expires_in, and no-store.",
    ),
    "mcp:claims": Promise(
        "protocol 6, table", "An access token has the claims of the table, and nothing unlisted."
    ),
    "mcp:short-form:domain": Promise(
        "protocol 8", "domain is a DNS host name; everything else is 400 invalid_request."
    ),
    "mcp:short-form:refusals": Promise(
        "protocol 8",
        "400 invalid_request, 401 invalid_client; 403 access_denied without oauth:mcp, or switched off.",
    ),
    "mcp:client-credentials": Promise(
        "protocol 8",
        "An agent is a confidential client with its id and token; resource becomes the second audience.",
    ),
    "mcp:code": Promise(
        "protocol 8",
        "From authorize by consent and code to a token, and to the next one: each bound to what was asked.",
    ),
    "mcp:refusal": Promise("protocol 8", "A client hears access_denied, with state and iss."),
    "mcp:authorize:errors": Promise(
        "protocol 8",
        "Without a known client and its redirect a page is shown; else the client is told, with iss.",
    ),
    "mcp:registration": Promise(
        "protocol 8",
        "Registration answers 201 with what was accepted, and a secret where one is used.",
    ),
    "mcp:revocation": Promise(
        "protocol 8", "A client gives back what it has, any number of times, and nobody else does."
    ),
    "mcp:introspection": Promise(
        "protocol 8", "Whom a token concerns learns of it; everybody else that it is inactive."
    ),
    "mcp:grants": Promise(
        "protocol 8", "An owner lists consents and takes one back, with its refresh tokens."
    ),
    "mcp:errors": Promise(
        "protocol 8", "Refusals are {error, error_description}, whatever was sent, and no-store."
    ),
    "mcp:cors": Promise(
        "protocol 8", "CORS is open, without credentials, on token, register and revoke alone."
    ),
    "mcp:keys": Promise(
        "protocol 8",
        "An agent has at most 8 public keys, each with a kid; a private one is refused.",
    ),
}

_TIMES = {
    "times:mcp-token": Promise("protocol 10", "An access token for MCP servers lives for 300 s."),
    "times:mcp": Promise(
        "protocol 10",
        "Code 60 s, refresh token unused 30 days and in all 90, grace 10 s, assertion 300 s, leeway 30 s.",
    ),
    "times:binding": Promise(
        "protocol 10", "A binding request lives for 600 s, its code and its passport for 60 s."
    ),
    "times:request-life": Promise("protocol 10", "A login request lives for 300 s."),
    "times:passport-life": Promise("protocol 10", "A site passport lives for 60 s."),
    "times:verifier": Promise(
        "protocol 10", "The verifier's leeway is 30 s and its limit of a life 120 s."
    ),
    "times:jwks": Promise(
        "protocol 10", "JWKS cache life 300 s, least refresh interval 10 s, stale-if-error 24 h."
    ),
    "times:rotation": Promise(
        "protocol 10", "A key is published for 600 s before use and after its last signature."
    ),
    "times:stream": Promise(
        "protocol 10", "Keepalive 15 s, client's watchdog 40 s, stream life 300 s."
    ),
    "times:delivery": Promise("protocol 10", "Delivery window 300 s, lease of an event 10 s."),
}

_BOTH_SIDES = {
    "fixtures:server": Promise(
        "protocol 1", "The server's wire models write every fixture to the byte."
    ),
    "fixtures:sdks": Promise(
        "protocol 1", "Both SDKs read every fixture, and ignore a field that was added later."
    ),
    "fixtures:live": Promise(
        "protocol 1", "What the live server sends has exactly the fields of the fixtures."
    ),
    "sdks:async": Promise("protocol 3", "Both SDKs complete a login with each other, on asyncio."),
    "sdks:blocking": Promise(
        "protocol 3", "Both SDKs complete a login with each other, without asyncio."
    ),
    "sdks:hostile-id": Promise(
        "protocol 3, step 1", "A request id from a hostile site never becomes another path."
    ),
}

PROMISES: dict[str, Promise] = {
    **_CONVENTIONS,
    **_CREDENTIALS,
    **_SITE_LOGIN,
    **_PROOF_OF_WORK,
    **_EVENTS,
    **_PASSPORTS,
    **_PEOPLE,
    **_BINDING,
    **_MCP,
    **_TIMES,
    **_BOTH_SIDES,
}
