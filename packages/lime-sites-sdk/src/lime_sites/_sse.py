"""The event stream format, parsed without I/O.

This is the algorithm of the WHATWG HTML standard, section 9.2.6 "Interpreting an event stream",
with one addition: a limit on the size of an event, because the other end decides what it sends.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lime_sites.errors import EventTooLargeError

MAX_EVENT_BYTES: Final = 128 * 1024
"""Most bytes one event (or one line of it, comments included) may take.

The largest event of the protocol holds one passport of at most 16 KiB and a redirect URL.
"""

_BOM = b"\xef\xbb\xbf"
# ASCII digits only, and no more of them than any delay in milliseconds has.
_RETRY = re.compile(r"[0-9]{1,9}")
_LINE_END = re.compile(rb"\r\n?|\n")


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One dispatched event."""

    data: str
    """Its `data` lines, joined by LF."""
    type: str = "message"
    id: str | None = None
    """The id that this very event carried, or None. Unlike the next, never an earlier event's."""
    last_event_id: str = ""
    """The sticky id of the standard: the last one that was seen on the stream."""


class EventStreamParser:
    """Bytes in, events out; one parser reads one connection from its first byte.

    Where the chunks are cut never matters. A CR ends its line at once, so that an event is not
    held back until the byte after it arrives.
    """

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self.retry_ms: int | None = None
        """The reconnection time the server asked for, in milliseconds."""
        self._limit = max_event_bytes
        self._line = bytearray()
        self._at_start = True
        self._after_cr = False
        self._last_event_id = ""
        self._data: list[str] = []
        self._size = 0
        self._type = ""
        self._id: str | None = None

    def feed(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """Yield the events that `chunk` completes. The iterator has to be exhausted.

        Raises:
            EventTooLargeError: after the events before it, when one is larger than the limit. The
                parser is of no further use then.
        """
        if not chunk:
            return
        start = 1 if self._after_cr and chunk.startswith(b"\n") else 0
        self._after_cr = chunk.endswith(b"\r")
        for end in _LINE_END.finditer(chunk, start):
            self._extend_line(chunk[start : end.start()])
            start = end.end()
            yield from self._end_line()
        self._extend_line(chunk[start:])

    def _extend_line(self, part: bytes) -> None:
        self._line += part
        if len(self._line) + self._size > self._limit:
            raise EventTooLargeError(self._limit)

    def _end_line(self) -> Iterator[ServerSentEvent]:
        raw = bytes(self._line)
        self._line.clear()
        if self._at_start:
            # Only one, and only at the very start: a second BOM is part of a field name.
            raw = raw.removeprefix(_BOM)
            self._at_start = False
        if raw:
            self._field(raw)
            return
        # The id is sticky, so it must not by itself make an event: otherwise every comment block
        # after the first event would be one.
        if self._data:
            data, kind = "\n".join(self._data), self._type or "message"
            yield ServerSentEvent(data, kind, self._id, self._last_event_id)
        self._data, self._size, self._type, self._id = [], 0, "", None

    def _field(self, raw: bytes) -> None:
        # A comment is a field without a name, and that is no known field. The standard decodes
        # before it splits; lines end in ASCII, so decoding them one by one gives the same text.
        name, _, value = raw.decode("utf-8", errors="replace").partition(":")
        value = value.removeprefix(" ")
        match name:
            case "data":
                self._data.append(value)
                self._size += len(raw)
            case "event":
                self._type = value
            case "id" if "\0" not in value:
                self._id = self._last_event_id = value
            case "retry" if _RETRY.fullmatch(value):
                self.retry_ms = int(value)
            case _:
                pass
