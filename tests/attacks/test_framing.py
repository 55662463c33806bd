"""Nobody hides a request in another one: what two servers could cut in two ways is not served."""

import pytest

from tests.attacks import raw
from tests.support.deployment import Deployment
from tests.support.server import ServeServer
from tests.support.wire import Site

PATH = "/api/v1/modules/agent-login/requests"
JSON = "Content-Type: application/json"


def smuggled(site: Site) -> bytes:
    """A whole request that would be answered 201, for whoever takes it for one."""
    token = f"X-Site-Token: {site.token}"
    return raw.head(f"POST {PATH} HTTP/1.1", token, JSON, "Content-Length: 2") + b"{}"


def outer(*lines: bytes) -> bytes:
    """A request's head, in which the headers are `lines` to the byte."""
    begin = f"POST {PATH} HTTP/1.1\r\nHost: lime\r\n{JSON}\r\n".encode()
    return begin + b"".join(lines) + b"\r\n"


def test_what_is_smuggled_here_would_be_answered(
    deployment: Deployment, server: ServeServer
) -> None:
    # Without this, the tests below would also pass for a request that is wrong by itself.
    inner = smuggled(deployment.site())
    close = raw.head("GET / HTTP/1.1", "Connection: close")
    assert raw.statuses(raw.say(server, inner + inner + close))[:2] == [201, 201]


@pytest.mark.parametrize(
    "headers",
    [
        # Two lengths (RFC 9112, section 6.3)
        [b"Content-Length: 4\r\n", b"Transfer-Encoding: chunked\r\n"],
        [b"Transfer-Encoding: chunked\r\n", b"Content-Length: 4\r\n"],
        [b"Content-Length: 4\r\n", b"Content-Length: 5\r\n"],
        [b"Content-Length: 4\r\n", b"Content-Length: 4\r\n"],
        [b"Content-Length: 4, 5\r\n"],
        [b"Content-Length: 4\r\n", b"content-length: 0\r\n"],
        # No number
        [b"Content-Length: +4\r\n"],
        [b"Content-Length: -4\r\n"],
        [b"Content-Length: 0x4\r\n"],
        [b"Content-Length: 4.0\r\n"],
        [b"Content-Length: 4 4\r\n"],
        [b"Content-Length: \xb2\r\n"],
        [b"Content-Length: 99999999999999999999999999\r\n"],
        # No coding that we have, or not as the last one
        [b"Transfer-Encoding: xchunked\r\n"],
        [b"Transfer-Encoding: chunked, identity\r\n"],
        [b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: identity\r\n"],
        [b"Transfer-Encoding: \x0bchunked\r\n"],
        [b"Transfer-Encoding: chunked\x00\r\n"],
        # Names with something beside them, and lines that go on (RFC 9112, sections 5.1 and 5.2)
        [b"Content-Length : 4\r\n"],
        [b"Transfer-Encoding : chunked\r\n"],
        [b"Transfer-Encoding\t: chunked\r\n"],
        [b" Content-Length: 4\r\n"],
        [b"X: a\r\n folded: b\r\n"],
        [b"X: a\r\n\tfolded\r\n"],
        [b"Transfer-Encoding:\r\n chunked\r\n"],
        # Ends of lines that some take for one (RFC 9112, section 2.2)
        [b"X: a\rContent-Length: 4\r\n"],
        [b"X: a\nContent-Length: 4\n"],
        [b"X: a\n"],
        [b"X: a\r\r\n"],
        [b"X: a\x00b\r\n"],
        [b"X\x00: a\r\n"],
        [b": a\r\n"],
        [b"no colon\r\n"],
    ],
    ids=lambda lines: repr(b"".join(lines))[2:-1],
)
def test_a_request_of_ambiguous_length_hides_no_other(
    deployment: Deployment, server: ServeServer, headers: list[bytes]
) -> None:
    # Whatever length one believes in, what follows is a request: to `0\r\n\r\n` ends a body of
    # chunks, and its first four bytes one of four.
    inner = smuggled(deployment.site())
    answer = raw.say(server, outer(*headers) + b"0\r\n\r\n" + inner)
    assert raw.statuses(answer) in ([400], [413])


@pytest.mark.parametrize(
    "chunks",
    [
        b"0x2\r\n{}\r\n0\r\n\r\n",
        b"-2\r\n{}\r\n0\r\n\r\n",
        b"+2\r\n{}\r\n0\r\n\r\n",
        b" 2\r\n{}\r\n0\r\n\r\n",
        b"2 \r\n{}\r\n0\r\n\r\n",
        b"\r\n{}\r\n0\r\n\r\n",
        b"g\r\n{}\r\n0\r\n\r\n",
        b"1\r\n{}\r\n0\r\n\r\n",
        b"2\n{}\n0\n\n",
        b"2\r{}\r0\r\r",
        b"2\r\n{}0\r\n\r\n",
        b"2;a\nb\r\n{}\r\n0\r\n\r\n",
        b"10000000000000002\r\n{}\r\n0\r\n\r\n",
        b"fffffffffffffffe\r\n{}\r\n0\r\n\r\n",
    ],
    ids=repr,
)
def test_a_chunk_of_ambiguous_length_hides_no_request(
    deployment: Deployment, server: ServeServer, chunks: bytes
) -> None:
    inner = smuggled(deployment.site())
    answer = raw.say(server, outer(b"Transfer-Encoding: chunked\r\n") + chunks + inner)
    # Where its body is being read already, the connection ends without an answer, and one chunk
    # without end is waited for in vain.
    assert raw.statuses(answer) in ([], [400], [408])


@pytest.mark.parametrize(
    "body",
    [
        b"2;name=value\r\n{}\r\n0\r\n\r\n",
        b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
        b"0002\r\n{}\r\n0\r\n\r\n",
        b"2\r\n{}\r\n0\r\nX-Site-Token: st_trailer\r\n\r\n",
    ],
    ids=repr,
)
def test_chunks_that_the_standard_allows_are_a_body(
    deployment: Deployment, server: ServeServer, body: bytes
) -> None:
    token = f"X-Site-Token: {deployment.site().token}\r\n".encode()
    request = outer(token, b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n")
    assert raw.statuses(raw.say(server, request + body)) == [201]


@pytest.mark.parametrize(
    "line",
    [
        b"GET / HTTP/1.1 HTTP/1.1",
        b"GET /\tHTTP/1.1",
        b"GET /\x00 HTTP/1.1",
        b"GET / HTTP/9.9",
        b"GET / http/1.1",
        b"GE T / HTTP/1.1",
        b"G\xc3\x89T / HTTP/1.1",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=repr,
)
def test_what_is_no_request_line_is_not_served(
    deployment: Deployment, server: ServeServer, line: bytes
) -> None:
    inner = smuggled(deployment.site())
    answer = raw.say(server, line + b"\r\nHost: lime\r\n\r\n" + inner)
    assert raw.statuses(answer) == [400]
