"""An event stream by hand: bytes off a socket, frames as the oldest clients read them."""

import http.client
import json
import queue
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

PATIENCE = 20.0
"""Seconds for which a test waits for a frame. Never reached when all is well."""


@dataclass(frozen=True)
class Frame:
    """One frame of an event stream, as it came."""

    raw: bytes
    id: str | None
    body: dict[str, Any]

    @property
    def type(self) -> str:
        """The kind of frame."""
        return str(self.body["type"])

    @property
    def request_id(self) -> str:
        """The login it is about."""
        return str(self.body["login_request_id"])

    @classmethod
    def parse(cls, raw: bytes) -> "Frame | None":
        """One block between blank lines; None for a block of comments alone.

        Deliberately narrow: what the oldest clients cannot read is a failure here, whatever the standard would allow.
        """
        lines = [
            line for line in raw.decode("utf-8").split("\n") if line and not line.startswith(":")
        ]
        if not lines:
            return None
        values = [line.removeprefix("data:").strip() for line in lines if line.startswith("data:")]
        ids = [line.removeprefix("id:").strip() for line in lines if line.startswith("id:")]
        assert len(values) == 1, f"a frame has one data line: {raw!r}"
        assert b"\r" not in raw, f"a frame's lines end with LF: {raw!r}"
        body = json.loads(values[0])
        assert isinstance(body, dict), f"a frame holds one JSON object: {raw!r}"
        return cls(raw=raw, id=ids[0] if ids else None, body=body)


class EventStream:
    """An event stream read in a thread of its own, so that a test can wait for a frame without losing the connection.

    Entering connects and returns when the response's head is there. Plain `http.client`: the bytes are the subject.
    """

    def __init__(
        self, api_base: str, headers: Mapping[str, str], *, consumer: str | None = None
    ) -> None:
        url = httpx.URL(f"{api_base}/modules/agent-login/events")
        self._connection = http.client.HTTPConnection(url.host, url.port, timeout=PATIENCE)
        self._path = url.path + (f"?consumer={consumer}" if consumer is not None else "")
        self._credential = headers
        self._frames: queue.Queue[Frame | BaseException | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, name="event-stream", daemon=True)
        self.headers: dict[str, str] = {}
        self.seen: list[Frame] = []

    def __enter__(self) -> Self:
        self._connection.connect()
        self._socket: socket.socket = self._connection.sock
        self._connection.request(
            "GET", self._path, headers={**self._credential, "Accept": "text/event-stream"}
        )
        self._response = self._connection.getresponse()
        assert self._response.status == 200, f"{self._response.status} {self._response.read()!r}"
        self.headers = {key.lower(): value for key, value in self._response.getheaders()}
        self._socket.settimeout(None)
        self._reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Shutting the socket down wakes the reader; closing alone would leave it blocked.
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join(PATIENCE)
        self._response.close()
        self._connection.close()

    def next(self, *, timeout: float = PATIENCE) -> Frame:
        """The next frame, heartbeats included.

        Raises:
            EOFError: if the server ended the stream.
            TimeoutError: if nothing came within `timeout` seconds.
        """
        try:
            found = self._frames.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError(
                f"no frame within {timeout} s; before: {[frame.body for frame in self.seen]}"
            ) from None
        if isinstance(found, BaseException):
            raise found
        if found is None:
            raise EOFError("the stream has ended")
        self.seen.append(found)
        return found

    def event(self, *, timeout: float = PATIENCE) -> Frame:
        """The next frame that is no heartbeat."""
        while (frame := self.next(timeout=timeout)).type == "keepalive":
            pass
        return frame

    def of(self, request_id: str) -> Frame:
        """The next frame about this login."""
        while (frame := self.event()).body.get("login_request_id") != request_id:
            pass
        return frame

    def until_end(self) -> list[Frame]:
        """Everything that still comes before the server ends the stream."""
        rest = []
        while True:
            try:
                rest.append(self.next())
            except EOFError:
                return rest

    def until_heartbeats(self, count: int) -> list[Frame]:
        """Everything that comes before the `count`-th heartbeat from now."""
        rest: list[Frame] = []
        while count:
            frame = self.next()
            if frame.type == "keepalive":
                count -= 1
            else:
                rest.append(frame)
        return rest

    def _read(self) -> None:
        block = b""
        try:
            for line in self._response:
                if line != b"\n":
                    block += line
                    continue
                if block and (frame := Frame.parse(block)):
                    self._frames.put(frame)
                block = b""
        except AssertionError as error:
            self._frames.put(error)
        except (OSError, ValueError, http.client.HTTPException):
            pass
        self._frames.put(None)
