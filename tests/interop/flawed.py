"""An MCP server that fails at the calls it is asked to fail at, written without any SDK.

Either line of the official SDK begins a session with it, and one call may go on while others fail.
"""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any, Self

#: Seconds until a call that waits for another one gives up.
PATIENCE = 60

Answer = tuple[int, dict[str, str], bytes]


class FlawedServer(ThreadingHTTPServer):
    """On loopback. A context manager."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://localhost:{self.server_port}/mcp"
        self.sessions = 0
        """How often somebody began one."""
        self.shown: dict[str, list[str]] = {}
        """What was shown with each try to call a tool, by its name."""
        self.begun, self.released = Event(), Event()
        self._thread = Thread(target=self.serve_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def answer(self, path: str, authorization: str, asked: dict[str, Any]) -> Answer:
        """What a request is answered with."""
        params = asked.get("params", {})
        match asked["method"]:
            case "initialize":
                self.sessions += 1
                version, who = params["protocolVersion"], {"name": "flawed", "version": "1"}
                return result(
                    asked, protocolVersion=version, capabilities={"tools": {}}, serverInfo=who
                )
            case "tools/list":
                return result(asked, tools=[])
            case "tools/call":
                tool = params["name"]
                self.shown.setdefault(tool, []).append(authorization)
                self._wait(tool)
                done = result(asked, content=[{"type": "text", "text": tool}])
                return failure(asked, tool, path) or done
            case method:
                return (202 if method.startswith("notifications/") else 404), {}, b""

    def _wait(self, tool: str) -> None:
        if tool == "wait":
            self.begun.set()
            assert self.released.wait(PATIENCE)
        elif tool == "meet":
            assert self.begun.wait(PATIENCE)
        elif tool == "release":
            self.released.set()


def failure(asked: dict[str, Any], tool: str, path: str) -> Answer | None:
    """How a call of `tool` fails, if it does. A number is the status that it fails with."""
    match tool:
        case "broken":
            return 200, {"Content-Type": "text/event-stream"}, b"data: {"
        case "unscoped":
            challenge = 'Bearer error="insufficient_scope", scope="notes"'
            return 403, {"WWW-Authenticate": challenge}, b""
        case "elsewhere":
            return 307, {"Location": "https://thief.example/mcp"}, b""
        case "slash" if not path.endswith("/"):
            return 308, {"Location": f"{path}/"}, b""
        case "said":
            return message(400, asked, error={"code": -32000, "message": "out of stock"})
    return (int(tool), {}, b"") if tool.isdigit() else None


def result(asked: dict[str, Any], **fields: Any) -> Answer:
    """An answer that is fine."""
    return message(200, asked, result=fields)


def message(status: int, asked: dict[str, Any], **fields: Any) -> Answer:
    """An answer in JSON."""
    said = {"jsonrpc": "2.0", "id": asked["id"], **fields}
    return status, {"Content-Type": "application/json"}, json.dumps(said).encode()


class _Handler(BaseHTTPRequestHandler):
    server: FlawedServer

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        authorization = self.headers["Authorization"]
        status, headers, body = self.server.answer(self.path, authorization, asked)
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.send_error(405)

    def log_message(self, *words: object) -> None:
        """Say nothing."""
