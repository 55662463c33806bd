"""What must never happen on any of our pages, noticed wherever a test goes."""

from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Request, Response, WebError

_REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) => {
  window.limeViolation(`${event.violatedDirective} refused ${event.blockedURI} on ${location.pathname}`);
});
"""


class Watch:
    """Keeps what a browser complains about, until a test asks."""

    def __init__(self, context: BrowserContext, origin: str, api_base: str) -> None:
        self.origin = origin
        self._api = urlsplit(api_base).path
        self._elsewhere: set[str] = set()
        self._missing: set[str] = set()
        self.faults: list[str] = []
        context.expose_binding("limeViolation", self._violation)
        context.add_init_script(_REPORT_VIOLATIONS)
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("request", self._request)
        context.on("response", self._response)

    def allow(self, url: str) -> None:
        """Let the browser be sent to `url`, as by a site that asked for an answer."""
        self._elsewhere.add(url)

    def expect_missing(self, path: str) -> None:
        """Let there be no page at `path`."""
        self._missing.add(f"{self.origin}{path}")

    def assert_nothing_happened(self) -> None:
        """No page failed, broke its own policy, or spoke to anybody but its server."""
        assert not self.faults, "\n".join(self.faults)

    def _violation(self, _source: object, text: str) -> None:
        self.faults.append(f"policy: {text}")

    def _console(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"}:
            return
        # An answer that refuses is for the page to explain; the browser mentions it all the same.
        url = message.location["url"]
        known = url in self._missing or urlsplit(url).path.startswith(self._api)
        if known and message.text.startswith("Failed to load resource: the server responded with"):
            return
        self.faults.append(f"console: {message.text} ({url})")

    def _error(self, error: WebError) -> None:
        self.faults.append(f"uncaught: {error.error}")

    def _request(self, request: Request) -> None:
        url = request.url
        ours = url.startswith((f"{self.origin}/", "data:"))
        asked_for = request.is_navigation_request() and url.split("?")[0] in self._elsewhere
        if not ours and not asked_for:
            self.faults.append(f"request elsewhere: {request.method} {url}")

    def _response(self, response: Response) -> None:
        if response.status >= 500:
            self.faults.append(f"{response.status} from {response.request.method} {response.url}")
