"""The event stream parser, against the standard's rules and against httpx-sse."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from httpx_sse._decoders import SSEDecoder
from hypothesis import given
from hypothesis import strategies as st

from lime_sites._sse import EventStreamParser, ServerSentEvent
from lime_sites.errors import EventTooLargeError

_VECTORS = Path(__file__).parents[3] / "vectors" / "sse.json"
CASES: list[dict[str, Any]] = json.loads(_VECTORS.read_text())["cases"]


def _bytes(case: dict[str, Any]) -> bytes:
    return bytes.fromhex(case["input_hex"]) if "input_hex" in case else case["input"].encode()


def _parse(*chunks: bytes) -> list[ServerSentEvent]:
    parser = EventStreamParser()
    return [event for chunk in chunks for event in parser.feed(chunk)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_standard_is_followed(case: dict[str, Any]) -> None:
    parser = EventStreamParser()
    events = list(parser.feed(_bytes(case)))
    assert [[e.data, e.type, e.last_event_id] for e in events] == case["events"]
    assert parser.retry_ms == case.get("retry_ms")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_cut_of_the_chunks_never_matters(case: dict[str, Any]) -> None:
    stream = _bytes(case)
    whole = _parse(stream)
    assert _parse(*(stream[i : i + 1] for i in range(len(stream)))) == whole
    for cut in range(len(stream) + 1):
        assert _parse(stream[:cut], b"", stream[cut:]) == whole


_LINES = st.sampled_from(
    [
        "data: a",
        "data",
        "data:",
        "id: 1",
        "id:",
        "id: \0",
        "event: x",
        "retry: 5",
        ": c",
        "",
        "é…",
        "x:y",
    ]
)
_STREAMS = st.lists(st.tuples(_LINES, st.sampled_from(["\r", "\n", "\r\n"]))).map(
    lambda lines: "".join(line + end for line, end in lines).encode()
)


@given(st.one_of(_STREAMS, st.binary()), st.lists(st.integers(0, 200)))
def test_any_stream_in_any_chunks_gives_the_same_events(stream: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(stream)]
    chunks = [stream[a:b] for a, b in pairwise(edges)]
    assert _parse(*chunks) == _parse(stream)


_BLOCKS = st.lists(
    st.tuples(
        st.lists(st.sampled_from(["data: a", "data:b", "event: x", ": c", "id: 7", "retry: 5"])),
        st.text(
            st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="\ufeff")
        ),
    )
)


@given(_BLOCKS)
def test_httpx_sse_reads_the_same_where_it_is_right(blocks: list[tuple[list[str], str]]) -> None:
    # Every block has data: without, httpx-sse makes an event of a block after an id.
    lines = [line for block, text in blocks for line in [*block, f"data: {text}", ""]]
    decoder = SSEDecoder()
    theirs = [event for line in lines if (event := decoder.decode(line)) is not None]
    ours = _parse("".join(line + "\n" for line in lines).encode())
    assert [(e.data, e.type, e.last_event_id) for e in ours] == [
        (e.data, e.event, e.id) for e in theirs
    ]


def test_the_id_of_an_event_is_not_that_of_an_earlier_one() -> None:
    first, second = _parse(b"id: 1\ndata: a\n\ndata: b\n\n")
    assert (first.id, second.id) == ("1", None)
    assert second.last_event_id == "1"


@pytest.mark.parametrize(
    "stream",
    [
        b"data: " + b"x" * 60 + b"\n\n",
        b": " + b"x" * 60,
        b"data: 20 characters.\ndata: 20 characters.\ndata: more!\n\n",
        b"data\n" * 20,
    ],
    ids=["a long line", "a comment without end", "many lines", "many empty lines"],
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_event_above_the_limit_is_refused_after_those_before_it(
    stream: bytes, size: int
) -> None:
    parser = EventStreamParser(max_event_bytes=50)
    stream = b"data: before\n\n" + stream
    events = []

    def read() -> None:
        for start in range(0, len(stream), size):
            events.extend(event.data for event in parser.feed(stream[start : start + size]))

    with pytest.raises(EventTooLargeError, match="more than 50 bytes") as caught:
        read()
    assert events == ["before"]
    assert caught.value.limit == 50


def test_the_largest_passport_fits() -> None:
    assert len(_parse(b"data: " + b"x" * 17_000 + b"\n\n")[0].data) == 17_000
