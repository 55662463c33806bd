"""The portal as a browser is served it."""

import gzip
import re
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from lime_server.infrastructure.web.portal import NOT_PAGES
from lime_server.infrastructure.web.portal_export import LINKED, NO_PORTAL

CHUNK = "/_next/static/chunks/0a%5Bid%5D.js"


def policy(response):
    header = response.headers["content-security-policy"]
    return {part.split()[0]: part.split()[1:] for part in header.split("; ")}


async def test_a_page_is_served_with_everything_that_keeps_it_safe(browser):
    page = await browser.get("/agents/?id=1")
    assert (page.status_code, "agents/" in page.text) == (200, True)
    headers = page.headers
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["cache-control"] == "no-cache"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "publickey-credentials-get=(self)" in headers["permissions-policy"]
    assert "vary" not in headers


async def test_the_policy_of_a_page_knows_its_own_origin_and_hashes_alone(browser, export):
    rules = policy(await browser.get("/agents/"))
    assert rules["default-src"] == ["'none'"]
    assert rules["script-src"] == ["'self'", *export.files["/agents/"].script_hashes()]
    assert rules["style-src"] == ["'self'", *export.files["/agents/"].style_hashes()]
    assert rules["frame-src"] == rules["frame-ancestors"] == ["'none'"]
    assert rules["base-uri"] == rules["object-src"] == ["'none'"]
    assert "unsafe" not in str(rules)
    assert "http" not in str(rules)
    # Another page has other scripts, and they are not this one's to run.
    assert policy(await browser.get("/connect/"))["script-src"] != rules["script-src"]


async def test_turnstile_is_the_one_third_party_and_only_where_it_is_chosen(visit, export):
    async with visit(export, turnstile=True) as browser:
        rules = policy(await browser.get("/agents/"))
    foreign = {name for name, sources in rules.items() if "https:" in " ".join(sources)}
    assert foreign == {"script-src", "frame-src"}
    assert rules["frame-src"] == ["https://challenges.cloudflare.com"]


async def test_scripts_are_kept_for_a_year_and_may_load_parts_of_themselves(browser):
    script = await browser.get(CHUNK)
    assert script.status_code == 200
    assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert policy(script)["script-src"] == ["'self'"]


async def test_other_files_get_the_policy_that_everything_gets(browser):
    icon = await browser.get("/icon.svg")
    assert icon.headers["cache-control"] == "no-cache"
    assert policy(icon)["default-src"] == ["'none'"]


async def test_head_says_what_get_would(browser):
    get, head = await browser.get("/agents/"), await browser.head("/agents/")
    unlike = {"x-request-id"}
    assert head.status_code == 200
    assert head.content == b""
    assert {n: v for n, v in head.headers.items() if n not in unlike} == {
        n: v for n, v in get.headers.items() if n not in unlike
    }


@pytest.mark.parametrize(
    ("accepted", "sent"),
    [
        ("gzip, deflate, br", "br"),
        ("gzip", "gzip"),
        ("br;q=0, gzip;q=0.5", "gzip"),
        ("BR ; Q=0.000,GZIP", "gzip"),
        ("zstd", None),
        ("", None),
        ("gzip;q=0", None),
    ],
)
async def test_a_file_is_sent_in_the_best_coding_that_the_caller_takes(browser, accepted, sent):
    request = browser.build_request("GET", "/", headers={"Accept-Encoding": accepted})
    answer = await browser.send(request, stream=True)
    raw = b"".join([part async for part in answer.stream])
    assert answer.headers.get("content-encoding") == sent
    assert answer.headers["vary"] == "Accept-Encoding"
    assert int(answer.headers["content-length"]) == len(raw)
    if sent == "gzip":
        assert b"<main>home</main>" in gzip.decompress(raw)


async def test_what_a_browser_has_is_not_sent_again_and_its_policy_stays(browser):
    first = await browser.get("/")
    tag = first.headers["etag"]
    assert re.fullmatch(r'"[0-9a-f]{32}"', tag)
    for held in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = await browser.get("/", headers={"If-None-Match": held})
        assert (again.status_code, again.content) == (304, b"")
        for name in ("content-security-policy", "etag", "vary", "cache-control"):
            assert again.headers[name] == first.headers[name]
    assert (await browser.get("/", headers={"If-None-Match": '"other"'})).status_code == 200


async def test_a_tag_is_of_one_coding(browser):
    packed = await browser.get("/", headers={"Accept-Encoding": "gzip"})
    held = {"If-None-Match": packed.headers["etag"]}
    assert (await browser.get("/", headers=held)).status_code == 200
    again = await browser.get("/", headers={"Accept-Encoding": "gzip", **held})
    assert again.status_code == 304


@pytest.mark.parametrize("query", ["", "?id=1&x=a%2Fb", "?next=https://evil.example/"])
async def test_a_page_without_its_slash_is_sent_to_itself_with_its_query(browser, query):
    answer = await browser.get(f"/agents/one{query}", headers={"Host": "evil.example"})
    assert (answer.status_code, answer.headers["location"]) == (308, f"/agents/one/{query}")
    assert answer.headers["cache-control"] == "no-store"


async def test_a_browser_gets_a_page_that_says_not_found(browser):
    for method in ("GET", "HEAD"):
        answer = await browser.request(method, "/nowhere", headers={"Accept-Encoding": "gzip"})
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("text/html")
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["cache-control"] == "no-store"
        assert "'sha256-" in answer.headers["content-security-policy"]
        assert "etag" not in answer.headers


@pytest.mark.parametrize(
    "path", ["/404.html", "/404/", "/_not-found/", "/index.html", "/index.html.gz"]
)
async def test_the_exporters_own_names_are_not_addresses(browser, path):
    assert (await browser.get(path)).status_code == 404


@pytest.mark.parametrize("segment", sorted(NOT_PAGES))
async def test_programs_keep_their_errors(browser, segment):
    answer = await browser.get(f"/{segment}/nothing")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


async def test_who_does_not_ask_for_a_page_gets_an_error_for_programs(browser):
    answer = await browser.get("/nowhere", headers={"Accept": "*/*"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")
    answer = await browser.post("/nowhere")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("path", ["/", "/agents/", "/agents", "/icon.svg", CHUNK])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
async def test_files_are_read_and_nothing_else(browser, method, path):
    answer = await browser.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert answer.json()["error"]["code"] == "METHOD_NOT_ALLOWED"


async def test_routes_come_first_and_keep_their_own_methods(browser):
    assert (await browser.get("/api/v1/things/one")).json() == {"name": "one"}
    assert (await browser.get("/docs")).json() == "docs"
    answer = await browser.post("/api/v1/things/one")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


@pytest.mark.parametrize("path", LINKED)
async def test_without_a_portal_its_pages_say_how_to_get_it(visit, path):
    async with visit(NO_PORTAL) as browser:
        answer = await browser.get(path)
        assert answer.status_code == 200
        assert "Node.js 20.9" in answer.text
        assert "script" not in answer.text
        assert (await browser.get("/nowhere")).json()["error"]["code"] == "NOT_FOUND"
        moved = await browser.get("/connect?id=1&x=<script>")
        assert moved.headers["location"] == "/connect/?id=1&x=%3Cscript%3E"


async def test_logs_and_figures_name_pages_and_never_what_was_asked(browser, metrics, lines):
    for path in ("/agents/?id=secret", "/agents", CHUNK, "/secret"):
        await browser.get(path)
    routes = [line["route"] for line in lines() if line["event"] == "request"]
    assert routes == ["/agents/", "/agents/", "/{asset}", "/{lost}"]
    assert b"secret" not in metrics.render()


async def test_another_protocol_is_none_of_its_business(application, export):
    said = []

    async def send(message):
        said.append(message)

    scope = {"type": "websocket", "path": "/agents/", "headers": [], "query_string": b""}
    await application(export).router.default(scope, None, send)
    assert said[0]["type"] == "websocket.close"


# Half of the paths are made of pieces that mean something to somebody.
_PIECES = st.lists(
    st.sampled_from(
        ["/", "//", "\\", "..", ".", "%2e%2e", "%2f", "agents", "one", "connect", "evil.example",
         "index.html", "_next", "static", "etc", "passwd", "\x00", "\r\n", "@", ":", "?", "#"]
    ),
    max_size=8,
).map("".join)  # fmt: skip


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    path=(_PIECES | st.text(max_size=40)).map(lambda text: "/" + text),
    query=st.binary(max_size=40) | st.just(b"next=//evil.example"),
    method=st.sampled_from(["GET", "HEAD"]),
    said=st.binary(max_size=20),
)
async def test_no_request_reads_elsewhere_or_leads_away(served, export, path, query, method, said):
    files = [*export.files.values(), export.not_found]
    bodies = {body for file in files for body in (file.body, *file.encoded.values())} | {b""}
    sent = []

    async def send(message):
        sent.append(message)

    names = (b"accept-encoding", b"if-none-match", b"host")
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query,
        "headers": [(b"accept", b"text/html"), *((name, said) for name in names)],
        "app": None,
    }
    try:
        await served.router.default(scope, None, send)
    except HTTPException as error:
        status = error.status_code
    else:
        status = sent[0]["status"]
    assert status in (200, 304, 308, 404)
    if not sent:
        return
    start, body = sent
    assert body["body"] in bodies
    if start["status"] == 308:
        location = dict(start["headers"])[b"location"].decode()
        assert re.fullmatch(r"/[!-~]*", location)
        target = httpx.URL("https://lime.example/a/b").join(location)
        assert (target.scheme, target.host) == ("https", "lime.example")
        assert urlsplit(location).path in export.files
        assert not urlsplit(location).fragment


async def test_the_slash_is_added_to_pages_and_to_no_address_of_another_host(browser):
    for path in ("//evil.example", "//evil.example/agents", "/\\evil.example", "/%2Fagents"):
        request = httpx.Request("GET", httpx.URL("https://lime.example", raw_path=path.encode()))
        request.headers["Accept"] = "text/html"
        assert (await browser.send(request)).status_code == 404
